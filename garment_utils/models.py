"""The networks of the series: one function each, returning an uncompiled Keras model.

Layers have fixed names: the store of trained models recognizes a network by its configuration.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from garment_utils import keras

layers = keras.layers


def build_four_four_ten():
    """Build model_1 and model_2: 28×28 pixels → 4 units → 4 units → 10 probabilities.

    Two hidden layers of four ReLU units, 3,210 parameters; softmax output ``(n, 10)`` float32.
    On raw pixels it is model_1, on pixels / 255 model_2.
    """
    network = [keras.Input((28, 28), name="pixels"), layers.Flatten(name="flatten")]
    network += [
        layers.Dense(4, activation="relu", name="hidden_1"),
        layers.Dense(4, activation="relu", name="hidden_2"),
        layers.Dense(10, activation="softmax", name="probabilities"),
    ]
    return keras.Sequential(network, name="four_four_ten")


def build_one_fifty_ten():
    """Build model_3: 28×28 pixels → 150 units → 10 probabilities.

    One hidden layer of 150 ReLU units, 119,260 parameters; softmax output ``(n, 10)`` float32.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            layers.Flatten(name="flatten"),
            layers.Dense(150, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="one_fifty_ten",
    )


def build_linear():
    """Build a linear model: 28×28 pixels → 10 probabilities, 7,850 parameters.

    No hidden layer: each class has one weight per pixel and a bias; softmax ``(n, 10)`` float32.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="linear",
    )


def build_two_convolutions(dropout=True):
    """Build the garment catalog's network: two convolutions, pooling, 128 units, 10 probabilities.

    1,199,882 parameters, with or without dropout; softmax output ``(n, 10)`` float32.
    """
    network = [
        keras.Input((28, 28), name="pixels"),
        layers.Reshape((28, 28, 1), name="one_channel"),
        layers.Conv2D(32, 3, activation="relu", name="convolution_1"),
        layers.Conv2D(64, 3, activation="relu", name="convolution_2"),
        layers.MaxPooling2D(name="pooling"),
        layers.Dropout(0.25, name="dropout_1"),
        layers.Flatten(name="flatten"),
        layers.Dense(128, activation="relu", name="hidden"),
        layers.Dropout(0.5, name="dropout_2"),
        layers.Dense(10, activation="softmax", name="probabilities"),
    ]
    if not dropout:
        network = [layer for layer in network if not layer.name.startswith("dropout")]
    return keras.Sequential(network, name="two_convolutions")


def build_compact(classes=10):
    """Build the compact network: four convolutions on ever smaller pictures, 10 probabilities.

    About a tenth of the catalog's parameters and a third of its multiplications; softmax output
    ``(n, classes)`` float32. Standardize its pixels: the first convolution has no normalization.
    """
    network = [keras.Input((28, 28), name="pixels"), layers.Reshape((28, 28, 1), name="channel")]
    first = {"strides": 2, "padding": "same", "activation": "relu"}
    network += [layers.Conv2D(16, 4, **first, name="convolution_1")]  # 14 × 14
    poolings = [layers.MaxPooling2D, layers.MaxPooling2D, layers.GlobalMaxPooling2D]
    for number, filters, pooling in zip((2, 3, 4), (48, 80, 128), poolings, strict=True):
        network += [
            layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"convolution_{number}"),
            pooling(name=f"pooling_{number}"),  # 7 × 7, 3 × 3, 1 × 1
            layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}"),
            layers.ReLU(name=f"relu_{number}"),
        ]
    network += [layers.Dense(classes, activation="softmax", name="probabilities")]
    return keras.Sequential(network, name="compact")


def build_large(classes=10):
    """Build the large network: four convolutions on whole, halved and quartered pictures.

    More than twice the multiplications of the compact one, twice its parameters and more. Maximum
    and mean of each map: whether a pattern is somewhere, and how much of it. Softmax output
    ``(n, classes)`` float32.
    """
    x = pixels = keras.Input((28, 28), name="pixels")
    x = layers.Reshape((28, 28, 1), name="channel")(x)
    for number, filters in enumerate((32, 64, 128, 192), start=1):
        options = {"padding": "same", "use_bias": False, "name": f"convolution_{number}"}
        x = layers.Conv2D(filters, 3, **options)(x)
        if number < 4:
            x = layers.MaxPooling2D(name=f"pooling_{number}")(x)  # 14 × 14, 7 × 7, 3 × 3
        x = layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
    maximum = layers.GlobalMaxPooling2D(name="maximum")(x)
    mean = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Concatenate(name="features")([maximum, mean])
    x = layers.Dropout(0.3, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(pixels, x, name="large")


@keras.saving.register_keras_serializable("garment_utils")
class MirrorInTraining(layers.RandomFlip):
    """Mirrors pictures left to right at random, in training alone.

    Keras' own layer takes ``model(pixels)`` for training: it mirrors, and makes all layers after it
    train too, so that a batch normalization uses the statistics of the pictures at hand.
    """

    def call(self, data, training=False):
        """Return pictures of the same shape."""
        return super().call(data, training=training)


def features_of(pixels):
    """Add the trunk of the networks for several labels: three convolutions, then 96 features.

    Garments are mirrored at random, in training alone: no label depends on left and right.

    Args:
        pixels: Keras input ``(n, 28, 28)``, standardized.

    Returns:
        Keras tensor ``(n, 96)`` float32.
    """
    x = layers.Reshape((28, 28, 1), name="channel")(pixels)
    x = MirrorInTraining("horizontal", name="mirror")(x)
    x = layers.Conv2D(24, 4, strides=2, padding="same", activation="relu", name="convolution_1")(x)
    for number, filters, pooling in (
        (2, 48, layers.MaxPooling2D),
        (3, 96, layers.GlobalMaxPooling2D),
    ):
        options = {"padding": "same", "use_bias": False, "name": f"convolution_{number}"}
        x = layers.Conv2D(filters, 3, **options)(x)
        x = pooling(name=f"pooling_{number}")(x)  # 7 × 7, 1 × 1
        x = layers.BatchNormalization(momentum=0.9, name=f"normalization_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
    return x


def build_single(values):
    """Build a single classifier of several labels: one sigmoid for each value.

    Args:
        values: how many values there are, of all types together.

    Returns:
        Keras model, ``(n, 28, 28)`` standardized pixels → ``(n, values)`` float32 between 0
        and 1 that know nothing of each other: they need not add up to 1 within a type.
    """
    pixels = keras.Input((28, 28), name="pixels")
    scores = layers.Dense(values, activation="sigmoid", name="scores")(features_of(pixels))
    return keras.Model(pixels, scores, name="single")


def build_per_type(sizes):
    """Build one classifier per type on a shared trunk: a softmax for each type.

    Args:
        sizes: dict, type → how many values it has; the order is that of the columns.

    Returns:
        Keras model, ``(n, 28, 28)`` standardized pixels → ``(n, all values)`` float32
        probabilities, the heads side by side; those of each type add up to 1.
    """
    pixels = keras.Input((28, 28), name="pixels")
    return keras.Model(pixels, add_heads(features_of(pixels), sizes), name="per_type")


def build_separate(sizes):
    """Build a network of its own for each type: six trunks and no shared weight, in one model.

    The loss is a sum over types and Adam looks at each weight alone, so one training of this
    model is as many trainings side by side.

    Args:
        sizes: as of ``build_per_type``.

    Returns:
        Keras model with the same input and output as that of ``build_per_type``.
    """
    pixels = keras.Input((28, 28), name="pixels")
    networks = []
    for name, size in sizes.items():
        own = keras.Input((28, 28), name="pixels")
        head = layers.Dense(size, activation="softmax", name=name)(features_of(own))
        networks.append(keras.Model(own, head, name=name))
    outputs = [network(pixels) for network in networks]
    return keras.Model(pixels, layers.Concatenate(name="heads")(outputs), name="separate")


def add_heads(features, sizes):
    """Add a softmax for each type.

    Args:
        features: Keras tensor ``(n, k)``.
        sizes: as of ``build_per_type``.

    Returns:
        Keras tensor ``(n, all values)`` float32, the heads side by side.
    """
    heads = [
        layers.Dense(size, activation="softmax", name=name)(features)
        for name, size in sizes.items()
    ]
    return layers.Concatenate(name="heads")(heads)


def count_multiplications(model):
    """Return how many multiplications of a weight and a number one picture takes.

    Args:
        model: of dense layers and convolutions; other layers multiply next to nothing.

    Returns:
        int.
    """
    total = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            places = math.prod(layer.output.shape[1:-1])  # where a filter is applied; 1 if dense
            total += places * math.prod(layer.kernel.shape)
    return total


# Each model of the series: how its network is built, and the pixel scale it learns on.
MODELS = {
    "model_1": (build_four_four_ten, "raw"),
    "model_2": (build_four_four_ten, "divided"),
    "model_3": (build_one_fifty_ten, "divided"),
}


class Recipe(NamedTuple):
    """How a network is trained in little time: at the rates of ``learning_rate.one_cycle``."""

    build: Callable
    scale: str  # of the pixels
    epochs: int
    batch_size: int
    peak: float  # the highest learning rate


# Chosen by validation images: the best found in about a twelfth of the time of ten epochs with
# Keras' defaults, and within a tenth of that of the catalog's network. The large one has batches
# and peak of the compact one, and as many epochs, each with all garments and their mirror images,
# as fit into a quarter of an hour on two cores.
RECIPES = {
    "dense": Recipe(build_one_fifty_ten, "standardized", epochs=5, batch_size=512, peak=0.008),
    "compact": Recipe(build_compact, "standardized", epochs=3, batch_size=128, peak=0.02),
    "large": Recipe(build_large, "standardized", epochs=5, batch_size=128, peak=0.02),
}
