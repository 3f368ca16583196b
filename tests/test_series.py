"""The series in batch: refused before it runs or run to the end, however often it is stopped."""

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time

import nbformat
import psutil
import pytest
from test_run import printed, write_notebook

from garment_utils import reports, series
from garment_utils.paths import FIGURES, NOTEBOOKS, ROOT

# What is asked for


def test_notebooks_are_chosen_by_number_or_name():
    first, second = series.stems()[:2]
    assert series.choose("") == series.stems()
    assert series.choose("02 1") == [first, second]
    assert series.choose(f"{second} {second}.ipynb") == [second]


def test_copies_are_no_notebooks_of_the_series(tmp_path, monkeypatch):
    for name in ("01_a.ipynb", "01_a-Copy1.ipynb", "Untitled.ipynb", ".02_b.7.part.ipynb"):
        (tmp_path / name).touch()
    monkeypatch.setattr(series, "NOTEBOOKS", tmp_path)
    assert series.stems() == ["01_a"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"profile": "quick"}, "no profile 'quick'; there are fast, lesson, full"),
        ({"notebooks": "99"}, "no notebook '99'"),
        (
            {"notebooks": "02", "parameters": "epoch=3"},
            "no parameter 'epoch' in the chosen notebooks; there are epochs",
        ),
        ({"notebooks": "02", "parameters": "epochs=three"}, "of type int"),
        ({"notebooks": "02", "parameters": "epochs"}, "expected parameters such as"),
        ({"notebooks": "02", "parameters": "epochs=[3"}, "cannot be read as YAML"),
        ({"notebooks": "02", "parameters": "epochs=3 epochs=4"}, "once, got epochs again"),
        ({"notebooks": "02", "parameters": "language='es"}, "quot"),
    ],
)
def test_what_does_not_exist_is_refused(request_, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        series.make_plan(**{"profile": "lesson", **request_})


def test_own_parameters_get_a_folder_of_their_own():
    plans = [
        series.make_plan("lesson", "02", parameters)
        for parameters in ("", "epochs=3 seed=7", "seed=7 epochs=3", "epochs=4")
    ]
    folders = [os.path.basename(plan["folder"]) for plan in plans]
    assert folders[0] == "lesson" and folders[1] == folders[2] != folders[3]
    assert all(folder.startswith("custom-") for folder in folders[1:])
    (parameters,) = plans[1]["notebooks"].values()
    assert parameters == {"epochs": 3, "seed": 7}


def test_every_profile_fits_the_notebooks():
    for profile in ("fast", "lesson", "full"):
        assert list(series.make_plan(profile)["notebooks"]) == series.stems()


def test_parameters_go_to_the_notebooks_that_have_them():
    plan = series.make_plan("fast", "01 02", "language=es epochs=7")
    first, second = plan["notebooks"].values()
    assert first["language"] == second["language"] == "es"
    assert "epochs" not in first and second["epochs"] == 7


def test_language_is_a_parameter_of_every_notebook_that_names_classes():
    plan = series.make_plan("lesson", "", "language=es")
    for stem, parameters in plan["notebooks"].items():
        names_classes = "class_names(" in (NOTEBOOKS / f"{stem}.ipynb").read_text("utf-8")
        assert (parameters.get("language") == "es") == names_classes, stem


# What is stored


def test_figures_are_those_of_the_readme_and_of_the_notebooks():
    shown = set(re.findall(r"\(figures/(\w+\.png)\)", (ROOT / "README.md").read_text("utf-8")))
    assert shown == {path.name for path in FIGURES.glob("*.png")} and shown
    stored = {
        f"{stem[:2]}_{name}.png": png
        for stem in series.stems()
        for name, (png, _) in reports.figures(
            nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
        ).items()
    }
    for name in shown:
        assert (FIGURES / name).read_bytes() == stored[name], f"{name} is stale: make outputs"


def test_normalizing_keeps_results_and_drops_the_rest():
    path = NOTEBOOKS / f"{series.stems()[0]}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    before = nbformat.writes(notebook)
    notebook.metadata["papermill"] = {"duration": 3.2}
    notebook.metadata["language_info"]["version"] = "3.11"
    for cell in notebook.cells:
        cell.metadata["execution"] = {"iopub.execute_input": "now"}
        cell.metadata["papermill"] = {"duration": 0.1}
    assert nbformat.writes(series.normalize(notebook)) == before


# Runs of small notebooks, in a copy of the repository


@pytest.fixture
def small(repository):
    """The repository with three short notebooks instead of its own."""
    for path in (repository.folder / "notebooks").iterdir():
        path.unlink()
    repository.lessons = repository.folder / "notebooks"
    for number, code in ((1, "print(epochs)"), (2, "print('two')"), (3, "print('three')")):
        write_lesson(repository, number, code)
    (repository.lessons / "profiles.yml").write_text("lesson: {}\n")
    return repository


def write_lesson(repository, number, *code):
    path = repository.lessons / f"{number:02d}_small.ipynb"
    write_notebook(path, *code)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = f"# Small {number}\n\n**Does it run?**\n\n{number} of 3 · 1 min"
    nbformat.write(notebook, path)


def results(repository, folder="lesson"):
    """Return what each executed notebook printed."""
    executed = sorted((repository.folder / "build" / folder / "notebooks").glob("[0-9]*.ipynb"))
    return {path.stem[:2]: printed(path) for path in executed}


ALL = {"01": ["5\n"], "02": ["two\n"], "03": ["three\n"]}


def test_a_failing_notebook_does_not_stop_the_others(small):
    write_lesson(small, 2, "print('before')", "1 / 0")
    status, text = small.python("garment_utils.series", "run")
    build = small.folder / "build" / "lesson"
    assert status == 1
    assert "02_small failed in cell cell-2: ZeroDivisionError: division by zero" in text
    assert "build/lesson/failed/02_small.ipynb" in text and "Traceback" not in text
    assert printed(build / "failed" / "02_small.ipynb") == ["before\n"]
    assert set(results(small)) == {"01", "03"}
    assert (build / "01_small.html").exists() and "02_small" in (build / "index.html").read_text()
    write_lesson(small, 2, "print('two')")
    status, text = small.python("garment_utils.series", "run")
    assert status == 0 and results(small) == ALL
    assert "01_small is up to date" in text and not (build / "failed" / "02_small.ipynb").exists()


def test_other_parameters_do_not_touch_the_results(small):
    assert small.python("garment_utils.series", "run")[0] == 0
    status, text = small.python(
        "garment_utils.series", "run", "--notebooks", "01", "--parameters", "epochs=3"
    )
    assert status == 0 and results(small) == ALL
    (folder,) = set(re.findall(r"build/(custom-\w+)/index.html", text))
    assert results(small, folder) == {"01": ["3\n"]}


def test_a_refused_run_leaves_no_trace(small):
    status, text = small.python("garment_utils.series", "run", "--parameters", "epoch=3")
    assert status == 1 and "Nothing was run: no parameter 'epoch'" in text
    assert not (small.folder / "build").exists()


MEASURED = """\
from garment_utils import evaluation
evaluation.headline("score", [epochs, epochs + 2], published=(0.5, "a course"))
evaluation.headline("share", "1 of 2")
evaluation.answer(f"It is {epochs}.")"""


@pytest.fixture
def measured(small):
    """Small notebooks, the first one with results, and a README that shows no pictures."""
    write_lesson(small, 1, MEASURED)
    (small.lessons / "profiles.yml").write_text("lesson: {}\nfull: {01_small: {epochs: 9}}\n")
    small.readme = small.folder / "README.md"
    small.readme.write_text(re.sub(r"!\[.*", "", small.readme.read_text("utf-8")), "utf-8")
    small.csv = small.folder / "figures" / "results.csv"
    small.csv.unlink(missing_ok=True)
    return small


def test_results_are_stored_whole_or_not_at_all(measured):
    before = measured.readme.read_bytes()
    write_lesson(measured, 2, "1 / 0")
    status, text = measured.python("garment_utils.series", "results")
    assert status == 1 and "Nothing was stored, because not all notebooks succeeded" in text
    assert not measured.csv.exists() and measured.readme.read_bytes() == before
    write_lesson(measured, 2, "print('two')")
    status, text = measured.python("garment_utils.series", "results")
    assert status == 0 and "score  10.000 ± 1.414 (2 runs); published 0.5 (a course)" in text
    header, *rows = csv.reader(measured.csv.read_text("utf-8").splitlines())
    assert [row[:8] for row in rows] == [
        ["01_small", "score", "2", "10.0", "1.41421", "0.5", "a course", "10.000 ± 1.414 (2 runs)"],
        ["01_small", "share", "", "", "", "", "", "1 of 2"],
        ["01_small", "answer", "", "", "", "", "", "It is 9."],
        ["02_small", "answer", "", "", "", "", "", ""],
        ["03_small", "answer", "", "", "", "", "", ""],
    ]
    origin = [dict(zip(header, row, strict=True)) for row in rows]
    assert {row["profile"] for row in origin} == {"full"}
    assert {row["versions"] for row in origin} == {series.results.versions()}
    readme = measured.readme.read_text("utf-8")
    assert "| 1 min | It is 9. |" in readme
    assert "| score | 10.000 ± 1.414 (2 runs) | 0.5 (a course) |" in readme
    status, text = measured.python("garment_utils.series", "outputs")
    assert status == 0 and "Not yet" not in text
    assert measured.readme.read_text("utf-8") == readme  # outputs are of lesson, answers of full


def test_outputs_are_stored_whole_or_not_at_all(measured):
    text = measured.readme.read_text("utf-8") + "![A picture.](figures/01_gone.png)\n"
    measured.readme.write_text(text, "utf-8")
    before = {path: path.read_bytes() for path in measured.lessons.glob("*.ipynb")}
    status, text = measured.python("garment_utils.series", "outputs")
    assert status == 1 and "README.md shows figures/01_gone.png, which no notebook draws" in text
    assert "Traceback" not in text
    assert before == {path: path.read_bytes() for path in measured.lessons.glob("*.ipynb")}


def test_outputs_of_one_notebook_leave_the_others_as_they_are(measured):
    text = measured.readme.read_text("utf-8") + "![A picture.](figures/02_kept.png)\n"
    measured.readme.write_text(text, "utf-8")
    (measured.folder / "figures" / "02_kept.png").write_bytes(b"kept")
    other = (measured.lessons / "02_small.ipynb").read_bytes()
    status, text = measured.python("garment_utils.series", "outputs", "--notebooks", "01")
    assert status == 0 and "02_small" not in text.split("Not yet")[0]
    assert "It is 5." in (measured.lessons / "01_small.ipynb").read_text("utf-8")
    assert (measured.lessons / "02_small.ipynb").read_bytes() == other
    assert (measured.folder / "figures" / "02_kept.png").read_bytes() == b"kept"


def test_outputs_of_a_notebook_that_was_edited_meanwhile_do_not_replace_it(measured):
    assert measured.python("garment_utils.series", "run")[0] == 0
    path = measured.lessons / "02_small.ipynb"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    edited = path.read_text("utf-8").replace("print('two')", "print('more')")
    assert edited != path.read_text("utf-8")
    path.write_text(edited, "utf-8")
    os.utime(path, ns=times)  # as if it had been saved while it was executed
    first = (measured.lessons / "01_small.ipynb").read_bytes()
    status, text = measured.python("garment_utils.series", "outputs")
    assert status == 1 and "Nothing was stored: 02_small was edited while" in text
    assert path.read_text("utf-8") == edited
    assert (measured.lessons / "01_small.ipynb").read_bytes() == first


def test_results_of_one_notebook_leave_the_others_as_they_are(measured):
    assert measured.python("garment_utils.series", "results")[0] == 0
    before = measured.csv.read_text("utf-8").splitlines()
    write_lesson(measured, 1, MEASURED.replace("It is", "It became"))
    write_lesson(measured, 2, "1 / 0")
    status, text = measured.python("garment_utils.series", "results", "--notebooks", "01")
    assert status == 0, text
    after = measured.csv.read_text("utf-8").splitlines()
    assert after[4:] == before[4:] and "It became 9." in after[3] and len(after) == 6
    older = "\n".join([*after[:5], after[5].replace("Keras ", "Keras 1.")])
    measured.csv.write_text(older, "utf-8")
    status, text = measured.python("garment_utils.series", "results", "--notebooks", "01")
    assert status == 1 and "Nothing was run: the results of other notebooks come from" in text
    assert measured.csv.read_text("utf-8") == older


def test_a_page_that_cannot_be_listed_does_not_hide_the_numbers(measured):
    write_lesson(measured, 1, MEASURED + "\nevaluation.answer('And again.')")
    status, text = measured.python("garment_utils.series", "run")
    assert status == 1 and "There is no new index page: " in text and "Traceback" not in text
    assert "score" in text


def test_outputs_are_stored_before_there_are_results(measured):
    status, text = measured.python("garment_utils.series", "outputs")
    assert status == 0
    assert "Not yet: figures/results.csv has no results of 01_small: run make results" in text
    assert "| 1 min | – |" in measured.readme.read_text("utf-8")


def test_other_versions_make_a_run_anew(small):
    assert small.python("garment_utils.series", "run")[0] == 0
    small.replace("garment_utils/results.py", '"Python {python}, ', '"Python {python}.x, ')
    status, text = small.python("garment_utils.series", "run")
    assert status == 0 and "up to date" not in text
    small.replace("requirements.txt", "-e .", "-e .  # and another pandas")
    status, text = small.python("garment_utils.series", "run")
    assert status == 0 and "up to date" not in text
    assert "up to date" in small.python("garment_utils.series", "run")[1]


@pytest.fixture
def installed(tmp_path):
    """A Makefile and, instead of an environment, a Python that prints its arguments."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (binaries / "python").chmod(0o755)
    (tmp_path / ".venv" / "installed").write_text(f"{tmp_path.resolve()}\n")
    return tmp_path


def make(folder, *arguments):
    """Run make, which takes no settings from the make that may run the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PROFILE", "NOTEBOOKS", "PARAMS")}
    kept = {k: v for k, v in kept.items() if not k.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-C", str(folder), *arguments]
    return subprocess.run(command, env=kept, text=True, capture_output=True, check=True).stdout


def test_make_hands_on_what_was_asked_for_as_it_was_written(installed):
    printed_ = make(installed, "run", "NOTEBOOKS=01 02", "PARAMS=photo='my photo.jpg' epochs=3")
    assert "\n--notebooks\n01 02\n--parameters\nphoto='my photo.jpg' epochs=3\n" in printed_


def test_an_environment_is_made_again_where_it_was_moved_to(installed):
    assert "Installing" not in make(installed, "--dry-run", "run")
    moved = installed.with_name("moved")
    installed.rename(moved)
    assert "Installing" in make(moved, "--dry-run", "run")


def kill_tree(process):
    """Kill the command and everything it started, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("moment", ["snakemake.log", "progress/02_small.json", "02_small.html"])
def test_a_killed_run_is_taken_up_again(small, moment):
    """SIGKILL when a file appears; whatever is half done then, the next run ends the same."""
    for number in (1, 2, 3):
        write_lesson(small, number, f"import time; time.sleep(1)\nprint({number})")
    process = small.start("garment_utils.series", "run", start_new_session=True)
    deadline = time.monotonic() + 120
    while not (small.folder / "build" / "lesson" / moment).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    kill_tree(process)
    status, text = small.python("garment_utils.series", "run")
    assert status == 0, text
    assert results(small) == {"01": ["1\n"], "02": ["2\n"], "03": ["3\n"]}
    build = small.folder / "build" / "lesson"
    assert all((build / f"{number:02d}_small.html").exists() for number in (1, 2, 3))
    assert not list(build.rglob(".*.part.*"))


def test_a_run_waits_for_what_a_killed_one_left_at_work(small):
    """Killing only the command leaves Snakemake running; the next run waits for it."""
    write_lesson(small, 2, "import time; time.sleep(4)\nprint('two')")
    process = small.start("garment_utils.series", "run", start_new_session=True)
    while not (small.folder / "build" / "lesson" / "progress" / "02_small.json").exists():
        time.sleep(0.05)
    process.kill()
    status, text = small.python("garment_utils.series", "run")
    assert status == 0 and results(small) == ALL
    assert "Another run is at work in build/lesson" in text


def test_snakemake_alone_runs_the_lesson_profile(small):
    status, text = small.python("snakemake", "--cores", "1", "--quiet")
    assert status == 0, text
    assert results(small) == ALL
    assert json.loads((small.folder / "notebooks" / "01_small.ipynb").read_text())["cells"]


def test_no_more_notebooks_at_once_than_memory_has_room_for(small):
    """Of memory that is too little even for one, one is tried."""
    for number in (1, 2, 3):
        write_lesson(small, number, "import time; time.sleep(1)")
    for megabytes in (5000, 1000):
        room = "--cores", "6", "--forceall", "--resources", f"mem_mb={megabytes}"
        status, text = small.python("snakemake", *room)
        assert status == 0, text
        progress = small.folder / "build" / "lesson" / "progress"
        records = [json.loads(path.read_text()) for path in progress.glob("*.json")]
        times = sorted((told["started"], told["started"] + told["seconds"]) for told in records)
        assert len(times) == 3
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))


def test_a_run_tells_snakemake_how_much_memory_is_free(small):
    status, text = small.python("garment_utils.series", "run", "--notebooks", "1")
    assert status == 0, text
    log = (small.folder / "build" / "lesson" / "snakemake.log").read_text()
    (free,) = re.findall(r"Provided resources:.*?mem_mb\D+(\d+)", log)
    assert 0 < int(free) <= psutil.virtual_memory().total / 1e6


def test_what_nobody_looked_at_is_not_called_up_to_date(tmp_path, capsys):
    for folder in ("progress", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "notebooks" / "01_small.ipynb").touch()
    record = {"state": "done", "seconds": 1, "error": ""}
    for told, status, said in [
        (False, 1, False),  # failed at once
        (False, 0, True),
        (True, 1, True),  # another notebook failed
        (True, -9, False),  # killed
    ]:
        if told:
            (tmp_path / "progress" / "02_other.json").write_text(json.dumps(record))
        series._Progress(tmp_path, ["01_small", "02_other"]).finish(status)
        assert ("01_small is up to date" in capsys.readouterr().out) == said


# The real notebooks


def test_a_fast_run_leaves_git_status_clean():
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("not in a git checkout")

    def status():
        command = ["git", "status", "--porcelain"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    before = status()
    plan = series.make_plan("fast")
    shutil.rmtree(plan["folder"], ignore_errors=True)
    assert series.run(plan) == 0
    assert status() == before
    for stem in series.stems():
        assert os.path.exists(os.path.join(plan["folder"], f"{stem}.html"))
