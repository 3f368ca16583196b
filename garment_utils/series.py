"""The batch side: which notebooks there are, and the commands behind make.

From the command line::

    python -m garment_utils.series run [--profile P] [--notebooks "01 02"] [--parameters "a=1"]
    python -m garment_utils.series outputs [--notebooks "01 02"]
    python -m garment_utils.series results [--notebooks "01 02"]

``run`` hands a plan to Snakemake, shows how far it is, and ends with the index page and the
headline numbers. ``outputs`` stores what the lesson profile printed and drew in the repository,
``results`` the numbers of the full profile. Both renew the tables of README.md.
"""

import argparse
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import yaml

from garment_utils import reports, results
from garment_utils.paths import BUILD, FIGURES, NOTEBOOKS, ROOT, from_here, write_whole


def stems():
    """Return the names of the notebooks of the series without ending, in order.

    A copy that JupyterLab made, such as 02_…-Copy1, is not one of them.
    """
    names = (path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    return sorted(name for name in names if re.fullmatch(r"\d\d_\w+", name))


def choose(text):
    """Return the notebooks that a text names by number or by name; all if it is empty.

    Raises:
        ValueError: no notebook of that name.
    """
    known = {name: stem for stem in stems() for name in (stem[:2], stem, f"{stem}.ipynb")}
    names = [name.zfill(2) for name in text.split()]
    for name in names:
        if name not in known:
            raise ValueError(f"no notebook {name!r} in notebooks/; there are {', '.join(stems())}")
    return sorted({known[name] for name in names}) or stems()


def parse_parameters(text):
    """Turn ``"epochs=3 language=es"`` into a dict; values are read as YAML.

    Raises:
        ValueError: a part is not of the form name=value, or a name comes twice.
    """
    parameters = {}
    for part in shlex.split(text):
        name, equals, value = part.partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(f"expected parameters such as 'epochs=3 seed=7', got {part!r}")
        if name in parameters:
            raise ValueError(f"expected each parameter once, got {name} again in {part!r}")
        try:
            parameters[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"{part!r}: the value cannot be read as YAML") from None
    return parameters


def make_plan(profile, notebooks="", parameters=""):
    """Decide what is run, with what, and where it goes.

    Args:
        profile: name of a profile in notebooks/profiles.yml.
        notebooks: text that chooses notebooks, see ``choose``.
        parameters: text, see ``parse_parameters``; each goes to those of the notebooks that have
            one of its name. With any, the run has a folder of its own.

    Returns:
        dict: ``profile``, ``folder`` (text, below build/), ``notebooks`` (stem → parameters).

    Raises:
        ValueError: unknown profile, notebook or parameter, or a parameter of another type.
    """
    # papermill takes a second to import
    from garment_utils.run import check_parameters, declared_parameters

    profiles = yaml.safe_load((NOTEBOOKS / "profiles.yml").read_text())
    if profile not in profiles:
        raise ValueError(f"no profile {profile!r}; there are {', '.join(profiles)}")
    own = parse_parameters(parameters)
    paths = {stem: NOTEBOOKS / f"{stem}.ipynb" for stem in choose(notebooks)}
    declared = {stem: declared_parameters(path) for stem, path in paths.items()}
    known = dict.fromkeys(name for names in declared.values() for name in names)
    for name in own:
        if name not in known:
            raise ValueError(
                f"no parameter {name!r} in the chosen notebooks; there are {', '.join(known)}"
            )
    chosen = {}
    for stem, path in paths.items():
        fitting = {name: value for name, value in own.items() if name in declared[stem]}
        chosen[stem] = check_parameters(path, {**profiles[profile].get(stem, {}), **fitting})
    name = profile
    if own:
        text = json.dumps([profile, own], sort_keys=True)
        name = f"custom-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return {"profile": profile, "folder": str(BUILD / name), "notebooks": chosen}


def pages(plan):
    """Return the stems of the notebooks that have a page when a plan is done."""
    executed = {path.stem for path in Path(plan["folder"]).glob("notebooks/[0-9]*.ipynb")}
    return sorted(executed.intersection(stems()).union(plan["notebooks"]))


def run(plan):
    """Run a plan with Snakemake, show its progress and its results.

    Snakemake goes on where an earlier run was stopped, however it was stopped. A lock makes
    sure that two runs never work in one folder; Snakemake inherits it and so keeps it if this
    process is killed.

    Returns:
        Exit status: 0, or 1 if a notebook failed.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        sys.exit("expected Linux, macOS or WSL, got Windows; run the notebooks in JupyterLab there")
    folder = Path(plan["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"Another run is at work in {from_here(folder)}; waiting for it to end.", flush=True
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.rglob(".*.part.*"):  # of a run that was killed
            leftover.unlink()
        shutil.rmtree(folder / "progress", ignore_errors=True)
        (folder / "plan.json").write_text(json.dumps(plan))
        log = folder / "snakemake.log"
        with log.open("w") as log_file:
            snakemake = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
                + ["--configfile", str(folder / "plan.json"), "--cores", "all"]
                + ["--resources", f"mem_mb={psutil.virtual_memory().available // 10**6}"]
                + ["--keep-going", "--rerun-incomplete", "--nolock"],
                stdout=log_file,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
            )
        progress = _Progress(folder, plan["notebooks"])
        try:
            while snakemake.poll() is None:
                progress.show()
                time.sleep(0.3)
        except KeyboardInterrupt:
            snakemake.wait()
            sys.exit("Stopped. The same command goes on from here.")
        failures = progress.finish(snakemake.returncode)
        return _report(plan, folder, failures, snakemake.returncode, log)


def _report(plan, folder, failures, status, log):
    """Print what came of a run; return the exit status."""
    executed = sorted(folder.glob("notebooks/[0-9]*.ipynb"))
    try:
        if executed or failures:
            reports.write_index(folder, profile=plan["profile"])
    except ValueError as error:  # the numbers below are worth showing all the same
        failures, status = [*failures, f"There is no new index page: {error}"], 1
    for failure in failures:
        print(f"\n{failure}")
    if status and not failures:
        print(f"\nSnakemake could not finish; its own words are in {from_here(log)}")
    rows = [
        (path.stem[:2], headline["label"], headline["value"], reports.published(headline))
        for path in executed
        if path.stem in plan["notebooks"]
        for headline in reports.headlines(nbformat.read(path, as_version=4))
    ]
    if rows:
        width = max(len(label) for _, label, _, _ in rows)
        fast = plan["profile"] == "fast"
        print("\nHeadline numbers" + (" (fast: a smoke test, no results)" if fast else ""))
        for number, label, value, published in rows:
            beside = f"; published {published}" if published else ""
            print(f"  {number}  {label:<{width}}  {value}{beside}")
    if executed:
        print(f"\nRead the reports: {from_here(folder / 'index.html')}")
    return 1 if status else 0


class _Progress:
    """Prints how far the notebooks are, from the small files that garment_utils.run writes.

    On a terminal one line is rewritten; elsewhere a line is printed when a notebook starts and
    ends, and every half minute between.
    """

    def __init__(self, folder, notebooks):
        self.folder, self.notebooks = folder, notebooks
        self.started, self.told, self.last_line = time.time(), {}, time.time()
        self.live = sys.stdout.isatty()
        print(f"Running {len(notebooks)} notebooks in {from_here(folder)}", flush=True)

    def show(self):
        running = []
        for stem in self.notebooks:
            record = self._read(stem)
            if not record:
                continue
            if record["state"] == "running":
                running.append(f"{stem} · cell {record['number']} of {record['cells']}")
                if self.told.get(stem) is None:
                    self.told[stem] = "running"
                    self._line(f"{stem} started")
            elif self.told.get(stem) != record["state"]:
                self.told[stem] = record["state"]
                ended = {"done": "done", "failed": "FAILED"}[record["state"]]
                self._line(f"{stem} {ended} after {_minutes(record['seconds'])}")
        now = " | ".join(running)
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            text = f"{_minutes(time.time() - self.started)}  {now or 'starting or writing pages'}"
            print(f"\r{text[:width]:<{width}}", end="", flush=True)
        elif now and time.time() - self.last_line > 30:
            self._line(now)

    def finish(self, status):
        """Tell what is left to tell; return the messages of failed notebooks."""
        self.show()
        records = {stem: record for stem in self.notebooks if (record := self._read(stem))}
        # Snakemake that failed at once has looked at none; one that was killed has a negative
        # status and did not come to all.
        came_to_all = status == 0 or (status > 0 and records)
        for stem in self.notebooks if came_to_all else ():
            if stem not in records and (self.folder / "notebooks" / f"{stem}.ipynb").exists():
                self._line(f"{stem} is up to date")
        if self.live:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1), end="\r")
        return [record["error"] for record in records.values() if record["error"]]

    def _line(self, text):
        if self.live:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1), end="\r")
        print(f"{_minutes(time.time() - self.started)}  {text}", flush=True)
        self.last_line = time.time()

    def _read(self, stem):
        path = self.folder / "progress" / f"{stem}.json"
        return json.loads(path.read_text()) if path.exists() else None


def _minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def store_outputs(plan):
    """Store the executed notebooks of a finished run and those of their figures the README shows.

    The only writer of stored outputs and of the pictures in ``figures/``. Also renews the tables
    of the README; says so if the results they are made from are older than the notebooks.
    """
    folder = Path(plan["folder"])
    numbers = {stem[:2] for stem in plan["notebooks"]}
    shown = re.findall(r"\(figures/(\w+\.png)\)", results.README.read_text("utf-8"))
    drawn = {name: folder / "figures" / name for name in shown if name[:2] in numbers}
    for name in shown:
        if not drawn.get(name, FIGURES / name).is_file():
            raise ValueError(
                f"Nothing was stored: README.md shows figures/{name}, which no notebook draws; "
                "correct the name there, or in the notebook"
            )
    results.readme(stems())  # raises before anything is written
    kept = [NOTEBOOKS / f"{stem}.ipynb" for stem in plan["notebooks"]]
    executed = [nbformat.read(folder / "notebooks" / path.name, as_version=4) for path in kept]
    for path, notebook in zip(kept, executed, strict=True):
        if _sources(notebook) != _sources(nbformat.read(path, as_version=4)):
            raise ValueError(
                f"Nothing was stored: {path.stem} was edited while it was executed; save it once "
                "more and repeat the command"
            )
    for path, notebook in zip(kept, executed, strict=True):
        text = nbformat.writes(normalize(notebook)) + "\n"
        write_whole(path, text.encode())
    for old in FIGURES.glob("*.png"):
        if old.name not in shown:
            old.unlink()
    for name, path in drawn.items():
        write_whole(FIGURES / name, path.read_bytes())
    write_whole(results.README, results.readme(stems()).encode())
    for problem in results.stale(make_plan("full")):
        print(f"Not yet: {problem}")


def store_results(plan):
    """Store the numbers of a finished run in figures/results.csv, and the tables made from it."""
    rows = other_results(plan) + results.collect(plan)
    results.write(sorted(rows, key=lambda row: row["notebook"]))  # stable: not within a notebook
    write_whole(results.README, results.readme(stems()).encode())


def other_results(plan):
    """Return the rows of figures/results.csv of notebooks that are not in a plan.

    Raises:
        ValueError: they come from other versions, and one table cannot hold both.
    """
    others = set(stems()).difference(plan["notebooks"])
    rows = [row for row in results.read() if row["notebook"] in others]
    older = sorted({row["versions"] for row in rows} - {results.versions()})
    if older:
        raise ValueError(
            f"the results of other notebooks come from {'; '.join(older)}, and here is "
            f"{results.versions()}; make the results of all notebooks"
        )
    return rows


def _sources(notebook):
    """Return what each cell says, without the parameters that papermill adds."""
    added = "injected-parameters"
    return [c.source for c in notebook.cells if added not in c.metadata.get("tags", [])]


def normalize(notebook):
    """Return an executed notebook without what differs from one execution to the next.

    Kept are sources, outputs, execution counts, cell ids, tags and the project's own metadata.
    """
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("tags", "garment") if key in cell.metadata}
        cell.metadata = {key: value for key, value in kept.items() if value}
    return notebook


def main():
    """Run the command of the command line; say in one sentence what does not fit."""
    parser = argparse.ArgumentParser(description="The garment classification series in batch.")
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="execute notebooks and write reports")
    outputs = commands.add_parser("outputs", help="store the lesson outputs in the repository")
    outputs.set_defaults(profile="lesson", parameters="")
    numbers = commands.add_parser("results", help="store the numbers of the full profile (1 h)")
    numbers.set_defaults(profile="full", parameters="")
    runner.add_argument("--profile", default="lesson", help="fast, lesson or full")
    runner.add_argument("--parameters", default="", help="for example 'epochs=3 seed=7'")
    for command in (runner, outputs, numbers):
        command.add_argument("--notebooks", default="", help="for example '01 02'; all by default")
    options = parser.parse_args()
    try:
        plan = make_plan(options.profile, options.notebooks, options.parameters)
        if options.command == "results":
            other_results(plan)  # to say so before an hour, not after it
    except ValueError as error:
        sys.exit(f"Nothing was run: {error}")
    try:
        status = run(plan)
        if options.command != "run" and status:
            sys.exit("\nNothing was stored, because not all notebooks succeeded.")
        if options.command == "outputs":
            store_outputs(plan)
        if options.command == "results":
            store_results(plan)
    except (ValueError, OSError) as error:
        sys.exit(f"\n{error}")
    sys.exit(status)


if __name__ == "__main__":
    main()
