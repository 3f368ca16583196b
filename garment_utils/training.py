"""Repeatable training, tidy histories, and a store of trained models."""

import hashlib
import inspect
import json
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from garment_utils.paths import models_folder, replacing, write_whole
from garment_utils.quiet_keras import keras, tf

# Fewer round trips between Python and TensorFlow: the same numbers in about half the time.
STEPS_PER_EXECUTION = 250


class Trained(NamedTuple):
    """A trained model, its history (one row per epoch), and whether it came from the store."""

    model: keras.Model
    history: pd.DataFrame
    loaded: bool


def make_repeatable(seed):
    """Set every random number generator to ``seed`` and use deterministic operations only.

    The one function of the package that touches global random state of Python, NumPy or Keras.
    The same seed gives the same bits on one machine with the same number of threads; elsewhere
    the last digits differ.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def compile_classifier(model, learning_rate=0.001, optimizer="adam", loss=None, **options):
    """Compile a classifier; further options go to Keras.

    Args:
        model: Keras classifier with probabilities as its output.
        learning_rate: a number or a Keras schedule.
        optimizer: Keras' name of one, such as ``"adam"`` or ``"adadelta"``.
        loss: Keras loss or its name; None for integer labels, whose accuracy is taken too.
    """
    # A fixed name: Keras would number them, and the number would end up in the key.
    config = {"learning_rate": learning_rate, "name": optimizer}
    model.compile(
        optimizer=keras.optimizers.get({"class_name": optimizer, "config": config}),
        loss=loss or "sparse_categorical_crossentropy",
        metrics=None if loss else ["accuracy"],
        **options,
    )


def train_or_load(
    build,
    scale,
    train,
    validation,
    *,
    epochs,
    batch_size,
    seed,
    learning_rate=0.001,
    optimizer="adam",
    loss=None,
):
    """Train a network, or load it if exactly this training was done before.

    Everything that makes the result is part of the stored file's name: network with its initial
    weights, optimizer, loss, pictures, labels, pixel scale, epochs, batch size, seed, versions of
    Keras and TensorFlow. Change one of them and the network is trained anew. A stored file that
    cannot be read, or holds another network, is reported and replaced.

    Args:
        build: function without arguments that returns an uncompiled Keras classifier, with new
            weights or, to be trained further, with those of another network.
        scale: PixelScale for the images of both parts.
        train: training part to learn from, a Split.
        validation: validation part, whose loss and accuracy are taken after each epoch.
        epochs: passes over the training images.
        batch_size: images per step.
        seed: int; sets the initial weights and the order of the images.
        learning_rate: a number or a Keras schedule, such as ``one_cycle`` returns.
        optimizer: Keras' name of one.
        loss: Keras loss or its name, for labels of another form; None for integer labels.

    Returns:
        Trained: model; history with the columns ``epoch`` (from 1), ``loss``, ``accuracy``,
        ``val_loss``, ``val_accuracy``; ``loaded``. With a loss of another kind there are no
        accuracies. The training columns are averages over the epoch while the weights move, the
        ``val_`` columns are taken at its end.

    Raises:
        ValueError: if the parts are others than those named.
    """
    train.require("train")
    validation.require("validation")
    make_repeatable(seed)
    model = build()
    compile_classifier(
        model, learning_rate, optimizer, loss, steps_per_execution=STEPS_PER_EXECUTION
    )
    recipe = {
        "network": model.get_config(),
        "weights": checksum_of(*model.get_weights()),
        "optimizer": model.optimizer.get_config(),
        "loss": model.loss if isinstance(model.loss, str) else keras.losses.serialize(model.loss),
        "train": checksum_of(train.images, train.labels),
        "validation": checksum_of(validation.images, validation.labels),
        "scale": scale,
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        "versions": (keras.__version__, tf.__version__),
    }
    for part in (model.loss, *model.layers):  # their configurations do not tell what they compute
        if type(part).__module__.startswith("garment_utils."):
            recipe[type(part).__name__] = inspect.getsource(type(part))
    key = hashlib.sha256(_as_text(recipe).encode()).hexdigest()
    path = models_folder() / f"{model.name}-{key[:16]}.keras"

    def make():
        result = model.fit(
            scale.apply(train.images),
            train.labels,
            validation_data=(scale.apply(validation.images), validation.labels),
            epochs=epochs,
            batch_size=batch_size,
            verbose=0,
        )
        return model, {"epoch": list(range(1, epochs + 1)), **result.history}

    def check(stored, history):
        if _as_text(stored.get_config()) != _as_text(model.get_config()):
            raise ValueError("it holds another network")

    model, history, loaded = load_or_make(path, make, check)
    return Trained(model, pd.DataFrame(history), loaded)


def load_or_make(path, make, check, say=print, announcement=None):
    """Return a model and notes on it: what is stored, or what is made now and then stored.

    Stored code is not executed (Keras' safe mode). What cannot be used is reported, and replaced.

    Args:
        path: of the model, ending in ``.keras``; its notes stand beside it as ``.json``.
        make: function without arguments that returns the model and its notes, a dict.
        check: function of both that raises ValueError if they are not what is asked for.
        say: function that is told, in a sentence each, what happens.
        announcement: sentence to say before making; None for none.

    Returns:
        model, notes, and True if they were stored.
    """
    if path.exists():
        try:
            model = keras.models.load_model(path, safe_mode=True)
            notes = json.loads(path.with_suffix(".json").read_text())
            check(model, notes)
            return model, notes, True
        except Exception as error:  # a damaged archive fails in many ways, all mean: train again
            say(f"{path.name} cannot be used ({_reason(error, path)}); training it again")
    if announcement:
        say(announcement)
    model, notes = make()
    try:
        _store(path, model, notes)
    except OSError as error:  # no room, no permission: minutes of training are not lost for that
        say(f"{path.name} cannot be kept ({_reason(error, path)}); next time it is trained again")
    return model, notes, False


def load_classifier(path):
    """Load a classifier of garments that was saved whole, without running any code in the file.

    Args:
        path: of a file that ``model.save`` has written, ending in ``.keras``; str or Path.

    Returns:
        Keras model: ``(n, 28, 28)`` scaled pixels → ``(n, classes)`` probabilities. Neither the
        pixel scale nor the class names are in the file.

    Raises:
        ValueError: no such file, another format, damaged, with code in it, or another kind of
            model.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"{path.name}: expected a model saved whole in a file that ends in .keras, got one "
            f"that ends in {path.suffix or 'nothing'}; save the model with model.save(....keras)"
        )
    if not path.is_file():
        raise ValueError(f"{path.name}: expected a saved model, found no such file; check its name")
    if not zipfile.is_zipfile(path):  # of such a file Keras says that it is not there
        raise ValueError(
            f"{path.name}: expected a .keras archive, found something else or a piece of one; "
            "copy or save it again"
        )
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged archive fails in many ways
        if "arbitrary code" in str(error):
            raise ValueError(
                f"{path.name}: expected a model without Python code, found some, and code from a "
                f"file can do anything; do not load it (Keras: {_first_line(error).split('. ')[0]})"
            ) from None
        raise ValueError(
            f"{path.name}: expected a whole .keras archive of known layers, found one that is "
            f"damaged or holds others ({_first_line(error)[:200]}); copy or save it again"
        ) from None
    if not _is_classifier(model):
        raise ValueError(
            f"{path.name}: expected a classifier from (28, 28) pixels to probabilities, found "
            "another kind of model; load it with keras.models.load_model"
        )
    return model


def _is_classifier(model):
    """Say whether a model makes probabilities of 28×28 pixels."""
    if getattr(model, "input_shape", None) != (None, 28, 28):
        return False
    answers = model(np.zeros((1, 28, 28), np.float32))
    if getattr(answers, "ndim", 0) != 2 or answers.shape[1] < 2:
        return False
    return bool((answers.numpy() >= 0).all()) and abs(float(answers.numpy().sum()) - 1) < 1e-3


def pre_activations(model, pixels):
    """Return what the first hidden layer's units receive, before ReLU.

    Args:
        model: classifier whose first layer with weights is dense.
        pixels: ``(n, 28, 28)`` float32, scaled for this model.

    Returns:
        ``(n, units)`` float32.
    """
    kernel, bias = model.get_weights()[:2]
    return pixels.reshape(len(pixels), -1) @ kernel + bias


def first_step(model, pixels, labels):
    """Make one step of training and measure what it does to the first hidden layer.

    Args:
        model: compiled classifier, not yet trained; this function changes its weights.
        pixels: ``(n, 28, 28)`` float32, one batch, scaled for this model.
        labels: ``(n,)`` integers.

    Returns:
        dict of floats. Before the step: ``loss``; ``certainty``, the mean of each image's largest
        probability; ``gradient length``, over all weights; ``pre-activation``, the mean absolute
        value. After it: ``largest weight change`` in the first layer, and ``pre-activation
        change``, the mean absolute value.
    """
    with tf.GradientTape() as tape:
        probabilities = model(pixels)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        loss = tf.reduce_mean(losses)
    gradient = tf.linalg.global_norm(tape.gradient(loss, model.trainable_weights))
    before, weights_before = pre_activations(model, pixels), model.get_weights()[0]
    model.train_on_batch(pixels, labels)
    change = pre_activations(model, pixels) - before
    return {
        "loss": float(loss),
        "certainty": float(probabilities.numpy().max(axis=1).mean()),
        "gradient length": float(gradient),
        "largest weight change": float(np.abs(model.get_weights()[0] - weights_before).max()),
        "pre-activation": float(np.abs(before).mean()),
        "pre-activation change": float(np.abs(change).mean()),
    }


def checksum_of(*arrays):
    """Return the SHA-256 of what arrays hold, in their order, in hexadecimal digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _store(path, model, notes):
    """Write notes and model beside their names, then rename; the model comes last.

    Where the model is, the notes are: two processes that store the same training do no harm.
    """
    write_whole(path.with_suffix(".json"), json.dumps(notes).encode())  # every digit of a float
    save_whole(model, path)


def save_whole(model, path):
    """Save a model into an existing folder, whole or not at all."""
    with replacing(path) as partial:
        model.save(partial)


def _as_text(config):
    # As text, because a configuration read from a file has lists where a fresh one has tuples.
    return json.dumps(config, sort_keys=True, default=str)


def _reason(error, path):
    """Return the first line of what an error says, without the folder that it may name."""
    return _first_line(error).replace(f"{path.parent}{os.sep}", "")


def _first_line(error):
    text = getattr(error, "strerror", None) or str(error)
    return text.strip().split("\n")[0] or type(error).__name__
