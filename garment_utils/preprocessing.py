"""Pixel scales: what happens to the pixels before a network sees them."""

from typing import NamedTuple

import numpy as np

SCALE_NAMES = ("raw", "divided", "standardized")


class PixelScale(NamedTuple):
    """A shift and a division, the same for every pixel: ``(pixel - offset) / divisor``."""

    name: str
    offset: float
    divisor: float

    def apply(self, images):
        """Return the scaled pixels.

        Args:
            images: ``(n, 28, 28)`` uint8.

        Returns:
            ``(n, 28, 28)`` float32.

        Raises:
            ValueError: if the images are not uint8: they have probably been scaled before.
        """
        if images.dtype != np.uint8:
            raise ValueError(
                f"expected uint8 images with pixels from 0 to 255, got {images.dtype}; "
                "a scale is applied once, to the images as they were loaded"
            )
        return (images - np.float32(self.offset)) / np.float32(self.divisor)


def fit_scale(name, train):
    """Make a pixel scale; what it has to learn, it learns from the training part alone.

    A statistic of validation or test images would carry knowledge of them into the training.

    Args:
        name: ``"raw"`` (0 to 255), ``"divided"`` (0 to 1) or ``"standardized"`` (mean 0 and
            standard deviation 1 over all pixels of all images: one pair of numbers).
        train: the training part, a Split, or some of it.

    Returns:
        PixelScale.

    Raises:
        ValueError: if there is no scale of this name, or the part is another one.
    """
    train.require("train")
    if name == "raw":
        return PixelScale(name, 0.0, 1.0)
    if name == "divided":
        return PixelScale(name, 0.0, 255.0)
    if name == "standardized":
        return PixelScale(name, float(train.images.mean()), float(train.images.std()))
    raise ValueError(f"expected one of the scales {', '.join(SCALE_NAMES)}; got {name!r}")
