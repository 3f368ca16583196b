"""Measure how far the same seeds lead apart on different processors, and store tolerances.

    python tests/measure_tolerances.py [--write] [notebook ...]

Every notebook with a tolerance in it (of all, or of those named) is executed from an empty model
folder with the engine's default instructions, with those of an older processor, and without
oneDNN. Three times the largest difference from the default run, and at least one unit of the last
printed digit, is the tolerance a cell should have; ``--write`` stores it, rounded up to one digit.
(A relative tolerance lets the last digit flip anyway.) A run on one thread is shown too, but does
not count: the number of threads is not part of what a reader can expect to be equal.

Exit status 1: a stored tolerance is too small, or the text around the numbers differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbval_tolerance import (
    Tolerance,
    as_decimal,
    measure_drift,
    numbers_in,
    read_tolerance,
    tolerant_texts,
)

from garment_utils.paths import NOTEBOOKS

DEFAULT = "default"
SETTINGS = {
    DEFAULT: {},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "no oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
SHOWN_ONLY = {"1 thread": {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}}
# An accuracy that may move by more than this is not checked at all.
LARGEST_ABSOLUTE = Decimal("0.01")


def execute(paths, environment):
    """Execute the notebooks in order, sharing one model folder; return {path: {id: outputs}}."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="garment-models-") as models:
        for path in paths:
            node = nbformat.read(path, as_version=4)
            client = NotebookClient(
                node,
                timeout=1800,
                kernel_name="python3",
                coalesce_streams=True,  # as nbval does
                resources={"metadata": {"path": str(path.parent)}},
            )
            variables = {**os.environ, **environment, "GARMENT_MODELS": models}
            client.execute(env=variables, stderr=subprocess.DEVNULL)
            found[path] = {cell.id: cell.outputs for cell in node.cells if "outputs" in cell}
    return found


def last_digit(outputs):
    """Return the largest unit of a last printed digit.

    Whole numbers are left out when there are others: a count beside an accuracy does not move
    by a flipped last digit.
    """
    numbers = [
        as_decimal(number)
        for _, holder, key in tolerant_texts(outputs)
        for number in numbers_in(holder[key])
    ]
    exponents = [number.as_tuple().exponent for number in numbers if number.is_finite()]
    exponents = [exponent for exponent in exponents if exponent < 0] or exponents
    return Decimal(1).scaleb(max(exponents)) if exponents else Decimal(0)


def measured_tolerance(largest, unit):
    """Return three times the largest difference, at least one last digit, rounded up to a digit."""
    wanted = max(3 * largest, unit)
    if not wanted:
        return wanted
    step = Decimal(1).scaleb(wanted.adjusted())
    return (wanted / step).to_integral_value(ROUND_CEILING) * step


def check_cell(name, cell, runs):
    """Print one line per setting; return the tolerance a cell should have, and what is wrong.

    What is wrong: the settings with another text around the numbers, and whether the stored
    tolerance is too small.
    """
    stored = read_tolerance(cell)
    largest = Decimal(0)
    other_text = []
    for setting in list(runs)[1:]:
        drifts = {
            relative: measure_drift(
                runs[DEFAULT][cell.id], runs[setting][cell.id], Tolerance(Decimal(0), relative)
            )[0]
            for relative in (False, True)
        }
        print(
            f"{name:28.28s} {cell.id:22.22s} {setting:10s} {drifts[False].numbers:8d}"
            f" {drifts[False].largest:10.2g} {drifts[True].largest:10.2g}"
        )
        if setting in SHOWN_ONLY:
            continue
        if drifts[stored.relative].outside:  # more than a flipped last digit
            largest = max(largest, drifts[stored.relative].largest)
        if drifts[False].text_differs:
            other_text.append(setting)
    unit = Decimal(0) if stored.relative else last_digit(runs[DEFAULT][cell.id])
    measured = measured_tolerance(largest, unit)
    too_small = stored.size < max(3 * largest, unit)
    if not stored.relative and max(measured, stored.size) > LARGEST_ABSOLUTE:
        print(f"{'':28s} warning: above {LARGEST_ABSOLUTE}; is this not an accuracy?")
    kind = "relative" if stored.relative else "absolute"
    print(
        f"{'':28s} {'':22s} three times: {3 * largest:.2g} {kind}, last digit {unit:.2g}"
        f" → {measured:f}; stored: {stored.size:f}; {'TOO SMALL' if too_small else 'enough'}"
    )
    if other_text:
        print(f"{'':28s} the text around the numbers differs: {', '.join(other_text)}")
    return measured, other_text, too_small


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="store the measured tolerances")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    options = parser.parse_args()
    nodes = {}
    for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        node = nbformat.read(path, as_version=4)
        if any(read_tolerance(cell) for cell in node.cells):
            nodes[path] = node
    if not nodes:
        sys.exit("no cell of these notebooks has a tolerance")
    runs = {}
    for setting, environment in (SETTINGS | SHOWN_ONLY).items():
        print(f"executing {len(nodes)} notebooks: {setting}", file=sys.stderr)
        runs[setting] = execute(nodes, environment)
    print(f"\n{'notebook':28s} {'cell':22s} {'against':10s}  numbers   absolute   relative")
    failed = False
    for path, node in nodes.items():
        for cell in filter(read_tolerance, node.cells):
            outputs = {setting: found[path] for setting, found in runs.items()}
            measured, other_text, too_small = check_cell(path.stem, cell, outputs)
            failed = failed or bool(other_text) or (too_small and not options.write)
            if options.write and measured:
                value = float(measured)
                relative = read_tolerance(cell).relative
                cell.metadata["garment"]["tolerance"] = {"relative": value} if relative else value
        if options.write:
            nbformat.write(node, path)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
