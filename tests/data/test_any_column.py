"""From a column of any library to Arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autorec.data.any_column import to_arrow
from autorec.data.table import as_source


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
