"""What `ensemble` trains: nets of any depth on click logs and on the digits, and what they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MOST = 8  # depth
WIDTH = 32


class Nets(ABC):
    """Nets of one width, each trained when it is first wanted; what they answer is kept, not they.

    Args:
        seed: Seed of the rows and of the nets.
        quick: Train an epoch on a few rows.
    """

    kind = "binary"

    def __init__(self, seed: int, quick: bool) -> None:
        self.seed, self.quick = seed, quick
        self.answers: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    @abstractmethod
    def train(self, depth: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Trains a net; returns its outputs for validation and test rows."""

    @abstractmethod
    def labels(self, part: int) -> np.ndarray:
        """Returns the labels of the validation rows (0) or the test rows (1)."""

    def panel(self, names: Sequence[tuple[int, int]], part: int) -> Any:
        """Returns what nets answer for the validation rows (0) or the test rows (1).

        Args:
            names: Iteration and depth of each; an iteration's nets differ from another's in their first weights.
            part: Which rows.
        """
        import keras

        from autorec.searchers.oracles import spread
        from autorec.searchers.panel import Panel, Votes

        for iteration, depth in names:
            if (iteration, depth) not in self.answers:
                self.answers[iteration, depth] = self.train(depth, spread(self.seed, iteration, depth))
                keras.utils.clear_session()
        return Panel([Votes(np.stack([self.answers[name][part] for name in names]), self.labels(part), self.kind)])


class ClickNets(Nets):
    """Deep networks over embedded fields, numbers and statistics, on a fold of a click log.

    Args:
        name: `frappe`, `movielens100k` or `adult`.
        seed, quick: See `Nets`.
        folder: Where the encoded rows go.
    """

    def __init__(self, name: str, seed: int, quick: bool, folder: Path) -> None:
        from autorec.data.table import as_source
        from benchmarks.sharpness_tasks import Clicks

        super().__init__(seed, quick)
        task = Clicks(name, folder, quick)
        self.cache, test = task.cache(seed), task.data[2]
        source, encoder = as_source(test), self.cache.encoder
        blocks = [encoder.encode(batch) for batch in source.batches(encoder.schema.names)]
        self.test_rows = {group: np.concatenate([block[group] for block in blocks]) for group in blocks[0]}
        self.test_labels = test[self.cache.layout.targets[0].name].to_numpy(np.float32)

    def labels(self, part: int) -> np.ndarray:
        return self.test_labels if part else np.asarray(self.cache.validation.labels[:, 0])

    def train(self, depth: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        import keras

        from autorec.data.cache import Part
        from autorec.searchers.outputs import outputs_of
        from autorec.spaces import DNN
        from autorec.training.trainer import train

        keras.utils.set_random_seed(seed)
        layout = self.cache.layout
        model = DNN(depth=depth, units=WIDTH).build_for(layout)
        epochs = 1 if self.quick else None
        settings: dict[str, Any] = {"layout": layout, "epochs": epochs, "seed": seed, "objective": "val_log_loss"}
        train(model, [self.cache.train], self.cache.validation, **settings)
        test = Part(self.test_rows, self.test_labels[:, None])
        return outputs_of(model, self.cache.validation, layout)[0], outputs_of(model, test, layout)[0]


class DigitNets(Nets):
    """Fully connected nets on a fold of scikit-learn's digits; rate, batch and optimizer as in AdaNet's own runs."""

    kind = "classes"
    rate, batch, epochs, patience = 3e-3, 64, 60, 10

    def __init__(self, seed: int, quick: bool) -> None:
        from benchmarks.sharpness_tasks import Digits

        super().__init__(seed, quick)
        data = Digits("mlp", quick).data(seed)
        self.parts = {name: (images.reshape(len(images), -1), labels) for name, (images, labels) in data.items()}

    def labels(self, part: int) -> np.ndarray:
        return np.asarray(self.parts[("validation", "test")[part]][1])

    def train(self, depth: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        import keras
        from keras import layers

        from benchmarks.sharpness_tasks import fitted

        keras.utils.set_random_seed(seed)
        inputs = hidden = keras.Input((64,))
        for _ in range(depth):
            hidden = layers.Dense(WIDTH, activation="relu")(hidden)
        model = keras.Model(inputs, layers.Dense(10)(hidden))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.RMSprop(self.rate), loss, jit_compile=False)
        fitted(model, self.parts, 1 if self.quick else self.epochs, self.patience, batch_size=self.batch)
        validation, test = (np.asarray(model(self.parts[name][0], training=False)) for name in ("validation", "test"))
        return validation, test
