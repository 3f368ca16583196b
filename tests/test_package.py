"""Importing the package is light and quiet; its modules depend on each other in one direction."""

import ast
import subprocess
import sys

import pytest

from garment_utils.paths import ROOT

HEAVY = ("tensorflow", "keras", "matplotlib", "pandas", "numpy", "sklearn", "papermill", "cv2")
LEARNING = (
    "paths",
    "data",
    "preprocessing",
    "attribute_labels",
    "deepfashion",
    "photo_files",
    "shapes",
    "distortions",
    "convolutions",
    "models",
    "training",
    "learning_rate",
    "evaluation",
    "multilabel",
    "attribute_networks",
    "pretrained",
    "attribute_predictor",
    "photo_network",
    "second_opinion",
    "inspection",
    "plots",
    "attribute_plots",
    "photos",
    "attributes",
)


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )


def test_import_loads_nothing_heavy():
    code = f"import sys, garment_utils; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"


def test_keras_is_imported_and_used_without_a_word():
    code = (
        "from garment_utils import keras; import tensorflow as tf;"
        "tf.matmul(tf.ones((2, 2)), tf.ones((2, 2)));"
        "keras.layers.Dense(2)(tf.ones((1, 2)));"
        "print(keras.config.backend())"
    )
    result = run_python(code)
    assert result.stdout == "tensorflow\n"
    assert result.stderr == ""


def test_unknown_names_are_refused_as_usual():
    with pytest.raises(ImportError):
        from garment_utils import nonsense  # noqa: F401


def imported_modules(name):
    """Return the modules of the package that a module imports, anywhere in its code."""
    tree = ast.parse((ROOT / "garment_utils" / f"{name}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("garment_utils"):
            _, _, module = node.module.partition(".")
            found.update([module] if module else [alias.name for alias in node.names])
    return found


@pytest.mark.parametrize("name", LEARNING)
def test_learning_modules_depend_in_one_direction(name):
    allowed = set(LEARNING[: LEARNING.index(name)]) | {"quiet_keras", "keras"}
    assert imported_modules(name) <= allowed


@pytest.mark.parametrize("name", ["run", "reports", "results", "series"])
def test_batch_modules_import_none_of_the_learning_side(name):
    assert not imported_modules(name) & {*LEARNING[1:], "quiet_keras", "keras"}
