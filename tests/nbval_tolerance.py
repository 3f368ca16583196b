"""What nbval lacks for notebooks that train: tolerances, an empty model folder, a drift table.

nbval runs each code cell again and compares its text with the stored text, letter by letter.
This pytest plugin adds, from a code cell's metadata under the key ``garment``:

``"tolerance": 0.006`` or ``"tolerance": {"relative": 0.02}``
    the numbers in the cell's text may differ from the stored ones by that much; the text between
    them may not. A relative tolerance is a fraction of the stored number; it also lets the last
    printed decimal flip, which in a small number is a large fraction.
``"trains": 15``
    the cell must train 15 models, not load them: so many new files appear in the model folder.

Each notebook's kernel works with a model folder of its own, empty at the start and removed at the
end: every notebook must run alone. What kernels write to stderr counts even if it does not pass
through Python. A table of how far the numbers moved ends each replay. Cells without a tolerance
are compared by nbval alone.
"""

import copy
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

# A number as Python, NumPy or pandas prints it: -0.5, 1., .5, 1e-05, 55,000, nan, inf. Digits
# inside a name (model_3, pixel784) or of a version (2.21.0) are text.
NUMBER = re.compile(
    r"""(?<![\w.])[-+−]?
        (?: (?: \d{1,3}(?:,\d{3})+(?!\d)(?:\.\d*)? | \d+\.?\d* | \.\d+ ) (?:e[-+]?\d+)?
          | (?:nan|inf|infinity)\b )
        (?!\.?\d)""",
    re.VERBOSE | re.IGNORECASE,
)
TOLERANT_TYPES = ("text/plain", "text/html")


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be from the stored one: absolutely, or as a fraction of it."""

    size: Decimal
    relative: bool = False

    def __str__(self):
        return f"{self.size} of the stored number" if self.relative else str(self.size)

    def allows(self, stored: Decimal, new: Decimal) -> bool:
        """Say whether a number may stand for the stored one."""
        if self.difference(stored, new) <= self.size:
            return True
        decimals = stored.as_tuple().exponent
        if not self.relative or not (stored.is_finite() and new.is_finite()) or decimals >= 0:
            return False
        return abs(new - stored) <= Decimal(1).scaleb(decimals)

    def difference(self, stored: Decimal, new: Decimal) -> Decimal:
        """Return how far apart two numbers are, in the unit of this tolerance."""
        if stored == new or (stored.is_nan() and new.is_nan()):
            return Decimal(0)
        if not (stored.is_finite() and new.is_finite()) or (self.relative and stored == 0):
            return Decimal("Infinity")
        distance = abs(new - stored)
        return distance / abs(stored) if self.relative else distance


@dataclass
class Drift:
    """How far the numbers of one cell moved; a pair that is not allowed goes before all others."""

    numbers: int = 0
    stored: str = ""  # the pair that is furthest apart, as printed
    new: str = ""
    largest: Decimal = Decimal(0)  # its difference, in the unit of the tolerance
    outside: bool = False  # this difference is not allowed
    text_differs: bool = False  # the text around the numbers, or the number of outputs


def read_tolerance(cell) -> Tolerance | None:
    """Return the tolerance in a cell's metadata.

    Raises ``ValueError`` if it is neither a positive number nor ``{"relative": number}``.
    """
    value = cell.metadata.get("garment", {}).get("tolerance")
    if value is None:
        return None
    relative = isinstance(value, dict) and set(value) == {"relative"}
    size = value["relative"] if relative else value
    if isinstance(size, bool) or not isinstance(size, int | float) or not size > 0:
        raise ValueError(
            f"a tolerance is a number above 0 or {{'relative': number}}, here it is {value!r}"
        )
    return Tolerance(Decimal(str(size)), relative)


def numbers_in(text: str) -> list[str]:
    """Return the numbers in a text, as they are printed."""
    return NUMBER.findall(text)


def skeleton(text: str) -> str:
    """Return the text without its numbers, runs of white space folded into one space.

    The white space is folded because tables pad a column to its longest number.
    """
    return re.sub(r"\s+", " ", NUMBER.sub(" # ", text)).strip()


def as_decimal(number: str) -> Decimal:
    """Return the value of a printed number: exactly what was printed, not its nearest float."""
    return Decimal(number.replace(",", "").replace("−", "-"))


def tolerant_texts(outputs) -> Iterator[tuple[str, dict, str]]:
    """Yield the texts a tolerance applies to as (kind, where it is kept, under which key)."""
    for output in outputs:
        if output.output_type == "stream" and output.name == "stdout":
            yield "stdout", output, "text"
        for kind in TOLERANT_TYPES:
            if kind in output.get("data", {}):
                yield kind, output["data"], kind


def paired_texts(stored, new) -> Iterator[tuple[str | None, dict | None, str]]:
    """Yield each stored text with the place of its new one, as nbval pairs them: by kind, in order.

    A kind that occurs more often on one side is yielded once, with nothing to compare.
    """
    places = defaultdict(lambda: ([], []))
    for side, outputs in enumerate((stored, new)):
        for kind, holder, key in tolerant_texts(outputs):
            places[kind][side].append((holder, key))
    for before, after in places.values():
        if len(before) != len(after):
            yield None, None, ""
            continue
        for (old_holder, old_key), (holder, key) in zip(before, after, strict=True):
            yield old_holder[old_key], holder, key


def measure_drift(stored: list, new: list, tolerance: Tolerance) -> tuple[Drift, list]:
    """Compare the outputs of a cell with the stored ones, numbers within a tolerance.

    Returns how far they moved, and a copy of the new outputs in which every text that is within
    the tolerance is replaced by the stored text.
    """
    new = copy.deepcopy(new)
    drift = Drift()
    for text, holder, key in paired_texts(stored, new):
        if text is None or skeleton(text) != skeleton(holder[key]):
            drift.text_differs = True
            continue
        within = True
        for old, number in zip(numbers_in(text), numbers_in(holder[key]), strict=True):
            pair = as_decimal(old), as_decimal(number)
            difference, outside = tolerance.difference(*pair), not tolerance.allows(*pair)
            within = within and not outside
            drift.numbers += 1
            if (outside, difference) > (drift.outside, drift.largest):
                drift.stored, drift.new = old, number
                drift.outside, drift.largest = outside, difference
        if within:
            holder[key] = text
    return drift, new


def compare_with_tolerance(cell_item, compare, new, stored, skip_compare=None) -> bool:
    """Stand in for ``IPyNbCell.compare_outputs``: nbval compares what the tolerance leaves."""
    try:
        tolerance = read_tolerance(cell_item.cell)
    except ValueError as error:
        cell_item.raise_cell_error(str(error))
    drift, remaining = measure_drift(stored, new, tolerance)
    # Reports carry these properties, from the workers of pytest-xdist too.
    cell_item.user_properties.append(
        (
            "drift",
            {
                "notebook": cell_item.path.stem,
                "place": cell_item.cell_num,
                "cell": cell_item.cell.get("id", cell_item.name),
                "numbers": drift.numbers,
                "change": f"{drift.stored} → {drift.new}" if drift.largest else "none",
                "difference": f"{drift.largest:.2g}" if drift.largest else "0",
                "tolerance": str(tolerance),
                "outside": drift.outside,
                "text_differs": drift.text_differs,
            },
        )
    )
    equal = compare(remaining, stored, skip_compare)
    if drift.outside:
        cell_item.comparison_traceback.append(
            f"The largest difference is {drift.stored} (stored) → {drift.new} (new); "
            f"the tolerance of this cell is {tolerance}."
        )
    return equal


def start_kernel(start, models):
    """Start a notebook's kernel with an empty model folder and with its stderr watched.

    With ``PYTEST_CURRENT_TEST`` in its environment ipykernel leaves file descriptor 2 alone, and
    what TensorFlow's C++ code writes there would be in a learner's notebook and not in the replay.
    """
    if models:
        models.empty()
    current_test = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        start()
    finally:
        if current_test is not None:
            os.environ["PYTEST_CURRENT_TEST"] = current_test


def stored_models() -> set[Path]:
    """Return the models trained in the folder of the kernels.

    Half-written ones (.name) and those that were converted from others' weights are left out.
    """
    found = Path(os.environ["GARMENT_MODELS"]).rglob("*.keras")
    return {path for path in found if not path.name.startswith((".", "converted-"))}


class ReplayModels:
    """Keep the kernels away from the models of the user for the time of a replay."""

    def __init__(self):
        self.saved = os.environ.get("GARMENT_MODELS")
        self.folder = tempfile.mkdtemp(prefix="garment-models-")
        os.environ["GARMENT_MODELS"] = self.folder

    def empty(self):
        """Let kernels that start from now on work with a new folder."""
        os.environ["GARMENT_MODELS"] = tempfile.mkdtemp(dir=self.folder)

    def pytest_unconfigure(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.saved is None:
            del os.environ["GARMENT_MODELS"]
        else:
            os.environ["GARMENT_MODELS"] = self.saved


def pytest_configure(config):
    if config.option.nbval:
        config.pluginmanager.register(ReplayModels(), "garment-replay-models")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent):
    collectors = yield
    models = parent.config.pluginmanager.get_plugin("garment-replay-models")
    for collector in collectors:
        if isinstance(collector, IPyNbFile):
            collector.setup = partial(start_kernel, collector.setup, models)
    return collectors


def pytest_itemcollected(item):
    if isinstance(item, IPyNbCell) and "tolerance" in item.cell.metadata.get("garment", {}):
        item.compare_outputs = partial(compare_with_tolerance, item, item.compare_outputs)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell) or not item.config.option.nbval:
        return (yield)
    before = stored_models()
    result = yield
    expected = item.cell.metadata.get("garment", {}).get("trains")
    trained = len(stored_models() - before)
    if expected is not None and trained != expected:
        reason = "it loaded stored ones or did not train" if trained < expected else "too many"
        models = "model" if expected == 1 else "models"
        item.raise_cell_error(
            f"the cell should train {expected} {models}, it trained {trained}: {reason}"
        )
    return result


def pytest_terminal_summary(terminalreporter):
    rows = [
        dict(report.user_properties)["drift"]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call" and "drift" in dict(report.user_properties)
    ]
    if not rows:
        return
    table = [("notebook", "cell", "numbers", "largest change", "difference", "tolerance", "")]
    for row in sorted(rows, key=lambda row: (row["notebook"], row["place"])):
        flag = "OUTSIDE" if row["outside"] else "TEXT DIFFERS" if row["text_differs"] else ""
        values = [row[key] for key in ("notebook", "cell", "numbers", "change", "difference")]
        table.append((*map(str, values), row["tolerance"], flag))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("drift of the trained numbers, stored → new")
    for line in table:
        padded = (value.ljust(width) for value, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(padded).rstrip())
