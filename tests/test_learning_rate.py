"""The range test measures what it says and leaves no trace; the grid scores on validation."""

import numpy as np
import pandas as pd
import pytest

from garment_utils import learning_rate, training
from garment_utils.evaluation import cross_entropy
from garment_utils.models import build_four_four_ten, build_one_fifty_ten
from garment_utils.preprocessing import fit_scale
from garment_utils.quiet_keras import keras

BATCH = 64


@pytest.fixture(scope="module")
def train(garments):
    return garments.train.first(700)  # ten batches, and a rest that is left out


@pytest.fixture(scope="module")
def scale(train):
    return fit_scale("divided", train)


@pytest.fixture(autouse=True)
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("GARMENT_MODELS", str(tmp_path))


def new_model():
    training.make_repeatable(1)
    return build_one_fifty_ten()


def batches(train, scale, seed):
    order = np.random.default_rng(seed).permutation(len(train))
    for step in range(len(train) // BATCH):
        batch = order[step * BATCH : (step + 1) * BATCH]
        yield scale.apply(train.images[batch]), train.labels[batch]


def test_adam_step_is_that_of_keras():
    rng = np.random.default_rng(0)
    weights, mean, square = rng.normal(size=5), 0.0, 0.0
    variable = keras.Variable(weights)
    optimizer = keras.optimizers.Adam(0.01)
    for step in range(1, 6):
        gradient = rng.normal(size=5) * [1, 1, 1e-3, 1e-6, 0]  # tiny ones show where tiny is added
        weights, mean, square = learning_rate.adam_step(weights, gradient, mean, square, step, 0.01)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
    assert np.allclose(weights, variable.numpy(), atol=1e-6)


def test_adadelta_step_is_that_of_keras():
    rng = np.random.default_rng(0)
    weights, square, moved = rng.normal(size=4), 0.0, 0.0
    variable = keras.Variable(weights)
    optimizer = keras.optimizers.Adadelta(0.5)
    for _ in range(5):
        gradient = rng.normal(size=4) * [1, 1e-2, 1e-4, 0]
        weights, square, moved = learning_rate.adadelta_step(weights, gradient, square, moved, 0.5)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
    assert np.allclose(weights, variable.numpy(), atol=1e-6)


def test_walk_notes_how_far_the_weight_is_after_each_step():
    distances = learning_rate.walk(keras.optimizers.SGD(0.5), gradient=0.1, steps=3)
    assert distances == pytest.approx([0.05, 0.1, 0.15])


def test_one_cycle_rises_for_a_quarter_and_ends_at_zero():
    schedule = learning_rate.one_cycle(0.02, images=1000, epochs=3, batch_size=96)  # 33 steps
    rates = [float(schedule(step)) for step in range(34)]
    assert rates[0] == pytest.approx(0.02 / 25)
    assert np.argmax(rates) == 8
    assert max(rates) == pytest.approx(0.02)
    assert all(earlier > later for earlier, later in zip(rates[8:], rates[9:], strict=False))
    assert rates[33] == pytest.approx(0, abs=1e-9)


def test_weights_are_as_before(train, scale):
    model = new_model()
    before = model.get_weights()
    learning_rate.range_test(model, scale, train, batch_size=BATCH, seed=3)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_weights_are_as_before_even_if_it_is_interrupted(train, scale, monkeypatch):
    model = new_model()
    before = model.get_weights()
    calls = []

    def interrupt(images):
        calls.append(images)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return scale.apply(images)

    broken = type("Scale", (), {"apply": staticmethod(interrupt)})
    with pytest.raises(KeyboardInterrupt):
        learning_rate.range_test(model, broken, train, batch_size=BATCH, seed=3)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_each_loss_is_that_of_its_own_batch(train, scale):
    model = new_model()
    test = learning_rate.range_test(
        model, scale, train, batch_size=BATCH, seed=3, lowest=1e-12, highest=1e-11
    )  # the weights stand still
    expected = [cross_entropy(model(x).numpy(), y) for x, y in batches(train, scale, 3)]
    assert np.allclose(test["loss"], expected, rtol=1e-3)


def test_each_step_is_made_with_the_rate_beside_it(train, scale):
    test = learning_rate.range_test(
        new_model(), scale, train, batch_size=BATCH, seed=3, lowest=1e-4, highest=1e-1
    )
    assert list(test["step"]) == list(range(1, 11))
    assert test["learning_rate"].iloc[[0, -1]].tolist() == pytest.approx([1e-4, 1e-1])
    assert np.allclose(test["learning_rate"].pct_change()[1:], 10 ** (3 / 9) - 1)
    model, losses = new_model(), []
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    for rate, (pixels, labels) in zip(test["learning_rate"], batches(train, scale, 3), strict=True):
        losses.append(cross_entropy(model(pixels).numpy(), labels))
        model.optimizer.learning_rate.assign(rate)
        model.train_on_batch(pixels, labels)
    assert np.allclose(test["loss"], losses, rtol=1e-2)
    assert test["loss"].iloc[-1] != pytest.approx(test["loss"].iloc[0], rel=0.05)


def test_smoothed_losses_begin_with_the_first_and_lag_behind(train, scale):
    test = learning_rate.range_test(new_model(), scale, train, batch_size=BATCH, seed=3)
    assert test["smoothed"].iloc[0] == test["loss"].iloc[0]
    old, new = 0.9 * test["loss"].iloc[0], test["loss"].iloc[1]  # older losses count 0.9 as much
    assert test["smoothed"].iloc[1] == pytest.approx((old + new) / 1.9)


def test_only_training_images_are_used(garments, scale):
    for part in (garments.validation, garments.test):
        with pytest.raises(ValueError, match="expected the train part"):
            learning_rate.range_test(new_model(), scale, part, batch_size=BATCH, seed=3)


def test_too_few_images_are_refused(train, scale):
    with pytest.raises(ValueError, match="at least 2 batches of 512 images, got 700 images"):
        learning_rate.range_test(new_model(), scale, train, batch_size=512, seed=3)


def curve(losses):
    rates = np.geomspace(1e-5, 1.0, len(losses))
    return pd.DataFrame({"learning_rate": rates, "smoothed": losses})


def test_suggestion_is_nine_tenths_down():
    test = curve([3.0, 2.6, 2.2, 1.19, 1.0, 5.0])  # from 3 to 1: nine tenths down is 1.2
    assert learning_rate.suggest_rate(test) == pytest.approx(test["learning_rate"][3])


def test_a_loss_that_never_falls_gives_no_suggestion():
    with pytest.raises(ValueError, match="start at a smaller learning rate"):
        learning_rate.suggest_rate(curve([1.0, 2.0, 3.0]))


def test_grid_holds_validation_accuracies_by_rate_and_seed(garments, train, scale):
    validation = garments.validation.first(300)
    settings = {"epochs": 1, "batch_size": BATCH}
    table = learning_rate.grid(
        build_four_four_ten, scale, train, validation, rates=[0.1, 0.001], seeds=[5, 6], **settings
    )
    assert (list(table.index), list(table.columns)) == ([0.1, 0.001], [5, 6])
    trained = training.train_or_load(
        build_four_four_ten, scale, train, validation, seed=6, learning_rate=0.1, **settings
    )
    guesses = trained.model(scale.apply(validation.images)).numpy().argmax(axis=1)
    assert trained.loaded
    assert table.loc[0.1, 6] == pytest.approx((guesses == validation.labels).mean(), abs=1e-6)


def test_test_images_choose_no_rate(garments, train, scale):
    with pytest.raises(ValueError, match="expected the validation part"):
        learning_rate.grid(
            build_four_four_ten,
            scale,
            train,
            garments.test,
            rates=[0.1],
            seeds=[0],
            epochs=1,
            batch_size=BATCH,
        )
