"""What is long, by context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

_BETWEEN = "\x1f"  # between the values of several columns


@dataclass(frozen=True)
class Thresholds:
    """What is long, by context.

    Args:
        by: Columns whose values are the contexts.
        overall: The threshold of a context without one.
        contexts: Values of the columns, joined -> threshold.

    Example:
        >>> Thresholds(("category",), 30.0, {"film": 600.0}).labels(values, [categories])
    """

    by: tuple[str, ...]
    overall: float
    contexts: Mapping[str, float]

    def labels(self, values: np.ndarray, contexts: Sequence[pa.Array]) -> np.ndarray:
        """Returns 1 where a value is above its context's threshold, else 0; NaN where it is missing, (rows,) float64.

        Args:
            values: (rows,) values, NaN where missing.
            contexts: The columns `by` of the rows.
        """
        thresholds = self.of(keys_of(contexts)) if self.by else self.overall
        return np.where(np.isnan(values), np.nan, (values > thresholds).astype(np.float64))

    def of(self, keys: pl.Series) -> Any:
        """Returns the threshold of each row by what `keys_of` gives, or one for all; (rows,) or a number."""
        if not self.by or not len(keys):
            return self.overall
        return keys.replace_strict(self.contexts, default=self.overall, return_dtype=pl.Float64).to_numpy()

    def to_dict(self) -> dict[str, Any]:
        """Returns the thresholds as plain JSON values."""
        return {"by": list(self.by), "overall": self.overall, "contexts": dict(self.contexts)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Thresholds:
        """Returns the thresholds that `to_dict` wrote."""
        return cls(tuple(values["by"]), values["overall"], values["contexts"])


def keys_of(contexts: Sequence[pa.Array]) -> pl.Series:
    """Returns the values of some columns as one text for each row; a whole number is one of any type."""
    frame = pl.DataFrame([_texts(array).alias(str(place)) for place, array in enumerate(contexts)])
    return frame.select(pl.concat_str(pl.all(), separator=_BETWEEN)).to_series()


def _texts(array: pa.Array) -> pl.Series:
    series: Any = pl.from_arrow(array.dictionary_decode() if pa.types.is_dictionary(array.type) else array)
    if series.dtype.is_float():
        whole = series.fill_nan(None).cast(pl.Int64, strict=False)
        texts = pl.select(pl.when(whole == series).then(whole.cast(pl.String)).otherwise(series.cast(pl.String)))
        series = texts.to_series()
    return series.cast(pl.String).fill_null("")
