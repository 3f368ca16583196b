"""The networks that label garments: what they learn from, what they answer, when they are kept."""

import itertools
import json

import numpy as np
import pytest

from garment_utils import (
    attribute_labels,
    attribute_networks,
    attribute_predictor,
    data,
    models,
    multilabel,
    pretrained,
)
from garment_utils.attribute_predictor import RECIPE, vary
from garment_utils.preprocessing import PixelScale
from garment_utils.quiet_keras import keras

TINY = {**RECIPE, "class_epochs": 1, "epochs": 8, "borrowed_epochs": 10, "borrowed_peak": 0.02}


def build_tiny(classes=10):
    """Build what trains in a second, with the layers that a trunk and a head need."""
    pixels = keras.Input((28, 28), name="pixels")
    x = keras.layers.Reshape((28, 28, 1))(pixels)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(pixels, keras.layers.Dense(classes, activation="softmax")(x), name="tiny")


def borrow_tiny(side):
    """Build what stands for the parts of a borrowed network: pixels from 0 to 255 → features."""
    assert side == TINY["borrowed_side"]
    pixels = keras.Input((28, 28), name="pixels")
    x = keras.layers.Rescaling(1 / 255)(keras.layers.Reshape((28, 28, 1))(pixels))
    first = keras.Model(pixels, keras.layers.AveragePooling2D(4)(x), name="first_part")
    halfway = keras.Input(first.output_shape[1:])
    x = keras.layers.Identity(name="features")(keras.layers.Flatten()(halfway))
    return first, keras.Model(halfway, x, name="rest")


def train_tiny(garments, ours, installed):
    """Train tiny networks, those with ImageNet's weights or our own.

    Returns:
        The model, its scale, and all that they learned from, in order: of each epoch of our own,
        how strongly the pictures were varied, and the pictures before; of a borrowed network 0,
        and what it got.
    """
    seen = []
    tune = attribute_predictor._tune

    def noted_tuning(recipe, rest, views, labels, sizes, rng):
        seen.append((0, views))
        return tune(recipe, rest, views, labels, sizes, rng)

    def noted(pictures, rng, strength):
        seen.append((strength, pictures))
        return vary(pictures, rng, strength)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build_large", build_tiny)
        patch.setattr(attribute_predictor, "vary", noted)
        patch.setattr(attribute_predictor, "_tune", noted_tuning)
        patch.setattr(pretrained, "is_installed", lambda: installed)
        patch.setattr(pretrained, "for_garments_in_two", borrow_tiny)
        labelled = ours.part("train")
        model, scale = attribute_predictor.train(TINY, garments, labelled, say=lambda text: None)
    return model, scale, seen


@pytest.fixture(scope="module")
def borrowed(garments, ours):
    return train_tiny(garments, ours, installed=True)


@pytest.fixture(scope="module")
def own(garments, ours):
    return train_tiny(garments, ours, installed=False)


@pytest.fixture(params=["borrowed", "own"])
def trained(request):
    return request.getfixturevalue(request.param)


def test_they_learn_attributes(garments, ours, trained):
    model, scale, _ = trained
    validation = attribute_labels.to_split(ours.part("validation"), garments)
    scores = model.predict(scale.apply(validation.images), verbose=0)
    answers = multilabel.decode_per_type(scores, ours.types)
    constant = multilabel.constant_prediction(ours.part("train"), len(validation))
    assert multilabel.macro_f1(validation.labels, answers) > 0.35
    assert multilabel.macro_f1(validation.labels, constant) < 0.25


def networks_of(model):
    """Return the networks that answer together."""
    networks = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return [network for network in networks if network.name != "first_part"]


def test_a_garment_and_its_mirror_image_get_one_answer(garments, trained):
    model, scale, _ = trained
    pixels = scale.apply(garments.validation.images[:20])
    np.testing.assert_allclose(
        model.predict(pixels[:, :, ::-1], verbose=0), model.predict(pixels, verbose=0), atol=1e-6
    )


def test_borrowed_networks_learn_attributes_from_pixels_as_they_are(garments, ours, borrowed):
    model, scale, _ = borrowed
    validation = attribute_labels.to_split(ours.part("validation"), garments)
    pictures = validation.images
    first = model.get_layer("first_part")
    views = [first.predict(view, verbose=0) for view in (pictures, pictures[:, :, ::-1])]
    networks = networks_of(model)
    assert len(networks) == TINY["borrowed_networks"] == 3
    scores = [network.predict(view, verbose=0) for network in networks for view in views]
    for of_one, of_mirrored in zip(scores[::2], scores[1::2], strict=True):
        answers = multilabel.decode_per_type(of_one, ours.types)
        assert multilabel.macro_f1(validation.labels, answers) > 0.35
        assert not np.allclose(of_one, of_mirrored, atol=1e-3)  # it does see a difference
    # All networks and both views count the same.
    together = model.predict(scale.apply(pictures), verbose=0)
    np.testing.assert_allclose(together, np.mean(scores, axis=0), atol=1e-5)


def test_no_two_borrowed_networks_are_the_same(borrowed):
    weights = [network.get_weights()[0] for network in networks_of(borrowed[0])]
    for one, other in itertools.combinations(weights, 2):
        assert not np.allclose(one, other, atol=1e-3)


def test_our_own_sees_both_views(garments, own):
    model, scale, _ = own
    pixels = scale.apply(garments.validation.images[:20])
    [network] = networks_of(model)
    scores = [network.predict(view, verbose=0) for view in (pixels, pixels[:, :, ::-1])]
    assert not np.allclose(*scores, atol=1e-3)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), np.mean(scores, 0), atol=1e-6)


def test_the_seed_makes_the_networks(garments, ours, monkeypatch):
    monkeypatch.setattr(pretrained, "is_installed", lambda: True)
    monkeypatch.setattr(pretrained, "for_garments_in_two", borrow_tiny)
    recipe = {**TINY, "borrowed_networks": 1, "borrowed_epochs": 1}
    pixels = garments.validation.images[:20].astype(np.float32)
    answers = []
    for seed in (1, 1, 2):
        model, _ = attribute_predictor.train(
            recipe, garments, ours.part("train"), say=lambda text: None, seed=seed
        )
        answers.append(model.predict(pixels, verbose=0))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.allclose(answers[0], answers[2], atol=1e-3)


def test_without_the_borrowed_weights_our_own_answers(garments, ours, monkeypatch):
    said = []
    monkeypatch.setattr(models, "build_large", build_tiny)
    monkeypatch.setattr(attribute_predictor, "_fit", lambda *arguments, **options: None)
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    model, _ = attribute_predictor.train(TINY, garments, ours.part("train"), said.append)
    assert said == [pretrained.how_to_install()]
    assert [network.name for network in networks_of(model)] == ["tiny_tuned"]


def test_classes_are_learned_without_the_garments_that_validate_attributes(garments, ours, own):
    for_classes = [pictures for strength, pictures in own[2] if strength == 0.5]
    assert len(for_classes) == TINY["class_epochs"]
    indices = ours.part("validation").indices
    kept = ~np.isin(garments.train.indices, indices)
    assert kept.sum() == 55_000 - 241
    for pictures in for_classes:
        np.testing.assert_array_equal(pictures, garments.train.images[kept])


def test_attributes_are_learned_from_the_garments_given_alone(garments, ours, own, borrowed):
    part = ours.part("train")
    expected, _ = attribute_labels.look_up(garments, part.sources, part.indices)
    for_attributes = [pictures for strength, pictures in own[2] if strength == 1]
    assert len(for_attributes) == TINY["epochs"]
    for pictures in for_attributes:
        np.testing.assert_array_equal(pictures, expected)

    first = borrowed[0].get_layer("first_part")
    views = [first.predict(view, verbose=0) for view in (expected, expected[:, :, ::-1])]
    for_borrowed = [seen for strength, seen in borrowed[2] if strength == 0]
    assert len(for_borrowed) == TINY["borrowed_networks"]
    for seen in for_borrowed:
        np.testing.assert_array_equal(seen, views)


def test_borrowed_networks_see_each_garment_from_both_sides(monkeypatch):
    # Two numbers stand for what the first part says of a garment and of its mirror image.
    epochs, labels = [], np.zeros((300, 23))
    seen = [np.full((300, 1, 1, 1), side) for side in (0, 1)]
    monkeypatch.setattr(attribute_networks, "put_heads_on", lambda network, sizes: network)

    def fit(network, draw, wanted, **steps):
        epochs.extend(draw().ravel() for _ in range(2))
        assert wanted is labels

    monkeypatch.setattr(attribute_predictor, "_fit", fit)
    attribute_predictor._tune(TINY, None, seen, labels, {}, np.random.default_rng(0))
    assert all(0.4 < epoch.mean() < 0.6 for epoch in epochs)
    assert (epochs[0] != epochs[1]).mean() > 0.4


def test_test_garments_are_refused(garments, ours, monkeypatch):
    monkeypatch.setattr(attribute_labels, "look_up", lambda *arguments: pytest.fail("it goes on"))
    with pytest.raises(ValueError, match="expected rows of the train or validation part alone"):
        attribute_predictor.train(TINY, garments, ours)


@pytest.fixture
def store(monkeypatch, tmp_path, garments):
    """Return what is said and trained while networks are asked for."""
    monkeypatch.setenv("GARMENT_MODELS", str(tmp_path))
    monkeypatch.setattr(data, "load_garments", lambda: garments)
    trainings, said = [], []

    def train(recipe, garments, attributes, say):
        trainings.append(set(attributes.parts))
        keras.utils.set_random_seed(0)
        pixels = keras.Input((28, 28))
        outputs = keras.layers.Dense(23, activation="sigmoid")(keras.layers.Flatten()(pixels))
        return keras.Model(pixels, outputs), PixelScale("standardized", 72.5, 90.25)

    monkeypatch.setattr(attribute_predictor, "train", train)
    return trainings, said, tmp_path


def test_once_trained_they_are_kept(store, garments):
    trainings, said, _ = store
    pictures = garments.validation.images[:9]
    first = attribute_predictor.predict(pictures, say=said.append)
    assert len(said) == 1 and "four to eight minutes" in said[0]
    second = attribute_predictor.predict(pictures, say=said.append)
    np.testing.assert_array_equal(second, first)
    assert trainings == [{"train", "validation"}] and len(said) == 1


def test_each_garment_gets_one_value_of_each_type(store, garments, ours):
    answers = attribute_predictor.predict(garments.validation.images[:50], say=store[1].append)
    for columns in attribute_labels.columns_of_types(ours.types).values():
        assert (answers[:, columns].sum(axis=1) == 1).all()


@pytest.mark.parametrize("name", RECIPE)
def test_every_part_of_the_recipe_is_in_the_key(store, name):
    attribute_predictor.load_or_train(RECIPE, store[1].append)
    attribute_predictor.load_or_train({**RECIPE, name: RECIPE[name] / 2}, store[1].append)
    assert len(store[0]) == 2


def test_networks_without_the_borrowed_one_are_others(store, monkeypatch):
    attribute_predictor.load_or_train(RECIPE, store[1].append)
    installed = pretrained.is_installed()
    monkeypatch.setattr(pretrained, "is_installed", lambda: not installed)
    attribute_predictor.load_or_train(RECIPE, store[1].append)
    assert len(store[0]) == 2


def test_the_labels_are_in_the_key(store, monkeypatch):
    attribute_predictor.load_or_train(RECIPE, store[1].append)
    folder = store[2] / "labels"
    folder.mkdir()
    text = (attribute_labels.LABEL_FOLDER / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("solid", "striped", 1))
    monkeypatch.setattr(attribute_labels, "LABEL_FOLDER", folder)
    attribute_predictor.load_or_train(RECIPE, store[1].append)
    assert len(store[0]) == 2


def test_networks_for_values_in_another_order_are_replaced(store):
    trainings, said, folder = store
    attribute_predictor.load_or_train(RECIPE, said.append)
    (notes,) = folder.glob("*.json")
    content = json.loads(notes.read_text())
    notes.write_text(json.dumps({**content, "values": content["values"][::-1]}))
    attribute_predictor.load_or_train(RECIPE, said.append)
    assert len(trainings) == 2 and "its values are loose, straight" in said[1]


def test_varied_garments_are_mirrored_half_the_time_and_else_close_to_themselves(garments):
    pictures = garments.validation.images[:400]
    before = pictures.copy()
    still = vary(pictures, np.random.default_rng(0), strength=0)
    np.testing.assert_array_equal(pictures, before)
    as_they_are = (still == pictures).all(axis=(1, 2))
    mirrored = (still == pictures[:, :, ::-1]).all(axis=(1, 2))
    assert (as_they_are | mirrored).all()
    assert 150 < as_they_are.sum() < 250

    varied = vary(pictures, np.random.default_rng(0), strength=1)
    assert varied.dtype == np.uint8 and varied.shape == pictures.shape
    assert (varied != pictures).any(axis=(1, 2)).all()
    brightness = varied.mean(axis=(1, 2)) / pictures.mean(axis=(1, 2))
    assert 0.9 < np.median(brightness) < 1.1 and brightness.std() > 0.1


def test_varied_garments_are_moved_within_two_pixels():
    dot = np.zeros((300, 28, 28), dtype=np.uint8)
    dot[:, 10:18, 10:18] = 100  # in the middle: turning and resizing keep its center
    varied = vary(dot, np.random.default_rng(0), strength=1).astype(float)
    weights = varied.sum(axis=(1, 2))
    for axis in (1, 2):
        centers = (varied.sum(axis=3 - axis) @ np.arange(28)) / weights - 13.5
        assert np.abs(centers).max() < 2.2 and np.abs(centers).max() > 1.5
