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
    lines = [line for title in titles for line in title.split("\n")]
    width = max(0.9, 0.075 * max(map(len, lines)))  # inches: long titles would overlap
    height = width + 0.25 + 0.15 * max(title.count("\n") for title in titles)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
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


def plot_histories(histories, *, by="scale"):
    """Draw learning curves side by side: one panel for each value of a column; return the Figure.

    Args:
        histories: DataFrame, one row an epoch of a run, with the columns ``epoch``, ``seed``,
            ``by``, ``accuracy`` of training and ``val_accuracy`` of validation.
        by: column whose values become panels, in the order they come.
    """
    groups = list(histories.groupby(by, sort=False))
    figure, axes = plt.subplots(
        1, len(groups), figsize=(3.6 * len(groups), 3.4), sharey=True, layout="constrained"
    )
    for ax, (name, group) in zip(np.atleast_1d(axes), groups, strict=True):
        for column, color, label in (
            ("accuracy", "C0", "training"),
            ("val_accuracy", "C1", "validation"),
        ):
            curves = group.pivot(index="epoch", columns="seed", values=column)
            ax.plot(curves, color=color, alpha=0.4, lw=1)
            ax.plot(curves.mean(axis=1), color=color, lw=3, label=f"{label}, mean")
        ax.set(title=name, xlabel="epoch", xticks=sorted(group["epoch"].unique()))
    np.atleast_1d(axes)[0].set_ylabel("accuracy")
    np.atleast_1d(axes)[-1].legend(frameon=False, loc="lower right", title="thin: single runs")
    return figure


def plot_spread(scores, published, *, label="accuracy", ax=None):
    """Draw each run as a point, the mean of each group, and single published numbers beside them.

    Args:
        scores: Series of shares from 0 to 1, its index the name of the group of each run.
        published: dict, group name → one published share.
        label: what the shares are.
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
    ax.set(yticks=range(len(groups)), yticklabels=groups, xlabel=label, xlim=(0, 1))
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
        1,
        len(steps.columns),
        figsize=(3.6 * len(steps.columns), 2.8),
        squeeze=False,
        layout="constrained",
    )
    for ax, column in zip(axes[0], steps.columns, strict=True):
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


def plot_probabilities(probabilities, names, *, label, ax=None):
    """Draw the ten probabilities of one garment as bars, each with its value; return the Axes.

    Args:
        probabilities: ``(10,)`` float.
        names: the ten class names.
        label: the true class; its bar has another color.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(5, 3))[1]
    colors = ["C2" if number == label else "C0" for number in range(len(names))]
    bars = ax.barh(names, probabilities, color=colors)
    ax.bar_label(bars, fmt="%.3f", padding=3, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="probability", xlim=(0, 1.15), xticks=np.linspace(0, 1, 5))
    return ax


def plot_prediction(image, probabilities, names, *, label):
    """Draw one garment with its true name, and beside it its ten probabilities; return the Figure.

    Args:
        image: ``(28, 28)`` uint8.
        probabilities: ``(10,)`` float.
        names: the ten class names.
        label: the true class; its bar has another color.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8, 3), width_ratios=(1, 2), layout="constrained"
    )
    plot_garment(image, title=f"label: {names[label]}", ax=left)
    plot_probabilities(probabilities, names, label=label, ax=right)
    return figure


def plot_random_garment(split, probabilities, names, rng, *, counts):
    """Draw a random garment, what a network says of it, and where that stands among all answers.

    Args:
        split: the part to draw from, a Split of n garments.
        probabilities: ``(n, 10)`` float, the network's answers to this part.
        names: the ten class names.
        rng: NumPy random generator; two calls draw two garments.
        counts: ``(10, 10)`` integers, the network's confusion matrix: row = actual class.

    Returns:
        Figure: the picture with the answer, right or wrong; its ten probabilities; the confusion
        matrix, with a frame around the cell to which this garment belongs.

    Raises:
        ValueError: the probabilities are of another number of garments.
    """
    if len(probabilities) != len(split):
        raise ValueError(
            f"expected one row of probabilities for each of the {len(split):,} garments, "
            f"got {len(probabilities):,}"
        )
    position = rng.integers(len(split))
    label, predicted = split.labels[position], probabilities[position].argmax()
    figure = plt.figure(figsize=(11, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 2.2))
    picture, bars = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    matrix = figure.add_subplot(grid[:, 1])
    plot_garment(split.images[position], ax=picture)
    verdict, color = ("right", "C2") if predicted == label else ("wrong", "C3")
    title = f"predicted: {names[predicted]}\nlabel: {names[label]}\n{verdict}"
    picture.set_title(title, fontsize=11, color=color)
    plot_probabilities(probabilities[position], names, label=label, ax=bars)
    plot_confusion(counts, names, title=f"{split.name} garments, this network", ax=matrix)
    cell = (predicted - 0.5, label - 0.5)
    matrix.add_patch(plt.Rectangle(cell, 1, 1, fill=False, ec="black", lw=3))
    return figure


def plot_mistakes(table, part, names):
    """Draw mistakes in rows, each under its prediction, certainty and label; return the Figure.

    Args:
        table: some rows of a DataFrame made by ``evaluation.mistakes``.
        part: the part in which the mistakes were made, a Split.
        names: the ten class names.
    """
    titles = [
        f"{names[mistake.predicted]} {mistake.certainty:.2f}\nlabel: {names[mistake.label]}"
        for mistake in table.itertuples()
    ]
    return plot_gallery(part.images[table["position"]], titles, columns=6)


def plot_neighbors(table, part, train, names):
    """Draw mistakes above the training garments that look like them and have another label.

    Args:
        table: some rows of a DataFrame made by ``evaluation.with_neighbors``.
        part: the part in which the mistakes were made, a Split.
        train: the part that was searched, a Split.
        names: the ten class names.

    Returns:
        Figure.
    """
    positions = {part.name: (part, table["position"]), train.name: (train, table["neighbor"])}
    images = {name: split.images[chosen] for name, (split, chosen) in positions.items()}
    titles = {
        name: [names[label] for label in split.labels[chosen]]
        for name, (split, chosen) in positions.items()
    }
    return plot_pairs(images, titles, table["distance"])


def plot_reliability(tables):
    """Draw accuracy by certainty, and below it how many garments each bin of certainty holds.

    Args:
        tables: dict, name → DataFrame made by ``evaluation.reliability``.

    Returns:
        Figure. On the dashed diagonal a model is right as often as it says.
    """
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(6.5, 6.5), height_ratios=(2.6, 1), sharex=True, layout="constrained"
    )
    upper.plot([0, 1], [0, 1], "--", color="0.5", lw=1, label="as often right as it says")
    for number, (name, table) in enumerate(tables.items()):
        style = {"color": f"C{number}", "marker": "osD"[number % 3], "label": name}
        upper.plot(table["certainty"], table["accuracy"], **style)
        width = table.index[0].length / len(tables)  # side by side within a bin
        left = [interval.left + number * width for interval in table.index]
        lower.bar(left, table["garments"], 0.9 * width, align="edge", color=f"C{number}")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.legend(frameon=False, loc="upper left")
    lower.set(xlabel="certainty", ylabel="answers in bin")
    return figure


def plot_abstention(curves, points, *, ax=None):
    """Draw the accuracy of the answers by the share of garments that are answered.

    Args:
        curves: list of DataFrames made by ``evaluation.abstention_curve``, one a run.
        points: DataFrame, one row a run, with the columns ``answered`` and ``accuracy``: what a
            threshold chosen elsewhere has led to.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(8, 3.6))[1]
    for number, curve in enumerate(curves):
        label = "one run" if number == 0 else None
        ax.plot(curve["answered"], curve["accuracy"], color="C0", alpha=0.5, lw=1.5, label=label)
    everything = np.mean([curve["accuracy"].iloc[-1] for curve in curves])
    ax.axhline(everything, color="0.5", ls="--", lw=1, label="if certainty meant nothing")
    threshold = {"color": "C1", "ms": 7, "label": "threshold chosen on validation"}
    ax.plot(points["answered"], points["accuracy"], "o", **threshold)
    ax.set(xlabel="share of garments answered", ylabel="accuracy of the answers", xlim=(0, 1))
    ax.set_ylim(top=1.005)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_range_tests(tests, suggestions):
    """Draw the losses of range tests, their smoothed curves, and the suggested rates.

    Args:
        tests: dict, seed → DataFrame with ``learning_rate``, ``loss`` and ``smoothed``.
        suggestions: Series of learning rates, its index the seeds.

    Returns:
        Axes.
    """
    ax = plt.subplots(figsize=(9, 3.6), layout="constrained")[1]
    for seed, test in tests.items():
        first = seed == next(iter(tests))
        if first:
            ax.plot(
                test["learning_rate"],
                test["loss"],
                color="0.7",
                lw=1,
                label="single batches, first run",
            )
        line = {
            "color": "C0",
            "alpha": 0.7,
            "lw": 1.5,
            "label": "smoothed, each run" if first else None,
        }
        ax.plot(test["learning_rate"], test["smoothed"], **line)
        mark = {"color": "C1", "ls": "--", "lw": 1, "label": "suggested rate" if first else None}
        ax.axvline(suggestions[seed], **mark)
    highest = max(test["smoothed"].iloc[0] for test in tests.values())
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0, 1.4 * highest))
    ax.legend(frameon=False, loc="lower left")
    return ax


def plot_rate_grid(accuracies, suggested):
    """Draw the validation accuracy of each run by its learning rate, of a grid and of suggestions.

    Args:
        accuracies: DataFrame, one row a learning rate (its index), one column a seed.
        suggested: Series of accuracies, its index the suggested learning rates, one a seed.

    Returns:
        Axes.
    """
    ax = plt.subplots(figsize=(9, 3.6), layout="constrained")[1]
    runs = ax.plot(accuracies, "o", color="C0", alpha=0.5)
    runs[0].set_label("one run")
    ax.plot(accuracies.mean(axis=1), color="C0", lw=2, label="mean of the runs")
    ax.plot(suggested, "D", color="C1", ms=7, mfc="none", mew=2, label="one run, suggested rate")
    ax.set(xscale="log", xlabel="learning rate", ylabel="validation accuracy")
    ax.legend(frameon=False, loc="lower center")
    return ax


def plot_confusion(table, names, *, title="", ax=None):
    """Draw who is taken for whom, a number in each cell; return the Axes.

    Mistakes are the darker the more there are. Right answers, on the diagonal, would outshine
    them and have no part in the color scale.

    Args:
        table: ``(10, 10)``, row = actual class, column = predicted class; integers are written
            as they are, other numbers with two decimals.
        names: the ten class names.
        title: text above the table.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(9, 6.2), layout="constrained")[1]
    table = np.asarray(table)
    right = np.eye(len(table), dtype=bool)
    mistakes = np.ma.array(table, mask=right)
    ax.imshow(mistakes, cmap="Oranges", vmin=0, aspect="auto")
    ax.patch.set_facecolor("0.9")  # seen on the diagonal alone
    for (row, column), value in np.ndenumerate(table):
        text = f"{value:.2f}" if value and table.dtype.kind == "f" else f"{value:g}"
        if float(text) == 0:  # there are many: they stay in the background
            style = {"color": "0.75", "fontsize": 9}
        elif row == column:
            style = {"color": "black", "fontsize": 10, "weight": "bold"}
        else:
            dark = value > 0.6 * mistakes.max()
            style = {"color": "white" if dark else "black", "fontsize": 10}
        ax.text(column, row, text, ha="center", va="center", **style)
    _name_classes(ax, names, title)
    return ax


def plot_confusion_change(change, names, *, title="", ax=None):
    """Draw by how much each cell of a table of shares has changed; return the Axes.

    Args:
        change: ``(10, 10)`` differences of shares, row = actual class, column = predicted class.
        names: the ten class names.
        title: text above the table.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(9, 6.2), layout="constrained")[1]
    limit = np.abs(change).max()
    ax.imshow(change, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(change):
        text = f"{value:+.2f}"
        small = float(text) == 0  # there are many: they stay in the background
        strong = abs(value) > 0.6 * limit
        style = {"color": "0.75" if small else "white" if strong else "black", "fontsize": 9}
        ax.text(column, row, "0" if small else text, ha="center", va="center", **style)
    _name_classes(ax, names, title)
    return ax


def plot_walks(walks, *, ax=None):
    """Draw how far a weight has come after each step, on a logarithmic axis.

    Args:
        walks: dict, name of the optimizer → distances after step 1, 2, …
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(9, 3.6), layout="constrained")[1]
    for name, distances in walks.items():
        ax.plot(range(1, len(distances) + 1), distances, lw=2.5, label=name)
    ax.set(yscale="log", xlabel="step", ylabel="distance from the start")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def plot_costs(runs):
    """Draw test accuracy against time, parameters and training images; return the Figure.

    Args:
        runs: DataFrame, one row a training, with the columns ``arm``, ``seconds``,
            ``parameters``, ``images`` and ``accuracy``. Arms whose name ends with "images" are
            drawn in the third panel alone, with the arm of the same name trained on all.
    """
    base = runs["arm"].str.replace(r", [\d,]+ images$", "", regex=True)  # the arm it belongs to
    fewer = runs["arm"] != base
    panels = {
        "seconds": (~fewer, "seconds of fitting"),
        "parameters": (~fewer, "parameters"),
        "images": (base.isin(base[fewer]), "training images"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
    for ax, (column, (shown, label)) in zip(axes, panels.items(), strict=True):
        for number, arm in enumerate(dict.fromkeys(base)):
            its = runs[shown & (base == arm)]
            style = {"color": f"C{number}", "alpha": 0.7, "ms": 7}
            ax.plot(its[column], its["accuracy"], "os^DvPX"[number % 7], **style, label=arm)
        ax.set(xscale="log", xlabel=label)
    axes[0].set_ylabel("test accuracy")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_resamples(draws, interval, others, *, label, ax=None):
    """Draw how often each resampled number occurs, its interval, and what was really counted.

    Args:
        draws: ``(resamples,)`` integers.
        interval: lower and upper end.
        others: ``(runs,)``, the number counted in each run; the first is the resampled one.
        label: what is counted.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(9, 3.2))[1]
    numbers, times = np.unique(draws, return_counts=True)
    ax.bar(numbers, times / len(draws), width=1, lw=0, color="0.75", label="resampled, first run")
    ax.axvspan(*interval, color="C0", alpha=0.2, lw=0, label="its interval")
    ax.axvline(others[0], color="C0", lw=2, label="counted, first run")
    for place, other in enumerate(others[1:]):
        name = "counted, other runs" if place == 0 else None
        ax.axvline(other, color="C1", lw=2, ls="--", label=name)
    ax.set(xlabel=label, ylabel="share of resamples", xlim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def plot_pair_totals(totals, names, *, ax=None):
    """Draw how often the two classes of each pair are confused, one point a run.

    Args:
        totals: ``(runs, pairs)``, mistakes in both directions.
        names: the names of the pairs.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(9, 0.4 * len(names) + 0.8))[1]
    rows = _rows_of_runs(totals.shape)
    ax.plot(totals.ravel(), rows.ravel(), "o", color="C0", alpha=0.6, label="one run")
    mean = {"color": "C0", "ms": 18, "mew": 3, "label": "mean of the runs"}
    ax.plot(totals.mean(axis=0), range(len(names)), "|", **mean)
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel="mistakes, both directions together")
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, None))
    ax.legend(frameon=False, loc="lower right", markerscale=0.8)
    return ax


def plot_pair_differences(differences, intervals, names, *, ax=None):
    """Draw in which direction each pair is confused more often, with an interval for each run.

    Args:
        differences: ``(runs, pairs)``: first taken for second, minus second taken for first.
        intervals: ``(runs, 2, pairs)``, lower and upper ends.
        names: the names of the pairs.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes. An interval that contains zero is gray.
    """
    ax = ax or plt.subplots(figsize=(9, 0.55 * len(names) + 0.8))[1]
    rows = _rows_of_runs(differences.shape)
    low, high = intervals[:, 0], intervals[:, 1]
    open_ended = (low <= 0) & (high >= 0)
    for chosen, color, label in (
        (~open_ended, "C3", "one run, zero outside its interval"),
        (open_ended, "0.6", "one run, zero inside its interval"),
    ):
        ax.hlines(rows[chosen], low[chosen], high[chosen], color=color, lw=1.5)
        ax.plot(differences[chosen], rows[chosen], "o", color=color, ms=5, label=label)
    ax.axvline(0, color="black", lw=0.8)
    for row in range(1, len(names)):
        ax.axhline(row - 0.5, color="0.9", lw=0.8, zorder=0)
    ax.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    ax.set(xlabel="← second taken for first more often · mistakes · first taken for second →")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax


def plot_hidden_units(moments):
    """Draw the weights of hidden units as pictures: a column a unit, a row a moment of training.

    Zero is white. All pictures share one color scale, which ends where 99 of 100 weights do:
    single large ones would make all others pale.

    Args:
        moments: dict, name of the moment → ``(units, 28, 28)`` float, the same units in each;
            red adds to what the unit receives, blue takes away.

    Returns:
        Figure.
    """
    weights = np.stack(list(moments.values()))  # (moments, units, 28, 28)
    rows, columns = weights.shape[:2]
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns + 0.8, 1.1 * rows), squeeze=False, layout="compressed"
    )
    limit = np.quantile(np.abs(weights), 0.99)
    for (row, column), ax in np.ndenumerate(axes):
        drawn = _draw_signed(weights[row, column], limit, ax)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    for ax, name in zip(axes[:, 0], moments, strict=True):
        ax.set_ylabel(name)
    for unit, ax in enumerate(axes[0]):
        ax.set_title(f"unit {unit}", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="weight", extend="both", shrink=0.8)
    return figure


def plot_class_weights(means, weights, names):
    """Draw the mean garment of each class above its weights in a linear model; return the Figure.

    Args:
        means: ``(10, 28, 28)``, gray levels 0–255.
        weights: ``(10, 28, 28)`` float; red adds to the score of the class, blue takes away.
        names: the ten class names.
    """
    figure, axes = plt.subplots(4, 5, figsize=(7.6, 6.2), layout="compressed")
    limit = np.quantile(np.abs(weights), 0.99)  # single large weights would make others pale
    for label, name in enumerate(names):
        row, column = 2 * (label // 5), label % 5
        plot_garment(means[label], title=name, ax=axes[row, column])
        drawn = _draw_signed(weights[label], limit, axes[row + 1, column])
        axes[row + 1, column].set_axis_off()
    figure.colorbar(drawn, ax=axes, label="weight", extend="both", shrink=0.6)
    return figure


def plot_biases(layers, silent):
    """Draw biases as bars, one panel for each moment of the training; return the Figure.

    Args:
        layers: dict, name of the moment → weights and biases, such as ``inspection.first_layer``
            returns; the biases are ``(units,)`` float.
        silent: ``(units,)`` bool; these units get a point at the end of their bar.

    Raises:
        ValueError: the biases are not those of these units.
    """
    for _, values in layers.values():
        if len(values) != len(silent):
            raise ValueError(
                f"expected a bias for each of {len(silent)} hidden units, got {len(values)}; "
                "are they of another layer?"
            )
    size = (9, 1.2 * len(layers))
    figure, axes = plt.subplots(
        len(layers), 1, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, (name, (_, values)) in zip(axes[:, 0], layers.items(), strict=True):
        ax.bar(range(len(values)), values, width=0.9, lw=0, label="bias of a unit")
        points = {"color": "C1", "ms": 3, "label": "unit that ends up silent"}
        ax.plot(np.flatnonzero(silent), values[silent], "o", **points)
        ax.axhline(0, color="black", lw=0.5)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    axes[0, 0].legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    axes[-1, 0].set_xlabel("hidden unit")
    figure.supylabel("bias", fontsize=10)
    return figure


def plot_pixel_maps(maps):
    """Draw numbers that belong to the pixels, each table with its own color bar; return the Figure.

    Args:
        maps: dict, what the numbers are → ``(28, 28)`` float.
    """
    figure, axes = plt.subplots(
        1, len(maps), figsize=(4 * len(maps), 3.2), squeeze=False, layout="compressed"
    )
    for ax, (name, values) in zip(axes[0], maps.items(), strict=True):
        drawn = ax.imshow(values, cmap="viridis", vmin=0)
        ax.set_title(name)
        ax.set_axis_off()
        figure.colorbar(drawn, ax=ax, shrink=0.9)
    return figure


def plot_filters(filters, maps, *, count=9):
    """Draw the first filters of a convolution, and below each what it makes of a garment.

    Args:
        filters: ``(rows, columns, 1, n)`` float, as Keras stores them; zero is white, red
            positive, blue negative.
        maps: ``(height, width, n)`` float, their feature maps; each is drawn on its own gray
            scale, the largest value white.
        count: how many to draw.

    Returns:
        Figure.
    """
    figure, axes = plt.subplots(
        2, count, figsize=(1.1 * count, 2.8), squeeze=False, layout="compressed"
    )
    limit = np.abs(filters[..., :count]).max()
    for number, (upper, lower) in enumerate(axes.T):
        _draw_signed(filters[:, :, 0, number], limit, upper)
        upper.set_title(f"filter {number}", fontsize=9)
        lower.imshow(maps[:, :, number], cmap="gray")
    for ax in axes.flat:
        ax.set_axis_off()
    return figure


def plot_liked(pictures, probabilities, names):
    """Draw the picture each class likes best, one row a network; return the Figure.

    Args:
        pictures: dict, name of the network → ``(10, 28, 28)``, pixels from 0 to 1, one a class.
        probabilities: dict, the same names → ``(10, 10)``, the network's answers to its pictures;
            what it gives to the class is written below each.
        names: the ten class names.
    """
    figure, axes = plt.subplots(
        len(pictures), 10, figsize=(11, 1.5 * len(pictures)), squeeze=False, layout="compressed"
    )
    for row, network in zip(axes, pictures, strict=True):
        for label, ax in enumerate(row):
            ax.imshow(pictures[network][label], cmap="gray", vmin=0, vmax=1)
            share = probabilities[network][label, label]
            ax.set(xticks=[], yticks=[], xlabel=f"{share:.3f}")
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(network)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=9)
    return figure


def plot_occlusions(table, maps, part, names):
    """Draw mistakes, and below each where a patch takes probability away; return the Figure.

    The line in a map is the outline of the garment.

    Args:
        table: some rows of a DataFrame made by ``evaluation.mistakes``.
        maps: an array ``(28, 28)`` for each of them, made by ``inspection.occlusion_map``: red
            where the patch takes probability away, blue where it gives some.
        part: the part in which the mistakes were made, a Split.
        names: the ten class names.
    """
    figure, axes = plt.subplots(
        2, len(maps), figsize=(1.3 * len(maps) + 0.8, 3.8), squeeze=False, layout="compressed"
    )
    for mistake, values, upper, lower in zip(table.itertuples(), maps, *axes, strict=True):
        image = part.images[mistake.position]
        title = f"predicted:\n{names[mistake.predicted]}\nlabel:\n{names[mistake.label]}"
        plot_garment(image, title=title, ax=upper)
        drawn = _draw_signed(values, 1, lower)
        # The outline of the garment, without gray levels that cannot be seen. A margin of zeros
        # closes it where the garment touches the border.
        outline, places = np.pad(image, 1) > 30, range(-1, 29)
        lower.autoscale(False)
        lower.contour(places, places, outline, levels=[0.5], colors="0.3", linewidths=0.7)
        lower.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="probability lost", ticks=[-1, 0, 1], shrink=0.5)
    return figure


def plot_photographs(photographs, pictures, titles):
    """Draw photographs above what is left of them at 28×28 pixels; return the Figure.

    Args:
        photographs: n arrays ``(h, w, 3)`` uint8, RGB.
        pictures: ``(n, 28, 28)``, gray levels 0–255, in the same order.
        titles: n texts, drawn above the photographs.

    Raises:
        ValueError: if there are not as many pictures and titles as photographs.
    """
    if not len(photographs) == len(pictures) == len(titles):
        raise ValueError(
            f"expected one picture and one title for each of {len(photographs)} photographs, "
            f"got {len(pictures)} pictures and {len(titles)} titles"
        )
    figure, axes = plt.subplots(
        2, len(titles), figsize=(1.4 * len(titles), 3.4), squeeze=False, layout="compressed"
    )
    for upper, lower, photograph, picture, title in zip(
        *axes, photographs, pictures, titles, strict=True
    ):
        upper.imshow(photograph)
        upper.set_title(title, fontsize=9)
        upper.set_axis_off()
        plot_garment(picture, ax=lower)
    return figure


def plot_steps(steps):
    """Draw a photograph on its way to a garment of 28×28 pixels, step by step; return the Figure.

    Args:
        steps: ``photos.Steps``, as ``photos.to_garment`` returns them.
    """
    # What was taken for background is veiled in white, so that a wrong border can be seen.
    veiled = np.where(steps.mask[..., None], steps.photo, 255 - (255 - steps.photo) // 5)
    panels = {
        "photograph": steps.photo,
        "gray": steps.gray,
        "garment found": veiled,
        "tones as a negative": steps.tones,
        "28 × 28": steps.picture,
    }
    height, width = steps.gray.shape
    size = (5 * 2.4, 2.4 * min(2, max(1, height / width)) + 0.4)
    figure, axes = plt.subplots(1, len(panels), figsize=size, layout="compressed")
    for ax, (name, values) in zip(axes, panels.items(), strict=True):
        ax.imshow(values, cmap="gray", vmin=0, vmax=255)
        ax.set_title(name)
        ax.set_axis_off()
    return figure


def plot_answer(steps, probabilities, names, *, threshold, verdict, title=""):
    """Draw a photograph, the garment made of it, and what a network says of that.

    Args:
        steps: ``photos.Steps``, as ``photos.to_garment`` returns them.
        probabilities: ``(11,)`` float, the last of something else.
        names: the ten class names and a name for something else.
        threshold: if something else is likelier than this, marked by a line, the verdict is
            "unsure".
        verdict: text above the bars.
        title: text above the photograph.

    Returns:
        Figure.
    """
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(10, 3.4), width_ratios=(1, 1, 2), layout="constrained"
    )
    left.imshow(steps.photo)
    left.set_title(title)
    left.set_axis_off()
    plot_garment(steps.picture, ax=middle)
    middle.set_title("what your network sees")
    plot_probabilities(probabilities, names, label=None, ax=right)
    last = len(names) - 1
    right.vlines(threshold, last - 0.5, last + 0.5, color="C3", lw=2, label="unsure beyond this")
    if 0 <= threshold - probabilities[last] < 0.12:  # the line would run through the number
        right.texts[last].xy = (threshold, last)
    right.legend(frameon=False, loc="lower right")
    right.set_title(f"verdict: {verdict}")
    return figure


def plot_unsure(levels, curves, chosen, *, ax=None):
    """Draw what it costs and brings to be unsure more often; return the Axes.

    Args:
        levels: ``(levels,)`` shares of garments for which the verdict is "unsure".
        curves: dict, what is counted → ``(levels, runs)`` shares; the mean of the runs becomes a
            line, the area from the lowest to the highest is shaded.
        chosen: the level that was chosen, marked by a vertical line.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(9, 3.8), layout="constrained")[1]
    for number, (name, shares) in enumerate(curves.items()):
        style = {"color": f"C{number}", "marker": "osD^v"[number % 5], "ms": 5}
        ax.plot(levels, shares.mean(axis=1), **style, label=name)
        lowest, highest = shares.min(axis=1), shares.max(axis=1)
        ax.fill_between(levels, lowest, highest, color=f"C{number}", alpha=0.15, lw=0)
    ax.axvline(chosen, color="0.5", ls="--", lw=1, label="the share chosen")
    ax.set(xlabel="share of garments unsure", ylabel="share", ylim=(-0.02, 1.02))
    ax.set_xlim(left=0)
    ax.legend(
        frameon=False, loc="upper left", bbox_to_anchor=(1, 1), title="mean; shaded: all runs"
    )
    return ax


def _draw_signed(picture, limit, ax):
    """Draw numbers around zero, which is white: red above, blue below."""
    return ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _name_classes(ax, names, title):
    """Write the class names along both sides of a table of actual by predicted class."""
    places = range(len(names))
    ax.set(xticks=places, yticks=places, title=title, xlabel="predicted", ylabel="actual")
    ax.set_xticklabels(names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticklabels(names)
    ax.tick_params(length=0)


def _rows_of_runs(shape):
    """Return the height of each point: a row for each pair, its runs a little under each other."""
    runs, pairs = shape
    step = (np.arange(runs) - (runs - 1) / 2) * 0.7 / runs
    return np.arange(pairs) + step[:, None]


def plot_window(image, kernel, row, column):
    """Draw one multiply-and-add: a window of a garment, times a kernel, and the products to add.

    Args:
        image: ``(28, 28)`` uint8.
        kernel: ``(height, width)`` numbers.
        row, column: upper left pixel of the window.

    Returns:
        Figure: the garment with a frame around the window, and the window, in the same grays;
        kernel and products, blue below zero and red above. All three have their numbers.
    """
    height, width = kernel.shape
    window = image[row : row + height, column : column + width].astype(int)
    products = window * kernel
    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    plot_garment(image, ax=axes[0])
    corner = (column - 0.5, row - 0.5)
    axes[0].add_patch(plt.Rectangle(corner, width, height, fill=False, ec="tab:orange", lw=2))
    axes[1].imshow(window, cmap="gray", vmin=0, vmax=255)
    _frame(axes[1])
    _write_numbers(axes[1], window)
    _draw_kernel(kernel, axes[2])
    _draw_kernel(products, axes[3])
    titles = ("the window", "× the kernel", f"= products; their sum: {products.sum():g}")
    for ax, title in zip(axes[1:], titles, strict=True):
        ax.set_title(title)
    return figure


def plot_filtered(images, names, kernels, maps):
    """Draw what filters make of garments: a row a garment, a column a filter; return the Figure.

    Args:
        images: ``(n, 28, 28)`` uint8.
        names: n texts, one a garment.
        kernels: dict, name of the filter → ``(height, width)``, drawn above its column, blue
            below zero and red above.
        maps: dict, the same names → list of n maps, in the order of the images. A column shares
            its colors: gray from zero up, or blue below zero and red above.
    """
    rows, columns = len(images) + 1, len(kernels) + 1
    size = (1.7 * columns, 1.7 * rows + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    axes[0, 0].set_axis_off()
    for ax, image, name in zip(axes[1:, 0], images, names, strict=True):
        plot_garment(image, title=name, ax=ax)
    for column, (name, kernel) in zip(axes[:, 1:].T, kernels.items(), strict=True):
        _draw_kernel(kernel, column[0])
        column[0].set_title(name)
        _draw_maps(column[1:], maps[name])
    return figure


def plot_map_sizes(maps):
    """Draw maps side by side, a pixel of each as large as a pixel of the others.

    Args:
        maps: dict, name → ``(height, width)``; the first may be the garment.

    Returns:
        Figure. Each map has colors of its own: gray from zero up, or blue below zero, red above.
    """
    widths = [values.shape[1] for values in maps.values()]
    figure, axes = plt.subplots(
        1,
        len(maps),
        figsize=(0.09 * sum(widths), 3.2),
        width_ratios=widths,
        squeeze=False,
        layout="constrained",
    )
    for ax, (name, values) in zip(axes[0], maps.items(), strict=True):
        _draw_maps([ax], [values])
        ax.set_title(f"{name}\n{values.shape[0]} × {values.shape[1]}", fontsize=10)
    return figure


def plot_feature_maps(layers, channels):
    """Draw some channels of layers, a row a layer, each map under its channel's number.

    Args:
        layers: dict, name of the row → ``(height, width, channels)``: maps, or kernels of one
            input channel.
        channels: dict, the same names → which channels to draw, as many in each row.

    Returns:
        Figure. A row shares its colors: gray from zero up, or blue below zero and red above.
    """
    count = len(next(iter(channels.values())))
    size = (1.25 * count + 1.6, 1.45 * len(layers))
    figure, axes = plt.subplots(
        len(layers), count, figsize=size, squeeze=False, layout="constrained"
    )
    for row, (name, maps) in zip(axes, layers.items(), strict=True):
        _draw_maps(row, [maps[:, :, channel] for channel in channels[name]])
        for ax, channel in zip(row, channels[name], strict=True):
            ax.set_title(f"channel {channel}", fontsize=9)
        _name_row(row, name)
    return figure


def plot_windows(images, windows):
    """Draw the parts of garments that channels answer to most; return the Figure.

    Args:
        images: ``(n, 28, 28)`` uint8.
        windows: dict, number of the channel → list of ``(position, rows, columns)`` as
            ``convolutions.strongest_windows`` returns it; a row for each channel.
    """
    count = len(next(iter(windows.values())))
    figure, axes = plt.subplots(
        len(windows),
        count,
        figsize=(0.9 * count + 1.6, 0.95 * len(windows)),
        squeeze=False,
        layout="constrained",
    )
    for row, (channel, found) in zip(axes, windows.items(), strict=True):
        for ax, (position, rows, columns) in zip(row, found, strict=True):
            ax.imshow(images[position][rows, columns], cmap="gray", vmin=0, vmax=255)
            _frame(ax)
        _name_row(row, f"channel {channel}")
    return figure


def _draw_maps(axes, maps):
    """Draw maps in the same colors: gray from zero up, or blue–white–red if any is negative."""
    limit = max(np.abs(values).max() for values in maps) or 1
    signed = min(values.min() for values in maps) < 0
    for ax, values in zip(axes, maps, strict=True):
        if signed:
            _draw_signed(values, limit, ax)
        else:
            ax.imshow(values, cmap="gray", vmin=0, vmax=limit)
        _frame(ax)


def _draw_kernel(values, ax):
    """Draw a small table with its numbers: zero white, red above, blue below."""
    _draw_signed(values, np.abs(values).max() or 1, ax)
    _frame(ax)
    _write_numbers(ax, values)


def _frame(ax):
    """Draw a thin frame in place of axes: without it, a white border could not be seen."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.7", lw=0.8)


def _write_numbers(ax, values):
    """Write the number of each cell of a drawn table into it."""
    drawn = ax.images[0]
    for (row, column), value in np.ndenumerate(values):
        dark = np.mean(drawn.cmap(drawn.norm(value))[:3]) < 0.5
        number = f"{value:g}" if float(value).is_integer() else f"{value:.2f}"
        style = {"color": "white" if dark else "black", "fontsize": 9}
        ax.text(column, row, number, ha="center", va="center", **style)


def _name_row(row, name):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
