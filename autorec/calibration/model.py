"""A model and its calibrators as one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from autorec.calibration.calibrator import Calibrator
from autorec.calibration.layer import CalibrationCurves
from autorec.errors import ConfigError, unknown_name


def calibrate(model: Any, calibrators: Mapping[str, Calibrator], *, columns: int | None = None) -> keras.Model:
    """Returns a model whose logits are calibrated, with the same inputs and the same outputs' names.

    No weight is copied: it shares the layers of the model, which stays usable. Calibrators with segments read the group
    `ids`, which becomes an input where the model reads none.

    Args:
        model: Functional Keras model with dicts of inputs and outputs.
        calibrators: Target -> calibrator; other targets stay as they are, and so do those whose logits none changes.
        columns: Width of the group `ids`, needed where it becomes an input.

    Raises:
        ConfigError: If the model is not of that form, or a calibrator is of none of its targets.

    Example:
        >>> calibrated = calibrate(model, {"click": Calibrator(fit("isotonic", Scored(logits, labels)))})
    """
    if not isinstance(getattr(model, "input", None), Mapping) or not isinstance(
        getattr(model, "output", None), Mapping
    ):
        raise ConfigError("model", "a functional model with dicts of inputs and outputs", model)
    inputs, outputs = dict(model.input), dict(model.output)
    for target, calibrator in calibrators.items():
        if target not in outputs:
            raise unknown_name("calibrators", target, outputs)
        if not calibrator.changes:
            continue
        curves, places = calibrator.table()
        layer = CalibrationCurves([curve.to_dict() for curve in curves], places, calibrator.column)
        if calibrator.segments and "ids" not in inputs:
            inputs["ids"] = keras.Input((columns,), dtype="int32", name="ids")
        reads = {"ids": inputs["ids"]} if calibrator.segments else {}
        outputs[target] = layer(outputs[target], **reads)
    return keras.Model(inputs, outputs, name=model.name)
