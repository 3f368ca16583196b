"""Runs pytest in a copy of the repository, in a process that need not import TensorFlow first.

That import takes longer than most checks. A server imports it, and what else is slow, once; for
each run it is copied (``os.fork``), before anything of ``garment_utils`` is loaded. This is for
Linux; elsewhere, where such copies cannot be made or may crash, each run is a fresh process.
"""

import atexit
import gc
import multiprocessing
import os
import sys

SLOW = ["cv2", "matplotlib.pyplot", "nbformat", "seaborn", "sklearn.neighbors", "tensorflow"]

processes = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    processes.set_forkserver_preload(SLOW)


def run(folder, environment, arguments):
    """Run pytest and return its exit status and everything that it and its processes printed.

    Args:
        folder: Path, the copy.
        environment: dict of variables, complete.
        arguments: those of pytest's.
    """
    printed = folder / "printed.txt"
    process = processes.Process(target=_run, args=(folder, environment, arguments, printed))
    process.start()
    process.join()
    return process.exitcode, printed.read_text("utf-8")


def _run(folder, environment, arguments, printed):
    file = os.open(printed, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # What belongs to the repository itself must not be found in place of the copy.
    tests = os.path.dirname(__file__)
    others = [path for path in sys.path if path not in (tests, os.path.dirname(tests), "")]
    sys.path[:] = [str(folder), *others]
    sys.modules.pop(__name__, None)
    sys.dont_write_bytecode = False  # pytest would compile its plugins anew each time
    gc.freeze()  # what is imported stays: no need to look through it for garbage
    import pytest

    status = pytest.main(list(arguments))
    atexit._run_exitfuncs()  # such a process skips them, and TensorFlow would leave its files
    sys.exit(status)
