"""Members of ensembles with known errors."""

from __future__ import annotations

import numpy as np

from autorec.searchers.panel import Panel, Votes

CLASSES = 3


def classified(decisions: np.ndarray, labels: np.ndarray, sure: float = 3.0) -> Panel:
    """Returns a panel of classifiers that decide as given, (members, rows), with logits of 0 and `sure`."""
    return Panel([Votes(sure * np.eye(CLASSES)[decisions], labels, "classes")])


def noisy(labels: np.ndarray, rates: list[float], rng: np.random.Generator) -> np.ndarray:
    """Returns decisions of members, (members, rows), each wrong by chance at its own rate."""
    wrong = rng.random((len(rates), len(labels))) < np.array(rates)[:, None]
    other = (labels + rng.integers(1, CLASSES, (len(rates), len(labels)))) % CLASSES
    return np.where(wrong, other, labels)


def clicked(members: int, rows: int = 400, seed: int = 0, noise: float = 1.0) -> Panel:
    """Returns a panel of click models whose logits are the true ones with noise of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    outputs = truth + noise * rng.normal(size=(members, rows))
    return Panel([Votes(outputs.astype(np.float32), labels, "binary")])


def rated(members: int, rows: int = 300, seed: int = 0) -> Panel:
    """Returns a panel of rating models with noise that grows from member to member."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 6, rows).astype(np.float32)
    noise = rng.normal(size=(members, rows)) * np.linspace(0.5, 1.5, members)[:, None]
    return Panel([Votes(labels + noise, labels, "real", scale=1.4, low=1.0, high=5.0)])
