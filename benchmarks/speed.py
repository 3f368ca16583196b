"""How fast is it, beside what others wrote? ``make bench``, or some groups of it::

    python benchmarks/speed.py                  all groups but long and far; about an hour
    python benchmarks/speed.py dense search     these groups; the results of others stay
    python benchmarks/speed.py --table          no measurement: table, plot and README anew

Every run is a process of its own and the arms of a group take turns. Peers are trained as their
authors wrote them; the clock, ``time_fit``, is the same for them and for us. It runs from building
the network to the end of ``fit``: tracing counts; imports, data and pixel scales do not. Each run
goes to benchmarks/speed.csv as soon as it has ended. Nothing is chosen by what is measured here:
our recipes were chosen by validation images.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from garment_utils import results, series
from garment_utils.paths import DATA, NOTEBOOKS, ROOT, read_table, write_table, write_whole

TABLE = ROOT / "benchmarks" / "speed.csv"
PLOT = ROOT / "benchmarks" / "speed.png"
MEASURED = (
    "seconds",  # by the clock
    "processor_seconds",  # of all threads together
    "megabytes",  # most memory in use at once, imports and data included
    "images",  # trained on, or streamed
    "epochs",
    "batch_size",
    "parameters",
    "accuracy",  # on the test images
    "rate",  # the learning rate that was found
)
MACHINE = ("date", "processor", "cores", "gigabytes", "versions")
COLUMNS = ("group", "arm", "seed", *MEASURED, *MACHINE)


# ---- peers: each compiles its network and says how it is fitted ------------------------------
# Only verbose=0 is ours, for all arms alike; printing would cost them time.


def fashion_tech(keras):
    """FashionTech: 150 units, Keras' defaults."""
    model = dense(keras, 150)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, {"epochs": 10}


def tensorflow_tutorial(keras):
    """TensorFlow's tutorial "Basic classification": 128 units, no softmax."""
    model = dense(keras, 128, output=None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model, {"epochs": 10}


def garment_catalog(keras):
    """The garment catalog: two convolutions, with Adam, which its text leaves out."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, {"batch_size": 64, "epochs": 10, "validation_split": 0.1}


def course_sweep(validation, keras):
    """A course's search for a learning rate: one rate an epoch; it validates on test images."""
    model = dense(keras, 150)
    adam = keras.optimizers.Adam()
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * 10 ** (epoch / 20))
    return model, {"epochs": 40, "validation_data": validation, "callbacks": [schedule]}


def dense(keras, units, output="softmax"):
    """Return the network of a peer: one hidden layer of so many units, and ten outputs."""
    hidden = keras.layers.Dense(units, activation="relu")
    last = keras.layers.Dense(10, activation=output)
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), hidden, last])


def divided(images):
    """Return pixels as FashionTech, TensorFlow's tutorial and the course have them: float64."""
    return images / 255.0


def divided_with_channel(images):
    """Return pixels as the garment catalog has them: float32, with a channel."""
    return images.reshape(-1, 28, 28, 1).astype("float32") / 255


# ---- what a run measures; each function below is called in a fresh process -------------------


class Clock:
    """Measures what passes between its making and ``read``."""

    def __init__(self):
        """Start."""
        self.started, self.used = time.perf_counter(), time.process_time()

    def read(self):
        """Return seconds, processor seconds, and the most memory ever used by this process."""
        return {
            "seconds": time.perf_counter() - self.started,
            "processor_seconds": time.process_time() - self.used,
            "megabytes": most_memory(resource.RUSAGE_SELF),
        }


def time_fit(make, pixels, labels):
    """Build and fit a network; return the model, its history and what that took."""
    clock = Clock()
    model, options = make()
    history = model.fit(pixels, labels, verbose=0, **options)
    measured = clock.read()
    measured["parameters"] = model.count_params()
    measured["images"] = round(len(pixels) * (1 - options.get("validation_split", 0)))
    measured["epochs"] = options["epochs"]
    measured["batch_size"] = options.get("batch_size", 32)  # Keras' default
    return model, history.history, measured


def fit_peer(make, prepare, seed):
    """Fit a peer on all training images, as it does; score it on the test images."""
    from garment_utils import keras

    images, labels, test_images, test_labels = archives()
    pixels, test_pixels = prepare(images), prepare(test_images)
    keras.utils.set_random_seed(seed)
    model, _, measured = time_fit(partial(make, keras), pixels, labels)
    return {**measured, "accuracy": accuracy(model, test_pixels, test_labels)}


def fit_ours(name, seed, images=55_000, times=1, mirrored=False):
    """Fit a network with our recipe of this name, repeatably; score it on the test images.

    Fewer images come more often, so that the steps are as many; ``times`` multiplies the steps.
    With ``mirrored``, each epoch has the images and their mirror images.
    """
    import numpy as np

    from garment_utils import data, models, preprocessing, training

    recipe, garments = models.RECIPES[name], data.load_garments()
    recipe = recipe._replace(epochs=times * recipe.epochs * 55_000 // images)
    train, test = garments.train.first(images), garments.test
    scale = preprocessing.fit_scale(recipe.scale, train)
    pixels, labels = scale.apply(train.images), train.labels
    if mirrored:
        pixels = np.concatenate([pixels, pixels[:, :, ::-1]])  # (2n, 28, 28), left and right
        labels = np.concatenate([labels, labels])
    training.make_repeatable(seed)
    make = partial(compile_ours, recipe, len(pixels))
    model, _, measured = time_fit(make, pixels, labels)
    return {**measured, "accuracy": accuracy(model, scale.apply(test.images), test.labels)}


def compile_ours(recipe, images):
    """Compile the network of one of our recipes and say how it is fitted."""
    from garment_utils import learning_rate, training

    size = {"epochs": recipe.epochs, "batch_size": recipe.batch_size}
    rate = learning_rate.one_cycle(recipe.peak, images=images, **size)
    model = recipe.build()
    training.compile_classifier(model, rate, steps_per_execution=training.STEPS_PER_EXECUTION)
    return model, size


def search_peer(seed):
    """Search a learning rate as the course does; take that of the lowest training loss."""
    from garment_utils import keras

    images, labels, test_images, test_labels = archives()
    pixels, test_pixels = divided(images), divided(test_images)
    keras.utils.set_random_seed(seed)
    make = partial(course_sweep, (test_pixels, test_labels), keras)
    _, history, measured = time_fit(make, pixels, labels)
    rate = min(zip(history["loss"], history["learning_rate"], strict=True))[1]
    return {**measured, "rate": rate, "accuracy": accuracy_with(rate, 32, seed)}


def search_ours(seed):
    """Search a learning rate with a range test, as in notebook 04."""
    from garment_utils import data, learning_rate, models, preprocessing, training

    train = data.load_garments().train
    scale = preprocessing.fit_scale("divided", train)
    training.make_repeatable(seed)
    batch_size = 256
    clock = Clock()
    model = models.build_one_fifty_ten()
    test = learning_rate.range_test(model, scale, train, batch_size=batch_size, seed=seed)
    rate = learning_rate.suggest_rate(test)
    measured = clock.read()
    measured |= {"parameters": model.count_params(), "images": len(train)}
    measured |= {"epochs": 1, "batch_size": batch_size, "rate": rate}
    return {**measured, "accuracy": accuracy_with(rate, batch_size, seed)}


def accuracy_with(rate, batch_size, seed):
    """Return the accuracy after ten epochs with a rate, in the batches it was found for.

    Not part of a search and not timed, so that here the peer may have our settings too.
    """
    from garment_utils import data, keras, training

    garments = data.load_garments()
    train, test = garments.train, garments.test
    keras.utils.set_random_seed(seed)
    model = dense(keras, 150)
    training.compile_classifier(model, rate, steps_per_execution=training.STEPS_PER_EXECUTION)
    model.fit(divided(train.images), train.labels, epochs=10, batch_size=batch_size, verbose=0)
    return accuracy(model, divided(test.images), test.labels)


def accuracy(model, pixels, labels):
    """Return the share of labels that a model finds."""
    return float((model.predict(pixels, verbose=0).argmax(axis=1) == labels).mean())


def archives():
    """Return the 60,000 training and 10,000 test images and labels as they are in the archives."""
    import numpy as np

    from garment_utils import data

    garments = data.load_garments()
    parts = garments.train, garments.validation
    order = np.argsort(np.concatenate([part.indices for part in parts]))
    images = np.concatenate([part.images for part in parts])[order]
    labels = np.concatenate([part.labels for part in parts])[order]
    return images, labels, garments.test.images, garments.test.labels


def most_memory(whose):
    """Return the largest memory of a process ever, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(whose).ru_maxrss * unit / 1e6)


def load_ours(seed):
    """Read the archives, with their checksums, and split them."""
    from garment_utils.data import load_garments

    return stopwatch(load_garments)


def load_peer(seed):
    """Read the same archives with Keras' loader, from its cache."""
    from garment_utils import keras

    return stopwatch(keras.datasets.fashion_mnist.load_data)


def start_python(code, seed):
    """Start Python and execute a line of code."""
    return stopwatch(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def start_kernel(code, seed):
    """Start a notebook's kernel and execute a first cell, up to its result."""
    from jupyter_client.manager import start_new_kernel

    def first_result():
        kernel, client = start_new_kernel(kernel_name="python3")
        reply = client.execute_interactive(code, output_hook=lambda message: None, timeout=300)
        assert reply["content"]["status"] == "ok", reply["content"]
        return kernel, client

    kernels = []
    measured = stopwatch(lambda: kernels.append(first_result()))
    for kernel, client in kernels:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    return measured


def run_notebook(stem, seed):
    """Execute a notebook of the series with its defaults, with nothing trained before.

    What is measured is its memory; each run of the series tells how long its notebooks take.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "garment_utils.run", NOTEBOOKS / f"{stem}.ipynb", f"{folder}/{stem}.ipynb"]
        environment = {**os.environ, "GARMENT_MODELS": folder}
        subprocess.run([sys.executable, *command], check=True, env=environment)
    # The largest of all processes below this one: the notebook's kernel.
    return {"megabytes": most_memory(resource.RUSAGE_CHILDREN)}


def stream_rows(rows, seed):
    """Stream so many rows of the coarse layout once, from the same 2,000 pictures.

    The memory is that of the whole process, in which the tables are read too; the time is that
    of the stream.
    """
    from garment_utils import deepfashion

    with tempfile.TemporaryDirectory() as folder:
        write_coarse(Path(folder), rows, seed)
        found = deepfashion.read_coarse(folder)
        clock = Clock()
        images = 0
        for pictures, _ in deepfashion.stream(
            found, size=28, batch_size=256, channels=1, seed=seed
        ):
            images += len(pictures)
        measured = clock.read()
    return {**measured, "images": images, "epochs": 1, "batch_size": 256}


def write_coarse(folder, rows, seed):
    """Write DeepFashion's coarse layout: 1,000 values, as good as all -1, and 2,000 pictures.

    Each further 2,000 rows name the folder of the pictures by another name, a link.
    """
    import numpy as np

    from garment_utils.quiet_keras import tf

    rng = np.random.default_rng(seed)
    tables, pictures = folder / "Anno_coarse", folder / "Img" / "img" / "item_000"
    for made in (tables, folder / "Eval", pictures):
        made.mkdir(parents=True)
    # Only the first garments: all of them at once would be the most memory of a small run.
    with gzip.open(DATA / "fashion-mnist" / "train-images-idx3-ubyte.gz") as archive:
        pixels = archive.read(16 + 2_000 * 28 * 28)[16:]
    for number, image in enumerate(np.frombuffer(pixels, dtype=np.uint8).reshape(-1, 28, 28)):
        packed = tf.io.encode_png(image[..., None]).numpy()
        (pictures / f"img_{number:08d}.png").write_bytes(packed)
    for item in range(1, -(-rows // 2_000)):
        (pictures.parent / f"item_{item:03d}").symlink_to(pictures)

    def labels():
        cells = ["-1"] * 1_000
        for place in rng.integers(1_000, size=3):
            cells[place] = "1"
        return " ".join(cells)

    files = {
        tables / "list_attr_img.txt": ("attribute_labels", labels),
        tables / "list_bbox.txt": ("x_1 y_1 x_2 y_2", lambda: "000 000 028 028"),
        tables / "list_category_img.txt": ("category_label", lambda: "1"),
        folder / "Eval" / "list_eval_partition.txt": ("evaluation_status", lambda: "train"),
    }
    for path, (header, cells) in files.items():
        with path.open("w", encoding="utf-8") as file:
            file.write(f"{rows}\nimage_name {header}\n")
            for row in range(rows):
                item, number = divmod(row, 2_000)
                file.write(f"img/item_{item:03d}/img_{number:08d}.png {cells()}\n")
    values = "".join(f"value {number}  {number % 5 + 1}\n" for number in range(1_000))
    listing = f"1000\nattribute_name  attribute_type\n{values}"
    (tables / "list_attr_cloth.txt").write_text(listing, encoding="utf-8")


def stopwatch(work):
    """Return how long a function without arguments takes."""
    start = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start}


# ---- the arms --------------------------------------------------------------------------------

OUR_FIRST_RESULT = """
from garment_utils import data, models, preprocessing
garments = data.load_garments()
scale = preprocessing.fit_scale("divided", garments.train)
model = models.build_one_fifty_ten()
model.predict(scale.apply(garments.test.images[:1]), verbose=0)
"""
THEIR_FIRST_RESULT = """
import keras
(images, labels), (test_images, test_labels) = keras.datasets.fashion_mnist.load_data()
images, test_images = images / 255.0, test_images / 255.0
layers = [keras.layers.Flatten(), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)]
model = keras.Sequential([keras.Input((28, 28)), *layers])
model.predict(test_images[:1], verbose=0)
"""
OUR_KERAS = "from garment_utils import keras"
ALONE = "to a prediction, Keras alone"
TECH, CATALOG = "FashionTech", "garment catalog"
SWEEP = "sweep of 40 epochs, 150 units"


class Arm(NamedTuple):
    """One thing that is measured ``runs`` times, with the seeds 0, 1, …"""

    group: str
    name: str
    measure: Callable[[int], dict]
    runs: int
    beside: str = ""  # the arm it is compared with
    aim: int = 0  # to take at most one ``aim``-th of its time
    slack: float = 0  # by how much the accuracy may be below its accuracy


ARMS = [
    Arm("dense", TECH, partial(fit_peer, fashion_tech, divided), 3),
    Arm("dense", "TensorFlow tutorial", partial(fit_peer, tensorflow_tutorial, divided), 3),
    Arm("dense", "ours, 150 units", partial(fit_ours, "dense"), 5, TECH, aim=12),
    Arm("search", SWEEP, search_peer, 3),
    Arm("search", "our range test, 150 units", search_ours, 5, SWEEP, aim=50, slack=0.005),
    Arm("convolution", CATALOG, partial(fit_peer, garment_catalog, divided_with_channel), 3),
    Arm("convolution", "ours, compact", partial(fit_ours, "compact"), 5, CATALOG, aim=10),
    Arm("long", "ours, compact, 1,000 images", partial(fit_ours, "compact", images=1_000), 3),
    Arm("long", "ours, compact, 10,000 images", partial(fit_ours, "compact", images=10_000), 3),
    Arm("long", "ours, compact, three times as long", partial(fit_ours, "compact", times=3), 3),
    Arm("far", "ours, large", partial(fit_ours, "large", mirrored=True), 3),
    Arm("loading", "Keras' loader", load_peer, 5),
    Arm("loading", "load_garments", load_ours, 5, "Keras' loader"),
    Arm("import", "an empty Python", partial(start_python, "pass"), 5),
    Arm("import", "garment_utils", partial(start_python, "import garment_utils"), 5),
    Arm("import", "keras", partial(start_python, "import keras"), 5),
    Arm("import", "keras, from our package", partial(start_python, OUR_KERAS), 5, "keras"),
    Arm("kernel", ALONE, partial(start_kernel, THEIR_FIRST_RESULT), 5),
    Arm("kernel", "to a prediction", partial(start_kernel, OUR_FIRST_RESULT), 5, ALONE),
    *[
        Arm("streaming", f"{rows:,} rows", partial(stream_rows, rows), 3)
        for rows in (2_000, 20_000, 200_000)
    ],
    *[Arm("notebooks", stem, partial(run_notebook, stem), 1) for stem in series.stems()],
]
ALT = "Seconds, logarithmic, by group: the runs of ours and of the peer it is compared with."
GROUPS = list(dict.fromkeys(arm.group for arm in ARMS))
NOT_BY_DEFAULT = ("long", "far")


# ---- measuring -------------------------------------------------------------------------------


def bench(groups):
    """Measure groups of arms; each run is stored when it has ended."""
    read()  # a table that cannot be read is refused before anything is measured
    if os.getloadavg()[0] > 0.5:
        print(f"Something else is running (load {os.getloadavg()[0]:.1f}): times will be too long")
    with tempfile.TemporaryDirectory() as home:
        # Keras looks for the archives in its cache and must not download them; its settings are
        # the defaults, not those of whoever runs this.
        shutil.copytree(DATA / "fashion-mnist", Path(home) / "datasets" / "fashion-mnist")
        for group in groups:
            arms = [arm for arm in ARMS if arm.group == group]
            fresh = set()
            for seed in range(max(arm.runs for arm in arms)):
                for arm in arms:
                    if seed < arm.runs:
                        row = run_apart(arm, seed, home)
                        store(row)
                        fresh.add(key(row))
                        print(describe(row), flush=True)
            write([row for row in read() if row["group"] != group or key(row) in fresh])


def run_apart(arm, seed, home):
    """Run an arm in a process of its own; return its row."""
    command = [sys.executable, __file__, "--arm", arm.group, arm.name, "--seed", str(seed)]
    environment = {**os.environ, "KERAS_HOME": home, "KERAS_BACKEND": "tensorflow"}
    measured = result_of(command, environment, f"{arm.group}, {arm.name}, seed {seed}")
    return {"group": arm.group, "arm": arm.name, "seed": str(seed), **measured, **machine()}


def result_of(command, environment, name):
    """Run a command; return what the last line that it prints says, in JSON."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    """Return what times depend on, and the date."""
    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        names = found or names  # processors of ARM have no such line
    return {
        "date": date.today().isoformat(),
        "processor": names[0],
        "cores": os.cpu_count(),
        "gigabytes": round(psutil.virtual_memory().total / 1e9),
        "versions": results.versions(),
    }


def key(row):
    return row["group"], row["arm"], row["seed"]


def describe(row):
    text = f"{row['group']:<12} {row['arm']:<30} seed {row['seed']}"
    text += f"  {row['seconds']:8.3f} s" if "seconds" in row else f"  {row['megabytes']:,} MB"
    return text + (f"  accuracy {row['accuracy']:.4f}" if "accuracy" in row else "")


def read():
    """Return the rows of benchmarks/speed.csv, all values as text; none if there is no file."""
    return read_table(TABLE, COLUMNS)


def store(row):
    """Put a row in the place of the one of the same run, or at the end."""
    rows = {key(old): old for old in read()}
    row = {
        name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()
    }
    write({**rows, key(row): row}.values())


def write(rows):
    """Write benchmarks/speed.csv in the order of the arms, whole or not at all."""
    order = {(arm.group, arm.name): number for number, arm in enumerate(ARMS)}
    known = [row for row in rows if key(row)[:2] in order]
    known.sort(key=lambda row: (order[key(row)[:2]], int(row["seed"])))
    write_table(TABLE, COLUMNS, known)


# ---- the table and the plot of README.md -----------------------------------------------------


def summarize(rows):
    """Return what is told of each measured arm: group and arm → dict of medians and means."""
    summary = {}
    for arm in ARMS:
        of_arm = [row for row in rows if key(row)[:2] == (arm.group, arm.name)]
        if not of_arm:
            continue
        # Of a notebook, the memory alone is measured.
        seconds = [float(row["seconds"]) for row in of_arm if arm.group != "notebooks"]
        accuracies = [float(row["accuracy"]) for row in of_arm if row["accuracy"]]
        summary[arm.group, arm.name] = found = {
            "n": len(of_arm),
            "seconds": statistics.median(seconds) if seconds else None,
            "megabytes": max(
                (int(row["megabytes"]) for row in of_arm if row["megabytes"]), default=0
            ),
            "parameters": int(of_arm[0]["parameters"] or 0),
            "accuracy": statistics.mean(accuracies) if accuracies else None,
            "sd": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        }
        peer = summary.get((arm.group, arm.beside))
        if peer:
            found["ratio"] = found["seconds"] / peer["seconds"]
        if peer and arm.aim:
            exact = found["accuracy"] >= peer["accuracy"] - arm.slack
            found["met"] = exact and found["ratio"] <= 1 / arm.aim
            found["short"] = max(0, peer["accuracy"] - arm.slack - found["accuracy"])
    return summary


def table(rows):
    """Return the table of README.md as Markdown."""
    if not rows:
        return "Nothing has been measured yet: `make bench`.\n"
    summary = summarize(rows)
    lines = [
        f"Measured on {listed(rows, 'date')} with {listed(rows, 'versions')} on "
        f"{listed(rows, 'processor')}, {listed(rows, 'cores')} cores, "
        f"{listed(rows, 'gigabytes')} GB. Times are medians; ± is the standard deviation between "
        "runs that differ in their seed alone.",
        "",
        f"![{ALT}]({PLOT.relative_to(ROOT)})",
        "",
        results.table_row(
            "", "", "runs", "time", "compared with", "test accuracy", "memory", "aim"
        ),
        "|---" * 8 + "|",
    ]
    for arm in ARMS:
        found = summary.get((arm.group, arm.name))
        if not found or arm.group == "notebooks":
            continue
        lines.append(
            results.table_row(
                arm.group,
                arm.name,
                str(found["n"]),
                _time(found["seconds"]),
                f"{_ratio(found['ratio'])} of {arm.beside}" if "ratio" in found else "",
                _accuracy(found),
                f"{found['megabytes']:,} MB" if found["megabytes"] else "",
                _aim(arm, found) if "met" in found else "",
            )
        )
    notebooks = {name: found for (group, name), found in summary.items() if group == "notebooks"}
    if notebooks:
        most = max(notebooks, key=lambda name: notebooks[name]["megabytes"])
        lines += [
            "",
            f"Of the {len(notebooks)} notebooks, each run with nothing trained before, "
            f"[{most[:2]}](notebooks/{most}.ipynb) uses the most memory at once, "
            f"{notebooks[most]['megabytes']:,} MB.",
        ]
    return "\n".join(lines) + "\n"


def listed(rows, column):
    """Return the different values of a column, as text."""
    return ", ".join(sorted({row[column] for row in rows}))


def _time(seconds):
    return f"{seconds:.0f} s" if seconds >= 20 else f"{seconds:.2g} s"


def _ratio(ratio):
    if ratio >= 0.5:
        return f"{ratio:.2f}"
    return f"1/{1 / ratio:.1f}" if ratio >= 0.05 else f"1/{1 / ratio:.0f}"  # more would be noise


def _accuracy(found):
    if found["accuracy"] is None:
        return ""
    return f"{found['accuracy']:.4f}" + (f" ± {found['sd']:.4f}" if found["sd"] else "")


def _aim(arm, found):
    if found["met"]:
        return f"1/{arm.aim}, met"
    if found["ratio"] > 1 / arm.aim:
        return f"1/{arm.aim}, **not met**"
    return f"1/{arm.aim}, **not met**: accuracy {found['short']:.4f} too low"


def plot(rows):
    """Draw each run of ours and of the peer beside it, a row a pair; return the Figure."""
    import matplotlib.pyplot as plt

    from garment_utils import plots  # noqa: F401, gives all figures one look

    summary = summarize(rows)
    pairs = [arm for arm in ARMS if "met" in summary.get((arm.group, arm.name), {})]
    figure, ax = plt.subplots(figsize=(7.5, 0.9 + 0.8 * len(pairs)))
    for place, arm in enumerate(reversed(pairs)):
        medians = []
        for name, color in ((arm.beside, "0.4"), (arm.name, "C0")):
            found = summary[arm.group, name]
            times = [float(row["seconds"]) for row in rows if key(row)[:2] == (arm.group, name)]
            ax.scatter(times, [place] * len(times), color=color, alpha=0.7, zorder=2)
            text = f"{name}\n{_time(found['seconds'])}, accuracy {found['accuracy']:.3f}"
            _label(ax, text, found["seconds"], place, (0, 8), color)
            medians.append(found["seconds"])
        ax.plot(medians, [place, place], color="0.8", zorder=1)
        middle = statistics.geometric_mean(medians)
        _label(ax, _ratio(medians[1] / medians[0]), middle, place, (0, -13), "0.2")
    ax.set_xscale("log")
    ax.margins(x=0.2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylim(-0.4, len(pairs) - 0.3)
    ax.set_yticks(range(len(pairs)), [arm.group for arm in reversed(pairs)])
    ax.set_xlabel("seconds (logarithmic); each dot is one run")
    return figure


def _label(ax, text, x, y, offset, color):
    options = {"textcoords": "offset points", "ha": "center", "va": "bottom"}
    ax.annotate(text, (x, y), offset, color=color, fontsize=9, **options)


def checksum():
    """Return a checksum of benchmarks/speed.csv; the plot carries that of the file it shows."""
    return hashlib.sha256(TABLE.read_bytes()).hexdigest()[:16]


def show(rows):
    """Write the plot and the block of README.md, and print the table."""
    image = io.BytesIO()
    about = {"Description": checksum()}
    plot(rows).savefig(image, dpi=120, bbox_inches="tight", facecolor="white", metadata=about)
    write_whole(PLOT, image.getvalue())
    show_in_readme("speed", table(rows))


def show_in_readme(name, block):
    """Write a block of README.md anew, and print it."""
    text = results.with_block(results.README.read_text("utf-8"), name, block)
    write_whole(results.README, text.encode())
    print(f"\n{block}")


def main():
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description="How fast it is, beside what others wrote.")
    parser.add_argument(
        "groups",
        nargs="*",
        help=f"of {', '.join(GROUPS)}; all but {' and '.join(NOT_BY_DEFAULT)} by default",
    )
    parser.add_argument("--table", action="store_true", help="measure nothing; make table and plot")
    parser.add_argument("--arm", nargs=2, help=argparse.SUPPRESS)  # what run_apart calls
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        [arm] = [arm for arm in ARMS if [arm.group, arm.name] == options.arm]
        print(json.dumps(arm.measure(options.seed)))
        return
    unknown = sorted(set(options.groups) - set(GROUPS))
    if unknown:
        sys.exit(f"no group {unknown[0]!r}; there are {', '.join(GROUPS)}")
    try:
        if not options.table:
            bench(options.groups or [group for group in GROUPS if group not in NOT_BY_DEFAULT])
        rows = read()
    except ValueError as error:
        sys.exit(str(error))
    if not rows:
        sys.exit(table(rows).strip())
    show(rows)


if __name__ == "__main__":
    main()
