"""Which rows of a source are held out for validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.schema import Schema
from autorec.data.source import BLOCK, Source, placed
from autorec.errors import ConfigError, DataError, unknown_name

SPLITS = ("random", "time", "user")


def assign(source: Source, schema: Schema, split: str, fraction: float, seed: int) -> np.ndarray:
    """Returns a mask of the rows, True for validation rows.

    Args:
        source: The rows; at most one column is read.
        schema: Names the columns `time` and `user`.
        split: `random`; `time`: the last rows by time, rows of one time on one side; `user`: whole users.
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
        mask = _by_chance(source.count(), fraction, seed)
    elif split == "time":
        mask = _by_time(_values(source, _role(schema, "time"), columns.order_values), fraction)
    else:
        mask = _by_user(_values(source, _role(schema, "user"), lambda array: _hashes(array, seed)), fraction)
    if not len(mask) or mask.all() or not mask.any():
        reason = {"time": "all rows have the same time", "user": "all rows are of one user"}.get(split, "too few rows")
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


def _by_chance(rows: int, fraction: float, seed: int) -> np.ndarray:
    """Holds out a random set of the wanted size, block by block: how many of a block is drawn first, then which."""
    rng = np.random.default_rng([seed, 3])
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


def _by_user(hashes: np.ndarray, fraction: float) -> np.ndarray:
    """Holds out users in the order of their hashes until the fraction is met."""
    found, user, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    if len(found) < 2:
        return np.zeros(len(hashes), bool)
    behind = np.cumsum(counts)
    number = int(np.argmin(np.abs(behind[:-1] - fraction * len(hashes)))) + 1
    return user < number


def _values(source: Source, name: str, read: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
    found, start = [], 0
    for batch in source.batches([name]):
        try:
            found.append(read(batch.column(0)))
        except DataError as error:
            raise placed(DataError(error.message, row=error.row, column=name), source, start) from error
        start += batch.num_rows
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _hashes(array: pa.Array, seed: int) -> np.ndarray:
    column = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    text = columns.text_keys(column.dictionary)
    of_values = np.where(text.is_null(), np.uint64(0), text.hash(seed=seed).to_numpy())
    return np.append(of_values, np.uint64(0))[column.indices.fill_null(len(of_values)).to_numpy(zero_copy_only=False)]
