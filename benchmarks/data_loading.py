"""How long does loading take, beside Keras' own loader? ``python benchmarks/data_loading.py``.

Both read the same four archives from the file cache, in turns, in one process. Ours also
verifies the checksums and makes the validation split. Prints medians and their ratio.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from garment_utils.data import ARCHIVE_FOLDER, load_garments

TURNS = 9


def main():
    with tempfile.TemporaryDirectory() as home:
        # Keras looks for the archives in its cache and must not download them.
        os.environ["KERAS_HOME"] = home
        shutil.copytree(ARCHIVE_FOLDER, Path(home) / "datasets" / "fashion-mnist")
        from garment_utils import keras

        loaders = {"ours": load_garments, "keras": keras.datasets.fashion_mnist.load_data}
        times = {name: [] for name in loaders}
        for _ in range(TURNS):
            for name, load in loaders.items():
                start = time.perf_counter()
                load()
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:6} median of {TURNS}: {median:.3f} s")
    print(f"ratio  {medians['ours'] / medians['keras']:.2f}")


if __name__ == "__main__":
    main()
