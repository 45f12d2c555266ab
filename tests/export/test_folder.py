"""Exported folders: the same answers in a fresh process, with AutoRec and without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autorec
from autorec.errors import ConfigError, DataError
from tests import fitted

PLAIN_TENSORFLOW = """
import sys, numpy as np, tensorflow as tf
inputs = {
    name: tf.constant(values.tolist(), tf.string, values.shape) if values.dtype == object else tf.constant(values)
    for name, values in np.load(sys.argv[2], allow_pickle=True).items()
}
signature = tf.saved_model.load(sys.argv[1] + "/saved_model").signatures["serving_default"]
np.savez(sys.argv[3], **{name: values.numpy() for name, values in signature(**inputs).items()})
assert not any(name.split(".")[0] == "autorec" for name in sys.modules)
"""
AUTOREC = """
import sys, numpy as np, polars as pl, autorec
np.savez(sys.argv[3], y=autorec.load(sys.argv[1]).predict(pl.read_parquet(sys.argv[2])))
"""
KERAS = """
import sys, keras, autorec.blocks
model = keras.saving.load_model(sys.argv[1] + "/model.keras")
assert sorted(model.output) == ["y"], model.output
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted.of_every_kind().export(tmp_path_factory.mktemp("exported") / "model")


def fresh(code: str, *arguments: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.long
def test_the_saved_model_answers_in_plain_tensorflow_as_the_recommender(folder: Path, tmp_path: Path) -> None:
    rows = fitted.rows_of_every_kind(200, 7, unseen=True)
    np.savez(tmp_path / "in.npz", **fitted.signature_inputs(rows, fitted.HOSTILE))
    fresh(PLAIN_TENSORFLOW, folder, tmp_path / "in.npz", tmp_path / "out.npz")
    assert np.abs(np.load(tmp_path / "out.npz")["y"] - fitted.of_every_kind().predict(rows)).max() <= 1e-6


@pytest.mark.long
def test_a_loaded_folder_answers_in_a_fresh_process_as_the_recommender(folder: Path, tmp_path: Path) -> None:
    rows = fitted.rows_of_every_kind(200, 8, unseen=True)
    rows.write_parquet(tmp_path / "rows.parquet")
    fresh(AUTOREC, folder, tmp_path / "rows.parquet", tmp_path / "out.npz")
    assert np.abs(np.load(tmp_path / "out.npz")["y"] - fitted.of_every_kind().predict(rows)).max() <= 1e-6


@pytest.mark.long
def test_the_keras_file_loads_when_the_blocks_are_imported(folder: Path) -> None:
    fresh(KERAS, folder)


def test_a_loaded_folder_answers_as_the_recommender(folder: Path) -> None:
    rows = fitted.rows_of_every_kind(100, 9, unseen=True)
    assert np.array_equal(autorec.load(folder).predict(rows), fitted.of_every_kind().predict(rows))


@pytest.mark.long
def test_every_target_has_an_output(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = fitted.searched().export(tmp_path / "model")
    rows = fitted.clicks(20, seed=1)
    signature = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = signature(**fitted.signature_tensors(rows, fitted.searched().schema_))
    for name, chance in fitted.searched().predict(rows).items():
        assert np.allclose(found[name], chance, atol=1e-6)


def test_ratings_are_served_in_their_own_units(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = fitted.rated().export(tmp_path / "model")
    signature = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = signature(user=tf.constant(["1", "unknown", ""]))["rating"]
    assert np.allclose(found, fitted.rated().predict({"user": ["1", "unknown", None]}), atol=1e-6)


def test_the_card_says_what_the_model_is(folder: Path) -> None:
    card = json.loads((folder / "model_card.json").read_text())
    assert card["targets"] == ["y"]
    assert card["data"]["fingerprint"]
    assert card["data"]["training_rows"] + card["data"]["validation_rows"] == 500
    assert 0 <= card["metrics"]["val_auc"] <= 1
    assert {"tensorflow", "keras", "autorec", "python"} <= set(card["versions"])
    assert (card["search_seed"], card["calibrated"], card["refitted"]) == (0, False, False)
    assert card["inputs"]["float id"] == "float id"


def test_the_schema_lies_beside_the_model(folder: Path) -> None:
    assert autorec.Schema.load(folder / "schema.json").names == fitted.HOSTILE.names


def test_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ConfigError, match="a new or empty folder, or an earlier export"):
            fitted.rated().export(place)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    folder = fitted.rated().export(tmp_path / "model")
    (folder / "encoder" / "old.txt").write_text("of the earlier one")
    fitted.rated().export(folder)
    assert not (folder / "encoder" / "old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_export_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    folder = fitted.rated().export(tmp_path / "model")

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fitted.rated().export(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert len(autorec.load(folder).predict({"user": ["1"]})) == 1


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither an exported folder"):
        autorec.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.keras", None, "the file of the model is not there"),
        ("model.keras", b"PK", "the model cannot be read"),
        ("model_card.json", b"{", "the card of the model is damaged"),
    ],
)
def test_a_damaged_folder_names_the_file(
    folder: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    if content is not None:
        (tmp_path / "copy" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}': {message}"):
        autorec.load(tmp_path / "copy")
