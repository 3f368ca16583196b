"""Numbers about data and models, no drawing; and the two kinds of number a report repeats."""

import numpy as np
from IPython.display import display
from sklearn.metrics import pairwise_distances_argmin_min


def mean_and_spread(values):
    """Return ``"mean ± standard deviation (n runs)"`` of a sequence of numbers as text.

    The standard deviation is the sample's (divided by n - 1).

    Raises:
        ValueError: fewer than two values have no spread.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        raise ValueError(f"expected at least 2 values to show a spread, got {len(values)}")
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f} ({len(values)} runs)"


def headline(label, value):
    """Show a number that the report's first page repeats; ``value`` is text or a number."""
    value = value if isinstance(value, str) else f"{value:,}"
    _display(f"{label}: {value}", {"headline": {"label": label, "value": value}})


def answer(sentence):
    """Show the notebook's answer in one sentence; the overview repeats it."""
    _display(sentence, {"answer": sentence})


def _display(text, metadata):
    display({"text/plain": text}, raw=True, metadata={"garment": metadata})


def nearest_neighbors(images, others):
    """Find for each image the most similar one among others.

    Args:
        images: ``(n, 28, 28)`` uint8.
        others: ``(m, 28, 28)`` uint8.

    Returns:
        positions in ``others`` ``(n,)`` int64, and distances ``(n,)`` float: the root of the
        mean squared difference of two pixels, in gray levels.
    """
    flat, flat_others = (x.reshape(len(x), -1).astype("float32") for x in (images, others))
    positions, distances = pairwise_distances_argmin_min(flat, flat_others)
    return positions, distances / np.sqrt(flat.shape[1])


def dead_units(model, pixels):
    """Count the hidden ReLU units that answer 0 to more than 99 of 100 images.

    Args:
        model: Keras Sequential whose ReLU layers have ``relu`` as their activation.
        pixels: ``(n, 28, 28)`` float32, scaled for this model.

    Returns:
        int.
    """
    dead = 0
    for layer in model.layers[:-1]:
        pixels = layer(pixels)
        if hasattr(layer, "activation"):
            active = (pixels.numpy() > 0).mean(axis=0)  # share of images, for each unit
            dead += int((active < 0.01).sum())
    return dead
