"""What a model reads: the encoded rows as fields, as a vector and as a first-order term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import keras

from autorec.blocks import NumericEmbedding, NumericTransform
from autorec.data.layout import Layout
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.embedding import IdFields, leaf_rows, tables_of
from autorec.spaces.likeness import likeness_of, mean_likeness
from autorec.spaces.limits import limited_cap, limited_dim

NUMBERS = ("log", "quantile")
NUMBER_EMBEDDINGS = ("linear", "piecewise", "periodic")
POOLINGS = ("mean", "sum", "max")
CHOICES = {"numbers": NUMBERS, "number_embedding": NUMBER_EMBEDDINGS, "pooling": POOLINGS}
STATISTICS = ("statistics", "pairs", "margins")
BOOLEANS = {"statistics": True, "margins": True, "leaves": False}
PAIRS = (0, 4, 12)
DIMS = (8, 16, 32)
CAPS = (0, 10_000, 100_000)
ARGUMENTS = ("dim", "cap", *CHOICES, "pairs", *BOOLEANS, "likeness")


class Features:
    """The encoded rows of a layout as tensors of a Keras model.

    Inputs are made when they are first read and are named by their group, so that all models of a run share them.
    What is not given is a hyperparameter `features/<name>`, declared when it is first needed:

    - *fields* (batch, fields, dim): embedded ids, embedded numbers, pooled lists, pooled leaves of trees;
    - *dense* (batch, width): transformed numbers, then the standardised statistics and predictions of trees, then how
      alike the items of lists are to the row's;
    - *linear* (batch, targets): `sum_i w_i + w . dense`, the first-order term of a logit.

    Under any policy *dense* and *linear* are float32, and so are fields that come out of one table with the weights of
    *linear*; blocks cast what they read.

    Args:
        layout: Columns of the encoded rows.
        hp: A `keras_tuner.HyperParameters`.
        first_order: Whether `linear` will be wanted beside `fields`; both then come out of one table.
        columns: Names of id columns; given, these are all that is read.
        dim: Width of the fields (8, 16, 32; default 16).
        numbers: `log` or `quantile`: how numbers are transformed (default `log`).
        number_embedding: `linear`, `piecewise` or `periodic` (default `piecewise`).
        statistics: Whether to read the statistics of single columns (default True).
        pairs: Of how many pairs of columns to read the statistics: the first ones, which tell most (0, 4, 12, all of
            them; default all); True stands for all, False for none.
        margins: Whether to read what small forests predict, where the rows were encoded with them (default True).
        leaves: Whether to read the leaves of their trees, as one field: the mean of a row of a table for each tree
            that has not seen the encoded row (default False).
        pooling: `mean`, `sum` or `max` of a list's values (default `mean`).
        likeness: Whether to read how alike the items of lists are to the row's, where they share its ids (default True;
            never searched).
        cap: Most ids of a table, 0 for all (0, 10,000, 100,000; default 0); searched for large vocabularies only.

    Raises:
        ConfigError: If a value is not allowed, or nothing can be read from the layout.

    Example:
        >>> features = Features(layout, hp, dim=8)
        >>> deep = MLP.tune(hp)(features.vector())
        >>> model = ctr_model(features.inputs, [deep], offsets=[features.linear()])
    """

    def __init__(
        self,
        layout: Layout,
        hp: Any,
        *,
        first_order: bool = False,
        columns: Sequence[str] | None = None,
        **arguments: Any,
    ) -> None:
        check_arguments(arguments)
        self.layout = layout
        self.inputs: dict[str, Any] = {}
        self._hp = hp
        self._fixed = {name: value for name, value in arguments.items() if value is not None}
        self._first_order = first_order
        self._columns = columns
        self._read: dict[str, bool] = {}

    @cached_property
    def dim(self) -> int:
        """Width of the fields."""
        return limited_dim(int(self._choice("dim", DIMS, 16)))

    def input(self, group: str) -> Any:
        """Returns the input of a group, made on first use."""
        if group not in self.inputs:
            shape, dtype = {
                "ids": ((len(self.layout.ids),), "int32"),
                "numbers": ((len(self.layout.numbers),), "float64"),
                "statistics": ((len(self.layout.statistics),), "float32"),
                "pairs": ((len(self.layout.pairs),), "float32"),
                "margins": ((len(self.layout.margins),), "float32"),
                "leaves": ((len(self.layout.leaves),), "int32"),
            }.get(group, ((None,), "int32"))
            self.inputs[group] = keras.Input(shape, dtype=dtype, name=group)
        return self.inputs[group]

    def fields(self, *, statistics: bool = False) -> Any:
        """Returns the fields, (batch, fields, dim): ids, then lists, then numbers, then the leaves.

        Args:
            statistics: Whether to append one more field, a linear projection of all statistics and of the likeness.

        Raises:
            ConfigError: If the layout has nothing to read.
        """
        return self._all_fields if statistics or self._raw_fields is None else self._raw_fields

    def field_list(self) -> list[Any]:
        """Returns what `fields(statistics=True)` joins, for blocks that need no copy of it."""
        return [*self._raw_list, *self._vector_field]

    @cached_property
    def _raw_list(self) -> list[Any]:
        leaves = None if self._leaf_row is None else keras.layers.Reshape((1, self.dim))(self._leaf_row[0])
        return [part for part in (self.id_fields, self._number_fields, leaves) if part is not None]

    @cached_property
    def _raw_fields(self) -> Any:
        return self._joined(self._raw_list, axis=1) if self._raw_list else None

    @cached_property
    def _all_fields(self) -> Any:
        raw = [] if self._raw_fields is None else [self._raw_fields]
        return self._joined([*raw, *self._vector_field], axis=1)

    def column(self, name: str) -> Any:
        """Returns the field of one id column, (batch, dim)."""
        return self.pick(self.id_fields, name)

    def user_and_item(self) -> list[Any]:
        """Returns the fields of the user and of the item, (batch, dim) each; none unless both are columns of ids."""
        ids, roles = [column.name for column in self.layout.ids], [self.layout.user, self.layout.item]
        return [self.column(str(role)) for role in roles] if all(role in ids for role in roles) else []

    def pick(self, fields: Any, name: str) -> Any:
        """Returns the field of one column out of what `look_up` returned, (batch, dim)."""
        names = [column.name for column in self.layout.ids if self._columns is None or column.name in self._columns]
        return fields[:, names.index(name)]

    def histories(self) -> list[list[Any]]:
        """Returns each sequence that shares its table with a column of ids, as `HistoryTransformer` reads it.

        Returns:
            Lists of the past items (batch, length, dim), their ids (batch, length), the column's field (batch, dim) and
            how alike they are to it (batch, length, any), see `ItemLikeness`, which lacks where they are not compared.
            Where several columns share the table, that of the item if it is among them, else the first.
        """
        return self._histories

    @cached_property
    def _histories(self) -> list[list[Any]]:
        if self._columns is not None or self._found is None:
            return []
        found = []
        for sequence in (column for column in self.layout.lists if column.kind == "sequence"):
            item = self.layout.candidate(sequence)
            if item is not None:
                values, ids = self._lists[sequence.name]
                rows = values if values.shape[-1] == self.dim else values[..., : self.dim]
                likeness = [self._likeness[sequence.name]] if sequence.name in self._likeness else []
                found.append([rows, ids, self.column(item.name), *likeness])
        return found

    @cached_property
    def _likeness(self) -> dict[str, Any]:
        """How alike the items of each list are to the row's, (batch, length, 1 + attributes)."""
        wanted = self._columns is None and self._fixed.get("likeness", True)
        return likeness_of(self.layout, self.input) if wanted else {}

    @cached_property
    def likeness(self) -> Any:
        """The mean of each list's likeness to the row's item, standardised, (batch, width), or None."""
        parts = mean_likeness(self.layout, self._likeness, self.input)
        return self._joined(parts, dtype="float32") if parts else None

    def dense(self) -> Any:
        """Returns numbers, statistics and likeness, about standardised, (batch, width), or None if there are none."""
        return self._dense

    @cached_property
    def _dense(self) -> Any:
        parts = [part for part in (self.numbers, self.statistics, self.likeness) if part is not None]
        return self._joined(parts, dtype="float32") if parts else None

    def vector(self) -> Any:
        """Returns all there is as one vector, (batch, fields * dim + width)."""
        return self._vector

    @cached_property
    def _vector(self) -> Any:
        raw = [keras.layers.Flatten()(part) for part in self._raw_list]
        return self._joined([*raw, *(part for part in (self._dense,) if part is not None)])

    def linear(self) -> Any:
        """Returns the first-order term, (batch, targets), to add to the logits."""
        parts = []
        if self._weights is not None:
            parts.append(keras.ops.sum(self._weights, axis=1))
        if self._leaf_weights is not None:
            parts.append(self._leaf_weights)
        if self._dense is not None:
            parts.append(self.quiet_term(self._dense))
        return self._joined(parts) if len(parts) < 2 else keras.layers.Add(dtype="float32")(parts)

    def quiet_term(self, values: Any) -> Any:
        """Returns a term to add to the logits that starts from 0: values weighed for each target, (batch, targets).

        `y = W values`, `W` learned and 0 at first

        Sums of products of fields grow with the square of the fields' number or faster. Weighed by ones or at random, a
        few steps of Adam make them larger than the rest of a logit, and on few rows they are noise; from 0 they are
        learned after it.

        Args:
            values: (batch, width), such as numbers or products of fields.
        """
        count = len(self.layout.targets)
        return keras.layers.Dense(count, use_bias=False, kernel_initializer="zeros", dtype="float32")(values)

    def _joined(self, parts: list[Any], axis: int = -1, dtype: str | None = None) -> Any:
        if not parts:
            received = {"groups": self.layout.groups, **self._fixed}
            raise ConfigError("layout", "one with columns that this space reads", received)
        return parts[0] if len(parts) == 1 else keras.layers.Concatenate(axis=axis, dtype=dtype)(parts)

    @cached_property
    def numbers(self) -> Any:
        """Transformed numbers and their indicators of missing values, (batch, width), or None."""
        if not self.layout.numbers or self._columns is not None:
            return None
        method = self._choice("numbers", NUMBERS, "log")
        self._transform = NumericTransform(method=method, columns=[asdict(column) for column in self.layout.numbers])
        return self._transform(self.input("numbers"))

    @cached_property
    def statistics(self) -> Any:
        """Standardised statistics of single columns and of pairs, then margins, (batch, width), or None."""
        parts = [self._standardised(group) for group in STATISTICS if self.width(group)]
        return self._joined(parts, dtype="float32") if parts else None

    def width(self, group: str) -> int:
        """Returns how many columns of a group of `STATISTICS` are read, the first ones."""
        columns = getattr(self.layout, group)
        if group != "pairs":
            return len(columns) if self._reads(group) else 0
        return len(columns) * self._pairs // max(self._pair_count, 1)

    def _reads(self, group: str) -> bool:
        # Asked once: another scope would declare the hyperparameter a second time.
        if group not in self._read:
            self._read[group] = self._decide(group)
        return self._read[group]

    def _decide(self, group: str) -> bool:
        if not getattr(self.layout, group) or self._columns is not None:
            return False
        if group in self._fixed:
            return bool(self._fixed[group])
        if group in STATISTICS and self._are_all:
            return True
        return bool(self._hp.Boolean(f"features/{group}", default=BOOLEANS[group]))

    @property
    def _are_all(self) -> bool:
        """Whether there is nothing to read but statistics."""
        return not set(self.layout.groups) - {*STATISTICS, "leaves"}

    @property
    def _pair_count(self) -> int:
        return len({column.sources for column in self.layout.pairs})

    @cached_property
    def _pairs(self) -> int:
        """How many pairs are read."""
        count = self._pair_count if self._columns is None else 0
        if not count or ("pairs" not in self._fixed and self._are_all):
            return count
        found = self._choice("pairs", [*(number for number in PAIRS if number < count), count], count)
        return (count if found else 0) if isinstance(found, bool) else min(int(found), count)

    def _standardised(self, group: str) -> Any:
        width, rows = self.width(group), self.input(group)
        columns = getattr(self.layout, group)[:width]
        layer = keras.layers.Normalization(
            mean=[column.mean for column in columns], variance=[column.std**2 for column in columns], dtype="float32"
        )
        return layer(rows if rows.shape[1] == width else rows[:, :width])

    @cached_property
    def _vector_field(self) -> list[Any]:
        """Statistics and likeness as a field, (batch, 1, dim); none if there are none."""
        parts = [part for part in (self.statistics, self.likeness) if part is not None]
        if not parts:
            return []
        return [keras.layers.Reshape((1, self.dim))(keras.layers.Dense(self.dim)(self._joined(parts, dtype="float32")))]

    @cached_property
    def _number_fields(self) -> Any:
        numbers = self.numbers
        if numbers is None:
            return None
        kind = self._choice("number_embedding", NUMBER_EMBEDDINGS, "piecewise")
        edges = self._transform.edges() if kind == "piecewise" else None
        return NumericEmbedding(dim=self.dim, kind=kind, edges=edges)(numbers)

    @cached_property
    def id_fields(self) -> Any:
        """Fields of ids, then of lists, (batch, columns, dim), or None."""
        return None if self._found is None else self._found[0]

    @cached_property
    def _weights(self) -> Any:
        """First-order weights of ids and lists, (batch, columns, targets)."""
        if self._first_order:
            return None if self._found is None else self._found[1]
        return self.look_up(len(self.layout.targets), own_widths=False, dtype="float32")

    @cached_property
    def _found(self) -> Any:
        """Fields and first-order weights, out of the same rows of one table."""
        extra = len(self.layout.targets) if self._first_order else 0
        look_up = self._id_fields(self.dim, extra=extra, dtype="float32" if extra else None)
        if look_up is None:
            return None
        rows = look_up(self.input)
        self._lists = look_up.lists
        return keras.ops.split(rows, [self.dim], axis=-1) if extra else (rows, None)

    @cached_property
    def _leaf_row(self) -> Any:
        """Field of the leaves and first-order weights, (batch, dim) and (batch, targets), or None."""
        if not self._reads("leaves"):
            return None
        extra = len(self.layout.targets) if self._first_order else 0
        rows = leaf_rows(self.layout, self.dim + extra, self.input, dtype="float32" if extra else None)
        return keras.ops.split(rows, [self.dim], axis=-1) if extra else (rows, None)

    @cached_property
    def _leaf_weights(self) -> Any:
        """First-order weights of the leaves, (batch, targets), or None."""
        if not self._reads("leaves"):
            return None
        if self._first_order:
            return self._leaf_row[1]
        return leaf_rows(self.layout, len(self.layout.targets), self.input, dtype="float32")

    def look_up(self, dim: int, **settings: Any) -> Any:
        """Returns rows of a further table for the ids and lists, (batch, columns, dim), or None if there are none.

        Args:
            dim: Width of the rows.
            **settings: What else `IdFields` takes.
        """
        look_up = self._id_fields(dim, **settings)
        return None if look_up is None else look_up(self.input)

    def _id_fields(self, dim: int, **settings: Any) -> IdFields | None:
        if not tables_of(self.layout, self._columns):
            return None
        lists = self.layout.lists and self._columns is None
        pooling = self._choice("pooling", POOLINGS, "mean") if lists else "mean"
        return IdFields(
            self.layout, dim, cap=limited_cap(self._cap), pooling=pooling, columns=self._columns, **settings
        )

    @cached_property
    def _cap(self) -> int | None:
        largest = max(table.size for table in tables_of(self.layout, self._columns))
        caps = [cap for cap in CAPS if cap < largest]
        if "cap" not in self._fixed and len(caps) < 2:
            return None
        return self._choice("cap", caps, 0) or None

    def _choice(self, name: str, values: Sequence[Any], default: Any) -> Any:
        if name in self._fixed:
            return self._fixed[name]
        return self._hp.Choice(f"features/{name}", list(values), default=default)


def check_arguments(arguments: dict[str, Any]) -> None:
    """Checks what was given for `Features`; None stands for left out.

    Raises:
        ConfigError: If a name or a value is not allowed.
    """
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            raise unknown_name("features", name, ARGUMENTS)
        if value is None:
            continue
        if name in CHOICES and value not in CHOICES[name]:
            raise unknown_name(name, value, CHOICES[name])
        if (name in BOOLEANS or name == "likeness") and not isinstance(value, bool):
            raise ConfigError(name, "True, False or None", value)
        if name == "pairs" and isinstance(value, bool):
            continue
        least = {"dim": 1, "cap": 0, "pairs": 0}.get(name)
        if least is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ConfigError(name, f"a whole number of {least} or more, or None", value)
