"""Bags and sequences in memory: rows of different lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lists:
    """Rows of different lengths: `values[offsets[i]:offsets[i + 1]]` is row `i`."""

    offsets: np.ndarray
    values: np.ndarray

    def take(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the rows as (rows, longest) int32, padded with 0 behind the values."""
        starts = self.offsets[:-1][rows]
        lengths = self.offsets[1:][rows] - starts
        width = max(int(lengths.max(initial=0)), 1)
        steps = np.arange(width)
        inside = steps < lengths[:, None]
        out = np.zeros(inside.shape, np.int32)
        out[inside] = self.values[(starts[:, None] + steps)[inside]]
        return out

    def rows(self, rows: np.ndarray) -> Lists:
        """Returns some rows, as lists."""
        starts, stops = self.offsets[:-1][rows], self.offsets[1:][rows]
        lengths = stops - starts
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        inside = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts, lengths)
        return Lists(offsets, self.values[inside])
