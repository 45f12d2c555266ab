"""Writes and reads model folders."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from autorec.data.encoder import Encoder
from autorec.errors import ConfigError, DataError
from autorec.export.input_names import SIGNATURE, input_names, name_inputs
from autorec.export.predictor import Predictor
from autorec.files import new_folder, write_json

CARD = "model_card.json"
PACKAGES = ("autorec", "tensorflow", "keras", "numpy", "polars", "pyarrow")


def versions() -> dict[str, str]:
    """Returns the versions that a model was made with."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def export(folder: str | Path, predictor: Predictor) -> Path:
    """Writes a model folder and returns its path.

    ==================  ===================================================================================
    `model.keras`       the Keras model: encoded rows in, a logit (a rating) for each target out
    `saved_model/`      a SavedModel: raw columns by name in, probabilities out; plain TensorFlow
    `encoder/`          vocabularies and statistics
    `schema.json`       the columns that it reads
    `model_card.json`   data fingerprint, metrics, versions, seed, the signature's name for each column
    ==================  ===================================================================================

    It is written aside and renamed; an older export at the same path is replaced.

    Raises:
        ConfigError: If `folder` holds something else.
    """
    import tensorflow as tf

    from autorec.export.signature import ServedModel

    folder = Path(folder).expanduser()
    if folder.exists() and not (folder / CARD).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("folder", "a new or empty folder, or an earlier export", str(folder))
    with new_folder(folder) as aside, tempfile.TemporaryDirectory() as words:
        predictor.model.save(aside / "model.keras")
        predictor.encoder.save(aside / "encoder")
        predictor.schema.save(aside / "schema.json")
        module = ServedModel(predictor.model, predictor.encoder, Path(words), predictor.utility)
        tf.saved_model.save(module, str(aside / "saved_model"), signatures={SIGNATURE: module.signature()})
        name_inputs(aside / "saved_model", predictor.schema.names)
        inputs = input_names(predictor.schema.names)
        write_json(aside / CARD, {**predictor.card, "inputs": inputs, "versions": versions()})
    return folder


def load(folder: str | Path) -> Predictor:
    """Returns the predictor of a model folder.

    Raises:
        DataError: If it is not a model folder, or something in it is absent or damaged.
    """
    folder = Path(folder).expanduser()
    if not (folder / CARD).exists():
        raise DataError(f"not a model folder: it has no {CARD}", file=folder)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"the card of the model is damaged: {error}", file=folder / CARD) from error
    return Predictor(load_model(folder / "model.keras"), Encoder.load(folder / "encoder"), card)


def load_model(path: Path) -> Any:
    """Returns the Keras model of a file, without optimizer and loss.

    Raises:
        DataError: If it is not there or damaged, or holds a layer that no imported module registers.
    """
    import keras

    import autorec.blocks
    import autorec.calibration.layer
    import autorec.training.registered  # noqa: F401  (registers what models hold)

    if not path.is_file():
        raise DataError("the file of the model is not there", file=path)
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"the model cannot be read: {error}", file=path) from error
