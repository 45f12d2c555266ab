"""What a search left on disk, loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import autorec
from autorec.errors import ConfigError, DataError
from autorec.leaderboard import leaderboard
from autorec.loading import load_run
from tests import fitted


def test_a_run_directory_answers_as_the_recommender() -> None:
    rows = fitted.clicks(50, seed=1)
    found = autorec.load(fitted.searched().directory_).predict(rows)
    assert all(np.array_equal(found[name], chance) for name, chance in fitted.searched().predict(rows).items())


def test_each_kept_trial_can_be_loaded() -> None:
    cards = [load_run(fitted.searched().directory_, trial).card for trial in (0, 1)]
    assert [card["trial"] for card in cards] == [0, 1]
    assert cards[0]["values"] != cards[1]["values"]


def test_a_trial_whose_files_are_gone_is_refused_with_those_that_are_kept(tmp_path: Path) -> None:
    shutil.copytree(fitted.searched().directory_, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "trials" / "0001")
    with pytest.raises(ConfigError, match=r"one whose files are kept: \[0\], got 1"):
        load_run(tmp_path / "run", 1)


def test_a_run_without_a_trained_trial_has_no_model(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("")
    with pytest.raises(ConfigError, match="a run with a trained trial"):
        autorec.load(tmp_path)


def test_a_damaged_vocabulary_is_named(tmp_path: Path) -> None:
    folder = fitted.rated().export(tmp_path / "model")
    (folder / "encoder" / "vocabulary_0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"vocabulary_0\.parquet"):
        autorec.load(folder)


def test_a_leaderboard_is_typed_and_tells_values_as_json() -> None:
    board = leaderboard(fitted.searched().directory_)
    trials = board.filter(board["kind"] == "trial")
    assert "train/learning_rate" in json.loads(trials["values"][0])
    assert board["rank"].dtype.is_integer()
    assert board["val_auc"].dtype.is_float()
