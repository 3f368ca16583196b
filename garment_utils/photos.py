"""From a photograph to a garment of 28×28 pixels, step by step, and what a network says of it.

From the command line::

    python -m garment_utils.photos predict FILE_OR_URL...
    python -m garment_utils.photos score FOLDER LABELS.csv --out RESULT.csv
"""

import argparse
import io
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from garment_utils import data
from garment_utils.paths import (
    BUILD,
    from_here,
    read_rows,
    require_writable,
    write_table,
    write_whole,
)
from garment_utils.photo_files import PhotoError, read_photo
from garment_utils.shapes import fill_holes, fit_into_square, keep_large_parts

# Longest side of a photograph while garment and background are told apart: ten times what the
# network will see is enough, and GrabCut's time grows with the number of pixels.
WORKING_SIDE = 256
# At the start a pixel this near to an edge, as a share of the sides, is taken for background ...
EDGE, OUTSIDE = 0.03, 0.12  # ... surely, probably; all others probably for garment
GRAB_ROUNDS = 5
SAME_COLOR = 8  # distance between two colors in L*a*b*; the eye sees about 2
MOSTLY = 0.6
LARGEST_HOLE = 0.02  # of the garment's area: a print in the background's color, not a gap
SMALLEST_GARMENT = 0.01  # of the photograph's area
SMALLEST_CONTRAST = 3  # standard deviation of red, green or blue in a picture of something


class Steps(NamedTuple):
    """A photograph on its way to a garment; each array is made from those before it."""

    photo: np.ndarray  # (h, w, 3) uint8, colors, longest side at most WORKING_SIDE
    gray: np.ndarray  # (h, w) uint8, 255 = white
    mask: np.ndarray  # (h, w) bool, the garment
    tones: np.ndarray  # (h, w) uint8, the garment as a negative, 0 = background
    picture: np.ndarray  # (28, 28) uint8, as in Fashion-MNIST


def to_garment(photo):
    """Turn a photograph of one garment into a picture like those of Fashion-MNIST.

    Args:
        photo: ``(h, w, 3)`` uint8, as ``photo_files.read_photo`` returns it.

    Returns:
        Steps; the last of them is the picture.

    Raises:
        PhotoError: nothing can be seen in the photograph, or nothing but background.
    """
    photo = shrink(photo)
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    if photo.std(axis=(0, 1)).max() < SMALLEST_CONTRAST:
        raise PhotoError(
            "expected a photograph of a garment, got a picture that is nearly all of one color; "
            "take another one, with the garment before a background of another color"
        )
    mask = find_garment(photo)
    if mask.mean() < SMALLEST_GARMENT:
        raise PhotoError(
            "expected a garment that stands out from its background, found none; "
            "photograph it whole, in the middle, before a background of another color"
        )
    tones = negative_tones(gray, mask)
    picture = fit_into_square(tones, mask).round().astype(np.uint8)
    return Steps(photo, gray, mask, tones, picture)


def shrink(photo, side=WORKING_SIDE):
    """Return a photograph with a longest side of so many pixels, or itself if it has fewer."""
    scale = side / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def find_garment(photo):
    """Tell a garment in the middle of a photograph from the background around it.

    GrabCut learns the colors of both from a first guess, divides the pixels anew with a
    preference for borders where the color changes, and repeats. The guess: background is at the
    edges and where the middle has their colors. Source: Rother, Kolmogorov and Blake (2004),
    GrabCut, ACM Transactions on Graphics 23(3); OpenCV's implementation.

    Args:
        photo: ``(h, w, 3)`` uint8.

    Returns:
        ``(h, w)`` bool, true where the garment is; all false if none was found.
    """
    height, width = photo.shape[:2]
    colors = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)  # distances as people see them
    colors = cv2.bilateralFilter(colors, 9, 40, 7)  # smooth weave and wrinkles, keep the borders
    guess = np.full((height, width), cv2.GC_BGD, np.uint8)
    guess[_inside(height, width, EDGE)] = cv2.GC_PR_BGD
    middle = _inside(height, width, OUTSIDE)
    like_edges = _distance_to_edges(colors)[middle] < SAME_COLOR
    # Floor between the legs of trousers; but not if the whole garment has the floor's color.
    keep = ~like_edges if like_edges.mean() < MOSTLY else np.ones_like(like_edges)
    guess[middle][keep] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters of colors
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(colors, guess, None, *models, GRAB_ROUNDS, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(guess, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    # A disk rubs out what is thinner than itself: hooks of hangers, joints of tiles.
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disk) > 0
    if not mask.any():
        return mask
    mask = keep_large_parts(mask)
    return fill_holes(mask, LARGEST_HOLE * mask.sum())


def negative_tones(gray, mask):
    """Turn gray values into tones like Fashion-MNIST's: dark cloth is bright, background black.

    The tones are stretched, so that an underexposed photograph looks like a good one: the
    darkest and brightest fiftieth of the garment come to 15 % and 95 % of the scale. A plain cloth
    has few tones of its own, and stretching them all the way would show noise: fewer than 25 gray
    values are stretched like 25, and centered.

    Args:
        gray: ``(h, w)`` uint8, 255 = white.
        mask: ``(h, w)`` bool, the garment; not empty.

    Returns:
        ``(h, w)`` uint8, at least 10 in the garment, 0 around it.
    """
    negative = 255.0 - gray
    low, high = np.percentile(negative[mask], (2, 98))
    missing = max(0, 25 - (high - low))
    stretched = 38 + 204 * (negative - low + missing / 2) / (high - low + missing)
    return np.where(mask, np.clip(stretched, 10, 255), 0).round().astype(np.uint8)


def _distance_to_edges(colors):
    """Return for each pixel how far its color is from the nearest common color of the edges."""
    at_edges = np.ones(colors.shape[:2], bool)
    at_edges[_inside(*colors.shape[:2], OUTSIDE / 2)] = False
    samples = colors[at_edges][::5].astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 15, 1.0)
    cv2.setRNGSeed(0)
    _, clusters, centers = cv2.kmeans(samples, 4, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    # A rare color of the edges may be a sleeve that reaches out.
    common = centers[np.bincount(clusters.ravel(), minlength=4) > 0.1 * len(samples)]
    distances = [np.linalg.norm(colors - center, axis=2) for center in common]
    return cv2.GaussianBlur(np.min(distances, axis=0), (0, 0), 1.5)


def _inside(height, width, share):
    rows, columns = max(2, int(share * height)), max(2, int(share * width))
    return slice(rows, height - rows), slice(columns, width - columns)


# ---- the command line ----------------------------------------------------------------------
# The functions import TensorFlow and Matplotlib themselves: each process in which ``distort``
# works for a training imports this module again, and would take 0.6 GB and seconds for them.

RESULT_COLUMNS = ("file", "label", "predicted", "confidence", "verdict")
UNREADABLE = "unreadable"
NONE_OF_THE_TEN = "none of the ten"


def predict(sources, folder=BUILD / "photos"):
    """Print for each photograph what it shows, and draw the steps that led there.

    Args:
        sources: paths and http or https addresses.
        folder: where the drawings go, one PNG for each photograph.

    Returns:
        int, how many photographs could not be used; the others are answered all the same.
    """
    import matplotlib.pyplot as plt

    from garment_utils import photo_network, plots, second_opinion

    require_writable(Path(folder) / "steps.png")
    network, names, failed = None, data.class_names(), 0
    for number, source in enumerate(sources, start=1):
        try:
            photo = read_photo(source)
            steps = to_garment(photo)
        except PhotoError as error:
            print(f"{source}: {_reason(error, source)}", file=sys.stderr)
            failed += 1
            continue
        if network is None:  # not before: nobody waits minutes to learn of a mistyped name
            network, other = photo_network.load_or_train(), second_opinion.load_network()
        alone = network.probabilities(steps.picture[np.newaxis])
        opinions = second_opinion.ask(other, second_opinion.cut_square(photo)[np.newaxis])
        (probabilities,) = second_opinion.combine(alone, opinions)
        answer = photo_network.decide(probabilities, network.threshold, names)
        likeliest = f"{answer.predicted}, probability {answer.confidence:.2f}"
        if answer.verdict == photo_network.UNSURE:
            print(f"{source}: unsure; of the ten classes most like {likeliest}")
        else:
            print(f"{source}: {likeliest}")
        if other is not None:
            own, borrowed = names[alone[0, : len(names)].argmax()], names[opinions[0].argmax()]
            print(f"  our network by itself: {own}; EfficientNetLite0: {borrowed}; together:")
        for name, probability in zip((*names, photo_network.ELSE), probabilities, strict=True):
            print(f"  {name:<15}{probability:6.3f}  {'█' * round(30 * probability)}")
        drawing = Path(folder) / f"{number}_{_plain(source)}.png"
        figure, content = plots.plot_steps(steps), io.BytesIO()
        figure.savefig(content, bbox_inches="tight")
        plt.close(figure)
        write_whole(drawing, content.getvalue())
        print(f"  its steps: {from_here(drawing)}")
    return failed


def score(folder, labels, out):
    """Compare the answers to photographs with their labels, print a summary, write every answer.

    Args:
        folder: where the photographs are.
        labels: CSV file with the columns ``file`` and ``label``: an English class name, several
            joined by ``|`` where more than one is right, empty for none of the ten.
        out: CSV file to write: ``file``, ``label``, ``predicted``, ``confidence`` (of the
            predicted class), ``verdict`` (the class, "unsure" or "unreadable").

    Returns:
        DataFrame of what was written.

    Raises:
        ValueError: the labels cannot be used, there is no such folder, or ``out`` cannot be
            written.
    """
    from garment_utils import photo_network, second_opinion

    rows = read_labels(labels)
    if not Path(folder).is_dir():
        raise ValueError(f"expected a folder of photographs, found none at {folder}")
    require_writable(Path(out), Path(labels), *(Path(folder) / row["file"] for row in rows))
    network, names = photo_network.load_or_train(), data.class_names()
    other, readable, pictures, squares = second_opinion.load_network(), [], [], []
    for row in rows:
        source = Path(folder) / row["file"]
        try:
            photo = read_photo(source)
            pictures.append(to_garment(photo).picture)
            squares.append(second_opinion.cut_square(photo))
            readable.append(row)
        except PhotoError as error:
            print(f"{row['file']}: {_reason(error, source)}", file=sys.stderr)
            row.update(predicted="", confidence="", verdict=UNREADABLE)
    # All in one call: a call for each would add about half to the time of the steps.
    answers = []
    if pictures:
        answers = network.probabilities(np.stack(pictures))
        answers = second_opinion.combine(answers, second_opinion.ask(other, np.stack(squares)))
    for row, probabilities in zip(readable, answers, strict=True):
        answer = photo_network.decide(probabilities, network.threshold, names)
        row.update(answer._asdict(), confidence=f"{answer.confidence:.4f}")
    write_table(Path(out), RESULT_COLUMNS, rows)
    table = pd.DataFrame(rows, columns=list(RESULT_COLUMNS))
    print(summary(table))
    return table


def read_labels(path):
    """Return the rows of a table of labels, a list of dicts with ``file`` and ``label``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no CSV, other columns, no rows, a file named twice, an unknown class.
    """
    rows, seen, names = [], set(), data.class_names()
    for number, row in read_rows(Path(path), ("file", "label"), more=True):
        file, label = row["file"], row["label"] or ""
        where = f"{path}, line {number}"
        unknown = set(label.split("|")) - set(names) if label else set()
        if unknown:
            raise ValueError(
                f"{where}: expected class names of Fashion-MNIST ({', '.join(names)}), "
                f"found {', '.join(sorted(map(repr, unknown)))}"
            )
        if not file:
            raise ValueError(f"{where}: expected the name of a photograph, found none")
        if file in seen:
            raise ValueError(f"{where}: expected each photograph once, found {file} again")
        seen.add(file)
        rows.append({"file": file, "label": label})
    if not rows:
        raise ValueError(f"{path}: expected at least one photograph, found the header alone")
    return rows


def summary(table):
    """Say in a few lines how right the answers are and how often they are unsure.

    Args:
        table: DataFrame with the columns of ``RESULT_COLUMNS``, all text.

    Returns:
        str. Accuracy counts ``predicted``, whatever the verdict; what is unreadable is wrong. Its
        interval is Wilson's (1927) for a share, of 95 %.
    """
    from garment_utils.photo_network import UNSURE

    in_scope = table["label"] != ""
    is_right = pd.Series(
        [
            predicted in label.split("|")
            for predicted, label in zip(table["predicted"], table["label"], strict=True)
        ],
        index=table.index,
    )
    unsure = table["verdict"] == UNSURE
    lines = []
    if in_scope.any():
        right, photos = int(is_right[in_scope].sum()), int(in_scope.sum())
        interval = binomtest(right, photos).proportion_ci(method="wilson")
        lines += [
            f"accuracy in scope: {right / photos:.3f} ({right} of {photos}; "
            f"95 % interval {interval.low:.3f} to {interval.high:.3f})",
            f"unsure in scope: {unsure[in_scope].mean():.3f}",
        ]
    if not in_scope.all():
        lines += [f"unsure out of scope: {unsure[~in_scope].mean():.3f}"]
    unreadable = int((table["verdict"] == UNREADABLE).sum())
    if unreadable:
        lines += [f"unreadable: {unreadable}"]
    confusion = pd.crosstab(
        table["label"].replace("", NONE_OF_THE_TEN),
        table["predicted"].replace("", UNREADABLE),
        rownames=["label"],
        colnames=["predicted"],
    )
    return "\n".join([*lines, "", confusion.to_string()])


def _reason(error, source):
    """Return what an error says after the path or address that it may begin with."""
    reason = str(error)
    for start in (Path(source).absolute(), source):
        reason = reason.removeprefix(f"{start}: ")
    return reason


def _plain(source):
    """Return a name for a file made from a path or an address."""
    stem = Path(str(source).split("?")[0]).stem
    return "".join(letter if letter.isalnum() else "_" for letter in stem)[:40] or "photo"


def main(arguments=None):
    """Answer photographs, or score answers.

    The exit status is 1 if something cannot be used; for ``score``, an unreadable photograph is
    a wrong answer and no more.
    """
    parser = argparse.ArgumentParser(
        prog="python -m garment_utils.photos", description="Recognize the garment in a photograph."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("predict", help="say what photographs show")
    command.add_argument("sources", nargs="+", metavar="FILE_OR_URL")
    command = commands.add_parser("score", help="compare answers with labels")
    command.add_argument("folder", type=Path)
    command.add_argument("labels", type=Path, metavar="LABELS.csv", help="columns: file,label")
    command.add_argument("--out", type=Path, required=True, metavar="RESULT.csv")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # not every terminal knows every letter of a name
    try:
        if options.command == "predict":
            sys.exit(1 if predict(options.sources) else 0)
        score(options.folder, options.labels, options.out)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
