"""The archives are read whole or refused in one clear sentence; nothing is mixed up on the way."""

import gzip
import hashlib
import http.client
import shutil
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from garment_utils import data
from garment_utils.data import ARCHIVE_FOLDER, ARCHIVES


@pytest.fixture
def folder(tmp_path):
    """A folder with the four real archives, to spoil one of them."""
    for archive in ARCHIVES.values():
        (tmp_path / archive.name).symlink_to(ARCHIVE_FOLDER / archive.name)
    return tmp_path


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network and an empty Keras cache."""

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(data.urllib.request, "urlopen", refuse)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def encode_idx(array):
    header = b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def replace(folder, name, content):
    (folder / name).unlink()
    (folder / name).write_bytes(content)


# The real data


def test_split_sizes_and_types(garments):
    sizes = {"train": 55_000, "validation": 5_000, "test": 10_000}
    for name, size in sizes.items():
        part = getattr(garments, name)
        assert part.images.shape == (size, 28, 28)
        assert part.labels.shape == part.indices.shape == (size,)
        assert part.images.dtype == part.labels.dtype == np.uint8


def test_split_is_stratified_and_disjoint(garments):
    assert (np.bincount(garments.train.labels) == 5_500).all()
    assert (np.bincount(garments.validation.labels) == 500).all()
    both = np.concatenate([garments.train.indices, garments.validation.indices])
    assert np.array_equal(np.sort(both), np.arange(60_000))


def test_no_test_picture_is_trained_on(garments):
    """The test part is the test archive, and none of its pictures is in another part."""
    packed = (ARCHIVE_FOLDER / ARCHIVES["test_images"].name).read_bytes()
    assert garments.test.images.tobytes() == gzip.decompress(packed)[16:]
    tested = {image.tobytes() for image in garments.test.images}
    for part in (garments.train, garments.validation):
        assert not any(image.tobytes() in tested for image in part.images)


def test_each_picture_keeps_its_label(garments):
    """Picture, label and index of the parts agree with the archives, read here on their own."""
    images, labels = (
        np.frombuffer(
            gzip.decompress((ARCHIVE_FOLDER / ARCHIVES[name].name).read_bytes()), np.uint8
        )
        for name in ("train_images", "train_labels")
    )
    images, labels = images[16:].reshape(-1, 28, 28), labels[8:]
    for part in (garments.train, garments.validation):
        assert np.array_equal(part.images, images[part.indices])
        assert np.array_equal(part.labels, labels[part.indices])


def test_split_is_the_same_every_time(garments):
    """A fixed sum: another split would silently change every number of the series."""
    digest = hashlib.sha256(garments.validation.indices.astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("31f82e3d588e16ae")
    again = data.stratified_split(np.arange(100) % 10, per_class=3, seed=5)
    assert np.array_equal(again[1], data.stratified_split(np.arange(100) % 10, 3, 5)[1])


def test_the_first_garments_are_as_many_as_asked_for(garments):
    part = garments.validation.first(7)
    assert len(part) == 7 and part.name == "validation"
    assert np.array_equal(part.indices, garments.validation.indices[:7])
    assert len(garments.validation.first(5_000)) == len(garments.validation.first(5_001)) == 5_000
    for n in (-5, 0):
        with pytest.raises(ValueError, match=f"garments from 1 on, got {n}"):
            garments.validation.first(n)


def test_arrays_are_read_only(garments):
    with pytest.raises(ValueError, match="read-only"):
        garments.train.images[0, 0, 0] = 1


def test_class_names_belong_to_the_pictures(garments):
    """What a name promises is there on average: a gap between the legs, sleeves, a shaft."""
    means = {
        name: garments.train.images[garments.train.labels == label].mean(axis=0)
        for label, name in enumerate(data.class_names())
    }
    legs, sleeve, top = np.s_[22:27, 13:15], np.s_[22:26, 3:6], np.s_[:8]
    for name in ("T-shirt/top", "Pullover", "Dress", "Coat", "Shirt", "Bag"):
        assert means["Trouser"][legs].mean() < means[name][legs].mean() / 2, name
    for name in ("Pullover", "Coat", "Shirt"):
        assert means[name][sleeve].mean() > 5 * means["T-shirt/top"][sleeve].mean(), name
        assert means[name][sleeve].mean() > 5 * means["Dress"][sleeve].mean(), name
    for name in ("Sandal", "Sneaker"):
        assert means[name][top].mean() < means["Ankle boot"][top].mean() / 2, name


def test_class_names_in_two_languages():
    english = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
    spanish = "Camiseta,Pantalón,Jersey,Vestido,Abrigo,Sandalia,Camisa,Sneaker,Bolsa,Botín"
    assert data.class_names("en") == tuple(english.split(","))
    assert data.class_names("es") == tuple(spanish.split(","))
    with pytest.raises(ValueError, match="not in 'fr'"):
        data.class_names("fr")


def test_loading_needs_neither_sklearn_nor_tensorflow():
    code = (
        "import sys; from garment_utils.data import load_garments; load_garments();"
        "print([m for m in ('sklearn', 'tensorflow', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


# Archives that are not what they should be


def test_missing_and_offline_says_where_to_put_what(folder, offline):
    (folder / ARCHIVES["test_labels"].name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        data.load_garments(folder)
    for part in (ARCHIVES["test_labels"].name, ARCHIVES["test_labels"].md5, str(folder)):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_download_that_breaks_off_says_where_to_put_what(folder, offline, monkeypatch):
    def break_off(url, timeout):
        raise http.client.IncompleteRead(b"half")

    (folder / ARCHIVES["test_labels"].name).unlink()
    monkeypatch.setattr(data.urllib.request, "urlopen", break_off)
    with pytest.raises(FileNotFoundError, match=f"put the file with md5 .* into {folder}"):
        data.load_garments(folder)


def test_missing_is_taken_from_the_keras_cache(folder, offline, tmp_path):
    archive = ARCHIVES["train_labels"]
    cache = tmp_path / "keras" / "datasets" / "fashion-mnist"
    cache.mkdir(parents=True)
    shutil.copy(ARCHIVE_FOLDER / archive.name, cache)
    (folder / archive.name).unlink()
    assert len(data.load_garments(folder).train) == 55_000
    # A damaged copy in the cache is not used.
    (cache / archive.name).write_bytes(b"half")
    with pytest.raises(FileNotFoundError):
        data.load_garments(folder)


def test_missing_is_downloaded_whole_or_not_at_all(folder, monkeypatch, tmp_path):
    archive = ARCHIVES["train_labels"]
    published = (ARCHIVE_FOLDER / archive.name).read_bytes()
    (folder / archive.name).unlink()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    served = tmp_path / "served"
    monkeypatch.setattr(data, "DOWNLOAD_URL", served.as_uri() + "/")
    served.mkdir()
    (served / archive.name).write_bytes(published[:100])
    with pytest.raises(ValueError, match="downloaded another file"):
        data.load_garments(folder)
    assert not (folder / archive.name).exists()
    (served / archive.name).write_bytes(published)
    assert len(data.load_garments(folder).train) == 55_000
    assert (folder / archive.name).read_bytes() == published


def test_truncated_archive(folder):
    name = ARCHIVES["train_images"].name
    replace(folder, name, (ARCHIVE_FOLDER / name).read_bytes()[:-1000])
    with pytest.raises(ValueError, match="truncated or corrupt"):
        data.load_garments(folder)


def test_corrupt_archive(folder):
    name = ARCHIVES["test_images"].name
    content = bytearray((ARCHIVE_FOLDER / name).read_bytes())
    content[200_000] ^= 0xFF
    replace(folder, name, bytes(content))
    with pytest.raises(ValueError, match="truncated or corrupt"):
        data.load_garments(folder)


def test_no_gzip_at_all(folder):
    name = ARCHIVES["test_images"].name
    replace(folder, name, b"<html>not found</html>")
    with pytest.raises(ValueError, match="expected a whole gzip archive"):
        data.load_garments(folder)


@pytest.mark.parametrize(
    ("one", "other"),
    [("train_images", "train_labels"), ("train_images", "test_images")],
)
def test_swapped_archives(folder, one, other):
    names = ARCHIVES[one].name, ARCHIVES[other].name
    contents = [(ARCHIVE_FOLDER / name).read_bytes() for name in names]
    replace(folder, names[0], contents[1])
    replace(folder, names[1], contents[0])
    with pytest.raises(ValueError, match="swapped"):
        data.load_garments(folder)


def test_digits_instead_of_garments(folder):
    """Handwritten digits in archives of the right name, shape and type."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = (digits.images * 255 / 16).astype(np.uint8)
    images = np.zeros((10_000, 28, 28), np.uint8)
    chosen = np.arange(10_000) % len(small)
    images[:, 6:22, 6:22] = small.repeat(2, axis=1).repeat(2, axis=2)[chosen]
    name = ARCHIVES["test_images"].name
    replace(folder, name, gzip.compress(encode_idx(images), compresslevel=1))
    with pytest.raises(ValueError, match="handwritten digits"):
        data.load_garments(folder)


def test_labels_of_digits_instead_of_garments(folder):
    # The training counts of MNIST.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    labels = np.repeat(np.arange(10, dtype=np.uint8), counts)
    replace(folder, ARCHIVES["train_labels"].name, gzip.compress(encode_idx(labels)))
    with pytest.raises(ValueError, match="handwritten digits"):
        data.load_garments(folder)


def test_one_changed_pixel_is_noticed(folder):
    name = ARCHIVES["test_images"].name
    content = bytearray(gzip.decompress((ARCHIVE_FOLDER / name).read_bytes()))
    content[-400] ^= 1
    replace(folder, name, gzip.compress(bytes(content), compresslevel=1))
    with pytest.raises(ValueError, match="found other content"):
        data.load_garments(folder)


# The IDX format


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)))
def test_idx_round_trip(array):
    decoded = data.decode_idx(encode_idx(array), "test")
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, array) and decoded.shape == array.shape


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)),
    st.data(),
)
def test_idx_of_another_length_is_refused(array, draw):
    content = encode_idx(array)
    cut = draw.draw(st.integers(0, len(content) - 1))
    for spoiled in (content[:cut], content + b"\x00"):
        with pytest.raises(ValueError, match="^archive: "):
            data.decode_idx(spoiled, "archive")


@given(st.binary(max_size=64))
def test_idx_reader_never_fails_otherwise(content):
    try:
        data.decode_idx(content, "archive")
    except ValueError as error:
        assert str(error).startswith("archive: ")


# Tables


@given(st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_frame_round_trip(n, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.uint8)
    images_back, labels_back = data.from_frame(data.to_frame(images, labels))
    assert np.array_equal(images, images_back) and np.array_equal(labels, labels_back)
    assert images_back.dtype == labels_back.dtype == np.uint8


def test_frame_columns_follow_the_picture():
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 2, 3] = 7
    frame = data.to_frame(images, np.array([4], np.uint8))
    assert list(frame.columns[:2]) == ["label", "pixel0"] and frame.columns[-1] == "pixel783"
    assert frame["label"].item() == 4 and frame[f"pixel{2 * 28 + 3}"].item() == 7


def test_frame_survives_csv(garments, tmp_path):
    frame = data.to_frame(garments.test.images[:20], garments.test.labels[:20])
    frame.to_csv(tmp_path / "garments.csv", index=False)
    images, labels = data.from_frame(pd.read_csv(tmp_path / "garments.csv"))
    assert np.array_equal(images, garments.test.images[:20])
    assert np.array_equal(labels, garments.test.labels[:20])
    images, _ = data.from_frame(frame.convert_dtypes())  # pandas' own integers
    assert np.array_equal(images, garments.test.images[:20])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns="pixel5"), "expected the columns"),
        (lambda frame: frame.iloc[:, ::-1], "expected the columns"),
        (lambda frame: frame.assign(pixel5=0.5), "whole numbers"),
        (lambda frame: frame.assign(pixel5=256), "whole numbers"),
        (lambda frame: frame.assign(pixel5=np.nan), "whole numbers"),
        (lambda frame: frame.assign(pixel5=["7", None]), "whole numbers"),
        (lambda frame: frame.assign(label=10), "labels from 0 to 9"),
    ],
)
def test_frame_of_other_things_is_refused(spoil, message):
    frame = data.to_frame(np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match=message):
        data.from_frame(spoil(frame))


def test_to_frame_refuses_scaled_images():
    with pytest.raises(ValueError, match="float32"):
        data.to_frame(np.zeros((2, 28, 28), np.float32), np.zeros(2, np.uint8))
