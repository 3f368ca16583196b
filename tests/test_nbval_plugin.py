"""The nbval plugin: what passes, what fails, and with which words."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import measure_tolerances
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval_tolerance import Tolerance, measure_drift, numbers_in, read_tolerance, skeleton

TRAIN = """
import os, pathlib
for number in range({count}):
    (pathlib.Path(os.environ["GARMENT_MODELS"]) / f"{name}{{number}}.keras").touch()
"""


def cell(name, source, *outputs, **garment):
    """Return an executed code cell; ``garment`` is its metadata under that key."""
    made = new_code_cell(source, id=name, execution_count=1, outputs=list(outputs))
    if garment:
        made.metadata["garment"] = garment
    return made


def printed(text):
    return new_output("stream", name="stdout", text=text)


def shown(**data):
    return new_output("display_data", {kind.replace("_", "/"): text for kind, text in data.items()})


def replay(folder, *cells, **environment):
    """Replay a notebook of these cells in a pytest of its own; return its exit status and output.

    Each cell is then looked up with ``verdicts``.
    """
    nbformat.write(new_notebook(cells=list(cells)), folder / "01_sample.ipynb")
    # On a CI server pytest prints its messages once more, in full.
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "nbval_tolerance", "--nbval", "--nbval-current-env"]
        + ["-v", "--color=no", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        env={**inherited, "PYTHONPATH": str(Path(__file__).parent), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return run.returncode, run.stdout + run.stderr


def verdicts(output):
    """Return what pytest -v says of each cell, in order."""
    return re.findall(r"::Cell \d+ (PASSED|FAILED|SKIPPED)", output)


def table(output):
    """Return the rows of the drift table by cell id, split at two spaces or more."""
    lines = output.partition("drift of the trained numbers")[2].splitlines()[2:]
    rows = [re.split(r" {2,}", line) for line in lines if line.startswith("01_sample")]
    return {row[1]: row[2:] for row in rows}


def test_numbers_within_the_tolerance_pass_and_are_listed(tmp_path):
    code, output = replay(
        tmp_path,
        cell(
            "printed",
            "print('accuracy 0.718 ± 0.08 (5 runs)')",
            printed("accuracy 0.712 ± 0.08 (5 runs)\n"),
            tolerance=0.006,
        ),
        cell(
            "shown",
            "from IPython.display import display\n"
            "display({'text/plain': 'a  -9.99 nan', 'text/html': '<td>-9.99</td><td>nan</td>',\n"
            "         'image/png': 'bmV3'}, raw=True)",
            shown(text_plain="a  -10.0  nan", text_html="<td>-10.0</td><td>nan</td>"),
            tolerance={"relative": 0.01},
        ),
        cell("still", "print(3)", printed("3\n"), tolerance=0.5),
        cell("exact", "print(0.5)", printed("0.5\n")),
    )
    assert verdicts(output) == ["PASSED"] * 4, output
    assert code == 0
    assert table(output) == {
        "printed": ["3", "0.712 → 0.718", "0.006", "0.006"],
        "shown": ["4", "-10.0 → -9.99", "0.001", "0.01 of the stored number"],
        "still": ["1", "none", "0", "0.5"],
    }


def test_each_kind_of_difference_fails(tmp_path):
    code, output = replay(
        tmp_path,
        cell("far", "print('accuracy 0.719')", printed("accuracy 0.712\n"), tolerance=0.006),
        cell("words", "print('loss 0.712')", printed("accuracy 0.712\n"), tolerance=0.006),
        cell("exact", "print(0.7120001)", printed("0.712\n")),
        cell("more", "print(0.7, 0.7)", printed("0.7\n"), tolerance=0.006),
        cell("nan", "print(float('nan'))", printed("0.7\n"), tolerance=0.006),
        cell("stderr", "import sys\nprint('oh', file=sys.stderr)"),
        cell("engine", "import os, time\nos.write(2, b'log line')\ntime.sleep(1);"),
        cell("silent", "1", printed("0.7\n"), tolerance=0.006),
        cell("typo", "print(0.7)", printed("0.7\n"), tolerance="0.006"),
        cell("last", "print('ok')", printed("ok\n")),
    )
    assert verdicts(output) == ["FAILED"] * 9 + ["PASSED"], output
    assert code == 1
    assert "The largest difference is 0.712 (stored) → 0.719 (new)" in output
    assert "the tolerance of this cell is 0.006" in output
    assert output.count("Unexpected output fields from running code: {'stderr'}") == 2
    assert "a tolerance is a number above 0" in output
    rows = table(output)
    assert list(rows) == ["far", "words", "more", "nan", "silent"]
    assert rows["far"] == ["1", "0.712 → 0.719", "0.007", "0.006", "OUTSIDE"]
    assert rows["words"][-1] == rows["more"][-1] == rows["silent"][-1] == "TEXT DIFFERS"
    assert rows["nan"] == ["1", "0.7 → nan", "Infinity", "0.006", "OUTSIDE"]


def test_a_cell_that_should_train_must_train(tmp_path):
    (tmp_path / "stored0.keras").touch()  # a model of the user: never seen by the kernel
    show = "import os, pathlib\nprint(os.environ['GARMENT_MODELS'])\n"
    code, output = replay(
        tmp_path,
        cell(
            "empty",
            show + "print(len(os.listdir(os.environ['GARMENT_MODELS'])))",
            printed("the folder\n0\n"),
        ),
        cell("trains", TRAIN.format(count=2, name="a"), trains=2),
        cell("loads", TRAIN.format(count=2, name="a"), trains=2),
        cell("partly", TRAIN.format(count=1, name="b"), trains=15),
        cell("more", TRAIN.format(count=3, name="c"), trains=1),
        cell(
            "half-written",
            "(pathlib.Path(os.environ['GARMENT_MODELS']) / '.d.keras').touch()\n"
            "(pathlib.Path(os.environ['GARMENT_MODELS']) / 'converted-e.keras').touch()",
            trains=1,
        ),
        GARMENT_MODELS=str(tmp_path),
    )
    assert verdicts(output) == ["FAILED", "PASSED", "FAILED", "FAILED", "FAILED", "FAILED"], output
    assert code == 1
    assert "it trained 0: it loaded stored ones or did not train" in output
    assert "the cell should train 15 models, it trained 1:" in output
    assert "the cell should train 1 model, it trained 3: too many" in output
    # The first cell prints where it looked: elsewhere, in a folder that was empty and is gone.
    folder = re.search(r"\S*garment-models-\w+", output).group()
    assert not Path(folder).exists()
    assert [path.name for path in tmp_path.glob("*.keras")] == ["stored0.keras"]


def test_the_repository_loads_the_plugin(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("nbval_tolerance")
    # Without --nbval it changes nothing.
    replaying = pytestconfig.pluginmanager.has_plugin("garment-replay-models")
    assert replaying == pytestconfig.option.nbval


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.712 ± 0.081 (5 runs)", ["0.712", "0.081", "5"]),
        ("[ 1.  -0.5 .25 1e-05]", ["1.", "-0.5", ".25", "1e-05"]),
        ("55,000 images, 10,000 more", ["55,000", "10,000"]),
        ("nan NaN -inf, nano", ["nan", "NaN", "-inf"]),
        ("model_3 pixel784 28x28 3-4", ["28", "3", "4"]),
        ("TensorFlow 2.21.0", []),
        ("12.5% <td>−3</td>.", ["12.5", "−3"]),
    ],
)
def test_numbers_in(text, numbers):
    assert numbers_in(text) == numbers


def test_skeleton_folds_padding_only():
    assert skeleton("loss     0.5\nacc   -10.0") == skeleton("loss 12.25\nacc 1.0")
    assert skeleton("loss 0.5") != skeleton("loss: 0.5")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5))
def test_every_printed_float_is_read_whole(values):
    text = " and ".join(map(repr, values))
    assert [repr(float(number)) for number in numbers_in(text)] == list(map(repr, values))


@given(st.integers(-(10**6), 10**6), st.integers(0, 20))
def test_the_tolerance_is_inclusive_and_exact(thousandths, moved):
    stored, new = (f"{Decimal(value) / 1000}" for value in (thousandths, thousandths + moved))
    drift, outputs = measure_drift([printed(stored)], [printed(new)], Tolerance(Decimal("0.006")))
    assert (outputs[0].text == stored) == (moved <= 6)
    assert drift.largest == Decimal(moved) / 1000


@pytest.mark.parametrize(
    ("stored", "new", "allowed"),
    [
        ("0.0010", "0.0011", True),  # a tenth more, but the last decimal only
        ("0.0010", "0.0012", False),
        ("0.0", "0.1", True),
        ("0.0", "0.2", False),
        ("5", "6", False),  # a whole number is as likely a count
        ("200", "202", True),
        ("0.5", "nan", False),
    ],
)
def test_a_relative_tolerance_lets_the_last_decimal_flip(stored, new, allowed):
    tolerance = Tolerance(Decimal("0.01"), relative=True)
    assert tolerance.allows(Decimal(stored), Decimal(new)) == allowed
    assert not Tolerance(Decimal("0.00001")).allows(Decimal("0.0010"), Decimal("0.0011"))


@pytest.mark.parametrize("value", [0, -1, True, "0.1", {"relative": "1"}, {"rel": 0.1}, [0.1]])
def test_a_wrong_tolerance_is_refused(value):
    with pytest.raises(ValueError, match="a tolerance is"):
        read_tolerance(cell("x", "", tolerance=value))


@pytest.mark.parametrize(
    ("largest", "unit", "expected"),
    [
        ("0.002", "0.001", "0.006"),
        ("0.0041", "0.001", "0.02"),  # 0.0123, rounded up
        ("0", "0.001", "0.001"),  # nothing moved: a last digit may still flip
        ("0.0001", "0.01", "0.01"),
        ("5", "1", "20"),
    ],
)
def test_a_measured_tolerance_is_three_times_the_difference_rounded_up(largest, unit, expected):
    measured = measure_tolerances.measured_tolerance(Decimal(largest), Decimal(unit))
    assert measured == Decimal(expected)
