"""The networks that label new garments: trained once, then kept."""

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

# Chosen by the validation garments, within ten minutes of training on two slow cores.
RECIPE = {
    "class_epochs": 3,
    "class_peak": 0.01,
    "class_batch_size": 128,
    "epochs": 40,
    "peak": 0.002,
    "batch_size": 64,
    "borrowed_networks": 3,
    "borrowed_side": 112,
    "borrowed_epochs": 8,
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
    return answers(*load_or_train(recipe, say), pictures)


def answers(model, scale, pictures):
    """Label garments with networks that are there.

    Args:
        model: Keras model, scaled pixels → ``(n, values)`` probabilities.
        scale: its PixelScale.
        pictures: ``(n, 28, 28)`` uint8.

    Returns:
        ``(n, values)`` int8, as of ``predict``.
    """
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
        model, scale = train(recipe, garments, all_to_learn_from(garments), say)
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
        "This takes four to eight minutes on two cores.",
    )
    return model, preprocessing.PixelScale(*notes["scale"])


def all_to_learn_from(garments):
    """Return Attributes of all labelled garments but those of the test part.

    A recipe that is chosen needs no validation any more; what it was chosen by helps to learn.
    """
    attributes = attribute_labels.load_attributes(garments)
    return attributes.take(np.flatnonzero(attributes.parts != "test"))


def train(recipe, garments, attributes, say=print, seed=0):
    """Tune networks that have learned ImageNet's classes, or else train one that learns ours.

    The first are better, and used if their weights are installed. Their first layers, which see
    edges and textures, stay as they are: what these say is computed once. Without them, a network
    of our own learns the ten classes and then, with new heads, attributes; in each epoch every
    garment looks a little different to it, so that so few of them do not run out. All networks
    answer together, for each garment and its mirror image.

    Args:
        recipe: dict like ``RECIPE``: how many ``borrowed`` networks, the side to which they
            enlarge garments, their epochs and highest learning rate; for our own, epochs, highest
            learning rate and batch size for the classes, and epochs, highest learning rate and
            how much of the probability the ``smoothing`` of the labels spreads evenly over the
            values of a type; the batch size for attributes of both.
        garments: Garments; the classes are learned from the training part alone, without the
            garments that validate attributes.
        attributes: Attributes to learn from, none of the test part.
        say: function that is told which of several networks is being trained, or why it is one
            of our own.
        seed: int; the same seed gives the same networks.

    Returns:
        Keras model, ``(n, 28, 28)`` scaled pixels → ``(n, values)`` float32 probabilities, and
        its PixelScale.

    Raises:
        ValueError: some of the garments to learn from are of the test part.
    """
    attributes.require("train", "validation")
    training.make_repeatable(seed)
    rng = np.random.default_rng(seed)
    sizes = {name: len(values) for name, values in attribute_labels.TYPES.items()}
    pictures, _ = attribute_labels.look_up(garments, attributes.sources, attributes.indices)
    pixels = keras.Input(pictures.shape[1:], name="pixels")
    views = pixels, keras.ops.flip(pixels, axis=-1)
    networks = []
    if pretrained.is_installed():
        scale = preprocessing.fit_scale("raw", garments.train)  # they scale pixels themselves
        first, rest = pretrained.for_garments_in_two(recipe["borrowed_side"])
        seen = [first.predict(view, verbose=0) for view in (pictures, pictures[:, :, ::-1])]
        views = [first(view) for view in views]
        for number in range(1, recipe["borrowed_networks"] + 1):
            say(f"network {number} of {recipe['borrowed_networks']}")
            network = _tune(recipe, rest, seen, attributes.labels, sizes, rng)
            network.name = f"network_{number}"  # layers of a model need names of their own
            networks.append(network)
    else:
        say(pretrained.how_to_install())
        everything = attribute_labels.load_attributes(garments)
        classes = attribute_networks.without(garments.train, everything.part("validation").indices)
        scale = preprocessing.fit_scale("standardized", classes)
        networks = [_train_own(recipe, classes, pictures, attributes.labels, sizes, scale, rng)]
    outputs = [network(view) for network in networks for view in views]
    return keras.Model(pixels, keras.layers.Average(name="mean")(outputs), name="attributes"), scale


def _train_own(recipe, classes, pictures, labels, sizes, scale, rng):
    """Train a network on the classes, then on attributes; every epoch sees garments varied."""
    network = models.build_large()
    _fit(
        network,
        lambda: scale.apply(vary(classes.images, rng, strength=0.5)),
        classes.labels,
        epochs=recipe["class_epochs"],
        peak=recipe["class_peak"],
        batch_size=recipe["class_batch_size"],
    )
    even = np.repeat([1 / size for size in sizes.values()], list(sizes.values()))
    return _fit_new_heads(
        network,
        lambda: scale.apply(vary(pictures, rng, strength=1)),
        (1 - recipe["smoothing"]) * labels + recipe["smoothing"] * even,
        sizes,
        epochs=recipe["epochs"],
        peak=recipe["peak"],
        batch_size=recipe["batch_size"],
    )


def _tune(recipe, rest, seen, labels, sizes, rng):
    """Tune the second part of a borrowed network on what the first says of garments.

    ``seen`` is that of the garments, and of their mirror images; in each epoch chance chooses.
    """

    def draw():
        mirrored = rng.random(len(labels)) < 0.5
        return np.where(mirrored[:, None, None, None], seen[1], seen[0])

    steps = {"epochs": recipe["borrowed_epochs"], "peak": recipe["borrowed_peak"]}
    return _fit_new_heads(rest, draw, labels, sizes, batch_size=recipe["batch_size"], **steps)


def _fit_new_heads(network, draw, labels, sizes, **steps):
    """Return a copy of a network with heads for attributes, trained as by ``_fit``."""
    tuned = attribute_networks.put_heads_on(network, sizes)
    loss = attribute_networks.CrossentropyPerType()
    _fit(tuned, draw, labels, optimizer="adamw", loss=loss, **steps)
    return tuned


def _fit(network, draw, labels, *, epochs, peak, batch_size, **options):
    """Train a network on what ``draw`` returns for each epoch; options are the compiler's."""
    schedule = learning_rate.one_cycle(
        peak, images=len(labels), epochs=epochs, batch_size=batch_size
    )
    training.compile_classifier(
        network, schedule, steps_per_execution=training.STEPS_PER_EXECUTION, **options
    )
    for _ in range(epochs):
        network.fit(draw(), labels, batch_size=batch_size, verbose=0)


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
    made_by = (all_to_learn_from, train, _train_own, _tune, _fit_new_heads, _fit, vary)
    made_by += (models.build_large, models.add_heads)
    made_by += (attribute_networks.CrossentropyPerType, attribute_networks.put_heads_on)
    made_by += (attribute_networks.without, learning_rate.one_cycle)
    made_by += (training.compile_classifier, preprocessing.fit_scale, pretrained)
    sources = [inspect.getsource(part) for part in made_by]
    table = (attribute_labels.LABEL_FOLDER / "labels.csv").read_bytes()
    versions = keras.__version__, tf.__version__, np.__version__, cv2.__version__
    parts = [sorted(recipe.items()), versions, sources, hashlib.sha256(table).hexdigest()]
    parts.append(pretrained.is_installed())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
