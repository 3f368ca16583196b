"""Figures show what they are given: each picture under its own title, each number in its place."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from garment_utils import data, plots
from garment_utils.photos import Steps

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)


pytestmark = pytest.mark.usefixtures("close_figures")


def picture_of(ax):
    return np.asarray(ax.images[0].get_array())


def test_each_garment_stands_under_its_own_title():
    figure = plots.plot_gallery(IMAGES, [f"garment {i}" for i in range(7)], columns=4)
    drawn = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 8 and len(drawn) == 7
    for i, ax in enumerate(drawn):
        assert ax.get_title() == f"garment {i}"
        assert np.array_equal(picture_of(ax), IMAGES[i])


def test_gallery_refuses_other_numbers_of_titles():
    with pytest.raises(ValueError, match="got 6 for 7 images"):
        plots.plot_gallery(IMAGES, ["a"] * 6)


def test_garments_share_one_gray_scale():
    """A dark garment stays dark: no picture is stretched to its own range."""
    ax = plots.plot_garment(np.full((28, 28), 30, np.uint8))
    assert ax.images[0].get_clim() == (0, 255)


def test_pixel_values_are_written_where_the_pixels_are():
    figure = plots.plot_pixel_values(IMAGES[0], corner=(5, 9), size=4)
    right = figure.axes[1]
    written = {text.get_position(): text.get_text() for text in right.texts}
    for row in range(5, 9):
        for column in range(9, 13):
            assert written[column, row] == str(IMAGES[0][row, column])
    assert right.images[0].get_extent() == [8.5, 12.5, 8.5, 4.5]


def test_class_counts_are_drawn_in_order():
    counts = pd.DataFrame({"train": [5, 6], "test": [1, 2]}, index=["Bag", "Coat"])
    ax = plots.plot_class_counts(counts)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Bag", "Coat"]
    assert [bar.get_width() for bar in ax.containers[0]] == [5, 6]
    assert [bar.get_x() for bar in ax.containers[1]] == [5, 6]


def test_pixel_histogram_counts_shares():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 0, :7] = 200
    bars = plots.plot_pixel_histogram(image).patches
    assert bars[200].get_height() == pytest.approx(7 / 784)
    assert bars[0].get_height() == pytest.approx(777 / 784)


def test_pairs_stay_together():
    images = {"test": IMAGES[:3], "training": IMAGES[3:6]}
    titles = {"test": ["a", "b", "c"], "training": ["d", "e", "f"]}
    figure = plots.plot_pairs(images, titles, [1.0, 2.0, 3.0])
    upper, lower = figure.axes[:3], figure.axes[3:]
    for i in range(3):
        assert np.array_equal(picture_of(upper[i]), IMAGES[i])
        assert np.array_equal(picture_of(lower[i]), IMAGES[3 + i])
        assert upper[i].get_title().endswith("abc"[i])
        assert lower[i].get_title().endswith("def"[i])
        assert lower[i].texts[0].get_text() == f"distance {i + 1}.0"


def test_scales_keep_their_own_color_bar():
    pixels = {"raw": IMAGES[0].astype("float32"), "divided": IMAGES[0] / np.float32(255)}
    figure = plots.plot_scales(pixels, title="Coat")
    for ax, (name, values) in zip(figure.axes, pixels.items(), strict=False):
        assert ax.get_title() == f"Coat, {name}"
        assert ax.images[0].get_clim() == (values.min(), values.max())


def histories():
    rows = [
        {"scale": scale, "seed": seed, "epoch": epoch, "accuracy": a, "val_accuracy": a + 0.1}
        for scale, a in (("raw", 0.1), ("divided", 0.5))
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def test_histories_have_a_panel_for_each_scale():
    figure = plots.plot_histories(histories())
    assert [ax.get_title() for ax in figure.axes] == ["raw", "divided"]
    for ax, accuracy in zip(figure.axes, (0.1, 0.5), strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        assert len(ax.lines) == 2 * (2 + 1)  # two runs and their mean, of both parts
        assert set(lines["training, mean"].get_ydata().round(6)) == {accuracy}
        assert set(lines["validation, mean"].get_ydata().round(6)) == {accuracy + 0.1}
        assert list(lines["training, mean"].get_xdata()) == [1, 2, 3]


def test_spread_puts_each_run_into_its_row():
    scores = pd.Series([0.1, 0.2, 0.7, 0.9], index=["raw", "raw", "divided", "divided"])
    ax = plots.plot_spread(scores, {"divided": 0.78})
    points = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    rounded = [[x, round(y)] for x, y in points["one of our runs"]]
    assert rounded == [[0.1, 0], [0.2, 0], [0.7, 1], [0.9, 1]]
    assert np.allclose(points["mean of our runs"], [[0.15, 0], [0.8, 1]])
    assert points["one published run"] == [[0.78, 1]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["raw", "divided"]


def test_first_step_lets_equal_values_look_equal():
    steps = pd.DataFrame({"a": [1e-3, 1e-3], "b": [900.0, 0.8]}, index=["raw", "divided"])
    figure = plots.plot_first_step(steps)
    for ax, column in zip(figure.axes, steps, strict=True):
        assert list(ax.lines[0].get_ydata()) == list(steps[column])
        low, high = ax.get_ylim()
        assert high / low >= 99


def test_a_single_panel_is_drawn_as_several_are():
    (ax,) = plots.plot_first_step(pd.DataFrame({"a": [1.0]}, index=["raw"])).axes
    assert ax.get_title() == "a"
    (ax,) = plots.plot_map_sizes({"garment": IMAGES[0]}).axes
    assert np.array_equal(picture_of(ax), IMAGES[0])


def test_show_figure_keeps_name_and_alt_text_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr(
        plots, "display", lambda data, raw, metadata: shown.append((data, metadata))
    )
    plots.show_figure(plots.plot_gallery(IMAGES, list("abcdefg")), "gallery", alt="Seven garments.")
    ((data, metadata),) = shown
    assert metadata == {"image/png": {"alt": "Seven garments.", "name": "gallery"}}
    assert data["text/plain"] == "Figure gallery" and data["image/png"].startswith("iVBOR")
    assert not plt.get_fignums()  # else JupyterLab would draw it a second time


def cells_of(ax):
    """Return the text of each cell of a table: (row, column) → text."""
    texts = {}
    for text in ax.texts:
        column, row = text.get_position()
        texts[row, column] = text.get_text()
    return texts


def test_confusion_has_actual_rows_and_predicted_columns():
    names = [f"class {i}" for i in range(10)]
    table = np.arange(100).reshape(10, 10)
    ax = plots.plot_confusion(table, names)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("actual", "predicted")
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    assert [label.get_text() for label in ax.get_xticklabels()] == names
    assert list(ax.get_yticks()) == list(ax.get_xticks()) == list(range(10))
    # What is written and what is colored stands where the axes say: row 2, column 7.
    assert cells_of(ax) == {(row, column): str(v) for (row, column), v in np.ndenumerate(table)}
    assert picture_of(ax)[2, 7] == 27
    low, high = ax.get_ylim()
    assert low > high  # the first row is the upper one, as in the table


def test_confusion_colors_mistakes_alone():
    table = np.diag(np.full(10, 900))
    table[6, 0] = 90
    picture = plots.plot_confusion(table, list("abcdefghij")).images[0]
    assert picture.get_clim() == (0, 90)
    assert picture.get_array().mask.diagonal().all() and picture.get_array().mask.sum() == 10


def test_confusion_writes_shares_with_two_decimals_and_tells_zero_from_small():
    shares = np.full((10, 10), 0.158)
    shares[0, 1], shares[0, 2] = 0, 0.004
    texts = cells_of(plots.plot_confusion(shares, list("abcdefghij")))
    assert (texts[0, 1], texts[0, 2], texts[6, 0]) == ("0", "0.00", "0.16")


def test_confusion_change_has_actual_rows_and_predicted_columns():
    change = np.zeros((10, 10))
    change[2, 7], change[7, 2] = 0.25, -0.125
    ax = plots.plot_confusion_change(change, list("abcdefghij"))
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("actual", "predicted")
    texts = cells_of(ax)
    assert (texts[2, 7], texts[7, 2], texts[0, 0]) == ("+0.25", "-0.12", "0")
    assert np.array_equal(picture_of(ax), change)
    assert ax.images[0].get_clim() == (-0.25, 0.25)  # no change is white


def test_walks_have_a_line_each():
    ax = plots.plot_walks({"slow": [1e-6, 2e-6], "fast": [0.1, 0.2]})
    assert ax.get_yscale() == "log"
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["slow", "fast"]
    assert list(lines["fast"].get_xdata()) == [1, 2]
    assert list(lines["slow"].get_ydata()) == [1e-6, 2e-6]


def test_costs_draw_networks_on_all_images_and_one_of_them_on_fewer():
    columns = ["arm", "seconds", "parameters", "images", "accuracy"]
    rows = [("big", 100, 9, 55, 0.9), ("small", 10, 1, 55, 0.8)]
    rows += [("small, longer", 20, 1, 55, 0.85), ("small, 5,000 images", 10, 1, 5, 0.6)]
    figure = plots.plot_costs(pd.DataFrame(rows, columns=columns))
    drawn = {
        ax.get_xlabel(): sorted(
            (x, y) for line in ax.lines for x, y in zip(*line.get_data(), strict=True)
        )
        for ax in figure.axes
    }
    assert drawn == {
        "seconds of fitting": [(10, 0.8), (20, 0.85), (100, 0.9)],
        "parameters": [(1, 0.8), (1, 0.85), (9, 0.9)],
        "training images": [(5, 0.6), (55, 0.8)],
    }


def test_spread_names_its_axis():
    scores = pd.Series([0.1, 0.2], index=["a", "a"])
    assert plots.plot_spread(scores, {}).get_xlabel() == "accuracy"
    assert plots.plot_spread(scores, {}, label="share").get_xlabel() == "share"


def test_resamples_are_drawn_with_interval_and_runs():
    ax = plots.plot_resamples(np.array([3, 3, 3, 5]), (2.5, 5.5), [4, 9, 11], label="mistakes")
    bars = {bar.get_x() + 0.5: bar.get_height() for bar in ax.containers[0]}
    assert bars == {3: 0.75, 5: 0.25} and ax.get_xlabel() == "mistakes"
    assert [line.get_xdata()[0] for line in ax.lines] == [4, 9, 11]
    interval = ax.patches[-1]
    assert (interval.get_x(), interval.get_x() + interval.get_width()) == (2.5, 5.5)


def test_pair_totals_put_each_run_into_the_row_of_its_pair():
    ax = plots.plot_pair_totals(np.array([[30, 10], [50, 14]]), ["a – b", "a – c"])
    points = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    rounded = [[x, round(y)] for x, y in points["one run"]]
    assert rounded == [[30, 0], [10, 1], [50, 0], [14, 1]]
    assert points["mean of the runs"] == [[40, 0], [12, 1]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a – b", "a – c"]


def test_pair_differences_tell_which_intervals_contain_zero():
    differences = np.array([[20, -3], [-9, 4]])  # (runs, pairs)
    intervals = np.stack([differences - 8, differences + 8], axis=1)
    ax = plots.plot_pair_differences(differences, intervals, ["a – b", "a – c"])
    points = {line.get_label(): line.get_xydata() for line in ax.lines}
    outside = points["one run, zero outside its interval"]
    inside = points["one run, zero inside its interval"]
    assert [[x, round(y)] for x, y in outside] == [[20, 0], [-9, 0]]
    assert [[x, round(y)] for x, y in inside] == [[-3, 1], [4, 1]]
    drawn = [[line[0][0], line[1][0]] for part in ax.collections for line in part.get_segments()]
    assert drawn == [[12, 28], [-17, -1], [-11, 5], [-4, 12]]


def part_of_seven():
    return data.Split("test", IMAGES.copy(), np.arange(7, dtype=np.uint8), np.arange(7))


@pytest.mark.parametrize("language", ["en", "es"])
def test_titles_of_mistakes_do_not_overlap(language):
    names = data.class_names(language)
    longest = max(range(10), key=lambda label: len(names[label]))
    table = pd.DataFrame({"position": range(7), "label": longest, "predicted": longest})
    table["certainty"] = 0.99
    figure = plots.plot_mistakes(table, part_of_seven(), names)
    figure.canvas.draw()
    boxes = [ax.title.get_window_extent() for ax in figure.axes if ax.get_title()]
    pictures = [ax.get_window_extent() for ax in figure.axes if ax.images]
    assert len(boxes) == len(pictures) == 7
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number] + pictures)
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_mistakes_stand_under_their_own_two_names():
    table = pd.DataFrame({"position": [5, 2, 6], "label": [5, 2, 6], "predicted": [7, 8, 9]})
    table["certainty"] = [0.9, 0.8, 0.7]
    figure = plots.plot_mistakes(table, part_of_seven(), "abcdefghij")
    drawn = [ax for ax in figure.axes if ax.images]
    titles = ["h 0.90\nlabel: f", "i 0.80\nlabel: c", "j 0.70\nlabel: g"]
    assert [ax.get_title() for ax in drawn] == titles
    for ax, position in zip(drawn, table["position"], strict=True):
        assert np.array_equal(picture_of(ax), IMAGES[position])


def test_neighbors_stand_below_their_mistake():
    train = data.Split("train", IMAGES[::-1].copy(), np.arange(7, dtype=np.uint8), np.arange(7))
    table = pd.DataFrame({"position": [5, 2], "neighbor": [0, 4], "distance": [9.0, 8.0]})
    axes = plots.plot_neighbors(table, part_of_seven(), train, "abcdefghij").axes
    assert [ax.get_title() for ax in axes] == ["test:\nf", "test:\nc", "train:\na", "train:\ne"]
    for ax, position in zip(axes, [5, 2, 6, 2], strict=True):
        assert np.array_equal(picture_of(ax), IMAGES[position])
    assert [ax.texts[0].get_text() for ax in axes[2:]] == ["distance 9.0", "distance 8.0"]


def test_a_random_garment_keeps_its_answer():
    """Garments 0 to 3 are right, 4 to 6 are taken for the next class."""
    predicted = np.array([0, 1, 2, 3, 5, 6, 7])
    probabilities = np.full((7, 10), 0.01)
    probabilities[np.arange(7), predicted] = 0.9 - np.arange(7) / 100
    counts, rng, met = np.arange(100).reshape(10, 10), np.random.default_rng(0), set()
    for _ in range(40):
        axes = plots.plot_random_garment(
            part_of_seven(), probabilities, "abcdefghij", rng, counts=counts
        ).axes
        picture, bars, matrix = axes
        position = next(i for i in range(7) if np.array_equal(picture_of(picture), IMAGES[i]))
        met.add(position)
        widths = [bar.get_width() for bar in bars.patches]
        np.testing.assert_allclose(widths, probabilities[position])
        verdict, color = ("right", "C2") if position < 4 else ("wrong", "C3")
        name, label = "abcdefghij"[predicted[position]], "abcdefghij"[position]
        assert picture.get_title() == f"predicted: {name}\nlabel: {label}\n{verdict}"
        assert picture.title.get_color() == color
        frame = matrix.patches[-1]
        assert frame.get_xy() == (predicted[position] - 0.5, position - 0.5)
        assert len(cells_of(matrix)) == 100
        plt.close("all")
    assert met == set(range(7))


def test_a_random_garment_needs_the_answers_to_its_part():
    with pytest.raises(ValueError, match="each of the 7 garments, got 6"):
        plots.plot_random_garment(
            part_of_seven(), np.ones((6, 10)), "abcdefghij", RNG, counts=np.eye(10, dtype=int)
        )


def test_reliability_draws_accuracy_over_certainty_and_garments_below():
    bins = pd.IntervalIndex.from_breaks([0.4, 0.5, 0.6])
    before = pd.DataFrame(
        {"certainty": [0.44, 0.55], "accuracy": [0.3, 0.4], "garments": [9, 70]}, index=bins
    )
    after = before.assign(accuracy=[0.5, 0.6], garments=[20, 59])
    upper, lower = plots.plot_reliability({"before": before, "after": after}).axes
    diagonal, *lines = upper.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    for line, (name, table) in zip(lines, {"before": before, "after": after}.items(), strict=True):
        assert line.get_label() == name
        assert np.array_equal(line.get_xydata(), table[["certainty", "accuracy"]])
    assert [[bar.get_height() for bar in bars] for bars in lower.containers] == [[9, 70], [20, 59]]
    for bars in lower.containers:
        for bar, interval in zip(bars, bins, strict=True):
            assert interval.left - 1e-9 <= bar.get_x() < bar.get_x() + bar.get_width()
            assert bar.get_x() + bar.get_width() <= interval.right


def test_abstention_draws_a_curve_and_a_point_for_each_run():
    curve = pd.DataFrame({"answered": [0.5, 1.0], "accuracy": [1.0, 0.8]})
    points = pd.DataFrame({"answered": [0.5, 0.6], "accuracy": [0.9, 0.95]})
    ax = plots.plot_abstention([curve, curve.assign(accuracy=[1.0, 0.6])], points)
    lines = {line.get_label(): line for line in ax.lines}
    assert len(ax.lines) == 2 + 1 + 1
    assert lines["one run"].get_xydata().tolist() == [[0.5, 1.0], [1.0, 0.8]]
    assert list(lines["if certainty meant nothing"].get_ydata()) == pytest.approx([0.7, 0.7])
    assert np.array_equal(lines["threshold chosen on validation"].get_xydata(), points)


def numbers_of(ax):
    return {place: float(text) for place, text in cells_of(ax).items()}


def test_window_shows_the_numbers_that_are_multiplied():
    kernel = np.array([[-1, 0, 2], [3, -4, 5]])
    figure = plots.plot_window(IMAGES[0], kernel, 9, 4)
    garment, window, table, products = figure.axes
    (frame,) = garment.patches
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (3.5, 8.5, 3, 2)
    part = IMAGES[0][9:11, 4:7].astype(int)
    assert picture_of(window).tolist() == part.tolist()
    assert window.images[0].get_clim() == garment.images[0].get_clim() == (0, 255)
    assert (signed_range(table), signed_range(products)) == (5, np.abs(part * kernel).max())
    for ax, values in ((window, part), (table, kernel), (products, part * kernel)):
        assert numbers_of(ax) == dict(np.ndenumerate(values))
    assert products.get_title().endswith(f" {(part * kernel).sum()}")


def test_filtered_garments_stand_in_their_row_and_column():
    kernels = {"steps": np.array([[-1, 1]]), "blur": np.full((2, 2), 0.25)}
    steps = [RNG.normal(size=(28, 27)) for _ in range(3)]
    maps = {"steps": steps, "blur": [RNG.random((27, 27)) for _ in range(3)]}
    figure = plots.plot_filtered(IMAGES[:3], list("abc"), kernels, maps)
    axes = np.reshape(figure.axes, (4, 3))
    for column, name in enumerate(kernels, start=1):
        assert axes[0, column].get_title() == name
        assert numbers_of(axes[0, column]) == dict(np.ndenumerate(kernels[name]))
        for row in range(3):
            assert np.array_equal(picture_of(axes[row + 1, column]), maps[name][row])
    for row in range(3):
        assert axes[row + 1, 0].get_title() == "abc"[row]
        assert np.array_equal(picture_of(axes[row + 1, 0]), IMAGES[row])
    largest = np.abs(steps).max()  # zero is white, and a column shares its colors
    assert {ax.images[0].get_clim() for ax in axes[1:, 1]} == {(-largest, largest)}
    assert {ax.images[0].get_clim()[0] for ax in axes[1:, 2]} == {0}
    assert [signed_range(ax) for ax in axes[0, 1:]] == [1, 0.25]  # kernels, the blur too


def test_maps_of_all_sizes_are_drawn_to_one_scale():
    maps = {"garment": IMAGES[0], "valid": RNG.normal(size=(26, 26)), "pooled": np.ones((13, 13))}
    figure = plots.plot_map_sizes(maps)
    figure.canvas.draw()
    widths = []
    for ax, (name, values) in zip(figure.axes, maps.items(), strict=True):
        assert ax.get_title() == f"{name}\n{len(values)} × {len(values)}"
        assert np.array_equal(picture_of(ax), values)
        widths.append(ax.get_window_extent().width / len(values))
    assert widths == pytest.approx([widths[0]] * 3, rel=0.02)


def test_feature_maps_stand_under_their_own_channel():
    layers = {"filters": RNG.normal(size=(3, 3, 8)), "maps": RNG.random((26, 26, 8))}
    channels = {"filters": [5, 0], "maps": [7, 2]}
    figure = plots.plot_feature_maps(layers, channels)
    axes = np.reshape(figure.axes, (2, 2))
    for row, name in zip(axes, layers, strict=True):
        assert row[0].get_ylabel() == name
        for ax, channel in zip(row, channels[name], strict=True):
            assert ax.get_title() == f"channel {channel}"
            assert np.array_equal(picture_of(ax), layers[name][:, :, channel])


def test_windows_are_cut_from_their_own_pictures():
    windows = {6: [(3, slice(2, 7), slice(10, 15)), (1, slice(0, 5), slice(23, 28))]}
    figure = plots.plot_windows(IMAGES, windows)
    assert figure.axes[0].get_ylabel() == "channel 6"
    for ax, (position, rows, columns) in zip(figure.axes, windows[6], strict=True):
        assert np.array_equal(picture_of(ax), IMAGES[position][rows, columns])
        assert ax.images[0].get_clim() == (0, 255)  # a dark window stays dark


def signed_range(ax):
    """Return the limit of a color scale around zero, which must be as far below as above."""
    low, high = ax.images[0].get_clim()
    assert low == -high
    return high


def test_hidden_units_have_columns_and_moments_rows():
    moments = {"start": RNG.normal(size=(3, 28, 28)), "epoch 1": RNG.normal(size=(3, 28, 28))}
    figure = plots.plot_hidden_units(moments)
    axes = np.reshape(figure.axes[:6], (2, 3))
    assert [ax.get_title() for ax in axes[0]] == ["unit 0", "unit 1", "unit 2"]
    for row, name in zip(axes, moments, strict=True):
        assert row[0].get_ylabel() == name
        for ax, weights in zip(row, moments[name], strict=True):
            assert np.array_equal(picture_of(ax), weights)
    assert len({signed_range(ax) for ax in axes.flat}) == 1  # one scale for all


def test_class_weights_stand_below_the_mean_garment_of_their_class():
    means, weights = RNG.random((10, 28, 28)) * 255, RNG.normal(size=(10, 28, 28))
    figure = plots.plot_class_weights(means, weights, "abcdefghij")
    axes = np.reshape(figure.axes[:20], (4, 5))
    for label, name in enumerate("abcdefghij"):
        upper, lower = axes[2 * (label // 5) :, label % 5][:2]
        assert upper.get_title() == name
        assert np.array_equal(picture_of(upper), means[label])
        assert np.array_equal(picture_of(lower), weights[label])
        assert signed_range(lower) == pytest.approx(np.quantile(np.abs(weights), 0.99))


def test_biases_are_bars_and_silent_units_points():
    biases = {"start": np.zeros(4), "epoch 6": np.array([0.1, -0.2, 0.3, 0.05])}
    layers = {name: (RNG.random((4, 28, 28)), values) for name, values in biases.items()}
    figure = plots.plot_biases(layers, np.array([False, True, False, True]))
    for ax, (name, values) in zip(figure.axes, biases.items(), strict=True):
        assert ax.get_ylabel() == name
        assert [bar.get_height() for bar in ax.containers[0]] == list(values)
        assert ax.lines[0].get_xydata().tolist() == [[1, values[1]], [3, values[3]]]
    assert figure.get_supylabel() == "bias"


def test_biases_of_another_layer_are_refused():
    with pytest.raises(ValueError, match="a bias for each of 150 hidden units, got 10"):
        plots.plot_biases({"start": (None, np.zeros(10))}, np.zeros(150, bool))


def test_pixel_maps_keep_their_own_color_bar():
    maps = {"gray level": IMAGES[0].astype(float), "change": IMAGES[1] / 1000}
    figure = plots.plot_pixel_maps(maps)
    for ax, (name, values) in zip(figure.axes, maps.items(), strict=False):
        assert ax.get_title() == name and np.array_equal(picture_of(ax), values)
        assert ax.images[0].get_clim() == (0, values.max())


def test_filters_stand_above_their_own_maps():
    filters, maps = RNG.normal(size=(4, 3, 1, 6)), RNG.random((14, 13, 6))
    axes = np.reshape(plots.plot_filters(filters, maps, count=5).axes, (2, 5))
    for number, (upper, lower) in enumerate(axes.T):
        assert upper.get_title() == f"filter {number}"
        assert np.array_equal(picture_of(upper), filters[:, :, 0, number])
        assert np.array_equal(picture_of(lower), maps[:, :, number])
        assert signed_range(upper) == np.abs(filters[..., :5]).max()


def test_liked_pictures_stand_above_the_probability_of_their_class():
    pictures = {"one": RNG.random((10, 28, 28)), "other": RNG.random((10, 28, 28))}
    answers = {name: RNG.random((10, 10)) for name in pictures}
    axes = np.reshape(plots.plot_liked(pictures, answers, "abcdefghij").axes, (2, 10))
    assert [ax.get_title() for ax in axes[0]] == list("abcdefghij")
    for row, name in zip(axes, pictures, strict=True):
        assert row[0].get_ylabel() == name
        for label, ax in enumerate(row):
            assert np.array_equal(picture_of(ax), pictures[name][label])
            assert ax.images[0].get_clim() == (0, 1)
            assert ax.get_xlabel() == f"{answers[name][label, label]:.3f}"


def test_occlusion_maps_stand_below_their_mistake():
    table = pd.DataFrame({"position": [5, 2], "label": [5, 2], "predicted": [7, 8]})
    maps = [np.eye(28), -np.eye(28)]
    figure = plots.plot_occlusions(table, maps, part_of_seven(), "abcdefghij")
    axes = np.reshape(figure.axes[:4], (2, 2))
    titles = ["predicted:\nh\nlabel:\nf", "predicted:\ni\nlabel:\nc"]
    assert [ax.get_title() for ax in axes[0]] == titles
    for (upper, lower), position, values in zip(axes.T, [5, 2], maps, strict=True):
        assert np.array_equal(picture_of(upper), IMAGES[position])
        assert np.array_equal(picture_of(lower), values)
        assert signed_range(lower) == 1
        assert upper.get_ylim() == lower.get_ylim() and upper.get_xlim() == lower.get_xlim()


def test_the_outline_in_an_occlusion_map_is_that_of_what_can_be_seen():
    image = np.full((28, 28), 30, np.uint8)  # too dark to be seen
    image[10:, 5:9] = 200  # down to the border
    part = data.Split("test", image[None], np.zeros(1, np.uint8), np.arange(1))
    table = pd.DataFrame({"position": [0], "label": [0], "predicted": [1]})
    lower = plots.plot_occlusions(table, [np.zeros((28, 28))], part, "abcdefghij").axes[1]
    [line] = [line for drawn in lower.collections for line in drawn.get_paths()]
    corners = line.vertices.min(axis=0).tolist(), line.vertices.max(axis=0).tolist()
    assert corners == ([4.5, 9.5], [8.5, 27.5])


def steps_of_a_photograph():
    """Return steps whose arrays all differ; the garment is the middle of the photograph."""
    photo = RNG.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    mask = np.zeros((60, 50), bool)
    mask[20:40, 10:30] = True
    gray = photo.mean(axis=2).astype(np.uint8)
    return Steps(photo, gray, mask, np.where(mask, 255 - gray, 0).astype(np.uint8), IMAGES[0])


def test_photographs_stand_above_what_is_left_of_them():
    photographs = [RNG.integers(0, 256, (24, 20, 3), dtype=np.uint8) for _ in range(3)]
    figure = plots.plot_photographs(photographs, IMAGES[:3], ["a", "b", "c"])
    for number, (upper, lower) in enumerate(np.reshape(figure.axes, (2, 3)).T):
        assert upper.get_title() == "abc"[number]
        assert np.array_equal(picture_of(upper), photographs[number])
        assert np.array_equal(picture_of(lower), IMAGES[number])
        assert lower.images[0].get_clim() == (0, 255)


def test_photographs_need_as_many_pictures_and_titles():
    photographs = [np.zeros((24, 20, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match="of 3 photographs, got 2 pictures and 3 titles"):
        plots.plot_photographs(photographs, IMAGES[:2], "abc")


def test_steps_are_drawn_in_their_order_and_in_one_gray_scale():
    steps = steps_of_a_photograph()
    axes = plots.plot_steps(steps).axes
    expected = [steps.photo, steps.gray, None, steps.tones, steps.picture]
    for ax, values in zip(axes, expected, strict=True):
        assert ax.images[0].get_clim() == (0, 255)
        assert values is None or np.array_equal(picture_of(ax), values)


def test_the_background_is_veiled_and_the_garment_is_not():
    steps = steps_of_a_photograph()
    found = picture_of(plots.plot_steps(steps).axes[2])
    assert np.array_equal(found[steps.mask], steps.photo[steps.mask])
    assert (found[~steps.mask] >= 204).all()  # nearly white, whatever it was


def test_an_answer_is_drawn_with_its_threshold_and_verdict():
    steps, probabilities = steps_of_a_photograph(), np.linspace(0, 0.5, 11)
    settings = {"threshold": 0.3, "verdict": "unsure", "title": "mine"}
    figure = plots.plot_answer(steps, probabilities, list("abcdefghijk"), **settings)
    left, middle, right = figure.axes
    assert left.get_title() == "mine" and np.array_equal(picture_of(left), steps.photo)
    assert np.array_equal(picture_of(middle), steps.picture)
    assert right.get_title() == "verdict: unsure"
    assert [bar.get_width() for bar in right.patches] == list(probabilities)
    assert [label.get_text() for label in right.get_yticklabels()] == list("abcdefghijk")
    [line] = right.collections[0].get_segments()
    assert line.tolist() == [[0.3, 9.5], [0.3, 10.5]]  # beside the last bar, something else


@pytest.mark.parametrize(("threshold", "place"), [(0.3, 0.5), (0.55, 0.55), (0.8, 0.5)])
def test_the_last_number_stands_beside_its_bar_but_not_on_the_threshold(threshold, place):
    probabilities = np.linspace(0, 0.5, 11)
    settings = {"threshold": threshold, "verdict": "unsure"}
    figure = plots.plot_answer(
        steps_of_a_photograph(), probabilities, list("abcdefghijk"), **settings
    )
    number = figure.axes[2].texts[-1]
    assert number.get_text() == "0.500" and number.xy == (place, 10)


def test_what_being_unsure_costs_and_brings():
    digits = np.array([[0.2, 0.4], [0.5, 0.9]])  # (levels, runs)
    ax = plots.plot_unsure([0.1, 0.3], {"digits": digits, "right": digits / 2}, 0.2)
    for line, name, size in zip(ax.lines, ("digits", "right"), (1, 2), strict=False):
        assert line.get_label() == name
        assert line.get_xydata() == pytest.approx(np.array([[0.1, 0.3 / size], [0.3, 0.7 / size]]))
    assert list(ax.lines[2].get_xdata()) == [0.2, 0.2]
    corners = ax.collections[0].get_paths()[0].vertices.tolist()
    assert all(corner in corners for corner in ([0.1, 0.2], [0.1, 0.4], [0.3, 0.5], [0.3, 0.9]))
