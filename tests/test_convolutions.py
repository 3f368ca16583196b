"""A convolution by hand is that of Keras: its sums, its sizes, its weights and its maps."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import signal

from garment_utils import convolutions, keras, models, training

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (9, 12), dtype=np.uint8)
KERNEL = RNG.integers(-3, 4, (3, 2))  # neither square nor symmetric


@pytest.fixture(scope="module")
def network():
    training.make_repeatable(0)
    return models.build_two_convolutions()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).random((3, 28, 28), dtype=np.float32)


def by_keras(picture, kernel, stride, padding):
    pad = keras.layers.ZeroPadding2D(padding)
    slide = keras.layers.Conv2D(1, kernel.shape, strides=stride, use_bias=False)
    batch = pad(picture[None, :, :, None].astype("float32"))
    slide.build(batch.shape)
    slide.set_weights([kernel[:, :, None, None]])
    return slide(batch).numpy()[0, :, :, 0]


def test_importing_the_module_does_not_load_keras():
    code = "import sys, garment_utils.convolutions; print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"False\n"


def test_convolve_by_hand():
    picture = np.array([[1, 2, 3], [4, 5, 6]])
    kernel = np.array([[1, 10], [100, 1000]])
    assert np.array_equal(convolutions.convolve(picture, kernel), [[5421, 6532]])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolve_is_that_of_keras(stride, padding):
    ours = convolutions.convolve(PICTURE, KERNEL, stride, padding)
    assert np.array_equal(ours, by_keras(PICTURE, KERNEL, stride, padding))  # whole numbers
    for size, kernel_size, numbers in zip(PICTURE.shape, KERNEL.shape, ours.shape, strict=True):
        assert numbers == (size + 2 * padding - kernel_size) // stride + 1


def test_the_kernel_is_not_turned():
    turned = signal.convolve2d(PICTURE, KERNEL, mode="valid")
    assert np.array_equal(convolutions.convolve(PICTURE, KERNEL[::-1, ::-1]), turned)
    assert not np.array_equal(convolutions.convolve(PICTURE, KERNEL), turned)


def test_gray_levels_do_not_overflow():
    bright = np.full((3, 3), 255, np.uint8)
    assert convolutions.convolve(bright, np.full((3, 3), 2, np.uint8)) == 9 * 2 * 255


@pytest.mark.parametrize(
    ("picture", "kernel", "got"),
    [
        ((28, 28), (29, 3), r"\(28, 28\), padding included, and \(29, 3\)"),
        ((28, 28), (3, 29), r"\(28, 28\), padding included, and \(3, 29\)"),
        ((1, 28, 28), (3, 3), r"\(1, 28, 28\), padding included, and \(3, 3\)"),
        ((28, 28), (3, 3, 1), r"\(28, 28\), padding included, and \(3, 3, 1\)"),
    ],
)
def test_what_cannot_be_convolved_is_refused(picture, kernel, got):
    with pytest.raises(ValueError, match=f"expected a 2-D picture .* fits into it, got {got}"):
        convolutions.convolve(np.zeros(picture), np.zeros(kernel))


def test_a_kernel_may_need_the_padding():
    assert convolutions.convolve(np.ones((1, 1)), np.ones((3, 3)), padding=1) == 1


def test_max_pool_by_hand():
    picture = np.array([[1, 2, 9, 4], [5, 6, 7, 8], [-1, -2, -3, -4], [-5, -6, -7, -8]])
    assert np.array_equal(convolutions.max_pool(picture), [[6, 9], [-1, -3]])


@pytest.mark.parametrize("size", [2, 3, 5])
def test_max_pool_is_that_of_keras(size):
    """A row or a column that fills no square is left out by both."""
    layer = keras.layers.MaxPooling2D(size)
    expected = layer(PICTURE[None, :, :, None].astype("float32")).numpy()[0, :, :, 0]
    assert np.array_equal(convolutions.max_pool(PICTURE, size), expected)


@pytest.mark.parametrize("sizes", [(3, 3, 1, 32), (3, 3, 32, 64), (5, 2, 3, 1), (1, 1, 7, 4)])
def test_parameters_are_those_of_keras(sizes):
    height, width, channels_in, channels_out = sizes
    layer = keras.layers.Conv2D(channels_out, (height, width))
    layer.build((None, 28, 28, channels_in))
    assert convolutions.convolution_parameters(*sizes) == layer.count_params()


def test_feature_maps_are_those_of_the_layer_asked_for(network, pixels):
    """Each layer's maps are computed from the weights and the maps before it."""
    shapes = {"one_channel": (3, 28, 28, 1), "convolution_1": (3, 26, 26, 32)}
    shapes |= {"convolution_2": (3, 24, 24, 64), "pooling": (3, 12, 12, 64)}
    maps = {name: convolutions.feature_maps(network, name, pixels) for name in shapes}
    assert {name: values.shape for name, values in maps.items()} == shapes
    assert all(values.dtype == np.float32 for values in maps.values())
    assert np.array_equal(maps["one_channel"][..., 0], pixels)
    image, channel = 1, 5
    for name, before in (("convolution_1", "one_channel"), ("convolution_2", "convolution_1")):
        kernels, biases = network.get_layer(name).get_weights()
        by_hand = biases[channel] + sum(
            convolutions.convolve(maps[before][image, :, :, depth], kernels[:, :, depth, channel])
            for depth in range(kernels.shape[2])
        )
        of_layer = maps[name][image, :, :, channel]
        assert np.allclose(np.maximum(by_hand, 0), of_layer, atol=1e-5)
    pooled = convolutions.max_pool(maps["convolution_2"][image, :, :, channel])
    assert np.array_equal(pooled, maps["pooling"][image, :, :, channel])


def test_feature_maps_do_not_drop_anything(network, pixels):
    dropped = convolutions.feature_maps(network, "dropout_1", pixels)
    assert np.array_equal(dropped, convolutions.feature_maps(network, "pooling", pixels))


@pytest.mark.parametrize("name", ["convolution_3", "hidden", "flatten"])
def test_layers_without_maps_are_refused(network, pixels, name):
    expected = f"one of one_channel, convolution_1, convolution_2, pooling, dropout_1; got '{name}'"
    with pytest.raises(ValueError, match=expected):
        convolutions.feature_maps(network, name, pixels)


def test_strongest_windows_by_hand():
    maps = np.zeros((4, 24, 24))
    maps[0, 2, 3], maps[1, 5, 5], maps[3, 20, 0] = 7, 1, 9
    maps[3, 1, 1] = 8  # of each picture, one place alone
    found = convolutions.strongest_windows(maps, size=5, count=2)
    assert found == [(3, slice(20, 25), slice(0, 5)), (0, slice(2, 7), slice(3, 8))]


def test_an_answer_depends_on_its_window_and_on_nothing_else(network, pixels):
    maps = convolutions.feature_maps(network, "convolution_2", pixels)[:, :, :, 4]
    for position, rows, columns in convolutions.strongest_windows(maps, size=5, count=3):
        outside = np.random.default_rng(2).random((1, 28, 28), dtype=np.float32)
        outside[0, rows, columns] = pixels[position, rows, columns]
        answer = convolutions.feature_maps(network, "convolution_2", outside)
        same = answer[0, rows.start, columns.start, 4]
        assert same == pytest.approx(maps[position].max(), abs=1e-5)
