"""Scales do the arithmetic they are named for and learn from training images alone."""

import numpy as np
import pytest

from garment_utils.data import Split, load_garments
from garment_utils.preprocessing import SCALE_NAMES, fit_scale

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
TRAIN = Split("train", IMAGES, np.zeros(50, np.uint8), np.arange(50))


def test_raw_leaves_the_pixels_alone():
    assert np.array_equal(fit_scale("raw", TRAIN).apply(IMAGES), IMAGES)


def test_divided_ends_at_one():
    pixels = fit_scale("divided", TRAIN).apply(IMAGES)
    assert pixels.min() == 0 and pixels.max() == 1
    np.testing.assert_allclose(pixels * 255, IMAGES, rtol=1e-6)


def test_standardized_has_mean_0_and_standard_deviation_1():
    pixels = fit_scale("standardized", TRAIN).apply(IMAGES).astype(float)
    assert abs(pixels.mean()) < 1e-5 and abs(pixels.std() - 1) < 1e-5


def test_statistics_come_from_the_images_given_not_from_those_scaled():
    scale = fit_scale("standardized", TRAIN)
    other = IMAGES // 2
    assert (scale.offset, scale.divisor) == (IMAGES.mean(), IMAGES.std())
    np.testing.assert_allclose(
        scale.apply(other), (other - IMAGES.mean()) / IMAGES.std(), rtol=1e-5, atol=1e-6
    )


def test_published_statistics_of_the_training_archive():
    """0.2860 and 0.3530 of white are the known mean and standard deviation of all 60,000."""
    train = load_garments().train
    scale = fit_scale("standardized", train)
    assert abs(scale.offset / 255 - 0.2860) < 0.0005
    assert abs(scale.divisor / 255 - 0.3530) < 0.0005


@pytest.mark.parametrize("name", ["validation", "test"])
def test_statistics_of_other_parts_are_refused(name):
    part = Split(name, TRAIN.images, TRAIN.labels, TRAIN.indices)
    with pytest.raises(ValueError, match=f"got the {name} part"):
        fit_scale("standardized", part)


@pytest.mark.parametrize("name", SCALE_NAMES)
def test_result_is_float32_of_the_same_shape(name):
    pixels = fit_scale(name, TRAIN).apply(IMAGES)
    assert pixels.dtype == np.float32 and pixels.shape == IMAGES.shape


def test_scaling_twice_is_refused():
    scale = fit_scale("divided", TRAIN)
    with pytest.raises(ValueError, match="got float32"):
        scale.apply(scale.apply(IMAGES))


def test_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="raw, divided, standardized; got 'halved'"):
        fit_scale("halved", TRAIN)
