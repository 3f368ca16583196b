"""A copy of the repository that a test may change, run and break."""

import os
import shutil
import subprocess
import sys

import hypothesis
import pytest
import warm_pytest

from garment_utils import attribute_labels, data
from garment_utils.paths import DATA, ROOT

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

COPIED = ("garment_utils", "notebooks", "tests", "figures", "benchmarks")
FILES = ("conftest.py", "pyproject.toml", "Snakefile", "README.md", "Makefile", "requirements.txt")
IGNORED = shutil.ignore_patterns("__pycache__", "node_modules", ".ipynb_checkpoints")


class Repository:
    """A copy in a folder of its own, and Python commands that work with that copy alone."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=IGNORED)
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        (folder / "data").symlink_to(DATA)  # 30 MB that no test writes to
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.environment.pop("GARMENT_MODELS", None)

    def replace(self, name, old, new):
        """Replace a text that must be there exactly once."""
        path = self.folder / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{name} holds {text.count(old)} × {old!r}, expected 1"
        path.write_text(text.replace(old, new), "utf-8")

    def start(self, *arguments, **options):
        """Start ``python -m …`` in the copy and return the process."""
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def python(self, *arguments):
        """Run ``python -m …`` in the copy; return exit status and everything it printed."""
        process = self.start(*arguments)
        printed, _ = process.communicate()
        return process.returncode, printed

    def pytest(self, *arguments):
        """Run pytest in the copy; return exit status and everything it printed."""
        return warm_pytest.run(self.folder, self.environment, arguments)


def pytest_collection_modifyitems(items):
    """Keep the tests of a file on one worker, for their fixtures; share out those of long files.

    These share nothing. The longest single tests come first and the many short ones last, so that
    no worker waits for the other.
    """
    order = {"test_series": 0, "test_breakages": 2}
    for number, item in enumerate(items):
        share = f" {number}" if item.path.stem in order else ""
        item.add_marker(pytest.mark.xdist_group(item.path.stem + share))
    items.sort(key=lambda item: order.get(item.path.stem, 1))


@pytest.fixture(scope="session")
def garments():
    """Return the whole data set, loaded once; nothing can change its arrays."""
    return data.load_garments()


@pytest.fixture(scope="session")
def ours(garments):
    """Return our labels of several types."""
    return attribute_labels.load_attributes(garments)


@pytest.fixture
def spoil():
    """Return a function that replaces a text in one line of a file, counted from 1."""

    def replace(path, number, old, new):
        lines = path.read_text("utf-8").split("\n")
        assert old in lines[number - 1], lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
        path.write_text("\n".join(lines), "utf-8")

    return replace


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


@pytest.fixture
def close_figures():
    """Close what a test has drawn."""
    import matplotlib.pyplot as plt  # most tests draw nothing

    yield
    plt.close("all")
