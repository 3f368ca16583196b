"""DeepFashion's files are read whole, or refused with file and line; pictures keep their labels."""

import os
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from garment_utils import attribute_labels, deepfashion
from garment_utils.deepfashion import FINE_TYPES


@pytest.fixture(scope="module")
def written(garments, ours, tmp_path_factory):
    return deepfashion.write_fine(ours, garments, tmp_path_factory.mktemp("fine") / "ours")


# Our labels in DeepFashion's layout


def test_what_is_written_is_read_back(ours, garments, written):
    found = deepfashion.read_fine(written)
    for name in ("labels", "boxes", "parts", "categories"):
        assert np.array_equal(getattr(found, name), getattr(ours, name)), name
    for name in ("values", "types", "category_names", "rest", "exceptions"):
        assert getattr(found, name) == getattr(ours, name), name
    images, _ = attribute_labels.look_up(garments, ours.sources, ours.indices)
    for row in range(0, len(ours), 50):
        with Image.open(found.files[row]) as picture:
            assert np.array_equal(np.asarray(picture), images[row])


def test_the_layout_is_that_of_deepfashion(ours, written):
    tables = written / "Anno_fine"
    assert (tables / "list_attr_cloth.txt").read_text().split("\n")[:3] == [
        "23",
        "attribute_name  attribute_type",
        "solid  1",
    ]
    lines = {path.name: path.read_text().split("\n") for path in tables.iterdir()}
    assert lines["train.txt"][0] == "img/train/img_00000053.png"
    cells = "".join(f"{label} " for label in ours.labels[0])
    assert lines["train_attr.txt"][0] == cells and len(lines["train_attr.txt"]) == 1_281
    assert lines["val_bbox.txt"][0] == "000 000 028 028"
    assert lines["list_category_cloth.txt"][2:5] == ["T-shirt/top  1", "Pullover  1", "Dress  3"]
    category = lines["list_category_cloth.txt"][1 + int(lines["test_cate.txt"][0])].split()[0]
    assert category == ours.category_names[ours.part("test").categories[0]]


def test_writing_replaces_an_earlier_copy_and_nothing_else(garments, ours, tmp_path):
    few = ours.take(np.arange(3))
    folder = tmp_path / "copy"
    for _ in range(2):
        assert deepfashion.write_fine(few, garments, folder) == folder
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="found other files there"):
        deepfashion.write_fine(few, garments, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "Img").write_text("kept")
    with pytest.raises(ValueError, match="found other files there"):
        deepfashion.write_fine(few, garments, tmp_path / "Img")
    assert (tmp_path / "Img").read_text() == "kept"


def test_a_failed_writing_leaves_nothing(garments, ours, tmp_path):
    from garment_utils.quiet_keras import tf

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.io, "encode_png", lambda image: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            deepfashion.write_fine(ours.take(np.arange(3)), garments, tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_an_earlier_copy_outlives_a_failed_renaming(garments, ours, tmp_path, monkeypatch):
    few, folder = ours.take(np.arange(3)), tmp_path / "copy"
    deepfashion.write_fine(few, garments, folder)
    rename = os.replace

    def fail(source, target):
        if target == folder:
            raise PermissionError
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError):
        deepfashion.write_fine(few, garments, folder)
    (aside,) = tmp_path.iterdir()
    assert np.array_equal(deepfashion.read_fine(aside).labels, few.labels)


def test_deepfashion_is_found(monkeypatch, tmp_path):
    monkeypatch.delenv("DEEPFASHION_DIR", raising=False)
    with pytest.raises(FileNotFoundError, match="found none named; give it .* in DEEPFASHION_DIR"):
        deepfashion.deepfashion_folder()
    monkeypatch.setenv("DEEPFASHION_DIR", str(tmp_path))
    assert deepfashion.deepfashion_folder() == tmp_path
    assert deepfashion.deepfashion_folder(str(tmp_path / "..")) == tmp_path / ".."
    with pytest.raises(FileNotFoundError, match="no folder .*missing"):
        deepfashion.deepfashion_folder(str(tmp_path / "missing"))


# DeepFashion's fine tables

ITEM = "Pleated-Front_Dress"
FINE_VALUES = [value for values in FINE_TYPES.values() for value in values]
FINE_ROWS = {  # part → chosen values of each row
    "train": [("solid", "sleeveless", "no_dress", "v_neckline", "cotton", "loose")] * 2
    + [("lattice", "long_sleeve", "maxi_length", "no_neckline", "knit", "tight")],
    "val": [("floral", "short_sleeve", "mini_length", "crew_neckline", "denim", "conventional")],
    "test": [("graphic", "sleeveless", "no_dress", "square_neckline", "faux", "tight")],
}


def picture(path, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 100, 50)).save(path)


def write_tables(folder, tables, end="\n"):
    for name, lines in tables.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("".join(f"{line}{end}" for line in lines).encode())


def fine_tables(no="0"):
    """Return the fine tables as SOURCES of the layout have them: headers in the lists alone."""
    numbers = [k for k, values in enumerate(FINE_TYPES.values(), 1) for _ in values]
    listing = [f"{v}   {k}" for v, k in zip(FINE_VALUES, numbers, strict=True)]
    tables = {"list_attr_cloth": ["26", "attribute_name  attribute_type", *listing]}
    count = 0
    for stem, rows in FINE_ROWS.items():
        numbered = range(count, count + len(rows))
        count += len(rows)
        tables[stem] = [f"img/{ITEM}/img_{k:08d}.jpg" for k in numbered]
        labels = [["1" if v in row else no for v in FINE_VALUES] for row in rows]
        tables[f"{stem}_attr"] = [" ".join(row) + " " for row in labels]
        tables[f"{stem}_bbox"] = [f"{k:03d} 002 030 025 " for k in numbered]
        tables[f"{stem}_cate"] = [str(k % 50 + 1) for k in numbered]
        tables[f"{stem}_landmarks"] = ["0 0 0 0"] * len(rows)
    return tables


@pytest.fixture
def fine(tmp_path):
    for number in range(5):
        picture(tmp_path / "Img" / "img" / ITEM / f"img_{number:08d}.jpg")
    write_tables(tmp_path / "Anno_fine", fine_tables())
    return tmp_path


def same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if sparse.issparse(a):
            a, b = a.toarray(), b.toarray()
        assert type(a) is type(b) and np.array_equal(a, b) if a is not None else b is None
    return True


def test_fine_tables_by_hand(fine):
    found = deepfashion.read_fine(fine)
    assert found.values == tuple(FINE_VALUES)
    assert found.types[6:8] == ("texture", "sleeve")
    rows = [set(row) for rows in FINE_ROWS.values() for row in rows]
    named = [
        {v for v, label in zip(FINE_VALUES, row, strict=True) if label} for row in found.labels
    ]
    assert named == rows
    assert list(found.parts) == ["train"] * 3 + ["validation", "test"]
    assert found.boxes.tolist() == [[k, 2, 30, 25] for k in range(5)]
    assert found.categories.tolist() == [0, 1, 2, 3, 4]  # 1-based in the files
    assert found.files[4] == f"{fine}/Img/img/{ITEM}/img_00000004.jpg"
    assert found.category_names == () and found.sources is None


QUIRKS = {
    "CRLF": lambda tables: (tables, "\r\n"),
    "trailing spaces": lambda tables: ({n: [f"{x}  " for x in t] for n, t in tables.items()}, "\n"),
    "no header in the list": lambda tables: (
        {**tables, "list_attr_cloth": tables["list_attr_cloth"][2:]},
        "\n",
    ),
    "headers everywhere": lambda tables: (
        {n: t if "list" in n else [len(t), "some name", *t] for n, t in tables.items()},
        "\n",
    ),
    "-1 for no": lambda tables: (fine_tables(no="-1"), "\n"),
    "highres paths": lambda tables: (
        {
            n: [x.replace(f"img/{ITEM}/", f"img_highres_subset/{ITEM}-") for x in t]
            for n, t in tables.items()
        },
        "\n",
    ),
    "empty lines at the end": lambda tables: ({n: [*t, "", ""] for n, t in tables.items()}, "\n"),
    "a byte order mark": lambda tables: (
        {n: ["\ufeff" + str(t[0]), *t[1:]] for n, t in tables.items()},
        "\n",
    ),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_quirks_of_fine_tables(fine, quirk):
    plain = deepfashion.read_fine(fine)
    tables, end = QUIRKS[quirk](fine_tables())
    write_tables(fine / "Anno_fine", tables, end)
    assert same(deepfashion.read_fine(fine), plain)


def test_pictures_beside_the_tables_are_found(fine):
    plain = deepfashion.read_fine(fine)
    shutil.move(fine / "Img" / "img", fine / "img")
    found = deepfashion.read_fine(fine)
    assert [file.replace("/Img/", "/") for file in plain.files] == list(found.files)


def test_boxes_are_never_laid_on_pictures_of_high_resolution(fine):
    tables, _ = QUIRKS["highres paths"](fine_tables())
    write_tables(fine / "Anno_fine", tables)
    (fine / "Img" / "img").rename(fine / "Img" / "img_highres_subset")
    for path in list((fine / "Img" / "img_highres_subset" / ITEM).iterdir()):
        path.rename(fine / "Img" / "img_highres_subset" / f"{ITEM}-{path.name}")
    with pytest.raises(FileNotFoundError, match=f"expected the picture .*/Img/img/{ITEM}/img_0"):
        deepfashion.read_fine(fine)


@pytest.mark.parametrize("shift", [1, -1])
def test_fine_labels_shifted_by_a_column_are_refused(fine, shift):
    tables = fine_tables()
    for name in ("train_attr", "val_attr", "test_attr"):
        rows = [np.roll(text.split(), shift) for text in tables[name]]
        tables[name] = [" ".join(row) for row in rows]
    write_tables(fine / "Anno_fine", tables)
    message = "_attr.txt, line [13]: expected exactly one value of .* the columns shifted"
    with pytest.raises(ValueError, match=message):
        deepfashion.read_fine(fine)


@pytest.mark.parametrize(
    ("name", "number", "old", "new", "message"),
    [
        ("train_attr", 2, "0 ", "", "line 2: expected 26 labels, one for each value; found 25"),
        ("train_attr", 2, "0 ", "0 0 ", "line 2: expected 26 labels, one for each value; found 27"),
        ("train_attr", 2, "1", "2", "line 2: expected labels 1, 0 or -1; found '2'"),
        ("train_attr", 2, "1", "0", "line 2: expected exactly one value of texture; found 0 among"),
        ("train_bbox", 2, "002 ", "", "line 2: expected a box x1 y1 x2 y2"),
        ("train_bbox", 2, "002", "-02", "line 2: expected a box x1 y1 x2 y2"),
        ("train_bbox", 2, "002", "3000000000", "line 2: expected a box x1 y1 x2 y2"),
        ("list_attr_cloth", 4, "graphic", "floral", "line 4: expected each value once; found flor"),
        ("train_cate", 1, "1", "0", "line 1: expected a category from 1 to 50; found 0"),
        ("train_cate", 1, "1", "51", "line 1: expected a category from 1 to 50; found 51"),
        ("train", 2, "00000001", "00000000", "line 2: expected each picture once; found img/.* as"),
        ("val", 1, "00000003", "00000002", "line 1: expected each picture once; found .* row 3"),
        ("list_attr_cloth", 1, "26", "27", "line 1: expected 27 rows, as it says; found 26"),
        ("list_attr_cloth", 3, "   1", "", "line 3: expected a value and its type; found 'floral'"),
        ("list_attr_cloth", 3, "1", "2", "line 3: expected one number for the values of texture"),
    ],
)
def test_spoiled_fine_tables_are_refused_with_their_line(
    spoil, fine, name, number, old, new, message
):
    spoil(fine / "Anno_fine" / f"{name}.txt", number, old, new)
    with pytest.raises(ValueError, match=f"Anno_fine/{name}.txt, {message}"):
        deepfashion.read_fine(fine)


def test_many_boxes_without_area_are_refused(fine, spoil):
    spoil(fine / "Anno_fine" / "val_bbox.txt", 1, "030", "003")
    with pytest.raises(ValueError, match=f"val_bbox.txt: .*1 of 1 without area, .* img/{ITEM}/"):
        deepfashion.read_fine(fine)


@pytest.mark.parametrize("name", ["attr", "bbox", "cate"])
def test_fine_tables_of_other_lengths_are_refused(fine, name):
    tables = fine_tables()
    for change, number in ((lambda t: t[:-1], 3), (lambda t: [*t, t[0]], 4)):
        write_tables(fine / "Anno_fine", {f"train_{name}": change(tables[f"train_{name}"])})
        message = f"train_{name}.txt, line {number}: expected 3 rows as in train.txt"
        with pytest.raises(ValueError, match=message):
            deepfashion.read_fine(fine)


def test_values_in_another_order_than_their_types_are_refused(fine):
    listing = fine_tables()["list_attr_cloth"]
    numbers = sorted((text.split()[1] for text in listing[2:]), reverse=True)
    lines = [f"{v} {k}" for v, k in zip(FINE_VALUES, numbers, strict=True)]
    write_tables(fine / "Anno_fine", {"list_attr_cloth": [*listing[:2], *lines]})
    with pytest.raises(ValueError, match="list_attr_cloth.txt, line .*: expected one number for"):
        deepfashion.read_fine(fine)


def test_an_empty_line_between_rows_is_refused(fine):
    tables = fine_tables()
    write_tables(fine / "Anno_fine", {"train": [tables["train"][0], "", *tables["train"][1:]]})
    with pytest.raises(ValueError, match="train.txt, line 2: expected a row; found an empty line"):
        deepfashion.read_fine(fine)


def test_tables_that_hold_nothing_or_no_text_are_refused(fine, coarse):
    tables = fine / "Anno_fine"
    content = (tables / "val_attr.txt").read_bytes()
    (tables / "val_attr.txt").write_bytes(b"\xff\xfe" + content)
    with pytest.raises(ValueError, match="val_attr.txt: expected text in UTF-8"):
        deepfashion.read_fine(fine)
    for path in tables.glob("t*.txt"):
        path.write_text("")
    for path in tables.glob("val*.txt"):
        path.write_text("")
    with pytest.raises(ValueError, match="train.txt, line 1: expected a picture .*; found none"):
        deepfashion.read_fine(fine)
    (coarse / "Anno_coarse" / "list_attr_img.txt").write_text("0\nimage_name attribute_labels\n")
    with pytest.raises(ValueError, match="list_attr_img.txt, line 3: expected a picture and its"):
        deepfashion.read_coarse(coarse)


def test_missing_files_are_named(fine):
    (fine / "Img" / "img" / ITEM / "img_00000001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="train.txt, line 2: expected the picture .*01.jpg"):
        deepfashion.read_fine(fine)
    (fine / "Anno_fine" / "val.txt").unlink()
    picture(fine / "Img" / "img" / ITEM / "img_00000001.jpg")
    with pytest.raises(FileNotFoundError, match="val.txt is missing"):
        deepfashion.read_fine(fine)


# DeepFashion's coarse tables

COARSE = {"a-line": "3", "floral print": "1", "knit": "2", "sheer": "2", "ruffle sleeve": "4"}
COARSE_ROWS = [  # item, labels, part
    ("Floral_Print_A-Line_Dress", "1 1 -1 0 -1", "train"),
    ("Sheer_Blouse", "-1 -1 -1 1 -1", "val"),
    ("Ruffle_Sleeve_Top", "-1 -1 -1 -1 1", "test"),
    ("Plain_Top", "0 -1 -1 -1 -1", "train"),
]


def coarse_tables(rows=COARSE_ROWS, copies=1):
    rows = list(rows) * copies
    names = [f"img/{item}/img_{k:08d}.jpg" for k, (item, _, _) in enumerate(rows)]
    header = [str(len(rows))]

    def table(columns, cells):
        lines = [f"{name}   {cell}" for name, cell in zip(names, cells, strict=True)]
        return [*header, f"image_name  {columns}", *lines]

    values = [f"{name}    {number}" for name, number in COARSE.items()]
    return {
        "Anno_coarse/list_attr_cloth": [
            str(len(values)),
            "attribute_name  attribute_type",
            *values,
        ],
        "Anno_coarse/list_category_cloth": [
            "3",
            "category_name  category_type",
            *["Dress 3", "Blouse 1", "Maxi Dress 3"],
        ],
        "Anno_coarse/list_attr_img": table(
            "attribute_labels", [labels.replace(" ", "  ") for _, labels, _ in rows]
        ),
        "Anno_coarse/list_bbox": table(
            "x_1 y_1 x_2 y_2", [f"{k % 9:03d} 004 020 025" for k in range(len(rows))]
        ),
        "Anno_coarse/list_category_img": table(
            "category_label", [k % 3 + 1 for k in range(len(rows))]
        ),
        "Eval/list_eval_partition": table("evaluation_status", [part for _, _, part in rows]),
    }


def write_coarse(folder, tables, end="\n"):
    write_tables(folder, tables, end)
    for text in tables["Anno_coarse/list_attr_img"][2:]:
        path = folder / "Img" / text.split()[0]
        if not path.exists():
            picture(path)


@pytest.fixture
def coarse(tmp_path):
    write_coarse(tmp_path, coarse_tables())
    return tmp_path


def test_coarse_tables_by_hand(coarse):
    found = deepfashion.read_coarse(coarse)
    assert found.values == tuple(COARSE)
    assert found.types == ("shape", "texture", "fabric", "fabric", "part")
    expected = [[int(cell) for cell in labels.split()] for _, labels, _ in COARSE_ROWS]
    assert found.dense(np.arange(4)).tolist() == expected
    assert found.dense(np.array([2, 0])).tolist() == [expected[2], expected[0]]
    assert isinstance(found.labels, sparse.csr_array) and found.labels.nnz == 4
    assert found.rest == -1 and found.exceptions.nnz == 2
    assert found.boxes.tolist() == [[k, 4, 20, 25] for k in range(4)]
    assert found.categories.tolist() == [0, 1, 2, 0]
    assert found.category_names == ("Dress", "Blouse", "Maxi Dress")
    assert list(found.parts) == ["train", "validation", "test", "train"]
    train = found.part("train")
    assert train.dense(np.arange(2)).tolist() == [expected[0], expected[3]]
    assert {field.name for field in fields(found)} == {field.name for field in fields(train)}


def test_whatever_is_common_among_coarse_labels_is_not_stored(tmp_path):
    rows = [("Plain", "0 0 0 1 -1", "train"), ("Plain", "1 0 0 0 0", "train")]
    write_coarse(tmp_path, coarse_tables(rows, copies=600))  # more than one chunk of a thousand
    found = deepfashion.read_coarse(tmp_path)
    assert (found.rest, found.labels.nnz, found.exceptions.nnz) == (0, 1_200, 600)
    assert found.dense(np.array([1_198, 1_199])).tolist() == [[0, 0, 0, 1, -1], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    "quirk", ["CRLF", "trailing spaces", "highres paths", "variation_type", "Anno", "other order"]
)
def test_quirks_of_coarse_tables(coarse, quirk):
    plain = deepfashion.read_coarse(coarse)
    tables, end = coarse_tables(), "\n"
    if quirk == "CRLF":
        end = "\r\n"
    elif quirk == "trailing spaces":
        tables = {name: [f"{text}  " for text in table] for name, table in tables.items()}
    elif quirk == "highres paths":
        for name, table in tables.items():
            tables[name] = [highres(text) for text in table]
    elif quirk == "variation_type":
        for name, table in tables.items():
            if "cloth" not in name:
                head = table[1].replace("image_name", "image_name  variation_type")
                rows = [text.replace(".jpg ", ".jpg  1 ") for text in table[2:]]
                tables[name] = [table[0], head, *rows]
    elif quirk == "Anno":
        (coarse / "Anno_coarse").rename(coarse / "Anno")
        assert same(deepfashion.read_coarse(coarse), plain)
        return
    else:  # rows are joined by their names
        for name in ("Anno_coarse/list_bbox", "Eval/list_eval_partition"):
            tables[name] = [*tables[name][:2], *tables[name][:1:-1]]
    write_tables(coarse, tables, end)
    assert same(deepfashion.read_coarse(coarse), plain)


def highres(text):
    if not text.startswith("img/"):
        return text
    folder, item, rest = text.split("/")
    return f"img_highres_subset/{item}-{rest}"


def test_coarse_tables_without_headers(coarse):
    plain = deepfashion.read_coarse(coarse)
    write_tables(coarse, {name: table[2:] for name, table in coarse_tables().items()})
    assert same(deepfashion.read_coarse(coarse), plain)


@pytest.mark.parametrize(
    ("name", "number", "old", "new", "message"),
    [
        ("Anno_coarse/list_attr_img", 4, " 1", "", "line 4: expected 5 labels, .*; found 4"),
        ("Anno_coarse/list_attr_img", 4, " 1", " 1 1", "line 4: expected 5 labels, .*; found 6"),
        ("Anno_coarse/list_attr_img", 4, " 1", " 2", "line 4: expected labels 1, -1 or 0"),
        ("Anno_coarse/list_attr_img", 1, "4", "5", "line 1: expected 5 rows, as it says; found 4"),
        (
            "Anno_coarse/list_attr_cloth",
            3,
            "3",
            "6",
            "line 3: expected a type from 1 to 5; found '6'",
        ),
        ("Anno_coarse/list_bbox", 4, "004", "", "line 4: expected a picture of list_attr_img.txt|"),
        ("Anno_coarse/list_bbox", 4, "1.jpg", "9.jpg", "line 4: expected a picture of list_attr"),
        ("Anno_coarse/list_bbox", 3, "020", "2.5", "line 3: expected a box x1 y1 x2 y2"),
        ("Anno_coarse/list_category_img", 5, "3", "4", "line 5: expected a category from 1 to 3"),
        ("Anno_coarse/list_category_img", 5, "3", "0", "line 5: expected a category from 1 to 3"),
        ("Eval/list_eval_partition", 4, "val", "dev", "line 4: expected train, val or test; found"),
    ],
)
def test_spoiled_coarse_tables_are_refused_with_their_line(
    spoil, coarse, name, number, old, new, message
):
    spoil(coarse / f"{name}.txt", number, old, new)
    with pytest.raises(ValueError, match=f"{name}.txt, {message}"):
        deepfashion.read_coarse(coarse)


def test_coarse_pictures_listed_twice_or_nowhere_are_refused(coarse):
    tables = coarse_tables()
    for name, table in tables.items():
        if "cloth" in name:
            continue
        twice = [table[0], table[1], table[2], table[2], *table[4:]]
        write_tables(coarse, {name: twice})
        with pytest.raises(ValueError, match=f"{name}.txt, line 4: expected each picture once"):
            deepfashion.read_coarse(coarse)
        if "attr" not in name:
            write_tables(coarse, {name: ["3", *table[1:-1]]})
            with pytest.raises(ValueError, match=f"{name}.txt, line 6: expected each picture of"):
                deepfashion.read_coarse(coarse)
        write_tables(coarse, {name: table})


def test_a_box_without_area_means_the_whole_picture(tmp_path):
    tables = coarse_tables(copies=25)
    path, line = "Anno_coarse/list_bbox", 2 + 7
    tables[path][line] = tables[path][line].replace("020", "007")
    write_coarse(tmp_path, tables)
    found = deepfashion.read_coarse(tmp_path)
    assert found.boxes[7].tolist() == [7, 4, 7, 25]
    pixels = numbered(Path(found.files[7]), 16, 16).astype(int)
    images, _ = batches(deepfashion.stream(found.take([7]), size=16, batch_size=1))
    assert abs(images[0] - pixels).max() < 5  # a JPEG file keeps colors about
    tables[path][line + 1] = tables[path][line + 1].replace("020", "008")
    write_coarse(tmp_path, tables)
    with pytest.raises(ValueError, match="list_bbox.txt: .*2 of 100 without area, .*00000007.jpg"):
        deepfashion.read_coarse(tmp_path)


def test_a_missing_coarse_picture_is_named(coarse):
    (coarse / "Img" / "img" / "Sheer_Blouse" / "img_00000001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="list_attr_img.txt, line 4: .*Sheer_Blouse"):
        deepfashion.read_coarse(coarse)


@pytest.mark.parametrize("shift", [1, -1])
def test_coarse_labels_shifted_by_a_column_are_refused(tmp_path, shift):
    """The number of columns is right, so only the names of the folders can tell."""
    rows = [(item, labels, part) for item, labels, part in COARSE_ROWS if item != "Plain_Top"]
    shifted = [(i, " ".join(np.roll(labels.split(), shift)), p) for i, labels, p in rows]
    write_coarse(tmp_path, coarse_tables(rows, copies=10))
    deepfashion.read_coarse(tmp_path)
    write_coarse(tmp_path, coarse_tables(shifted, copies=10))
    side = "right" if shift == 1 else "left"
    with pytest.raises(ValueError, match=f"list_attr_img.txt, line .* further to the {side}"):
        deepfashion.read_coarse(tmp_path)


# Streaming


def numbered(path, width, height):
    """Save a picture whose colors say row and column."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.mgrid[:height, :width]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def batches(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_pictures_are_cropped_to_their_boxes(fine):
    found = deepfashion.read_fine(fine)
    files = [fine / "Img" / f"{k}.png" for k in range(2)]
    pixels = [numbered(files[0], 60, 40), numbered(files[1], 30, 80)]
    some = replace(
        found.take(np.arange(2)),
        files=np.array([str(file) for file in files], dtype=object),
        boxes=np.array([[10, 5, 26, 21], [3, 50, 19, 66]], dtype=np.int32),
    )
    images, labels = batches(deepfashion.stream(some, size=16, batch_size=2))
    assert images.dtype == np.uint8 and labels.dtype == np.int8
    assert np.array_equal(images[0], pixels[0][5:21, 10:26])
    assert np.array_equal(images[1], pixels[1][50:66, 3:19])
    small, _ = batches(deepfashion.stream(some, size=8, batch_size=2))
    assert abs(small[0].astype(float).mean() - images[0].mean()) < 1
    gray, _ = batches(deepfashion.stream(some, size=8, batch_size=2, channels=1))
    assert gray.shape == (2, 8, 8, 1)


def test_a_box_may_reach_out_of_its_picture_but_not_miss_it(fine):
    from garment_utils.quiet_keras import tf

    found = deepfashion.read_fine(fine).take(np.arange(1))
    boxes = np.array([[10, 5, 99, 99]], dtype=np.int32)
    images, _ = batches(deepfashion.stream(replace(found, boxes=boxes), size=8, batch_size=1))
    assert images.shape == (1, 8, 8, 3)
    outside = replace(found, boxes=np.array([[90, 5, 99, 99]], dtype=np.int32))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="inside the 40 × 30 pixels of .*img_00000000.jpg"
    ):
        batches(deepfashion.stream(outside, size=8, batch_size=1))


@pytest.mark.parametrize("spoiling", ["cut off", "empty", "a page", "missing"])
def test_a_picture_that_cannot_be_decoded_is_named(fine, spoiling):
    from garment_utils.quiet_keras import tf

    found = deepfashion.read_fine(fine)
    path = Path(found.files[2])
    content = path.read_bytes()
    path.unlink()
    if spoiling != "missing":
        contents = {"cut off": content[: len(content) // 2], "empty": b"", "a page": b"<html>"}
        path.write_bytes(contents[spoiling])
    message = f"expected a picture in {path}, found none"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        batches(deepfashion.stream(found, size=8, batch_size=2))


def test_our_pictures_stream_unchanged(ours, garments, written):
    found = deepfashion.read_fine(written)
    images, labels = batches(deepfashion.stream(found, size=28, batch_size=100, channels=1))
    expected, _ = attribute_labels.look_up(garments, ours.sources, ours.indices)
    assert np.array_equal(images[..., 0], expected)
    assert np.array_equal(labels, ours.labels)


def test_shuffled_pictures_keep_their_labels(ours, garments, written):
    found = deepfashion.read_fine(written)
    expected, _ = attribute_labels.look_up(garments, ours.sources, ours.indices)
    known = {
        image.tobytes(): row.tolist() for image, row in zip(expected, ours.labels, strict=True)
    }
    dataset = deepfashion.stream(found, size=28, batch_size=100, channels=1, seed=3)
    (first, labels), (second, _) = batches(dataset), batches(dataset)
    assert not np.array_equal(first, second) and not np.array_equal(first[..., 0], expected)
    for image, row in zip(first, labels, strict=True):
        assert known[image.tobytes()] == row.tolist()
    again = deepfashion.stream(found, size=28, batch_size=100, channels=1, seed=3)
    assert np.array_equal(batches(again)[0], first)


def test_coarse_labels_are_spelled_out_in_the_stream(coarse):
    found = deepfashion.read_coarse(coarse)
    _, labels = batches(deepfashion.stream(found, size=8, batch_size=3))
    assert np.array_equal(labels, found.dense(np.arange(4)))


def test_labels_without_files_cannot_stream(ours):
    with pytest.raises(ValueError, match="write_fine makes files"):
        deepfashion.stream(ours, size=28, batch_size=2)
    with pytest.raises(ValueError, match="expected attributes made by load_attributes"):
        deepfashion.write_fine(replace(ours, sources=None, indices=None), None)
