"""The encoder once more, as a TensorFlow graph: raw columns by name in, probabilities or ratings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from autorec.data.columns import DAY, MISSING_INT
from autorec.data.encoder import Encoder, table_of
from autorec.data.schema import Feature
from autorec.data.statistics import Table
from autorec.data.vocabulary import MISSING, UNKNOWN, Vocabulary
from autorec.export.input_names import graph_names
from autorec.export.predictor import UTILITY
from autorec.export.served_forest import ServedForest

_DTYPES = {"string": tf.string, "int": tf.int64, "float": tf.float64, "time": tf.int64}


class ServedModel(tf.Module):
    """A model behind a signature of raw columns.

    Missing values are `""`, NaN and the smallest int64. A bag or sequence is (batch, length), padded with the missing
    value; a time is int64 microseconds since 1970 unless the column holds whole numbers of another unit.

    Args:
        model: Keras model on encoded groups, with an output for each target.
        encoder: The encoder of its rows.
        folder: Where the vocabularies' text files are written; `tf.saved_model.save` copies them.
        utility: Weights of the targets in one more output, `utility`; none where it is empty.
    """

    def __init__(self, model: Any, encoder: Encoder, folder: Path, utility: Mapping[str, float] | None = None) -> None:
        super().__init__()
        # The weights alone are tracked: through the model, Keras misses those in nested containers, and by both ways a
        # table is stored twice.
        self._weights = [variable.value for variable in model.variables]
        self._call_model = partial(model, training=False)
        self._encoder = encoder
        self._utility = dict(utility or {})
        self._inputs = list(model.input)
        self._groups = encoder.groups_for(list(model.input))  # with what their trees read
        self._names = graph_names(encoder.schema.names)
        self._lookups = {
            name: _lookup_table(vocabulary, folder / f"vocabulary_{i}.txt")
            for i, (name, vocabulary) in enumerate(encoder.vocabularies.items())
        }
        self._tables: dict[str, list[_StatisticTable]] = {
            group: [_StatisticTable(table) for table in getattr(encoder, group)]
            for group in ("statistics", "pairs")
            if group in self._groups
        }
        read = {"margins", "leaves"} & set(self._inputs)
        self._forest = ServedForest(encoder.forest) if encoder.forest is not None and read else None

    def signature(self) -> Any:
        """Returns the concrete function that `serving_default` becomes."""
        specs = {}
        for feature in self._encoder.schema:
            is_list = feature.kind in ("bag", "sequence") and feature.separator is None
            dtype = _DTYPES[feature.dtype] if feature.separator is None else tf.string
            name = self._names[feature.name]
            specs[name] = tf.TensorSpec((None, None) if is_list else (None,), dtype, name=name)
        return tf.function(self._serve, autograph=False).get_concrete_function(specs)

    def _serve(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self({name: inputs[key] for name, key in self._names.items()})

    def __call__(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the probability or rating for each row, by target, and the utility where there is one."""
        encoded = self.encode(columns)
        outputs = self._call_model({group: encoded[group] for group in self._inputs})
        found = {}
        for target in self._encoder.layout.targets:
            values = tf.cast(outputs[target.name], tf.float32)[:, 0]
            binary = target.kind == "binary"
            found[target.name] = tf.sigmoid(values) if binary else tf.clip_by_value(values, target.low, target.high)
        if self._utility:
            found[UTILITY] = tf.add_n([weight * found[name] for name, weight in self._utility.items()])
        return found

    def encode(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the groups that the model reads, and what their trees read, for raw columns."""
        layout = self._encoder.layout
        encoded: dict[str, Any] = {}
        ids = self._ids(columns) if layout.ids else None
        if "ids" in self._groups:
            encoded["ids"] = ids
        if "numbers" in self._groups:
            encoded["numbers"] = tf.stack(self._numbers(columns), 1)
        for group in ("statistics", "pairs"):
            if group in self._groups:
                encoded[group] = self._statistics(group, ids)
        if self._forest is not None:
            encoded |= self._forest.lookup(encoded)
        for column in layout.lists:
            if column.group in self._groups:
                encoded[column.group] = self._list(self._encoder.schema[column.name], columns[column.name])
        return encoded

    def _statistics(self, group: str, ids: Any) -> Any:
        position = self._encoder.layout.position
        pairs = zip(getattr(self._encoder, group), self._tables[group])
        return tf.concat([table.lookup([ids[:, position(name)] for name in of.sources]) for of, table in pairs], 1)

    def _local(self, feature: Feature, values: Any) -> Any:
        if feature.dtype == "string":
            missing = tf.equal(values, "")
        else:
            if feature.dtype == "float":
                whole = (tf.abs(values) < 2.0**53) & tf.equal(values, tf.floor(values))
                unseen = tf.constant(MISSING_INT + 1, tf.int64)
                number = tf.cast(tf.where(whole, values, 0.0), tf.int64)
                minus = tf.where(tf.math.is_finite(values), unseen, tf.constant(MISSING_INT, tf.int64))
                values = tf.where(whole, number, minus)
            missing = tf.equal(values, tf.constant(MISSING_INT, tf.int64))
        found = self._lookups[table_of(feature)].lookup(values) + 2  # not found: -1, which gives UNKNOWN
        return tf.where(missing, tf.constant(MISSING, tf.int32), tf.cast(found, tf.int32))

    def _ids(self, columns: Mapping[str, Any]) -> Any:
        ids = []
        for feature in self._encoder.schema:
            if feature.kind == "categorical":
                ids.append(self._local(feature, columns[feature.name]))
            elif feature.kind == "time":
                micros = _micros(feature, columns[feature.name])
                missing = tf.equal(micros, MISSING_INT)
                for part in (micros // 3_600_000_000 % 24, (micros // DAY + 3) % 7):
                    ids.append(tf.where(missing, MISSING, tf.cast(part, tf.int32) + 2))
        return tf.stack(ids, 1)

    def _numbers(self, columns: Mapping[str, Any]) -> list[Any]:
        numbers: list[Any] = []
        for feature in self._encoder.schema:
            values = columns[feature.name]
            if feature.kind == "numeric":
                number = tf.cast(values, tf.float64)
                if feature.dtype == "int":
                    number = tf.where(tf.equal(values, MISSING_INT), tf.constant(np.nan, tf.float64), number)
                numbers.append(number)
            elif feature.kind == "time":
                micros = _micros(feature, values)
                numbers.extend(_time_numbers(micros, self._encoder.latest[feature.name]))
        return numbers

    def _list(self, feature: Feature, values: Any) -> Any:
        blank: Any = "" if feature.dtype == "string" else tf.constant(MISSING_INT, tf.int64)
        if feature.separator is not None:
            values = tf.strings.split(values, feature.separator).to_tensor("")
        ragged = tf.ragged.boolean_mask(values, tf.not_equal(values, blank))
        return self._local(feature, ragged[:, -feature.max_length :].to_tensor(blank))


def _micros(feature: Feature, values: Any) -> Any:
    if feature.dtype == "time":
        return values
    factor = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[feature.unit or "s"]
    if feature.dtype == "float":
        finite = tf.math.is_finite(values)
        scaled = tf.cast(tf.where(finite, values, 0.0) * (1_000_000 / factor), tf.int64)
        return tf.where(finite, scaled, MISSING_INT)
    missing = tf.equal(values, MISSING_INT)
    scaled = values * (1_000_000 // factor) if factor <= 1_000_000 else values // (factor // 1_000_000)
    return tf.where(missing, tf.constant(MISSING_INT, tf.int64), scaled)


def _time_numbers(micros: Any, latest: int) -> list[Any]:
    missing = tf.equal(micros, MISSING_INT)
    safe = tf.where(missing, tf.constant(latest, tf.int64), micros)
    age = tf.cast(latest - safe, tf.float64) / DAY
    day = tf.cast(safe % DAY, tf.float64) * (2 * np.pi / DAY)
    week = tf.cast((safe + 3 * DAY) % (7 * DAY), tf.float64) * (2 * np.pi / (7 * DAY))
    found = (age, tf.sin(day), tf.cos(day), tf.sin(week), tf.cos(week))
    return [tf.where(missing, tf.constant(np.nan, tf.float64), values) for values in found]


def _lookup_table(vocabulary: Vocabulary, path: Path) -> Any:
    key_dtype = tf.string if vocabulary.dtype == "string" else tf.int64
    values: Sequence[str] = vocabulary.values.to_list()
    if not values or any("\n" in value or "\r" in value for value in values):
        keys = values if key_dtype == tf.string else [int(value) for value in values]
        positions = tf.range(len(values), dtype=tf.int64)
        initializer: Any = tf.lookup.KeyValueTensorInitializer(tf.constant(keys, key_dtype), positions)
    else:
        path.write_text("\n".join(values) + "\n", encoding="utf-8", newline="\n")
        index = tf.lookup.TextFileIndex
        initializer = tf.lookup.TextFileInitializer(str(path), key_dtype, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)
    return tf.lookup.StaticHashTable(initializer, UNKNOWN - 2)


class _StatisticTable(tf.Module):
    """`autorec.data.statistics.Table` on tensors."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._size = table.size
        self._values = tf.Variable(np.concatenate([table.values, table.default[None]]), trainable=False)
        self._keys = None if table.keys is None else tf.Variable(table.keys, trainable=False)
        self._count = len(table.values)

    def lookup(self, ids: Sequence[Any]) -> Any:
        if self._keys is None:
            return tf.gather(self._values, ids[0])
        wanted = tf.cast(ids[0], tf.int64) * self._size + tf.cast(ids[1], tf.int64)
        where = tf.minimum(tf.searchsorted(self._keys, wanted), max(self._count - 1, 0))
        seen = tf.equal(tf.gather(self._keys, where), wanted) if self._count else tf.zeros_like(where, tf.bool)
        return tf.gather(self._values, tf.where(seen, where, self._count))
