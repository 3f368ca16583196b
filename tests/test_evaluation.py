"""Numbers about data and models, checked against slower or hand-made ones."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from garment_utils import data, evaluation
from garment_utils.models import build_four_four_ten
from garment_utils.preprocessing import PixelScale
from garment_utils.training import Trained


def test_mean_and_spread_by_hand():
    assert evaluation.mean_and_spread([0.7, 0.8, 0.9]) == "0.800 ± 0.100 (3 runs)"
    with pytest.raises(ValueError, match="at least 2 values to show a spread, got 1"):
        evaluation.mean_and_spread([0.7])
    with pytest.raises(ValueError, match="got 4"):
        evaluation.mean_and_spread([[0.7, 0.8], [0.7, 0.8]])


def test_nearest_neighbors_against_the_definition():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    others = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    others[4] = images[2] // 2 + 64
    positions, distances = evaluation.nearest_neighbors(images, others)
    differences = images[:, None].astype(float) - others[None]
    expected = np.sqrt((differences**2).mean(axis=(2, 3)))
    assert np.array_equal(positions, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1))
    assert positions[2] == 4


def test_dead_units_are_counted_in_hidden_layers_only():
    model = build_four_four_ten()
    kernel_1, kernel_2 = np.ones((784, 4)), np.ones((4, 4))
    bias_1, bias_2 = np.array([0, 0, -1000, 0]), np.array([0, -1e6, -1e6, 0])
    model.set_weights([kernel_1, bias_1, kernel_2, bias_2, np.zeros((4, 10)), np.zeros(10)])
    pixels = np.full((200, 28, 28), 0.5, np.float32)  # sums of 392: only large biases silence
    assert evaluation.dead_units(model, pixels) == 3
    pixels[:3] = 3  # 3 of 200 images wake the unit of the first layer: no longer 99 of 100 silent
    assert evaluation.dead_units(model, pixels) == 2


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as pairs of text and metadata."""
    shown = []
    monkeypatch.setattr(
        evaluation,
        "display",
        lambda data, raw, metadata: shown.append((data["text/plain"], metadata["garment"])),
    )
    return shown


RUNS = {"value": "0.800 ± 0.100 (3 runs)", "n": 3, "mean": 0.8, "sd": 0.1}


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ([0.7, 0.8, 0.9], RUNS),
        (np.array([0.7, 0.8, 0.9], dtype=np.float32), RUNS),
        (pd.Series([0.9, 0.7, 0.8], index=[7, 8, 9]), RUNS),
        (70_000, {"value": "70,000", "n": 1, "mean": 70_000}),
        (np.int64(1_234_567), {"value": "1,234,567", "n": 1, "mean": 1_234_567}),
        (np.float32(0.8807), {"value": "0.8807", "n": 1, "mean": 0.8807}),
        ("34 of 40", {"value": "34 of 40"}),
    ],
)
def test_headlines_carry_their_numbers(shown, values, stored):
    evaluation.headline("score", values)
    assert shown == [(f"score: {stored['value']}", {"headline": {"label": "score", **stored}})]
    assert json.loads(json.dumps(shown[0][1])) == shown[0][1]  # a notebook is JSON


def test_a_published_number_stands_beside_ours(shown):
    evaluation.headline("score", 0.88, published=(0.8813, "their course, 1 run"))
    [(text, about)] = shown
    assert text == "score: 0.88; published 0.8813 (their course, 1 run)"
    assert about["headline"]["value"] == "0.88"
    assert about["headline"]["published"] == 0.8813
    assert about["headline"]["source"] == "their course, 1 run"


def test_one_run_is_no_headline(shown):
    with pytest.raises(ValueError, match="got 1"):
        evaluation.headline("score", [0.7])


def test_the_answer_carries_its_metadata(shown):
    evaluation.answer("All is well.")
    assert shown == [("All is well.", {"answer": "All is well."})]


ACTUAL = np.array([0, 0, 0, 0, 6, 6, 6, 9], np.uint8)
SAID = np.array([0, 0, 6, 1, 6, 0, 0, 9], np.uint8)


def test_confusion_counts_by_hand():
    """Of four T-shirts one is called a shirt; of three shirts two are called T-shirts."""
    counts = evaluation.confusion_counts(ACTUAL, SAID)
    assert counts.dtype == np.int64 and counts.shape == (10, 10) and counts.sum() == 8
    assert (counts[0, 0], counts[0, 1], counts[0, 6]) == (2, 1, 1)
    assert (counts[6, 0], counts[6, 6], counts[9, 9]) == (2, 1, 1)


def test_confusion_counts_against_scikit_learn():
    labels, said = np.random.default_rng(0).integers(0, 9, (2, 500), dtype=np.uint8)  # never a 9
    expected = confusion_matrix(labels, said, labels=range(10))
    assert np.array_equal(evaluation.confusion_counts(labels, said), expected)


def test_confusion_counts_refuses_what_it_cannot_count():
    with pytest.raises(IndexError):
        evaluation.confusion_counts(np.array([10]), np.array([0]))
    with pytest.raises(IndexError, match="shape mismatch"):
        evaluation.confusion_counts(ACTUAL, SAID[:3])


def test_row_shares_answer_for_the_actual_class():
    counts = evaluation.confusion_counts(ACTUAL, SAID)
    shares = evaluation.row_shares(counts)
    assert shares[0, 6] == 1 / 4 and shares[6, 0] == 2 / 3  # of 4 T-shirts, of 3 shirts
    assert shares[[0, 6, 9]].sum(axis=1) == pytest.approx(1)
    assert not shares[5].any()  # no sandal was there
    stack = evaluation.row_shares(np.stack([counts, counts.T]))
    assert np.array_equal(stack, [shares, evaluation.row_shares(counts.T)])


def test_classification_table_by_hand():
    names = data.class_names()
    table = evaluation.classification_table(ACTUAL, SAID, names)
    assert list(table.index) == [*names, "macro average", "accuracy"]
    assert list(table.columns) == ["precision", "recall", "F1", "garments"]
    # Of 4 T-shirts 2 are right, and 4 garments are called T-shirts; the class 4 does not occur.
    assert list(table.loc["T-shirt/top"]) == [2 / 4, 2 / 4, 1 / 2, 4]
    assert list(table.loc["Shirt"]) == pytest.approx([1 / 2, 1 / 3, 2 / 5, 3])
    assert list(table.loc["Trouser"]) == [0, 0, 0, 0]
    assert list(table.loc["accuracy"]) == [4 / 8, 4 / 8, 4 / 8, 8]
    means = table.iloc[:10, :3].mean()
    assert list(table.loc["macro average"]) == pytest.approx([*means, 8])
    assert table["garments"].dtype.kind == "i"


def test_mistakes_within_by_hand():
    counts = evaluation.confusion_counts(ACTUAL, SAID)  # 4 mistakes: 0→6, 0→1, 6→0 twice
    assert evaluation.mistakes_within(counts, [0, 6]) == 3 / 4
    assert evaluation.mistakes_within(counts, [5, 7, 9]) == 0
    assert list(evaluation.mistakes_within(np.stack([counts, counts]), [0, 1])) == [1 / 4, 1 / 4]


def made_up_counts():
    """Return 1,000 garments a class: 800 right, 150 taken for the next class, 50 for the third."""
    right = np.eye(10, dtype=int)
    return 800 * right + 150 * np.roll(right, 1, axis=1) + 50 * np.roll(right, 3, axis=1)


def test_resamples_keep_the_number_of_each_class():
    counts = made_up_counts()
    counts[4] = 0
    redrawn = evaluation.resample_counts(counts, 200, np.random.default_rng(0))
    assert redrawn.shape == (200, 10, 10)
    assert (redrawn.sum(axis=2) == counts.sum(axis=1)).all()
    assert not redrawn[:, counts == 0].any()  # a mistake never made is never drawn
    assert len(np.unique(redrawn[:, 0, 1])) > 20
    again = evaluation.resample_counts(counts, 200, np.random.default_rng(0))
    assert np.array_equal(redrawn, again)


def test_resampling_counts_is_resampling_garments():
    """A draw of a row's counts is a draw of its garments, one at a time, with replacement."""
    rng = np.random.default_rng(0)
    counts = made_up_counts()
    redrawn = evaluation.resample_counts(counts, 4000, rng)[:, 2]
    said = np.repeat(np.arange(10), counts[2])  # what the 1,000 garments of class 2 are taken for
    slowly = [np.bincount(rng.choice(said, 1000), minlength=10) for _ in range(4000)]
    np.testing.assert_allclose(redrawn.mean(axis=0), np.mean(slowly, axis=0), atol=1)
    np.testing.assert_allclose(np.cov(redrawn.T), np.cov(np.transpose(slowly)), atol=12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Draw 400 test sets from known shares: 19 of 20 intervals should contain the known number."""
    rng = np.random.default_rng(0)
    truth = made_up_counts()
    covered = []
    for tested in evaluation.resample_counts(truth, 400, rng):
        draws = evaluation.resample_counts(tested, 400, rng)
        low, high = evaluation.percentile_interval(draws, 0.05)
        covered.append(((low <= truth) & (truth <= high))[0, [0, 1, 3]])
    assert np.mean(covered, axis=0) == pytest.approx(0.95, abs=0.03)


def test_percentile_interval_leaves_out_both_ends_equally():
    draws = np.stack([np.arange(1001), np.arange(1001)[::-1] * 10], axis=1)
    assert evaluation.percentile_interval(draws, 0.1) == pytest.approx(
        np.array([[50, 500], [950, 9500]])
    )


def part_of(name, images, labels):
    labels = np.asarray(labels, dtype=np.uint8)
    return data.Split(name, np.asarray(images), labels, np.arange(len(labels)))


def answers(*pairs):
    """Return probabilities ``(n, 10)`` from (predicted class, certainty); the rest is shared."""
    rows = [np.full(10, (1 - certainty) / 9) for _, certainty in pairs]
    for row, (predicted, certainty) in zip(rows, pairs, strict=True):
        row[predicted] = certainty
    return np.array(rows)


def test_probabilities_of_runs_come_from_scaled_pixels_run_by_run():
    fits = [Trained(build_four_four_ten(), None, False) for _ in range(2)]
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    found = evaluation.probabilities_of_runs(
        fits, PixelScale("divided", 0, 255), part_of("test", images, [0] * 5)
    )
    for run, fit in zip(found, fits, strict=True):
        np.testing.assert_allclose(run, fit.model.predict(images / 255, verbose=0), atol=1e-6)
    assert not np.allclose(found[0], found[1])


def test_several_neighbors_against_the_definition():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    others = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    positions, distances = evaluation.several_neighbors(images, others, 3)
    differences = images[:, None].astype(float) - others[None]
    expected = np.sqrt((differences**2).mean(axis=(2, 3)))
    assert np.array_equal(positions, expected.argsort(axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :3])


def test_mistakes_are_the_wrong_answers_most_certain_first():
    labels = np.array([1, 2, 3, 4, 5], dtype=np.uint8)
    probabilities = answers((1, 0.99), (7, 0.5), (3, 0.4), (8, 0.9), (9, 0.7))
    table = evaluation.mistakes(probabilities, labels)
    assert table.drop(columns="certainty").to_numpy().tolist() == [[3, 4, 8], [4, 5, 9], [1, 2, 7]]
    assert list(table["certainty"]) == [0.9, 0.7, 0.5]
    assert list(table.columns) == ["position", "label", "predicted", "certainty"]
    assert len(evaluation.mistakes(probabilities[[0, 2]], labels[[0, 2]])) == 0


def test_neighbors_of_mistakes_testify():
    """Two mistakes; the first has a neighbor of its own label in between, the second no other."""
    gray = np.arange(0, 250, 10, dtype=np.uint8)  # picture i has the gray level 10·i
    images = np.broadcast_to(gray[:, None, None], (25, 28, 28))
    train = part_of("train", images[[0, 2, 5, 20, 21, 22]], [6, 0, 6, 3, 3, 3])
    test = part_of("test", images[[9, 2, 21]], [9, 0, 3])
    table = pd.DataFrame({"position": [1, 2], "label": [0, 3], "predicted": [6, 1]})
    found = evaluation.with_neighbors(table, test, train, 3)
    assert list(found["agreeing"]) == [2, 0]  # of 6, 0, 6 and of 3, 3, 3
    assert found["neighbor"][0] == 0  # the nearest is of label 0 itself, the next is 20 away
    assert found["distance"][0] == pytest.approx(20)
    assert found["distance"][1] == np.inf
    assert list(found["position"]) == [1, 2]


# In the bin from 0.5 to 0.6 one of two is right, above 0.9 all four are.
UNEQUAL_BINS = answers((0, 0.52), (0, 0.56), (0, 0.96), (0, 0.96), (0, 0.96), (0, 0.96))
UNEQUAL_LABELS = np.array([0, 1, 0, 0, 0, 0])


def test_reliability_by_hand():
    table = evaluation.reliability(UNEQUAL_BINS, UNEQUAL_LABELS)
    assert [(interval.left, interval.right) for interval in table.index] == [(0.5, 0.6), (0.9, 1)]
    assert list(table["garments"]) == [2, 4]
    np.testing.assert_allclose(table["certainty"], [0.54, 0.96])
    np.testing.assert_allclose(table["accuracy"], [0.5, 1])


def test_every_garment_is_in_a_bin():
    certain = np.eye(10, dtype=np.float32)
    assert evaluation.reliability(certain, np.arange(10))["garments"].sum() == 10


def test_calibration_error_by_hand():
    error = evaluation.expected_calibration_error(UNEQUAL_BINS, UNEQUAL_LABELS)
    assert error == pytest.approx((2 * 0.04 + 4 * 0.04) / 6)
    error = evaluation.expected_calibration_error(UNEQUAL_BINS, np.array([1, 1, 0, 0, 0, 0]))
    assert error == pytest.approx((2 * 0.54 + 4 * 0.04) / 6)


def calibrated_answers(n):
    """Return probabilities, and labels drawn from them: a model that is as right as it says."""
    rng = np.random.default_rng(0)
    probabilities = evaluation.softmax(2 * rng.normal(size=(n, 10)))
    labels = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=9)
    return probabilities, part_of("validation", np.zeros((n, 28, 28), np.uint8), labels)


def test_who_is_calibrated_has_no_error_and_needs_no_temperature():
    probabilities, validation = calibrated_answers(20_000)
    assert evaluation.expected_calibration_error(probabilities, validation.labels) < 0.01
    assert evaluation.fit_temperature(probabilities, validation) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_that_spoiled_a_calibration_is_found(temperature):
    probabilities, validation = calibrated_answers(20_000)
    spoiled = evaluation.with_temperature(probabilities, 1 / temperature)
    assert evaluation.expected_calibration_error(spoiled, validation.labels) > 0.1
    found = evaluation.fit_temperature(spoiled, validation)
    assert found == pytest.approx(temperature, rel=0.04)
    mended = evaluation.with_temperature(spoiled, found)
    assert evaluation.expected_calibration_error(mended, validation.labels) < 0.01


def test_temperature_divides_the_sums_and_changes_no_answer():
    sums = 5 * np.random.default_rng(0).normal(size=(200, 10))
    probabilities = evaluation.softmax(sums)
    for temperature in (0.3, 1, 4):
        changed = evaluation.with_temperature(probabilities, temperature)
        np.testing.assert_allclose(changed, evaluation.softmax(sums / temperature))
        assert np.array_equal(changed.argmax(axis=1), sums.argmax(axis=1))


@pytest.mark.filterwarnings("error")
def test_temperature_bears_a_probability_of_zero():
    changed = evaluation.with_temperature(np.eye(10, dtype=np.float32), 2)
    assert np.isfinite(changed).all() and np.array_equal(changed.argmax(axis=1), np.arange(10))


def test_temperature_is_not_fitted_on_the_test_part():
    probabilities, validation = calibrated_answers(50)
    test = part_of("test", validation.images, validation.labels)
    with pytest.raises(ValueError, match="got the test part"):
        evaluation.fit_temperature(probabilities, test)
    with pytest.raises(ValueError, match="50 validation garments, got 40 rows"):
        evaluation.fit_temperature(probabilities[:40], validation)


def test_threshold_is_not_chosen_on_the_test_part():
    probabilities, validation = calibrated_answers(50)
    test = part_of("test", validation.images, validation.labels)
    with pytest.raises(ValueError, match="got the test part"):
        evaluation.choose_threshold(probabilities, test, 0.8)
    with pytest.raises(ValueError, match="50 validation garments, got 40 rows"):
        evaluation.choose_threshold(probabilities[:40], validation, 0.8)


def test_threshold_answers_the_share_asked_for():
    probabilities, validation = calibrated_answers(1000)
    for share in (0.1, 0.8, 1):
        threshold = evaluation.choose_threshold(probabilities, validation, share)
        given = evaluation.abstain(probabilities, validation.labels, threshold)
        assert given["answered"] == pytest.approx(share, abs=0.002)


def test_abstaining_by_hand():
    probabilities = answers((0, 0.5), (0, 0.9), (0, 0.8), (0, 0.6))
    labels = np.array([1, 0, 1, 0])
    curve = evaluation.abstention_curve(probabilities, labels)
    assert list(curve["answered"]) == [0.25, 0.5, 0.75, 1]
    np.testing.assert_allclose(curve["accuracy"], [1, 1 / 2, 2 / 3, 2 / 4])
    assert evaluation.abstain(probabilities, labels, 0.6) == {"answered": 0.75, "accuracy": 2 / 3}
    nothing = evaluation.abstain(probabilities, labels, 0.95)
    assert nothing["answered"] == 0 and np.isnan(nothing["accuracy"])


def test_interval_of_a_mean_by_hand():
    # mean 2, standard error 1/√3, and 4.3027 from a table of Student's t for two degrees of freedom
    low, high = evaluation.mean_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert evaluation.mean_interval([0.5, 0.5]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        evaluation.mean_interval([0.5])


def test_softmax_and_cross_entropy_by_hand():
    probabilities = evaluation.softmax(np.log([[1.0, 3.0], [2.0, 2.0]]) + 1000)  # no overflow
    assert np.allclose(probabilities, [[0.25, 0.75], [0.5, 0.5]])
    loss = evaluation.cross_entropy(probabilities, np.array([1, 0]))
    assert loss == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)


def test_accuracy_of_runs_counts_the_ten_classes_alone(monkeypatch):
    """Eleven outputs: the eleventh is never an answer, and what is labeled so does not count."""
    probabilities = np.zeros((2, 4, 11), np.float32)
    probabilities[..., 10] = 0.6
    for run, said in enumerate([(3, 5, 9, 0), (3, 4, 9, 0)]):
        probabilities[run, np.arange(4), said] = 0.4
    monkeypatch.setattr(evaluation, "probabilities_of_runs", lambda *_: probabilities)
    part = part_of("validation", np.zeros((4, 28, 28), np.uint8), [3, 4, 9, 10])
    assert evaluation.accuracy_of_runs([], None, part) == pytest.approx([2 / 3, 1])
