"""One notebook in batch: parameters fit or are refused, results are whole or kept as partial."""

import json
import os

import nbformat
import pytest
from jupyter_client.asynchronous import AsyncKernelClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from garment_utils import run

PARAMETERS = """\
epochs: int = 5  # passes
rate: float = 0.5  # of learning
language: str = "en"  # of names
quick: bool = False  # or slow
rates: list[float] = [0.1]  # to try"""


def write_notebook(path, *code):
    cells = [
        new_markdown_cell("# A notebook", id="title"),
        new_code_cell(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]}),
    ]
    cells += [new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(code, start=1)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture
def notebook(tmp_path):
    (tmp_path / "lessons").mkdir()
    return tmp_path / "lessons" / "01_sample.ipynb"


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return [o.text for cell in cells for o in cell.get("outputs", []) if o.output_type == "stream"]


def test_declared_parameters_are_read(notebook):
    write_notebook(notebook)
    assert run.declared_parameters(notebook) == {
        "epochs": ("int", 5),
        "rate": ("float", 0.5),
        "language": ("str", "en"),
        "quick": ("bool", False),
        "rates": ("list[float]", [0.1]),
    }


@pytest.mark.parametrize(
    ("given", "checked"),
    [
        ({"epochs": 3}, {"epochs": 3}),
        ({"rate": 1}, {"rate": 1}),
        ({"rates": [1, 2]}, {"rates": [1, 2]}),
        ({"rates": ["1e-3", 0.1]}, {"rates": [0.001, 0.1]}),
        ({"rates": []}, {"rates": []}),
        ({"rate": "1e-3"}, {"rate": 0.001}),  # YAML 1.1 reads 1e-3 as text
        ({"language": "es", "quick": True}, {"language": "es", "quick": True}),
    ],
)
def test_fitting_parameters_pass(notebook, given, checked):
    assert run.check_parameters(write_notebook(notebook), given) == checked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, "no parameter 'epoch'; it has epochs, rate, language, quick, rates"),
        ({"epochs": 2.5}, "of type int, for example epochs=5; got 2.5, which is of type float"),
        ({"epochs": "3"}, "got '3', which is of type str"),
        ({"epochs": True}, "got True, which is of type bool"),
        ({"epochs": None}, "got None"),
        ({"language": False}, "got False"),  # what YAML makes of 'no'
        ({"rate": "fast"}, "got 'fast'"),
        ({"quick": 1}, "got 1, which is of type int"),
        ({"rates": ["a", 0.1]}, "of type list[float], for example rates=[0.1]; got ['a', 0.1]"),
        ({"rates": [True]}, "got [True]"),
        ({"rate": float("nan")}, "got nan"),
        ({"rate": "inf"}, "got 'inf'"),
        ([1], "expected parameters such as {"),
        ({"rates": 1}, "of type list[float], for example rates=[0.1]; got 1"),
    ],
)
def test_other_parameters_are_refused_before_anything_runs(notebook, tmp_path, given, message):
    write_notebook(notebook, "open('ran', 'w')")
    with pytest.raises(ValueError, match="01_sample|expected parameters") as error:
        run.execute(notebook, tmp_path / "out.ipynb", given)
    assert message in str(error.value)
    assert not (tmp_path / "out.ipynb").exists() and not (notebook.parent / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [None, "{}", '{"cells": [', "epochs: int = 2 * 3", "epochs: int = 3x"],
    ids=["missing", "empty", "cut off", "no literal", "no Python"],
)
def test_a_notebook_that_cannot_be_read_is_named(notebook, content):
    if content and content.startswith("{"):
        notebook.write_text(content)
    elif content:
        write_notebook(notebook)
        notebook.write_text(notebook.read_text().replace("epochs: int = 5", content))
    with pytest.raises(ValueError, match="01_sample.ipynb: expected a notebook whose parameters"):
        run.declared_parameters(notebook)


def test_parameters_arrive_and_the_folder_is_the_notebooks_own(notebook, tmp_path, monkeypatch):
    write_notebook(notebook, "import os\nprint(epochs, os.path.basename(os.getcwd()))")
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "build" / "01_sample.ipynb"
    run.execute(notebook, output, {"epochs": 9}, progress=tmp_path / "progress.json")
    assert printed(output) == ["9 lessons\n"]
    record = json.loads((tmp_path / "progress.json").read_text())
    assert (record["state"], record["cell"], record["number"]) == ("done", "cell-1", 2)
    assert sorted(path.name for path in output.parent.iterdir()) == ["01_sample.ipynb"]


def test_one_stream_is_stored_as_one_output(notebook, tmp_path):
    write_notebook(
        notebook, "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)"
    )
    run.execute(notebook, tmp_path / "out.ipynb", {})
    assert printed(tmp_path / "out.ipynb") == ["0\n1\n2\n"]


def test_a_failed_cell_is_named_and_the_partial_notebook_kept(notebook, tmp_path):
    write_notebook(notebook, "print('so far')", "raise KeyError('wrong')", "print('never')")
    output, partial = tmp_path / "out.ipynb", tmp_path / "failed" / "01_sample.ipynb"
    output.write_text("an earlier result")
    progress = tmp_path / "progress.json"
    with pytest.raises(RuntimeError) as error:
        run.execute(notebook, output, {}, progress=progress, partial=partial)
    for part in ("01_sample", "cell-2", "KeyError: 'wrong'", str(partial)):
        assert part in str(error.value)
    assert output.read_text() == "an earlier result"
    assert "so far\n" in printed(partial) and "never\n" not in printed(partial)
    assert json.loads(progress.read_text())["state"] == "failed"
    write_notebook(notebook, "print('repaired')")
    run.execute(notebook, output, {}, partial=partial)
    assert printed(output) == ["repaired\n"] and not partial.exists()


def test_a_dead_kernel_is_a_failure(notebook, tmp_path):
    write_notebook(notebook, "import os\nos._exit(1)")
    with pytest.raises(RuntimeError, match="failed in cell cell-1: DeadKernelError"):
        run.execute(notebook, tmp_path / "out.ipynb", {})
    assert [path.name for path in tmp_path.iterdir()] == ["lessons"]  # nothing half-written


def test_a_kernel_that_does_not_start_is_started_once_more(notebook, tmp_path, monkeypatch):
    write_notebook(notebook, "print('done')")
    starts, wait = [], AsyncKernelClient.wait_for_ready

    async def answer(client, timeout=None):
        starts.append(client)
        if len(starts) in silent:
            raise RuntimeError("Kernel didn't respond in 60 seconds")
        await wait(client, timeout)

    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", answer)
    silent = {1}
    run.execute(notebook, tmp_path / "out.ipynb", {})
    assert printed(tmp_path / "out.ipynb") == ["done\n"] and len(starts) == 2
    silent = {3, 4}
    with pytest.raises(RuntimeError, match="failed in cell none: RuntimeError: Kernel didn't"):
        run.execute(notebook, tmp_path / "other.ipynb", {})
    assert len(starts) == 4 and not (tmp_path / "other.ipynb").exists()


def test_the_command_line_exits_with_1_and_one_sentence(repository, notebook, tmp_path):
    write_notebook(notebook)
    status, text = repository.python(
        "garment_utils.run", str(notebook), str(tmp_path / "x.ipynb"), "--parameters", '{"a": 1}'
    )
    assert status == 1
    assert text.strip().endswith("it has epochs, rate, language, quick, rates")
    assert "Traceback" not in text and os.linesep not in text.strip()
