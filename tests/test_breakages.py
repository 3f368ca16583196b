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
LEARNING_RATE = "garment_utils/learning_rate.py"
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
        "_rounded(values.std(ddof=1))",
        "_rounded(values.std())",
        "test_evaluation::test_mean_and_spread_by_hand",
    ),
    Breakage(
        "mean and spread of a headline exchanged",
        EVALUATION,
        '"mean": mean, "sd": sd}',
        '"mean": sd, "sd": mean}',
        "test_evaluation::test_headlines_carry_their_numbers",
    ),
    Breakage(
        "distance not divided by the number of pixels",
        EVALUATION,
        "pairwise_distances_argmin_min(flat, flat_others)\n"
        "    return positions, distances / np.sqrt(flat.shape[1])",
        "pairwise_distances_argmin_min(flat, flat_others)\n    return positions, distances",
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
        "confusion matrix transposed",
        EVALUATION,
        "np.add.at(counts, (labels, predicted_labels), 1)",
        "np.add.at(counts, (predicted_labels, labels), 1)",
        "test_evaluation::test_confusion_counts_by_hand",
    ),
    Breakage(
        "confusion matrix normalized over the wrong axis",
        EVALUATION,
        "sizes = counts.sum(axis=-1, keepdims=True)",
        "sizes = counts.sum(axis=-2, keepdims=True)",
        "test_evaluation::test_row_shares_answer_for_the_actual_class",
    ),
    Breakage(
        "precision and recall exchanged",
        EVALUATION,
        "        labels,\n        predicted_labels,\n        labels=range(10),",
        "        predicted_labels,\n        labels,\n        labels=range(10),",
        "test_evaluation::test_classification_table_by_hand",
    ),
    Breakage(
        "right answers counted among the mistakes",
        EVALUATION,
        "mistakes = counts * (1 - np.eye(10, dtype=int))",
        "mistakes = counts",
        "test_evaluation::test_mistakes_within_by_hand",
    ),
    Breakage(
        "garments resampled across classes",
        EVALUATION,
        "sizes = counts.sum(axis=1)  # (10,), garments of each actual class",
        "sizes = counts.sum(axis=0)",
        "test_evaluation::test_resamples_keep_the_number_of_each_class",
    ),
    Breakage(
        "intervals too narrow",
        EVALUATION,
        "[outside / 2, 1 - outside / 2]",
        "[outside, 1 - outside]",
        "test_evaluation::test_intervals_cover_the_truth_about_as_often_as_they_say",
    ),
    Breakage(
        "axes of the drawn confusion matrix exchanged",
        PLOTS,
        'xlabel="predicted", ylabel="actual")',
        'xlabel="actual", ylabel="predicted")',
        "test_plots::test_confusion_has_actual_rows_and_predicted_columns",
    ),
    Breakage(
        "numbers of the drawn confusion matrix in other cells than their colors",
        PLOTS,
        "ax.text(column, row, text,",
        "ax.text(row, column, text,",
        "test_plots::test_confusion_has_actual_rows_and_predicted_columns",
    ),
    Breakage(
        "right answers in the color scale of the mistakes",
        PLOTS,
        "mistakes = np.ma.array(table, mask=right)",
        "mistakes = np.ma.array(table, mask=False)",
        "test_plots::test_confusion_colors_mistakes_alone",
    ),
    Breakage(
        "labels of the mistakes of other garments",
        EVALUATION,
        '"label": labels[position]',
        '"label": labels[: len(position)]',
        "test_evaluation::test_mistakes_are_the_wrong_answers_most_certain_first",
    ),
    Breakage(
        "the least certain mistakes first",
        EVALUATION,
        'table.sort_values("certainty", ascending=False,',
        'table.sort_values("certainty", ascending=True,',
        "test_evaluation::test_mistakes_are_the_wrong_answers_most_certain_first",
    ),
    Breakage(
        "neighbors of the same label shown as contradicting",
        EVALUATION,
        'np.where(labels != table[["label"]]',
        'np.where(labels == table[["label"]]',
        "test_evaluation::test_neighbors_of_mistakes_testify",
    ),
    Breakage(
        "certainty squared",
        EVALUATION,
        'table = pd.DataFrame({"certainty": probabilities.max(axis=1)})',
        'table = pd.DataFrame({"certainty": probabilities.max(axis=1) ** 2})',
        "test_evaluation::test_reliability_by_hand",
    ),
    Breakage(
        "calibration error without weights",
        EVALUATION,
        'np.average(gaps, weights=table["garments"])',
        "np.average(gaps)",
        "test_evaluation::test_calibration_error_by_hand",
    ),
    Breakage(
        "sums multiplied by the temperature",
        EVALUATION,
        "softmax(sums / temperature)",
        "softmax(sums * temperature)",
        "test_evaluation::test_temperature_divides_the_sums_and_changes_no_answer",
    ),
    Breakage(
        "temperature fitted on the test part allowed",
        EVALUATION,
        "    _require_answers_to_validation(probabilities, validation)\n    temperatures",
        "    temperatures",
        "test_evaluation::test_temperature_is_not_fitted_on_the_test_part",
    ),
    Breakage(
        "threshold chosen on the test part allowed",
        EVALUATION,
        "    _require_answers_to_validation(probabilities, validation)\n    return",
        "    return",
        "test_evaluation::test_threshold_is_not_chosen_on_the_test_part",
    ),
    Breakage(
        "the surest garments abstained from",
        EVALUATION,
        "np.argsort(-probabilities.max(axis=1)",
        "np.argsort(probabilities.max(axis=1)",
        "test_evaluation::test_abstaining_by_hand",
    ),
    Breakage(
        "share answered and share left out exchanged",
        EVALUATION,
        "np.quantile(probabilities.max(axis=1), 1 - answered)",
        "np.quantile(probabilities.max(axis=1), answered)",
        "test_evaluation::test_threshold_answers_the_share_asked_for",
    ),
    Breakage(
        "pictures and labels of the mistakes mismatched",
        PLOTS,
        'plot_gallery(part.images[table["position"]], titles, columns=6)',
        "plot_gallery(part.images[table.index], titles, columns=6)",
        "test_plots::test_mistakes_stand_under_their_own_two_names",
    ),
    Breakage(
        "predicted and real name exchanged",
        PLOTS,
        r"{names[mistake.predicted]} {mistake.certainty:.2f}\nlabel: {names[mistake.label]}",
        r"{names[mistake.label]} {mistake.certainty:.2f}\nlabel: {names[mistake.predicted]}",
        "test_plots::test_mistakes_stand_under_their_own_two_names",
    ),
    Breakage(
        "long titles overlap",
        PLOTS,
        "width = max(0.9, 0.075 * max(map(len, lines)))",
        "width = 0.9",
        "test_plots::test_titles_of_mistakes_do_not_overlap",
    ),
    Breakage(
        "picture and probabilities of different garments",
        PLOTS,
        "plot_probabilities(probabilities[position], names, label=label, ax=bars)",
        "plot_probabilities(probabilities[position - 1], names, label=label, ax=bars)",
        "test_plots::test_a_random_garment_keeps_its_answer",
    ),
    Breakage(
        "random position out of range",
        PLOTS,
        "rng.integers(len(split))",
        "rng.integers(len(split) + 1)",
        "test_plots::test_a_random_garment_keeps_its_answer",
    ),
    Breakage(
        "frame around the transposed cell",
        PLOTS,
        "cell = (predicted - 0.5, label - 0.5)",
        "cell = (label - 0.5, predicted - 0.5)",
        "test_plots::test_a_random_garment_keeps_its_answer",
    ),
    Breakage(
        "accuracy drawn by the middle of its bin",
        PLOTS,
        'upper.plot(table["certainty"], table["accuracy"], **style)',
        'upper.plot(table.index.mid, table["accuracy"], **style)',
        "test_plots::test_reliability_draws_accuracy_over_certainty_and_garments_below",
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
        "test_results::test_the_readme_is_what_results_and_notebooks_give",
    ),
    Breakage(
        "a result altered",
        "figures/results.csv",
        'pictures,1,70000,,,,"70,000"',
        'pictures,1,70001,,,,"70,001"',
        "test_results::test_the_readme_is_what_results_and_notebooks_give",
    ),
    Breakage(
        "a mean altered that the README does not show",
        "figures/results.csv",
        "pictures,1,70000,",
        "pictures,1,70001,",
        "test_results::test_numbers_and_texts_of_the_results_agree",
    ),
    Breakage(
        "the code of a notebook changed after its results",
        NOTEBOOK_1,
        "{image.tobytes() for image in images}",
        "{image.tobytes() for image in images[1:]}",
        "test_results::test_the_results_are_those_of_the_notebooks_as_they_are",
    ),
    Breakage(
        "a parameter of the full profile changed after the results",
        "notebooks/profiles.yml",
        "full:\n  02_see_what_normalization_changes:\n    epochs: 10\n",
        "full:\n  02_see_what_normalization_changes:\n    epochs: 11\n",
        "test_results::test_the_results_are_those_of_the_notebooks_as_they_are",
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
    Breakage(
        "a stored model of another network is used",
        TRAINING,
        """    if _as_text(model.get_config()) != _as_text(config):
        raise ValueError("it holds another network")
""",
        "",
        "test_training::test_file_of_another_network_is_reported_and_replaced",
    ),
    Breakage(
        "a stored model may carry code",
        TRAINING,
        "safe_mode=True",
        "safe_mode=False",
        "test_training::test_file_that_carries_code_is_refused",
    ),
    Breakage(
        "Adam's running mean is not corrected for its start",
        LEARNING_RATE,
        "mean / (1 - 0.9**step)",
        "mean",
        "test_learning_rate::test_adam_step_is_that_of_keras",
    ),
    Breakage(
        "learning rates of the range test off by ten",
        LEARNING_RATE,
        '"learning_rate": rates, "loss"',
        '"learning_rate": 10 * rates, "loss"',
        "test_learning_rate::test_each_step_is_made_with_the_rate_beside_it",
    ),
    Breakage(
        "steps of the range test made with another rate than noted",
        LEARNING_RATE,
        "optimizer.learning_rate.assign(rate)",
        "optimizer.learning_rate.assign(rate / 10)",
        "test_learning_rate::test_each_step_is_made_with_the_rate_beside_it",
    ),
    Breakage(
        "range test keeps its ruined weights",
        LEARNING_RATE,
        "        model.set_weights(weights)\n",
        "        pass\n",
        "test_learning_rate::test_weights_are_as_before",
    ),
    Breakage(
        "running means for the losses of single batches",
        LEARNING_RATE,
        'rates, "loss": losses}',
        'rates, "loss": np.cumsum(losses) / np.arange(1, steps + 1)}',
        "test_learning_rate::test_each_loss_is_that_of_its_own_batch",
    ),
    Breakage(
        "range test on test images allowed",
        LEARNING_RATE,
        '    train.require("train")\n',
        "",
        "test_learning_rate::test_only_training_images_are_used",
    ),
    Breakage(
        "learning rate chosen by training accuracy",
        LEARNING_RATE,
        '["val_accuracy"]',
        '["accuracy"]',
        "test_learning_rate::test_grid_holds_validation_accuracies_by_rate_and_seed",
    ),
    Breakage(
        "learning rate chosen by test images in the notebook",
        "notebooks/04_search_for_a_learning_rate.ipynb",
        "validation = garments.validation",
        "validation = garments.test",
        "test_notebook_contract::test_notebook_keeps[test_images-04_search_for_a_learning_rate]",
    ),
    Breakage(
        "cross-entropy without its minus sign",
        EVALUATION,
        "return -np.log(of_truth).mean()",
        "return np.log(of_truth).mean()",
        "test_evaluation::test_softmax_and_cross_entropy_by_hand",
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
