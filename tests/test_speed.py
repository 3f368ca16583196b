"""The comparison of speed: peers as their authors wrote them, one clock, and a fresh table."""

import importlib.util
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from garment_utils import attribute_labels, data, deepfashion, models, preprocessing, results
from garment_utils.paths import ROOT

spec = importlib.util.spec_from_file_location("speed", ROOT / "benchmarks" / "speed.py")
speed = importlib.util.module_from_spec(spec)
sys.modules["speed"] = speed
spec.loader.exec_module(speed)


def arm_named(name):
    [arm] = [arm for arm in speed.ARMS if arm.name == name]
    return arm


# Peers and ours, as they call Keras


@pytest.fixture(scope="module")
def archives():
    return speed.archives()


@pytest.fixture
def fits(archives, monkeypatch):
    """Calls of ``fit`` that an arm makes, with nothing trained and nothing scored."""
    calls = []
    repeatable = []

    def fit(model, x, y, **options):
        calls.append(
            SimpleNamespace(
                model=model,
                x=x,
                y=y,
                options=options,
                repeatable=bool(repeatable),
                eager=tf.config.functions_run_eagerly(),
                threads=(
                    tf.config.threading.get_intra_op_parallelism_threads(),
                    tf.config.threading.get_inter_op_parallelism_threads(),
                ),
            )
        )
        return SimpleNamespace(history={"loss": [2, 1, 3], "learning_rate": [0.1, 0.2, 0.3]})

    def no_sleep(seconds):
        raise AssertionError("an arm sleeps")

    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr(time, "sleep", no_sleep)
    monkeypatch.setattr(speed, "archives", lambda: archives)
    monkeypatch.setattr(speed, "accuracy", lambda *arguments: 0.5)
    monkeypatch.setattr(speed, "accuracy_with", lambda *arguments: 0.5)
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: repeatable.append(True)
    )
    return calls


RELU = {"activation": "relu", "use_bias": True}
SOFTMAX = {"activation": "softmax", "use_bias": True}
LINEAR = {"activation": "linear", "use_bias": True}
CONVOLUTION = {"kernel_size": (3, 3), "strides": (1, 1), "padding": "valid", **RELU}
PEERS = {
    "FashionTech": (
        [("Flatten",), ("Dense", 150, RELU), ("Dense", 10, SOFTMAX)],
        {"epochs": 10},
    ),
    "TensorFlow tutorial": (
        [("Flatten",), ("Dense", 128, RELU), ("Dense", 10, LINEAR)],
        {"epochs": 10},
    ),
    "sweep of 40 epochs, 150 units": (
        [("Flatten",), ("Dense", 150, RELU), ("Dense", 10, SOFTMAX)],
        {"epochs": 40},
    ),
    "garment catalog": (
        [
            ("Conv2D", 32, CONVOLUTION),
            ("Conv2D", 64, CONVOLUTION),
            ("MaxPooling2D", {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}),
            ("Dropout", {"rate": 0.25}),
            ("Flatten",),
            ("Dense", 128, RELU),
            ("Dropout", {"rate": 0.5}),
            ("Dense", 10, SOFTMAX),
        ],
        {"batch_size": 64, "epochs": 10, "validation_split": 0.1},
    ),
}
PARAMETERS = {
    "FashionTech": 119_260,
    "TensorFlow tutorial": 101_770,
    "sweep of 40 epochs, 150 units": 119_260,
    "garment catalog": 1_199_882,
}
TRAINED = [arm.name for arm in speed.ARMS if arm.group in ("dense", "search", "convolution")]


def test_every_peer_is_checked():
    ours = [arm.name for arm in speed.ARMS if arm.aim]
    assert sorted(TRAINED) == sorted([*PEERS, *ours])


@pytest.mark.parametrize("name", PEERS)
def test_peers_are_as_their_authors_wrote_them(name, fits):
    layers, expected = PEERS[name]
    measured = arm_named(name).measure(0)
    [call] = fits
    model, options = call.model, dict(call.options)

    assert type(model) is keras.Sequential
    assert len(model.layers) == len(layers)
    for layer, (kind, *known) in zip(model.layers, layers, strict=True):
        assert type(layer) is getattr(keras.layers, kind)
        assert layer.dtype_policy.name == "float32"
        config = layer.get_config()
        for value in known:
            if isinstance(value, dict):
                assert {key: config[key] for key in value} == value
            else:
                assert value == config.get("units", config.get("filters"))
    assert measured["parameters"] == model.count_params() == PARAMETERS[name]

    assert type(model.optimizer) is keras.optimizers.Adam
    default = {**keras.optimizers.Adam().get_config(), "name": model.optimizer.name}
    assert model.optimizer.get_config() == default
    assert model.get_compile_config()["metrics"] == ["accuracy"]
    assert (model.steps_per_execution, model.run_eagerly, model.jit_compile) == (1, False, False)
    assert not call.eager and not call.repeatable and call.threads == (0, 0)

    if name.startswith("sweep"):
        [schedule] = options.pop("callbacks")
        assert type(schedule) is keras.callbacks.LearningRateScheduler
        assert np.allclose([schedule.schedule(i) for i in (0, 20, 39)], [0.001, 0.01, 10**-1.05])
        pixels, labels = options.pop("validation_data")
        assert len(pixels) == len(labels) == 10_000
    assert options == {**expected, "verbose": 0}
    assert len(call.x) == len(call.y) == 60_000
    assert call.x.min() == 0 and call.x.max() == 1
    assert call.x.shape[1:] == ((28, 28, 1) if name == "garment catalog" else (28, 28))
    assert call.x.dtype == ("float32" if name == "garment catalog" else "float64")
    assert measured["images"] == (54_000 if name == "garment catalog" else 60_000)
    assert measured["seconds"] < 5  # nothing was fitted


@pytest.mark.parametrize("name", models.RECIPES)
def test_ours_train_on_training_images_repeatably(name, fits):
    recipe = models.RECIPES[name]
    measured = speed.fit_ours(name, 0)
    [call] = fits
    assert call.repeatable
    assert call.options == {
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "verbose": 0,
    }
    train = data.load_garments().train
    assert np.array_equal(call.y, train.labels) and len(call.x) == 55_000
    assert measured["parameters"] == recipe.build().count_params()
    assert measured["images"] == 55_000


def test_the_large_network_learns_garments_and_their_mirror_images(fits):
    measured = arm_named("ours, large").measure(0)
    [call] = fits
    train = data.load_garments().train
    plain, mirrored = np.split(call.x, 2)
    scaled = preprocessing.fit_scale("standardized", train).apply(train.images)
    assert np.array_equal(plain, scaled) and np.array_equal(mirrored[..., ::-1], scaled)
    assert np.array_equal(call.y, np.tile(train.labels, 2))
    assert measured["images"] == 110_000
    optimizer, steps = call.model.optimizer, measured["epochs"] * -(-110_000 // 128)
    optimizer.iterations.assign(steps // 2)
    assert optimizer.learning_rate > 0.01  # not the end of a cycle for half as many images


def test_archives_are_in_their_order(archives):
    images, labels, test_images, test_labels = archives
    garments = data.load_garments()
    for part in (garments.train, garments.validation):
        assert np.array_equal(images[part.indices], part.images)
        assert np.array_equal(labels[part.indices], part.labels)
    assert np.array_equal(test_images, garments.test.images)
    assert np.array_equal(test_labels, garments.test.labels)
    assert len(images) == len(labels) == 60_000


def test_all_arms_run_in_the_same_surroundings(monkeypatch):
    started = []

    def run(command, env, **options):
        started.append((command[:2], {name: env[name] for name in env if name not in before}))
        return SimpleNamespace(returncode=0, stdout='warning\n{"seconds": 1.5}\n')

    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    before = dict(os.environ)
    monkeypatch.setattr(subprocess, "run", run)
    for arm in speed.ARMS:
        row = speed.run_apart(arm, 3, "home")
        assert (row["group"], row["arm"], row["seed"]) == (arm.group, arm.name, "3")
        assert row["seconds"] == 1.5 and row["cores"] == os.cpu_count()
    surroundings = {"KERAS_HOME": "home", "KERAS_BACKEND": "tensorflow"}
    assert started == [([sys.executable, speed.__file__], surroundings)] * len(speed.ARMS)


# A few real runs, small


def test_networks_are_fitted_scored_and_timed(archives, monkeypatch):
    few = tuple(array[:320] for array in archives)
    garments = data.load_garments()
    parts = [part.first(320) for part in (garments.train, garments.validation, garments.test)]
    monkeypatch.setattr(speed, "archives", lambda: few)
    monkeypatch.setattr(data, "load_garments", lambda: data.Garments(*parts))
    for name in ("FashionTech", "ours, 150 units"):
        measured = arm_named(name).measure(0)
        assert set(measured) <= set(speed.MEASURED)
        assert 0 < measured["seconds"] < 60 and 0 < measured["processor_seconds"] < 60
        assert measured["images"] == 320 and measured["megabytes"] > 100
        assert 0.3 < measured["accuracy"] < 1


def test_streamed_rows_are_as_many_as_promised():
    measured = speed.stream_rows(2_300, 0)
    assert set(measured) <= set(speed.MEASURED)
    assert measured["images"] == 2_300 and 0 < measured["seconds"] < 60


def test_streamed_rows_point_at_the_same_pictures(tmp_path):
    speed.write_coarse(tmp_path, 4_001, 0)
    found = deepfashion.read_coarse(tmp_path)
    assert found.labels.shape == (4_001, 1_000) and found.rest == -1
    assert 2 < found.labels.sum(axis=1).mean() <= 3
    files = [os.path.realpath(found.files[row]) for row in (0, 2_000, 4_000)]
    assert len(set(files)) == 1 and len(set(found.files)) == 4_001
    with Image.open(files[0]) as picture:
        first = np.asarray(picture)
    images, _ = attribute_labels.look_up(data.load_garments(), ["train"], [0])
    assert np.array_equal(first, images[0])


def test_a_process_tells_what_it_measured(tmp_path):
    row = speed.run_apart(arm_named("load_garments"), 0, str(tmp_path))
    assert set(row) <= set(speed.COLUMNS)
    assert 0 < row["seconds"] < 60


def test_a_failing_arm_is_named(tmp_path):
    arm = arm_named("load_garments")._replace(name="nonsense")
    with pytest.raises(SystemExit, match="loading, nonsense, seed 0 failed"):
        speed.run_apart(arm, 0, str(tmp_path))


# The file


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Two groups of two arms, and a list of the runs that were made."""
    arms = [
        speed.Arm("a", "peer", None, 2),
        speed.Arm("a", "ours", None, 3, "peer", aim=10),
        speed.Arm("b", "one", None, 1),
    ]
    runs = []

    def run_apart(arm, seed, home):
        runs.append((arm.name, seed))
        if len(runs) == run_apart.limit:
            raise KeyboardInterrupt
        row = {"group": arm.group, "arm": arm.name, "seed": str(seed), "seconds": len(runs)}
        return {**row, "accuracy": 0.5, "date": "2000-01-01"}

    run_apart.limit = 0
    monkeypatch.setattr(speed, "ARMS", arms)
    monkeypatch.setattr(speed, "TABLE", tmp_path / "speed.csv")
    monkeypatch.setattr(speed, "run_apart", run_apart)
    return SimpleNamespace(runs=runs, run_apart=run_apart)


def stored():
    return [(row["arm"], row["seed"], row["seconds"]) for row in speed.read()]


def test_arms_take_turns(measure):
    speed.bench(["a"])
    expected = [("peer", 0), ("ours", 0), ("peer", 1), ("ours", 1), ("ours", 2)]
    assert measure.runs == expected


def test_results_of_other_groups_stay(measure):
    speed.bench(["b"])
    speed.bench(["a"])
    assert ("one", "0", "1") in stored() and len(stored()) == 6
    speed.bench(["b"])
    assert ("one", "0", "7") in stored() and len(stored()) == 6


def test_an_interrupted_bench_loses_nothing(measure):
    speed.bench(["a"])
    measure.run_apart.limit = 8
    with pytest.raises(KeyboardInterrupt):
        speed.bench(["a"])
    assert stored() == [
        ("peer", "0", "6"),
        ("peer", "1", "3"),
        ("ours", "0", "7"),
        ("ours", "1", "4"),
        ("ours", "2", "5"),
    ]


def test_runs_that_are_no_longer_made_are_removed(measure, monkeypatch):
    speed.bench(["a", "b"])
    fewer = [arm._replace(runs=1) for arm in speed.ARMS]
    monkeypatch.setattr(speed, "ARMS", fewer)
    speed.bench(["a"])
    assert stored() == [("peer", "0", "7"), ("ours", "0", "8"), ("one", "0", "6")]


# The table


def rows_of(name, seconds, accuracies, group="dense"):
    return [
        {
            **dict.fromkeys(speed.COLUMNS, ""),
            "group": group,
            "arm": name,
            "seed": str(seed),
            "seconds": str(time),
            "accuracy": str(accuracy),
            "megabytes": str(900 + seed),
        }
        for seed, (time, accuracy) in enumerate(zip(seconds, accuracies, strict=True))
    ]


PEER = rows_of("FashionTech", [40, 48, 90], [0.88, 0.882, 0.884])


@pytest.mark.parametrize(
    ("seconds", "accuracies", "expected"),
    [
        ([4, 3, 9], [0.89, 0.881, 0.876], ["3", "4 s", "1/12.0 of FashionTech", "1/12, met"]),
        ([5, 3, 9], [0.89, 0.881, 0.876], ["3", "5 s", "1/9.6 of FashionTech", "**not met**"]),
        (
            [4, 3, 9],
            [0.89, 0.881, 0.872],
            ["3", "4 s", "1/12.0 of", "**not met**: accuracy 0.0010"],
        ),
        ([60, 60, 60], [0.89, 0.88, 0.9], ["3", "60 s", "1.25 of FashionTech", "**not met**"]),
    ],
)
def test_the_table_by_hand(seconds, accuracies, expected):
    lines = speed.table([*PEER, *rows_of("ours, 150 units", seconds, accuracies)]).splitlines()
    [peer] = [line for line in lines if line.startswith("| dense | FashionTech")]
    assert "| 3 | 48 s | | 0.8820 ± 0.0020 | 902 MB | |" in peer
    [ours] = [line for line in lines if "ours, 150 units" in line]
    for text in expected:
        assert text in ours


def test_an_aim_may_leave_some_accuracy():
    sweep = rows_of("sweep of 40 epochs, 150 units", [200] * 3, [0.88] * 3, "search")
    for accuracy, text in ((0.8751, "1/50, met"), (0.8749, "1/50, **not met**")):
        ours = rows_of("our range test, 150 units", [4] * 5, [accuracy] * 5, "search")
        assert text in speed.table([*sweep, *ours])


def test_without_measurements_the_table_says_so():
    assert "`make bench`" in speed.table([])


def test_the_memory_of_the_notebooks_is_told():
    stem = speed.series.stems()[1]
    rows = rows_of(stem, [90], [""], "notebooks")
    rows += rows_of(speed.series.stems()[0], [30], [""], "notebooks")
    rows[0]["megabytes"] = "1234"
    text = speed.table(rows).splitlines()[-1]
    assert "Of the 2 notebooks" in text and f"[{stem[:2]}](notebooks/{stem}.ipynb) uses" in text
    assert text.endswith("1,234 MB.")


def test_a_large_ratio_has_no_decimals():
    shown = [speed._ratio(1 / times) for times in (1.25, 11.94, 134.2)]
    assert shown == ["0.80", "1/11.9", "1/134"]


def test_a_table_that_cannot_be_read_is_refused_before_anything_is_measured(measure):
    speed.TABLE.write_text("<<<<<<< ours\n")
    with pytest.raises(ValueError, match="speed.csv, line 1: expected the columns group,arm,"):
        speed.bench(["a"])
    assert measure.runs == []


def test_the_plot_shows_each_run(monkeypatch):
    figure = speed.plot([*PEER, *rows_of("ours, 150 units", [4, 3, 9], [0.9, 0.9, 0.9])])
    [ax] = figure.axes
    assert ax.get_xscale() == "log"
    shown = [tuple(offsets[:, 0]) for offsets in (c.get_offsets() for c in ax.collections)]
    assert shown == [(40, 48, 90), (4, 3, 9)]


# What is stored


def test_the_readme_shows_what_was_measured():
    text = results.README.read_text("utf-8")
    fresh = results.with_block(text, "speed", speed.table(speed.read()))
    assert text == fresh, "python benchmarks/speed.py --table writes its block anew"


def test_the_plot_is_of_what_was_measured():
    if not speed.TABLE.exists():
        pytest.skip("make bench has not been run")
    with Image.open(speed.PLOT) as image:
        assert image.text["Description"] == speed.checksum(), "speed.py --table draws it anew"


@pytest.mark.parametrize("arm", speed.ARMS, ids=lambda arm: f"{arm.group}, {arm.name}")
def test_what_was_measured_is_what_is_there(arm):
    rows = [row for row in speed.read() if speed.key(row)[:2] == (arm.group, arm.name)]
    if not rows:
        pytest.skip(f"not measured yet: python benchmarks/speed.py {arm.group}")
    assert [row["seed"] for row in rows] == [str(seed) for seed in range(arm.runs)]
    assert len({tuple(row[name] for name in speed.MACHINE[1:]) for row in rows}) == 1
    if arm.name in PEERS:
        options = {"batch_size": 32, **PEERS[arm.name][1]}
        parameters = PARAMETERS[arm.name]
    elif arm.group == "far" or (arm.aim and arm.group != "search"):
        [name] = arm.measure.args
        options = models.RECIPES[name]._asdict()
        parameters = models.RECIPES[name].build().count_params()
    else:
        return
    for row in rows:
        assert int(row["parameters"]) == parameters
        assert int(row["epochs"]) == options["epochs"]
        assert int(row["batch_size"]) == options["batch_size"]


def test_arms_have_names_of_their_own():
    names = [(arm.group, arm.name) for arm in speed.ARMS]
    assert len(names) == len(set(names))
    for arm in speed.ARMS:
        assert not arm.beside or (arm.group, arm.beside) in names
        assert arm.runs >= (5 if arm.aim else 3) or arm.group == "notebooks"
