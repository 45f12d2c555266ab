"""Calibration curves as a Keras layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.calibration.curve import Curve
from autorec.errors import ConfigError

_FAR = float(np.finfo(np.float32).max)


@keras.saving.register_keras_serializable(package="autorec")
class CalibrationCurves(Block):
    """A rising, piecewise linear function of a logit, in float32 under any policy; another one for some segments.

    `z' = f_s(z)`, where `s` is the segment's curve, or the first where the segment has none.

    A row counts the knots below its logit and reads base, slope and bound of the piece it is on: comparisons, gathers
    and one multiplication, also in LiteRT.

    Args:
        curves: Curves as dicts `{"x", "y", "low", "high"}`, see `autorec.calibration.curve.Curve`.
        places: For each local id of a segment, from 0, which curve it has; larger ids have the first.
        column: Place of the segments' column in the ids.

    Shapes:
        A logit (batch, 1) and `ids` (batch, columns) give (batch, 1); ids are read where there are several curves.

    Raises:
        ConfigError: If there is no curve, one does not rise, or a place is none of a curve.

    Example:
        >>> CalibrationCurves([{"x": [0.0], "y": [1.0], "low": 0.5, "high": 0.5}])(np.array([[2.0]]))  # [[2.]]
    """

    def __init__(
        self, curves: Sequence[Mapping[str, Any]], places: Sequence[int] = (), column: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.curves = [Curve.from_dict(curve).to_dict() for curve in curves]
        self.places = [int(place) for place in places]
        self.column = column
        if not self.curves:
            raise ConfigError("curves", "one curve or more", curves)
        if not all(0 <= place < len(self.curves) for place in self.places):
            raise ConfigError("places", f"numbers of {len(self.curves)} curves", places)
        if (self.places or self.curves[1:]) and column is None:
            raise ConfigError("column", "the place of the segments' column", column)
        self._knots, self._pieces = _tables([Curve.from_dict(curve) for curve in self.curves])

    def build(self, logits_shape: Any = None, ids_shape: Any = None) -> None:
        """Makes nothing: the curves are arguments."""
        self.built = True

    def call(self, logits: Any, ids: Any = None) -> Any:
        """Takes logits (batch, 1) and ids (batch, columns); returns (batch, 1) float32."""
        logits = ops.cast(logits, "float32")
        if len(self.curves) == 1:
            curve, knots = 0, self._knots  # (1, knots)
        else:
            curve = self._curve_of(ids)  # (batch, 1)
            knots = ops.take(self._knots, ops.squeeze(curve, 1), axis=0)  # (batch, knots)
        below = ops.sum(ops.cast(logits >= knots, "int32"), axis=1, keepdims=True)
        piece = below + curve * (self._knots.shape[1] + 1)
        x, y, slope, bound = (ops.take(values, piece) for values in self._pieces)
        # Rounding must not lift a row above the next piece's first.
        return ops.minimum(y + slope * (logits - x), bound)

    def _curve_of(self, ids: Any) -> Any:
        places = np.array([*self.places, 0], "int32")
        segment = ops.cast(ids[:, self.column : self.column + 1], "int32")  # type: ignore[operator]
        return ops.take(places, ops.minimum(segment, len(self.places)))

    def compute_output_shape(self, logits_shape: Any, ids_shape: Any = None) -> Shape:
        """Returns (batch, 1)."""
        shape: Shape = tuple(logits_shape)
        return shape

    def operations(self, shapes: Sequence[Shape]) -> int:
        """Returns the multiplications for one row."""
        return 1


def _tables(curves: Sequence[Curve]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Returns the knots, (curves, most knots), and for each piece of each curve its base, value, slope and bound."""
    width = max(len(curve.x) for curve in curves)
    knots = np.full((len(curves), width), _FAR, "float32")
    pieces = np.zeros((4, len(curves), width + 1), "float32")
    for row, curve in enumerate(curves):
        count = len(curve.x)
        x, y = np.array(curve.x), np.array(curve.y)
        knots[row, :count] = x
        pieces[0, row, : count + 1] = [x[0], *x]
        pieces[1, row, : count + 1] = [y[0], *y]
        pieces[2, row, : count + 1] = [curve.low, *(np.diff(y) / np.diff(x)), curve.high]
        pieces[3, row, : count + 1] = [*y, _FAR]
    return knots, tuple(piece.reshape(-1) for piece in pieces)
