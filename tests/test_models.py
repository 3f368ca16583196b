"""The networks are those the series speaks of, and their costs are counted truly."""

import numpy as np
import pytest

from garment_utils import models
from garment_utils.models import layers
from garment_utils.quiet_keras import keras


def test_the_catalog_network_is_the_published_one():
    network = models.build_two_convolutions()
    assert network.count_params() == 1_199_882
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    assert [(layer.filters, layer.kernel_size) for layer in convolutions] == [
        (32, (3, 3)),
        (64, (3, 3)),
    ]
    dropouts = [layer.rate for layer in network.layers if isinstance(layer, layers.Dropout)]
    assert dropouts == [0.25, 0.5]
    assert [layer.units for layer in network.layers if isinstance(layer, layers.Dense)] == [128, 10]


def test_without_dropout_nothing_else_changes():
    kept = [layer.name for layer in models.build_two_convolutions().layers]
    plain = [layer.name for layer in models.build_two_convolutions(dropout=False).layers]
    assert plain == [name for name in kept if not name.startswith("dropout")]


@pytest.mark.parametrize(
    "build", [models.build_linear, models.build_two_convolutions, models.build_compact]
)
def test_every_network_turns_pictures_into_probabilities(build):
    probabilities = build()(np.zeros((2, 28, 28), np.float32)).numpy()
    assert probabilities.shape == (2, 10)
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_multiplications_are_those_of_every_place():
    network = keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(3, (3, 2), strides=2, padding="same"),  # 3 × 3 places
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    convolution = 3 * 3 * (3 * 2 * 2) * 3
    dense = 3 * 3 * 3 * 4
    assert models.count_multiplications(network) == convolution + dense
