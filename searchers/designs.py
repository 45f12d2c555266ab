"""Encoded rows as the matrices that scikit-learn and LightGBM take."""

from __future__ import annotations

from typing import Any

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import Layout

# Ids above these ranks (ids fall by training count) count as one value, "out of vocabulary".
_ONE_HOT_IDS = 100_000
_CATEGORIES = 10_000


def one_hot(part: Part, layout: Layout) -> Any:
    """Returns a sparse matrix: one column for each id and list value, then numbers.

    Numbers are `sign(x) log1p(|x|)`, standardised by the training rows, 0 where missing, with a column that says so.

    Args:
        part: Encoded rows.
        layout: Their columns.

    Returns:
        `scipy.sparse.csr_matrix` of float64, (rows, columns).
    """
    import scipy.sparse

    rows = _rows(part, layout)
    blocks = []
    if layout.ids:
        blocks.append(_indicators(rows["ids"], [column.size for column in layout.ids]))
    for column in layout.lists:
        blocks.append(_counts(rows[column.group], column.size))
    if layout.numbers:
        blocks.append(scipy.sparse.csr_matrix(_numbers(rows["numbers"], layout)))
    return scipy.sparse.hstack(blocks, format="csr")


def _rows(part: Part, layout: Layout) -> dict[str, np.ndarray]:
    """Returns the groups that are read here: ids, numbers and lists."""
    groups = {"ids", "numbers", *(column.group for column in layout.lists)}
    return part.take(slice(None), [group for group in part.arrays if group in groups])


def _indicators(ids: np.ndarray, sizes: list[int]) -> Any:
    import scipy.sparse

    capped = [min(size, _ONE_HOT_IDS) for size in sizes]
    offsets = np.cumsum([0, *capped])
    columns = np.where(ids < capped, ids, 1) + offsets[:-1]  # (rows, id columns)
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    return scipy.sparse.csr_matrix((np.ones(columns.size), columns.ravel(), ends), (len(ids), int(offsets[-1])))


def _counts(values: np.ndarray, size: int) -> Any:
    import scipy.sparse

    capped = min(size, _ONE_HOT_IDS)
    present = values > 0
    columns = np.where(values < capped, values, 1)[present]
    ends = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    return scipy.sparse.csr_matrix((np.ones(columns.size), columns, ends), (len(values), capped))


def _numbers(numbers: np.ndarray, layout: Layout) -> np.ndarray:
    values = np.sign(numbers) * np.log1p(np.abs(numbers))
    mean = np.array([column.log_mean for column in layout.numbers])
    std = np.array([column.log_std for column in layout.numbers])
    missing = np.isnan(numbers)
    return np.hstack([np.where(missing, 0.0, (values - mean) / std), missing])


def categories(part: Part, layout: Layout) -> tuple[np.ndarray, list[int]]:
    """Returns a matrix for LightGBM and the positions of its categorical columns.

    Ids become categories, numbers stay as they are, a list becomes its newest value and its length.

    Args:
        part: Encoded rows.
        layout: Their columns.

    Returns:
        ((rows, columns) float64, positions).
    """
    rows = _rows(part, layout)
    blocks, categorical = [], list(range(len(layout.ids)))
    if layout.ids:
        blocks.append(_capped(rows["ids"]))
    width = len(layout.ids)
    for column in layout.lists:
        values = rows[column.group]
        length = (values > 0).sum(axis=1)
        newest = values[np.arange(len(values)), np.maximum(length - 1, 0)] if values.shape[1] else length
        blocks.append(np.column_stack([_capped(newest), length]))
        categorical.append(width)
        width += 2
    if layout.numbers:
        blocks.append(rows["numbers"])
    return np.hstack(blocks).astype(np.float64), categorical


def _capped(ids: np.ndarray) -> np.ndarray:
    return np.where(ids < _CATEGORIES, ids, 1)
