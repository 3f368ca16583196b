"""Figures of garments with several labels; see ``plots`` for what all figures share."""

import matplotlib.pyplot as plt
import numpy as np

from garment_utils.attribute_labels import columns_of_types, plain
from garment_utils.multilabel import decode_per_type
from garment_utils.plots import plot_gallery, plot_garment


def plot_value_examples(images, part, rng):
    """Draw four random garments of each value, or all there are, side by side under its name.

    Args:
        images: ``(n, 28, 28)`` uint8.
        part: their Attributes, in the same order.
        rng: NumPy random generator.

    Returns:
        Figure.
    """
    columns = 5
    figure, axes = plt.subplots(
        -(-len(part.values) // columns), columns, figsize=(6.5, 8.2), squeeze=False
    )
    figure.subplots_adjust(0, 0, 1, 0.95, wspace=0.08, hspace=0.3)
    for ax in axes.flat:
        ax.set_axis_off()
    names = [
        f"{kind}:\n{plain(value)}" for kind, value in zip(part.types, part.values, strict=True)
    ]
    for ax, name, label in zip(axes.flat, names, part.labels.T, strict=False):
        drawn = rng.permutation(np.flatnonzero(label))[:4]
        tile = np.full((4, 28, 28), 255, dtype=np.uint8)
        tile[: len(drawn)] = images[drawn]
        tile = tile.reshape(2, 2, 28, 28).swapaxes(1, 2).reshape(56, 56)
        plot_garment(tile, title=name, ax=ax)
        ax.axhline(27.5, color="white", lw=2)
        ax.axvline(27.5, color="white", lw=2)
    return figure


def plot_values(numbers, values, types, *, label, ax=None):
    """Draw a bar with its number for each value, the values of a type together; return the Axes.

    Args:
        numbers: one for each value; integers are written as they are, others with two decimals.
        values: names of the values.
        types: their types, as long.
        label: what the numbers are.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(6.5, 7.5), layout="constrained")[1]
    numbers, ticks, names = np.asarray(numbers), [], []
    row = 0
    for place, (kind, columns) in enumerate(columns_of_types(types).items()):
        ticks.append(row)
        names.append(kind)
        rows = row + 1 + np.arange(len(columns))
        bars = ax.barh(rows, numbers[columns], color=f"C{place}")
        written = "{:.2f}" if numbers.dtype.kind == "f" else "{:,}"
        ax.bar_label(bars, fmt=written, padding=3, fontsize=9)
        ticks += list(rows)
        names += [plain(values[column]) for column in columns]
        row = rows[-1] + 1
    ax.set(yticks=ticks, yticklabels=names, xlabel=label, ylim=(row - 0.3, -0.8))
    for name, tick in zip(names, ax.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if name in types else "normal")
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.1)
    return ax


def plot_co_occurrence(shares, values, types, *, ax=None):
    """Draw P(column | row) for values of different types; return the Axes.

    Pairs of one type, which exclude each other, are gray.

    Args:
        shares: ``(values, values)``, made by ``multilabel.co_occurrence``.
        values: names of the rows, and of the columns.
        types: their types.
        ax: Axes to draw on; a new one by default.
    """
    ax = ax or plt.subplots(figsize=(7.5, 7), layout="constrained")[1]
    types = np.asarray(types, dtype=object)
    same = types[:, None] == types
    drawn = ax.imshow(np.ma.array(shares, mask=same), cmap="Blues", vmin=0, vmax=1)
    ax.patch.set_facecolor("0.85")  # seen where pairs are of one type
    names = [plain(value) for value in values]
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=9)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    for border in np.flatnonzero(types[1:] != types[:-1]) + 0.5:
        ax.axhline(border, color="white", lw=2)
        ax.axvline(border, color="white", lw=2)
    for name, columns in columns_of_types(types).items():
        middle = columns.mean()  # of its gray block, which is on the diagonal
        ax.text(middle, middle, name, ha="center", va="center", fontsize=8, weight="bold")
    ax.set(xlabel="… have this value too", ylabel="of the garments with this value …")
    ax.figure.colorbar(drawn, ax=ax, label="share", shrink=0.6)
    return ax


def plot_agreement(table, *, ax=None):
    """Draw for each type what is equal, and what part of the way from chance to 1 that is.

    Args:
        table: DataFrame made by ``multilabel.agreement_table``.
        ax: Axes to draw on; a new one by default.

    Returns:
        Axes.
    """
    ax = ax or plt.subplots(figsize=(6.5, 3.4), layout="constrained")[1]
    rows = range(len(table))
    rest = {"color": "0.85", "lw": 9, "label": "rest of the way from chance to 1"}
    ax.hlines(rows, table["chance"], 1, **rest)
    reached = {"color": "C0", "lw": 9, "label": "covered; κ is its part of the way"}
    ax.hlines(rows, table["chance"], table["equal"], **reached)
    for row, kappa in enumerate(table["kappa"]):
        ax.text(1.02, row, f"κ = {kappa:.2f}", va="center", fontsize=10)
    ax.set(yticks=rows, yticklabels=table.index, xlabel="share of equal answers", xlim=(0, 1.18))
    ax.set(xticks=np.linspace(0, 1, 6), ylim=(len(table) - 0.5, -0.5))
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2, fontsize=9)
    return ax


def plot_disagreements(images, table):
    """Draw garments on which two annotators differ, with both answers and the final one.

    Args:
        images: ``(n, 28, 28)`` uint8.
        table: some rows of a DataFrame made by ``multilabel.disagreements``, of these images.

    Returns:
        Figure.
    """
    titles = [
        f"{row.type}\n1: {plain(row.first)}\n2: {plain(row.second)}\nfinal: {plain(row.final)}"
        for row in table.itertuples()
    ]
    return plot_gallery(images[table["position"]], titles, columns=4)


def plot_rescues(differences, intervals, *, label="difference from plain"):
    """Draw how far methods differ from the plain one: single runs, and an interval over pictures.

    Args:
        differences: dict, method → DataFrame, a row for each run, a column for each score: what
            the method has more than the plain one.
        intervals: dict, method → DataFrame made by ``multilabel.compare``.
        label: what the differences are.

    Returns:
        Figure, a panel for each score of the intervals. An interval that contains zero is gray,
        one above it blue, one below it orange.
    """
    names, scores = list(intervals), next(iter(intervals.values())).index
    figure, axes = plt.subplots(
        1,
        len(scores),
        figsize=(9, 0.36 * len(names) + 1.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, score in zip(axes[0], scores, strict=True):
        for row, name in enumerate(names):
            low, high = intervals[name].loc[score, ["low", "high"]]
            color = "C0" if low > 0 else "C1" if high < 0 else "0.6"
            ax.hlines(row, low, high, color=color, lw=7, alpha=0.45)
            single = differences[name][score]
            ax.plot(single, [row] * len(single), "|", color="black", ms=9, mew=1.2)
        ax.axvline(0, color="black", lw=0.8)
        ax.set(title=score, xlabel=label, ylim=(len(names) - 0.4, -0.6))
        ax.xaxis.set_major_locator(plt.MaxNLocator(3))  # four panels have room for no more
        ax.set(yticks=range(len(names)), yticklabels=names)
        ax.tick_params(axis="y", length=0)
    handles = [
        plt.Line2D([], [], color="black", marker="|", ls="", ms=9, label="one seed"),
        plt.Line2D([], [], color="0.6", lw=7, alpha=0.45, label="interval with zero in it"),
        plt.Line2D([], [], color="C0", lw=7, alpha=0.45, label="interval above zero"),
        plt.Line2D([], [], color="C1", lw=7, alpha=0.45, label="interval below zero"),
    ]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=4)
    return figure


def plot_learning_curves(curves):
    """Draw scores by the number of labeled pictures, mean and standard deviation over the runs.

    Args:
        curves: dict, score → dict, (kind, count) → ``(runs,)`` floats.

    Returns:
        Figure, a panel for each score; a kind with a single count is a single point.
    """
    figure, axes = plt.subplots(
        1, len(curves), figsize=(4.5 * len(curves), 3.8), squeeze=False, layout="constrained"
    )
    for ax, (score, scores) in zip(axes[0], curves.items(), strict=True):
        kinds = list(dict.fromkeys(kind for kind, _ in scores))
        for place, kind in enumerate(kinds):
            counts = sorted(count for other, count in scores if other == kind)
            runs = np.array([scores[kind, count] for count in counts])
            style = {"marker": "osD^v"[place % 5], "capsize": 3, "label": kind}
            shifted = np.array(counts) * 1.03 ** (place - (len(kinds) - 1) / 2)
            ax.errorbar(shifted, runs.mean(axis=1), runs.std(axis=1, ddof=1), **style)
        counts = sorted({count for _, count in scores})
        ax.set_xscale("log")
        ax.set_xticks(counts, [f"{count:,}" for count in counts])
        ax.minorticks_off()
        ax.set(xlabel="labeled garments", ylabel=score)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3)
    return figure


def plot_value_f1(scores, values, pictures, rare, *, few):
    """Draw F1 of each value for several methods, mean and standard deviation over the runs.

    Args:
        scores: dict, method → ``(runs, values)``.
        values: names of the values, in the order in which they are to be drawn.
        pictures: ``(values,)``, how many pictures F1 is computed on; written at the right.
        rare: ``(values,)`` bool; these values are bold.
        few: a value with fewer pictures is marked with a star, and its points are hollow.

    Returns:
        Axes.
    """
    _, ax = plt.subplots(figsize=(7.5, 0.3 * len(values) + 1.2), layout="constrained")
    pictures, rows = np.asarray(pictures), np.arange(len(values))
    for place, (name, found) in enumerate(scores.items()):
        mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
        shifted = rows + 0.3 * (place - (len(scores) - 1) / 2)
        ax.hlines(shifted, np.maximum(mean - spread, 0), mean + spread, color=f"C{place}", lw=2)
        ax.plot([], [], "o", color=f"C{place}", label=name)
        for hollow in (False, True):
            there = (pictures < few) == hollow
            style = {"color": f"C{place}", "mfc": "white" if hollow else f"C{place}", "ms": 6}
            ax.plot(mean[there], shifted[there], "o", **style)
    for row in rows[1:]:
        ax.axhline(row - 0.5, color="0.92", lw=0.8, zorder=0)
    for row, count in enumerate(pictures):
        ax.text(1.03, row, f"{count}{' *' if count < few else ''}", va="center", fontsize=9)
    ax.set(yticks=rows, yticklabels=[plain(value) for value in values], xlim=(-0.05, 1.01))
    for label, bold in zip(ax.get_yticklabels(), rare, strict=True):
        label.set_fontweight("bold" if bold else "normal")
    label = "F1, mean and standard deviation of the runs\n"
    label += f"at the right: garments scored, * fewer than {few}"
    ax.set(xlabel=label, ylim=(len(values) - 0.4, -0.6))
    ax.tick_params(axis="y", length=0)
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.45, 1), ncols=len(scores))
    return ax


def plot_attribute_scores(part, position, scores, ours, *, chosen=None):
    """Draw one garment, and beside it the scores of its values as bars, by one or more models.

    Args:
        part: the part in which the garment is, a Split with ``labels`` ``(n, values)``.
        position: of the garment in that part.
        scores: dict, name of the model → ``(values,)`` floats from 0 to 1.
        ours: Attributes that name the values and their types.
        chosen: dict, the same names → ``(values,)`` of 0 and 1, the predicted values, which are
            marked; the highest of each type by default.

    Returns:
        Figure. Bars of the values that the garment has are of another color.
    """
    figure, (left, *panels) = plt.subplots(
        1,
        1 + len(scores),
        figsize=(3.2 + 2.9 * len(scores), 6.5),
        width_ratios=[1] + [1.3] * len(scores),
        layout="constrained",
    )
    plot_garment(part.images[position], ax=left)
    # Bars and numbers stand in the order of the types.
    order = np.concatenate(list(columns_of_types(ours.types).values()))
    for ax, (name, numbers) in zip(panels, scores.items(), strict=True):
        numbers = np.asarray(numbers, dtype=float)
        plot_values(numbers, ours.values, ours.types, label="score", ax=ax)
        marked = chosen[name] if chosen else decode_per_type(numbers[None], ours.types)[0]
        for bar, number, column in zip(ax.patches, ax.texts, order, strict=True):
            bar.set_color("C2" if part.labels[position, column] else "C0")
            number.set_text(f"{numbers[column]:.2f}{' ◂' if marked[column] else ''}")
        ax.set(title=name, xlim=(0, 1.3), xticks=np.linspace(0, 1, 3))
    for ax in panels[1:]:
        ax.set_yticklabels([])
    return figure


def plot_type_accuracies(table, agreement):
    """Draw the accuracy of models by type, between a constant predictor and the annotators.

    Args:
        table: DataFrame made by ``multilabel.type_table``; one kind is called ``constant``.
        agreement: Series, type → share of garments on which two annotators agree.

    Returns:
        Axes: mean and standard deviation over the runs; a single run has no spread.
    """
    _, ax = plt.subplots(figsize=(7, 0.55 * len(agreement) + 1.2), layout="constrained")
    rows, table = np.arange(len(agreement)), table[agreement.index]
    constant = table.loc["constant"]
    ax.hlines(rows, constant, agreement, color="0.9", lw=12, zorder=0)
    ax.plot(constant, rows, "|", color="0.4", ms=14, mew=2, label="constant predictor")
    ax.plot(agreement, rows, "d", color="black", ms=7, label="agreement of two annotators")
    kinds = dict(list(table.drop("constant").groupby(level=0, sort=False)))
    for place, (name, its) in enumerate(kinds.items()):
        shifted = rows + 0.22 * (place - (len(kinds) - 1) / 2)
        count = f"{len(its)} runs" if len(its) > 1 else "1 run"
        style = {"fmt": "o", "ms": 5, "color": f"C{place}", "label": f"{name} ({count})"}
        ax.errorbar(its.mean(), shifted, xerr=its.std() if len(its) > 1 else None, **style)
    ax.set(yticks=rows, yticklabels=agreement.index, ylim=(len(rows) - 0.5, -0.5))
    words = "share of garments with the right value (annotators: with equal values)"
    ax.set(xlabel=words, xlim=(0.4, 1.02))
    ax.tick_params(axis="y", length=0)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=3, fontsize=9)
    return ax


def plot_attribute_mistakes(images, table):
    """Draw mistakes in rows, each under its type, prediction, certainty and label.

    Args:
        images: ``(n, 28, 28)`` uint8.
        table: some rows of a DataFrame made by ``multilabel.mistakes``, of these images.

    Returns:
        Figure.
    """
    titles = [
        f"{row.type}\n{plain(row.predicted)} {row.certainty:.2f}\nlabel: {plain(row.label)}"
        for row in table.itertuples()
    ]
    return plot_gallery(images[table["position"]], titles, columns=6)
