"""What `sharpness` trains: nets on the digits, DCNv2 on click logs, a transformer on sequences of purchases.

A task's `run` trains once and returns its test figures, those of the epoch with the least validation log loss.
"""

from __future__ import annotations

import functools
import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, Any]
#: One split into five folds, where the split is ours; two seeds where the validation part is given.
TUNING_FOLDS = (100, 101, 102, 103, 104)
TUNING_SEEDS = (100, 101)
HESSIAN_ROWS = 1000
HESSIAN_STEPS = 20


def largest_eigenvalue(loss: Callable[[], Any], variables: Sequence[Any]) -> float:
    """Returns the largest eigenvalue of a loss's Hessian in some weights, by power iteration.

    Args:
        loss: Returns the loss; called in a compiled function.
        variables: The weights.
    """
    import tensorflow as tf

    weights = [variable.value for variable in variables]

    @tf.function(autograph=False)
    def product(vector: Any) -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                value = loss()
            gradients = [tf.convert_to_tensor(g) for g in inner.gradient(value, weights, unconnected_gradients="zero")]
            along = tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradients, vector)])
        return [tf.convert_to_tensor(g) for g in outer.gradient(along, weights, unconnected_gradients="zero")]

    rng = np.random.default_rng(0)
    vector = [tf.constant(rng.standard_normal(weight.shape), tf.float32) for weight in weights]
    value = 0.0
    for _ in range(HESSIAN_STEPS):
        norm = tf.linalg.global_norm(vector)
        vector = [v / norm for v in vector]
        image = product(vector)
        value = float(tf.add_n([tf.reduce_sum(a * b) for a, b in zip(image, vector)]))
        vector = image
    return value


def wrapped(model: Any, settings: Any) -> Any:
    """Returns the model, or where there are settings one that shares its layers and trains by them."""
    from autorec.training.sharpness_model import sharpness_aware

    return model if settings is None else sharpness_aware(model, settings)


def fitted(model: Any, data: dict[str, Any], epochs: int, patience: int, **more: Any) -> int:
    """Fits with the best epoch's weights in the end; returns how many epochs there were."""
    import keras

    stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    x, y, *weight = data["train"]
    more |= {"sample_weight": weight[0]} if weight else {}
    history = model.fit(x, y, validation_data=data["validation"], epochs=epochs, callbacks=[stop], verbose=0, **more)
    return len(history.history["loss"])


class Digits:
    """The digits of scikit-learn, 8 x 8; seed `s` is fold `s % 5` of the split number `s // 5` into five.

    A fifth of what is not in the fold is the validation part. SGD with momentum; the rate falls to 0 over the epochs.

    Args:
        net: `conv` (two convolutions and a hidden layer) or `mlp` (two hidden layers).
        quick: Train two epochs.
    """

    rates = (0.3, 0.1, 0.03, 0.01)
    tuning = TUNING_FOLDS
    batch = 128

    def __init__(self, net: str, quick: bool) -> None:
        self.net = net
        self.epochs = 2 if quick else 60

    def data(self, seed: int) -> dict[str, Any]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import StratifiedKFold, train_test_split

        images, labels = load_digits(return_X_y=True)
        images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
        folds = StratifiedKFold(5, shuffle=True, random_state=seed // 5)
        rest, test = list(folds.split(images, labels))[seed % 5]
        train, validation = train_test_split(rest, test_size=0.2, random_state=seed, stratify=labels[rest])
        parts = {"train": train, "validation": validation, "test": test}
        return {name: (images[rows], labels[rows]) for name, rows in parts.items()}

    def model(self) -> Any:
        import keras
        from keras import layers

        inputs = keras.Input((8, 8, 1))
        hidden = inputs
        if self.net == "conv":
            hidden = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu", padding="same")(hidden))
            hidden = layers.Conv2D(32, 3, activation="relu", padding="same")(hidden)
            hidden = layers.Dense(64, activation="relu")(layers.Flatten()(hidden))
        else:
            hidden = layers.Dense(128, activation="relu")(layers.Flatten()(hidden))
            hidden = layers.Dense(128, activation="relu")(hidden)
        return keras.Model(inputs, layers.Dense(10)(hidden))

    def run(self, settings: Any, rate: float, seed: int) -> Figures:
        import keras

        data = self.data(seed)
        keras.utils.set_random_seed(seed)
        model = wrapped(self.model(), settings)
        steps = self.epochs * -(-len(data["train"][1]) // self.batch)
        optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(rate, steps), momentum=0.9)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
        epochs = fitted(model, data, self.epochs, self.epochs, batch_size=self.batch)
        found = judged(model, data, epochs)
        x, y = (values[:HESSIAN_ROWS] for values in data["train"])
        found["eigenvalue"] = largest_eigenvalue(lambda: loss(y, model(x, training=False)), model.trainable_variables)
        keras.utils.clear_session()
        return found


def judged(model: Any, data: dict[str, Any], epochs: int) -> Figures:
    """Returns validation log loss, test log loss and test error of a classifier, and its hits if it counts them."""
    found = {}
    for name in ("validation", "test"):
        x, y, *weight = data[name]
        more = {"sample_weight": weight[0]} if weight else {}
        found[name] = model.evaluate(x, y, batch_size=256, verbose=0, return_dict=True, **more)
    test = found["test"]
    judged = {"val_log_loss": found["validation"]["loss"], "log_loss": test["loss"], "error": 1.0 - test["accuracy"]}
    return {**judged, "epochs": epochs, **({"hits_10": test["hits"]} if "hits" in test else {})}


class Clicks:
    """DCNv2 with its default values and the default recipe on a click log; sharpness leaves the tables out.

    Seed `s` is fold `s % 5` of the split number `s // 5` of the training rows into five: that fold is the validation
    part. The test rows are the same for all.

    Args:
        name: `frappe`, `movielens100k` or `adult`.
        folder: Where the encoded rows go.
        quick: Take a few rows and epochs.
    """

    rates = (1e-3, 3e-3, 3e-4, 1e-4)
    tuning = TUNING_FOLDS

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        self.name, self.folder, self.quick = name, folder, quick

    @functools.cached_property
    def data(self) -> tuple[Any, Any, Any]:
        from benchmarks.presets import schema_of
        from benchmarks.recipe import sets

        load, roles = sets()[self.name]
        train, test, target, _ = load()
        if self.quick:
            train, test = train[:3000], test[:1000]
        return schema_of(self.name, train, target, roles), train, test

    def cache(self, seed: int) -> Any:
        """Returns the encoded rows of a seed's fold, encoded when they are first wanted."""
        from sklearn.model_selection import KFold

        from autorec.data.cache import META, Cache
        from autorec.data.encode import encode
        from autorec.data.table import as_source

        place = self.folder / f"{self.name}-{seed}"
        if not (place / META).exists():
            schema, rows, _ = self.data
            folds = KFold(5, shuffle=True, random_state=seed // 5)
            rest, held = list(folds.split(rows))[seed % 5]
            return encode(as_source(rows.iloc[rest]), schema, place, validation=as_source(rows.iloc[held]))
        return Cache.open(place)

    def run(self, settings: Any, rate: float, seed: int) -> Figures:
        import keras

        from autorec.data.encoder import Encoder
        from autorec.export.predictor import Predictor
        from autorec.spaces import DCNv2
        from autorec.training.options import TrainOptions
        from autorec.training.trainer import train

        cache, test = self.cache(seed), self.data[2]
        keras.utils.set_random_seed(seed)
        model = DCNv2().build_for(cache.layout)
        result = train(
            model,
            [cache.train],
            cache.validation,
            layout=cache.layout,
            options=TrainOptions(learning_rate=rate, sharpness=settings),
            epochs=1 if self.quick else None,
            seed=seed,
            objective="val_log_loss",
        )
        predictor = Predictor(model, Encoder.load(cache.directory / "encoder"))
        label = cache.layout.targets[0].name
        chance = np.asarray(predictor.predict(test)).reshape(-1)
        found = {
            "val_log_loss": result.metrics["val_log_loss"],
            "log_loss": predictor.evaluate(test)["log_loss"],
            "error": float(np.mean((chance > 0.5) != (test[label].to_numpy() > 0.5))),
            "epochs": len(result.history),
            "eigenvalue": self._eigenvalue(model, cache),
        }
        keras.utils.clear_session()
        return found

    def _eigenvalue(self, model: Any, cache: Any) -> float:
        from autorec.training.losses import losses
        from autorec.training.perturbation import perturbed
        from autorec.training.precision import _batch
        from autorec.training.sharpness import SharpnessAware

        layout = cache.layout
        x, y = _batch(model, cache.train, layout, HESSIAN_ROWS)
        name = layout.targets[0].name
        loss = losses(layout.targets)[name]

        def value() -> Any:
            outputs = model(x, training=False)
            return loss(y[name] if isinstance(y, dict) else y, outputs[name] if isinstance(outputs, dict) else outputs)

        return largest_eigenvalue(value, perturbed(model, SharpnessAware()))


class Purchases:
    """A small causal transformer on Amazon Video Games: the next item of each user, full softmax over the items.

    Items with at least 50 purchases, users with at least 8 of them, the last 20. A user's last item is the test, the
    one before it the validation. All weights are perturbed, the stock embeddings too: the items are few.

    Args:
        quick: Take 600 users and train an epoch.
    """

    rates = (1e-3, 3e-3, 3e-4, 1e-2)
    tuning = TUNING_SEEDS
    length, width, batch = 20, 32, 256

    def __init__(self, quick: bool) -> None:
        self.quick = quick

    @functools.cached_property
    def sequences(self) -> list[np.ndarray]:
        path = Path(os.environ["AUTOREC_DATA"]) / "amazon-video-games-seq" / "Video.txt.gz"
        with gzip.open(path, "rt") as file:
            users, items = np.loadtxt(file, dtype=np.int64).T
        often = np.flatnonzero(np.bincount(items) >= 50)
        places = np.searchsorted(often, items)
        kept = often[np.minimum(places, len(often) - 1)] == items
        ids, users = places[kept] + 1, users[kept]  # 0 pads
        found = np.split(ids, np.flatnonzero(np.diff(users)) + 1)
        found = [sequence for sequence in found if len(sequence) >= 8]
        return found[:600] if self.quick else found

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        for name, cut in (("train", 2), ("validation", 1), ("test", 0)):
            x, y, weight = (np.zeros((len(self.sequences), self.length), kind) for kind in (int, int, "float32"))
            for row, sequence in enumerate(self.sequences):
                items = sequence[: len(sequence) - cut][-self.length - 1 :]
                x[row, -len(items) + 1 :], y[row, -len(items) + 1 :] = items[:-1], items[1:]
                counted = len(items) - 1 if name == "train" else 1
                weight[row, -counted:] = self.length / counted  # a user counts as one, whatever the length
            parts[name] = (x, y, weight)
        return parts

    def model(self) -> Any:
        import keras
        from keras import layers, ops

        items = 1 + max(int(sequence.max()) for sequence in self.sequences)
        ids = keras.Input((self.length,), dtype="int32")
        places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
        x = layers.Embedding(items, self.width)(ids) + layers.Embedding(self.length, self.width)(places)
        for _ in range(2):
            normed = layers.LayerNormalization()(x)
            seen = layers.MultiHeadAttention(2, self.width // 2, dropout=0.2)(normed, normed, use_causal_mask=True)
            x = layers.Add()([x, seen])
            hidden = layers.Dense(2 * self.width, activation="relu")(layers.LayerNormalization()(x))
            x = layers.Add()([x, layers.Dropout(0.2)(layers.Dense(self.width)(hidden))])
        return keras.Model(ids, layers.Dense(items)(layers.LayerNormalization()(x)))

    def run(self, settings: Any, rate: float, seed: int) -> Figures:
        import keras

        keras.utils.set_random_seed(seed)
        model = wrapped(self.model(), settings)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
        hits = keras.metrics.SparseTopKCategoricalAccuracy(10, name="hits")
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, loss, weighted_metrics=[accuracy, hits], jit_compile=False)
        epochs = fitted(model, self.data, 1 if self.quick else 60, 3, batch_size=self.batch)
        found = judged(model, self.data, epochs)
        rows = tuple(values[: HESSIAN_ROWS // 4] for values in self.data["train"])

        def value() -> Any:
            return loss(rows[1], model(rows[0], training=False), rows[2])

        found["eigenvalue"] = largest_eigenvalue(value, model.trainable_variables)
        keras.utils.clear_session()
        return found


def tasks(folder: Path, quick: bool) -> dict[str, Any]:
    """Returns the tasks by name."""
    return {
        "digits_conv": Digits("conv", quick),
        "digits_mlp": Digits("mlp", quick),
        **{name: Clicks(name, folder, quick) for name in ("frappe", "movielens100k", "adult")},
        "amazon_video_games": Purchases(quick),
    }
