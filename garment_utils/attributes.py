"""Predict the attributes of garments: command line."""

import argparse
import sys
from pathlib import Path

import numpy as np

from garment_utils import attribute_labels, attribute_predictor, data
from garment_utils.paths import from_here, require_writable, write_table


def predict(index, out):
    """Predict all attributes of some garments of Fashion-MNIST and write them as a table.

    Args:
        index: CSV file with the columns ``source``, ``train`` or ``t10k``, and ``index``, the
            0-based position in that archive; further columns are left out.
        out: CSV file to write: ``source``, ``index`` and a column for each type with the name of
            the likeliest value, row by row as in ``index``.

    Raises:
        ValueError, FileNotFoundError: the index cannot be used, or ``out`` cannot be written.
    """
    index, out = Path(index), Path(out)
    sources, indices = attribute_labels.load_index(index)
    require_writable(out, index)
    pictures, _ = attribute_labels.look_up(data.load_garments(), sources, indices)
    predicted = attribute_predictor.predict(pictures)
    rows = [{"source": s, "index": i} for s, i in zip(sources, indices, strict=True)]
    values = np.array(attribute_labels.VALUES)
    types = attribute_labels.columns_of_types(attribute_labels.TYPES_OF_VALUES)
    for name, columns in types.items():
        chosen = values[columns][predicted[:, columns].argmax(axis=1)]
        for row, value in zip(rows, chosen, strict=True):
            row[name] = value
    write_table(out, ["source", "index", *attribute_labels.TYPES], rows)
    print(f"{len(rows):,} garments labelled: {from_here(out)}")


def main(arguments=None):
    """Predict attributes; the exit status is 1 if something cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m garment_utils.attributes",
        description="Predict the attributes of garments of Fashion-MNIST.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("predict", help="label garments")
    command.add_argument("index", type=Path, metavar="INDEX.csv", help="columns: source,index")
    command.add_argument("out", type=Path, metavar="OUT.csv")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # not every terminal knows every letter of a name
    try:
        predict(options.index, options.out)
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
