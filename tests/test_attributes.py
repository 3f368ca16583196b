"""The command that labels garments: every row its own answer, bad input one sentence."""

import csv
import os

import numpy as np
import pytest

from garment_utils import attribute_labels, attribute_predictor, attributes, data
from garment_utils.attribute_labels import LABEL_FOLDER, TYPES


@pytest.fixture
def true_answers(monkeypatch, garments, ours):
    """Let the networks recognize each labelled picture, so that answers can be held to labels."""
    pictures, _ = attribute_labels.look_up(garments, ours.sources, ours.indices)
    known = {
        picture.tobytes(): labels for picture, labels in zip(pictures, ours.labels, strict=True)
    }

    def predict(pictures):
        return np.array([known[picture.tobytes()] for picture in pictures])

    monkeypatch.setattr(attribute_predictor, "predict", predict)
    monkeypatch.setattr(data, "load_garments", lambda: garments)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows, columns=("source", "index")):
    lines = [",".join(columns), *(",".join(row[name] for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_garment_gets_its_own_values_in_the_order_of_the_index(
    true_answers, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = rows_of(LABEL_FOLDER / "labels.csv")
    np.random.default_rng(0).shuffle(rows)
    index, out = write_rows(tmp_path / "index.csv", rows), tmp_path / "new" / "out.csv"
    attributes.main(["predict", str(index), str(out)])
    written = rows_of(out)
    assert list(written[0]) == ["source", "index", *TYPES]
    assert written == [{name: row[name] for name in written[0]} for row in rows]
    assert capsys.readouterr().out == "1,792 garments labelled: new/out.csv\n"


def test_further_columns_do_not_matter(true_answers, tmp_path):
    out = tmp_path / "out.csv"
    attributes.main(["predict", str(LABEL_FOLDER / "labels.csv"), str(out)])
    labels = rows_of(LABEL_FOLDER / "labels.csv")
    assert [row["fit"] for row in rows_of(out)] == [row["fit"] for row in labels]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a CSV file with the columns source,index at .*, found none"),
        (b"", "line 1: expected the columns source,index, each once, found nothing"),
        (b"file,label\na.jpg,Coat\n", "source,index, each once, found file,l"),
        (b"source,index,index\ntrain,1,2\n", "each once, found source,index,index"),
        (b'source,index\ntrain,"1\ntrain,2\n', "expected a CSV file in UTF-8, found another"),
        (b"source,index\n", "expected at least one garment, found the header alone"),
        (b"source,index\ntrain,1\nt10k,10000\n", "line 3: .* t10k with 10,000 pictures"),
        (b"source,index\ntrain,1,2\n", "line 2: expected 2 values, found 3"),
        (b"source,index\ntrain,-1\n", "line 2: expected a position in the archive train"),
        (b"source,index\ntrain,1.5\n", "line 2: expected a position in the archive train"),
        (b"source,index\nvalidation,1\n", "line 2: expected as source train or t10k; found 'val"),
        (b"source,index\ntrain\n", "line 2: expected a position .* found 'nothing'"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "expected a CSV file in UTF-8, found another"),
        (b"source,index\n" + b"a" * 200_000, "expected a CSV file in UTF-8, found another"),
    ],
)
def test_an_index_of_no_use_gets_one_sentence(monkeypatch, tmp_path, content, message):
    monkeypatch.setattr(attribute_predictor, "predict", pytest.fail)
    index, out = tmp_path / "index.csv", tmp_path / "out.csv"
    if content is not None:
        index.write_bytes(content)
    out.write_text("kept")
    with pytest.raises(SystemExit, match=message) as stop:
        attributes.main(["predict", str(index), str(out)])
    assert "\n" not in stop.value.code and str(index) in stop.value.code
    assert out.read_text() == "kept"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (".", "expected the name of a CSV file to write, got the folder"),
        (os.devnull, "expected the name of a CSV file to write, got the device"),
        ("index.csv", "expected another file to write than those to read"),
        ("index.csv/out.csv", "expected a file that can be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_trained(
    monkeypatch, tmp_path, out, message
):
    monkeypatch.setattr(attribute_predictor, "predict", pytest.fail)
    index = write_rows(tmp_path / "index.csv", [{"source": "train", "index": "0"}])
    before = index.read_bytes()
    with pytest.raises(SystemExit, match=message):
        attributes.main(["predict", str(index), str(tmp_path / out)])
    assert index.read_bytes() == before and list(tmp_path.iterdir()) == [index]
