"""Silhouettes and the place in 28×28 pixels, on arrays small enough to be written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy import ndimage

from garment_utils.data import load_garments
from garment_utils.shapes import (
    BACKGROUND,
    SIDE,
    box_of,
    fill_holes,
    fit_into_square,
    keep_large_parts,
    silhouette,
)

masks = st_numpy.arrays(
    bool, st_numpy.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
)
sides = st.integers(1, 90)


def drawn(*rows):
    """Return a mask from lines of text, ``#`` = garment."""
    return np.array([[character == "#" for character in row] for row in rows])


# Silhouettes


def test_what_is_white_in_a_garment_belongs_to_it_and_noise_around_it_does_not():
    image = np.full((28, 28), BACKGROUND, np.uint8)  # as dark as the noise of the data gets
    image[4:24, 6:22] = 120
    expected = image > BACKGROUND
    image[8, 6:22] = 0  # a white stripe, open at both sides
    image[12:15, 10:14] = 0  # a white print, 12 pixels
    np.testing.assert_array_equal(silhouette(image), expected)


def test_the_gap_under_a_handle_stays_open():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 6:22] = 120
    image[6:11, 10:18] = 0
    np.testing.assert_array_equal(silhouette(image), image > 0)


def test_every_garment_has_a_silhouette_with_all_its_visible_pixels():
    for image in load_garments().train.images[:500]:
        outline = silhouette(image)
        assert outline.shape == (28, 28) and outline.dtype == bool
        assert outline.sum() > 50 and outline[image > BACKGROUND].all()


def test_holes_by_hand():
    mask = drawn(
        "#######.",
        "#.##..#.",
        "####..#.",
        "##.####.",
        "##.#.##.",
    )
    expected = mask.copy()
    expected[1, 1] = True  # one pixel, enclosed; the others: four pixels, open below, outside
    np.testing.assert_array_equal(fill_holes(mask, 3), expected)
    expected[1:3, 4:6] = True
    np.testing.assert_array_equal(fill_holes(mask, 4), expected)


def test_a_gap_open_at_a_corner_only_counts_as_closed():
    mask = drawn(
        ".####",
        "#.###",
        "#####",
    )
    assert fill_holes(mask, 1)[1, 1] and not fill_holes(mask, 1)[0, 0]


@given(masks, st.integers(0, 20))
def test_holes_are_the_small_parts_of_the_background_that_touch_no_border(mask, largest_hole):
    before = mask.copy()
    parts, count = ndimage.label(~mask)
    expected = mask.copy()
    for part in range(1, count + 1):
        rows, columns = np.nonzero(parts == part)
        at_border = {0, mask.shape[0] - 1} & {*rows} or {0, mask.shape[1] - 1} & {*columns}
        if not at_border and len(rows) <= largest_hole:
            expected[rows, columns] = True
    np.testing.assert_array_equal(fill_holes(mask, largest_hole), expected)
    np.testing.assert_array_equal(mask, before)


def test_parts_by_hand():
    mask = drawn(
        "#####...####",
        "#####...####",
        "........####",
        "#...........",
        "##..###.....",
    )
    expected = mask.copy()
    expected[3:, :2] = False  # 3 pixels; the largest part has 12
    expected[4, 4:7] = False
    np.testing.assert_array_equal(keep_large_parts(mask, share=0.5), expected)
    np.testing.assert_array_equal(keep_large_parts(mask, share=0.25), mask)
    expected[:, :5] = False
    np.testing.assert_array_equal(keep_large_parts(mask, share=1.0), expected)


@given(masks, st.floats(0, 1))
def test_the_largest_part_is_always_kept_and_nothing_added(mask, share):
    kept = keep_large_parts(mask, share)
    assert not (kept & ~mask).any()
    assert kept.any() == mask.any()


@given(masks)
def test_a_box_is_as_small_as_can_be(mask):
    if not mask.any():
        with pytest.raises(ValueError, match="expected a mask with a garment"):
            box_of(mask)
        return
    inside = mask[box_of(mask)]
    assert inside.sum() == mask.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


# The place in 28×28 pixels


@given(height=sides, width=sides, top=st.integers(0, 20), left=st.integers(0, 20))
def test_longest_edge_fills_aspect_is_kept_garment_stands_in_the_middle(height, width, top, left):
    mask = np.zeros((120, 115), bool)
    mask[top : top + height, left : left + width] = True
    tones = np.where(mask, 200, 77)  # around the garment it need not be black
    square = fit_into_square(tones, mask)
    assert square.shape == (SIDE, SIDE) and square.dtype == np.float32
    rows, columns = box_of(square > 0)
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    assert max(high, wide) == SIDE
    longest = max(height, width)
    assert abs(high - SIDE * height / longest) <= 1 and abs(wide - SIDE * width / longest) <= 1
    for part in (rows, columns):
        assert part.start - (SIDE - part.stop) in (0, -1)
    np.testing.assert_allclose(square[rows, columns], 200, rtol=1e-5)
    assert np.count_nonzero(square) == high * wide


@pytest.mark.parametrize("times", [1, 2, 3, 7])
def test_an_enlarged_garment_gets_its_own_pixels_back(times):
    image = np.random.default_rng(0).integers(1, 256, (28, 17))
    large = np.kron(image, np.ones((times, times), int))
    large = np.pad(large, ((5, 9), (20, 3)))
    square = fit_into_square(large, large > 0)
    np.testing.assert_allclose(square[:, 5:22], image, rtol=1e-5)
    assert not square[:, :5].any() and not square[:, 22:].any()


def test_nothing_is_left_of_what_is_around_the_garment():
    mask = drawn("##.", "#..", "###").repeat(28, axis=0).repeat(28, axis=1)
    square = fit_into_square(np.full(mask.shape, 90.0), mask)
    np.testing.assert_array_equal(square[:9, 20:], 0)
    np.testing.assert_array_equal(square[10:18, 10:], 0)


def test_no_garment_no_place():
    with pytest.raises(ValueError, match="expected a mask with a garment in it, got an empty one"):
        fit_into_square(np.ones((9, 9)), np.zeros((9, 9), bool))
