"""A second opinion on photographs: its words, its squares, and how two opinions become one."""

import cv2
import numpy as np
import pytest

from garment_utils import pretrained, second_opinion
from garment_utils.data import class_names
from garment_utils.second_opinion import DOUBT, SIDE, WORDS, ask, combine, cut_square

NAMES = class_names()
SANDAL, LOAFER, ROAD_SIGN = 774, 630, 919


class Words:
    """A network whose answers are given, and which keeps what it is asked."""

    def __init__(self, *answers):
        self.words = np.zeros((len(answers), 1000), dtype=np.float32)
        for row, answer in zip(self.words, answers, strict=True):
            row[list(answer)] = list(answer.values())

    def predict(self, pixels, **options):
        self.pixels = pixels
        return self.words


def test_every_class_has_words_and_no_word_two_classes():
    assert set(WORDS) == set(NAMES)
    numbers = [number for words in WORDS.values() for number in words]
    assert len(set(numbers)) == len(numbers) and max(numbers) < 1000


def test_words_are_added_up_to_classes_with_some_doubt():
    network = Words({SANDAL: 0.5, LOAFER: 0.2, 770: 0.1}, {ROAD_SIGN: 1.0})
    opinions = ask(network, np.zeros((2, SIDE, SIDE, 3), np.uint8))
    total = 0.8 + 10 * DOUBT
    assert opinions[0, NAMES.index("Sandal")] == pytest.approx((0.5 + DOUBT) / total)
    assert opinions[0, NAMES.index("Sneaker")] == pytest.approx((0.3 + DOUBT) / total)
    assert opinions[0, NAMES.index("Coat")] == pytest.approx(DOUBT / total)
    np.testing.assert_allclose(opinions[1], 0.1, rtol=1e-5)  # no word for a garment: no opinion


def test_it_is_asked_as_it_has_learned():
    network = Words({})
    ask(network, np.full((1, SIDE, SIDE, 3), 63, np.uint8))
    assert network.pixels.dtype == np.float32 and (network.pixels == -0.5).all()


def test_the_square_is_the_middle_and_keeps_aspect_and_colors():
    photo = np.zeros((600, 400, 3), np.uint8)
    photo[100:500] = 10, 120, 230
    square = cut_square(photo)
    assert square.shape == (SIDE, SIDE, 3) and square.dtype == np.uint8
    assert (square == (10, 120, 230)).all()
    assert (cut_square(photo.transpose(1, 0, 2)) == (10, 120, 230)).all()
    assert cut_square(photo[250:260, :7]).shape == (SIDE, SIDE, 3)


def test_two_opinions_are_multiplied_and_something_else_stays():
    probabilities = np.array([[0.5, 0.3, *[0.0] * 8, 0.2], [0.1, *[0.0] * 9, 0.9]])
    opinions = np.full((2, 10), 0.05)
    opinions[:, 1] = 0.55
    # 0.5 · 0.05 against 0.3 · 0.55 is 5 to 33; together they have what something else leaves.
    expected = [[0.8 * 5 / 38, 0.8 * 33 / 38, *[0.0] * 8, 0.2], [0.1, *[0.0] * 9, 0.9]]
    np.testing.assert_allclose(combine(probabilities, opinions), expected, rtol=1e-5)


def test_no_opinion_changes_nothing():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(11), 20)
    np.testing.assert_allclose(combine(probabilities, np.full((20, 10), 0.1)), probabilities, 1e-5)


def test_without_its_weights_it_is_left_out_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "is_installed", lambda name: False)
    assert second_opinion.load_network() is None
    assert (ask(None, np.zeros((3, SIDE, SIDE, 3), np.uint8)) == np.full((3, 10), 0.1, "f4")).all()
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == pretrained.how_to_install() + "\n"


@pytest.mark.skipif(not pretrained.is_installed(), reason=pretrained.how_to_install())
def test_the_words_mean_the_classes(garments, monkeypatch, tmp_path):
    """Even gray, coarse garments bring the words of a class to mind most often if they are it.

    Shirts and sandals are left out: of 28×28 pixels, the network makes nothing of them.
    """
    monkeypatch.setenv("GARMENT_MODELS", str(tmp_path))
    part = garments.validation.first(300)
    large = [cv2.resize(image, (SIDE, SIDE)) for image in part.images]
    opinions = ask(second_opinion.load_network(), np.stack([large] * 3, axis=-1))
    means = np.stack([opinions[part.labels == label].mean(axis=0) for label in range(10)])
    for label, name in enumerate(NAMES):
        if name not in ("Shirt", "Sandal"):
            assert means[:, label].argmax() == label, name
