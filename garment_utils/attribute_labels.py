"""Several labels on one garment: the structure that holds them, and our own.

Ours stand in ``data/garment-attributes``; ``deepfashion`` reads others into the same structure.
"""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from garment_utils.data import Split, class_names
from garment_utils.paths import BRING_BACK, DATA, read_rows

LABEL_FOLDER = DATA / "garment-attributes"

# Type → its values; the order is that of the columns.
TYPES = {
    "pattern": (
        "solid",
        "striped",
        "checked",
        "graphic",
        "all_over_print",
        "color_block",
        "textured",
    ),
    "sleeve": ("long_sleeve", "short_sleeve", "sleeveless"),
    "length": ("no_dress", "mini_length", "maxi_length"),
    "neckline": ("round_neckline", "v_neckline", "collared", "hooded", "other_neckline"),
    "closure": ("front_opening", "closed_front"),
    "fit": ("fitted", "straight", "loose"),
}
VALUES = tuple(value for values in TYPES.values() for value in values)  # the columns
TYPES_OF_VALUES = tuple(name for name, values in TYPES.items() for _ in values)

# The classes our labels cover → DeepFashion's kind of it: 1 upper body, 2 lower body, 3 full body.
CATEGORIES = {"T-shirt/top": 1, "Pullover": 1, "Dress": 3, "Coat": 3, "Shirt": 1}
PARTS = {"train": "train", "val": "validation", "test": "test"}  # in the files → in this package
ARCHIVE_SIZES = {"train": 60_000, "t10k": 10_000}


@dataclass(frozen=True)
class Attributes:
    """Pictures with several labels; row i means the same picture everywhere.

    Arrays are read-only; of a sparse one, its stored values are.

    Attributes:
        values: names of the attributes, a tuple of str: the columns of ``labels``.
        types: the type of each value, a tuple of str, as long; a type's columns need not be
            neighbors.
        labels: ``(n, values)`` int8, 1 where the picture has a value. Fine labels, as ours, are
            an array with exactly one 1 a type, and 0 means no. Coarse labels are a
            ``scipy.sparse.csr_array`` that stores the ones alone; what its zeros mean, no or
            unknown, ``rest`` and ``exceptions`` say, and ``dense`` spells it out.
        boxes: ``(n, 4)`` int32, the garment in its picture: x1, y1, x2, y2 in pixels; x counts
            columns from the left, y rows from the top; x2 and y2 are the first ones outside. A
            box without area means the whole picture.
        parts: ``(n,)`` str, ``"train"``, ``"validation"`` or ``"test"``.
        categories: ``(n,)`` int16, kind of garment, a position in ``category_names``.
        category_names: tuple of str; empty if a copy does not name them.
        files: ``(n,)`` paths as str, or None: ours are in the archives.
        sources: ``(n,)`` str, ``"train"`` or ``"t10k"``, the archive; None for files.
        indices: ``(n,)`` int64, 0-based position in that archive; None for files.
        rest: what a label that is not 1 means, if it is no exception: 0 or -1.
        exceptions: ``(n, values)`` bool ``csr_array`` of labels that mean the other of 0 and -1;
            None for fine labels.
    """

    values: tuple
    types: tuple
    labels: np.ndarray | sparse.csr_array
    boxes: np.ndarray
    parts: np.ndarray
    categories: np.ndarray
    category_names: tuple = ()
    files: np.ndarray | None = None
    sources: np.ndarray | None = None
    indices: np.ndarray | None = None
    rest: int = 0
    exceptions: sparse.csr_array | None = None

    def __post_init__(self):
        """Lock the arrays; refuse what does not belong together."""
        arrays = self._by_row()
        columns = {self.labels.shape[1], len(self.values), len(self.types)}
        if {array.shape[0] for array in arrays.values()} != {len(self)} or len(columns) > 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(
                "expected as many rows in all arrays, and a name and a type for each column; got "
                f"{shapes}, {len(self.values)} names and {len(self.types)} types"
            )
        for array in arrays.values():
            stored = array.data if sparse.issparse(array) else array
            stored.flags.writeable = False

    def __len__(self):
        """Return the number of pictures."""
        return len(self.parts)

    def _by_row(self):
        everything = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in everything.items() if hasattr(array, "shape")}

    def take(self, positions):
        """Return some rows as Attributes of their own; ``positions`` is (m,) integers."""
        return replace(self, **{name: array[positions] for name, array in self._by_row().items()})

    def part(self, name):
        """Return the rows of ``"train"``, ``"validation"`` or ``"test"`` as Attributes."""
        if name not in PARTS.values():
            raise ValueError(f"expected one of the parts {', '.join(PARTS.values())}, got {name!r}")
        return self.take(np.flatnonzero(self.parts == name))

    def require(self, *names):
        """Raise ValueError if a row is of another part than those named: a guard against leaks."""
        others = sorted(set(self.parts) - set(names))
        if others:
            raise ValueError(
                f"expected rows of the {' or '.join(names)} part alone, got some of the "
                f"{' and the '.join(others)} part; what a model is made from or chosen by must not "
                "be what it is scored on"
            )

    def dense(self, positions):
        """Return labels of some rows as an array, with all that the files say.

        Args:
            positions: ``(m,)`` integers.

        Returns:
            ``(m, values)`` int8: 1 yes; 0 no in fine labels, unknown in coarse ones; -1 no.
        """
        if self.exceptions is None:
            return self.labels[positions]
        labels = np.full((len(positions), len(self.values)), self.rest, dtype=np.int8)
        labels[self.exceptions[positions].nonzero()] = -1 - self.rest
        labels[self.labels[positions].nonzero()] = 1
        return labels


def plain(name):
    """Return the name of a value as one says it: ``"v_neckline"`` as ``"v neckline"``."""
    return name.replace("_", " ")


def columns_of_types(types):
    """Return which columns belong to each type, in the order in which the types first appear.

    Args:
        types: the type of each column, a sequence of str.

    Returns:
        dict, type → ``(k,)`` int64 columns.
    """
    types = np.asarray(types, dtype=object)
    return {name: np.flatnonzero(types == name) for name in dict.fromkeys(types)}


def load_attributes(garments, folder=LABEL_FOLDER):
    """Read our labels: 1,792 garments of Fashion-MNIST, six types, one value of each.

    Args:
        garments: what ``data.load_garments`` returns.
        folder: where labels.csv is.

    Returns:
        Attributes with ``sources`` and ``indices``; 1,280 train, 256 validation and 256 test
        garments, the last ones of the test archive. ``look_up`` finds the pictures.

    Raises:
        FileNotFoundError: there is no labels.csv.
        ValueError: an unknown value, an index out of range, a garment listed twice, a part that
            takes garments of the wrong archive, or a class that we do not label; with the line.
    """
    path = Path(folder) / "labels.csv"
    rows = read_rows(path, ["split", "source", "index", *TYPES], remedy=BRING_BACK)
    archive_of = {"train": "train", "val": "train", "test": "t10k"}
    lines = {}
    for number, row in rows:
        _check_value(path, number, "split", row["split"], archive_of)
        _check_value(path, number, "source", row["source"], [archive_of[row["split"]]])
        garment = row["source"], _index(path, number, row)
        if garment in lines:
            raise ValueError(
                f"{path}, line {number}: expected each garment once, found {garment[0]} "
                f"{garment[1]} in line {lines[garment]} too; keep one of the lines"
            )
        lines[garment] = number
    sources = np.array([source for source, _ in lines], dtype=object)
    indices = np.array([index for _, index in lines], dtype=np.int64)
    _, classes = look_up(garments, sources, indices)
    names = [class_names()[label] for label in classes]
    for number, name in zip(lines.values(), names, strict=True):
        _check_value(path, number, "class", name, CATEGORIES)
    return Attributes(
        values=VALUES,
        types=TYPES_OF_VALUES,
        labels=_one_hot(path, rows, TYPES),
        boxes=np.tile(np.array([0, 0, 28, 28], dtype=np.int32), (len(rows), 1)),
        parts=np.array([PARTS[row["split"]] for _, row in rows], dtype=object),
        categories=np.array([list(CATEGORIES).index(name) for name in names], dtype=np.int16),
        category_names=tuple(CATEGORIES),
        sources=sources,
        indices=indices,
    )


def load_annotations(attributes, folder=LABEL_FOLDER):
    """Read what the two annotators said, each on their own, before a third look decided.

    Args:
        attributes: what ``load_attributes`` returns.
        folder: where annotations.csv is.

    Returns:
        Two Attributes, the same garments in the same order with the labels of the first and of
        the second annotator.

    Raises:
        FileNotFoundError: there is no annotations.csv.
        ValueError: an unknown value, or other garments than in labels.csv; with the line.
    """
    path = Path(folder) / "annotations.csv"
    columns = {who: [f"{name}_{who}" for name in TYPES] for who in ("first", "second")}
    names = ["source", "index", *columns["first"], *columns["second"]]
    rows = read_rows(path, names, remedy=BRING_BACK)
    garments = list(zip(attributes.sources, attributes.indices, strict=True))
    for (number, row), garment in zip(rows, garments, strict=False):
        if (row["source"], _index(path, number, row)) != garment:
            raise ValueError(
                f"{path}, line {number}: expected {garment[0]} {garment[1]} as in labels.csv, "
                f"found {row['source']} {row['index']}; the lines of both files belong together"
            )
    if len(rows) != len(garments):
        raise ValueError(
            f"{path}, line {min(len(rows), len(garments)) + 2}: expected {len(garments)} rows as "
            f"in labels.csv, found {len(rows)}; the lines of both files belong together"
        )
    known = [dict(zip(names, TYPES.values(), strict=True)) for names in columns.values()]
    return tuple(replace(attributes, labels=_one_hot(path, rows, values)) for values in known)


def look_up(garments, sources, indices):
    """Find pictures and classes by their place in the archives.

    Args:
        garments: what ``data.load_garments`` returns.
        sources: ``(n,)`` str, ``"train"`` or ``"t10k"``, the archive.
        indices: ``(n,)`` integers, 0-based position in the archive.

    Returns:
        images ``(n, 28, 28)`` uint8 and labels ``(n,)`` uint8, the class 0–9.

    Raises:
        ValueError: an archive holds no such picture.
    """
    sources, indices = np.asarray(sources, dtype=object), np.asarray(indices, dtype=np.int64)
    images = np.zeros((len(indices), 28, 28), dtype=np.uint8)
    labels = np.zeros(len(indices), dtype=np.uint8)
    missing = np.ones(len(indices), dtype=bool)
    for part in (garments.train, garments.validation, garments.test):
        position_of = {index: position for position, index in enumerate(part.indices.tolist())}
        positions = np.array([position_of.get(index, -1) for index in indices.tolist()], dtype=int)
        here = (sources == ("t10k" if part.name == "test" else "train")) & (positions >= 0)
        images[here], labels[here] = part.images[positions[here]], part.labels[positions[here]]
        missing &= ~here
    if missing.any():
        row = np.flatnonzero(missing)[0]
        raise ValueError(
            f"expected train 0 to 59999 or t10k 0 to 9999, got {sources[row]} {indices[row]}"
        )
    return images, labels


def to_split(attributes, garments):
    """Return garments of one part with all their labels, for training or scoring.

    Args:
        attributes: Attributes of one part, with ``sources`` and ``indices``.
        garments: what ``data.load_garments`` returns.

    Returns:
        Split of that part with ``labels`` ``(n, values)`` int8 instead of classes.

    Raises:
        ValueError: the rows are of several parts.
    """
    (name, *_) = attributes.parts
    attributes.require(name)
    images, _ = look_up(garments, attributes.sources, attributes.indices)
    return Split(name, images, attributes.labels, attributes.indices)


def load_index(path):
    """Read which garments are meant: a CSV file that has the columns ``source`` and ``index``.

    Args:
        path: of the file; further columns do not matter.

    Returns:
        ``(n,)`` str, ``"train"`` or ``"t10k"``, and ``(n,)`` int64 0-based positions.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no CSV, no such columns, no rows, an unknown archive or a position outside
            it; with the line.
    """
    path = Path(path)
    rows = read_rows(path, ["source", "index"], more=True)
    if not rows:
        raise ValueError(f"{path}: expected at least one garment, found the header alone")
    for number, row in rows:
        _check_value(path, number, "source", row["source"], ARCHIVE_SIZES)
    indices = [_index(path, number, row) for number, row in rows]
    sources = [row["source"] for _, row in rows]
    return np.array(sources, dtype=object), np.array(indices, dtype=np.int64)


def _check_value(path, number, what, value, known):
    if value not in known:
        raise ValueError(
            f"{path}, line {number}: expected as {what} {' or '.join(known)}; found {value!r}"
        )


def _index(path, number, row):
    size = ARCHIVE_SIZES.get(row["source"], 0)
    if not re.fullmatch("[0-9]+", row["index"] or "") or int(row["index"]) >= size:
        raise ValueError(
            f"{path}, line {number}: expected a position in the archive {row['source']} with "
            f"{size:,} pictures, counted from 0; found {row['index'] or 'nothing'!r}"
        )
    return int(row["index"])


def _one_hot(path, rows, known):
    """Return (n, values) int8 with a 1 for the value that stands in each column of ``known``."""
    labels = np.zeros((len(rows), sum(map(len, known.values()))), dtype=np.int8)
    for position, (number, row) in enumerate(rows):
        first = 0
        for column, values in known.items():
            _check_value(path, number, column, row[column], values)
            labels[position, first + values.index(row[column])] = 1
            first += len(values)
    return labels
