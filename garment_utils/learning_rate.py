"""Adam and Adadelta, the range test that suggests a learning rate, the grid that verifies it."""

import numpy as np
import pandas as pd

from garment_utils.quiet_keras import keras, tf
from garment_utils.training import make_repeatable, train_or_load

# How many of the last losses the smoothing of a range test averages, roughly.
SMOOTHED_OVER = 10


def adam_step(weights, gradient, mean, square, step, rate, tiny=1e-7):
    """Make one step of the optimizer Adam.

    Source: Kingma and Ba (2015), Adam: a method for stochastic optimization, section 2, with
    Keras' default constants and, like Keras, with ``tiny`` added before the correction.

    Args:
        weights, gradient: floats of one shape.
        mean, square: running means of the gradient and of its square; 0 before the first step.
        step: from 1.
        rate: learning rate.
        tiny: keeps the division from failing where there was no gradient.

    Returns:
        new weights, mean and square, each of the shape of the weights.
    """
    mean = 0.9 * mean + 0.1 * gradient
    square = 0.999 * square + 0.001 * gradient**2
    direction = mean / (1 - 0.9**step)
    size = (np.sqrt(square) + tiny) / np.sqrt(1 - 0.999**step)
    return weights - rate * direction / size, mean, square


def adadelta_step(weights, gradient, square, moved, rate, tiny=1e-7):
    """Make one step of the optimizer Adadelta.

    Source: Zeiler (2012), ADADELTA: an adaptive learning rate method, algorithm 1, with Keras'
    constants and its learning rate in front, which the paper does not have.

    Args:
        weights, gradient: floats of one shape.
        square, moved: running means of the squared gradient and of the squared step without the
            rate; 0 before the first step.
        rate: learning rate; 1 is the paper's optimizer.
        tiny: what starts the first step, when nothing has moved yet.

    Returns:
        new weights, square and moved, each of the shape of the weights.
    """
    square = 0.95 * square + 0.05 * gradient**2
    step = gradient * np.sqrt(moved + tiny) / np.sqrt(square + tiny)
    moved = 0.95 * moved + 0.05 * step**2
    return weights - rate * step, square, moved


def walk(optimizer, gradient, steps=100):
    """Let an optimizer move one weight along a gradient that stays the same.

    Args:
        optimizer: Keras optimizer, not used before.
        gradient: float.
        steps: how many.

    Returns:
        list of floats, how far the weight is from its start after each step.
    """
    weight = keras.Variable([0.0])
    gradients = [keras.ops.convert_to_tensor([gradient], "float32")]
    distances = []
    for _ in range(steps):
        optimizer.apply(gradients, [weight])
        distances.append(abs(float(weight.numpy()[0])))
    return distances


def one_cycle(peak, *, images, epochs, batch_size):
    """Return a schedule: the rate rises to ``peak`` in a quarter of the steps, then falls to 0.

    Source: Smith (2018), A disciplined approach to neural network hyper-parameters, section 4;
    falling along a cosine, as Keras' ``CosineDecay`` does.

    Args:
        peak: the highest learning rate.
        images: how many are trained on.
        epochs: passes over the images.
        batch_size: images per step.

    Returns:
        Keras schedule for exactly ``epochs`` epochs.
    """
    steps = -(-images // batch_size) * epochs
    rising = steps // 4
    return keras.optimizers.schedules.CosineDecay(
        peak / 25, steps - rising, warmup_target=peak, warmup_steps=rising
    )


def range_test(model, scale, train, *, batch_size, seed, lowest=1e-5, highest=1.0):
    """Raise the learning rate from batch to batch within one epoch, and note each batch's loss.

    Every loss is that of its own batch, taken before the step: a running mean, which Keras
    reports, would still speak of the small rates when the rate is already large. The model gets
    its weights back; an optimizer it was compiled with is not used.

    Source: Smith (2017), Cyclical learning rates for training neural networks, section 3.3, with
    a step a batch instead of several epochs.

    Args:
        model: Keras classifier with probabilities as its output, compiled or not.
        scale: PixelScale for the images.
        train: training part, a Split.
        batch_size: images per step; there are ``len(train) // batch_size`` steps.
        seed: int; sets the order of the images.
        lowest, highest: first and last learning rate of Adam; between them it grows by the same
            factor at each step.

    Returns:
        DataFrame, one row a step: ``step`` (from 1), ``learning_rate``, ``loss`` (of this batch),
        ``smoothed`` (mean of the losses so far in which older ones count less and less).

    Raises:
        ValueError: if the part is not the training part, or holds less than two batches.
    """
    train.require("train")
    steps = len(train) // batch_size
    if steps < 2:
        raise ValueError(
            f"expected at least 2 batches of {batch_size} images, got {len(train)} images; "
            "take more images or smaller batches"
        )
    weights = model.get_weights()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def take_step(pixels, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, model(pixels, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    rates = np.geomspace(lowest, highest, steps)
    order = np.random.default_rng(seed).permutation(len(train))
    losses = []
    make_repeatable(seed)
    try:
        for step, rate in enumerate(rates):
            batch = order[step * batch_size : (step + 1) * batch_size]
            optimizer.learning_rate.assign(rate)
            losses.append(float(take_step(scale.apply(train.images[batch]), train.labels[batch])))
    finally:
        model.set_weights(weights)
    test = pd.DataFrame({"step": range(1, steps + 1), "learning_rate": rates, "loss": losses})
    test["smoothed"] = test["loss"].ewm(span=2 * SMOOTHED_OVER - 1).mean()
    return test


def suggest_rate(test):
    """Return the learning rate at which the loss has come nine tenths of its way down.

    Not that of the lowest loss: the valley is flat, so its lowest place is luck.

    Args:
        test: what ``range_test`` returns.

    Returns:
        float.

    Raises:
        ValueError: if the loss never fell.
    """
    start, lowest = test["smoothed"].iloc[0], test["smoothed"].min()
    if not lowest < start:
        raise ValueError(
            "expected a loss that falls in the range test, it never did; "
            "start at a smaller learning rate"
        )
    far_enough = test["smoothed"] <= start - 0.9 * (start - lowest)
    return float(test.loc[far_enough, "learning_rate"].iloc[0])


def grid(build, scale, train, validation, *, rates, seeds, epochs, batch_size):
    """Train a network with each learning rate and each seed, and score it on validation images.

    Args:
        build: function without arguments that returns an uncompiled Keras classifier.
        scale: PixelScale for the images of both parts.
        train: training part, a Split.
        validation: validation part, a Split.
        rates: learning rates of Adam.
        seeds: ints, the same for each rate, so that rates can be compared seed by seed.
        epochs: passes over the training images.
        batch_size: images per step.

    Returns:
        DataFrame of validation accuracies after the last epoch: one row a rate, one column a seed.
    """
    settings = {"epochs": epochs, "batch_size": batch_size}
    index = pd.Index(rates, name="learning_rate")
    accuracies = pd.DataFrame(index=index, columns=seeds, dtype=float)
    for rate in rates:
        for seed in seeds:
            trained = train_or_load(
                build, scale, train, validation, seed=seed, learning_rate=rate, **settings
            )
            accuracies.loc[rate, seed] = trained.history["val_accuracy"].iloc[-1]
    return accuracies
