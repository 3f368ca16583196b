"""Silhouettes of garments, and how a garment is placed in 28×28 pixels."""

import cv2
import numpy as np

SIDE = 28
# A pixel darker than this is background in Fashion-MNIST: JPEG noise leaves values up to here.
BACKGROUND = 8


def silhouette(image, largest_hole=12):
    """Tell which pixels of a Fashion-MNIST picture belong to the garment.

    White parts of a garment are black in the data, like the background: holes of a few pixels are
    filled, the wide gap under the handle of a bag stays.

    Args:
        image: ``(28, 28)`` uint8, 0 = background.
        largest_hole: in pixels; wider gaps stay open.

    Returns:
        ``(28, 28)`` bool.
    """
    bright = (image > BACKGROUND).astype(np.uint8)
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return fill_holes(closed > 0, largest_hole)


def fill_holes(mask, largest_hole):
    """Fill the holes of a mask that are enclosed and have at most so many pixels.

    Args:
        mask: ``(h, w)`` bool.
        largest_hole: in pixels.

    Returns:
        ``(h, w)`` bool, a new array.
    """
    height, width = mask.shape
    # Four neighbors: a gap that is open at one corner only counts as closed.
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(
        (~mask).astype(np.uint8), connectivity=4
    )
    left, top, wide, high, pixels = statistics.T
    enclosed = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height)
    to_fill = enclosed & (pixels <= largest_hole)
    to_fill[0] = False  # the mask itself
    return mask | to_fill[parts]


def keep_large_parts(mask, share=0.2):
    """Keep the largest connected part of a mask and the others that are nearly as large.

    Two shoes that do not touch are two parts; a hanger or a crumb is much smaller than a garment.

    Args:
        mask: ``(h, w)`` bool, not empty.
        share: of the largest part's area that a part needs to be kept.

    Returns:
        ``(h, w)`` bool.
    """
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    return np.isin(parts, np.flatnonzero(areas >= max(1, share * areas.max())))


def box_of(mask):
    """Return the rows and the columns that a mask occupies, as two slices.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("expected a mask with a garment in it, got an empty one")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def fit_into_square(tones, mask, side=SIDE):
    """Cut a garment out and place it as Fashion-MNIST's authors did.

    Its longest edge gets the length of the square, its aspect is kept, it stands in the middle and
    everything around it is 0. Source: Xiao, Rasul and Vollgraf (2017), Fashion-MNIST, section 2;
    theirs takes every n-th pixel where this takes the mean of an area, which photographs need.

    Args:
        tones: ``(h, w)`` numbers, 0 = background.
        mask: ``(h, w)`` bool, the garment.
        side: pixels of the square's edge.

    Returns:
        ``(side, side)`` float32.

    Raises:
        ValueError: the mask is empty.
    """
    box = box_of(mask)
    cut = np.where(mask, tones, 0)[box].astype(np.float32)
    height, width = cut.shape
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    square = np.zeros((side, side), np.float32)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = cut
    return square
