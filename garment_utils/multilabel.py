"""Several labels at once: from scores to labels, metrics, training partitions, weights.

Labels and predicted labels are ``(n, values)`` arrays of 0 and 1, a column for each value; every
picture has exactly one value of each type.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from garment_utils.attributes import columns_of_types

SCORES = ("precision", "recall", "F1")

# ---- from scores to labels ---------------------------------------------------------------------


def decode_per_type(scores, types):
    """Predict, for each type, the value with the highest score.

    Args:
        scores: ``(n, values)`` numbers, such as probabilities, or ``(…, n, values)``.
        types: the type of each column, a sequence of str.

    Returns:
        int8 of the same shape, exactly one 1 a type in each row; the first of equal scores.
    """
    predicted = np.zeros(np.shape(scores), dtype=np.int8)
    for columns in columns_of_types(types).values():
        best = columns[scores[..., columns].argmax(axis=-1)]
        np.put_along_axis(predicted, best[..., None], 1, axis=-1)
    return predicted


def decode_top(scores, count):
    """Predict the values with the highest scores, whatever their types.

    A picture can so get two values of one type and none of another.

    Args:
        scores: ``(n, values)`` numbers.
        count: how many values to predict for each picture.

    Returns:
        ``(n, values)`` int8, ``count`` ones in each row; the first of equal scores.
    """
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    predicted = np.zeros(scores.shape, dtype=np.int8)
    np.put_along_axis(predicted, best, 1, axis=-1)
    return predicted


def constant_prediction(train, n):
    """Predict for every picture each type's most frequent value among the training pictures.

    Args:
        train: Attributes of training pictures.
        n: how many pictures to predict.

    Returns:
        ``(n, values)`` int8.

    Raises:
        ValueError: some of the pictures are of another part.
    """
    train.require("train")
    frequent = decode_per_type(train.labels.sum(axis=0)[None], train.types)
    return np.repeat(frequent, n, axis=0)


# ---- metrics -----------------------------------------------------------------------------------


def value_table(labels, predicted, values, types):
    """Return precision, recall and F1 of each value, scikit-learn's.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        predicted: ``(n, values)`` of 0 and 1, in the same order.
        values: names of the columns.
        types: their types.

    Returns:
        DataFrame, one row a value in the order of the columns: ``type``, ``value``,
        ``precision``, ``recall``, ``F1`` (floats; 0 where nothing can be divided) and
        ``pictures`` (int), how many have the value.
    """
    scores = dict(zip(SCORES, _scores(labels, predicted, None), strict=True))
    pictures = labels.sum(axis=0)
    return pd.DataFrame({"type": types, "value": values, **scores, "pictures": pictures})


def average_table(labels, predicted, types):
    """Return averaged precision, recall and F1, scikit-learn's, of each type and of all values.

    Micro averages count all labels together, macro averages are means over values: a rare value
    weighs as much as a frequent one. With exactly one predicted value of each type the three
    micro averages of a type are one number, its accuracy; those of all values are the mean of
    these accuracies.

    Args:
        labels, predicted: ``(n, values)`` of 0 and 1.
        types: the type of each column.

    Returns:
        DataFrame: the types in their order and ``all`` as rows; the columns are ``micro
        precision``, ``micro recall``, ``micro F1`` and the same three with ``macro``.
    """
    groups = {**columns_of_types(types), "all": np.arange(len(types))}
    averages = ("micro", "macro")
    rows = {
        name: np.concatenate([_scores(labels[:, c], predicted[:, c], a) for a in averages])
        for name, c in groups.items()
    }
    names = [f"{average} {score}" for average in averages for score in SCORES]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def _scores(labels, predicted, average):
    """Return precision, recall and F1, each a number or, not averaged, one for each column."""
    found = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)
    return found[:3]


def macro_f1(labels, predicted):
    """Return the mean of the values' F1, as scikit-learn does, many times faster.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        predicted: the same, or ``(runs, n, values)``.

    Returns:
        float, or ``(runs,)``. A value that is neither there nor predicted counts as 0.
    """
    return _f1(*_counts(labels, predicted)).mean(axis=-1)


def micro_f1(labels, predicted):
    """Return F1 of all labels together; arguments and result as of ``macro_f1``."""
    return _f1(*(counts.sum(axis=-1) for counts in _counts(labels, predicted)))


def exact_match(labels, predicted):
    """Return the share of pictures with all labels right; arguments as of ``macro_f1``."""
    return (predicted == labels).all(axis=-1).mean(axis=-1)


def type_accuracy(labels, predicted, types):
    """Return, for each type, the share of pictures whose labels of this type are all right.

    Args:
        labels, predicted: ``(n, values)`` of 0 and 1.
        types: the type of each column.

    Returns:
        Series of floats, the types in their order as index.
    """
    return pd.Series(
        {
            name: exact_match(labels[:, columns], predicted[:, columns])
            for name, columns in columns_of_types(types).items()
        }
    )


def _counts(labels, predicted):
    """Return for each value how often it is right, there, and said."""
    right = (predicted * labels).sum(axis=-2)
    return right, np.broadcast_to(labels.sum(axis=0), right.shape), predicted.sum(axis=-2)


def _f1(right, there, said):
    # 2PR / (P + R), without a division of 0 by 0 where a value is never there or never said.
    return 2 * right / np.maximum(there + said, 1)


def paired_bootstrap(labels, first, second, *, metric, resamples, rng):
    """Draw the pictures anew, many times, and compare two predictions of the same ones each time.

    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 16.)

    Args:
        labels: ``(n, values)`` of 0 and 1.
        first, second: ``(n, values)``, or ``(runs, n, values)`` whose metric is averaged over
            the runs; the number of runs may differ.
        metric: function such as ``macro_f1``.
        resamples: how many times to draw n pictures, with replacement.
        rng: NumPy random generator.

    Returns:
        ``(resamples,)`` floats, metric of the second minus metric of the first. The scatter
        comes from the pictures; that of the training seeds is not in it.
    """
    differences = np.empty(resamples)
    for draw in range(resamples):
        rows = rng.integers(len(labels), size=len(labels))
        means = [metric(labels[rows], x[..., rows, :]).mean() for x in (first, second)]
        differences[draw] = means[1] - means[0]
    return differences


# ---- training partitions -----------------------------------------------------------------------
# Each returns sorted positions among the training pictures; a position may come several times
# where the docstring says so, and count_distinct tells how many pictures there are.


def one_per_combination(train, seed):
    """Draw one picture of each combination of labels; see ``at_most``."""
    return at_most(train, 1, seed)


def at_most(train, count, seed):
    """Draw up to so many pictures of each combination of labels, none twice.

    Args:
        train: Attributes of training pictures.
        count: how many; combinations with fewer pictures keep them all.
        seed: int.

    Returns:
        sorted int64 positions, all different.

    Raises:
        ValueError: some of the pictures are of another part.
    """
    rng = np.random.default_rng(seed)
    groups = [rng.permutation(group)[:count] for group in _combinations(train)]
    return np.sort(np.concatenate(groups))


def exactly(train, count, seed):
    """Draw exactly so many pictures of each combination of labels, repeating those that are few.

    Where a combination has fewer pictures, each comes equally often, give or take one.

    Args, raises: as of ``at_most``.

    Returns:
        sorted int64 positions, ``count`` for each combination, with repetitions.
    """
    rng = np.random.default_rng(seed)
    groups = [np.resize(rng.permutation(group), count) for group in _combinations(train)]
    return np.sort(np.concatenate(groups))


def rank_based(train, times, seed):
    """Repeat the pictures that rank as rare and leave out frequent ones; the size stays.

    A picture is as rare as the rarest of its values among the training pictures; pictures that
    are equally rare are ranked at random. The picture at rank r of n, from 0 for the rarest, is
    expected about ``times * (1 - u) ** (times - 1)`` times, u = r / n: at first ``times`` times,
    at last not at all, n in total. ``times=1`` keeps each picture once; ``times=2`` is the linear
    ranking of genetic algorithms. Copies are drawn at equal distances along the ranks, so that
    each picture comes as often as expected, give or take one. (Baker 1985, Adaptive selection
    methods for genetic algorithms; 1987, Reducing bias and inefficiency in the selection
    algorithm.)

    Args:
        train: Attributes of training pictures.
        times: how often the rarest pictures come, at least 1.
        seed: int.

    Returns:
        sorted int64 positions, as many as there are pictures, with repetitions.

    Raises:
        ValueError: some of the pictures are of another part, or ``times`` is below 1.
    """
    train.require("train")
    if times < 1:
        raise ValueError(f"expected times to be at least 1, got {times}")
    rng = np.random.default_rng(seed)
    n, pictures = len(train), train.labels.sum(axis=0)  # pictures with each value
    rarest = np.where(train.labels == 1, pictures, n).min(axis=1)
    ranked = np.lexsort((rng.random(n), rarest))
    # Below rank u lies the share 1 - (1 - u) ** times of all copies: solved for u.
    shares = (np.arange(n) + rng.random()) / n
    ranks = n * (1 - (1 - shares) ** (1 / times))
    return np.sort(ranked[ranks.astype(int)])


def count_distinct(positions):
    """Return how many different pictures a partition holds, as int."""
    return len(np.unique(positions))


def _combinations(train):
    """Return the positions of each combination of labels that occurs, a list of arrays."""
    train.require("train")
    _, number = np.unique(train.labels, axis=0, return_inverse=True)
    return [np.flatnonzero(number == k) for k in range(number.max() + 1)]


# ---- weights -----------------------------------------------------------------------------------


def value_weights(train):
    """Return a weight for each value, so that all values of a type weigh the same together.

    The weight is n / (k * pictures with the value), k = number of values of its type that occur:
    what scikit-learn calls balanced. Its mean over the pictures is 1 in each type.

    Args:
        train: Attributes of n training pictures.

    Returns:
        ``(values,)`` float32 in the order of the columns; 0 for a value that no picture has.

    Raises:
        ValueError: some of the pictures are of another part.
    """
    train.require("train")
    pictures = train.labels.sum(axis=0)
    weights = np.zeros(len(pictures), dtype=np.float32)
    for columns in columns_of_types(train.types).values():
        there = columns[pictures[columns] > 0]
        weights[there] = len(train) / (len(there) * pictures[there])
    return weights
