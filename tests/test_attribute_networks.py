"""Networks for several labels learn what they should, from what they may."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from garment_utils import (
    attribute_labels,
    attribute_networks,
    keras,
    models,
    multilabel,
    preprocessing,
    training,
)
from garment_utils.data import Split
from garment_utils.evaluation import softmax
from garment_utils.quiet_keras import tf

# Without the validation pictures, and on features that stay as they are


def test_what_is_left_out_is_gone_and_the_rest_keeps_its_labels():
    images = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None], (5, 28, 28))
    split = Split("train", images, np.arange(5, dtype=np.uint8), np.array([40, 7, 12, 3, 9]))
    left = attribute_networks.without(split, [12, 40, 100])
    assert left.name == "train" and left.indices.tolist() == [7, 3, 9]
    assert left.labels.tolist() == left.images[:, 0, 0].tolist() == [1, 3, 4]


def test_no_validation_picture_of_the_attributes_is_trained_on(garments, ours, monkeypatch):
    seen = []

    def train_or_load(build, scale, train, validation, **settings):
        seen.append((scale, train))
        return SimpleNamespace(model=None)

    monkeypatch.setattr(training, "train_or_load", train_or_load)
    _, scale = attribute_networks.train_on_classes(garments, ours, seed=3)
    [(given, train)] = seen
    held, _ = attribute_labels.look_up(
        garments, ours.part("validation").sources, ours.part("validation").indices
    )
    learned = {image.tobytes() for image in train.images}
    assert not learned & {image.tobytes() for image in held}
    kept = ~np.isin(garments.train.indices, ours.part("validation").indices)
    assert len(train) == kept.sum() < len(garments.train)  # and nothing else is left out
    assert given == scale == preprocessing.fit_scale("standardized", train)


def test_features_are_what_the_last_layer_receives():
    network = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    pixels = np.random.default_rng(0).normal(size=(4, 28, 28)).astype(np.float32)
    found = attribute_networks.features(network, pixels)
    sums = found @ network.layers[-1].kernel.numpy() + network.layers[-1].bias.numpy()
    assert found.shape == (4, 5)
    assert np.allclose(softmax(sums), network(pixels).numpy(), atol=1e-5)
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    part = Split("validation", images, np.zeros(4, dtype=np.uint8), np.arange(4))
    scale = preprocessing.PixelScale("divided", 0.0, 255.0)
    assert np.array_equal(attribute_networks.inputs_of(part, scale), scale.apply(images))
    expected = attribute_networks.features(network, scale.apply(images))
    assert np.array_equal(attribute_networks.inputs_of(part, scale, network), expected)


HEADS = {"sleeve": 2, "fit": 3}
HEAD_TYPES = ("sleeve", "sleeve", "fit", "fit", "fit")
QUICK = {"epochs": 4, "batch_size": 16, "peak": 0.1}


def pictures_as_features(n=240, seed=0):
    """Return features far from zero, each in a unit of its own, that tell the labels."""
    rng = np.random.default_rng(seed)
    sleeve, fit = rng.integers(0, 2, n), rng.integers(0, 3, n)
    labels = np.concatenate([np.eye(2)[sleeve], np.eye(3)[fit]], axis=1).astype(np.int8)
    features = labels @ rng.normal(size=(5, 8)) + rng.normal(0, 0.1, (n, 8))
    return (features * 10.0 ** np.arange(-3, 5) + 100).astype(np.float32), labels


def probabilities_of(heads, features):
    return np.stack([head(features).numpy() for head in heads])


def test_heads_learn_each_type_from_features_of_any_size():
    features, labels = pictures_as_features()
    heads = attribute_networks.train_heads(features, labels, HEADS, seeds=[0, 1], **QUICK)
    found = probabilities_of(heads, features)
    assert found.shape == (2, 240, 5) and found.dtype == np.float32
    assert np.allclose(found[..., :2].sum(-1), 1) and np.allclose(found[..., 2:].sum(-1), 1)
    predicted = attribute_networks.predict_runs(heads, features, HEAD_TYPES)
    assert predicted.dtype == np.int8
    assert (multilabel.exact_match(labels, predicted) > 0.95).all()


def test_heads_depend_on_their_seed_and_on_nothing_else():
    features, labels = pictures_as_features()
    once, again, others = (
        probabilities_of(
            attribute_networks.train_heads(features, labels, HEADS, seeds=seeds, **QUICK), features
        )
        for seeds in ([0, 1], [0, 1], [5, 6])
    )
    assert np.array_equal(once, again)
    assert not np.allclose(once, others, atol=1e-3) and not np.allclose(*once, atol=1e-3)


def test_each_run_learns_from_its_own_rows_and_does_not_notice_the_others():
    _, labels = pictures_as_features()
    nothing = np.random.default_rng(1).normal(size=(240, 8)).astype(np.float32)  # tells no label
    means = []  # (runs, values) for each kind of sleeve
    for k in (0, 1):
        rows = np.stack([np.arange(240), np.resize(np.flatnonzero(labels[:, k]), 240)])
        heads = attribute_networks.train_heads(
            nothing, labels, HEADS, seeds=[0, 1], rows=rows, **QUICK
        )
        means.append(probabilities_of(heads, nothing).mean(axis=1))
    assert np.allclose(means[0][0], means[1][0], atol=1e-5)  # whatever the second run learns from
    assert (abs(means[0][0][:2] - 0.5) < 0.2).all()
    assert means[0][1][0] > 0.9 and means[1][1][1] > 0.9  # it knows one kind of sleeve alone


def test_weights_inside_the_loss_reach_the_heads():
    _, labels = pictures_as_features()
    nothing = np.random.default_rng(1).normal(size=(240, 8)).astype(np.float32)  # tells no label
    heavy = attribute_networks.CrossentropyPerType(weights=[1, 20, 1, 1, 20])
    [head] = attribute_networks.train_heads(nothing, labels, HEADS, seeds=[0], loss=heavy, **QUICK)
    assert (head(nothing).numpy().mean(axis=0)[[1, 4]] > 0.8).all()


def test_whole_networks_get_pictures_labels_and_seed_of_their_run(monkeypatch):
    calls = []

    def train_or_load(build, scale, train, validation, **settings):
        calls.append((build().output.shape, scale, train, validation, settings))
        return SimpleNamespace(model=len(calls))

    monkeypatch.setattr(training, "train_or_load", train_or_load)
    _, labels = pictures_as_features(6)
    images = np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None], (6, 28, 28))
    split = Split("train", images, labels, np.arange(6) + 10)
    validation = Split("validation", images, labels, np.arange(6) + 20)
    rows = np.array([[0, 0, 5], [1, 2, 3]])
    loss = attribute_networks.CrossentropyPerType(focus=2)
    networks = attribute_networks.train_whole(
        split, validation, "scale", HEADS, seeds=[4, 5], rows=rows, loss=loss, **QUICK
    )
    assert networks == [1, 2]
    for seed, own, (shape, scale, train, given, settings) in zip([4, 5], rows, calls, strict=True):
        assert shape == (None, 5) and scale == "scale" and given is validation
        assert train.name == "train" and np.array_equal(train.labels, labels[own])
        assert (train.images[:, 0, 0] == own).all() and (train.indices == own + 10).all()
        assert settings["seed"] == seed and settings["loss"] is loss
        assert (settings["epochs"], settings["batch_size"]) == (4, 16)


# Networks from pixels, and their loss

# As ours: 23 values in six types, the first type with seven.
SIZES = {name: len(values) for name, values in attribute_labels.TYPES.items()}


def some_pixels(n=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 28, 28)).astype(np.float32)


def some_labels_and_probabilities(n=40, seed=0):
    """Return labels with one value a type, and probabilities that add up to 1 within each type."""
    rng = np.random.default_rng(seed)
    labels = [np.eye(k, dtype=np.int8)[rng.integers(0, k, n)] for k in SIZES.values()]
    probabilities = [rng.dirichlet(np.ones(k), n) for k in SIZES.values()]
    return np.concatenate(labels, axis=1), np.concatenate(probabilities, axis=1).astype(np.float32)


def by_type(array):
    return np.split(array, np.cumsum(list(SIZES.values()))[:-1], axis=1)


def test_a_single_classifier_has_a_sigmoid_for_each_value():
    training.make_repeatable(0)
    network = models.build_single(23)
    scores = network(some_pixels()).numpy()
    assert scores.shape == (8, 23) and network.layers[-1].activation is keras.activations.sigmoid
    assert not np.allclose([part.sum(axis=1) for part in by_type(scores)], 1, atol=0.05)


@pytest.mark.parametrize("build", [models.build_per_type, models.build_separate])
def test_the_heads_of_a_network_add_up_to_one_in_the_order_of_the_types(build):
    network = build(SIZES)
    probabilities = network(some_pixels()).numpy()
    assert probabilities.shape == (8, 23)
    assert np.allclose([part.sum(axis=1) for part in by_type(probabilities)], 1, atol=1e-5)
    # A bias moves the value it belongs to, and no other type.
    for place, name in enumerate(SIZES):
        head = network.get_layer(name)
        head = head if isinstance(head, keras.layers.Dense) else head.get_layer(name)
        head.bias.assign([9.0] + [0.0] * (SIZES[name] - 1))
        first = np.array([part[:, 0].min() > 0.9 for part in by_type(network(some_pixels()))])
        assert first[: place + 1].all() and not first[place + 1 :].any()


def test_trunk_and_heads_have_the_parameters_counted_by_hand():
    trunk = (4 * 4 * 24 + 24) + (9 * 24 * 48 + 4 * 48) + (9 * 48 * 96 + 4 * 96)
    heads = 23 * (96 + 1)
    assert models.build_single(23).count_params() == trunk + heads
    assert models.build_per_type(SIZES).count_params() == trunk + heads
    assert models.build_separate(SIZES).count_params() == 6 * trunk + heads


def test_separate_networks_share_no_weight():
    network = models.build_separate(SIZES)
    training.compile_classifier(network, loss=attribute_networks.CrossentropyPerType())
    labels = np.zeros((8, 23), dtype=np.int8)
    labels[:, 0] = 1  # a label of the first type and of no other: the others have no loss

    def filters():
        trunks = [network.get_layer(name) for name in SIZES]
        return [trunk.get_layer("convolution_1").get_weights()[0] for trunk in trunks]

    before = filters()
    network.train_on_batch(some_pixels(), labels)
    same = [np.array_equal(*pair) for pair in zip(before, filters(), strict=True)]
    assert same == [False, True, True, True, True, True]


def test_pictures_are_mirrored_in_training_alone():
    training.make_repeatable(0)
    network = models.build_single(23)
    answers = network(some_pixels())
    assert np.array_equal(answers, network(some_pixels()))
    assert np.allclose(answers, network.predict(some_pixels(), verbose=0), atol=1e-6)
    mirror = network.get_layer("mirror")
    pixels = some_pixels(64)[..., None]
    assert np.array_equal(mirror(pixels), pixels)
    seen = mirror(pixels, training=True).numpy()
    turned = np.array([not np.array_equal(a, b) for a, b in zip(seen, pixels, strict=True)])
    assert 10 < turned.sum() < 54
    assert np.array_equal(seen[turned], pixels[turned, :, ::-1])  # left and right, not up and down


def test_the_loss_is_that_of_scikit_learn_added_over_the_types():
    labels, probabilities = some_labels_and_probabilities()
    loss = attribute_networks.CrossentropyPerType()
    of_each = loss.call(labels, probabilities).numpy()
    assert np.allclose(of_each, -np.log(probabilities[labels == 1]).reshape(-1, 6).sum(axis=1))
    pairs = zip(by_type(labels), by_type(probabilities.astype(float)), strict=True)
    expected = sum(log_loss(y, p / p.sum(axis=1, keepdims=True)) for y, p in pairs)
    assert float(loss(labels, probabilities)) == pytest.approx(expected, rel=1e-5)


def test_weights_and_focus_of_the_loss_by_hand():
    labels = np.array([[1, 0, 0, 1], [0, 1, 1, 0]])
    probabilities = np.array([[0.5, 0.5, 0.2, 0.8], [0.75, 0.25, 0.9, 0.1]], np.float32)
    logs = -np.log([[0.5, 0.8], [0.25, 0.9]])
    weights = [[2, 7], [3, 5]]  # of the values that are there
    surety = (1 - np.array([[0.5, 0.8], [0.25, 0.9]])) ** 2
    build = attribute_networks.CrossentropyPerType
    found = {
        "weighted": build(weights=np.array([2, 3, 5, 7], np.float32)).call(labels, probabilities),
        "focused": build(focus=2).call(labels, probabilities),
        "both": build(weights=[2, 3, 5, 7], focus=2).call(labels, probabilities),
    }
    assert np.allclose(found["weighted"], (logs * weights).sum(axis=1))
    assert np.allclose(found["focused"], (logs * surety).sum(axis=1), rtol=1e-4)
    assert np.allclose(found["both"], (logs * surety * weights).sum(axis=1), rtol=1e-4)


def test_a_certain_and_right_answer_pulls_at_nothing():
    for focus in (0.5, 2.0):
        sums = tf.Variable([[40.0, 0.0]])
        with tf.GradientTape() as tape:
            loss = attribute_networks.CrossentropyPerType(focus=focus)
            value = loss(np.array([[1, 0]]), tf.nn.softmax(sums))
        assert np.allclose(tape.gradient(value, sums), 0, atol=1e-3)


def test_a_probability_of_zero_has_a_finite_loss():
    loss = attribute_networks.CrossentropyPerType(focus=2)
    assert np.isfinite(float(loss(np.array([[1, 0]]), np.array([[0.0, 1.0]], np.float32))))


def test_a_saved_network_keeps_its_loss(tmp_path):
    loss = attribute_networks.CrossentropyPerType(weights=np.arange(1, 24) / 8, focus=1.5)
    network = models.build_separate(SIZES)
    training.compile_classifier(network, loss=loss)
    network.optimizer.build(network.trainable_variables)  # saved with it, as after a training
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    assert again.loss.get_config() == loss.get_config()
    assert again.loss.weights == (np.arange(1, 24) / 8).tolist() and again.loss.focus == 1.5
    assert np.array_equal(again(some_pixels()), network(some_pixels()))


# Borrowed networks: single heads, heads that start from zero, new heads on a trained network


def test_a_single_classifier_on_features_gives_each_value_its_own_probability():
    features, labels = pictures_as_features()
    [head] = attribute_networks.train_heads(features, labels, None, seeds=[0], **QUICK)
    found = head(features).numpy()
    assert not np.allclose(found[:, 2:].sum(axis=1), 1, atol=0.02)
    assert multilabel.exact_match(labels, multilabel.decode_per_type(found, HEAD_TYPES)) > 0.95


def test_heads_that_start_from_zero_keep_no_noise_of_their_start():
    """Features that no training picture has are constant in it, so nothing is learned of them."""
    features, labels = pictures_as_features(40)
    features = np.concatenate([features, np.zeros((40, 200), dtype=np.float32)], axis=1)
    other = features.copy()
    other[:, 8:] = np.random.default_rng(1).normal(size=(40, 200)) * 1e-4
    for start, kept in ((0.0, True), (0.05, False)):
        task = {"seeds": [0], "rows": np.arange(30)[None], "start": start, **QUICK}
        [head] = attribute_networks.train_heads(features, labels, HEADS, **task)
        assert np.allclose(head(other), head(features), atol=1e-4) == kept


def test_new_heads_leave_the_network_as_it_is_and_do_not_share_its_weights():
    network = models.build_compact()
    weights = [weight.copy() for weight in network.get_weights()]
    pixels = some_pixels()
    before = network(pixels).numpy()
    tuned = attribute_networks.put_heads_on(network, SIZES)
    assert tuned(pixels).shape == (len(pixels), 23)
    tuned.set_weights([weight + 1 for weight in tuned.get_weights()])
    assert all(map(np.array_equal, weights, network.get_weights()))
    assert np.array_equal(before, network(pixels).numpy())
    assert len(network.layers) == len(models.build_compact().layers)


def test_new_heads_get_the_features_of_the_trained_network():
    network = models.build_compact()
    rng = np.random.default_rng(0)  # not the weights that a new network would have
    network.set_weights([abs(rng.normal(size=w.shape)) * 0.1 for w in network.get_weights()])
    tuned = attribute_networks.put_heads_on(network, {"all": 3})
    head = next(layer for layer in tuned.layers if layer.output.shape == (None, 3))
    received = keras.Model(tuned.inputs[0], head.input)(some_pixels()).numpy()
    assert np.allclose(received, attribute_networks.features(network, some_pixels()), atol=1e-5)


def test_fewer_pictures_get_more_passes():
    calls = []

    def train(rows, epochs):
        calls.append((rows.shape, epochs))
        return epochs

    parts = {"few": np.zeros((2, 25), int), "all": np.zeros((2, 100), int)}
    assert attribute_networks.train_on_parts(train, parts, 10, 100) == {"few": 20, "all": 10}
    assert calls == [((2, 25), 20), ((2, 100), 10)]


def test_answers_of_each_part_come_from_its_own_models_and_inputs():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    part = Split("validation", images, np.zeros((4, 5), dtype=np.int8), np.arange(4))
    scale = preprocessing.PixelScale("divided", 0.0, 255.0)
    network = models.build_compact()
    seen = []

    def model(column):
        def answer(inputs):
            seen.append(inputs.shape)
            return keras.ops.tile(keras.ops.eye(5)[column] + keras.ops.eye(5)[0], (4, 1))

        return answer

    trained = {
        "heads": ({80: [model(2), model(3)]}, scale, network),
        "whole": ({80: [model(4)]}, scale, None),
    }
    answers = attribute_networks.predict_parts(trained, part, HEAD_TYPES)
    assert [one.shape for one in answers.values()] == [(2, 4, 5), (1, 4, 5)]
    assert answers["heads", 80].argmax(axis=-1).tolist() == [[0] * 4] * 2
    assert (answers["heads", 80][0, :, 2] == 1).all() and (answers["heads", 80][1, :, 3] == 1).all()
    assert (answers["whole", 80][0, :, 4] == 1).all()
    assert seen == [(4, 128), (4, 128), (4, 28, 28)]
