"""The command line: what is said of photographs, how answers are scored, what is refused."""

import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from garment_utils import photo_network, photos, second_opinion, training
from garment_utils.data import class_names
from garment_utils.paths import ROOT
from garment_utils.preprocessing import PixelScale
from garment_utils.quiet_keras import keras

NAMES = class_names()
THRESHOLD = 0.25

# What the network below says of a garment so many columns wide, once it fills 28 rows: the
# likeliest class, its probability, and that of something else.
ANSWERS = {
    6: ("Trouser", 0.9, 0.05),
    12: ("Dress", 0.5, 0.25),  # at the threshold, so not unsure
    18: ("Coat", 0.35, 0.3),
    24: ("Bag", 0.1, 0.8),  # unsure, and something else is likelier than any of the ten
}
WIDTHS = dict(zip(("trouser", "dress", "coat", "mug"), ANSWERS, strict=True))


class Network:
    """Answers by the width of the garment: which answer belongs to which photograph is known."""

    threshold = THRESHOLD

    def probabilities(self, pictures):
        return np.stack([self.answer(picture) for picture in pictures]).astype(np.float32)

    def answer(self, picture):
        columns = np.count_nonzero(picture.any(axis=0))
        name, probability, of_else = ANSWERS[min(ANSWERS, key=lambda width: abs(width - columns))]
        probabilities = np.full(11, (1 - probability - of_else) / 9)
        probabilities[NAMES.index(name)], probabilities[10] = probability, of_else
        return probabilities


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(photo_network, "load_or_train", Network)
    monkeypatch.setattr(second_opinion, "load_network", lambda: None)


def draw(path, kind):
    """Draw a photograph of cloth 140 pixels high, as wide as ``WIDTHS`` wants it."""
    width = 5 * WIDTHS[kind]
    photo = np.full((200, 180, 3), (200, 190, 170), float)
    photo[30:170, 90 - width // 2 : 90 + width // 2] = 40, 60, 120
    photo += np.random.default_rng(0).normal(0, 3, photo.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    for kind in WIDTHS:
        draw(folder / f"{kind}.png", kind)
    return folder


@pytest.fixture
def folder(drawn, tmp_path, monkeypatch):
    """Return the current folder, with photographs in ``photos``; files given by name are short."""
    shutil.copytree(drawn, tmp_path / "photos")
    (tmp_path / "photos" / "note.jpg").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(photos.predict, "__defaults__", (tmp_path / "build" / "photos",))
    return tmp_path


def run(*arguments):
    """Run the command line; return its exit status, or the sentence with which it ended."""
    try:
        photos.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code
    return 0


def score(lines, *, encoding="utf-8", out="result.csv"):
    """Score the answers to these lines of labels; return the exit status."""
    with open("labels.csv", "w", encoding=encoding) as file:
        file.write(lines)
    return run("score", "photos", "labels.csv", "--out", out)


def result(path="result.csv"):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


# score: what is written


def test_every_answer_is_written(network, folder):
    status = score("file,label\ntrouser.png,Trouser\ndress.png,Coat\ncoat.png,Coat\nmug.png,\n")
    assert status == 0
    assert (folder / "result.csv").read_text() == (
        "file,label,predicted,confidence,verdict\n"
        "trouser.png,Trouser,Trouser,0.9000,Trouser\n"
        "dress.png,Coat,Dress,0.5000,Dress\n"
        "coat.png,Coat,Coat,0.3500,unsure\n"
        "mug.png,,Bag,0.1000,unsure\n"
    )


def test_the_summary_by_hand(network, folder, capsys):
    score("file,label\ntrouser.png,Trouser\ndress.png,Coat\ncoat.png,Coat\nmug.png,\n")
    lines = capsys.readouterr().out.splitlines()
    # 2 of 3 right. Wilson: (2 + z²/2 ± z √(2 · 1 / 3 + z²/4)) / (3 + z²), z = 1.959964.
    assert lines[:3] == [
        "accuracy in scope: 0.667 (2 of 3; 95 % interval 0.208 to 0.939)",
        "unsure in scope: 0.333",
        "unsure out of scope: 1.000",
    ]
    table = {line.split()[0]: line.split()[1:] for line in lines[4:]}
    assert table["predicted"] == ["Bag", "Coat", "Dress", "Trouser"]
    assert table["Coat"] == ["0", "1", "1", "0"]  # row: what it is, column: what was said
    assert table["Trouser"] == ["0", "0", "0", "1"]
    assert "none of the ten" in lines[-1] and lines[-1].split()[-4:] == ["1", "0", "0", "0"]


def test_no_photograph_out_of_scope(network, folder, capsys):
    score("file,label\ntrouser.png,Trouser\n")
    printed = capsys.readouterr().out
    assert "unsure in scope: 0.000" in printed and "out of scope" not in printed


def test_no_photograph_in_scope(network, folder, capsys):
    score("file,label\nmug.png,\ntrouser.png,\n")
    printed = capsys.readouterr().out
    assert "unsure out of scope: 0.500" in printed
    assert "accuracy" not in printed and "in scope" not in printed


def test_an_answer_counts_whatever_the_verdict(network, folder, capsys):
    score("file,label\ncoat.png,Coat\n")
    assert "1.000 (1 of 1;" in capsys.readouterr().out
    assert result()["verdict"].tolist() == ["unsure"]


def test_any_of_several_labels_is_right(network, folder, capsys):
    score("file,label\ndress.png,Coat|Dress\ntrouser.png,Coat|Dress\n")
    printed = capsys.readouterr().out
    assert "0.500 (1 of 2;" in printed and "Coat|Dress" in printed
    assert result()["label"].tolist() == ["Coat|Dress"] * 2


def test_an_unreadable_file_is_wrong_and_the_others_are_answered(network, folder, capsys):
    lines = "file,label\nnote.jpg,Trouser\ngone.png,Coat\ntrouser.png,Trouser\nnote2.png,\n"
    assert score(lines) == 0
    printed = capsys.readouterr()
    assert "0.333 (1 of 3;" in printed.out and "unreadable: 3" in printed.out
    assert "unsure in scope: 0.000" in printed.out and "unsure out of scope: 0.000" in printed.out
    said = printed.err.splitlines()
    assert [line.split(":")[0] for line in said] == ["note.jpg", "gone.png", "note2.png"]
    assert all(": expected a picture" in line for line in said)
    assert str(folder) not in printed.out + printed.err
    assert (folder / "result.csv").read_text().splitlines()[1:3] == [
        "note.jpg,Trouser,,,unreadable",
        "gone.png,Coat,,,unreadable",
    ]


def test_a_photograph_without_a_garment_is_unreadable(network, folder, capsys):
    Image.new("RGB", (90, 90), "white").save("photos/blank.png")
    score("file,label\nblank.png,Bag\n")
    assert "blank.png: expected a photograph of a garment" in capsys.readouterr().err
    assert result()["verdict"].tolist() == ["unreadable"]


def test_photographs_in_folders_of_the_folder(network, folder):
    draw(folder / "photos" / "more" / "coat.png", "coat")
    score("file,label\nmore/coat.png,Coat\ncoat.png,Coat\n")
    assert result()["file"].tolist() == ["more/coat.png", "coat.png"]


def test_the_summary_counts_a_table_of_many():
    rows = [("Shirt", "Shirt", "Shirt")] * 6 + [("Shirt", "Coat", "unsure")] * 3
    rows += [("Coat", "Shirt", "Shirt")] + [("", "Bag", "Bag")] * 3 + [("", "Bag", "unsure")]
    table = pd.DataFrame(rows, columns=["label", "predicted", "verdict"])
    lines = photos.summary(table.sample(frac=1, random_state=0)).splitlines()
    # Wilson's interval for 6 of 10 is in textbooks: 0.313 to 0.832.
    assert lines[0] == "accuracy in scope: 0.600 (6 of 10; 95 % interval 0.313 to 0.832)"
    assert lines[1] == "unsure in scope: 0.300" and lines[2] == "unsure out of scope: 0.250"
    rows = {line[:16].strip(): line[16:].split() for line in lines[6:]}
    assert lines[4].split() == ["predicted", "Bag", "Coat", "Shirt"]
    assert rows["Shirt"] == ["0", "3", "6"] and rows["Coat"] == ["0", "0", "1"]
    assert rows["none of the ten"] == ["4", "0", "0"]


# score: tables of labels as people write them


def test_tables_of_spreadsheets_are_read(network, folder):
    """A byte order mark, other line ends, quotes, more columns in another order, an empty line."""
    lines = '"note","label","file"\r\n"a, b","Coat","coat.png"\r\n\r\nc,,mug.png\r\n'
    assert score(lines, encoding="utf-8-sig") == 0
    assert result()[["file", "label"]].to_numpy().tolist() == [
        ["coat.png", "Coat"],
        ["mug.png", ""],
    ]
    assert list(result().columns) == list(photos.RESULT_COLUMNS)


def test_a_label_left_out_with_its_comma_is_empty(network, folder):
    score("file,label\nmug.png\n")
    assert result()["label"].tolist() == [""]


BAD_LABELS = {
    "": "labels.csv, line 1: expected the columns file,label, each once, found nothing",
    "\n": "labels.csv, line 1: expected the columns file,label, each once, found nothing",
    "file,label\n": "found the header alone",
    "photo,kind\na.png,Coat\n": "expected the columns file,label, each once, found photo,kind",
    "file;label\na.png;Coat\n": "expected the columns file,label, each once, found file;label",
    "file\na.png\n": "expected the columns file,label, each once, found file",
    "file,label\na.png,Coat\nb.png,Hat\n": "labels.csv, line 3: expected class names",
    "file,label\na.png,coat\n": "found 'coat'",
    "file,label\na.png,Coat|Hat|Cap\n": "found 'Cap', 'Hat'",
    "file,label\na.png,Coat|\n": "found ''",
    "file,label\na.png, Coat\n": "found ' Coat'",
    "file,label\na.png,something else\n": "found 'something else'",
    "file,label\na.png,Coat\nb.png,Bag\na.png,Bag\n": "line 4: expected each photograph once, "
    "found a.png again",
    "file,label\n,Coat\n": "line 2: expected the name of a photograph, found none",
    'file,label\n"' + 140_000 * "a": "expected a CSV file in UTF-8",
    140_000 * "a": "expected a CSV file in UTF-8",
    'file,label\na.png,Coat\n"b.png,Bag\nc.png,Coat\n': "expected a CSV file in UTF-8",
    "file,label,label\na.png,Coat,Bag\n": "each once, found file,label,label",
    "file,label\na.png,Coat,Bag\n": "line 2: expected 2 values, found 3",
}


@pytest.mark.parametrize("lines", BAD_LABELS, ids=lambda lines: lines[:40])
def test_labels_that_cannot_be_used_are_refused_in_one_sentence(folder, monkeypatch, lines):
    monkeypatch.setattr(photo_network, "load_or_train", None)  # nothing is trained for that
    sentence = score(lines)
    assert isinstance(sentence, str) and "\n" not in sentence and sentence.startswith("labels.csv")
    assert BAD_LABELS[lines] in sentence
    assert not (folder / "result.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("photos", "none.csv"), "the columns file,label at none.csv, found none"),
        (("photos", "photos"), "the columns file,label at photos, found none"),
        (("photos", "photos/coat.png"), "expected a CSV file in UTF-8, found another"),
        (("none", "good.csv"), "expected a folder of photographs, found none at none"),
        (("good.csv", "good.csv"), "expected a folder of photographs, found none at good.csv"),
        (("photos", "good.csv", "--out", "photos"), "to write, got the folder photos"),
        (("photos", "good.csv", "--out", "good.csv/result.csv"), "can be written, got good.csv"),
        (("photos", "good.csv", "--out", "good.csv"), "than those to read, got good.csv for both"),
        (("photos", "good.csv", "--out", "photos/coat.png"), "to read, got photos/coat.png for"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(network, folder, arguments, expected):
    (folder / "good.csv").write_text("file,label\ncoat.png,Coat\n")
    before = sorted(folder.rglob("*"))
    arguments = arguments if "--out" in arguments else (*arguments, "--out", "result.csv")
    sentence = run("score", *arguments)
    assert isinstance(sentence, str) and expected in sentence and "\n" not in sentence
    assert str(folder) not in sentence
    assert sorted(folder.rglob("*")) == before


def test_the_folder_of_the_result_is_made(network, folder):
    assert score("file,label\ncoat.png,Coat\n", out="new/folder/result.csv") == 0
    assert len(result("new/folder/result.csv")) == 1
    assert [path.name for path in (folder / "new" / "folder").iterdir()] == ["result.csv"]


def test_a_former_result_is_replaced(network, folder):
    score("file,label\ncoat.png,Coat\nmug.png,\n")
    score("file,label\ntrouser.png,Trouser\n")
    assert result()["file"].tolist() == ["trouser.png"]


# predict


def test_a_photograph_is_answered_with_its_probabilities(network, folder, capsys):
    assert run("predict", "photos/trouser.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "photos/trouser.png: Trouser, probability 0.90"
    names = [line[:17].strip() for line in lines[1:12]]
    assert names == [*NAMES, "something else"]
    values = [float(line[17:23]) for line in lines[1:12]]
    assert values[1] == 0.9 and values[10] == 0.05 and sum(values) == pytest.approx(1, abs=0.01)
    assert lines[2].count("█") == 27 and lines[11].count("█") == 2
    assert lines[12] == f"  its steps: {os.path.join('build', 'photos', '1_trouser.png')}"
    assert len(lines) == 13
    with Image.open(folder / "build" / "photos" / "1_trouser.png") as drawing:
        assert drawing.width > 2 * drawing.height > 200


def test_unsure_is_said_with_the_likeliest_class(network, folder, capsys):
    assert run("predict", "photos/mug.png", "photos/dress.png") == 0
    printed = capsys.readouterr().out
    assert "photos/mug.png: unsure; of the ten classes most like Bag, probability 0.10" in printed
    assert "photos/dress.png: Dress, probability 0.50" in printed


def test_files_of_the_same_name_keep_a_drawing_each(network, folder):
    draw(folder / "one" / "me.png", "coat")
    draw(folder / "two" / "me.png", "dress")
    assert run("predict", "one/me.png", "two/me.png") == 0
    one, two = sorted((folder / "build" / "photos").iterdir())
    assert (one.name, two.name) == ("1_me.png", "2_me.png")
    assert one.read_bytes() != two.read_bytes()


def test_drawings_that_cannot_be_written_are_noticed_before_the_training(folder, monkeypatch):
    monkeypatch.setattr(photo_network, "load_or_train", None)
    (folder / "build").write_text("no folder")
    sentence = run("predict", "photos/coat.png")
    assert "can be written, got" in sentence and "\n" not in sentence


def test_one_that_failed_makes_the_status_1_and_stops_no_other(network, folder, capsys):
    assert run("predict", "gone.png", "photos/coat.png", "photos/note.jpg", "photos") == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("photos/coat.png: unsure;")
    said = printed.err.splitlines()
    assert [line.split(": expected")[0] for line in said] == [
        "gone.png",
        "photos/note.jpg",
        "photos",
    ]
    assert str(folder) not in printed.out + printed.err
    assert [path.name for path in (folder / "build" / "photos").iterdir()] == ["2_coat.png"]


def test_nothing_is_trained_for_a_mistyped_name(folder, monkeypatch):
    monkeypatch.setattr(photo_network, "load_or_train", None)
    assert run("predict", "gone.png") == 1


def test_the_network_is_loaded_once(folder, monkeypatch):
    loaded = []
    monkeypatch.setattr(photo_network, "load_or_train", lambda: loaded.append(1) or Network())
    monkeypatch.setattr(second_opinion, "load_network", lambda: loaded.append(2))
    run("predict", "photos/coat.png", "photos/dress.png", "photos/mug.png")
    assert loaded == [1, 2]


def test_no_figure_stays_open(network, folder):
    before = plt.get_fignums()
    run("predict", "photos/coat.png", "photos/dress.png")
    assert plt.get_fignums() == before


STRANGE = [
    "",
    ".",
    " ",
    "~",
    "*.jpg",
    "a" * 300,
    "C:\\photos\\coat.png",
    "ftp://server/coat.png",
    "file:///etc/passwd",
    "http://",
    "http://[",
    "http://127.0.0.1:1/coat.png",
    "https:coat.png",
    "data:image/png;base64,AAAA",
    "caf\udce9.png",  # a name that is not UTF-8
    "/dev/null",
]


@pytest.mark.parametrize("source", STRANGE, ids=ascii)
def test_whatever_is_typed_is_answered_with_a_sentence(network, folder, capfd, source):
    assert run("predict", source) == 1
    said = capfd.readouterr().err
    assert said.startswith(f"{source}: expected".encode(errors="replace").decode())
    assert said.count("\n") == 1 and said.count("expected") == 1
    assert str(folder) not in said


def test_a_name_that_the_terminal_cannot_print_is_answered_too(network, folder, capsysbinary):
    name = os.fsdecode(b"photos/caf\xe9.png")
    try:
        shutil.copy("photos/coat.png", name)
    except OSError:
        pytest.skip("files have names in Unicode here")
    assert run("predict", name) == 0
    assert capsysbinary.readouterr().out.startswith(b"photos/caf?.png: unsure")


@pytest.mark.parametrize(
    "source", ["…/?!.jpg", "http://a.b/x.jpg?y=/z", "C:\\me.jpg", "/", "é" * 99]
)
def test_drawings_have_names_for_any_system(source):
    name = photos._plain(source)
    assert 1 <= len(name) <= 40 and name.replace("_", "x").isalnum()


@pytest.mark.parametrize("error", [ValueError("the archive is damaged"), OSError("disk full")])
@pytest.mark.parametrize("command", ["predict", "score"])
def test_what_goes_wrong_in_training_is_said_in_one_sentence(folder, monkeypatch, command, error):
    def fail():
        raise error

    monkeypatch.setattr(photo_network, "load_or_train", fail)
    (folder / "good.csv").write_text("file,label\ncoat.png,Coat\n")
    arguments = {
        "predict": ["photos/coat.png"],
        "score": ["photos", "good.csv", "--out", "result.csv"],
    }
    assert run(command, *arguments[command]) == str(error)
    assert not (folder / "result.csv").exists()


@pytest.mark.parametrize("arguments", [[], ["predict"], ["score", "photos"], ["guess", "a.jpg"]])
def test_a_command_that_is_not_whole_is_explained(arguments, capsys):
    assert run(*arguments) == 2
    assert "usage: python -m garment_utils.photos" in capsys.readouterr().err


# With a second opinion


class SeesDresses:
    """Says "gown" where half of the middle row is dark, as of a dress; else no garment's word."""

    def predict(self, pixels, **options):
        words = np.zeros((len(pixels), 1000), np.float32)
        dark = (pixels[:, 112, :, 0] < 0).mean(axis=1)
        words[abs(dark - 60 / 180) < 0.05, 578] = 0.5
        return words


@pytest.fixture
def asked(network, monkeypatch):
    monkeypatch.setattr(second_opinion, "load_network", SeesDresses)


def test_each_photograph_is_scored_with_its_own_second_opinion(asked, folder):
    score("file,label\ncoat.png,Coat\nnote.jpg,Bag\ntrouser.png,Trouser\ndress.png,Dress\n")
    # Nothing said of coat and trouser. Of the dress: 0.5 · 0.51 against nine of 0.25/9 · 0.01,
    # which share the 0.75 that something else leaves.
    sure = 0.75 * 0.255 / (0.255 + 0.0025)
    assert result()["confidence"].tolist() == ["0.3500", "", "0.9000", f"{sure:.4f}"]
    assert result()["predicted"].tolist() == ["Coat", "", "Trouser", "Dress"]


def test_both_opinions_are_told(asked, folder, capsys):
    assert run("predict", "photos/dress.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "photos/dress.png: Dress, probability 0.74"
    assert lines[1] == "  our network by itself: Dress; EfficientNetLite0: Dress; together:"
    values = [float(line[17:23]) for line in lines[2:13]]
    assert values[3] == 0.743 and values[10] == 0.25 and sum(values) == pytest.approx(1, abs=0.01)


# In a process of its own


def test_the_command_line_with_a_stored_network(folder):
    """Of one dense layer that is sure of class 4 whatever it or another network sees."""
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(11, activation="softmax", kernel_initializer="zeros"),
        ]
    )
    bias = np.zeros(11)
    bias[4] = np.log(1e9)  # times as likely as each of the ten others
    model.layers[-1].set_weights([np.zeros((784, 11)), bias])
    scale = PixelScale("standardized", 73.0, 90.0)
    path = folder / "models" / f"photos-{photo_network._key(photo_network.RECIPE)}.keras"
    notes = {"classes": [*NAMES, photo_network.ELSE], "scale": scale, "threshold": THRESHOLD}
    training.load_or_make(path, lambda: (model, notes), check=lambda *_: None)

    (folder / "labels.csv").write_text("file,label\ncoat.png,Coat\nnote.jpg,Bag\nmug.png,\n")
    command = "-m garment_utils.photos score photos labels.csv --out out/result.csv"
    process = subprocess.run(
        [sys.executable, *command.split()],
        cwd=folder,
        env={**os.environ, "GARMENT_MODELS": "models", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,  # a network that is not found would be trained, which takes longer
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("accuracy in scope: 0.500 (1 of 2;")
    assert process.stderr.startswith("note.jpg: expected a picture")
    assert process.stderr.count("\n") == 1
    assert (folder / "out" / "result.csv").read_text().splitlines()[1:] == [
        "coat.png,Coat,Coat,1.0000,Coat",
        "note.jpg,Bag,,,unreadable",
        "mug.png,,Coat,1.0000,Coat",
    ]


def test_processes_that_distort_need_not_load_tensorflow():
    """They import the module of the command line again: what it loads, each of them would."""
    heavy = "tensorflow", "keras", "matplotlib"
    code = f"import sys, garment_utils.photos; print([m for m in {heavy} if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.strip() == "[]"
