"""What a trained network has learned: weights as pictures, liked pictures, occlusion maps."""

import numpy as np

from garment_utils.quiet_keras import keras, tf


def mean_garments(train):
    """Average the training garments of each class, pixel by pixel.

    Args:
        train: training part, a Split with garments of all ten classes.

    Returns:
        ``(10, 28, 28)`` float64, gray levels 0–255.

    Raises:
        ValueError: if the part is another one, or a class has no garment in it.
    """
    train.require("train")
    missing = np.setdiff1d(np.arange(10), train.labels)
    if len(missing):
        raise ValueError(
            f"expected training garments of all ten classes, got none of class {missing[0]}; "
            "take more images"
        )
    return np.stack([train.images[train.labels == label].mean(axis=0) for label in range(10)])


def first_layer(model):
    """Return what the first dense layer of a network has learned, its weights as pictures.

    Args:
        model: Keras classifier whose first layer with weights is dense and reads the pixels.

    Returns:
        weights ``(units, 28, 28)`` and biases ``(units,)``, both float32: a garment times the
        picture of a unit, pixel by pixel, added up, plus its bias is what the unit receives.

    Raises:
        ValueError: if the first layer with weights is another one.
    """
    layer = next(layer for layer in model.layers if layer.weights)
    kernel, *others = layer.get_weights()
    if kernel.shape[:-1] != (784,):
        raise ValueError(
            f"expected a first layer with a weight for each of 784 pixels, got {layer.name!r} "
            f"with weights of shape {kernel.shape}; only a dense first layer makes such pictures"
        )
    (biases,) = others
    return kernel.T.reshape(-1, 28, 28), biases


def correlations(pictures, others):
    """Return the correlation of each picture with its counterpart, over their pixels.

    Args:
        pictures, others: equally many arrays ``(28, 28)``, in the same order.

    Returns:
        list of floats: 1 if two pictures rise and fall together, -1 if one rises where the other
        falls, 0 if neither prevails.

    Raises:
        ValueError: if there are not equally many.
    """
    pairs = zip(pictures, others, strict=True)
    return [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]


def class_scores(model, pixels):
    """Return the ten sums that a classifier turns into probabilities, before softmax.

    Args:
        model: Keras classifier that ends in a dense layer of ten units with softmax.
        pixels: ``(n, 28, 28)`` float32, scaled for this model.

    Returns:
        ``(n, 10)`` TensorFlow tensor of float32, through which gradients flow.

    Raises:
        ValueError: if the model ends otherwise.
    """
    last = model.layers[-1]
    if getattr(last, "activation", None) is not keras.activations.softmax:
        raise ValueError(
            f"expected a classifier whose last layer ends in softmax, got one that ends in "
            f"{last.name!r}; the scores are the sums before softmax"
        )
    kernel, bias = last.weights
    return tf.matmul(keras.Model(model.inputs[0], last.input)(pixels), kernel) + bias


def score_gradients(model, pixels, labels):
    """Say for each pixel how fast the score of a class grows if the pixel gets brighter.

    Args:
        model: Keras classifier that ends in a dense layer with softmax.
        pixels: ``(n, 28, 28)`` float32, scaled for this model.
        labels: ``(n,)`` integers, the class whose score is meant, for each picture.

    Returns:
        ``(n, 28, 28)`` float32.

    Raises:
        ValueError: if there is not one class for each picture, or the model ends otherwise.
    """
    if len(pixels) != len(labels):
        raise ValueError(
            f"expected one class for each picture, got {len(labels)} for {len(pixels)} pictures"
        )
    pixels = tf.constant(pixels)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        scores = tf.gather(class_scores(model, pixels), labels, axis=1, batch_dims=1)
    return tape.gradient(scores, pixels).numpy()


def liked_pictures(model, labels, *, steps, size):
    """Change a black picture, step by step, into one that a class likes: gradient ascent.

    Source: Simonyan, Vedaldi and Zisserman (2014), Deep inside convolutional networks,
    arXiv:1312.6034, section 2; here without their penalty on bright pixels.

    Args:
        model: Keras classifier trained on pixels from 0 to 1 that ends in softmax.
        labels: ``(n,)`` integers, the classes to be liked by.
        steps: how many steps to make.
        size: by how much a step changes the pixel it changes most.

    Returns:
        ``(n, 28, 28)`` float32 from 0 to 1; black where the score has no gradient, as in a new
        network, whose hidden units are all silent at a black picture.
    """
    pixels = np.zeros((len(labels), 28, 28), dtype=np.float32)
    for _ in range(steps):
        gradients = score_gradients(model, pixels, labels)  # (n, 28, 28)
        largest = np.abs(gradients).max(axis=(1, 2), keepdims=True)
        pixels = np.clip(pixels + size * gradients / (largest + 1e-12), 0, 1)
    return pixels


def occlude(image, size, gray):
    """Copy a garment once for each of its pixels, with a square patch around that pixel.

    Args:
        image: ``(28, 28)`` uint8.
        size: side of the patch in pixels, odd; at the border the patch is cut off.
        gray: gray level of the patch, 0–255; 0 is the background.

    Returns:
        ``(784, 28, 28)`` uint8; copy 28·r + c has its patch around row r, column c.

    Raises:
        ValueError: if the image has another shape, or the size is even: the patch would have no
            pixel in its middle.
    """
    if image.shape != (28, 28) or size % 2 == 0:
        raise ValueError(
            f"expected one image (28, 28) and an odd size, got {image.shape} and {size}"
        )
    half = size // 2
    copies = np.repeat(image[None], 784, axis=0)  # (784, 28, 28)
    for copy, (row, column) in zip(copies, np.ndindex(28, 28), strict=True):
        copy[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1] = gray
    return copies


def occlusion_map(model, scale, image, label, *, size, gray=0):
    """Say for each place of a garment how much probability a class loses if it is covered there.

    Source: Zeiler and Fergus (2014), Visualizing and understanding convolutional networks,
    arXiv:1311.2901, section 4.2.

    Args:
        model: Keras classifier with probabilities as its output.
        scale: PixelScale it was trained on.
        image: ``(28, 28)`` uint8.
        label: the class whose probability is looked at.
        size, gray: the patch, as in ``occlude``.

    Returns:
        ``(28, 28)`` float32: probability without the patch minus probability with the patch
        around this pixel; negative where the patch makes the class more probable.

    Raises:
        ValueError: what ``occlude`` refuses, and images that are not uint8.
    """
    before = model(scale.apply(image[None])).numpy()[0, label]
    after = model(scale.apply(occlude(image, size, gray))).numpy()[:, label]  # (784,)
    return (before - after).reshape(28, 28)


def turned_by_patch(model, scale, part, positions, *, size, gray=0):
    """Say which answers a patch at some place turns over: wrong into right, or right into wrong.

    Args:
        model: Keras classifier with probabilities as its output.
        scale: PixelScale it was trained on.
        part: Split of garments.
        positions: ``(n,)`` integers, positions of garments in the part.
        size, gray: the patch, as in ``occlude``.

    Returns:
        ``(n,)`` bool.

    Raises:
        ValueError: what ``occlude`` refuses.
    """
    turned = []
    for position in positions:
        image, label = part.images[position], part.labels[position]
        pictures = np.concatenate([image[None], occlude(image, size, gray)])  # first uncovered
        right = model(scale.apply(pictures)).numpy().argmax(axis=1) == label
        turned.append((right != right[0]).any())
    return np.array(turned)
