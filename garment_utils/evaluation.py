"""Numbers about data and models, no drawing; and the two kinds of number a report repeats."""

import numpy as np
import pandas as pd
from IPython.display import display
from scipy import stats
from sklearn.metrics import classification_report, pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors


def mean_and_spread(values):
    """Return ``"mean ± standard deviation (n runs)"`` of a sequence of numbers as text.

    The standard deviation is the sample's (divided by n - 1).

    Raises:
        ValueError: fewer than two values have no spread.
    """
    return _summary_of_runs(values)["value"]


def mean_interval(values):
    """Return the 95 % interval of the mean of a few numbers, such as differences of paired runs.

    Source: Student (1908), The probable error of a mean.

    Args:
        values: at least 2 floats.

    Returns:
        low and high end, floats; the same number twice if all values are equal.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"expected at least 2 values, got {len(values)}")
    mean, error = np.mean(values), stats.sem(values)
    if error == 0:  # where Student's distribution has no width, SciPy has no ends
        return float(mean), float(mean)
    low, high = stats.t.interval(0.95, len(values) - 1, mean, error)
    return float(low), float(high)


def headline(label, values, *, published=None):
    """Show a result that the reports and the README repeat.

    Args:
        label: what was measured; no two results of a notebook have the same.
        values: the numbers of at least two runs, shown as ``mean_and_spread``; or one number; or
            text for what is neither, such as ``"34 of 40"``.
        published: a number from elsewhere to hold against it and whose it is:
            ``(0.8813, "FashionTech, 10 epochs")``.

    Raises:
        ValueError: a sequence of fewer than two values.
    """
    if isinstance(values, str):
        result = {"value": values}
    elif np.ndim(values) == 0:
        number = np.asarray(values).item()
        number = _rounded(number) if isinstance(number, float) else number
        result = {"value": f"{number:,}", "n": 1, "mean": number}
    else:
        result = _summary_of_runs(values)
    shown = f"{label}: {result['value']}"
    if published is not None:
        number, source = published
        result.update(published=number, source=source)
        shown += f"; published {number:,} ({source})"
    _display(shown, {"headline": {"label": label, **result}})


def _summary_of_runs(values):
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"expected at least 2 values to show a spread, got {values.size}")
    # What is shown is made of what is stored, so that the two always agree.
    n, mean, sd = len(values), _rounded(values.mean()), _rounded(values.std(ddof=1))
    return {"value": f"{mean:.3f} ± {sd:.3f} ({n} runs)", "n": n, "mean": mean, "sd": sd}


def _rounded(number):
    """Return a number with six digits, enough for every use and readable in a file."""
    return float(f"{number:.6g}")


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


def several_neighbors(images, others, count):
    """Find for each image the most similar ones among others, nearest first.

    Args:
        images: ``(n, 28, 28)`` uint8.
        others: ``(m, 28, 28)`` uint8.
        count: how many neighbors to find for each image.

    Returns:
        positions in ``others`` ``(n, count)`` int64, and distances ``(n, count)`` float, in gray
        levels as in ``nearest_neighbors``.
    """
    flat, flat_others = (x.reshape(len(x), -1).astype("float32") for x in (images, others))
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(flat_others)
    distances, positions = search.kneighbors(flat)
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


def softmax(sums):
    """Turn the sums of the output units into probabilities: all positive, each row adds up to 1.

    Args:
        sums: ``(n, 10)`` float.

    Returns:
        ``(n, 10)`` float.
    """
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))  # the shift cancels; no overflow
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(probabilities, labels):
    """Return the mean surprise at the true labels: minus the logarithm of their probability.

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers.

    Returns:
        float, in nats: 0 if every true label was certain, ln 10 ≈ 2.3 if all ten are equal.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    return -np.log(of_truth).mean()


def confusion_counts(labels, predicted_labels):
    """Count how often each class is taken for each.

    Args:
        labels: ``(n,)`` integers 0–9, what the garments are.
        predicted_labels: ``(n,)`` integers 0–9, what a model says, in the same order.

    Returns:
        ``(10, 10)`` int64: row = actual class, column = predicted class.

    Raises:
        IndexError: a class above 9, or arrays of lengths that do not fit together.
    """
    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (labels, predicted_labels), 1)
    return counts


def row_shares(counts):
    """Divide each row by its sum: which share of an actual class is taken for each class.

    Args:
        counts: ``(10, 10)`` integers, or a stack ``(…, 10, 10)`` of such tables.

    Returns:
        floats of the same shape; each row adds up to 1, a class without garments is a row of 0.
    """
    sizes = counts.sum(axis=-1, keepdims=True)  # garments of each actual class
    return counts / np.maximum(sizes, 1)  # a class without garments: 0, not an error


def classification_table(labels, predicted_labels, names):
    """Return scikit-learn's classification report as a table.

    Args:
        labels: ``(n,)`` integers 0–9, what the garments are.
        predicted_labels: ``(n,)`` integers 0–9, what a model says, in the same order.
        names: the ten class names.

    Returns:
        DataFrame with the columns ``precision``, ``recall``, ``F1`` (floats; 0 where nothing can
        be divided) and ``garments`` (int). Its rows are the classes in their order, then
        ``macro average``, the mean of the ten, and ``accuracy``: over all garments together
        precision, recall and F1 are one number.
    """
    report = classification_report(
        labels,
        predicted_labels,
        labels=range(10),
        target_names=names,
        output_dict=True,
        zero_division=0,
    )
    table = pd.DataFrame({name: report[name] for name in (*names, "macro avg")}).T
    table.loc["accuracy"] = report["accuracy"]
    table.loc["accuracy", "support"] = len(labels)
    table = table.rename(
        index={"macro avg": "macro average"}, columns={"f1-score": "F1", "support": "garments"}
    )
    return table.astype({"garments": int})


def mistakes_within(counts, group):
    """Return which share of all mistakes stays inside a group of classes.

    Args:
        counts: ``(10, 10)`` integers, row = actual class, or a stack ``(…, 10, 10)`` of tables.
        group: labels of the classes, a list of int.

    Returns:
        float, or ``(…)`` floats: mistakes between two classes of the group / all mistakes.
    """
    mistakes = counts * (1 - np.eye(10, dtype=int))  # the diagonal set to 0
    inside = mistakes[..., group, :][..., group]
    return inside.sum(axis=(-2, -1)) / mistakes.sum(axis=(-2, -1))


def resample_counts(counts, resamples, rng):
    """Draw the table of confusions anew, as other test garments might have given it: a bootstrap.

    From the garments of each actual class as many are drawn as there are, with replacement. Only
    their number in each cell matters, so a row is one draw from a multinomial distribution. A
    mistake that was never made is never drawn either. (Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, chapters 6 and 13.)

    Args:
        counts: ``(10, 10)`` integers, row = actual class.
        resamples: how many tables to draw.
        rng: NumPy random generator.

    Returns:
        ``(resamples, 10, 10)`` int64; each row adds up to what it does in ``counts``.
    """
    sizes = counts.sum(axis=1)  # (10,), garments of each actual class
    return rng.multinomial(sizes, row_shares(counts), size=(resamples, 10))


def percentile_interval(draws, outside):
    """Return the interval that leaves out a share of the draws, half of it at either end.

    Args:
        draws: ``(resamples, …)`` numbers.
        outside: share left out; 0.05 gives the interval from the 2.5th to the 97.5th percentile.

    Returns:
        ``(2, …)`` floats: lower ends, upper ends.
    """
    return np.quantile(draws, [outside / 2, 1 - outside / 2], axis=0)


def probabilities_of_runs(fits, scale, part):
    """Ask several trained networks for their answers to a part of the data.

    Args:
        fits: list of ``training.Trained``, one a run.
        scale: PixelScale they were trained on.
        part: Split of n garments.

    Returns:
        ``(runs, n, 10)`` float32.
    """
    pixels = scale.apply(part.images)
    # A thousand at a time: the feature maps of all at once would take more than a gigabyte.
    batches = [pixels[start : start + 1000] for start in range(0, len(pixels), 1000)]
    return np.stack(
        [np.concatenate([fit.model(batch).numpy() for batch in batches]) for fit in fits]
    )


def accuracy_of_runs(fits, scale, part):
    """Return the share of a part's garments that each of several networks names right.

    Only the ten classes count: of a network with more outputs the likeliest of the ten is the
    answer, and what is none of the ten is left out.

    Args:
        fits: list of ``training.Trained``, one a run.
        scale: PixelScale they were trained on.
        part: Split of garments, and of other things with labels above 9.

    Returns:
        ``(runs,)`` float.
    """
    predicted = probabilities_of_runs(fits, scale, part)[..., :10].argmax(axis=2)  # (runs, n)
    return (predicted == part.labels)[:, part.labels < 10].mean(axis=1)


def mistakes(probabilities, labels):
    """List the wrong answers, the most certain first.

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers, in the same order.

    Returns:
        DataFrame, one row a mistake: ``position`` of the garment among the n, its ``label``, the
        ``predicted`` class (integers), and the ``certainty``, the probability of that class.
    """
    predicted = probabilities.argmax(axis=1)
    position = np.flatnonzero(predicted != labels)
    table = pd.DataFrame({"position": position, "label": labels[position]})
    table["predicted"] = predicted[position]
    table["certainty"] = probabilities.max(axis=1)[position]
    return table.sort_values("certainty", ascending=False, kind="stable", ignore_index=True)


def with_neighbors(table, part, train, count=5):
    """Ask the training garments that look most like a mistake which label they carry.

    Args:
        table: DataFrame made by ``mistakes``.
        part: the part in which the mistakes were made, a Split.
        train: the garments to search, a Split.
        count: how many neighbors to ask.

    Returns:
        The table with three more columns: ``agreeing``, how many of the neighbors carry the
        predicted label; ``neighbor``, the position in ``train`` of the nearest of them whose
        label is not that of the mistake; ``distance`` to it in gray levels, infinite if there is
        none.
    """
    found, distances = several_neighbors(part.images[table["position"]], train.images, count)
    labels = train.labels[found]  # (mistakes, count)
    apart = np.where(labels != table[["label"]].to_numpy(), distances, np.inf)
    rows = np.arange(len(table))
    nearest = apart.argmin(axis=1)
    return table.assign(
        agreeing=(labels == table[["predicted"]].to_numpy()).sum(axis=1),
        neighbor=found[rows, nearest],
        distance=apart[rows, nearest],
    )


def reliability(probabilities, labels, bins=10):
    """Compare how certain a model is with how often it is right, bin by bin of certainty.

    (Guo, Pleiss, Sun and Weinberger 2017, On calibration of modern neural networks,
    arXiv:1706.04599, section 2.)

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers, in the same order.
        bins: number of equally wide bins from 0 to 1; the upper edge belongs to a bin.

    Returns:
        DataFrame, one row a bin that holds garments (its interval is the index): ``garments``,
        their number, and their mean ``certainty`` and ``accuracy``.
    """
    table = pd.DataFrame({"certainty": probabilities.max(axis=1)})
    table["accuracy"] = probabilities.argmax(axis=1) == labels
    groups = table.groupby(pd.cut(table["certainty"], np.linspace(0, 1, bins + 1)), observed=True)
    return groups.mean().assign(garments=groups.size())


def expected_calibration_error(probabilities, labels, bins=10):
    """Return the mean gap between certainty and accuracy, each bin weighted by its garments.

    (Naeini, Cooper and Hauskrecht 2015, Obtaining well calibrated probabilities using Bayesian
    binning, AAAI; Guo and others 2017, equation 3.)

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers, in the same order.
        bins: as in ``reliability``.

    Returns:
        float from 0 to 1. Bins are samples: even a perfectly calibrated model stays above 0.
    """
    table = reliability(probabilities, labels, bins)
    gaps = (table["certainty"] - table["accuracy"]).abs()
    return float(np.average(gaps, weights=table["garments"]))


def with_temperature(probabilities, temperature):
    """Divide the sums behind probabilities by a temperature: above 1 makes them less certain.

    The logarithms of the probabilities serve as sums: they differ from those of the network by a
    shift of each row, which softmax does not see. (Guo and others 2017, section 4.2.)

    Args:
        probabilities: ``(n, 10)`` float.
        temperature: float above 0.

    Returns:
        ``(n, 10)`` float; the order of the classes in a row, and so the answer, is the same.
    """
    sums = np.log(np.maximum(probabilities, 1e-30))  # the logarithm of 0 would be infinite
    return softmax(sums / temperature)


def fit_temperature(probabilities, validation):
    """Find the temperature with the smallest cross-entropy on the validation part.

    Args:
        probabilities: ``(n, 10)`` float, a model's answers to the validation images.
        validation: validation part, a Split of n garments.

    Returns:
        float from 0.25 to 4, to about 2 %.

    Raises:
        ValueError: the part is another one, or the probabilities are of other garments.
    """
    require_answers_to_validation(probabilities, validation)
    temperatures = np.geomspace(0.25, 4, 141)
    losses = [
        cross_entropy(with_temperature(probabilities, temperature), validation.labels)
        for temperature in temperatures
    ]
    return float(temperatures[np.argmin(losses)])


def abstention_curve(probabilities, labels):
    """Say how accurate a model is if it answers the garments it is most certain of, and no others.

    (El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification, JMLR 11;
    Geifman and El-Yaniv 2017, Selective classification for deep neural networks,
    arXiv:1705.08500.)

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers, in the same order.

    Returns:
        DataFrame of n rows, from one answer to n: ``answered``, the share of the garments, and
        ``accuracy`` of these answers.
    """
    most_certain_first = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[most_certain_first]
    answers = np.arange(1, len(labels) + 1)
    return pd.DataFrame({"answered": answers / len(labels), "accuracy": right.cumsum() / answers})


def abstain(probabilities, labels, threshold):
    """Answer with at least a certainty, else not at all; return what share, and how accurately.

    Args:
        probabilities: ``(n, 10)`` float.
        labels: ``(n,)`` integers, in the same order.
        threshold: smallest certainty of an answer that is given.

    Returns:
        dict of floats: ``answered``, the share of garments, and ``accuracy`` of these answers;
        not a number if there are none.
    """
    given = probabilities.max(axis=1) >= threshold
    right = probabilities.argmax(axis=1) == labels
    accuracy = right[given].mean() if given.any() else np.nan
    return {"answered": given.mean(), "accuracy": accuracy}


def choose_threshold(probabilities, validation, answered):
    """Find the certainty below which a model abstains, so that it answers a share of garments.

    Args:
        probabilities: ``(n, 10)`` float, a model's answers to the validation images.
        validation: validation part, a Split of n garments.
        answered: share of the validation garments to answer, from 0 to 1.

    Returns:
        float; answers with at least this certainty are given.

    Raises:
        ValueError: the part is another one, or the probabilities are of other garments.
    """
    require_answers_to_validation(probabilities, validation)
    return float(np.quantile(probabilities.max(axis=1), 1 - answered))


def require_answers_to_validation(probabilities, validation):
    """Raise ValueError unless there is a row of probabilities for each validation garment."""
    validation.require("validation")
    if len(probabilities) != len(validation):
        raise ValueError(
            f"expected the probabilities of {len(validation):,} validation garments, got "
            f"{len(probabilities):,} rows; are they of another part?"
        )
