"""Load, check and split the garments of Fashion-MNIST; class names; to and from a DataFrame.

Fashion-MNIST: 70,000 grey pictures of ten kinds of garment, 28×28 pixels (Xiao, Rasul and
Vollgraf 2017, arXiv:1708.07747). The four archives stand in ``data/fashion-mnist``.
"""

import gzip
import hashlib
import http.client
import math
import os
import struct
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from garment_utils.paths import DATA, write_whole

CLASS_NAMES = {
    "en": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "es": (
        "Camiseta",
        "Pantalón",
        "Jersey",
        "Vestido",
        "Abrigo",
        "Sandalia",
        "Camisa",
        "Sneaker",
        "Bolsa",
        "Botín",
    ),
}

ARCHIVE_FOLDER = DATA / "fashion-mnist"
DOWNLOAD_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
SPLIT_SEED = 0
VALIDATION_PER_CLASS = 500


class _Archive(NamedTuple):
    """What is known of one archive before it is opened."""

    name: str
    shape: tuple[int, ...]
    md5: str  # as published by the authors of the data set
    digits_md5: str  # of the archive of the same name in MNIST, to recognize a mix-up


ARCHIVES = {
    "train_images": _Archive(
        "train-images-idx3-ubyte.gz",
        (60_000, 28, 28),
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ),
    "train_labels": _Archive(
        "train-labels-idx1-ubyte.gz",
        (60_000,),
        "25c81989df183df01b3e8a0aad5dffbe",
        "d53e105ee54ea40749a09fcbcd1e9432",
    ),
    "test_images": _Archive(
        "t10k-images-idx3-ubyte.gz",
        (10_000, 28, 28),
        "bef4ecab320f06d8554ea6380940ec79",
        "9fb629c4189551a2d022fa330f9573f3",
    ),
    "test_labels": _Archive(
        "t10k-labels-idx1-ubyte.gz",
        (10_000,),
        "bb300cfdad3c16e7a12a480ee83cd310",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
}


@dataclass(frozen=True)
class Split:
    """One part of the data; position i means the same garment in all three arrays.

    All arrays are read-only, so that no cell can change the data for the next one.

    Attributes:
        name: ``"train"``, ``"validation"`` or ``"test"``: what the part may be used for.
        images: ``(n, 28, 28)`` uint8, 0 = background, 255 = brightest.
        labels: ``(n,)`` uint8, class 0–9; or ``(n, values)`` of 0 and 1, several labels each.
        indices: ``(n,)`` int64, position of each garment in its archive, 0-based.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray

    def __post_init__(self):
        """Lock the arrays."""
        for array in (self.images, self.labels, self.indices):
            array.flags.writeable = False

    def __len__(self):
        """Return the number of garments."""
        return len(self.labels)

    def require(self, *names):
        """Raise ValueError if this part is not one of those named: a guard against leaks."""
        if self.name not in names:
            raise ValueError(
                f"expected the {' or '.join(names)} part of the data, got the {self.name} part; "
                "what a model is made from or chosen by must not be what it is scored on"
            )

    def first(self, n):
        """Return the first n garments, or all if there are fewer, as a Split of their own.

        Raises:
            ValueError: n is below 1; a negative number would mean all but the last ones.
        """
        if n < 1:
            raise ValueError(f"expected a number of garments from 1 on, got {n:,}")
        return Split(self.name, self.images[:n], self.labels[:n], self.indices[:n])


@dataclass(frozen=True)
class Garments:
    """The data set in three parts: 55,000 to train, 5,000 to validate, 10,000 to test."""

    train: Split
    validation: Split
    test: Split


def class_names(language="en"):
    """Return the ten class names in the order of the labels, as a tuple of str.

    Raises:
        ValueError: if ``language`` is neither ``"en"`` nor ``"es"``.
    """
    if language not in CLASS_NAMES:
        raise ValueError(
            f"class names exist in {' and '.join(map(repr, CLASS_NAMES))}, not in {language!r}"
        )
    return CLASS_NAMES[language]


def load_garments(folder=ARCHIVE_FOLDER):
    """Read the four archives, verify them, and split the training pictures.

    An archive that is not in ``folder`` is taken from Keras' own cache if its sum is right there,
    else downloaded into ``folder``. The validation part holds 500 training garments of each
    class, drawn with a fixed seed: the same split on every machine.

    Args:
        folder: where the archives are, str or Path.

    Returns:
        Garments: ``train`` (55,000), ``validation`` (5,000) and ``test`` (10,000), each with
        ``images`` (n, 28, 28) uint8, ``labels`` (n,) uint8 and ``indices`` (n,) int64.

    Raises:
        FileNotFoundError: an archive is missing and cannot be downloaded.
        ValueError: an archive is truncated, corrupt, swapped with another or of other data.
    """
    # Decompression and checksums release Python's lock: the archives are read side by side.
    with ThreadPoolExecutor() as pool:
        arrays = dict(
            zip(
                ARCHIVES,
                pool.map(lambda archive: _load(archive, Path(folder)), ARCHIVES.values()),
                strict=True,
            )
        )
    train, validation = stratified_split(arrays["train_labels"], VALIDATION_PER_CLASS, SPLIT_SEED)
    images, labels = arrays["train_images"], arrays["train_labels"]
    return Garments(
        train=Split("train", images[train], labels[train], train),
        validation=Split("validation", images[validation], labels[validation], validation),
        test=Split("test", arrays["test_images"], arrays["test_labels"], np.arange(10_000)),
    )


def stratified_split(labels, per_class, seed):
    """Set the same number of garments of each class aside, at random.

    Args:
        labels: ``(n,)`` integers.
        per_class: how many of each class to set aside.
        seed: int, for a repeatable draw.

    Returns:
        Two sorted int64 arrays of positions: those that stay, those set aside.
    """
    rng = np.random.default_rng(seed)
    aside = [
        rng.choice(np.flatnonzero(labels == label), per_class, replace=False)
        for label in np.unique(labels)
    ]
    is_aside = np.zeros(len(labels), dtype=bool)
    is_aside[np.concatenate(aside)] = True
    return np.flatnonzero(~is_aside), np.flatnonzero(is_aside)


def decode_idx(content, source):
    """Turn the bytes of an IDX file into an array.

    Args:
        content: bytes, uncompressed: two zeros, the type (8 = unsigned byte), the number of
            dimensions, each size as a big-endian 32-bit integer, the values.
        source: what to call the file in an error message.

    Returns:
        uint8 array, read-only, of the shape that the header says.

    Raises:
        ValueError: header or number of bytes are not those of an IDX file of unsigned bytes.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{source}: expected an IDX file of unsigned bytes (it starts with 00 00 08), "
            f"found {content[:4].hex(' ') or 'nothing'}; fetch the file again"
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(
            f"{source}: the IDX header is cut off after {len(content)} bytes; fetch the file again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected, found = math.prod(shape), len(content) - start
    if found != expected:
        raise ValueError(
            f"{source}: the header promises {expected:,} values, the file holds {found:,}; "
            "fetch the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def to_frame(images, labels):
    """Put images and labels in one table: the label first, then 784 pixel columns.

    Args:
        images: ``(n, 28, 28)`` uint8.
        labels: ``(n,)`` uint8.

    Returns:
        DataFrame of n rows, all uint8: ``label``, ``pixel0`` … ``pixel783``; pixel 28·r + c is
        row r, column c of the picture.

    Raises:
        ValueError: the arrays have other shapes or types.
    """
    import pandas as pd  # takes longer to import than the data to load

    if (
        images.shape != (len(labels), 28, 28)
        or np.ndim(labels) != 1
        or not images.dtype == labels.dtype == np.uint8
    ):
        raise ValueError(
            "expected images (n, 28, 28) and labels (n,), both uint8; "
            f"got {images.shape} {images.dtype} and {labels.shape} {labels.dtype}"
        )
    pixels = images.reshape(len(images), 784)
    return pd.DataFrame(np.column_stack([labels, pixels]), columns=_frame_columns())


def from_frame(frame):
    """Take images and labels out of a table made by ``to_frame``, also after a trip through CSV.

    Args:
        frame: DataFrame with the columns ``label``, ``pixel0`` … ``pixel783`` in this order and
            whole numbers: labels 0–9, pixels 0–255.

    Returns:
        images ``(n, 28, 28)`` uint8 and labels ``(n,)`` uint8.

    Raises:
        ValueError: other columns, or values that are no labels or pixels.
    """
    if list(frame.columns) != _frame_columns():
        raise ValueError(
            "expected the columns label, pixel0 … pixel783 in this order; "
            f"got {len(frame.columns)} columns that begin {list(frame.columns[:3])}"
        )
    values = frame.to_numpy()
    try:
        with np.errstate(invalid="ignore"):
            table = values.astype(np.uint8)
    except (TypeError, ValueError, OverflowError):  # gaps, text, large numbers among objects
        table = None
    if table is None or not np.array_equal(table, values):
        raise ValueError("expected whole numbers from 0 to 255 in every pixel column; got others")
    labels, pixels = table[:, 0].copy(), table[:, 1:]
    if len(labels) and labels.max() > 9:
        raise ValueError(f"expected labels from 0 to 9; got {labels.max()}")
    return pixels.reshape(len(table), 28, 28), labels


def _frame_columns():
    return ["label"] + [f"pixel{i}" for i in range(784)]


def _load(archive, folder):
    """Read one archive as an array, or say in one sentence why that cannot be done."""
    path = _find(archive, folder)
    packed = path.read_bytes()
    is_published = hashlib.md5(packed).hexdigest() == archive.md5
    try:
        content = gzip.decompress(packed)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path}: expected a whole gzip archive, found {len(packed):,} bytes that are "
            f"truncated or corrupt ({error}); restore the file with 'git checkout' or delete it "
            "to have it downloaded"
        ) from None
    array = decode_idx(content, path)
    if array.shape != archive.shape:
        raise ValueError(
            f"{path}: expected {_describe(archive.shape)}, found {_describe(array.shape)}; "
            "are two of the four archives swapped?"
        )
    if not is_published:
        raise ValueError(_explain_other_content(path, packed, array, archive))
    return array


def _explain_other_content(path, packed, array, archive):
    """Say what an archive of the right shape with the wrong sum probably is."""
    # Digits are thin strokes on black: four fifths of their pixels are 0, half of the garments'.
    # Their classes differ in size, the garments' are equal.
    is_image = array.ndim == 3
    looks_like_digits = (
        hashlib.md5(packed).hexdigest() == archive.digits_md5
        or (is_image and np.mean(array == 0) > 0.7)
        or (not is_image and array.max() <= 9 and np.ptp(np.bincount(array)) > 0)
    )
    found = "what look like handwritten digits (MNIST)" if looks_like_digits else "other content"
    return (
        f"{path}: expected the Fashion-MNIST archive with md5 {archive.md5}, found {found}; "
        "restore the file with 'git checkout' or delete it to have it downloaded"
    )


def _describe(shape):
    kind = {1: "labels", 3: "images"}.get(len(shape), "values")
    return f"{kind} of shape {tuple(shape)}"


def _find(archive, folder):
    """Return a path of the archive: in ``folder``, in Keras' cache, or freshly downloaded."""
    path = folder / archive.name
    if path.exists():
        return path
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    cached = keras_home / "datasets" / "fashion-mnist" / archive.name
    if cached.exists() and hashlib.md5(cached.read_bytes()).hexdigest() == archive.md5:
        return cached
    try:
        with urllib.request.urlopen(DOWNLOAD_URL + archive.name, timeout=30) as answer:
            packed = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise FileNotFoundError(
            f"{archive.name} is missing and cannot be downloaded ({error}); "
            f"put the file with md5 {archive.md5} into {folder}"
        ) from None
    if hashlib.md5(packed).hexdigest() != archive.md5:
        raise ValueError(
            f"{DOWNLOAD_URL}{archive.name}: expected md5 {archive.md5}, downloaded another file; "
            f"put the right one into {folder}"
        )
    write_whole(path, packed)
    return path
