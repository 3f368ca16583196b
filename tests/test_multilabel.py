"""Metrics are scikit-learn's, partitions hold what they say, weights balance."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from garment_utils import attribute_labels, deepfashion, multilabel

TYPES = ("sleeve", "sleeve", "sleeve", "fit", "fit")
VALUES = ("long", "short", "none", "tight", "loose")
# Truth and prediction of four pictures; sleeve and fit each have exactly one value.
LABELS = np.array([[1, 0, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [1, 0, 0, 0, 1]])
PREDICTED = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 1, 0, 0, 1], [1, 0, 0, 1, 0]])


def one_of_each(draws, types=TYPES):
    """Return labels from one drawn number for each picture and type."""
    scores = np.zeros((len(draws), len(types)))
    for k, columns in enumerate(attribute_labels.columns_of_types(types).values()):
        scores[np.arange(len(draws)), columns[draws[:, k] % len(columns)]] = 1
    return scores.astype(np.int8)


def labels_strategy(least=1, most=30):
    pair = st.tuples(st.integers(0, 2), st.integers(0, 1))
    return st.lists(pair, min_size=least, max_size=most).map(lambda x: one_of_each(np.array(x)))


def training(labels, part="train"):
    """Return training pictures with these labels, as far as the functions look at them."""
    n = len(labels)
    return attribute_labels.Attributes(
        values=VALUES,
        types=TYPES,
        labels=np.array(labels, dtype=np.int8),
        boxes=np.zeros((n, 4), dtype=np.int32),
        parts=np.array([part] * n, dtype=object),
        categories=np.zeros(n, dtype=np.int16),
    )


# From scores to labels


def test_decoding_by_hand():
    # The two highest scores are both sleeves: only decoding by type sees the fit.
    scores = np.array([[0.9, 0.8, 0.1, 0.3, 0.4], [0.2, 0.3, 0.1, 0.7, 0.6]])
    assert multilabel.decode_per_type(scores, TYPES).tolist() == [[1, 0, 0, 0, 1], [0, 1, 0, 1, 0]]
    assert multilabel.decode_top(scores, 2).tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 1, 1]]
    mixed = ("fit", "sleeve", "fit", "sleeve", "sleeve")  # columns of a type apart
    assert multilabel.decode_per_type(scores, mixed).tolist() == [[1, 1, 0, 0, 0], [1, 0, 0, 1, 0]]


@given(st.integers(1, 20), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_decoding_gives_what_it_promises(n, count, seed):
    scores = np.random.default_rng(seed).integers(0, 4, (2, n, 5)) / 3  # with equal scores
    per_type = multilabel.decode_per_type(scores, TYPES)
    assert (per_type[..., :3].sum(axis=-1) == 1).all() and (per_type[..., 3:].sum(-1) == 1).all()
    assert np.array_equal(multilabel.decode_per_type(scores[1], TYPES), per_type[1])
    assert ((scores * per_type)[..., :3].max(-1) == scores[..., :3].max(-1)).all()
    top = multilabel.decode_top(scores, count)
    assert (top.sum(axis=-1) == count).all()
    if count:
        least = np.where(top == 1, scores, 2).min(axis=-1)
        assert (np.where(top == 0, scores, -1).max(axis=-1) <= least).all()


def test_labels_are_their_own_decoding(ours):
    assert np.array_equal(multilabel.decode_per_type(ours.labels, ours.types), ours.labels)


def test_the_constant_prediction_by_hand():
    found = multilabel.constant_prediction(training(LABELS), 3)
    assert found.tolist() == [[1, 0, 0, 0, 1]] * 3


def test_the_constant_prediction_of_deepfashion_is_the_published_one():
    """From the 14,000 training pictures' counts: the macro F1 that a ResNet50 was given for."""
    counts = [2383, 2329, 938, 1179, 296, 6633, 242, 4269, 2437, 7294, 1436, 2706, 9858]
    counts += [5679, 2416, 47, 5858, 835, 2073, 9469, 292, 124, 1207, 2001, 758, 11241]
    types = [name for name, values in deepfashion.FINE_TYPES.items() for _ in values]
    labels = np.zeros((14_000, 26), dtype=np.int8)
    for columns in attribute_labels.columns_of_types(types).values():
        chosen = np.repeat(columns, np.array(counts)[columns])
        labels[np.arange(14_000), chosen] = 1
    train = SimpleNamespace(labels=labels, types=types, require=lambda *names: None)
    constant = multilabel.constant_prediction(train, 14_000)
    assert round(multilabel.macro_f1(labels, constant), 3) == 0.171
    assert round(multilabel.micro_f1(labels, constant), 3) == 0.599  # on its test part 0.603


# Metrics


def test_value_table_by_hand():
    table = multilabel.value_table(LABELS, PREDICTED, VALUES, TYPES)
    assert list(table["type"]) == list(TYPES) and list(table["value"]) == list(VALUES)
    assert list(table["pictures"]) == [3, 1, 0, 1, 3]
    assert np.allclose(table["precision"], [2 / 2, 1 / 2, 0, 0, 2 / 3])
    assert np.allclose(table["recall"], [2 / 3, 1, 0, 0, 2 / 3])
    assert np.allclose(table["F1"], [4 / 5, 2 / 3, 0, 0, 2 / 3])


def test_average_table_by_hand():
    table = multilabel.average_table(LABELS, PREDICTED, TYPES)
    assert list(table.index) == ["sleeve", "fit", "all"]
    assert np.allclose(table.loc["sleeve", "macro F1"], (4 / 5 + 2 / 3) / 3)
    assert np.allclose(table.loc["fit", "macro recall"], (0 + 2 / 3) / 2)
    assert np.allclose(table.loc["all", "macro precision"], (1 + 1 / 2 + 2 / 3) / 5)
    micro = table[["micro precision", "micro recall", "micro F1"]]
    assert np.allclose(micro.loc["all"], 5 / 8) and np.allclose(micro.loc["sleeve"], 3 / 4)


def test_f1_of_values_by_hand():
    found = multilabel.value_f1(LABELS, np.stack([LABELS, PREDICTED]))
    assert np.allclose(found, [[1, 1, 0, 1, 1], [4 / 5, 2 / 3, 0, 0, 2 / 3]])


def test_scores_of_runs_by_hand():
    rare = np.array([False, True, True, True, False])
    table = multilabel.run_scores(LABELS, np.stack([LABELS, PREDICTED]), rare)
    # The third value is never there and never said: its F1 counts as 0.
    assert np.allclose(table["macro F1"], [4 / 5, (4 / 5 + 2 / 3 + 2 / 3) / 5])
    assert np.allclose(table["mean accuracy"], [1, 5 / 8])
    assert np.allclose(table["exact match"], [1, 1 / 4])
    assert np.allclose(table["F1 of rare"], [2 / 3, 2 / 3 / 3])
    assert np.allclose(table["F1 of common"], [1, (4 / 5 + 2 / 3) / 2])
    assert np.allclose(table["rare said"], [1, 3 / 2])


def test_shares_by_hand():
    assert multilabel.exact_match(LABELS, PREDICTED) == 1 / 4
    accuracy = multilabel.type_accuracy(LABELS, PREDICTED, TYPES)
    assert accuracy.to_dict() == {"sleeve": 3 / 4, "fit": 2 / 4}
    assert multilabel.exact_match(LABELS, np.stack([LABELS, PREDICTED])).tolist() == [1, 1 / 4]


def test_f1_is_right_where_precision_and_recall_add_up_to_less_than_one():
    labels, predicted = np.zeros((10, 1), dtype=int), np.zeros((10, 1), dtype=int)
    labels[:4], predicted[3:7] = 1, 1  # P = R = 1/4
    assert multilabel.macro_f1(labels, predicted) == multilabel.micro_f1(labels, predicted) == 1 / 4


@given(labels_strategy(2, 15), st.integers(0, 2**32 - 1))
def test_f1_is_that_of_scikit_learn(labels, seed):
    rng = np.random.default_rng(seed)
    runs = rng.integers(0, 2, (3, *labels.shape), dtype=np.int8)  # any labels, not one of a type
    runs[0] = multilabel.decode_per_type(runs[0], TYPES)
    macro, micro = multilabel.macro_f1(labels, runs), multilabel.micro_f1(labels, runs)
    for k, predicted in enumerate(runs):
        for found, average in ((macro[k], "macro"), (micro[k], "micro")):
            expected = metrics.f1_score(labels, predicted, average=average, zero_division=0)
            assert np.isclose(found, expected)
        assert multilabel.exact_match(labels, runs)[k] == metrics.accuracy_score(labels, predicted)
    table = multilabel.average_table(labels, runs[1], TYPES)
    assert np.isclose(table.loc["all", "macro F1"], macro[1])
    assert np.isclose(table.loc["all", "micro F1"], micro[1])


@given(labels_strategy(), labels_strategy(30))
def test_with_one_value_of_each_type_the_micro_averages_are_accuracies(labels, predicted):
    predicted = predicted[: len(labels)]
    table = multilabel.average_table(labels, predicted, TYPES)
    accuracy = multilabel.type_accuracy(labels, predicted, TYPES)
    for what in ("precision", "recall", "F1"):
        assert np.allclose(table[f"micro {what}"], [*accuracy, accuracy.mean()])


def test_the_bootstrap_is_paired():
    rng = np.random.default_rng(0)
    labels = one_of_each(rng.integers(0, 6, (200, 2)))
    worse = labels.copy()
    worse[:40] = one_of_each(rng.integers(0, 6, (40, 2)))
    options = {"metric": multilabel.macro_f1, "resamples": 300}

    def differences(first, second, seed=1):
        rng = np.random.default_rng(seed)
        return multilabel.paired_bootstrap(labels, first, second, rng=rng, **options)

    assert (differences(worse, worse) == 0).all()
    found = differences(worse, labels)
    gap = 1 - multilabel.macro_f1(labels, worse)
    assert found.shape == (300,) and (found > 0).all() and abs(found.mean() - gap) < 0.01
    assert np.allclose(differences(labels, worse), -found)
    runs = np.stack([worse, labels])
    assert np.allclose(differences(runs, labels), found / 2)  # the mean over the runs


def test_a_comparison_says_in_which_direction():
    rng = np.random.default_rng(0)
    labels = one_of_each(rng.integers(0, 6, (200, 2)))
    worse = labels.copy()
    worse[:40] = one_of_each(rng.integers(0, 6, (40, 2)))
    table = multilabel.compare(labels, np.stack([worse, worse]), labels, resamples=200, rng=rng)
    assert list(table.index) == ["macro F1", "mean accuracy", "exact match"]
    expected = [multilabel.macro_f1(labels, worse), multilabel.micro_f1(labels, worse)]
    expected += [multilabel.exact_match(labels, worse)]
    assert np.allclose(table["change"], 1 - np.array(expected))
    assert (table["low"] > 0).all() and (table["low"] < table["change"]).all()
    assert (table["change"] < table["high"]).all() and (table["high"] < 0.3).all()


def test_rare_values_are_compared_apart():
    rng = np.random.default_rng(0)
    labels = one_of_each(rng.integers(0, 6, (200, 2)))
    worse = labels.copy()
    worse[labels[:, 1] == 1, :3] = [1, 0, 0]  # the second value of the first type is never said
    rare = np.arange(labels.shape[1]) == 1
    options = {"resamples": 200, "rng": rng}
    table = multilabel.compare(labels, worse[None], labels, rare=rare, **options)
    assert list(table.index) == ["F1 of rare", *multilabel.METRICS]
    assert np.isclose(table["change"]["F1 of rare"], 1) and table["low"]["F1 of rare"] == 1
    assert table["change"]["macro F1"] < 0.5


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says():
    """Share of exact matches: two models that are right with probability 0.6 and 0.7."""
    covered = 0
    rng = np.random.default_rng(4)
    labels = np.ones((150, 1), dtype=int)
    for _ in range(200):
        first, second = (rng.random((2, 150, 1)) < np.array([0.6, 0.7])[:, None, None]).astype(int)
        found = multilabel.paired_bootstrap(
            labels, first, second, metric=multilabel.exact_match, resamples=200, rng=rng
        )
        low, high = np.quantile(found, [0.025, 0.975])
        covered += low <= 0.1 <= high
    assert 180 <= covered <= 199


# What labels say, and how far two annotators agree


def test_what_labels_say_by_hand():
    assert list(multilabel.chosen(training(LABELS), "fit")) == ["tight", "loose", "loose", "loose"]
    table = multilabel.imbalance_table(LABELS, VALUES, TYPES)
    assert list(table.index) == ["sleeve", "fit"] and list(table["values"]) == [3, 2]
    assert np.allclose(table["effective"], 1 / (9 / 16 + 1 / 16))
    assert list(table["most common"]) == ["long", "loose"] and list(table["share"]) == [3 / 4] * 2
    assert list(table["rarest"]) == ["none", "tight"] and list(table["pictures"]) == [0, 1]


@given(st.integers(1, 9))
def test_equally_frequent_values_are_all_effective(k):
    assert np.isclose(multilabel.effective_values(np.full(k, 1 / k)), k)


def test_co_occurrence_by_hand():
    expected = [
        [1, 0, 0, 1 / 3, 2 / 3],
        [0, 1, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 1, 0],
        [2 / 3, 1 / 3, 0, 0, 1],
    ]
    assert np.allclose(multilabel.co_occurrence(LABELS), expected)


def test_co_occurrence_of_our_labels_counts_beyond_a_byte(ours):
    shares = multilabel.co_occurrence(ours.labels)
    assert np.array_equal(np.diag(shares), np.ones(23))
    for columns in attribute_labels.columns_of_types(ours.types).values():
        assert np.allclose(shares[:, columns].sum(axis=1), 1)  # one value of each type


def test_pairs_by_hand():
    table = multilabel.pairs_table(LABELS, VALUES, TYPES)
    assert len(table) == 2 * 3 * 2
    rows = table.set_index(["given", "value"])
    assert rows.loc[("long", "tight")].tolist() == pytest.approx([3, 1 / 3, 1 / 4, 1 / 12])
    assert rows.loc[("tight", "long")].tolist() == pytest.approx([1, 1, 3 / 4, 1 / 4])


def test_agreement_by_hand():
    table = multilabel.agreement_table(LABELS, PREDICTED, TYPES)
    assert list(table.index) == ["sleeve", "fit"]
    assert np.allclose(table["equal"], [3 / 4, 2 / 4])
    assert np.allclose(table["chance"], [1 / 2, 5 / 8])
    assert np.allclose(table["kappa"], [1 / 2, -1 / 3])


@given(labels_strategy(2), labels_strategy(30))
def test_kappa_is_that_of_scikit_learn(first, second):
    first, second = first[:, :3], second[: len(first), :3]
    assume(multilabel.chance_agreement(first, second) < 1)
    expected = metrics.cohen_kappa_score(first.argmax(axis=1), second.argmax(axis=1))
    assert np.isclose(multilabel.cohen_kappa(first, second), expected)


def test_agreement_is_that_of_the_data_card(ours):
    first, second = attribute_labels.load_annotations(ours)
    card = (attribute_labels.LABEL_FOLDER / "README.md").read_text("utf-8")
    for name, row in multilabel.agreement_table(first.labels, second.labels, ours.types).iterrows():
        assert f"{name} {row['equal']:.3f}, {row['kappa']:.3f}" in card


def test_disagreements_by_hand():
    final = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 1], [0, 1, 0, 0, 1], [1, 0, 0, 1, 0]])
    table = multilabel.disagreements(*map(training, (LABELS, PREDICTED, final)))
    assert table.to_numpy().tolist() == [
        [1, "sleeve", "long", "short", "none", "neither"],
        [0, "fit", "tight", "loose", "tight", "first"],
        [3, "fit", "loose", "tight", "tight", "second"],
    ]
    assert list(table)[:3] == ["position", "type", "first"]


def test_disagreements_of_our_annotators(ours):
    table = multilabel.disagreements(*attribute_labels.load_annotations(ours), ours)
    assert len(table) == 677 and (table["followed"] == "neither").sum() == 1


# Partitions


def combinations(labels):
    return {tuple(row) for row in labels.tolist()}


@given(labels_strategy(), st.integers(1, 6), st.integers(0, 100))
def test_partitions_hold_what_they_promise(labels, count, seed):
    train = training(labels)
    sizes = {c: (labels == c).all(axis=1).sum() for c in combinations(labels)}

    def copies(positions):
        assert (np.diff(positions) >= 0).all() and positions.dtype == np.int64
        rows = labels[positions]
        return {c: (rows == c).all(axis=1).sum() for c in sizes}

    few = multilabel.at_most(train, count, seed)
    assert copies(few) == {c: min(size, count) for c, size in sizes.items()}
    assert multilabel.count_distinct(few) == len(few)
    one = multilabel.one_per_combination(train, seed)
    assert copies(one) == dict.fromkeys(sizes, 1)
    exact = multilabel.exactly(train, count, seed)
    assert copies(exact) == dict.fromkeys(sizes, count)
    assert multilabel.count_distinct(exact) == sum(min(s, count) for s in sizes.values())
    times = np.bincount(exact, minlength=len(labels))
    for combination in sizes:
        here = times[(labels == combination).all(axis=1)]
        assert here.max() - here.min() <= 1
    ranked = multilabel.rank_based(train, count, seed)
    assert len(ranked) == len(labels) and np.bincount(ranked).max() <= count
    assert (np.diff(ranked) >= 0).all()


def test_partitions_are_repeatable_and_depend_on_the_seed(ours):
    train = ours.part("train")
    for draw in (
        lambda seed: multilabel.one_per_combination(train, seed),
        lambda seed: multilabel.at_most(train, 15, seed),
        lambda seed: multilabel.exactly(train, 15, seed),
        lambda seed: multilabel.rank_based(train, 3, seed),
        lambda seed: multilabel.balanced(train, seed),
    ):
        assert np.array_equal(draw(0), draw(0))
        assert not np.array_equal(draw(0), draw(1))


def test_partitions_of_our_labels_differ_as_they_should(ours):
    """At most 15 held the same rows as at most 1 where this comes from."""
    train = ours.part("train")
    one, some = (multilabel.at_most(train, count, 0) for count in (1, 15))
    assert (len(one), len(some)) == (240, 867)
    assert set(one) <= set(some)
    exact = multilabel.exactly(train, 15, 0)
    assert (len(exact), multilabel.count_distinct(exact)) == (240 * 15, 867)


def test_ranks_by_hand():
    """Eight pictures, the rarest first: long alone is on 1, then 2, then 5 pictures."""
    labels = one_of_each(np.array([[0, 1]] + [[1, 1]] * 2 + [[2, 1]] * 5))
    train = training(labels)
    assert multilabel.rank_based(train, 1, 0).tolist() == list(range(8))
    for seed in range(5):
        copies = np.bincount(multilabel.rank_based(train, 4, seed), minlength=8)
        # Expected copies of the first eighth of the ranks: 8 * (1 - (7/8) ** 4) = 3.3.
        assert copies[0] in (3, 4) and copies.sum() == 8
        assert copies[0] >= copies[1:3].max() >= copies[3:].max()
        assert copies[3:].sum() <= 2


def test_ranks_repeat_rare_values_as_often_as_the_formula_says(ours):
    train = ours.part("train")
    for times in (2, 5):
        copies = np.mean(
            [
                np.bincount(multilabel.rank_based(train, times, s), minlength=1_280)
                for s in range(9)
            ],
            axis=0,
        )
        rare = train.labels[:, [ours.values.index(v) for v in ("striped", "checked")]].any(axis=1)
        assert abs(copies[rare].mean() - times) < 0.1 * times
        assert copies.sum() == 1_280
    with pytest.raises(ValueError, match="at least 1, got 0.5"):
        multilabel.rank_based(train, 0.5, 0)


def test_equally_rare_pictures_are_ranked_at_random():
    train = training(np.repeat(LABELS[:1], 50, axis=0))
    counts = sum(np.bincount(multilabel.rank_based(train, 2, s), minlength=50) for s in range(200))
    assert counts.min() > 120 and counts.max() < 280


def test_balanced_drawing_is_a_type_a_value_and_a_picture_by_lot():
    expected = [1 / 2 * (1 / 2 * 1 / 3 + 1 / 2 * 1), 1 / 2 * (1 / 2 * 1 / 3 + 1 / 2 * 1 / 3)]
    expected += [1 / 2 * (1 / 2 * 1 + 1 / 2 * 1 / 3), 1 / 2 * (1 / 2 * 1 / 3 + 1 / 2 * 1 / 3)]
    draws = [multilabel.balanced(training(LABELS), seed) for seed in range(3_000)]
    assert all(len(draw) == 4 and (np.diff(draw) >= 0).all() for draw in draws)
    assert np.allclose(np.bincount(np.concatenate(draws)) / 12_000, expected, atol=0.02)


# Weights


def test_weights_by_hand():
    weights = multilabel.value_weights(training(LABELS))
    assert np.allclose(weights, [4 / (2 * 3), 4 / (2 * 1), 0, 4 / (2 * 1), 4 / (2 * 3)])
    assert weights.dtype == np.float32


def test_weights_balance_each_type(ours):
    train = ours.part("train")
    weighted = multilabel.value_weights(train) * train.labels
    for columns in attribute_labels.columns_of_types(train.types).values():
        assert np.isclose(weighted[:, columns].sum(), len(train))
        assert np.allclose(weighted[:, columns].sum(axis=0), len(train) / len(columns))


@pytest.mark.parametrize(
    "learn",
    [
        lambda train: multilabel.constant_prediction(train, 1),
        lambda train: multilabel.one_per_combination(train, 0),
        lambda train: multilabel.at_most(train, 1, 0),
        lambda train: multilabel.exactly(train, 1, 0),
        lambda train: multilabel.rank_based(train, 2, 0),
        lambda train: multilabel.balanced(train, 0),
        multilabel.value_weights,
    ],
)
def test_nothing_is_learned_from_other_parts(learn):
    learn(training(LABELS))
    for part in ("validation", "test"):
        with pytest.raises(ValueError, match=f"got some of the {part} part"):
            learn(training(LABELS, part))


def test_values_of_each_type_are_counted():
    predicted = np.array([[[1, 1, 0, 0, 0], [1, 0, 0, 0, 1]]])
    assert multilabel.count_per_type(predicted, TYPES).tolist() == [[[2, 0], [1, 1]]]
    mixed = ("fit", "sleeve", "fit", "sleeve", "sleeve")  # columns of a type need not be neighbors
    assert multilabel.count_per_type(predicted[0], mixed).tolist() == [[1, 1], [1, 1]]


def test_scores_of_several_kinds_by_hand():
    impossible = np.array([[1, 1, 0, 0, 0]] * 4)
    answers = {"runs": np.stack([PREDICTED, LABELS]), "one": impossible}
    table = multilabel.score_table(LABELS, answers, TYPES)
    assert table.index.tolist() == ["runs", "runs", "one"]
    assert table["yes or no"].tolist() == [1 - 6 / 20, 1, (3 + 3 + 3 + 3) / 20]
    assert table["micro F1"].tolist() == [5 / 8, 1, 4 / 8]
    assert table["exact match"].tolist() == [1 / 4, 1, 0]
    assert table["impossible"].tolist() == [0, 0, 1]
    expected = [
        metrics.f1_score(LABELS, one, average="macro", zero_division=0)
        for one in (PREDICTED, LABELS, impossible)
    ]
    assert np.allclose(table["macro F1"], expected)
    accuracies = multilabel.type_table(LABELS, answers, TYPES)
    assert accuracies.index.tolist() == ["runs", "runs", "one"]
    assert accuracies["sleeve"].tolist() == [3 / 4, 1, 0]
    assert accuracies["fit"].tolist() == [2 / 4, 1, 0]


def test_several_runs_have_a_spread_and_one_has_none():
    table = pd.DataFrame({"score": [0.5, 0.7, 0.25]}, index=["many", "many", "one"])
    summary = multilabel.summarize_runs(table)
    assert summary["score"].to_dict() == {"many": "0.600 ± 0.141", "one": "0.250"}
    assert summary["runs"].to_dict() == {"many": 2, "one": 1}


def test_mistakes_name_picture_type_and_both_values():
    probabilities = np.array(
        [
            [0.7, 0.2, 0.1, 0.6, 0.4],
            [0.3, 0.6, 0.1, 0.4, 0.6],
            [0.9, 0.1, 0.0, 0.2, 0.8],
            [1.0, 0.0, 0.0, 0.2, 0.8],
        ]
    )
    table = multilabel.mistakes(probabilities, LABELS, VALUES, TYPES)
    assert table.to_dict("list") == {
        "position": [2, 1],
        "type": ["sleeve", "sleeve"],
        "label": ["short", "long"],
        "predicted": ["long", "short"],
        "certainty": [0.9, 0.6],
    }
    fit = multilabel.mistakes(1 - probabilities, LABELS, VALUES, TYPES)
    assert set(fit["type"]) == {"sleeve", "fit"} and len(fit) == 4 + 4
    assert fit["certainty"].is_monotonic_decreasing


def test_what_was_not_run_is_said_in_words():
    scores = {("a", 80): np.array([0.5, 0.6]), ("b", 320): np.array([0.25])}
    table = multilabel.curve_table(scores, ["a", "b", "c"], [80, 320])
    assert table.loc["a"].tolist() == ["0.550 ± 0.071", "not run"]
    assert table.loc["b"].tolist() == ["not run", "0.250"]
    assert table.loc["c"].tolist() == ["not run", "not run"]


def test_metrics_of_runs_are_those_that_are_compared():
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.int8)[rng.integers(0, 3, 20)]
    predicted = np.eye(3, dtype=np.int8)[rng.integers(0, 3, (2, 20))]
    table = multilabel.run_metrics(labels, predicted)
    assert list(table) == list(multilabel.METRICS) and len(table) == 2
    assert np.allclose(table["mean accuracy"], (predicted == labels).all(axis=2).mean(axis=1))
    assert np.allclose(table["macro F1"], multilabel.macro_f1(labels, predicted))
