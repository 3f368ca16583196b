"""Every figure of the series: functions that draw, return what they drew, and never show it."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display

# One look for all figures, also for those a learner draws after importing this module.
sns.set_theme(style="ticks", palette="colorblind", rc={"axes.spines.right": False})
plt.rcParams.update({"axes.spines.top": False, "axes.titlesize": 11, "axes.labelsize": 10})

DOTS_PER_INCH = 120


def show_figure(figure, name, *, alt):
    """Display a figure with its name and a text for those who cannot see it; then close it.

    The reports take the figure from the notebook's output: ``name`` becomes the file's name.

    Args:
        figure: Matplotlib figure, or anything with an attribute ``figure``, such as Axes.
        name: short, in snake_case, different for each figure of a notebook.
        alt: what the axes are and what the figure shows, without typed results.
    """
    figure = figure.figure
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DOTS_PER_INCH, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    png = base64.b64encode(buffer.getvalue()).decode()
    data = {"image/png": png, "text/plain": f"Figure {name}"}
    display(data, raw=True, metadata={"image/png": {"alt": alt, "name": name}})


def plot_garment(image, *, title="", ax=None):
    """Draw one garment as it is stored: 0 black, 255 white; return the Axes.

    Args:
        image: ``(28, 28)``, gray levels 0–255.
        title: text above it.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(2, 2))[1]
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()
    return ax


def plot_gallery(images, titles, *, columns=10):
    """Draw garments in rows, each under its title; return the Figure.

    Args:
        images: ``(n, 28, 28)``, gray levels 0–255.
        titles: n texts, in the same order.
        columns: garments in a row.

    Raises:
        ValueError: if there are not as many titles as images.
    """
    if len(images) != len(titles):
        raise ValueError(
            f"expected one title for each image, got {len(titles)} for {len(images)} images"
        )
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(0.9 * columns, 1.15 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        plot_garment(image, title=title, ax=ax)
    return figure


def plot_pixel_values(image, *, title="", corner=(8, 6), size=12):
    """Draw a garment with a color bar, and beside it a part of it with its numbers.

    Args:
        image: ``(28, 28)`` uint8.
        title: text above the garment.
        corner: row and column of the upper left pixel of the part.
        size: side of the part in pixels.

    Returns:
        Figure.
    """
    row, column = corner
    part = image[row : row + size, column : column + size]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.1)  # so that the bar does not belong to the right part
    drawn = left.imshow(image, cmap="gray", vmin=0, vmax=255)
    frame = plt.Rectangle((column - 0.5, row - 0.5), size, size, fill=False, ec="tab:orange", lw=2)
    left.add_patch(frame)
    left.set(title=title, xlabel="column", ylabel="row")
    figure.colorbar(drawn, ax=left, label="gray level", shrink=0.8)
    extent = (column - 0.5, column + size - 0.5, row + size - 0.5, row - 0.5)
    right.imshow(part, cmap="gray", vmin=0, vmax=255, extent=extent)
    for (i, j), value in np.ndenumerate(part):
        color = "black" if value > 127 else "white"
        right.text(column + j, row + i, value, ha="center", va="center", fontsize=8, color=color)
    right.set(title="the pixels inside the frame, as numbers", xlabel="column", ylabel="row")
    return figure


def plot_class_counts(counts, *, ax=None):
    """Draw how many garments of each class each part holds; return the Axes.

    Args:
        counts: DataFrame, one row a class (its name is the index), one column a part.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(9, 4))[1]
    counts.plot.barh(stacked=True, ax=ax, width=0.8)
    ax.invert_yaxis()
    ax.set(xlabel="garments", ylabel="")
    ax.legend(title="part", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def plot_pixel_histogram(images, *, ax=None):
    """Draw how often each gray level occurs, on a logarithmic axis; return the Axes.

    Args:
        images: ``(n, 28, 28)`` uint8.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(9, 3))[1]
    share = np.bincount(images.ravel(), minlength=256) / images.size
    ax.bar(np.arange(256), share, width=1)
    ax.set(xlabel="gray level", ylabel="share of all pixels", yscale="log", xlim=(-2, 257))
    return ax


def plot_pairs(images, titles, distances):
    """Draw pairs of garments, one under the other, with their distance; return the Figure.

    Args:
        images: dict, name of the upper and of the lower row → ``(n, 28, 28)``, in one order.
        titles: dict, the same names → n texts.
        distances: ``(n,)``, gray levels.
    """
    figure, axes = plt.subplots(
        2, len(distances), figsize=(1.3 * len(distances), 3.4), squeeze=False, layout="constrained"
    )
    for row, name in zip(axes, images, strict=True):
        for ax, image, title in zip(row, images[name], titles[name], strict=True):
            plot_garment(image, title=f"{name}:\n{title}", ax=ax)
    for ax, distance in zip(axes[1], distances, strict=True):
        ax.text(
            0.5,
            -0.04,
            f"distance {distance:.1f}",
            transform=ax.transAxes,
            fontsize=9,
            ha="center",
            va="top",
        )
    return figure


def plot_scales(pixels, *, title=""):
    """Draw one garment on several pixel scales, each with its own color bar; return the Figure.

    Args:
        pixels: dict, name of the scale → ``(28, 28)`` float.
        title: what garment it is.
    """
    figure, axes = plt.subplots(
        1, len(pixels), figsize=(3.6 * len(pixels), 3), squeeze=False, layout="constrained"
    )
    for ax, (name, picture) in zip(axes[0], pixels.items(), strict=True):
        drawn = ax.imshow(picture, cmap="gray")
        ax.set_title(f"{title}, {name}")
        ax.set_axis_off()
        figure.colorbar(drawn, ax=ax, shrink=0.9)
    return figure


def plot_histories(histories, *, metric="accuracy", by="scale"):
    """Draw learning curves side by side: one panel for each value of a column; return the Figure.

    Args:
        histories: DataFrame, one row an epoch of a run, with the columns ``epoch``, ``seed``,
            ``by``, and the metric for training and (``val_…``) validation.
        metric: ``"accuracy"`` or ``"loss"``.
        by: column whose values become panels, in the order they come.
    """
    groups = list(histories.groupby(by, sort=False))
    figure, axes = plt.subplots(
        1, len(groups), figsize=(3.6 * len(groups), 3.4), sharey=True, layout="constrained"
    )
    for ax, (name, group) in zip(np.atleast_1d(axes), groups, strict=True):
        for column, color, label in (
            (metric, "C0", "training"),
            (f"val_{metric}", "C1", "validation"),
        ):
            curves = group.pivot(index="epoch", columns="seed", values=column)
            ax.plot(curves, color=color, alpha=0.4, lw=1)
            ax.plot(curves.mean(axis=1), color=color, lw=3, label=f"{label}, mean")
        ax.set(title=name, xlabel="epoch", xticks=sorted(group["epoch"].unique()))
    np.atleast_1d(axes)[0].set_ylabel(metric)
    np.atleast_1d(axes)[-1].legend(frameon=False, loc="lower right", title="thin: single runs")
    return figure


def plot_spread(scores, published, *, ax=None):
    """Draw each run as a point, the mean of each group, and single published numbers beside them.

    Args:
        scores: Series of accuracies, its index the name of the group of each run.
        published: dict, group name → one published accuracy.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(9, 3))[1]
    groups = list(dict.fromkeys(scores.index))
    rows = np.array([groups.index(group) for group in scores.index])
    # Runs with the same score would hide each other: the points of a row step down a little.
    step = pd.Series(rows).groupby(rows).cumcount() / 20 - 0.1
    ax.plot(scores, rows + step, "o", color="C0", alpha=0.6, ms=7, label="one of our runs")
    means = [scores[group].mean() for group in groups]
    ax.plot(means, range(len(groups)), "|", color="C0", ms=28, mew=3, label="mean of our runs")
    rows = [groups.index(group) for group in published]
    single = {"color": "C1", "ms": 11, "mew": 2, "mfc": "none", "label": "one published run"}
    ax.plot(list(published.values()), rows, "D", **single)
    ax.set(yticks=range(len(groups)), yticklabels=groups, xlabel="accuracy", xlim=(0, 1))
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, markerscale=0.6)
    return ax


def plot_first_step(steps):
    """Draw each measured quantity in a panel of its own, one point a pixel scale.

    Args:
        steps: DataFrame, one row a pixel scale (its name is the index), one column a quantity;
            drawn on logarithmic axes, because the scales differ by powers of ten.

    Returns:
        Figure.
    """
    figure, axes = plt.subplots(
        1, len(steps.columns), figsize=(3.6 * len(steps.columns), 2.8), layout="constrained"
    )
    for ax, column in zip(axes, steps.columns, strict=True):
        ax.plot(steps.index, steps[column], "o", ms=9)
        for name, value in steps[column].items():
            ax.annotate(
                f"{value:,.3g}", (name, value), (0, 9), textcoords="offset points", ha="center"
            )
        ax.set(title=column, yscale="log")
        ax.margins(x=0.25)
        # At least two powers of ten, so that equal values look equal.
        ax.set_ylim(steps[column].min() / 10, steps[column].max() * 10)
    return figure
