"""Breaks the project on purpose, one thing at a time, and expects a named check to notice.

Each entry changes one text in a copy of the repository, runs one check there, and passes only if
that check fails. A change that no longer fits the code fails too: then renew the entry.
"""

from dataclasses import dataclass

import pytest

NOTEBOOK_1 = "notebooks/01_explore_the_garments.ipynb"
NOTEBOOK_2 = "notebooks/02_see_what_normalization_changes.ipynb"
REPLAY = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]


@dataclass(frozen=True)
class Breakage:
    """One change, and the check that must notice it."""

    name: str
    file: str
    old: str
    new: str
    check: str  # a test, module::function, or a notebook to replay
    noticed: str = ""  # what the check must print


DATA, PREPROCESSING = "garment_utils/data.py", "garment_utils/preprocessing.py"
TRAINING, EVALUATION = "garment_utils/training.py", "garment_utils/evaluation.py"
PLOTS, REPORTS, RUN = "garment_utils/plots.py", "garment_utils/reports.py", "garment_utils/run.py"

BREAKAGES = [
    Breakage(
        "no division by 255",
        PREPROCESSING,
        "return PixelScale(name, 0.0, 255.0)",
        "return PixelScale(name, 0.0, 1.0)",
        "test_preprocessing::test_divided_ends_at_one",
    ),
    Breakage(
        "statistics of the validation part allowed",
        PREPROCESSING,
        '    train.require("train")\n',
        "",
        "test_preprocessing::test_statistics_of_other_parts_are_refused",
    ),
    Breakage(
        "class names shuffled",
        DATA,
        '"Pullover",\n        "Dress",',
        '"Dress",\n        "Pullover",',
        "test_data::test_class_names_belong_to_the_pictures",
    ),
    Breakage(
        "Spanish names shuffled",
        DATA,
        '"Camisa",\n        "Sneaker",',
        '"Sneaker",\n        "Camisa",',
        "test_data::test_class_names_in_two_languages",
    ),
    Breakage(
        "test images among the training images",
        DATA,
        'images, labels = arrays["train_images"], arrays["train_labels"]',
        'images, labels = arrays["train_images"].copy(), arrays["train_labels"]\n'
        '    images[:100] = arrays["test_images"][:100]',
        "test_data::test_no_test_picture_is_trained_on",
    ),
    Breakage(
        "training on the test part allowed",
        TRAINING,
        '    train.require("train")\n',
        "",
        "test_training::test_test_images_are_never_trained_on_nor_chosen_by",
    ),
    Breakage(
        "choosing by the test part allowed",
        TRAINING,
        '    validation.require("validation")\n',
        "",
        "test_training::test_test_images_are_never_trained_on_nor_chosen_by",
    ),
    Breakage(
        "pictures and labels mismatched",
        DATA,
        'Split("train", images[train], labels[train], train)',
        'Split("train", images[train], labels[train[::-1]], train)',
        "test_data::test_each_picture_keeps_its_label",
    ),
    Breakage(
        "validation garments stay in the training part",
        DATA,
        "return np.flatnonzero(~is_aside),",
        "return np.arange(len(labels)),",
        "test_data::test_split_is_stratified_and_disjoint",
    ),
    Breakage(
        "another split",
        DATA,
        "SPLIT_SEED = 0",
        "SPLIT_SEED = 1",
        "test_data::test_split_is_the_same_every_time",
    ),
    Breakage(
        "checksums not looked at",
        DATA,
        "    if not is_published:\n",
        "    if False:\n",
        "test_data::test_one_changed_pixel_is_noticed",
    ),
    Breakage(
        "table columns transposed",
        DATA,
        "pixels = images.reshape(len(images), 784)",
        "pixels = images.transpose(0, 2, 1).reshape(len(images), 784)",
        "test_data::test_frame_columns_follow_the_picture",
    ),
    Breakage(
        "seed not part of a stored model's key",
        TRAINING,
        '        "seed": seed,\n',
        "",
        "test_training::test_whatever_makes_a_result_is_in_its_key",
    ),
    Breakage(
        "labels not part of a stored model's key",
        TRAINING,
        "    digest.update(np.ascontiguousarray(split.labels))\n",
        "",
        "test_training::test_the_pictures_and_their_labels_are_in_the_key",
    ),
    Breakage(
        "training not repeatable",
        TRAINING,
        "    make_repeatable(seed)\n    model = build()",
        "    model = build()",
        "test_training::test_same_seed_same_bits",
    ),
    Breakage(
        "spread of the population instead of the sample",
        EVALUATION,
        "values.std(ddof=1)",
        "values.std()",
        "test_evaluation::test_mean_and_spread_by_hand",
    ),
    Breakage(
        "distance not divided by the number of pixels",
        EVALUATION,
        "distances / np.sqrt(flat.shape[1])",
        "distances",
        "test_evaluation::test_nearest_neighbors_against_the_definition",
    ),
    Breakage(
        "taught function and its packaged twin differ",
        EVALUATION,
        "(active < 0.01)",
        "(active < 0.05)",
        "test_notebook_contract::test_notebook_keeps",
        "twins-02",
    ),
    Breakage(
        "titles of a gallery in another order",
        PLOTS,
        "zip(axes.flat, images, titles, strict=False)",
        "zip(axes.flat, images, titles[::-1], strict=False)",
        "test_plots::test_each_garment_stands_under_its_own_title",
    ),
    Breakage(
        "training and validation curves exchanged",
        PLOTS,
        'curves = group.pivot(index="epoch", columns="seed", values=column)',
        'curves = group.pivot(index="epoch", columns="seed", values="accuracy")',
        "test_plots::test_histories_have_a_panel_for_each_scale",
    ),
    Breakage(
        "unknown parameters ignored",
        RUN,
        "        if name not in declared:\n",
        "        if name not in declared:\n            continue\n        if False:\n",
        "test_run::test_other_parameters_are_refused_before_anything_runs",
    ),
    Breakage(
        "result written in place",
        RUN,
        "    unfinished = beside(output)\n",
        "    unfinished = output\n",
        "test_run::test_a_failed_cell_is_named_and_the_partial_notebook_kept",
    ),
    Breakage(
        "alt texts lost in the reports",
        "garment_utils/report/cells.html.j2",
        "{%- if alt %} alt=",
        "{%- if false %} alt=",
        "test_reports::test_figures_keep_their_alt_text_and_their_bytes",
    ),
    Breakage(
        "a result typed into prose",
        NOTEBOOK_2,
        "How far is luck?",
        "It is 10 % luck.",
        "test_notebook_contract::test_notebook_keeps",
        "typed_results-02",
    ),
    Breakage(
        "keras imported past the package",
        NOTEBOOK_2,
        '"import pandas as pd\\n",',
        '"import keras\\n",',
        "test_notebook_contract::test_notebook_keeps",
        "keras-02",
    ),
    Breakage(
        "a stale answer in the README",
        "README.md",
        "70,000 pictures of garments, none",
        "70,001 pictures of garments, none",
        "test_series::test_the_overview_in_the_readme_is_that_of_the_stored_notebooks",
    ),
    Breakage(
        "a stored count altered",
        NOTEBOOK_1,
        '"byte-equal copies among them: 0"',
        '"byte-equal copies among them: 1"',
        NOTEBOOK_1,
        "FAILED notebooks/01_explore_the_garments.ipynb::Cell",
    ),
    Breakage(
        "a scale learned from other images in the notebook",
        NOTEBOOK_2,
        "preprocessing.fit_scale(name, train) for",
        "preprocessing.fit_scale(name, garments.test) for",
        NOTEBOOK_2,
        "got the test part",
    ),
    Breakage(
        "a trained number altered beyond its tolerance",
        NOTEBOOK_2,
        '"validation accuracy, divided pixels: 0.7',
        '"validation accuracy, divided pixels: 0.8',
        NOTEBOOK_2,
        "OUTSIDE",
    ),
]


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_breakage_is_noticed(repository, breakage):
    repository.replace(breakage.file, breakage.old, breakage.new)
    if breakage.check.endswith(".ipynb"):
        check = [*REPLAY, breakage.check]
    else:
        module, function = breakage.check.split("::")
        check = [f"tests/{module}.py", "-k", function]
    status, text = repository.python("pytest", "-q", "-p", "no:cacheprovider", "-rf", *check)
    assert status == 1, f"the breakage was not noticed by {breakage.check}:\n{text[-3000:]}"
    expected = breakage.noticed or breakage.check.split("::")[1]
    failures = text[text.rfind("short test summary") :] if "::" in breakage.check else text
    assert expected in failures, f"another check failed:\n{text[-3000:]}"
