"""What is said of a trained network holds: every picture belongs to its unit, class and place."""

import numpy as np
import pytest

from garment_utils import data, evaluation, inspection, keras, models, training
from garment_utils.preprocessing import PixelScale

RNG = np.random.default_rng(0)
DIVIDED = PixelScale("divided", 0.0, 255.0)


def part_of(images, labels, name="train"):
    return data.Split(name, images, np.array(labels, np.uint8), np.arange(len(labels)))


def with_random_weights(build):
    """Return a network whose biases are random too; a new one has zeros there."""
    training.make_repeatable(0)
    model = build()
    model.set_weights([RNG.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    return model


def corner_model():
    """Return a network that says class 3 where the upper right corner is bright, else class 5."""
    model = models.build_linear()
    kernel, biases = np.zeros((28, 28, 10)), np.zeros(10)
    kernel[:3, 25:, 3], biases[5] = 1, 2
    model.set_weights([kernel.reshape(784, 10), biases])
    return model


def test_mean_garments_are_those_of_their_class():
    images = RNG.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    means = inspection.mean_garments(part_of(images, [*range(10)] * 3))
    assert means.shape == (10, 28, 28)
    np.testing.assert_allclose(means[4], (images[4] / 3 + images[14] / 3 + images[24] / 3))


def test_mean_garments_need_training_garments_of_every_class():
    images = np.zeros((9, 28, 28), np.uint8)
    with pytest.raises(ValueError, match="got none of class 6"):
        inspection.mean_garments(part_of(images, [0, 1, 2, 3, 4, 5, 7, 8, 9]))
    with pytest.raises(ValueError, match="got the test part"):
        inspection.mean_garments(part_of(images, range(9), "test"))


@pytest.mark.parametrize("build", [models.build_linear, models.build_four_four_ten])
def test_pictures_and_biases_give_what_the_units_receive(build):
    model = with_random_weights(build)
    pixels = RNG.random((3, 28, 28), dtype=np.float32)
    pictures, biases = inspection.first_layer(model)
    received = [[(unit * garment).sum() for unit in pictures] + biases for garment in pixels]
    np.testing.assert_allclose(received, training.pre_activations(model, pixels), atol=1e-4)


def test_only_a_dense_first_layer_makes_pictures():
    with pytest.raises(ValueError, match=r"got 'convolution_1' with weights of shape \(3, 3, 1"):
        inspection.first_layer(models.build_two_convolutions())
    with pytest.raises(ValueError, match="only a dense first layer"):
        inspection.first_layer(models.build_large())  # whose first layer has no biases


def test_correlations_by_hand():
    one = np.arange(784).reshape(28, 28)
    flat = np.where(one % 2 == 0, 1, -1) * np.where(one < 392, 1, -1)
    found = inspection.correlations([one, one, flat], [2 * one + 3, -one, one % 2])
    np.testing.assert_allclose(found, [1, -1, 0], atol=1e-12)
    with pytest.raises(ValueError):
        inspection.correlations([one], [one, one])


BUILDS = [
    models.build_linear,
    models.build_one_fifty_ten,
    models.build_two_convolutions,
    models.build_compact,
]


@pytest.mark.parametrize("build", BUILDS)
def test_softmax_of_the_scores_is_the_answer(build):
    training.make_repeatable(0)
    model, pixels = build(), RNG.random((4, 28, 28), dtype=np.float32)
    model.layers[-1].bias.assign(RNG.normal(size=10))  # a new network has zeros there
    scores = inspection.class_scores(model, pixels).numpy()
    np.testing.assert_allclose(evaluation.softmax(scores), model(pixels), atol=1e-5)


def test_scores_need_softmax_at_the_end():
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(name="the_end")])
    with pytest.raises(ValueError, match="one that ends in 'the_end'"):
        inspection.class_scores(model, np.zeros((1, 28, 28), np.float32))


def test_gradients_of_a_linear_network_are_its_weights():
    model = with_random_weights(models.build_linear)
    pixels = RNG.random((3, 28, 28), dtype=np.float32)
    gradients = inspection.score_gradients(model, pixels, [7, 2, 7])
    np.testing.assert_allclose(gradients, inspection.first_layer(model)[0][[7, 2, 7]], atol=1e-6)
    with pytest.raises(ValueError, match="one class for each picture, got 2 for 3 pictures"):
        inspection.score_gradients(model, pixels, [7, 2])


@pytest.mark.parametrize("build", BUILDS[1:])
def test_gradients_say_how_the_score_grows(build):
    """Against the definition: the picture a little along the gradient, and a little against it."""
    training.make_repeatable(0)
    model, pixels = build(), RNG.random((2, 28, 28), dtype=np.float32)
    gradients = inspection.score_gradients(model, pixels, [1, 6])
    length = np.sqrt((gradients**2).sum(axis=(1, 2), keepdims=True))
    along = 1e-3 * gradients / length
    up = inspection.class_scores(model, pixels + along).numpy()[[0, 1], [1, 6]]
    down = inspection.class_scores(model, pixels - along).numpy()[[0, 1], [1, 6]]
    np.testing.assert_allclose((up - down) / 2e-3, length.ravel(), rtol=0.05)


def test_liked_pictures_of_a_linear_network_are_known():
    """Each step adds the same share of the weights; what would be darker than black stays black."""
    model = with_random_weights(models.build_linear)
    wanted = inspection.first_layer(model)[0][[8, 1]]
    wanted = wanted / np.abs(wanted).max(axis=(1, 2), keepdims=True)
    liked = inspection.liked_pictures(model, [8, 1], steps=5, size=0.1)
    np.testing.assert_allclose(liked, np.clip(0.5 * wanted, 0, 1), atol=1e-5)
    assert liked.min() == 0
    assert inspection.liked_pictures(model, [8], steps=50, size=0.1).max() == 1


def test_liked_pictures_are_liked():
    model, classes = with_random_weights(models.build_one_fifty_ten), np.arange(10)
    scores = []
    for steps in (0, 3, 6):
        liked = inspection.liked_pictures(model, classes, steps=steps, size=0.1)
        scores.append(inspection.class_scores(model, liked).numpy()[classes, classes])
    assert (scores[0] < scores[1]).all() and (scores[1] < scores[2]).all()


def test_without_a_gradient_the_picture_stays_black():
    """A new network has no biases: all its units are silent at a black picture."""
    liked = inspection.liked_pictures(models.build_one_fifty_ten(), [0], steps=2, size=0.1)
    assert np.array_equal(liked, np.zeros((1, 28, 28)))


def test_patches_stand_around_their_pixel():
    image = RNG.integers(1, 255, (28, 28), dtype=np.uint8)
    before = image.copy()
    copies = inspection.occlude(image, 5, 255)
    assert copies.shape == (784, 28, 28) and copies.dtype == np.uint8
    for row, column in [(0, 0), (0, 27), (3, 20), (27, 11)]:
        covered = np.abs(np.arange(28) - row)[:, None] <= 2
        covered = covered & (np.abs(np.arange(28) - column) <= 2)
        copy = copies[28 * row + column]
        assert np.array_equal(copy == 255, covered)
        assert np.array_equal(copy[~covered], image[~covered])
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("shape", "size"), [((28, 28), 4), ((1, 28, 28), 5)])
def test_patches_need_one_image_and_a_middle(shape, size):
    with pytest.raises(ValueError, match="one image .28, 28. and an odd size"):
        inspection.occlude(np.zeros(shape, np.uint8), size, 0)


def test_occlusion_maps_have_rows_and_columns_where_the_garment_has_them():
    """Only the upper right corner matters: only patches that reach it take probability away."""
    image = np.full((28, 28), 255, np.uint8)
    table = inspection.occlusion_map(corner_model(), DIVIDED, image, 3, size=3)
    reaches = np.zeros((28, 28), bool)
    reaches[:4, 24:] = True
    assert np.array_equal(table > 1e-6, reaches)
    assert table.argmax() == 28 * 1 + 26  # the patch that covers the whole corner


def test_occlusion_maps_speak_of_the_class_they_are_asked_for():
    image, places = np.full((28, 28), 255, np.uint8), np.s_[1, 26]
    scores = np.zeros((2, 10))
    scores[0, 3], scores[:, 5] = 9, 2  # uncovered, and with a patch over the whole corner
    before, after = evaluation.softmax(scores)
    for label in (3, 5, 0):
        table = inspection.occlusion_map(corner_model(), DIVIDED, image, label, size=3)
        assert table[places] == pytest.approx(before[label] - after[label], abs=1e-5)
    brighter = inspection.occlusion_map(corner_model(), DIVIDED, image, 3, size=3, gray=255)
    np.testing.assert_allclose(brighter, 0, atol=1e-6)


def test_a_patch_turns_answers_over():
    bright, dark = np.full((28, 28), 255, np.uint8), np.zeros((28, 28), np.uint8)
    part = part_of(np.stack([bright, bright, dark, dark, bright]), [3, 5, 5, 3, 7])
    model, positions = corner_model(), [4, 0, 1, 2, 3]
    turned = inspection.turned_by_patch(model, DIVIDED, part, positions, size=3)
    assert turned.tolist() == [False, True, True, False, False]
    turned = inspection.turned_by_patch(model, DIVIDED, part, positions, size=3, gray=255)
    assert turned.tolist() == [False, False, False, True, True]
