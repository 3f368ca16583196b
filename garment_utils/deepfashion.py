"""DeepFashion's files: tables read into ``Attributes``, ours written like them, pictures streamed.

DeepFashion (Liu, Luo, Qiu, Wang and Tang 2016, DeepFashion: Powering robust clothes recognition
and retrieval with rich annotations, CVPR) may not be passed on: whoever has a copy names its
folder in ``DEEPFASHION_DIR``.
"""

import os
import re
import shutil
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse

from garment_utils.attribute_labels import (
    CATEGORIES,
    PARTS,
    TYPES,
    Attributes,
    columns_of_types,
    look_up,
)
from garment_utils.paths import BUILD, beside

WRITTEN_FOLDER = BUILD / "garment-attributes"

# DeepFashion's tables number the types; these are the names, in the order of the columns.
FINE_TYPES = {
    "texture": ("floral", "graphic", "striped", "embroidered", "pleated", "solid", "lattice"),
    "sleeve": ("long_sleeve", "short_sleeve", "sleeveless"),
    "length": ("maxi_length", "mini_length", "no_dress"),
    "neckline": ("crew_neckline", "v_neckline", "square_neckline", "no_neckline"),
    "fabric": ("denim", "chiffon", "cotton", "leather", "faux", "knit"),
    "fit": ("tight", "loose", "conventional"),
}
COARSE_TYPES = {"1": "texture", "2": "fabric", "3": "shape", "4": "part", "5": "style"}
LABELS = {"1", "0", "-1"}  # yes, unknown (no in fine tables), no


def deepfashion_folder(folder=""):
    """Return the Path of a copy of DeepFashion: ``folder``, else ``DEEPFASHION_DIR``.

    Raises:
        FileNotFoundError: none is named, or it is no folder.
    """
    name = folder or os.environ.get("DEEPFASHION_DIR", "")
    if not name or not Path(name).is_dir():
        found = f"no folder {name}" if name else "none named"
        raise FileNotFoundError(
            "expected the folder of DeepFashion's category and attribute prediction benchmark, "
            f"found {found}; give it as the parameter or in DEEPFASHION_DIR"
        )
    return Path(name)


def read_fine(folder):
    """Read DeepFashion's fine annotations: 26 values in six types, exactly one of each type.

    Their tables carry no names and belong together row by row. Header lines, CRLF, trailing
    spaces, -1 for no, and paths below ``img_highres_subset`` are understood. A box without area
    is kept, and means the whole picture, as long as at most one in a hundred is such. Of the 50
    categories four do not occur: their pictures were moved to Dress.

    Args:
        folder: with ``Anno_fine``, and the pictures in ``Img/img`` or ``img``.

    Returns:
        Attributes with ``files``: first the training rows, then validation, then test.

    Raises:
        FileNotFoundError: a table, or a picture that a table lists, is missing.
        ValueError: tables that do not fit together, unknown values, a picture listed twice,
            many boxes without area, or not exactly one value of a type, as after a shift by a
            column; with file and line.
    """
    folder, tables = Path(folder), Path(folder) / "Anno_fine"
    values, types = _read_fine_values(tables / "list_attr_cloth.txt")
    columns = columns_of_types(types)
    categories = _read_categories(tables / "list_category_cloth.txt")
    parsers = {
        "attr": lambda *line: _parse_fine(*line, values, columns),
        "bbox": _parse_box,
        "cate": lambda *line: _parse_category(*line, categories),
    }
    found = {ending: [] for ending in parsers}
    files, parts, row_of = [], [], {}
    for stem, part in PARTS.items():
        pictures = _Table(tables / f"{stem}.txt")
        names = [name for _, name in pictures]
        files += _find_pictures(pictures, names, folder, row_of)
        parts += [part] * len(names)
        for ending, parse in parsers.items():
            table = _Table(tables / f"{stem}_{ending}.txt")
            rows = [parse(table.path, number, text.split()) for number, text in table]
            if len(rows) != len(names):
                number = table.first + min(len(rows), len(names))
                message = f"{len(names)} rows as in {pictures.path.name}", f"{len(rows)}"
                raise _refusal(table.path, number, *message, "their rows belong together")
            if parse is _parse_box:
                _refuse_empty_boxes(table.path, rows, names)
            found[ending] += rows
    if not files:
        raise _refusal(tables / "train.txt", 1, "a picture in one of the parts", "none")
    return Attributes(
        values=values,
        types=types,
        labels=np.array(found["attr"], dtype=np.int8).reshape(-1, len(values)),
        boxes=np.array(found["bbox"], dtype=np.int32).reshape(-1, 4),
        parts=np.array(parts, dtype=object),
        categories=np.array(found["cate"], dtype=np.int16),
        category_names=categories,
        files=np.array(files, dtype=object),
    )


def read_coarse(folder):
    """Read DeepFashion's coarse annotations: 1,000 values in five types, any number of each.

    Their tables name each picture. The quirks are those of ``read_fine``, and columns such as
    ``variation_type`` that a header announces.

    Of 289,222 rows of 1,000 labels only the ones, and the rarer of no (-1) and unknown (0), are
    stored. What grows with the rows is about 0.65 KB for each while reading, 190 MB for all.

    Args:
        folder: with ``Anno_coarse`` or ``Anno``, ``Eval``, and the pictures in ``Img/img`` or
            ``img``.

    Returns:
        Attributes with ``files``, sparse ``labels``, ``rest`` and ``exceptions``.

    Raises:
        FileNotFoundError: a table, or a picture that a table lists, is missing.
        ValueError: tables that do not fit together, unknown values, a picture listed twice, many
            boxes without area, or labels shifted by a column; with file and line. A shift that
            keeps the number of columns shows in the names of the folders, which speak of the
            labels.
    """
    folder, tables = Path(folder), Path(folder) / "Anno_coarse"
    tables = tables if tables.is_dir() else folder / "Anno"
    values, numbers, lines = _read_values(tables / "list_attr_cloth.txt")
    for line, number in zip(lines, numbers, strict=True):
        if number not in COARSE_TYPES:
            path = tables / "list_attr_cloth.txt"
            raise _refusal(path, line, f"a type from 1 to {len(COARSE_TYPES)}", repr(number))
    categories = _read_categories(tables / "list_category_cloth.txt")
    table = _Table(tables / "list_attr_img.txt")
    names, labels, rest, exceptions = _read_coarse_labels(table, values)
    row_of = {}
    files = _find_pictures(table, names, folder, row_of)
    if not files:
        raise _refusal(table.path, table.first, "a picture and its labels", "none")
    _refuse_shift(table, names, labels, values)

    boxes = np.zeros((len(names), 4), dtype=np.int32)
    kinds = np.zeros((len(names), 1), dtype=np.int16)
    parts = np.zeros((len(names), 1), dtype=object)
    for array, path, column, parse in (
        (boxes, tables / "list_bbox.txt", "x_1", _parse_box),
        (
            kinds,
            tables / "list_category_img.txt",
            "category_label",
            lambda *line: _parse_category(*line, categories),
        ),
        (parts, folder / "Eval" / "list_eval_partition.txt", "evaluation_status", _parse_part),
    ):
        _read_named(_Table(path), column, parse, row_of, array)
    _refuse_empty_boxes(tables / "list_bbox.txt", boxes, names)
    return Attributes(
        values=values,
        types=tuple(COARSE_TYPES[number] for number in numbers),
        labels=labels,
        boxes=boxes,
        parts=parts[:, 0],
        categories=kinds[:, 0],
        category_names=categories,
        files=np.array(files, dtype=object),
        rest=rest,
        exceptions=exceptions,
    )


class _Table:
    """One of DeepFashion's text files; yields (line number, text) for each row, one at a time.

    A line with the number of rows and a line with the columns' names may come first.
    """

    def __init__(self, path):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; a copy of DeepFashion has it, see read_fine and read_coarse"
            )
        self.path = path
        with self._open() as file:
            count, names = file.readline().split(), file.readline().split()
        # Without headers a table of categories begins with a number too, but goes on with one.
        has_header = len(count) == 1 and count[0].isdigit() and names and not names[0].isdigit()
        self.promised = int(count[0]) if has_header else None
        self.header = names if has_header else []
        self.first = 3 if has_header else 1  # line number of the first row

    @contextmanager
    def _open(self):
        """Yield the open file; if it is no text in UTF-8, say which one."""
        try:
            with self.path.open(encoding="utf-8-sig") as file:  # CRLF arrives as a line feed
                yield file
        except UnicodeDecodeError:
            raise ValueError(
                f"{self.path}: expected text in UTF-8; found another encoding; restore the file"
            ) from None

    def __iter__(self):
        found, empty = 0, None
        with self._open() as file:
            for number, line in enumerate(file, 1):
                text = line.strip()
                if number < self.first:
                    continue
                if not text:  # welcome at the end of a file alone
                    empty = empty or number
                    continue
                if empty:
                    raise _refusal(self.path, empty, "a row", "an empty line", "remove it")
                found += 1
                yield number, text
        if self.promised not in (None, found):
            promised = f"{self.promised:,} rows, as it says"
            raise _refusal(self.path, 1, promised, f"{found:,}")


def _refusal(path, number, expected, found, advice="restore the file"):
    return ValueError(f"{path}, line {number}: expected {expected}; found {found}; {advice}")


def _read_values(path):
    """Return the names of values, the numbers of their types, and the lines they stand in."""
    table = _Table(path)
    rows = [(*text.rsplit(None, 1), number) for number, text in table]  # names hold spaces
    for row in rows:
        if len(row) != 3:
            raise _refusal(path, row[-1], "a value and its type", repr(row[0]))
    values, numbers, lines = zip(*rows, strict=True) if rows else ((), (), ())
    return values, numbers, lines


def _read_fine_values(path):
    """Return the names of values and of their types, which the values tell."""
    values, numbers, lines = _read_values(path)
    for row, value in enumerate(values):
        if value in values[:row]:
            raise _refusal(path, lines[row], "each value once", f"{value} a second time")
    types = tuple(f"type {number}" for number in numbers)
    for known in (FINE_TYPES, TYPES):
        if values == tuple(value for group in known.values() for value in group):
            types = tuple(name for name, group in known.items() for _ in group)
    for line, number, name in zip(lines, numbers, types, strict=True):
        others = [other for other, given in zip(types, numbers, strict=True) if given == number]
        if set(others) != {name} or types.count(name) != len(others):
            raise _refusal(
                path,
                line,
                f"one number for the values of {name} and for no others",
                f"number {number}",
                "are the types sorted, and the values not?",
            )
    return values, types


def _read_categories(path):
    """Return the names of the categories; none if a copy comes without them."""
    if not path.exists():
        return ()
    return _read_values(path)[0]


def _read_coarse_labels(table, values):
    """Return the names of the pictures, and labels, rest and exceptions of Attributes."""
    width, path = len(values), table.path
    name = "attribute_labels"
    skipped = table.header.index(name) - 1 if name in table.header else 0  # variation_type
    meaning = np.array([0, 1, -1], dtype=np.int8)
    names, rest, ones, exceptions, waiting = [], None, [], [], []

    def pack():
        nonlocal rest
        labels = meaning[np.array(waiting, dtype=np.uint8).reshape(-1, width)]
        if rest is None:  # the commoner of the first rows need not be stored
            rest = -1 if (labels == -1).sum() > (labels == 0).sum() else 0
        ones.append(sparse.csr_array((labels == 1).astype(np.int8)))
        exceptions.append(sparse.csr_array(labels == -1 - rest))
        waiting.clear()

    for number, text in table:
        name, *labels = text.rsplit(None, width)
        name, *others = name.rsplit(None, skipped)
        if len(labels) != width or len(others) != skipped or name.split()[-1] in LABELS:
            found = len(text.split()) - 1 - skipped
            expected = f"{width:,} labels, one for each value"
            raise _refusal(path, number, expected, f"{found:,}", "are the columns shifted?")
        if not LABELS.issuperset(labels):
            unknown = next(label for label in labels if label not in LABELS)
            raise _refusal(path, number, "labels 1, -1 or 0", repr(unknown))
        digits = "".join(labels).replace("-1", "2").encode()
        waiting.append(np.frombuffer(digits, dtype=np.uint8) - ord("0"))
        names.append(name)
        if len(waiting) == 1000:
            pack()
    pack()
    return names, sparse.vstack(ones, "csr"), rest, sparse.vstack(exceptions, "csr")


def _refuse_shift(table, names, labels, values):
    """Raise ValueError if labels fit the folders' names only after a move by one column.

    The names of DeepFashion's folders, such as Floral_Print_Dress, and its coarse labels come
    from the same descriptions: a folder that names a value holds pictures that have it.
    """
    words_of = lambda text: tuple(re.findall("[a-z0-9]+", text.lower()))  # noqa: E731
    column_of = {words_of(value): column for column, value in enumerate(values)}
    longest = max(map(len, column_of), default=0)

    @cache
    def named(item):
        """Return the columns of the values that a folder's name holds."""
        words = words_of(item)
        spans = [words[i:j] for i in range(len(words)) for j in range(i + 1, i + longest + 1)]
        return {column_of[span] for span in spans if span in column_of}

    pairs = [
        (row, column)
        for row, name in enumerate(names)
        for column in named(Path(_normal(name)).parent.name)
    ]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    have = np.ravel_multi_index(labels.nonzero(), labels.shape)

    def fitting(shift):
        inside = (columns + shift >= 0) & (columns + shift < len(values))
        return np.isin(rows * len(values) + columns + shift, have) & inside

    for shift, side in ((1, "right"), (-1, "left")):
        moved = fitting(shift)
        if moved.sum() >= 10 and moved.sum() > 2 * fitting(0).sum():
            raise _refusal(
                table.path,
                table.first + rows[moved.argmax()],
                "labels that fit the names of the folders",
                f"{moved.sum():,} that fit one column further to the {side}",
                "are the columns shifted?",
            )


def _read_named(table, column, parse, row_of, array):
    """Put what a table says of each picture into an array, in the row of its name."""
    width = array.shape[1]
    start = table.header.index(column) if column in table.header else 1
    count = len(table.header) or 1 + width
    missing = np.ones(len(array), dtype=bool)
    for number, text in table:
        name, *cells = text.rsplit(None, count - 1)
        row = row_of.get(_normal(name))
        if row is None:
            raise _refusal(table.path, number, "a picture of list_attr_img.txt", repr(name))
        if not missing[row]:
            raise _refusal(table.path, number, "each picture once", f"{name} a second time")
        array[row] = parse(table.path, number, cells[start - 1 : start - 1 + width])
        missing[row] = False
    if missing.any():
        name = list(row_of)[missing.argmax()]
        number = table.first + int((~missing).sum())
        expected = "each picture of list_attr_img.txt"
        raise _refusal(table.path, number, expected, f"no row of {name} up to here")


def _find_pictures(table, names, folder, row_of):
    """Return the files that a table lists; ``row_of``, name → row, grows by the names."""
    files = []
    for number, name in enumerate(names, table.first):
        normal = _normal(name)
        if normal in row_of:
            found = f"{name} a second time, first as row {row_of[normal] + 1} of all parts"
            raise _refusal(table.path, number, "each picture once", found)
        row_of[normal] = len(row_of)
        places = [f"{folder}/{below}{normal}" for below in ("Img/", "")]
        for place in places:
            if os.path.isfile(place):
                files.append(place)
                break
        else:
            raise FileNotFoundError(
                f"{table.path}, line {number}: expected the picture {places[0]}, found no such "
                f"file; unpack the pictures into {folder}/Img/img"
            )
    return files


def _normal(name):
    """Return img/<item>/img_00000037.jpg, also for img_highres_subset/<item>-img_00000037.jpg.

    The boxes count the pixels of the former: their longer side has 300.
    """
    if name.startswith("img_highres_subset/"):
        item, dash, picture = name.removeprefix("img_highres_subset/").rpartition("-img_")
        return f"img/{item}/img_{picture}" if dash else name
    return name


def _parse_fine(path, number, cells, values, columns):
    if len(cells) != len(values):
        expected = f"{len(values)} labels, one for each value"
        raise _refusal(path, number, expected, f"{len(cells)}", "are the columns shifted?")
    if not LABELS.issuperset(cells):
        unknown = next(cell for cell in cells if cell not in LABELS)
        raise _refusal(path, number, "labels 1, 0 or -1", repr(unknown))
    labels = [int(cell == "1") for cell in cells]
    for name, places in columns.items():
        count = sum(labels[place] for place in places)
        if count != 1:
            found = f"{count} among {', '.join(values[place] for place in places)}"
            expected = f"exactly one value of {name}"
            raise _refusal(path, number, expected, found, "are the columns shifted?")
    return labels


def _parse_box(path, number, cells):
    if len(cells) == 4 and all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return [int(cell) for cell in cells]  # also of 072
    raise _refusal(path, number, "a box x1 y1 x2 y2", " ".join(cells))


def _is_empty(boxes):
    """Return whether boxes, (…, 4) integers, have no area, (…) bool."""
    return (boxes[..., 0] >= boxes[..., 2]) | (boxes[..., 1] >= boxes[..., 3])


def _refuse_empty_boxes(path, boxes, names):
    """Raise ValueError if many boxes, (n, 4) integers, have no area; a slip or two may happen."""
    boxes = np.reshape(boxes, (-1, 4))
    empty = _is_empty(boxes)
    if empty.sum() > len(boxes) / 100:
        row = empty.argmax()
        raise ValueError(
            f"{path}: expected boxes x1 y1 x2 y2 with x1 < x2 and y1 < y2; found {empty.sum():,} "
            f"of {len(boxes):,} without area, the first of {names[row]}; are the columns exchanged?"
        )


def _parse_category(path, number, cells, names):
    if len(cells) == 1 and cells[0].isdecimal():
        category = int(cells[0])
        if 1 <= category <= (len(names) or 50):
            return category - 1
    expected = f"a category from 1 to {len(names) or 50}"
    raise _refusal(path, number, expected, " ".join(cells) or "nothing")


def _parse_part(path, number, cells):
    if len(cells) != 1 or cells[0] not in PARTS:
        raise _refusal(path, number, "train, val or test", " ".join(cells) or "nothing")
    return PARTS[cells[0]]


def write_fine(attributes, garments, folder=WRITTEN_FOLDER):
    """Write our labels as DeepFashion lays out its fine ones, with the pictures as PNG files.

    Landmarks, which we do not have, are left out; nothing here reads them. All is written beside
    the folder and renamed; an earlier copy is moved aside before, and deleted after.

    Args:
        attributes: what ``load_attributes`` returns, or some rows of it.
        garments: what ``data.load_garments`` returns.
        folder: to be made, or made anew.

    Returns:
        Path of the folder, which ``read_fine`` reads.

    Raises:
        ValueError: the labels are not ours, or the folder holds other things.
    """
    from garment_utils.quiet_keras import tf  # takes longer to import than all the rest

    if attributes.sources is None:
        raise ValueError("expected attributes made by load_attributes, got some with files")
    folder = Path(folder)
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if there - {"Anno_fine", "Img"} or folder.is_file():
        raise ValueError(
            f"expected {folder} to be missing or an earlier copy, found other files there; "
            "name another folder"
        )
    images, _ = look_up(garments, attributes.sources, attributes.indices)
    names = [
        f"img/{source}/img_{index:08d}.png"
        for source, index in zip(attributes.sources, attributes.indices, strict=True)
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(attributes.types), 1)}
    values = zip(attributes.values, (numbers[name] for name in attributes.types), strict=True)
    tables = {
        "list_attr_cloth": _listing("attribute_name", "attribute_type", values),
        "list_category_cloth": _listing("category_name", "category_type", CATEGORIES.items()),
    }
    for stem, part in PARTS.items():
        rows = np.flatnonzero(attributes.parts == part)
        tables |= {
            stem: [names[row] for row in rows],
            f"{stem}_attr": ["".join(f"{label} " for label in attributes.labels[r]) for r in rows],
            f"{stem}_bbox": [" ".join(f"{x:03d}" for x in attributes.boxes[row]) for row in rows],
            f"{stem}_cate": [str(attributes.categories[row] + 1) for row in rows],
        }
    partial = beside(folder)
    aside = partial.with_suffix(".old")
    try:
        for source in set(attributes.sources):
            (partial / "Img" / "img" / source).mkdir(parents=True)
        for name, image in zip(names, images, strict=True):
            packed = tf.io.encode_png(image[..., None]).numpy()
            (partial / "Img" / name).write_bytes(packed)
        (partial / "Anno_fine").mkdir()
        for name, lines in tables.items():
            text = "".join(f"{line}\n" for line in lines)
            (partial / "Anno_fine" / f"{name}.txt").write_text(text, encoding="utf-8")
        if folder.exists():
            os.replace(folder, aside)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if folder.exists():  # else the earlier copy is all there is
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def _listing(name, number, rows):
    """Return the lines of a list with its two header lines."""
    lines = [f"{text}  {value}" for text, value in rows]
    return [str(len(lines)), f"{name}  {number}", *lines]


# ---- from files to batches ---------------------------------------------------------------------


def stream(attributes, *, size, batch_size, channels=3, seed=None):
    """Read pictures and labels from disk while they are needed; nothing is kept in memory.

    Each picture is decoded, cropped to its box and resized, with the aspect ratio of the box lost.
    What of a box lies outside the picture is left out; a box without area means all of it.

    Args:
        attributes: Attributes with files.
        size: side of the resulting square pictures in pixels.
        batch_size: pictures in a batch; the last batch may be smaller.
        channels: 3 for colors, 1 for gray.
        seed: int to shuffle the rows, anew in each pass; None keeps their order.

    Returns:
        ``tf.data.Dataset`` of batches: images ``(b, size, size, channels)`` uint8, and labels
        ``(b, values)`` int8 as ``Attributes.dense`` returns them.

    Raises:
        ValueError: the attributes have no files: ``write_fine`` writes them.
        tf.errors.InvalidArgumentError: while reading, a picture that cannot be decoded, or that
            does not reach into its box; with the name of its file.
    """
    from garment_utils.quiet_keras import tf

    if attributes.files is None:
        raise ValueError("expected attributes with files, got ours; write_fine makes files of them")

    def crop(row):  # in Python, because TensorFlow's own errors do not tell which picture it is
        file, box = attributes.files[row], attributes.boxes[row]
        try:
            content = tf.io.read_file(file)
            image = tf.io.decode_image(content, channels=channels, expand_animations=False).numpy()
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            raise ValueError(f"expected a picture in {file}, found none; unpack it anew") from None
        x1, y1, x2, y2 = box
        garment = image if _is_empty(box) else image[y1:y2, x1:x2]
        if garment.size == 0:
            height, width, _ = image.shape
            raise ValueError(
                f"expected a box inside the {width} × {height} pixels of {file}, found {box}; "
                "unpack the pictures that belong to the tables"
            )
        return garment

    def picture(row):
        garment = tf.ensure_shape(tf.numpy_function(crop, [row], tf.uint8), (None, None, channels))
        garment = tf.image.resize(garment, (size, size), antialias=True)
        garment = tf.saturate_cast(tf.round(garment), tf.uint8)
        return tf.ensure_shape(garment, (size, size, channels)), row

    def labels(rows):
        found = tf.numpy_function(attributes.dense, [rows], tf.int8)
        return tf.ensure_shape(found, (None, len(attributes.values)))

    rows = tf.data.Dataset.range(len(attributes))
    if seed is not None:
        rows = rows.shuffle(len(attributes), seed=seed)
    batches = rows.map(picture, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)
    return batches.map(lambda images, rows: (images, labels(rows))).prefetch(tf.data.AUTOTUNE)
