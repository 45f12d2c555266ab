"""Logits and labels of a known truth."""

from __future__ import annotations

import numpy as np

from autorec.calibration.fitting import Scored


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def scored(rows: int, slope: float = 2.0, shift: float = -1.0, *, seed: int = 0, weights: bool = False) -> Scored:
    """Returns logits `z` with labels of the probability `sigmoid(slope z + shift)`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0.0, 1.5, rows)
    labels = (rng.random(rows) < sigmoid(slope * z + shift)).astype(float)
    return Scored(z, labels, rng.random(rows) if weights else None)
