"""The networks of the series: one function each, returning an uncompiled Keras model.

Layers have fixed names: the store of trained models recognizes a network by its configuration.
"""

from garment_utils import keras

layers = keras.layers


def build_four_four_ten():
    """Build model_1 and model_2: 28×28 pixels → 4 units → 4 units → 10 probabilities.

    Two hidden layers of four ReLU units, 3,210 parameters; softmax output ``(n, 10)`` float32.
    On raw pixels it is model_1, on pixels / 255 model_2.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, activation="relu", name="hidden_1"),
            layers.Dense(4, activation="relu", name="hidden_2"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="four_four_ten",
    )


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


# Each model of the series: how its network is built, and the pixel scale it learns on.
MODELS = {
    "model_1": (build_four_four_ten, "raw"),
    "model_2": (build_four_four_ten, "divided"),
    "model_3": (build_one_fifty_ten, "divided"),
}
