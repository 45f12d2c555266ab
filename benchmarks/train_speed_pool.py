"""The batches that all peers of `train_speed` train on, and the sizes of the model. Needs NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUMBERS, FIELDS, DIM, BATCH = 13, 26, 16, 4096
CROSSES, UNITS = 3, (400, 400, 400)
WIDTH = FIELDS * DIM + NUMBERS
POOL = 32
EXPONENT = 1.1  # of the Zipf law: about what the counts of Criteo's large columns follow


@dataclass(frozen=True)
class Pool:
    """Batches in memory.

    Args:
        ids: (batches, rows, fields) int32, from 0 in each field.
        numbers: (batches, rows, numbers) float32, about standard normal.
        labels: (batches, rows, 1) float32.
    """

    ids: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray


def field_sizes(rows: int) -> list[int]:
    """Returns the number of ids of each field: from a few to two fifths of all, `rows` together."""
    shares = np.geomspace(3, 400_000, FIELDS)
    sizes = np.maximum(shares * rows / shares.sum(), 4).astype(int)
    sizes[-1] += rows - sizes.sum()
    return [int(size) for size in sizes]


def make_pool(rows: int, batches: int = POOL) -> Pool:
    """Returns the batches for tables of `rows` rows in all; the same ones each time."""
    rng = np.random.default_rng(0)
    ids = np.stack([_zipf(rng, size, (batches, BATCH)) for size in field_sizes(rows)], axis=-1).astype(np.int32)
    numbers = rng.standard_normal((batches, BATCH, NUMBERS)).astype(np.float32)
    chance = 1 / (1 + np.exp(1.0 - numbers[..., :1] - (ids[..., :1] == 0)))
    return Pool(ids, numbers, (rng.random(chance.shape) < chance).astype(np.float32))


def distinct(pool: Pool) -> float:
    """Returns the mean number of distinct rows that a batch touches."""
    counts = [sum(len(np.unique(batch[:, field])) for field in range(FIELDS)) for batch in pool.ids[:4]]
    return float(np.mean(counts))


def product_operations() -> float:
    """Returns the multiplications and additions in the matrix products of a step.

    Each layer has one product forward, one for the gradient of its weights and one for that of its input; the first
    layers' inputs are embeddings, which need theirs too.
    """
    ends = [WIDTH, *UNITS]
    weights = CROSSES * WIDTH**2 + sum(a * b for a, b in zip(ends, ends[1:])) + (WIDTH + UNITS[-1])
    return 3.0 * 2.0 * BATCH * weights


def _zipf(rng: np.random.Generator, size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns ids below `size` whose counts fall with a power of the id: the inverse of the continuous law."""
    power = 1.0 - EXPONENT
    draws = (1.0 + rng.random(shape) * ((size + 1.0) ** power - 1.0)) ** (1.0 / power)
    return np.minimum(draws.astype(np.int64) - 1, size - 1)
