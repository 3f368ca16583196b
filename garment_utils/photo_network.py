"""The network for photographs: trained once on distorted garments, then kept; its verdict."""

import hashlib
import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from garment_utils import (
    data,
    distortions,
    evaluation,
    learning_rate,
    models,
    preprocessing,
    shapes,
    training,
)
from garment_utils.paths import models_folder
from garment_utils.quiet_keras import keras, tf

UNSURE = "unsure"
ELSE = "something else"
# Chosen by half of the photographs that the series was developed with, within five minutes of
# training on two fast cores. From seed to seed one network's answers to photographs differ much;
# the mean of several differs less.
RECIPE = {"networks": 3, "epochs": 2, "batch_size": 128, "peak": 0.02, "unsure": 0.08}


class PhotoNetwork(NamedTuple):
    """Networks that answer together, and when they say that they are unsure."""

    model: keras.Model  # (n, 28, 28) scaled pixels → (n, 11), the last for something else
    scale: preprocessing.PixelScale
    threshold: float  # of the probability of something else

    def probabilities(self, pictures):
        """Return the probabilities of the ten classes and of something else.

        Args:
            pictures: ``(n, 28, 28)`` uint8.

        Returns:
            ``(n, 11)`` float32; each row adds up to 1.
        """
        return self.model.predict(self.scale.apply(pictures), verbose=0)


class Answer(NamedTuple):
    """What is said of one picture."""

    predicted: str  # the likeliest of the ten class names
    confidence: float  # its probability
    verdict: str  # the class name again, or "unsure"


def decide(probabilities, threshold, names):
    """Name the likeliest class, and say whether to believe it.

    Args:
        probabilities: ``(11,)`` float, the last of something else.
        threshold: the verdict is "unsure" if something else is likelier than this.
        names: the ten class names.

    Returns:
        Answer.
    """
    label = int(np.argmax(probabilities[: distortions.SOMETHING_ELSE]))
    is_unsure = probabilities[distortions.SOMETHING_ELSE] > threshold
    return Answer(names[label], float(probabilities[label]), UNSURE if is_unsure else names[label])


def fit_threshold(probabilities, validation, unsure):
    """Find the probability of something else above which a share of the garments is unsure.

    Args:
        probabilities: ``(n, 11)`` float, the answers to distorted validation garments.
        validation: these garments, a Split of n; those with the label 10 are left out.
        unsure: share of the garments of the ten classes for which the verdict will be "unsure".

    Returns:
        float.

    Raises:
        ValueError: the part is another one, or the probabilities are of other garments.
    """
    evaluation.require_answers_to_validation(probabilities, validation)
    is_garment = validation.labels != distortions.SOMETHING_ELSE
    return float(np.quantile(probabilities[is_garment, distortions.SOMETHING_ELSE], 1 - unsure))


def load_or_train(recipe=RECIPE, say=print):
    """Return the network for photographs: the stored one, or one trained now and then stored.

    The stored one is used if it was made by the same recipe, distortions and versions.

    Args:
        recipe: dict like ``RECIPE``.
        say: function that is told, in a sentence each, why it takes a while and what happens.

    Returns:
        PhotoNetwork.
    """

    def make():
        network = train(recipe, data.load_garments(), say)
        notes = {"classes": classes, "scale": network.scale, "threshold": network.threshold}
        return network.model, notes

    def check(model, notes):
        if notes["classes"] != classes:
            raise ValueError(f"its classes are {', '.join(notes['classes'])}")
        if model.output_shape != (None, len(classes)):
            raise ValueError(f"it has outputs of shape {model.output_shape}")

    classes = [*data.class_names(), ELSE]
    model, notes, _ = training.load_or_make(
        models_folder() / f"photos-{_key(recipe)}.keras",
        make,
        check,
        say,
        "Training the network for photographs, once; it is kept for the next time. "
        "This takes five to ten minutes on two cores.",
    )
    return PhotoNetwork(model, preprocessing.PixelScale(*notes["scale"]), notes["threshold"])


def train(recipe, garments, say=print):
    """Train networks on garments as they are and as photographs leave them, new in each epoch.

    Args:
        recipe: dict like ``RECIPE``: how many ``networks`` and ``epochs``, ``batch_size``, the
            ``peak`` of the learning rate, and the share of ``unsure`` verdicts to fit.
        garments: Garments; neither training nor threshold uses the test part.
        say: function that is told which network is being trained.

    Returns:
        PhotoNetwork.
    """
    training.make_repeatable(seed=0)
    scale = preprocessing.fit_scale("standardized", garments.train)
    epochs, batch_size = recipe["epochs"], recipe["batch_size"]
    numbers, networks = range(1, recipe["networks"] + 1), []
    # Anew for each network, whose number is the seed, and for each of its epochs.
    distort = partial(distortions.distort, garments.train, copies=epochs)
    # Training leaves part of two cores idle: while one network trains, pictures for the next
    # ones are distorted beside it. Closed, so that after an interrupt none is begun any more.
    with ThreadPoolExecutor(max_workers=1) as pool, closing(pool.map(distort, numbers)) as parts:
        for number, part in zip(numbers, parts, strict=True):
            say(f"network {number} of {len(numbers)}")
            network = models.build_compact(distortions.SOMETHING_ELSE + 1)
            network.name = f"compact_{number}"  # layers of one model need names of their own
            schedule = learning_rate.one_cycle(
                recipe["peak"], images=2 * len(garments.train), epochs=epochs, batch_size=batch_size
            )
            training.compile_classifier(
                network, schedule, steps_per_execution=training.STEPS_PER_EXECUTION
            )
            copies = zip(np.split(part.images, epochs), np.split(part.labels, epochs), strict=True)
            for images, labels in copies:
                images = np.concatenate([images, garments.train.images])
                labels = np.concatenate([labels, garments.train.labels])
                network.fit(scale.apply(images), labels, batch_size=batch_size, verbose=0)
            networks.append(network)
    pixels = keras.Input((shapes.SIDE, shapes.SIDE), name="pixels")
    mean = keras.layers.Average(name="mean")([network(pixels) for network in networks])
    model = keras.Model(pixels, mean, name="photos")
    validation = distortions.distort(garments.validation, seed=0)
    unfitted = PhotoNetwork(model, scale, threshold=1.0)
    probabilities = unfitted.probabilities(validation.images)
    return unfitted._replace(threshold=fit_threshold(probabilities, validation, recipe["unsure"]))


def _key(recipe):
    """Return what the stored network is known by: all that makes it what it is."""
    made_by = (distortions, shapes, train, fit_threshold, models.build_compact)
    made_by += (learning_rate.one_cycle, training.compile_classifier, preprocessing.fit_scale)
    sources = [inspect.getsource(part) for part in made_by]
    versions = keras.__version__, tf.__version__, np.__version__, cv2.__version__
    parts = [sorted(recipe.items()), versions, sources]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
