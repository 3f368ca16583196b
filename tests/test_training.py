"""Training is repeatable, and the store returns exactly what was trained or nothing."""

import inspect
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from garment_utils import training
from garment_utils.attribute_networks import CrossentropyPerType
from garment_utils.data import Split, load_garments
from garment_utils.learning_rate import one_cycle
from garment_utils.models import MODELS, MirrorInTraining, build_four_four_ten, build_one_fifty_ten
from garment_utils.preprocessing import fit_scale
from garment_utils.quiet_keras import keras


@pytest.fixture(scope="module")
def parts():
    garments = load_garments()
    return garments.train.first(512), garments.validation.first(256)


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("GARMENT_MODELS", str(tmp_path))
    return tmp_path


def train(parts, /, **changes):
    settings = {"epochs": 2, "batch_size": 64, "seed": 3, **changes}
    build = settings.pop("build", build_four_four_ten)
    first, second = settings.pop("parts", parts)
    scale = fit_scale(settings.pop("scale", "divided"), first)
    return training.train_or_load(build, scale, first, second, **settings)


def test_same_seed_same_bits(parts, store):
    one = train(parts)
    for path in store.iterdir():
        path.unlink()
    two = train(parts)
    assert not two.loaded
    pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_another_seed_another_network(parts):
    weights = [train(parts, seed=seed).model.get_weights()[0] for seed in (0, 1)]
    assert not np.array_equal(*weights)


def test_loaded_is_what_was_trained(parts):
    one, two = train(parts), train(parts)
    assert (one.loaded, two.loaded) == (False, True)
    pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
    pixels = parts[1].images / np.float32(255)
    assert np.array_equal(one.model(pixels), two.model(pixels))


def test_optimizer_and_schedule_belong_to_the_recipe(parts):
    cycle = one_cycle(0.02, images=512, epochs=2, batch_size=64)
    higher = one_cycle(0.03, images=512, epochs=2, batch_size=64)
    changes = [{}, {"optimizer": "adadelta"}, {"learning_rate": cycle}, {"learning_rate": higher}]
    assert not any(train(parts, **change).loaded for change in changes)
    assert all(train(parts, **change).loaded for change in changes)
    assert train(parts, learning_rate=cycle).model.optimizer.iterations == 16


def test_history_has_one_row_an_epoch_and_tells_the_truth(parts):
    run = train(parts)
    assert list(run.history["epoch"]) == [1, 2]
    probabilities = run.model(parts[1].images / np.float32(255)).numpy()
    accuracy = (probabilities.argmax(axis=1) == parts[1].labels).mean()
    assert run.history["val_accuracy"].iloc[-1] == pytest.approx(accuracy, abs=1e-6)


def other_network():
    return keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="four_four_ten",
    )


def with_other_labels(parts):
    first, second = parts
    return Split(first.name, first.images, np.roll(first.labels, 1), first.indices), second


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"epochs": 1},
        {"batch_size": 32},
        {"learning_rate": 0.01},
        {"scale": "raw"},
        {"build": other_network},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_makes_a_result_is_in_its_key(parts, change):
    train(parts)
    assert not train(parts, **change).loaded


def test_the_pictures_and_their_labels_are_in_the_key(parts):
    train(parts)
    assert not train(parts, parts=with_other_labels(parts)).loaded
    assert not train(parts, parts=(parts[0].first(500), parts[1])).loaded
    assert not train(parts, parts=(parts[0], parts[1].first(200))).loaded


def test_test_images_are_never_trained_on_nor_chosen_by(parts):
    tested = load_garments().test.first(256)
    with pytest.raises(ValueError, match="expected the train part of the data, got the test part"):
        train(parts, parts=(tested, parts[1]))
    scale = fit_scale("divided", parts[0])
    for first, second in ((tested, parts[1]), (parts[0], tested), (parts[1], parts[0])):
        with pytest.raises(ValueError, match="part of the data, got the"):
            training.train_or_load(
                build_four_four_ten, scale, first, second, epochs=1, batch_size=64, seed=0
            )


def test_damaged_file_is_reported_and_replaced(parts, store, capsys):
    train(parts)
    (path,) = store.glob("*.keras")
    path.write_bytes(path.read_bytes()[:1000])
    assert not train(parts).loaded
    assert "cannot be used" in capsys.readouterr().out
    assert train(parts).loaded


def test_file_of_another_network_is_reported_and_replaced(parts, store, capsys):
    train(parts)
    (path,) = store.glob("*.keras")
    other_network().save(path)
    assert train(parts).model.count_params() == 3_210
    assert "another network" in capsys.readouterr().out


def test_file_that_carries_code_is_refused(parts, store, capsys):
    train(parts)
    (path,) = store.glob("*.keras")
    carrier = keras.Sequential([keras.Input((28, 28)), keras.layers.Lambda(lambda x: x)])
    carrier.save(path)
    assert train(parts).model.count_params() == 3_210
    assert "cannot be used (Requested the deserialization of a `Lambda`" in capsys.readouterr().out


def save_classifier(path):
    model = build_four_four_ten()
    model.save(path)
    return model


def test_a_loaded_classifier_gives_the_same_probabilities(parts, tmp_path):
    model = save_classifier(tmp_path / "model.keras")
    pixels = parts[1].images / np.float32(255)
    for path in (tmp_path / "model.keras", str(tmp_path / "model.keras")):
        assert np.array_equal(training.load_classifier(path)(pixels), model(pixels))


def test_weights_alone_and_the_old_format_are_refused(tmp_path):
    save_classifier(tmp_path / "model.keras").save_weights(tmp_path / "model.weights.h5")
    for name in ("model.weights.h5", "model.h5", "model"):
        with pytest.raises(ValueError, match=rf"^{name}: expected .* ends in \.keras, got one"):
            training.load_classifier(tmp_path / name)


def test_a_missing_or_damaged_classifier_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^none\.keras: .* found no such file"):
        training.load_classifier(tmp_path / "none.keras")
    path = tmp_path / "model.keras"
    save_classifier(path)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^model\.keras: .* a piece of one"):
            training.load_classifier(path)
    path.write_bytes(whole.replace(b"hidden_1", b"hidden_\xff"))  # checksums inside fail
    with pytest.raises(ValueError, match=r"^model\.keras: .* is damaged or holds others"):
        training.load_classifier(path)


def test_an_archive_without_its_weights_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    save_classifier(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as whole, zipfile.ZipFile(path, "w") as part:
        for name in ("metadata.json", "config.json"):
            part.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match=r"^model\.keras: .* is damaged or holds others"):
        training.load_classifier(path)


def test_a_classifier_that_carries_code_is_refused_and_the_code_not_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = keras.layers.Lambda(lambda x: __import__("pathlib").Path("run").touch() or x)
    softmax = keras.layers.Dense(10, activation="softmax")
    keras.Sequential([keras.Input((28, 28)), code, keras.layers.Flatten(), softmax]).save("a.keras")
    Path("run").unlink()  # building the model has run the code
    with pytest.raises(ValueError, match=r"^a\.keras: .* without Python code.*Lambda"):
        training.load_classifier("a.keras")
    assert not Path("run").exists()


OTHER_MODELS = {
    "other pixels": [keras.Input((784,)), keras.layers.Dense(10, activation="softmax")],
    "a picture": [keras.Input((28, 28)), keras.layers.Dense(28, activation="softmax")],
    "scores": [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)],
    "of no shape yet": [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")],
    "one number": [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(1, activation="sigmoid"),
    ],
}


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("kind", OTHER_MODELS)
def test_another_kind_of_model_is_no_classifier(kind, tmp_path):
    keras.Sequential(OTHER_MODELS[kind]).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"^model\.keras: .* another kind of model"):
        training.load_classifier(tmp_path / "model.keras")


TRAIN_IN_A_PROCESS = """
from garment_utils import data, models, preprocessing, training
garments = data.load_garments()
parts = garments.train.first(512), garments.validation.first(256)
scale = preprocessing.fit_scale("divided", parts[0])
settings = {"epochs": 2, "batch_size": 64, "seed": 3}
run = training.train_or_load(models.build_four_four_ten, scale, *parts, **settings)
print(run.history["val_loss"].iloc[-1])
"""


def test_two_processes_that_train_the_same_do_no_harm(parts, store):
    command = [sys.executable, "-c", TRAIN_IN_A_PROCESS]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(path.suffix for path in store.iterdir()) == [".json", ".keras"]
    run = train(parts)
    assert run.loaded
    assert printed == {f"{run.history['val_loss'].iloc[-1]}\n"}


def test_nothing_half_written_is_left(parts, store):
    train(parts)
    assert sorted(path.suffix for path in store.iterdir()) == [".json", ".keras"]
    assert not any(path.name.startswith(".") for path in store.iterdir())


def test_four_four_ten_has_the_parameters_counted_by_hand():
    model = build_four_four_ten()
    assert model.count_params() == (784 * 4 + 4) + (4 * 4 + 4) + (4 * 10 + 10) == 3_210
    assert model.output_shape == (None, 10)
    assert MODELS["model_1"][1] == "raw" and MODELS["model_2"][1] == "divided"


def test_one_fifty_ten_has_the_parameters_counted_by_hand():
    model = build_one_fifty_ten()
    assert model.count_params() == (784 * 150 + 150) + (150 * 10 + 10) == 119_260
    assert model.output_shape == (None, 10)
    assert MODELS["model_3"] == (build_one_fifty_ten, "divided")


def test_first_step_measures_what_it_names(parts):
    pixels, labels = parts[0].images / np.float32(255), parts[0].labels
    training.make_repeatable(0)
    model = build_four_four_ten()
    training.compile_classifier(model, learning_rate=0.001, run_eagerly=True)
    before = model.get_weights()
    loss = -np.log(model(pixels).numpy()[np.arange(len(labels)), labels]).mean()
    measured = training.first_step(model, pixels, labels)
    after = model.get_weights()
    flat = pixels.reshape(len(pixels), 784)
    moved = flat @ (after[0] - before[0]) + (after[1] - before[1])
    assert measured["loss"] == pytest.approx(loss, rel=1e-4)
    assert measured["largest weight change"] == pytest.approx(np.abs(after[0] - before[0]).max())
    assert measured["largest weight change"] == pytest.approx(0.001, rel=0.01)  # Adam's first step
    assert measured["pre-activation change"] == pytest.approx(np.abs(moved).mean(), rel=1e-3)
    assert measured["gradient length"] > 0
    assert 0.1 < measured["certainty"] < 1


def several_labels(split):
    labels = np.eye(10, dtype=np.int8)[split.labels]
    return Split(split.name, split.images, labels, split.indices)


def test_labels_of_another_form_have_a_loss_of_their_own(parts):
    several = tuple(map(several_labels, parts))
    run = train(parts, parts=several, loss="categorical_crossentropy")
    assert list(run.history) == ["epoch", "loss", "val_loss"]
    one_label = train(parts).history  # the same loss, in another form
    assert np.allclose(run.history["val_loss"], one_label["val_loss"], rtol=1e-4)
    assert train(parts, parts=several, loss="categorical_crossentropy").loaded


def test_the_loss_is_in_the_key(parts):
    several = tuple(map(several_labels, parts))
    weights = [[1.0] * 10, [1.0] * 9 + [2.0]]
    losses = [CrossentropyPerType(weights=one) for one in weights]
    losses += [CrossentropyPerType(), CrossentropyPerType(focus=2), "categorical_crossentropy"]
    assert not any(train(parts, parts=several, loss=loss).loaded for loss in losses)
    again = [train(parts, parts=several, loss=loss) for loss in losses]
    assert all(run.loaded for run in again)
    assert again[1].model.loss.weights == weights[1]


def test_the_code_of_our_own_losses_and_layers_is_in_the_key(parts, monkeypatch):
    parts = tuple(map(several_labels, parts))

    def build():
        pixels = keras.Input((28, 28), name="pixels")
        x = keras.layers.Reshape((28, 28, 1), name="channel")(pixels)
        x = MirrorInTraining("horizontal", name="mirror")(x)
        x = keras.layers.Flatten(name="flat")(x)
        scores = keras.layers.Dense(10, activation="softmax", name="scores")(x)
        return keras.Model(pixels, scores, name="mirrored")

    run = partial(train, parts, parts=parts, build=build, loss=CrossentropyPerType())
    assert not run().loaded and run().loaded
    written = inspect.getsource
    for changed in (CrossentropyPerType, MirrorInTraining):
        with monkeypatch.context() as patch:
            text = f"{written(changed)}# changed"
            patch.setattr(
                inspect, "getsource", lambda one, c=changed, t=text: t if one is c else written(one)
            )
            assert not run().loaded


def test_the_seed_is_in_the_key_of_a_network_that_starts_from_given_weights(parts):
    given = build_four_four_ten().get_weights()

    def build():
        network = build_four_four_ten()
        network.set_weights(given)
        return network

    assert not train(parts, build=build, seed=3).loaded
    assert train(parts, build=build, seed=3).loaded
    assert not train(parts, build=build, seed=4).loaded  # the order of the pictures is another


def test_weights_to_start_from_are_in_the_key(parts):
    def build(shift):
        network = build_four_four_ten()
        network.set_weights([weight + shift for weight in network.get_weights()])
        return network

    assert not train(parts, build=lambda: build(0)).loaded
    assert not train(parts, build=lambda: build(0.01)).loaded
    assert train(parts, build=lambda: build(0.01)).loaded
