"""Which rows of a source are held out for validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.schema import Schema
from autorec.data.source import BLOCK, Source, placed
from autorec.errors import ConfigError, DataError, unknown_name

SPLITS = ("random", "time", "user")
_ENOUGH = 100  # rows of a class to validate on
_NO_CLASS = 2
_NO_USER = np.uint64(0)


def assign(source: Source, schema: Schema, split: str, fraction: float, seed: int) -> np.ndarray:
    """Returns a mask of the rows, True for validation rows.

    Args:
        source: The rows; at most one column is read.
        schema: Names the targets and the columns `time` and `user`.
        split: `random`: of a first target of 0 and 1 whose rarer class would have fewer than 100 rows held out, the
            share of each class, and with two rows or more of a class at least one on both sides; `time`: the last rows
            by time, rows of one time on one side; `user`: whole users, and of the rows without one any.
        fraction: Share of the rows to hold out, in (0, 1); by time and by user it is met as nearly as can be.
        seed: Seed of the random choices.

    Raises:
        ConfigError: If an argument cannot be used, or the schema names no column for the split.
        DataError: If one side would be empty.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if not 0 < fraction < 1:
        raise ConfigError("validation_fraction", "between 0 and 1", fraction)
    if split == "random":
        mask = _by_class(source, schema, fraction, seed)
    elif split == "time":
        mask = _by_time(_values(source, _role(schema, "time"), columns.order_values), fraction)
    else:
        mask = _by_user(_values(source, _role(schema, "user"), lambda array: _hashes(array, seed)), fraction, seed)
    if not len(mask) or mask.all() or not mask.any():
        reasons = {"time": "all rows have the same time", "user": "all rows are of one user or of none"}
        reason = reasons.get(split, "too few rows")
        raise DataError(
            f"the split {split!r} must leave rows on both sides, but of {len(mask)} rows {int(mask.sum())} would be "
            f"held out ({reason})",
            file=source.name,
            column=getattr(schema, split, None),
        )
    return mask


def _role(schema: Schema, role: str) -> str:
    name = getattr(schema, role)
    if name is None:
        raise ConfigError("split", f"'random' where no column has the role `{role}`", role, f"Name one: {role}=...")
    return str(name)


def _by_class(source: Source, schema: Schema, fraction: float, seed: int) -> np.ndarray:
    """Holds out a random set of all rows, or where a class is rare of the rows of each class."""
    classes = _rare_classes(source, schema, fraction)
    if classes is None:
        return _by_chance(source.count(), fraction, seed)
    mask = np.zeros(len(classes), bool)
    for number in (0, 1, _NO_CLASS):
        rows = np.flatnonzero(classes == number)
        mask[rows] = _by_chance(len(rows), fraction, seed, number)
    return mask


def _rare_classes(source: Source, schema: Schema, fraction: float) -> np.ndarray | None:
    """Returns the class of each row by the first target; None where chance gives enough rows of both classes.

    None too where the target is not of two classes: it is long, has another value, or one value alone; or where it has
    but one row of each.
    """
    if not schema.targets or schema.targets[0] in (schema.long or {}):
        return None
    found, counts = [], np.zeros(2, np.int64)
    for values in _blocks(source, schema.targets[0], columns.numbers):
        missing = np.isnan(values)
        if not (missing | (values == 0) | (values == 1)).all():
            return None
        found.append(np.where(missing, _NO_CLASS, values).astype(np.int8))
        counts += np.bincount(found[-1], minlength=_NO_CLASS + 1)[:_NO_CLASS]
        if (counts * fraction >= _ENOUGH).all():
            return None
    return np.concatenate(found) if counts.all() and counts.max() > 1 else None


def _by_chance(rows: int, fraction: float, seed: int, *more: int) -> np.ndarray:
    """Holds out a random set of the wanted size, block by block: how many of a block is drawn first, then which."""
    rng = np.random.default_rng([seed, 3, *more])
    mask = np.zeros(rows, bool)
    held = max(min(max(round(rows * fraction), 1), rows - 1), 0)
    for start in range(0, rows, BLOCK):
        size = min(BLOCK, rows - start)
        number = int(rng.hypergeometric(held, rows - start - held, size))
        mask[start + rng.permutation(size)[:number]] = True
        held -= number
    return mask


def _by_time(times: np.ndarray, fraction: float) -> np.ndarray:
    """Holds out the times from one of two boundaries on, that which comes nearer to the fraction."""
    if not len(times):
        return np.zeros(0, bool)
    ordered = np.sort(times)
    cut = ordered[min(round(len(times) * (1 - fraction)), len(times) - 1)]
    first, behind = np.searchsorted(ordered, [cut, cut], "left")[0], np.searchsorted(ordered, cut, "right")
    wanted = len(times) * (1 - fraction)
    keep_tie_out = first > 0 and (behind == len(times) or abs(first - wanted) <= abs(behind - wanted))
    return times >= cut if keep_tie_out else times > cut


def _by_user(hashes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Holds out users in the order of their hashes until the fraction is met, and a random set of the rows of none."""
    mask, known = np.zeros(len(hashes), bool), hashes != _NO_USER
    if not known.any():
        return mask
    mask[~known] = _by_chance(len(hashes) - int(known.sum()), fraction, seed)
    found, user, counts = np.unique(hashes[known], return_inverse=True, return_counts=True)
    if len(found) > 1:
        behind = np.cumsum(counts)
        mask[known] = user <= int(np.argmin(np.abs(behind[:-1] - fraction * len(user))))
    return mask


def _values(source: Source, name: str, read: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    found = list(_blocks(source, name, read))
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _blocks(source: Source, name: str, read: Callable[[pa.Array], np.ndarray]) -> Iterator[np.ndarray]:
    start = 0
    for batch in source.batches([name]):
        try:
            yield read(batch.column(0))
        except DataError as error:
            raise placed(DataError(error.message, row=error.row, column=name), source, start) from error
        start += batch.num_rows


def _hashes(array: pa.Array, seed: int) -> np.ndarray:
    column = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    text = columns.text_keys(column.dictionary)
    of_values = np.where(text.is_null(), _NO_USER, text.hash(seed=seed).to_numpy())
    return np.append(of_values, _NO_USER)[column.indices.fill_null(len(of_values)).to_numpy(zero_copy_only=False)]
