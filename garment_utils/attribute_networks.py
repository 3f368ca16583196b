"""Networks for several labels: the loss they learn by, and new heads on trained networks."""

import numpy as np

from garment_utils import learning_rate, models, multilabel, preprocessing, training
from garment_utils.data import Split
from garment_utils.quiet_keras import keras

ops = keras.ops


@keras.saving.register_keras_serializable("garment_utils")
class CrossentropyPerType(keras.losses.Loss):
    """Cross-entropy of each type, added up over the types.

    Of each picture, the sum of ``-log(probability)`` over the values that it has. With a weight
    for each value, rare values can count more; with ``focus`` above 0 a picture counts less the
    surer the network is of the right value: each term times ``(1 - probability) ** focus``, the
    focal loss (Lin et al. 2017, Focal loss for dense object detection, section 3).

    Args:
        weights: a number for each value, or None for 1.
        focus: 0 or more.
    """

    def __init__(self, weights=None, focus=0.0, name="crossentropy_per_type"):
        """Note the weights as plain numbers, which a saved model can hold."""
        super().__init__(name=name)
        self.weights = None if weights is None else [float(weight) for weight in weights]
        self.focus = focus

    def call(self, labels, probabilities):
        """Return ``(n,)`` float32 for labels and probabilities of shape ``(n, values)``."""
        probabilities = ops.clip(probabilities, keras.config.epsilon(), 1.0)
        terms = -ops.cast(labels, "float32") * ops.log(probabilities)
        if self.focus:
            # Not quite zero: there a power below 1 has no derivative.
            terms *= ops.maximum(1 - probabilities, keras.config.epsilon()) ** self.focus
        if self.weights:
            terms *= ops.convert_to_tensor(self.weights)
        return ops.sum(terms, axis=-1)

    def get_config(self):
        """Return what a saved model needs to build this loss again."""
        return {"name": self.name, "weights": self.weights, "focus": self.focus}


def train_on_classes(garments, attributes, seed):
    """Train the compact network on the ten classes, without the attributes' validation pictures.

    Those come from the training archive: a network that has learned from them would look better
    on them than on new ones.

    Args:
        garments: Garments.
        attributes: what ``load_attributes`` returns.
        seed: int.

    Returns:
        the network, ``(n, 28, 28)`` scaled pixels → ``(n, 10)``, and its PixelScale.
    """
    recipe = models.RECIPES["compact"]
    train = without(garments.train, attributes.part("validation").indices)
    scale = preprocessing.fit_scale(recipe.scale, train)
    schedule = learning_rate.one_cycle(
        recipe.peak, images=len(train), epochs=recipe.epochs, batch_size=recipe.batch_size
    )
    trained = training.train_or_load(
        recipe.build,
        scale,
        train,
        garments.validation,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=seed,
        learning_rate=schedule,
    )
    return trained.model, scale


def without(split, indices):
    """Return a Split without the garments at some positions in its archive."""
    kept = ~np.isin(split.indices, indices)
    return Split(split.name, split.images[kept], split.labels[kept], split.indices[kept])


def features(network, pixels):
    """Return what the last layer of a network receives: the features of each picture.

    Args:
        network: Keras classifier.
        pixels: ``(n, 28, 28)`` float32, scaled for it.

    Returns:
        ``(n, k)`` float32.
    """
    trunk = keras.Model(network.inputs, network.layers[-1].input)
    return trunk.predict(pixels, verbose=0)


def inputs_of(part, scale, network=None):
    """Return what networks are trained on and asked about: pixels, or features.

    Args:
        part: Split of n garments.
        scale: PixelScale.
        network: Keras classifier, trained on that scale, whose features are wanted; None for
            pixels.

    Returns:
        ``(n, 28, 28)`` or ``(n, k)`` float32.
    """
    pixels = scale.apply(part.images)
    return pixels if network is None else features(network, pixels)


def train_heads(
    features, labels, sizes, *, epochs, batch_size, peak, seeds, rows=None, loss=None, start=0.05
):
    """Train linear softmax heads on features that stay as they are, one run for each seed.

    The runs are trained side by side in one model, which takes about as long as one of them. They
    do not notice each other: no weight belongs to two runs, and Adam moves each weight by its own
    gradients alone.

    Args:
        features: ``(n, k)`` float32 of training pictures.
        labels: ``(n, values)`` of 0 and 1.
        sizes: dict, type → how many values it has, in the order of the columns; None for a
            single classifier, a sigmoid for each value.
        epochs, batch_size: as of ``training.train_or_load``.
        peak: highest learning rate of the one cycle.
        seeds: ints, one for each run; they set initial weights and the order of the pictures,
            which Keras then shuffles in all runs alike, by the first seed.
        rows: ``(runs, m)`` positions among the pictures that each run learns from; None for all.
        loss: Keras loss; None for ``CrossentropyPerType()``, or binary cross-entropy if single.
        start: standard deviation of the initial weights. Where a few pictures say nothing, this
            noise stays, and the more of it the more features there are: then take 0.

    Returns:
        list of Keras models, one a run: ``(n, k)`` → ``(n, values)`` float32 probabilities.
    """
    training.make_repeatable(seeds[0])  # for the order of the batches
    runs, (n, k), values = len(seeds), features.shape, labels.shape[1]
    rows = np.tile(np.arange(n), (runs, 1)) if rows is None else rows
    rngs = [np.random.default_rng(seed) for seed in seeds]
    rows = np.stack([rng.permutation(own) for rng, own in zip(rngs, rows, strict=True)], axis=1)
    # Features of any network come in sizes of their own.
    statistics = {"mean": features.mean(axis=0), "variance": features.var(axis=0)}
    inputs = keras.Input((runs, k), name="features")
    normalized = keras.layers.Normalization(**statistics, name="normalization")(inputs)
    dense = keras.layers.EinsumDense("nrk,rkv->nrv", (runs, values), bias_axes="rv", name="sums")
    model = keras.Model(inputs, _to_probabilities(dense(normalized), sizes), name="runs")
    first = np.stack([rng.normal(0, start, (k, values)) for rng in rngs])
    dense.set_weights([first, np.zeros((runs, values))])
    schedule = learning_rate.one_cycle(peak, images=len(rows), epochs=epochs, batch_size=batch_size)
    training.compile_classifier(
        model,
        schedule,
        loss=loss or (CrossentropyPerType() if sizes else "binary_crossentropy"),
        steps_per_execution=training.STEPS_PER_EXECUTION,
    )
    model.fit(features[rows], labels[rows], epochs=epochs, batch_size=batch_size, verbose=0)
    weights = zip(*dense.get_weights(), strict=True)
    return [_heads(kernel, bias, statistics, sizes) for kernel, bias in weights]


def _to_probabilities(sums, sizes):
    """Turn sums ``(…, values)`` into probabilities that add up to 1 within each type.

    Without types, ``sizes`` None, each value gets a probability of its own.
    """
    if sizes is None:
        return ops.sigmoid(sums)
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = ops.split(sums, ends.tolist(), axis=-1)
    return ops.concatenate([ops.softmax(part) for part in parts], axis=-1)


def _heads(kernel, bias, statistics, sizes):
    """Return the heads of one run as a Keras model of their own."""
    inputs = keras.Input(kernel.shape[:1], name="features")
    normalized = keras.layers.Normalization(**statistics, name="normalization")(inputs)
    dense = keras.layers.Dense(len(bias), name="sums")
    model = keras.Model(inputs, _to_probabilities(dense(normalized), sizes), name="heads")
    dense.set_weights([kernel, bias])
    return model


def train_whole(
    split,
    validation,
    scale,
    sizes,
    *,
    epochs,
    batch_size,
    peak,
    seeds,
    rows=None,
    loss=None,
    build=None,
):
    """Train networks with a classifier per type whole, or load them; one for each seed.

    Args:
        split: training garments with ``labels`` ``(n, values)``, a Split.
        validation: validation garments, likewise.
        scale: PixelScale for the images of both.
        sizes, epochs, batch_size, peak, seeds, rows, loss: as of ``train_heads``.
        build: function without arguments that returns the network; None for
            ``models.build_per_type``, from scratch.

    Returns:
        list of Keras models, one a run: ``(n, 28, 28)`` scaled pixels → ``(n, values)`` float32
        probabilities.
    """
    rows = [np.arange(len(split))] * len(seeds) if rows is None else rows
    schedule = learning_rate.one_cycle(
        peak, images=len(rows[0]), epochs=epochs, batch_size=batch_size
    )
    networks = []
    for seed, own in zip(seeds, rows, strict=True):
        part = Split(split.name, split.images[own], split.labels[own], split.indices[own])
        trained = training.train_or_load(
            build or (lambda: models.build_per_type(sizes)),
            scale,
            part,
            validation,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            learning_rate=schedule,
            loss=loss or CrossentropyPerType(),
        )
        networks.append(trained.model)
    return networks


def train_on_parts(train, parts, epochs, everything):
    """Train on several selections of pictures, with more passes over those that have fewer.

    Half as many passes would make up for twice the pictures in steps; it is their root, because
    many passes over few pictures learn these by heart.

    Args:
        train: function of ``rows`` and ``epochs``, such as the rest of ``train_heads``.
        parts: dict, name → ``(runs, m)`` positions among the training pictures.
        epochs: passes over all pictures.
        everything: how many these are.

    Returns:
        dict, name → what ``train`` returns.
    """
    trained = {}
    for name, rows in parts.items():
        passes = round(epochs * (everything / rows.shape[1]) ** 0.5)
        trained[name] = train(rows=rows, epochs=passes)
    return trained


def predict_parts(trained, split, types):
    """Predict one value of each type, by networks or heads that learned from several parts.

    Args:
        trained: dict, kind → (dict, part → Keras models, one a run; the PixelScale; and the
            network whose features they get, or None for pixels).
        split: pictures to predict, a Split.
        types: the type of each value.

    Returns:
        dict, (kind, part) → ``(runs, n, values)`` int8 as of ``predict_runs``.
    """
    answers, inputs = {}, {}
    for kind, (parts, scale, network) in trained.items():
        source = scale, id(network)  # features take time: once for all kinds that share them
        if source not in inputs:
            inputs[source] = inputs_of(split, scale, network)
        for part, networks in parts.items():
            answers[kind, part] = predict_runs(networks, inputs[source], types)
    return answers


def predict_runs(networks, inputs, types):
    """Predict one value of each type, by each of several networks.

    Args:
        networks: Keras models, one a run.
        inputs: ``(n, …)`` float32, scaled pixels or features.
        types: the type of each value.

    Returns:
        ``(runs, n, values)`` int8, exactly one 1 a type in each row.
    """
    probabilities = np.stack([network(inputs).numpy() for network in networks])
    return multilabel.decode_per_type(probabilities, types)


def put_heads_on(network, sizes):
    """Return a copy of a trained network with new heads, to be trained further.

    Args:
        network: Keras classifier; it stays as it is.
        sizes: dict, type → how many values it has, in the order of the columns.

    Returns:
        Keras model, uncompiled: pixels → ``(n, values)`` float32 probabilities.
    """
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    outputs = models.add_heads(copy.layers[-1].input, sizes)
    return keras.Model(copy.inputs[0], outputs, name=f"{network.name}_tuned")
