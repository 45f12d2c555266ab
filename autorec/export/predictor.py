"""Predicts and evaluates with a model and its encoder, from any source of raw rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from autorec.data import columns
from autorec.data.cache import Part
from autorec.data.checks import check_same_columns, check_targets
from autorec.data.encoder import Encoder, column_of
from autorec.data.layout import TargetColumn
from autorec.data.long_labels import LongSource
from autorec.data.schema import Schema
from autorec.data.source import placed
from autorec.data.table import Source, as_source
from autorec.data.vocabulary import Counts
from autorec.errors import ConfigError, DataError
from autorec.tensorflow_log import traced_often
from autorec.training import metrics
from autorec.training.prediction import answers, predict

BLOCK = 65_536
UTILITY = "utility"  # beside the targets


class Predictor:
    """A model that answers raw rows.

    Args:
        model: Keras model on encoded groups.
        encoder: The encoder of its rows.
        card: The model card.
    """

    def __init__(self, model: Any, encoder: Encoder, card: dict[str, Any] | None = None) -> None:
        self.model = model
        self.encoder = encoder
        self.card = card or {}

    @property
    def schema(self) -> Schema:
        """The schema of the raw rows."""
        return self.encoder.schema

    def predict(self, data: Any) -> Any:
        """Returns a probability (a rating) for each row, float32; a dict by target where there are several.

        Where a utility was stated, the dict also has `utility`, the targets' values times its weights, added up.

        Args:
            data: Rows in any form that `search` takes, of a table also none; the targets' columns are not needed.

        Raises:
            DataError: If a column is absent or of another type.
        """
        found = self._predict(self._source(data, empty=True))
        if self.utility:
            parts = [np.float32(weight) * found[name] for name, weight in self.utility.items()]
            found[UTILITY] = np.asarray(np.sum(parts, axis=0, dtype=np.float32))
        return found[self.schema.targets[0]] if len(found) == 1 else found

    @property
    def utility(self) -> dict[str, float]:
        """The weight of each target in the utility; empty where none was stated."""
        return dict(self.card.get(UTILITY) or {})

    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        weight: str | None = None,
        user: str | None = None,
        group: str | None = None,
        reliability: bool = False,
    ) -> dict[str, Any]:
        """Returns the metrics of the predictions for labelled rows.

        For clicks `auc`, `log_loss`, `ece`, and `gauc` where the schema names a `group` or `user` column; for ratings
        `mse`, `rmse`, `mae`. Several targets have their name in front: `like_auc`. Rows without a label do not count.

        Args:
            data: Labelled rows in any form that `search` takes.
            y: The target's values, if `data` does not hold them.
            weight, user, group: Columns with a role; None takes the schema's, where the rows have it.
            reliability: Whether to add `reliability`, of clicks: a Polars frame with what was predicted and what
                happened in each of 15 bins, see `autorec.training.metrics.reliability`.

        Raises:
            DataError: If a column is absent or of another type, or a label is none that the task allows.
        """
        source = self._source(data, y)
        labels = self._labels(source, weight)
        roles = self._roles(source, weight, group or user)
        predictions = self._predict(source)
        result: dict[str, Any] = {}
        for target in self.encoder.layout.targets:
            found = metrics.evaluate(labels[target.name], predictions[target.name], target.kind, **roles)
            prefix = "" if len(predictions) == 1 else f"{target.name}_"
            result |= {f"{prefix}{name}": value for name, value in found.items()}
            if reliability:
                result[f"{prefix}reliability"] = self._reliability(target, labels, predictions, roles.get("weights"))
        return result

    def _reliability(
        self,
        target: TargetColumn,
        labels: Mapping[str, np.ndarray],
        predictions: Mapping[str, np.ndarray],
        weights: np.ndarray | None,
    ) -> Any:
        import polars as pl

        if target.kind != "binary":
            raise ConfigError("reliability", "left out for ratings: it is of probabilities", True)
        return pl.DataFrame(metrics.reliability(labels[target.name], predictions[target.name], weights))

    def raw(
        self, data: Any, y: Any = None, *, weight: str | None = None, by: int | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Returns what the model itself answers for labelled rows: logits of binary targets, values of real ones.

        Args:
            data: Labelled rows in any form that `search` takes.
            y: The target's values, if `data` does not hold them.
            weight: Column of weights; None takes the schema's, where the rows have it.
            by: Place of a column of the group `ids`, or None.

        Returns:
            Target -> (rows,) outputs; (rows, targets) labels, NaN where unlabelled; (rows,) weights or None; (rows,)
            local ids of the column `by` or None.
        """
        source = self._source(data, y)
        labels = self._labels(source, weight)
        weights = self._roles(source, weight, None).get("weights")
        ids: list[np.ndarray] = []
        outputs = self._outputs(source, None if by is None else lambda batch: ids.append(self._ids(batch, by)))
        stacked = np.stack([labels[target.name] for target in self.encoder.layout.targets], 1)
        return outputs, stacked, weights, np.concatenate(ids) if ids else None

    def _ids(self, batch: Any, column: int) -> np.ndarray:
        return np.asarray(self.encoder.encode(batch, ["ids"])["ids"][:, column])

    def _source(self, data: Any, y: Any = None, *, empty: bool = False) -> Source:
        source = as_source(data, y, target=self.schema.targets[0] if y is not None else None, empty=empty)
        check_same_columns(self.schema, source)
        return LongSource(source, self.encoder.thresholds) if self.encoder.thresholds else source

    def _predict(self, source: Source) -> dict[str, np.ndarray]:
        found = self._outputs(source)
        return {target.name: answers(found[target.name], target) for target in self.encoder.layout.targets}

    def _outputs(self, source: Source, watch: Callable[[Any], None] | None = None) -> dict[str, np.ndarray]:
        """Returns the model's outputs; `watch` sees each batch of rows."""
        groups = list(self.model.input)
        pieces: dict[str, list[np.ndarray]] = {target.name: [] for target in self.encoder.layout.targets}
        start = 0
        for batch in source.batches(self.schema.names, BLOCK):
            try:
                rows = self.encoder.encode(batch, groups)
            except DataError as error:
                raise placed(error, source, start) from error
            start += batch.num_rows
            part = Part(rows, np.full((batch.num_rows, 1), np.nan, np.float32))
            with traced_often():
                found = predict(self.model, part)
            for name, values in found.items():
                pieces[name].append(values)
            if watch is not None:
                watch(batch)
        return {name: np.concatenate(found) if found else np.zeros(0, np.float32) for name, found in pieces.items()}

    def _labels(self, source: Source, weight: str | None) -> dict[str, np.ndarray]:
        weight = weight or (self.schema.weight if self.schema.weight and source.has(self.schema.weight) else None)
        task = "ctr" if self.encoder.layout.targets[0].kind == "binary" else "rating"
        check_targets(source, Schema(targets=self.schema.targets, weight=weight), task, training=False)
        found = list(_numbers(source, self.schema.targets))
        return {name: np.concatenate([block[i] for block in found]) for i, name in enumerate(self.schema.targets)}

    def _roles(self, source: Source, weight: str | None, group: str | None) -> dict[str, Any]:
        """Returns weights and groups by the columns that are named, or those of the schema where the rows have them."""
        roles: dict[str, Any] = {}
        for name in (weight, group):
            if name is not None:
                source.select([name])
        weight = weight or self.schema.weight
        group = group or self.schema.group or self.schema.user
        if weight is not None and source.has(weight):
            roles["weights"] = np.concatenate([block[0] for block in _numbers(source, [weight])])
        if group is not None and source.has(group):
            counts = Counts()
            found = [counts.codes(columns.dictionary(column_of(b, group))) for b in source.batches([group], BLOCK)]
            roles["groups"] = np.concatenate(found)
        return roles


def _numbers(source: Source, names: list[str]) -> Iterator[list[np.ndarray]]:
    for batch in source.batches(names, BLOCK):
        yield [columns.numbers(column_of(batch, name)) for name in names]
