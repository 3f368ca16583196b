"""Figures of several labels show each garment, value and number in its place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from garment_utils import attribute_plots, multilabel
from garment_utils.attribute_labels import Attributes
from garment_utils.data import Split

VALUES = ("long_sleeve", "sleeveless", "fitted", "loose")
TYPES = ("sleeve", "sleeve", "fit", "fit")
# 7 garments: long sleeve and fitted, six times; sleeveless and loose, once.
LABELS = np.array([[1, 0, 1, 0]] * 6 + [[0, 1, 0, 1]], dtype=np.int8)
PART = Attributes(
    values=VALUES,
    types=TYPES,
    labels=LABELS,
    boxes=np.zeros((7, 4), dtype=np.int32),
    parts=np.array(["train"] * 7, dtype=object),
    categories=np.zeros(7, dtype=np.int16),
)
# Garment i is a plain square of gray level i.
IMAGES = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None], (7, 28, 28))


pytestmark = pytest.mark.usefixtures("close_figures")


def picture_of(ax):
    return np.asarray(ax.images[0].get_array())


def test_examples_have_the_value_they_stand_for():
    figure = attribute_plots.plot_value_examples(IMAGES, PART, np.random.default_rng(0))
    drawn = {ax.get_title(): np.unique(picture_of(ax)).tolist() for ax in figure.axes if ax.images}
    assert list(drawn) == [
        "sleeve:\nlong sleeve",
        "sleeve:\nsleeveless",
        "fit:\nfitted",
        "fit:\nloose",
    ]
    for name in ("sleeve:\nlong sleeve", "fit:\nfitted"):
        assert len(drawn[name]) == 4 and max(drawn[name]) < 6  # four garments, all different
    assert drawn["sleeve:\nsleeveless"] == drawn["fit:\nloose"] == [6, 255]  # there is one alone


def test_examples_are_drawn_at_random():
    rng = np.random.default_rng(0)
    first, second = (
        picture_of(attribute_plots.plot_value_examples(IMAGES, PART, rng).axes[0]) for _ in range(2)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ([1000, 3, 2, 7], ["1,000", "3", "2", "7"]),
        ([0.5, 0.25, 1, 0], ["0.50", "0.25", "1.00", "0.00"]),
    ],
)
def test_values_stand_beside_their_bars(numbers, written):
    ax = attribute_plots.plot_values(numbers, VALUES, TYPES, label="garments")
    labels = [text.get_text() for text in ax.get_yticklabels()]
    names = dict(zip(ax.get_yticks(), labels, strict=True))
    bars = {names[bar.get_y() + bar.get_height() / 2]: bar.get_width() for bar in ax.patches}
    plain = ["long sleeve", "sleeveless", "fitted", "loose"]
    assert bars == dict(zip(plain, numbers, strict=True))
    assert labels == ["sleeve", *plain[:2], "fit", *plain[2:]]
    assert [text.get_text() for text in ax.texts] == written


def test_values_of_a_type_need_not_be_neighbors():
    types = ("sleeve", "fit", "fit", "sleeve")
    ax = attribute_plots.plot_values([4, 3, 2, 1], VALUES, types, label="garments")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["sleeve", "long sleeve", "loose", "fit", "sleeveless", "fitted"]
    assert [bar.get_width() for bar in ax.patches] == [4, 1, 3, 2]


def test_co_occurrence_has_the_given_value_in_rows():
    shares = multilabel.co_occurrence(np.array([[1, 0, 1, 0], [1, 0, 0, 1]]))
    ax = attribute_plots.plot_co_occurrence(shares, VALUES, TYPES)
    drawn = ax.images[0].get_array()
    assert drawn[0, 2] == 1 / 2 and drawn[2, 0] == 1
    same = np.kron(np.eye(2), np.ones((2, 2))) == 1
    assert np.array_equal(np.ma.getmaskarray(drawn), same)
    assert ax.get_ylabel().startswith("of the garments with") and "too" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_yticklabels()][0] == "long sleeve"


def test_agreement_is_drawn_from_chance():
    table = pd.DataFrame(
        {"equal": [0.75, 0.9], "chance": [0.5, 0.6], "kappa": [0.5, 0.75]}, index=["fit", "sleeve"]
    )
    ax = attribute_plots.plot_agreement(table)
    way, reached = (np.array(lines.get_segments())[:, :, 0] for lines in ax.collections)
    assert np.allclose(way, [[0.5, 1], [0.6, 1]])
    assert np.allclose(reached, [[0.5, 0.75], [0.6, 0.9]])
    assert [text.get_text() for text in ax.texts] == ["κ = 0.50", "κ = 0.75"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["fit", "sleeve"]


def test_disagreements_stand_over_their_own_garment():
    table = pd.DataFrame(
        {
            "position": [6, 2],
            "type": ["sleeve", "fit"],
            "first": ["long_sleeve", "loose"],
            "second": ["sleeveless", "fitted"],
            "final": ["sleeveless", "loose"],
        },
        index=[40, 7],
    )
    figure = attribute_plots.plot_disagreements(IMAGES, table)
    one, other = (ax for ax in figure.axes if ax.images)
    assert one.get_title() == "sleeve\n1: long sleeve\n2: sleeveless\nfinal: sleeveless"
    assert other.get_title() == "fit\n1: loose\n2: fitted\nfinal: loose"
    assert (picture_of(one) == 6).all() and (picture_of(other) == 2).all()


def test_rescues_have_the_color_of_their_interval():
    scores = ["macro F1", "exact match"]
    differences = {
        "weights": pd.DataFrame([[0.1, -0.2], [0.3, -0.3]], columns=scores),
        "by rank": pd.DataFrame([[-0.2, 0.1], [0.2, 0.4]], columns=scores),
    }
    intervals = {
        "weights": pd.DataFrame({"low": [0.05, -0.4], "high": [0.35, -0.1]}, index=scores),
        "by rank": pd.DataFrame({"low": [-0.3, -0.1], "high": [0.3, 0.5]}, index=scores),
    }
    figure = attribute_plots.plot_rescues(differences, intervals)
    colors = {"macro F1": ["C0", "0.6"], "exact match": ["C1", "0.6"]}
    for ax in figure.axes:
        name = ax.get_title()
        for row, (way, color) in enumerate(zip(intervals, colors[name], strict=True)):
            [[(low, at), (high, _)]] = ax.collections[row].get_segments()
            assert [low, high] == intervals[way].loc[name].tolist() and at == row
            assert same_color(ax.collections[row].get_color()[0], color)
            strokes = ax.lines[row]
            assert np.array_equal(strokes.get_xdata(), differences[way][name])
            assert set(strokes.get_ydata()) == {row}
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["weights", "by rank"]
    assert len(figure.axes) == 2


def same_color(first, second):
    return np.allclose(to_rgba(first)[:3], to_rgba(second)[:3])


def test_values_with_few_pictures_are_marked_and_rare_ones_bold():
    scores = {
        "plain": np.array([[0.2, 0.4, 0.6], [0.4, 0.4, 0.8]]),
        "rescue": np.array([[0.5, 0.1, 0.9], [0.7, 0.1, 0.9]]),
    }
    ax = attribute_plots.plot_value_f1(
        scores, ["v_neckline", "loose", "solid"], [9, 10, 70], rare=[True, True, False], few=10
    )
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["v neckline", "loose", "solid"]
    assert [label.get_fontweight() for label in labels] == ["bold", "bold", "normal"]
    assert [text.get_text() for text in ax.texts] == ["9 *", "10", "70"]
    drawn = {}
    for line in ax.lines:
        hollow = line.get_markerfacecolor() == "white"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            if line.get_marker() == "o":
                drawn[round(y)] = drawn.get(round(y), []) + [(round(x, 3), hollow)]
    assert drawn == {
        0: [(0.3, True), (0.6, True)],
        1: [(0.4, False), (0.1, False)],
        2: [(0.7, False), (0.9, False)],
    }
    spread = ax.collections[0].get_segments()[0][:, 0]  # plain, first value
    assert np.allclose(spread, [0.3 - np.std([0.2, 0.4], ddof=1), 0.3 + np.std([0.2, 0.4], ddof=1)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["plain", "rescue"]


SPLIT = Split("test", IMAGES.copy(), LABELS.copy(), np.arange(7))


def test_scores_stand_at_their_values_and_those_of_the_label_are_of_another_color():
    scores = {"one": [0.9, 0.1, 0.25, 0.75], "other": [0.4, 0.6, 0.5, 0.5]}
    figure = attribute_plots.plot_attribute_scores(SPLIT, 6, scores, PART)
    picture, *panels = figure.axes
    assert (picture_of(picture) == 6).all()
    assert [ax.get_title() for ax in panels] == ["one", "other"]
    for ax, numbers in zip(panels, scores.values(), strict=True):
        assert [bar.get_width() for bar in ax.patches] == numbers
        colors = [bar.get_facecolor() for bar in ax.patches]
        assert colors == [to_rgba("C0"), to_rgba("C2")] * 2  # it is sleeveless and loose
    assert [text.get_text() for text in panels[0].texts] == ["0.90 ◂", "0.10", "0.25", "0.75 ◂"]


def test_what_was_chosen_can_be_told():
    scores, chosen = {"top": [0.9, 0.8, 0.1, 0.2]}, {"top": [1, 1, 0, 0]}
    figure = attribute_plots.plot_attribute_scores(SPLIT, 0, scores, PART, chosen=chosen)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert texts == ["0.90 ◂", "0.80 ◂", "0.10", "0.20"]


def test_scores_follow_their_values_when_types_are_mixed():
    order = [0, 2, 1, 3]
    mixed = replace(
        PART,
        values=tuple(VALUES[k] for k in order),
        types=tuple(TYPES[k] for k in order),
        labels=LABELS[:, order].copy(),
    )
    split = Split("test", IMAGES.copy(), LABELS[:, order].copy(), np.arange(7))
    scores = np.array([0.9, 0.1, 0.25, 0.75])
    panels = [
        attribute_plots.plot_attribute_scores(*given).axes[1]
        for given in ((SPLIT, 6, {"": scores}, PART), (split, 6, {"": scores[order]}, mixed))
    ]
    for what in (
        lambda ax: [bar.get_width() for bar in ax.patches],
        lambda ax: [bar.get_facecolor() for bar in ax.patches],
        lambda ax: [text.get_text() for text in ax.texts],
    ):
        assert what(panels[0]) == what(panels[1])


def test_accuracies_stand_between_constant_predictor_and_annotators():
    table = pd.DataFrame(
        {"fit": [0.5, 0.6, 0.8, 0.75], "sleeve": [0.6, 0.9, 0.9, 0.95]},
        index=["constant", "many", "many", "one"],
    )
    agreement = pd.Series({"sleeve": 0.99, "fit": 0.87})
    ax = attribute_plots.plot_type_accuracies(table, agreement)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["sleeve", "fit"]
    drawn = {line.get_label(): line.get_xdata().tolist() for line in ax.lines}
    assert drawn["constant predictor"] == [0.6, 0.5]
    assert drawn["agreement of two annotators"] == [0.99, 0.87]
    many, one = ax.containers
    assert (many.get_label(), one.get_label()) == ("many (2 runs)", "one (1 run)")
    assert np.allclose(many.lines[0].get_xdata(), [0.9, 0.7])
    assert np.allclose(one.lines[0].get_xdata(), [0.95, 0.75]) and not one.has_xerr
    spread = np.array(many.lines[2][0].get_segments())[1, :, 0]
    assert np.allclose(spread, [0.7 - np.std([0.6, 0.8], ddof=1), 0.7 + 0.02**0.5])


def test_mistakes_stand_over_their_own_garment():
    table = pd.DataFrame(
        {
            "position": [6, 2],
            "type": ["sleeve", "fit"],
            "label": ["sleeveless", "fitted"],
            "predicted": ["long_sleeve", "loose"],
            "certainty": [0.987, 0.5],
        },
        index=[11, 4],
    )
    figure = attribute_plots.plot_attribute_mistakes(IMAGES, table)
    one, other = (ax for ax in figure.axes if ax.images)
    assert one.get_title() == "sleeve\nlong sleeve 0.99\nlabel: sleeveless"
    assert other.get_title() == "fit\nloose 0.50\nlabel: fitted"
    assert (picture_of(one) == 6).all() and (picture_of(other) == 2).all()


def test_learning_curves_stand_at_their_counts_with_their_spread():
    scores = {("a", 320): [0.5, 0.7], ("a", 80): [0.3, 0.5], ("b", 80): [0.1, 0.1]}
    scores = {key: np.array(values) for key, values in scores.items()}
    doubled = {key: values * 2 for key, values in scores.items()}
    figure = attribute_plots.plot_learning_curves({"macro F1": scores, "double": doubled})
    for ax, factor in zip(figure.axes, (1, 2), strict=True):
        first, second = ax.containers
        assert np.allclose(first[0].get_ydata(), np.array([0.4, 0.6]) * factor)
        assert np.allclose(first[0].get_xdata(), [80, 320], rtol=0.1)
        ends = first[2][0].get_segments()[0][:, 1]
        assert np.allclose(ends, factor * (0.4 + np.array([-1, 1]) * np.std([0.3, 0.5], ddof=1)))
        assert np.allclose(second[0].get_ydata(), [0.1 * factor])
        assert [one.get_label() for one in ax.containers] == ["a", "b"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["macro F1", "double"]


def test_what_differences_are_is_written_below_them():
    intervals = {"x": pd.DataFrame({"low": [0.1], "high": [0.2]}, index=["macro F1"])}
    differences = {"x": pd.DataFrame({"macro F1": [0.15, 0.16]})}
    for options, written in (
        ({}, "difference from plain"),
        ({"label": "difference"}, "difference"),
    ):
        figure = attribute_plots.plot_rescues(differences, intervals, **options)
        assert figure.axes[0].get_xlabel() == written
