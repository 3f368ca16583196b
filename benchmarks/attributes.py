"""How well does ``attributes predict`` label garments that it has not learned from?

    python benchmarks/attributes.py            trains its networks five times; half an hour or more
    python benchmarks/attributes.py --table    no training: README's table anew

Each training is a process of its own and starts from nothing, as the command does in a fresh
clone; the seed is all that differs. The test garments score it and choose nothing: the recipe was
chosen by validation garments. Each run goes to benchmarks/attributes.csv as soon as it has ended.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile

import speed

from garment_utils import attribute_labels, data, multilabel, results
from garment_utils.paths import ROOT, read_table, write_table

TABLE = ROOT / "benchmarks" / "attributes.csv"
RUNS = 5
TYPES = tuple(attribute_labels.TYPES)
SCORES = (*TYPES, "all types", "macro F1", "exact match")
COLUMNS = ("seed", *SCORES, "seconds", "processor_seconds", "recipe", *speed.MACHINE)


def measure(seed):
    """Train the networks of the command and score them on the test garments.

    Returns:
        dict, a column of the table → its value; accuracies, F1 and exact match from 0 to 1.
    """
    from garment_utils import attribute_predictor, pretrained  # TensorFlow takes seconds to import

    if not pretrained.is_installed():
        sys.exit(pretrained.how_to_install())
    garments = data.load_garments()
    labelled = attribute_predictor.all_to_learn_from(garments)
    clock = speed.Clock()
    model, scale = attribute_predictor.train(
        attribute_predictor.RECIPE, garments, labelled, say=lambda sentence: None, seed=seed
    )
    measured = clock.read()
    part = attribute_labels.load_attributes(garments).part("test")
    test = attribute_labels.to_split(part, garments)
    answers = attribute_predictor.answers(model, scale, test.images)
    return {
        "seed": seed,
        **scores(test.labels, answers, part.types),
        "seconds": round(measured["seconds"]),
        "processor_seconds": round(measured["processor_seconds"]),
        "recipe": recipe(),
        **speed.machine(),
    }


def recipe():
    """Return the recipe of the command as text."""
    from garment_utils import attribute_predictor

    return json.dumps(attribute_predictor.RECIPE, sort_keys=True)


def scores(labels, answers, types):
    """Return the accuracy of each type and of all, macro F1 and exact match, as a dict."""
    of_types = multilabel.type_accuracy(labels, answers, types)
    found = {**of_types, "all types": of_types.mean()}
    found["macro F1"] = multilabel.macro_f1(labels, answers)
    found["exact match"] = multilabel.exact_match(labels, answers)
    return {name: round(float(value), 5) for name, value in found.items()}


def bench():
    """Measure seed by seed; each row is stored when its run has ended."""
    # An interrupted bench loses no row of this recipe.
    rows = {row["seed"]: row for row in read() if row["recipe"] == recipe()}
    for seed in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--seed", str(seed)]
            environment = {**os.environ, "GARMENT_MODELS": folder}
            rows[str(seed)] = row = speed.result_of(command, environment, f"seed {seed}")
        write_table(TABLE, COLUMNS, rows.values())
        told = ", ".join(f"{name} {row[name]:.3f}" for name in SCORES)
        print(f"seed {seed}: {told}", flush=True)


def read():
    """Return the rows of benchmarks/attributes.csv, all values as text."""
    return read_table(TABLE, COLUMNS)


def table(rows):
    """Return the table of README.md as Markdown."""
    ours = attribute_labels.load_attributes(data.load_garments())
    test = ours.part("test")
    first, second = (one.part("test") for one in attribute_labels.load_annotations(ours))
    constant = multilabel.constant_prediction(ours.part("train"), len(test))
    fastest = min(float(row["seconds"]) for row in rows)
    versions, processor, cores = (
        speed.listed(rows, name) for name in ("versions", "processor", "cores")
    )
    lines = [
        f"The {len(test)} test garments: accuracy by type and its mean (*all types*), macro F1 "
        f"over the {len(ours.values)} values, and the share of garments with all six right (*exact "
        f"match*). ± is the standard deviation between {len(rows)} trainings that differ in their "
        f"seed alone. With {versions} on {processor}, {cores} cores, the fastest took "
        f"{fastest / 60:.1f} min.",
        "",
        results.table_row("", *SCORES),
        "|---" * (1 + len(SCORES)) + "|",
        results.table_row("`attributes predict`", *(_spread(rows, name) for name in SCORES)),
    ]
    for name, found in (
        ("each type's most frequent value", scores(test.labels, constant, test.types)),
        ("one annotator against the other", scores(first.labels, second.labels, ours.types)),
    ):
        lines.append(results.table_row(name, *(f"{found[score]:.3f}" for score in SCORES)))
    return "\n".join(lines) + "\n"


def _spread(rows, name):
    values = [float(row[name]) for row in rows]
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def main():
    """Measure, or make the table alone."""
    parser = argparse.ArgumentParser(description="How well attributes predict labels garments.")
    parser.add_argument("--table", action="store_true", help="train nothing; make the table anew")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)  # what bench calls
    options = parser.parse_args()
    if options.seed is not None:
        print(json.dumps(measure(options.seed)))
        return
    try:
        if not options.table:
            bench()
        rows = read()
        if not rows:
            sys.exit("nothing has been measured yet: python benchmarks/attributes.py")
        made = table(rows)
    except ValueError as error:
        sys.exit(str(error))
    speed.show_in_readme("attributes", made)


if __name__ == "__main__":
    main()
