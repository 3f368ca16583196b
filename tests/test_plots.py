"""Figures show what they are given: each picture under its own title, each number in its place."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from garment_utils import plots

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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
