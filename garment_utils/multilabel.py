"""Several labels at once: decoding, metrics, agreement, training partitions, weights.

Labels and predicted labels are ``(n, values)`` arrays of 0 and 1, a column for each value; every
picture has exactly one value of each type.
"""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from garment_utils.attribute_labels import columns_of_types
from garment_utils.evaluation import percentile_interval

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


def count_per_type(predicted, types):
    """Count the predicted values of each type.

    Args:
        predicted: ``(…, values)`` of 0 and 1.
        types: the type of each column.

    Returns:
        ``(…, types)`` int64, the types in their order.
    """
    columns = columns_of_types(types).values()
    return np.stack([predicted[..., its].sum(axis=-1) for its in columns], axis=-1)


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


def value_f1(labels, predicted):
    """Return F1 of each value, ``(…, values)``; arguments as of ``macro_f1``."""
    return _f1(*_counts(labels, predicted))


def macro_f1(labels, predicted, columns=slice(None)):
    """Return the mean of the values' F1, as scikit-learn does, many times faster.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        predicted: the same, or ``(runs, n, values)``.
        columns: of which values, ``(values,)`` bool; all by default.

    Returns:
        float, or ``(runs,)``. A value that is neither there nor predicted counts as 0.
    """
    return value_f1(labels, predicted)[..., columns].mean(axis=-1)


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


def score_table(labels, answers, types):
    """Score the predictions of several kinds of model, run by run.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        answers: dict, kind → ``(runs, n, values)`` of 0 and 1, or ``(n, values)`` of one run.
        types: the type of each column.

    Returns:
        DataFrame of floats, one row a run, the kinds as index: ``yes or no``, the share of all
        labels that are right; ``micro F1``; ``macro F1``; ``exact match``; ``impossible``, the
        share of pictures that do not get exactly one value of each type.
    """
    tables = []
    for name, predicted in answers.items():
        predicted = np.reshape(predicted, (-1, *labels.shape))
        table = pd.DataFrame({"yes or no": (predicted == labels).mean(axis=(1, 2))})
        table["micro F1"], table["macro F1"] = (f(labels, predicted) for f in (micro_f1, macro_f1))
        table["exact match"] = exact_match(labels, predicted)
        not_one = (count_per_type(predicted, types) != 1).any(axis=-1)
        table["impossible"] = not_one.mean(axis=-1)
        tables.append(table.set_axis([name] * len(table)))
    return pd.concat(tables).rename_axis("kind")


def type_table(labels, answers, types):
    """Return the accuracy of each type, run by run; arguments as of ``score_table``.

    Returns:
        DataFrame of floats, one row a run, the kinds as index; a column for each type.
    """
    tables = []
    for name, predicted in answers.items():
        predicted = np.reshape(predicted, (-1, *labels.shape))
        table = pd.DataFrame([type_accuracy(labels, one, types) for one in predicted])
        tables.append(table.set_axis([name] * len(table)))
    return pd.concat(tables).rename_axis("kind")


def summarize_runs(table):
    """Return mean and standard deviation over the runs of each kind, as text.

    Args:
        table: one row a run, the kinds as index, such as ``score_table`` returns.

    Returns:
        DataFrame of str, one row a kind: ``"0.632 ± 0.011"``, or the number of a single run; and
        ``runs`` (int).
    """
    groups = table.groupby(level=0, sort=False)
    return groups.agg(_as_text).assign(runs=groups.size())


def curve_table(scores, kinds, counts):
    """Return mean and standard deviation by kind of model and number of pictures, as text.

    Args:
        scores: dict, (kind, count) → ``(runs,)`` floats.
        kinds: the rows.
        counts: ints, of labeled pictures: the columns.

    Returns:
        DataFrame of str: ``"0.632 ± 0.011"``, or ``"not run"``.
    """
    table = pd.DataFrame("not run", index=list(kinds), columns=list(counts))
    for (kind, count), values in scores.items():
        table.loc[kind, count] = _as_text(pd.Series(values))
    return table


def _as_text(values):
    spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def mistakes(probabilities, labels, values, types):
    """List every type of every picture in which the likeliest value is wrong.

    Args:
        probabilities: ``(n, values)`` floats.
        labels: ``(n, values)`` of 0 and 1, in the same order.
        values: names of the columns.
        types: their types.

    Returns:
        DataFrame, the most certain mistakes first: ``position`` (int), ``type``, ``label`` and
        ``predicted`` (str, values), and ``certainty``, the probability of ``predicted``.
    """
    values, tables = np.asarray(values, dtype=object), []
    for name, columns in columns_of_types(types).items():
        label, predicted = (x[:, columns].argmax(axis=1) for x in (labels, probabilities))
        table = pd.DataFrame({"position": np.arange(len(labels)), "type": name})
        table["label"], table["predicted"] = values[columns[label]], values[columns[predicted]]
        table["certainty"] = probabilities[:, columns].max(axis=1)
        tables.append(table[label != predicted])
    found = pd.concat(tables)
    return found.sort_values("certainty", ascending=False, kind="stable", ignore_index=True)


METRICS = {"macro F1": macro_f1, "mean accuracy": micro_f1, "exact match": exact_match}


def run_metrics(labels, predicted):
    """Return the scores that ``compare`` compares, of several runs.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        predicted: ``(runs, n, values)`` of 0 and 1.

    Returns:
        DataFrame, one row a run, a column for each of ``METRICS``.
    """
    return pd.DataFrame({score: metric(labels, predicted) for score, metric in METRICS.items()})


def run_scores(labels, predicted, rare):
    """Return the scores of several runs, with rare values apart from the common ones.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        predicted: ``(runs, n, values)``, exactly one value of each type.
        rare: ``(values,)`` bool.

    Returns:
        DataFrame, one row a run: ``macro F1``; ``mean accuracy``, of the types, which is micro F1;
        ``exact match``; ``F1 of rare`` and ``F1 of common``, means over these values; ``rare
        said``, how often a rare value was predicted for each time that one is there.
    """
    apart = {
        "F1 of rare": macro_f1(labels, predicted, rare),
        "F1 of common": macro_f1(labels, predicted, ~rare),
        "rare said": predicted[..., rare].sum(axis=(1, 2)) / labels[:, rare].sum(),
    }
    return run_metrics(labels, predicted).assign(**apart)


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


def compare(labels, first, second, *, resamples, rng, rare=None):
    """Return how far the second prediction is above the first, with intervals over pictures.

    Args:
        labels, first, second, resamples, rng: as of ``paired_bootstrap``.
        rare: ``(values,)`` bool, values to score apart too; none by default.

    Returns:
        DataFrame of floats with the rows ``macro F1``, ``mean accuracy`` (of the types, which is
        micro F1) and ``exact match``, before them ``F1 of rare`` if ``rare`` is given:
        ``change``, second minus first, means over the runs; ``low`` and ``high``, the 95 %
        interval of a paired bootstrap.
    """
    metrics, rows = METRICS, {}
    if rare is not None:
        metrics = {"F1 of rare": partial(macro_f1, columns=rare), **METRICS}
    for score, metric in metrics.items():
        drawn = paired_bootstrap(labels, first, second, metric=metric, resamples=resamples, rng=rng)
        change = metric(labels, second).mean() - metric(labels, first).mean()
        rows[score] = [change, *percentile_interval(drawn, 0.05)]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["change", "low", "high"])


# ---- what labels say, and how far two annotators agree ------------------------------------------


def chosen(attributes, kind):
    """Return the values of one type, one a picture, as ``(n,)`` str; ``kind`` names the type."""
    columns = columns_of_types(attributes.types)[kind]
    values = np.asarray(attributes.values, dtype=object)[columns]
    return values[attributes.labels[:, columns].argmax(axis=1)]


def effective_values(shares):
    """Return how many equally frequent values would be as mixed: the inverse Simpson index.

    Two garments drawn at random share their value with probability ``(shares**2).sum()``. With k
    equally frequent values that is 1 / k; so its inverse is a number of values. (Simpson 1949,
    Measurement of diversity, Nature 163.)

    Args:
        shares: ``(k,)`` floats that add up to 1.
    """
    return 1 / (shares**2).sum()


def imbalance_table(labels, values, types):
    """Return how unevenly the values of each type are spread.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        values: names of the columns.
        types: their types.

    Returns:
        DataFrame, the types in their order as rows: ``values`` (int), ``effective``, ``most
        common``, its ``share``, ``rarest``, and how many ``pictures`` have that one (int).
    """
    pictures, rows = labels.sum(axis=0), {}
    for name, columns in columns_of_types(types).items():
        shares = pictures[columns] / len(labels)
        most, rarest = columns[shares.argmax()], columns[shares.argmin()]
        rows[name] = {
            "values": len(columns),
            "effective": effective_values(shares),
            "most common": values[most],
            "share": shares.max(),
            "rarest": values[rarest],
            "pictures": pictures[rarest],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def co_occurrence(labels):
    """Return P(column | row): of the pictures with the row's value, the share with the column's.

    Args:
        labels: ``(n, values)`` of 0 and 1.

    Returns:
        ``(values, values)`` float; a row of zeros for a value that no picture has.
    """
    together = labels.T.astype(int) @ labels  # pictures with both; int8 could not count so far
    pictures = together.diagonal()  # with the value itself
    return together / np.maximum(pictures, 1)[:, None]


def pairs_table(labels, values, types):
    """Return, for all pairs of values of two types, how much one tells of the other.

    Args:
        labels: ``(n, values)`` of 0 and 1.
        values: names of the columns.
        types: their types.

    Returns:
        DataFrame, one row a pair in both directions: ``given`` and ``value`` (str), ``pictures``
        (int) that have ``given``, the ``share`` of these that have ``value``, the share
        ``overall`` of all pictures that have it, and ``gain``, the difference of the two shares.
    """
    values, types = np.asarray(values, dtype=object), np.asarray(types, dtype=object)
    given, value = np.nonzero(types[:, None] != types)
    pictures = labels.sum(axis=0)
    share, overall = co_occurrence(labels)[given, value], pictures[value] / len(labels)
    return pd.DataFrame(
        {
            "given": values[given],
            "value": values[value],
            "pictures": pictures[given],
            "share": share,
            "overall": overall,
            "gain": share - overall,
        }
    )


def chance_agreement(first, second):
    """Return how often two annotators agree who give their answers to the pictures by lot.

    Args:
        first, second: ``(n, k)`` of 0 and 1, the values of one type, exactly one a picture.

    Returns:
        float.
    """
    return (first.mean(axis=0) * second.mean(axis=0)).sum()


def cohen_kappa(first, second):
    """Return by how much two annotators agree beyond chance: 0 as by chance, 1 always.

    (Cohen 1960, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20.)

    Args:
        first, second: ``(n, k)`` of 0 and 1, the values of one type, exactly one a picture.

    Returns:
        float; not a number if both give all pictures one and the same value.
    """
    equal = (first == second).all(axis=1).mean()
    chance = chance_agreement(first, second)
    return (equal - chance) / (1 - chance)


def agreement_table(first, second, types):
    """Return how far two annotators agree in each type.

    Args:
        first, second: ``(n, values)`` of 0 and 1; row i means the same picture in both.
        types: the type of each column.

    Returns:
        DataFrame of floats, the types in their order as rows: the share of pictures with
        ``equal`` values, what would be equal by ``chance``, and Cohen's ``kappa``.
    """
    table = pd.DataFrame({"equal": type_accuracy(first, second, types)})
    for name, columns in columns_of_types(types).items():
        table.loc[name, "chance"] = chance_agreement(first[:, columns], second[:, columns])
        table.loc[name, "kappa"] = cohen_kappa(first[:, columns], second[:, columns])
    return table


def disagreements(first, second, final):
    """Return every label on which two annotators differ, and who was followed.

    Args:
        first, second: Attributes, what each of them said.
        final: Attributes, what was decided; the same pictures in the same order.

    Returns:
        DataFrame, sorted by type, then by picture: ``position`` (int), ``type``, the values
        ``first``, ``second`` and ``final`` (str), and ``followed``, which is ``"first"``,
        ``"second"`` or ``"neither"``.
    """
    tables = []
    for kind in columns_of_types(final.types):
        said = {"first": first, "second": second, "final": final}
        table = pd.DataFrame({who: chosen(one, kind) for who, one in said.items()})
        table = table.rename_axis("position").reset_index()
        table.insert(1, "type", kind)
        tables.append(table[table["first"] != table["second"]])
    table = pd.concat(tables, ignore_index=True)
    agreeing = [table["final"] == table[who] for who in ("first", "second")]
    return table.assign(followed=np.select(agreeing, ["first", "second"], "neither"))


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


def balanced(train, seed):
    """Draw as many pictures as there are, with replacement, such that rare values come more often.

    A picture's chance is in proportion to the sum of its values' weights. That is the same as
    drawing a type by lot, then one of its values, then a picture that has it, each with equal
    chances. (Kang et al. 2020, Decoupling representation and classifier for long-tailed
    recognition, section 4.1: class-balanced sampling, here of several types.)

    Args:
        train: Attributes of training pictures.
        seed: int.

    Returns:
        sorted int64 positions, with repetitions.

    Raises:
        ValueError: some of the pictures are of another part.
    """
    rng = np.random.default_rng(seed)
    chances = (train.labels * value_weights(train)).sum(axis=1)
    return np.sort(rng.choice(len(train), size=len(train), p=chances / chances.sum()))


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
