"""Execute one notebook with papermill: names checked, progress told, a partial result kept.

From the command line, which is what the Snakefile does::

    python -m garment_utils.run NOTEBOOK OUTPUT [--parameters JSON] [--progress F] [--partial F]
"""

import argparse
import ast
import functools
import json
import math
import os
import sys
import time
from pathlib import Path

import nbformat
import papermill
from papermill.engines import NBClientEngine, papermill_engines

from garment_utils.paths import ROOT, replacing, write_whole

TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}


def declared_parameters(notebook):
    """Return the parameters of a notebook file: name → (name of its type, default value).

    Raises:
        ValueError: no such file, no notebook, or a default that is no literal.
    """
    try:
        return {
            name: (found["inferred_type_name"], ast.literal_eval(found["default"]))
            for name, found in papermill.inspect_notebook(str(notebook)).items()
        }
    except Exception as error:  # a damaged notebook fails in many ways
        reason = str(error).split("\n")[0][:100]
        raise ValueError(
            f"{notebook}: expected a notebook whose parameters are literals, one on a line; cannot "
            f"read it ({type(error).__name__}: {reason}); repair it, or git checkout it"
        ) from None


def check_parameters(notebook, parameters):
    """Refuse parameters that a notebook does not have, or has with another type.

    papermill only warns of an unknown name, and then runs the defaults.

    Args:
        notebook: Path of the notebook.
        parameters: dict, name → value.

    Returns:
        dict like ``parameters``, where ``1e-3``, which YAML reads as text, is a number.

    Raises:
        ValueError: unknown name or other type, with what the notebook has instead.
    """
    if not isinstance(parameters, dict):
        raise ValueError(f'expected parameters such as {{"epochs": 3}}, got {parameters!r}')
    declared = declared_parameters(notebook)
    checked = dict(parameters)
    for name, value in parameters.items():
        if name not in declared:
            raise ValueError(
                f"{notebook.stem} has no parameter {name!r}; it has {', '.join(declared)}"
            )
        kind, default = declared[name]
        outer, _, inner = kind.removesuffix("]").partition("[")  # list[float]: list and float
        if inner and isinstance(value, list):
            checked[name] = value = [_as_number(item, inner) for item in value]
            fits = all(_is_of_type(item, inner, type(item)) for item in value)
        else:
            checked[name] = value = _as_number(value, kind)
            fits = _is_of_type(value, outer, type(default))
        if not fits:
            raise ValueError(
                f"{notebook.stem}: the parameter {name} is of type {kind}, for example "
                f"{name}={default}; got {value!r}, which is of type {type(value).__name__}"
            )
    return checked


def _as_number(value, kind):
    """Return what YAML has read as text, such as 1e-3, as a number if one is asked for."""
    is_text = kind == "float" and isinstance(value, str)
    return float(value) if is_text and _is_number(value) else value


def _is_of_type(value, kind, otherwise):
    """Say whether a value is of the type of this name; True is no number, nor is infinity."""
    if isinstance(value, bool) and kind != "bool":  # an int to Python, not to a learner
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, TYPES.get(kind, otherwise))


def execute(notebook, output, parameters, *, progress=None, partial=None):
    """Execute a notebook in its own folder and write the result, whole or not at all.

    Args:
        notebook: Path of the notebook.
        output: Path of the executed notebook.
        parameters: dict, name → value, checked before anything runs.
        progress: Path of a JSON file that is rewritten at each cell, or None.
        partial: Path that keeps what a failed run had done so far, or None.

    Raises:
        ValueError: parameters that do not fit.
        RuntimeError: a cell failed or the kernel died; names notebook, cell, error, partial.
    """
    parameters = check_parameters(notebook, parameters)
    # Absolute, because papermill changes to the notebook's folder while it executes.
    notebook, output = notebook.resolve(), output.resolve()
    progress, partial = progress and progress.resolve(), partial and partial.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    status = _Status(notebook, progress)
    with replacing(output) as unfinished:
        run_all = functools.partial(
            papermill.execute_notebook,
            str(notebook),
            str(unfinished),
            parameters,
            kernel_name="python3",
            cwd=str(notebook.parent),
            progress_bar=False,
            engine_name="telling",
            coalesce_streams=True,  # one stored output for one stream of text
            status=status,
        )
        try:
            try:
                run_all()
            except RuntimeError:
                if status.cell != "none":
                    raise
                run_all()  # two kernels that start at once may have picked the same port
        except Exception as error:  # a failed cell, a dead kernel: what matters is said and kept
            message = f"{notebook.stem} failed in cell {status.cell}: {_describe(error)}"
            if partial and unfinished.exists():
                partial.parent.mkdir(parents=True, exist_ok=True)
                os.replace(unfinished, partial)
                message += f"; what it had done is kept in {_relative(partial)}"
            status.tell("failed", error=message)
            raise RuntimeError(message) from error
    if partial:
        partial.unlink(missing_ok=True)
    status.tell("done")


class _Status:
    """Tells others, through a small file, how far the execution is."""

    def __init__(self, notebook, path):
        cells = nbformat.read(notebook, as_version=4).cells
        self.names = [cell.id for cell in cells if cell.cell_type == "code"]
        self.path, self.started, self.cell = path, time.time(), "none"
        self.tell("running")

    def enter(self, cell):
        # The cell of injected parameters is papermill's own and not counted.
        if cell.get("id") in self.names:
            self.cell = cell.id
            self.tell("running")

    def tell(self, state, error=None):
        if not self.path:
            return
        number = self.names.index(self.cell) + 1 if self.cell in self.names else 0
        record = {
            "state": state,
            "cell": self.cell,
            "number": number,
            "cells": len(self.names),
            "started": self.started,
            "seconds": time.time() - self.started,
            "error": error,
        }
        write_whole(self.path, json.dumps(record).encode())


class _TellingEngine(NBClientEngine):
    """papermill's engine, which also tells a status the name of each code cell it enters."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, status, **options):
        start = nb_man.cell_start

        def tell_and_start(cell, *positional, **named):
            status.enter(cell)
            return start(cell, *positional, **named)

        nb_man.cell_start = tell_and_start
        return super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register("telling", _TellingEngine)


def _describe(error):
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)
    lines = str(value).strip().split("\n")
    return f"{name}: {lines[0]}" if lines[0] else name


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _relative(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def main():
    """Execute the notebook named on the command line; exit with 1 if that fails."""
    parser = argparse.ArgumentParser(description="Execute one notebook with papermill.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--parameters", type=json.loads, default={}, help="as JSON")
    parser.add_argument("--progress", type=Path, help="JSON file rewritten at each cell")
    parser.add_argument("--partial", type=Path, help="keeps what a failed run had done")
    options = parser.parse_args()
    try:
        execute(
            options.notebook,
            options.output,
            options.parameters,
            progress=options.progress,
            partial=options.partial,
        )
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
