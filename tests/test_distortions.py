"""Distorted pictures: repeatable, under the right label, and distorted as they are meant to be."""

import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from garment_utils import distortions
from garment_utils.data import Split, load_garments
from garment_utils.distortions import (
    COAT,
    DRESS,
    PULLOVER,
    SHIRT,
    SNEAKER,
    SOMETHING_ELSE,
    TROUSER,
    TSHIRT,
    Distorter,
    distort,
    photograph,
)
from garment_utils.shapes import box_of, silhouette


@pytest.fixture(scope="module")
def train():
    return load_garments().train.first(1_500)


@pytest.fixture(scope="module")
def distorted(train):
    return distort(train, seed=1)


@pytest.fixture(scope="module")
def distorter():
    return Distorter(seed=2, fields=20)


def garments_of(train, label, count):
    """Return tones and masks of so many garments of a class, as the distorter's steps get them."""
    images = train.images[train.labels == label][:count]
    masks = [distortions._enlarge(silhouette(image).astype(np.float32)) for image in images]
    return [
        (distortions._enlarge(image.astype(np.float32) / 255), mask)
        for image, mask in zip(images, masks, strict=True)
    ]


def size(mask):
    rows, columns = box_of(mask > 0.5)
    return rows.stop - rows.start, columns.stop - columns.start


# The part as a whole


def test_the_test_part_is_refused(train):
    tested = Split("test", train.images, train.labels, train.indices)
    with pytest.raises(ValueError, match="expected the train or validation part of the data"):
        distort(tested, seed=0)


def test_pictures_are_like_those_of_the_data(train, distorted):
    assert distorted.name == "train" and len(distorted) == len(train)
    assert distorted.images.shape == train.images.shape and distorted.images.dtype == np.uint8
    assert distorted.labels.dtype == np.uint8
    np.testing.assert_array_equal(distorted.indices, train.indices)
    for image in distorted.images:
        rows, columns = box_of(image > 0)
        assert max(rows.stop - rows.start, columns.stop - columns.start) == 28
        assert all(abs(part.start - (28 - part.stop)) <= 1 for part in (rows, columns))


def test_the_validation_part_stays_one():
    assert distort(load_garments().validation.first(3), seed=0).name == "validation"


def test_each_copy_is_distorted_anew(train, distorted):
    twice = distort(train.first(100), seed=1, copies=2)
    assert len(twice) == 200
    np.testing.assert_array_equal(twice.indices, np.tile(train.indices[:100], 2))
    known = twice.labels != SOMETHING_ELSE
    np.testing.assert_array_equal(twice.labels[known], np.tile(train.labels[:100], 2)[known])
    np.testing.assert_array_equal(twice.images[:100], distorted.images[:100])
    assert (twice.images[:100] != twice.images[100:]).any(axis=(1, 2)).all()


def test_a_tenth_becomes_something_else_the_others_keep_their_label(train, distorted):
    is_other = distorted.labels == SOMETHING_ELSE
    np.testing.assert_array_equal(distorted.labels[~is_other], train.labels[~is_other])
    # Of 1,500 a tenth is 150, with a standard deviation of 12.
    assert 0.06 < is_other.mean() < 0.14


def test_each_picture_is_made_from_the_one_at_its_position(train, distorted):
    def likeness(images):  # turned over, some of them
        return np.array(
            [
                max(np.corrcoef(one.ravel(), view.ravel())[0, 1] for view in (two, two[:, ::-1]))
                for one, two in zip(distorted.images, images, strict=True)
            ]
        )

    own, neighbor = likeness(train.images), likeness(np.roll(train.images, 1, axis=0))
    is_other = distorted.labels == SOMETHING_ELSE
    # With six other seeds 0.18 to 0.21, and 0.19 to 0.25.
    assert own[~is_other].mean() - neighbor[~is_other].mean() > 0.1
    assert own[~is_other].mean() - own[is_other].mean() > 0.1


def test_same_seed_same_bits_however_many_processes(train, distorted, monkeypatch):
    started = []

    def start(workers, *arguments, **options):
        started.append(workers)
        return ProcessPoolExecutor(workers, *arguments, **options)

    # Chunks are cut here, not in the processes: they need not know of the smaller ones.
    monkeypatch.setattr(distortions, "CHUNK", 30)
    monkeypatch.setattr(distortions, "ProcessPoolExecutor", start)
    results = []
    for processors in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda count=processors: count)
        results.append(distort(train.first(80), seed=1))
    assert started == [2, 3]  # none for the first; no more than there are chunks
    for result in results[1:]:
        np.testing.assert_array_equal(result.images, results[0].images)
        np.testing.assert_array_equal(result.labels, results[0].labels)
    # The first chunk begins with the same random numbers whatever its length.
    np.testing.assert_array_equal(results[0].images[:30], distorted.images[:30])


def test_chunks_and_seeds_are_distorted_differently(train, monkeypatch):
    monkeypatch.setattr(distortions, "CHUNK", 20)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    same = Split(
        "train",
        *(
            np.repeat(array[:1], 40, axis=0)
            for array in (train.images, train.labels, train.indices)
        ),
    )
    one, two = distort(same, seed=1), distort(same, seed=2)
    assert (one.images[:20] != one.images[20:]).any(axis=(1, 2)).all()
    assert (one.images != two.images).any(axis=(1, 2)).all()


def test_a_picture_without_a_garment_is_refused_others_never_fail(distorter):
    with pytest.raises(ValueError, match="expected a mask with a garment in it"):
        for _ in range(100):
            distorter(np.zeros((28, 28), np.uint8), PULLOVER)
    corner, edge = np.zeros((2, 28, 28), np.uint8)
    corner[0, 0] = edge[:, 2] = 9
    for image in (corner, edge, np.full((28, 28), 255, np.uint8)):
        for label in range(10):
            for _ in range(20):
                picture, _ = distorter(image, label)
                assert picture.shape == (28, 28) and picture.dtype == np.uint8


# Step by step: averages over garments, with bounds far from what other seeds gave


def test_sleeves_are_spread(train, distorter):
    for label, least in ((PULLOVER, 1.5), (COAT, 1.5), (SHIRT, 1.3), (TSHIRT, 1.05)):
        wider = []
        for tones, mask in garments_of(train, label, 60):
            height, width = size(mask)
            new_height, new_width = size(distorter.spread_sleeves(tones, mask, label)[1])
            wider.append((new_width / new_height) / (width / height))
        assert np.mean(wider) > least, label


def test_two_shoes_take_up_more_of_a_square_than_one(train, distorter):
    one, pair = [], []
    for tones, mask in garments_of(train, SNEAKER, 60):
        for shapes, shape in ((one, mask), (pair, distorter.pair_of_shoes(tones, mask)[1])):
            shapes.append(min(size(shape)) / max(size(shape)))
    assert np.median(one) < 0.55 and np.median(pair) > 0.65


def test_half_a_garment_is_cut_off_at_the_right_end(train, distorter):
    for label in (TROUSER, DRESS, PULLOVER):
        for tones, mask in garments_of(train, label, 30):
            rows, _ = box_of(mask > 0.5)
            half, _ = box_of(distorter.something_else(tones, mask, label)[1] > 0.5)
            kept = (half.stop - half.start) / (rows.stop - rows.start)
            assert 0.25 < kept < 0.6
            same_end = (half.start == rows.start, half.stop == rows.stop)
            assert same_end == ((True, False) if label == TROUSER else (False, True))


def test_other_things_have_nothing_of_the_garment(train, distorter):
    (tones, mask), *_ = garments_of(train, SNEAKER, 1)
    for _ in range(50):
        thing, shape = distorter.something_else(tones, mask, SNEAKER)
        assert thing.min() >= 0 and thing.max() <= 1 and not np.array_equal(thing, tones)
        assert shape.sum() >= 80 and set(np.unique(shape)) <= {0, 1}


def test_turning_turns(train, distorter):
    ratios = {0: [], 90: []}  # height : width of trousers
    for tones, mask in garments_of(train, TROUSER, 40):
        for turn, found in ratios.items():
            height, width = size(distorter.bend(tones, mask, turn=turn)[1])
            found.append(height / width)
    assert np.mean(ratios[0]) > 1.6 and np.mean(ratios[90]) < 0.65


# Made-up photographs


def test_photographs_show_the_garment_dark_where_its_picture_is_bright(train):
    """Two photographs that differ in nothing but the tone of the cloth show where it is."""
    for seed, image in enumerate(train.images[:8]):
        cloth = silhouette(image)
        dark, bright = (
            photograph(np.where(cloth, tone, 0).astype(np.uint8), np.random.default_rng(seed))
            for tone in (250, 100)
        )
        assert dark.shape == (240, 200, 3) and dark.dtype == np.uint8
        difference = bright.astype(int).sum(axis=2) - dark.astype(int).sum(axis=2)
        assert difference.min() >= -2  # rounded down, each color
        rows, columns = box_of(difference > difference.max() / 2)
        longest = max(rows.stop - rows.start, columns.stop - columns.start)
        assert 0.4 * 200 < longest < 240 and 0.05 < (difference > 20).mean() < 0.8


def test_photographs_are_repeatable_and_never_the_same(train):
    image = train.images[0]
    one, again, other = (photograph(image, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
