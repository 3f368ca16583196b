"""The networks that label new garments: trained once on classes, then on attributes, then kept."""

import hashlib
import inspect
import math

import cv2
import numpy as np

from garment_utils import (
    attribute_labels,
    attribute_networks,
    data,
    learning_rate,
    models,
    multilabel,
    preprocessing,
    pretrained,
    training,
)
from garment_utils.paths import models_folder
from garment_utils.quiet_keras import keras, tf

# Chosen by the validation garments, within about nine minutes of training on two cores.
RECIPE = {
    "networks": 2,
    "class_epochs": 3,
    "class_peak": 0.01,
    "class_batch_size": 128,
    "epochs": 40,
    "peak": 0.002,
    "batch_size": 64,
    "borrowed_side": 112,
    "borrowed_epochs": 10,
    "borrowed_peak": 0.002,
    "smoothing": 0.05,
}


def predict(pictures, recipe=RECIPE, say=print):
    """Label garments: the likeliest value of each type.

    Args:
        pictures: ``(n, 28, 28)`` uint8, as in Fashion-MNIST.
        recipe: dict like ``RECIPE``.
        say: function that is told, in a sentence each, why it takes a while and what happens.

    Returns:
        ``(n, values)`` int8, exactly one 1 a type; the columns are those of ``load_attributes``.
    """
    model, scale = load_or_train(recipe, say)
    scores = model.predict(scale.apply(pictures), verbose=0)
    return multilabel.decode_per_type(scores, attribute_labels.TYPES_OF_VALUES)


def load_or_train(recipe=RECIPE, say=print):
    """Return the stored networks, or those trained now and then stored.

    Args:
        recipe: dict like ``RECIPE``.
        say: function that is told, in a sentence each, why it takes a while and what happens.

    Returns:
        Keras model, ``(n, 28, 28)`` scaled pixels → ``(n, values)`` probabilities, and its
        PixelScale.
    """

    def make():
        garments = data.load_garments()
        attributes = attribute_labels.load_attributes(garments)
        # The recipe is chosen: what it was chosen by is now of use for training too.
        labelled = attributes.take(np.flatnonzero(attributes.parts != "test"))
        model, scale = train(recipe, garments, labelled, say)
        return model, {"values": values, "scale": scale}

    def check(model, notes):
        if notes["values"] != values:
            raise ValueError(f"its values are {', '.join(notes['values'])}")
        if model.output_shape != (None, len(values)):
            raise ValueError(f"it has outputs of shape {model.output_shape}")

    values = list(attribute_labels.VALUES)  # a list, as in the notes when they are read
    model, notes, _ = training.load_or_make(
        models_folder() / f"attributes-{_key(recipe)}.keras",
        make,
        check,
        say,
        "Training the networks for attributes, once; they are kept for the next time. "
        "This takes about nine minutes on two cores.",
    )
    return model, preprocessing.PixelScale(*notes["scale"])


def train(recipe, garments, attributes, say=print):
    """Train networks on the ten classes and then, with new heads, on attributes.

    In each epoch every garment looks a little different, so that 1,280 of them do not run out.
    As many networks have learned ImageNet's classes instead of ours, if the weights of these are
    installed; they have seen enough pictures, and garments are only mirrored for them. All answer
    together, for each garment and its mirror image.

    Args:
        recipe: dict like ``RECIPE``: how many ``networks`` of each kind; epochs and the highest
            learning rate for the classes and for the attributes; the same for the attributes of
            ``borrowed`` networks, and the side to which these enlarge garments; for the others,
            how much of the probability the ``smoothing`` of the labels spreads evenly over the
            values of a type.
        garments: Garments; the classes are learned from the training part alone, without the
            garments that validate attributes.
        attributes: Attributes to learn from, none of the test part.
        say: function that is told which network is being trained.

    Returns:
        Keras model, ``(n, 28, 28)`` scaled pixels → ``(n, values)`` float32 probabilities, and
        its PixelScale.

    Raises:
        ValueError: some of the garments to learn from are of the test part.
    """
    attributes.require("train", "validation")
    training.make_repeatable(seed=0)
    sizes = {name: len(values) for name, values in attribute_labels.TYPES.items()}
    everything = attribute_labels.load_attributes(garments)
    classes = attribute_networks.without(garments.train, everything.part("validation").indices)
    pictures, _ = attribute_labels.look_up(garments, attributes.sources, attributes.indices)
    even = np.repeat([1 / size for size in sizes.values()], list(sizes.values()))
    labels = (1 - recipe["smoothing"]) * attributes.labels + recipe["smoothing"] * even
    scale = preprocessing.fit_scale("standardized", classes)
    borrows, networks = pretrained.is_installed(), []
    if not borrows:
        say(pretrained.INSTALL)
    for number in range(1, recipe["networks"] + 1):
        say(f"network {number} of {recipe['networks']}{', of each kind' if borrows else ''}")
        rng = np.random.default_rng(number)
        network = models.build_large()
        steps = {
            "epochs": recipe["class_epochs"],
            "peak": recipe["class_peak"],
            "batch_size": recipe["class_batch_size"],
        }
        _fit_varied(network, classes.images, classes.labels, scale, rng, strength=0.5, **steps)
        kinds = {"": (attribute_networks.put_heads_on(network, sizes), labels, 1.0)}
        if borrows:
            borrowed = _borrow(scale, sizes, recipe["borrowed_side"])
            kinds["borrowed_"] = borrowed, attributes.labels, 0.0
        for kind, (tuned, wanted, strength) in kinds.items():
            tuned.name = f"{kind}network_{number}"  # layers of one model need names of their own
            steps = {"epochs": recipe[f"{kind}epochs"], "peak": recipe[f"{kind}peak"]}
            steps |= {"batch_size": recipe["batch_size"]}
            steps |= {"optimizer": "adamw", "strength": strength}
            loss = attribute_networks.CrossentropyPerType()
            _fit_varied(tuned, pictures, wanted, scale, rng, loss=loss, **steps)
            networks.append(tuned)
    pixels = keras.Input(pictures.shape[1:], name="pixels")
    views = pixels, keras.ops.flip(pixels, axis=-1)
    answers = [network(view) for network in networks for view in views]
    return keras.Model(pixels, keras.layers.Average(name="mean")(answers), name="attributes"), scale


def _borrow(scale, sizes, side):
    """Return EfficientNet-Lite0 with new heads, for pixels as of ``scale``."""
    network = attribute_networks.put_heads_on(pretrained.for_garments(pretrained.LITE, side), sizes)
    pixels = keras.Input((28, 28), name="pixels")
    unscaled = keras.layers.Rescaling(scale.divisor, scale.offset, name="unscaled")(pixels)
    return keras.Model(pixels, network(unscaled))


def _fit_varied(
    network, pictures, labels, scale, rng, *, strength, epochs, peak, batch_size, **options
):
    """Train a network on pictures that look different in each epoch; options are the compiler's."""
    schedule = learning_rate.one_cycle(
        peak, images=len(pictures), epochs=epochs, batch_size=batch_size
    )
    training.compile_classifier(
        network, schedule, steps_per_execution=training.STEPS_PER_EXECUTION, **options
    )
    for _ in range(epochs):
        images = scale.apply(vary(pictures, rng, strength))
        network.fit(images, labels, batch_size=batch_size, verbose=0)


def vary(pictures, rng, strength):
    """Return garments mirrored half the time, a little moved, turned, resized and relit.

    Args:
        pictures: ``(n, 28, 28)`` uint8.
        rng: NumPy random generator.
        strength: 1 for shifts of up to 2 pixels and a standard deviation of 3 degrees, of 6 % in
            size and of 25 % in brightness; 0.5 for half of all that.

    Returns:
        ``(n, 28, 28)`` uint8.
    """
    result = np.empty_like(pictures)
    center = (pictures.shape[2] - 1) / 2, (pictures.shape[1] - 1) / 2
    for position, picture in enumerate(pictures):
        turn, size, light = rng.normal(0, strength, 3) * (3, 0.06, 0.25)
        matrix = cv2.getRotationMatrix2D(center, turn, math.exp(size))
        matrix[:, 2] += rng.uniform(-2, 2, 2) * strength
        seen = picture[:, ::-1].copy() if rng.random() < 0.5 else picture
        moved = cv2.warpAffine(seen, matrix, seen.shape[::-1]).astype(np.float32)
        result[position] = np.minimum(moved * math.exp(light), 255).round()
    return result


def _key(recipe):
    """Return what the stored networks are known by: all that makes them what they are."""
    made_by = (train, _fit_varied, vary, models.build_large, models.add_heads)
    made_by += (attribute_networks.CrossentropyPerType, attribute_networks.put_heads_on)
    made_by += (attribute_networks.without, learning_rate.one_cycle)
    made_by += (training.compile_classifier, preprocessing.fit_scale)
    made_by += (_borrow, pretrained)
    sources = [inspect.getsource(part) for part in made_by]
    table = (attribute_labels.LABEL_FOLDER / "labels.csv").read_bytes()
    versions = keras.__version__, tf.__version__, np.__version__, cv2.__version__
    parts = [sorted(recipe.items()), versions, sources, hashlib.sha256(table).hexdigest()]
    parts.append(pretrained.is_installed())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
