"""The results are those of the notebooks as they are, and the README's tables those of the results.

What a run writes is checked in test_series.py, where small notebooks are run.
"""

import re

import keras
import nbformat
import pytest
import tensorflow as tf
from nbformat.v4 import new_code_cell, new_notebook
from test_run import write_notebook

from garment_utils import results, series
from garment_utils.run import declared_parameters


def test_the_results_are_those_of_the_notebooks_as_they_are():
    problems = results.stale(series.make_plan("full"))
    assert not problems, "\n".join(problems)


def test_the_readme_is_what_results_and_notebooks_give():
    made = results.readme(series.stems())
    assert results.README.read_text("utf-8") == made, "make outputs writes its tables anew"


def test_numbers_and_texts_of_the_results_agree():
    rows = results.read()
    assert rows, "run make results"
    for row in rows:
        if row["sd"]:
            text = f"{float(row['mean']):.3f} ± {float(row['sd']):.3f} ({row['n']} runs)"
            assert row["text"] == text and int(row["n"]) > 1
        elif row["mean"]:
            assert row["text"].replace(",", "") == row["mean"] and row["n"] == "1"
        assert row["text"]
    assert len({(row["profile"], row["versions"]) for row in rows}) == 1


def test_versions_are_those_that_train():
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    assert re.fullmatch(rf"Python 3\.\d+, {re.escape(versions)}", results.versions())


# What makes results stale

CODE = "total = epochs + 1  # one more\nprint(f'{total:>5}', None, 0, '', [])"


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "01_a.ipynb", CODE)


def change(path, source, new):
    nb = nbformat.read(path, as_version=4)
    assert sum(source in cell.source for cell in nb.cells) == 1
    for cell in nb.cells:
        cell.source = cell.source.replace(source, new)
    nbformat.write(nb, path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # one more", ""),
        ("epochs + 1", "(epochs+1)"),
        ("# A notebook", "# The notebook"),
        ("# passes", "# passes over the images"),
    ],
)
def test_comments_layout_and_prose_do_not_count(notebook, old, new):
    before = results.checksum(notebook, {})
    change(notebook, old, new)
    assert results.checksum(notebook, {}) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs + 1", "epochs + 2"),
        ("epochs + 1", "epochs - 1"),
        ("{total:>5}", "{total:>6}"),
        ("None, 0", "0, None"),
        ("0, ''", "'', 0"),
        ("'', []", "'', ''"),
        ("'', []", "'', ()"),
        ("0, ''", "False, ''"),
        ("epochs: int = 5", "epochs: int = 6"),
    ],
)
def test_code_and_defaults_count(notebook, old, new):
    before = results.checksum(notebook, {})
    change(notebook, old, new)
    assert results.checksum(notebook, {}) != before


def test_a_default_that_the_profile_replaces_does_not_count(notebook):
    before = results.checksum(notebook, {"epochs": 9})
    change(notebook, "epochs: int = 5", "epochs: int = 6")
    assert results.checksum(notebook, {"epochs": 9}) == before
    assert results.checksum(notebook, {"epochs": 8}) != before
    assert results.checksum(notebook, {"epochs": 6}) == results.checksum(notebook, {})


def test_an_executed_notebook_has_the_checksum_of_its_source(notebook):
    before = results.checksum(notebook, {"epochs": 9})
    nb = nbformat.read(notebook, as_version=4)
    injected = new_code_cell("epochs = 9", metadata={"tags": ["injected-parameters"]})
    nb.cells.insert(2, injected)
    nbformat.write(nb, notebook)
    assert results.checksum(notebook, {"epochs": 9}) == before


def test_the_checksum_is_the_same_with_every_python(notebook):
    assert results.checksum(notebook, {}) == "b3cfd653"


@pytest.fixture
def stored(notebook, monkeypatch):
    """A folder with one notebook and its results, and the plan these are of."""
    monkeypatch.setattr(results, "NOTEBOOKS", notebook.parent)
    monkeypatch.setattr(results, "RESULTS", notebook.parent / "results.csv")
    code = results.checksum(notebook, {})
    results.write([{"notebook": "01_a", "result": "answer", "text": "Yes.", "code": code}])
    return {"profile": "full", "notebooks": {"01_a": {}}}


def test_fresh_results_are_not_stale(stored):
    assert results.stale(stored) == []


def test_a_changed_notebook_makes_its_results_stale(stored, notebook):
    change(notebook, "epochs + 1", "epochs + 2")
    [problem] = results.stale(stored)
    assert problem.startswith("01_a or its parameters in the profile full changed")
    assert problem.endswith("run make results")


def test_another_profile_makes_results_stale(stored):
    assert len(results.stale({**stored, "notebooks": {"01_a": {"epochs": 3}}})) == 1


def test_new_and_removed_notebooks_are_named(stored):
    problems = results.stale({"profile": "full", "notebooks": {"02_b": {}}})
    assert [re.search(r"results of (\w+)", problem)[1] for problem in problems] == ["02_b", "01_a"]
    results.RESULTS.unlink()
    [problem] = results.stale(stored)
    assert problem == "figures/results.csv has no results of 01_a: run make results"


# The file

ROWS = [
    {"notebook": "01_a", "result": "pictures", "n": 1, "mean": 70_000, "text": "70,000"},
    {"notebook": "01_a", "result": "odd | ones", "text": "3 of 4"},
    {"notebook": "01_a", "result": "answer", "text": 'All, or "none" | é\\1.'},
    {
        "notebook": "02_b",
        "result": "accuracy",
        "n": 5,
        "mean": 0.8,
        "sd": 0.1,
        "text": "0.800 ± 0.100 (5 runs)",
        "published": 1234,
        "source": "a course, 1 run",
    },
]
ORIGIN = {"profile": "full", "versions": "Python 3.11, TensorFlow 2, Keras 3", "code": "1234"}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Rows as they come back from the file."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "figures" / "results.csv")
    results.write([{**ORIGIN, **row} for row in ROWS])
    return results.read()


def test_what_is_written_is_read(rows):
    for written, read in zip(ROWS, rows, strict=True):
        assert tuple(read) == results.COLUMNS
        assert {name: value for name, value in read.items() if value} == {
            **ORIGIN,
            **{name: str(value) for name, value in written.items()},
        }
    assert b"\r" not in results.RESULTS.read_bytes()


def test_the_same_label_twice_is_refused(tmp_path):
    (tmp_path / "notebooks").mkdir()
    about = {"garment": {"headline": {"label": "score", "value": "1"}}}
    output = nbformat.v4.new_output("display_data", {"text/plain": "score: 1"}, metadata=about)
    nb = new_notebook(cells=[new_code_cell("", outputs=[output, output])])
    nbformat.write(nb, tmp_path / "notebooks" / "01_a.ipynb")
    plan = {"profile": "full", "folder": str(tmp_path), "notebooks": {"01_a": {}}}
    with pytest.raises(ValueError, match="01_a: each headline needs a label of its own"):
        results.collect(plan)


# The tables


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_ours_stand_beside_the_published_ones(rows):
    lines = results.comparison(rows).splitlines()
    assert lines[0].startswith("From the profile `full` with Python 3.11, TensorFlow 2, Keras 3.")
    assert [cells(line) for line in lines[4:]] == [
        ["[01](notebooks/01_a.ipynb)", "pictures", "70,000", ""],
        ["[01](notebooks/01_a.ipynb)", r"odd \| ones", "3 of 4", ""],
        [
            "[02](notebooks/02_b.ipynb)",
            "accuracy",
            "0.800 ± 0.100 (5 runs)",
            "1,234 (a course, 1 run)",
        ],
    ]


def test_without_results_the_tables_say_so():
    assert "`make results` has not been run" in results.comparison([])
    stem = series.stems()[0]
    assert results.overview([stem], []).rstrip().endswith("| – |")


def test_answers_are_those_of_the_results(rows):
    stem = series.stems()[0]
    rows[2]["notebook"] = stem
    [line] = results.overview([stem], rows).splitlines()[2:]
    assert cells(line)[-1] == 'All, or "none" \\| é\\1.'


def test_the_readme_keeps_what_stands_around_its_tables(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "README", tmp_path / "README.md")
    table = "before\n<!-- {0} -->\nold\n<!-- end of {0} -->\nafter\n"
    results.README.write_text(table.format("series") + table.format("results"))
    rows[2]["notebook"] = series.stems()[0]
    results.write(rows)
    text = results.readme(series.stems()[:1])
    assert "old" not in text and 'All, or "none" \\| é\\1.' in text
    emptied = re.sub(r"(?s)(<!-- \w+ -->\n).*?\n<!-- end", r"\1old\n<!-- end", text)
    assert emptied == results.README.read_text()
    results.README.write_text(table.format("series"))
    with pytest.raises(ValueError, match="README.md needs <!-- results -->"):
        results.readme(series.stems()[:1])


# What one notebook finds and others use


def test_the_learning_rate_that_was_found_is_the_one_in_use():
    [found] = [row for row in results.read() if row["result"].startswith("learning rate for")]
    notebooks = series.make_plan("full")["notebooks"]
    for stem in ("05_read_the_confusion_matrix", "06_look_at_the_mistakes"):
        path = results.NOTEBOOKS / f"{stem}.ipynb"
        used = {name: value for name, (_, value) in declared_parameters(path).items()}
        assert {**used, **notebooks[stem]}["learning_rate"] == float(found["mean"])
