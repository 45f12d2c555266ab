"""The calibrator of one target: a curve for all rows, and others for segments of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autorec.calibration.curve import IDENTITY, Curve


@dataclass(frozen=True)
class Calibrator:
    """Maps the logits of a target to calibrated ones.

    Args:
        curve: The curve of all rows that have no other.
        segments: Local id of a segment -> its own curve.
        column: Place of the segments' column in the group `ids`; None where there are no segments.

    Example:
        >>> Calibrator(curve, {2: phone, 3: desktop}, column=1)(logits, ids[:, 1])
    """

    curve: Curve = IDENTITY
    segments: Mapping[int, Curve] = field(default_factory=dict)
    column: int | None = None

    @property
    def changes(self) -> bool:
        """Whether any logit is changed."""
        return any(curve != IDENTITY for curve in (self.curve, *self.segments.values()))

    def __call__(self, logits: np.ndarray, segments: np.ndarray | None = None) -> np.ndarray:
        """Returns calibrated logits, (rows,) float64.

        Args:
            logits: (rows,) logits.
            segments: (rows,) local ids, needed where there are segments.
        """
        found = self.curve(logits)
        if segments is not None:
            for number, curve in self.segments.items():
                rows = segments == number
                found[rows] = curve(np.asarray(logits)[rows])
        return found

    def shifted(self, by: float) -> Calibrator:
        """Returns the calibrator with a number added to all its values."""
        own = {number: curve.shifted(by) for number, curve in self.segments.items()}
        return Calibrator(self.curve.shifted(by), own, self.column)

    def table(self) -> tuple[list[Curve], Sequence[int]]:
        """Returns the curves, that of all rows first, and for each local id from 0 up to the last which one it has."""
        curves, places = [self.curve], [0] * (max(self.segments, default=-1) + 1)
        for number, curve in sorted(self.segments.items()):
            places[number] = len(curves)
            curves.append(curve)
        return curves, places

    def to_dict(self) -> dict[str, Any]:
        """Returns the calibrator as plain JSON values."""
        return {
            "curve": self.curve.to_dict(),
            "segments": {str(number): curve.to_dict() for number, curve in self.segments.items()},
            "column": self.column,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Returns the calibrator that `to_dict` wrote."""
        own = {int(number): Curve.from_dict(curve) for number, curve in values["segments"].items()}
        return cls(Curve.from_dict(values["curve"]), own, values["column"])
