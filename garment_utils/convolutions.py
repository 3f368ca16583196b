"""What a convolution does: slide a filter, pool, count; and the maps inside a trained network."""

import numpy as np


def convolve(picture, kernel, stride=1, padding=0):
    """Slide a kernel over a picture; at each place multiply, number by number, and add.

    The kernel is not flipped, as in all networks; mathematicians call this a cross-correlation.

    Args:
        picture: ``(height, width)`` numbers.
        kernel: ``(rows, columns)`` numbers, not larger than the padded picture.
        stride: steps of the kernel, in pixels, downward and to the right.
        padding: rows and columns of zeros that are added on each of the four sides.

    Returns:
        float64, along each side ``(size + 2 * padding - kernel's size) // stride + 1`` numbers.

    Raises:
        ValueError: other dimensions, or a kernel that does not fit into the picture.
    """
    picture = np.pad(picture.astype(float), padding)  # zeros all around
    if picture.ndim != 2 or kernel.ndim != 2 or min(np.subtract(picture.shape, kernel.shape)) < 0:
        shapes = f"{picture.shape}, padding included, and {kernel.shape}"
        raise ValueError(f"expected a 2-D picture and a 2-D kernel that fits into it, got {shapes}")
    height, width = kernel.shape
    rows = range(0, picture.shape[0] - height + 1, stride)
    columns = range(0, picture.shape[1] - width + 1, stride)
    sums = np.zeros((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = picture[row : row + height, column : column + width]
            sums[i, j] = (window * kernel).sum()
    return sums


def max_pool(picture, size=2):
    """Cut a picture into squares and keep the largest number of each.

    Args:
        picture: ``(height, width)`` numbers; rows and columns that fill no square are left out.
        size: side of the squares in pixels.

    Returns:
        ``(height // size, width // size)``, type as the picture.
    """
    height, width = picture.shape[0] // size, picture.shape[1] // size
    squares = picture[: height * size, : width * size].reshape(height, size, width, size)
    return squares.max(axis=(1, 3))  # of (rows, size, columns, size)


def convolution_parameters(height, width, channels_in, channels_out):
    """Return the number of weights and biases of a convolutional layer.

    Args:
        height, width: of each filter.
        channels_in: maps that come in, which is the depth of each filter.
        channels_out: filters, each with a bias; as many maps go out.
    """
    return (height * width * channels_in + 1) * channels_out


def feature_maps(model, layer_name, pixels):
    """Return what a layer inside a network makes of some pictures.

    Args:
        model: Keras model, trained or not.
        layer_name: name of a convolution, a pooling or another layer whose output is maps.
        pixels: ``(n, 28, 28)`` float32, scaled for this model.

    Returns:
        ``(n, height, width, channels)`` float32.

    Raises:
        ValueError: if the model has no such layer, or its output is no maps.
    """
    from garment_utils import keras  # takes longer to import than all the rest needs to run

    names = [layer.name for layer in model.layers if len(layer.output.shape) == 4]
    if layer_name not in names:
        raise ValueError(
            f"expected a layer with maps, one of {', '.join(names)}; got {layer_name!r}"
        )
    part = keras.Model(model.inputs[0], model.get_layer(layer_name).output)
    return part(pixels).numpy()


def strongest_windows(maps, size, count):
    """Find the pictures to which a map answers most, and where: one place in each picture.

    For maps made without padding and with stride 1, the answer at row r, column c comes from the
    pixels in rows r to r + size - 1 and columns c to c + size - 1.

    Args:
        maps: ``(n, height, width)``, one channel, for n pictures.
        size: side of the square of pixels that an answer depends on.
        count: how many pictures to find, at most n.

    Returns:
        list of ``(position, rows, columns)``, the strongest first: a position among the
        pictures, and two slices that cut the square out of it.
    """
    flat = maps.reshape(len(maps), -1)
    strongest = np.argsort(-flat.max(axis=1), kind="stable")[:count]
    found = []
    for position in strongest:
        row, column = np.unravel_index(flat[position].argmax(), maps.shape[1:])
        found.append((position, slice(row, row + size), slice(column, column + size)))
    return found
