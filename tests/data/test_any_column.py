"""From a column of any library to Arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autorec.data.any_column import to_arrow
from autorec.data.table import as_source
from autorec.errors import DataError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 3], [0, 0, 3]),
        ([np.nan, 1.5, np.nan], [None, 1.5, None]),
        ([False, True, False], [False, True, False]),
        (np.array(["a", None, "a"], object), ["a", None, "a"]),
    ],
)
def test_sparse_columns_of_pandas_become_dense(values: Any, expected: list[Any]) -> None:
    sparse = pd.arrays.SparseArray(values)
    assert to_arrow(sparse, "x", "dict").to_pylist() == expected
    frame = pd.DataFrame({"x": sparse})
    assert next(as_source(frame).batches(["x"])).column(0).to_pylist() == expected


def test_nan_for_a_missing_text_is_missing() -> None:
    values = ["a", float("nan"), "b", np.float64("nan")]
    assert to_arrow(np.array(values, object), "x", "dict").to_pylist() == ["a", None, "b", None]
    with pytest.raises(DataError, match=r"row 1, column 'x': the column has mixed types: 0.5 is a number, but 'a'"):
        to_arrow(np.array(["a", 0.5, float("nan")], object), "x", "dict")
