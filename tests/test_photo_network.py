"""The network for photographs: trained once and kept, right names, unsure by validation alone."""

import contextlib
import functools
import importlib.util
import json
import time
import types
from pathlib import Path

import numpy as np
import pytest

from garment_utils import data, distortions, models, photo_network, shapes
from garment_utils.data import Garments, Split, class_names, load_garments
from garment_utils.photo_network import ELSE, RECIPE, UNSURE, PhotoNetwork, decide, fit_threshold
from garment_utils.photos import to_garment
from garment_utils.preprocessing import PixelScale
from garment_utils.quiet_keras import keras

NAMES = class_names()
TROUSER, SNEAKER, BAG = 1, 7, 8  # easily told apart, even after a few steps of training
TINY = {**RECIPE, "networks": 2, "epochs": 2, "batch_size": 32, "unsure": 0.1}


class Untouchable:
    """Stands where the test part would be."""

    def __getattribute__(self, name):
        raise AssertionError("the test part was looked at")


def some(part, count):
    """Return ``count`` garments of each of three kinds, a Split."""
    kinds = [np.flatnonzero(part.labels == label)[:count] for label in (TROUSER, SNEAKER, BAG)]
    rows = np.sort(np.concatenate(kinds))
    return Split(part.name, part.images[rows], part.labels[rows], part.indices[rows])


@functools.cache
def few_garments():
    garments = load_garments()
    return Garments(some(garments.train, 200), some(garments.validation, 60), Untouchable())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@functools.cache
def trained(folder):
    """Train on few garments and keep the network in a folder, as a first call does."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GARMENT_MODELS", str(folder))
        patch.setattr(data, "load_garments", few_garments)
        return photo_network.load_or_train(TINY, said.append), said


@functools.cache
def distorted_validation():
    return distortions.distort(few_garments().validation, seed=0)


# What was trained


def test_trained_once_then_loaded(kept, monkeypatch):
    one, said = trained(kept)
    assert "once; it is kept for the next time" in said[0] and len(said) > 1
    assert sorted(path.suffix for path in kept.iterdir()) == [".json", ".keras"]

    monkeypatch.setenv("GARMENT_MODELS", str(kept))
    monkeypatch.setattr(data, "load_garments", None)  # what cannot be called is not trained on
    said_again = []
    two = photo_network.load_or_train(TINY, said_again.append)
    assert not said_again
    assert two.model is not one.model
    assert (two.scale, two.threshold) == (one.scale, one.threshold)
    pictures = distorted_validation().images
    np.testing.assert_array_equal(two.probabilities(pictures), one.probabilities(pictures))


def test_probabilities_of_ten_classes_and_of_something_else(kept):
    network, _ = trained(kept)
    probabilities = network.probabilities(distorted_validation().images[:7])
    assert probabilities.shape == (7, 11) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="uint8"):
        network.probabilities(np.zeros((1, 28, 28), np.float32))


def test_several_networks_answer_with_their_mean(kept):
    network, _ = trained(kept)
    pixels = network.scale.apply(distorted_validation().images[:20])
    each = [network.model.get_layer(f"compact_{number}")(pixels).numpy() for number in (1, 2)]
    assert np.abs(each[0] - each[1]).max() > 0.01  # they are not one and the same
    found = network.probabilities(distorted_validation().images[:20])
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-5)


def test_an_interrupted_training_distorts_no_further(monkeypatch):
    begun = []

    def distort(part, seed, copies):
        begun.append(seed)
        if seed > 1:
            time.sleep(1)  # while the first network trains
        return part

    def say(sentence):
        raise KeyboardInterrupt

    monkeypatch.setattr(distortions, "distort", distort)
    with pytest.raises(KeyboardInterrupt):
        photo_network.train({**TINY, "networks": 4, "epochs": 1}, few_garments(), say)
    assert begun in ([1], [1, 2])


def test_photographs_of_garments_get_their_names(kept):
    """Names and labels belong together, from the data to the verdict."""
    network, _ = trained(kept)
    validation = few_garments().validation
    for label in (TROUSER, SNEAKER, BAG):
        images = validation.images[validation.labels == label][:6]
        photos = [
            distortions.photograph(image, np.random.default_rng(seed))
            for seed, image in enumerate(images)
        ]
        pictures = np.stack([to_garment(photo).picture for photo in photos])
        answers = [decide(row, 1.0, NAMES).predicted for row in network.probabilities(pictures)]
        # At least five with four other seeds of the training; with names mixed up, none.
        assert answers.count(NAMES[label]) >= 4, (NAMES[label], answers)


# When it is unsure


def test_unsure_is_fitted_on_distorted_validation_garments_alone(kept):
    network, _ = trained(kept)  # with a test part that nobody may look at
    validation = distorted_validation()
    garments = validation.labels < 10
    assert 0 < garments.sum() < len(validation)
    of_else = network.probabilities(validation.images)[:, 10]
    assert network.threshold == pytest.approx(np.quantile(of_else[garments], 0.9))
    assert (of_else[garments] > network.threshold).mean() == pytest.approx(0.1, abs=0.01)


def validation_part(labels, name="validation"):
    size = len(labels)
    images = np.zeros((size, 28, 28), np.uint8)
    return Split(name, images, np.array(labels, np.uint8), np.arange(size))


def answers(of_else):
    """Return ``(n, 11)`` probabilities, given those of something else."""
    of_else = np.array(of_else)[:, np.newaxis]
    return np.hstack([np.repeat((1 - of_else) / 10, 10, axis=1), of_else])


def test_threshold_by_hand():
    labels = [*range(10), 3]
    of_else = np.arange(11) / 20  # 0, 0.05, … 0.5
    for unsure, threshold in ((0.0, 0.5), (0.2, 0.4), (0.5, 0.25), (1.0, 0.0)):
        found = fit_threshold(answers(of_else), validation_part(labels), unsure)
        assert found == pytest.approx(threshold), unsure
        assert (of_else > found).mean() <= unsure


def test_what_is_none_of_the_ten_does_not_move_the_threshold():
    labels = np.array([0, 10, 1, 10, 2, 10])
    of_else = np.array([0.1, 0.9, 0.2, 0.95, 0.3, 0.99])
    found = fit_threshold(answers(of_else), validation_part(labels), 0.5)
    assert found == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["test", "train"])
def test_threshold_of_another_part_is_refused(name):
    with pytest.raises(ValueError, match=f"expected the validation part .* got the {name} part"):
        fit_threshold(answers([0.1, 0.2]), validation_part([0, 1], name), 0.1)


def test_threshold_from_answers_to_others_is_refused():
    with pytest.raises(ValueError, match="probabilities of 2 validation garments, got 3 rows"):
        fit_threshold(answers([0.1, 0.2, 0.3]), validation_part([0, 1]), 0.1)


# The verdict


def test_each_class_is_called_by_its_name():
    for label, name in enumerate(NAMES):
        probabilities = np.full(11, 0.01, np.float32)
        probabilities[label] = 0.9
        answer = decide(probabilities, 0.5, NAMES)
        assert (answer.predicted, answer.verdict) == (name, name)
        assert answer.confidence == pytest.approx(0.9) and isinstance(answer.confidence, float)


def test_something_else_is_never_predicted():
    probabilities = np.full(11, 0.02)
    probabilities[4], probabilities[10] = 0.12, 0.7
    answer = decide(probabilities, 0.5, NAMES)
    assert answer == ("Coat", 0.12, UNSURE)


def test_unsure_above_the_threshold_not_at_it():
    probabilities = np.full(11, 0.05, np.float32)
    probabilities[8], probabilities[10] = 0.3, 0.25
    assert decide(probabilities, 0.25, NAMES).verdict == "Bag"
    assert decide(probabilities, 0.26, NAMES).verdict == "Bag"
    assert decide(probabilities, 0.24, NAMES) == ("Bag", pytest.approx(0.3), UNSURE)


# The store; what is trained is a network of one layer here, which takes no time


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Return a store whose ``trainings`` are counted; ``ask`` for the network of a recipe."""
    folder = tmp_path / "models"
    monkeypatch.setenv("GARMENT_MODELS", str(folder))
    monkeypatch.setattr(data, "load_garments", lambda: None)
    store = types.SimpleNamespace(folder=folder, trainings=0, said=[])

    def train(recipe, garments, say):
        store.trainings += 1
        return one_layer()

    def ask(recipe=RECIPE):
        store.said.clear()
        return photo_network.load_or_train(recipe, store.said.append)

    monkeypatch.setattr(photo_network, "train", train)
    store.ask = ask
    return store


def one_layer(classes=11, layer=None):
    layers = [keras.Input((28, 28)), keras.layers.Flatten(), layer or keras.layers.ReLU()]
    model = keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
    return PhotoNetwork(model, PixelScale("standardized", 72.5, 90.25), threshold=1 / 3)


def test_what_was_stored_is_returned_digit_by_digit(store):
    one, two = store.ask(), store.ask()
    assert store.trainings == 1 and not store.said
    assert (two.scale, two.threshold) == (one.scale, one.threshold)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    np.testing.assert_array_equal(two.probabilities(pictures), one.probabilities(pictures))


def test_a_folder_that_is_not_there_is_made(store):
    assert not store.folder.exists()
    store.ask()
    assert len(list(store.folder.iterdir())) == 2


@pytest.mark.parametrize("name", RECIPE)
def test_every_part_of_the_recipe_is_in_the_key(store, name):
    store.ask()
    store.ask({**RECIPE, name: RECIPE[name] / 2})
    assert store.trainings == 2
    store.ask(dict(reversed(RECIPE.items())))  # the order is not
    assert store.trainings == 2


def edited(module, folder):
    """Return a module like this one whose source has a line more."""
    path = folder / Path(module.__file__).name
    path.write_text(Path(module.__file__).read_text("utf-8") + "\nEDITED = True\n", "utf-8")
    specification = importlib.util.spec_from_file_location(f"edited_{path.stem}", path)
    copy = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize("module", [distortions, shapes], ids=["distortions", "shapes"])
def test_the_source_of_the_distortions_is_in_the_key(store, monkeypatch, tmp_path, module):
    store.ask()
    name = module.__name__.rpartition(".")[2]
    monkeypatch.setattr(photo_network, name, edited(module, tmp_path))
    store.ask()
    assert store.trainings == 2


def test_the_network_and_the_training_are_in_the_key(store, monkeypatch):
    store.ask()
    monkeypatch.setattr(models, "build_compact", models.build_one_fifty_ten)
    store.ask()
    assert store.trainings == 2

    def train(recipe, garments, say):
        store.trainings += 1
        return one_layer()  # in another way

    monkeypatch.setattr(photo_network, "train", train)
    store.ask()
    assert store.trainings == 3


def test_the_versions_are_in_the_key(store, monkeypatch):
    store.ask()
    monkeypatch.setattr(photo_network.tf, "__version__", "0.0.0")
    store.ask()
    assert store.trainings == 2


def cut(path):
    path.write_bytes(path.read_bytes()[:1_000])


def empty(path):
    path.write_bytes(b"")


def without_notes(path):
    path.with_suffix(".json").unlink()


def with_half_the_notes(path):
    notes = path.with_suffix(".json")
    notes.write_text(notes.read_text()[:40])


def with_notes(path, **changes):
    notes = path.with_suffix(".json")
    notes.write_text(json.dumps({**json.loads(notes.read_text()), **changes}))


def with_classes_in_another_order(path):
    with_notes(path, classes=[*sorted(NAMES), ELSE])


def with_something_else_first(path):
    with_notes(path, classes=[ELSE, *NAMES])


def with_another_network(path):
    one_layer(classes=10).model.save(path)


def with_code_in_it(path):
    one_layer(layer=keras.layers.Lambda(lambda pixels: pixels)).model.save(path)


DAMAGES = {
    cut: "accessible `.keras` zip file",
    empty: "accessible `.keras` zip file",
    without_notes: "No such file",
    with_half_the_notes: "Unterminated string",
    with_classes_in_another_order: f"its classes are {sorted(NAMES)[0]}",
    with_something_else_first: "its classes are something else, T-shirt/top",
    with_another_network: "outputs of shape (None, 10)",
    with_code_in_it: "Lambda",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_cannot_be_used_is_reported_in_one_sentence_and_replaced(store, damage):
    store.ask()
    (path,) = store.folder.glob("*.keras")
    damage(path)
    store.ask()
    assert store.trainings == 2
    sentence = store.said[0]
    assert sentence.startswith(f"{path.name} cannot be used (") and "\n" not in sentence
    assert DAMAGES[damage] in sentence and sentence.endswith("training it again")
    assert str(store.folder) not in sentence
    store.ask()
    assert store.trainings == 2 and not store.said


def test_names_are_kept_beside_the_network_in_their_order(store):
    store.ask()
    (path,) = store.folder.glob("*.json")
    assert json.loads(path.read_text())["classes"] == [*NAMES, "something else"]


def fail_halfway(error):
    def save(path):
        Path(path).write_bytes(b"half")
        raise error

    return save


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(store, monkeypatch, error):
    network = one_layer()
    monkeypatch.setattr(network.model, "save", fail_halfway(error))
    monkeypatch.setattr(photo_network, "train", lambda recipe, garments, say: network)
    with contextlib.suppress(KeyboardInterrupt):
        store.ask()
        assert "cannot be kept (No space left on device)" in store.said[1]
    assert [path.suffix for path in store.folder.iterdir()] == [".json"]


def test_what_cannot_be_kept_is_of_use_all_the_same(store):
    store.folder.write_text("a file where the folder should be")
    assert store.ask().threshold == 1 / 3
    assert len(store.said) == 2 and "cannot be kept" in store.said[1]
    assert str(store.folder.parent) not in store.said[1]
    store.ask()
    assert store.trainings == 2
