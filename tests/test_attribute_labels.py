"""Labels of several types are those of the files, or refused with file and line."""

import csv
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from garment_utils import attribute_labels, data
from garment_utils.attribute_labels import LABEL_FOLDER, TYPES

TABLES = ("labels.csv", "annotations.csv")


@pytest.fixture
def folder(tmp_path):
    """Our tables in a folder of their own, to spoil them."""
    for name in TABLES:
        shutil.copy(LABEL_FOLDER / name, tmp_path)
    return tmp_path


def rows_of(name):
    with (LABEL_FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def chosen(labels, name):
    """Return the values of a type as text, one a picture."""
    first = sum(len(TYPES[other]) for other in list(TYPES)[: list(TYPES).index(name)])
    return [TYPES[name][k] for k in labels[:, first : first + len(TYPES[name])].argmax(axis=1)]


# Our own labels


def test_our_labels_are_those_of_the_file(ours):
    rows = rows_of("labels.csv")
    for name in TYPES:
        assert chosen(ours.labels, name) == [row[name] for row in rows]
    assert ours.labels.dtype == np.int8 and (ours.labels.sum(axis=1) == len(TYPES)).all()
    assert list(ours.indices) == [int(row["index"]) for row in rows]
    assert list(ours.sources) == [row["source"] for row in rows]
    assert ours.values == tuple(value for values in TYPES.values() for value in values)
    assert len(ours) == 1_792 and len(ours.values) == len(ours.types) == 23


def test_values_belong_to_their_types(ours):
    columns = attribute_labels.columns_of_types(ours.types)
    assert {name: tuple(ours.values[c] for c in where) for name, where in columns.items()} == TYPES


def test_no_garment_is_in_two_parts(ours):
    sizes = {"train": 1_280, "validation": 256, "test": 256}
    parts = {name: ours.part(name) for name in sizes}
    garments_of = {name: set(zip(p.sources, p.indices, strict=True)) for name, p in parts.items()}
    assert {name: len(found) for name, found in garments_of.items()} == sizes
    assert len(set().union(*garments_of.values())) == 1_792
    assert set(parts["test"].sources) == {"t10k"}
    assert set(parts["train"].sources) == set(parts["validation"].sources) == {"train"}


def test_pictures_are_those_of_the_archives(ours, garments):
    images, labels = attribute_labels.look_up(garments, ours.sources, ours.indices)
    for part, source in ((garments.train, "train"), (garments.test, "t10k")):
        rows = np.flatnonzero(np.isin(ours.indices, part.indices) & (ours.sources == source))
        assert len(rows) > 200
        for row in rows[::20]:
            position = np.flatnonzero(part.indices == ours.indices[row])[0]
            assert np.array_equal(images[row], part.images[position])
            assert labels[row] == part.labels[position]
    names = np.array(data.class_names())[labels]
    assert list(names) == [ours.category_names[k] for k in ours.categories]
    with pytest.raises(ValueError, match="got t10k 10000"):
        attribute_labels.look_up(garments, ["train", "t10k"], [0, 10_000])


def test_labels_belong_to_the_pictures(ours, garments):
    """What a value promises is there on average: sleeves beside the body, a long narrow shape."""
    images, _ = attribute_labels.look_up(garments, ours.sources, ours.indices)

    def mean(value):
        return images[ours.labels[:, ours.values.index(value)] == 1].mean(axis=0)

    sleeve = np.s_[20:25, 3:7]
    assert mean("long_sleeve")[sleeve].mean() > 5 * mean("sleeveless")[sleeve].mean()
    assert mean("no_dress")[12:20].mean() > 1.5 * mean("maxi_length")[12:20].mean()


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (2, "train,train,53,", "val,train,70,", "line 3: expected each garment once"),
        (2, "train,train,53,", "valid,train,53,", "line 2: expected as split train or val or test"),
        (2, "train,train,53,", "train,t10k,53,", "line 2: expected as source train; found 't10k'"),
        (2, ",53,", ",60000,", "line 2: expected a position in the archive train with 60,000"),
        (2, ",53,", ",-1,", "line 2: expected a position"),
        (2, ",53,", ",,", "line 2: expected a position"),
        (2, ",53,", ",0,", "line 2: expected as class T-shirt/top or .*; found 'Ankle boot'"),
        (2, "solid", "plain", "line 2: expected as pattern solid or .*; found 'plain'"),
        (2, "solid,long_sleeve", "long_sleeve,solid", "line 2: expected as pattern"),
        (2, "solid,", "", "line 2: expected 9 values, found 8"),
        (1, "pattern,sleeve", "sleeve,pattern", "line 1: expected the columns split,source"),
    ],
)
def test_spoiled_labels_are_refused_with_their_line(
    garments, spoil, folder, number, old, new, message
):
    spoil(folder / "labels.csv", number, old, new)
    with pytest.raises(ValueError, match=f"labels.csv, {message}"):
        attribute_labels.load_attributes(garments, folder)


def test_a_training_garment_in_validation_is_refused(garments, folder, spoil):
    path = folder / "labels.csv"
    first = path.read_text().split("\n")[1]
    number = next(i for i, text in enumerate(path.read_text().split("\n"), 1) if "val," in text)
    old = ",".join(path.read_text().split("\n")[number - 1].split(",")[:3])
    spoil(path, number, old, "val," + ",".join(first.split(",")[1:3]))
    with pytest.raises(ValueError, match=f"line {number}: .* found train 53 in line 2 too"):
        attribute_labels.load_attributes(garments, folder)


def test_missing_tables_are_named(garments, ours, tmp_path):
    with pytest.raises(FileNotFoundError, match="at .*/labels.csv, found none; git checkout"):
        attribute_labels.load_attributes(garments, tmp_path)
    with pytest.raises(FileNotFoundError, match="at .*/annotations.csv, found none; git checkout"):
        attribute_labels.load_annotations(ours, tmp_path)


def test_annotations_are_those_of_the_file(ours):
    for who, found in zip(
        ("first", "second"), attribute_labels.load_annotations(ours), strict=True
    ):
        for name in TYPES:
            expected = [row[f"{name}_{who}"] for row in rows_of("annotations.csv")]
            assert chosen(found.labels, name) == expected
        assert np.array_equal(found.indices, ours.indices)


def test_annotations_of_other_garments_are_refused(ours, folder, spoil):
    spoil(folder / "annotations.csv", 5, "train,", "t10k,")
    with pytest.raises(ValueError, match="annotations.csv, line 5: expected train .* as in labels"):
        attribute_labels.load_annotations(ours, folder)
    path = folder / "annotations.csv"
    path.write_text("\n".join((LABEL_FOLDER / "annotations.csv").read_text().split("\n")[:-3]))
    with pytest.raises(ValueError, match="line 1792: expected 1792 rows .*, found 1790"):
        attribute_labels.load_annotations(ours, folder)


def test_the_data_card_tells_the_truth(ours):
    card = (LABEL_FOLDER / "README.md").read_text("utf-8")
    first, second = attribute_labels.load_annotations(ours)
    differing = decided = 0
    for name, values in TYPES.items():
        assert f"| {name} |" in card and all(value in card for value in values)
        one, other, final = (np.array(chosen(x.labels, name)) for x in (first, second, ours))
        kappa = cohen_kappa_score(one, other)
        assert f"{name} {(one == other).mean():.3f}, {kappa:.3f}" in card
        differing += (one != other).sum()
        decided += ((final != one) & (final != other)).sum()
        assert (final == one)[one == other].all()
    assert f"{differing} of the {1_792 * 6:,} type-values" in card and decided == 1
    test = ours.part("test")
    for value in ("striped", "checked"):
        assert f"{value} {test.labels[:, ours.values.index(value)].sum()}" in card


# The structure


def test_rows_stay_together(ours):
    rows = np.array([5, 1_700, 9])
    some = ours.take(rows)
    for field in fields(ours):
        array = getattr(ours, field.name)
        if isinstance(array, np.ndarray):
            assert np.array_equal(getattr(some, field.name), array[rows])
    assert np.array_equal(ours.dense(rows), ours.labels[rows])


def test_arrays_are_read_only(ours):
    for array in (ours.labels, ours.boxes, ours.parts, ours.indices):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_what_does_not_belong_together_is_refused(ours):
    for change in (
        {"labels": ours.labels[1:]},
        {"labels": ours.labels[:, 1:]},
        {"types": ours.types[1:]},
        {"files": np.array(["a"], dtype=object)},
    ):
        with pytest.raises(ValueError, match="expected as many rows"):
            replace(ours, **change)


def test_parts_are_guarded(ours):
    ours.part("train").require("train")
    ours.require("train", "validation", "test")
    with pytest.raises(ValueError, match="expected rows of the train part alone, got some of the"):
        ours.require("train")
    with pytest.raises(ValueError, match="expected one of the parts"):
        ours.part("val")


def test_a_split_has_the_pictures_of_its_labels(garments, ours):
    for name, archive in (("train", "train"), ("validation", "train"), ("test", "t10k")):
        part = ours.part(name)
        split = attribute_labels.to_split(part, garments)
        assert (split.name, len(split)) == (name, len(part))
        assert np.array_equal(split.labels, part.labels)
        assert np.array_equal(split.indices, part.indices)
        images, _ = attribute_labels.look_up(garments, [archive] * len(part), part.indices)
        assert np.array_equal(split.images, images)


def test_a_split_is_of_one_part(garments, ours):
    with pytest.raises(ValueError, match="expected rows of the train part alone"):
        attribute_labels.to_split(ours, garments)
