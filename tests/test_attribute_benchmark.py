"""The score of ``attributes predict``: what is learned from, what is scored, and a fresh table."""

import importlib.util
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from garment_utils import attribute_labels, attribute_predictor, multilabel, pretrained, results
from garment_utils.paths import ROOT

FOLDER = ROOT / "benchmarks"
spec = importlib.util.spec_from_file_location("benchmark", FOLDER / "attributes.py")
benchmark = importlib.util.module_from_spec(spec)
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(FOLDER)  # where it finds speed.py
    spec.loader.exec_module(benchmark)


@pytest.fixture
def trainings(monkeypatch, garments, ours):
    """Return the trainings that are asked for; some answers for test garments are wrong."""
    made = []
    pictures_of_test = attribute_labels.to_split(ours.part("test"), garments).images

    def train(recipe, garments, attributes, say, seed):
        made.append((recipe, attributes, seed))
        return "model", "scale"

    def answers(model, scale, pictures):
        assert (model, scale) == ("model", "scale")
        np.testing.assert_array_equal(pictures, pictures_of_test)
        labels = ours.part("test").labels.copy()
        labels[:64, :2] = labels[:64, 1::-1]  # the first two are values of one type
        return labels

    monkeypatch.setattr(attribute_predictor, "train", train)
    monkeypatch.setattr(attribute_predictor, "answers", answers)
    return made


def test_what_the_command_trains_is_scored_on_test_garments(trainings, garments, ours):
    row = benchmark.measure(3)
    [(recipe, attributes, seed)] = trainings
    assert recipe == attribute_predictor.RECIPE and seed == row["seed"] == 3
    assert sorted(set(attributes.parts)) == ["train", "validation"]
    assert len(attributes) == 1_280 + 256
    test = ours.part("test")
    assert ours.types[0] == ours.types[1]
    moved = test.labels[:64, :2].any(axis=1).sum()
    assert moved > 0
    assert (
        row["exact match"] == row[ours.types[0]] == pytest.approx(1 - moved / len(test), abs=1e-5)
    )
    assert row["all types"] == pytest.approx(1 - moved / len(test) / 6, abs=1e-5)
    pictures = attribute_labels.to_split(test, garments).images
    predicted = attribute_predictor.answers("model", "scale", pictures)
    expected = f1_score(test.labels, predicted, average="macro")
    assert row["macro F1"] == pytest.approx(expected, abs=1e-5)
    assert set(row) == set(benchmark.COLUMNS)


def test_without_the_borrowed_weights_nothing_is_measured(trainings, monkeypatch):
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    with pytest.raises(SystemExit, match="EfficientNetLite0 is left out"):
        benchmark.measure(0)
    assert trainings == []


def test_without_rows_the_readme_stays_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "TABLE", tmp_path / "attributes.csv")
    monkeypatch.setattr(benchmark.speed, "show_in_readme", pytest.fail)
    monkeypatch.setattr(sys, "argv", ["attributes.py", "--table"])
    with pytest.raises(SystemExit, match="nothing has been measured yet"):
        benchmark.main()


def test_rows_of_another_recipe_go(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "TABLE", tmp_path / "attributes.csv")
    old = dict.fromkeys(benchmark.COLUMNS, "9") | {"recipe": "{}"}
    benchmark.write_table(benchmark.TABLE, benchmark.COLUMNS, [old])

    def result_of(command, environment, name):
        return dict.fromkeys(benchmark.COLUMNS, 0.5) | {"seed": 4, "recipe": benchmark.recipe()}

    monkeypatch.setattr(benchmark.speed, "result_of", result_of)
    benchmark.bench()
    assert {row["recipe"] for row in benchmark.read()} == {benchmark.recipe()}


def test_each_seed_has_a_process_of_its_own_and_nothing_trained_before(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "TABLE", tmp_path / "attributes.csv")
    runs = []

    def run(command, env, capture_output, text):
        runs.append((command[-2:], env["GARMENT_MODELS"]))
        row = dict.fromkeys(benchmark.COLUMNS, 0.5) | {
            "seed": int(command[-1]),
            "recipe": benchmark.recipe(),
        }
        return SimpleNamespace(returncode=len(runs) == 7, stdout=json.dumps(row), stderr="sorry")

    monkeypatch.setattr(subprocess, "run", run)
    benchmark.bench()
    kept = benchmark.TABLE.read_text()
    assert [seed for seed, _ in runs] == [["--seed", str(seed)] for seed in range(5)]
    assert len({folder for _, folder in runs}) == 5
    with pytest.raises(SystemExit, match="seed 1 failed:\nsorry"):
        benchmark.bench()
    assert benchmark.TABLE.read_text() == kept


def test_the_table_by_hand():
    row = dict.fromkeys(benchmark.COLUMNS, "0.5") | {"seconds": "610", "cores": "2"}
    rows = [row, row | {"fit": "0.7", "seconds": "590"}]
    text = benchmark.table(rows)
    assert "between 2 trainings" in text and "the fastest took 9.8 min" in text
    lines = {line.split(" | ")[0]: line for line in text.splitlines()}
    assert lines["| `attributes predict`"].count("0.500 ± 0.000") == 8
    assert lines["| `attributes predict`"].count("0.600 ± 0.141") == 1


def test_the_others_in_the_table(ours):
    lines = benchmark.table([dict.fromkeys(benchmark.COLUMNS, "0.5")] * 2).splitlines()
    first, second = (one.part("test") for one in attribute_labels.load_annotations(ours))
    equal = multilabel.agreement_table(first.labels, second.labels, ours.types)["equal"]
    assert lines[-1].startswith("| one annotator") and lines[-2].startswith("| each type's most")
    shown = lines[-1].split(" | ")[1:7]
    assert shown == [f"{share:.3f}" for share in equal]
    test, train = ours.part("test").labels, ours.part("train").labels
    most_frequent = np.zeros_like(test)
    for columns in attribute_labels.columns_of_types(ours.types).values():
        most_frequent[:, columns[train[:, columns].sum(axis=0).argmax()]] = 1
    assert lines[-2].endswith(f"| {(most_frequent == test).all(axis=1).mean():.3f} |")


def test_the_readme_shows_what_was_measured():
    text = results.README.read_text("utf-8")
    fresh = results.with_block(text, "attributes", benchmark.table(benchmark.read()))
    assert text == fresh, "python benchmarks/attributes.py --table writes its block anew"


def test_what_was_measured_is_the_recipe_of_the_command():
    rows = benchmark.read()
    if not rows:
        pytest.skip("not measured yet: python benchmarks/attributes.py")
    assert [row["seed"] for row in rows] == [str(seed) for seed in range(benchmark.RUNS)]
    assert {row["recipe"] for row in rows} == {benchmark.recipe()}
    assert len({tuple(row[name] for name in benchmark.speed.MACHINE[1:]) for row in rows}) == 1
    for row in rows:
        accuracies = [float(row[name]) for name in benchmark.TYPES]
        assert float(row["all types"]) == pytest.approx(np.mean(accuracies), abs=1e-4)
        assert float(row["exact match"]) <= min(accuracies)
