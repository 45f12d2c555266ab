"""The calibration of a run's model: rows, event, reign."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autorec.calibration.calibrator import Calibrator
from autorec.errors import ConfigError
from autorec.run import Run
from autorec.searchers.outputs import write_outputs
from autorec.steps import calibration
from autorec.steps.calibration import Rows, calibrate_run, check_calibration, check_sampling, make_calibration
from tests.calibration.made import scored
from tests.steps.trained import LAYOUT, PART, add, four_trials

CACHED = SimpleNamespace(layout=LAYOUT, validation=PART)  # what `validation_rows` reads of a cache


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of four trials, of which the second is the best."""
    with four_trials(tmp_path / "run") as run:
        yield run


def rows(count: int = 2000, **more: Any) -> Rows:
    made = scored(count)
    found: dict[str, Any] = {"weights": None, "segments": None, **more}
    return Rows("rows", {"click": made.logits}, made.labels[:, None], **found)


def test_the_event_holds_the_curves_and_what_they_gain(run: Run) -> None:
    said: list[str] = []
    make_calibration(run, LAYOUT, rows(), "platt", say=said.append)
    event = run.calibration
    assert event is not None
    told = event["targets"]["click"]
    assert (event["of"], told["method"], told["labels"]) == ({"trial": 1}, "platt", 2000)
    assert told["log_loss"]["after"] < told["log_loss"]["before"]
    assert told["ece"]["after"] < 0.5 * told["ece"]["before"]
    assert Calibrator.from_dict(told["calibrator"]).curve.low == pytest.approx(2.0, abs=0.2)
    assert said == [calibration.in_words(event)]


def test_it_is_in_the_journal_and_ends_with_another_best_trial(run: Run) -> None:
    make_calibration(run, LAYOUT, rows(), "platt")
    assert Run(run.directory, read_only=True).calibration == run.calibration
    add(run, 4, 0.5)
    assert run.calibration is not None
    add(run, 5, 0.99)
    assert run.calibration is None


def test_an_ensemble_made_behind_it_is_not_calibrated(run: Run) -> None:
    make_calibration(run, LAYOUT, rows(), "platt")
    run.append({"event": "ensemble", "folder": "0000", "score": 0.9, "status": "completed", "name": "ensemble of 2"})
    assert run.calibration is None
    make_calibration(run, LAYOUT, rows(), "platt")
    assert run.calibration is not None
    assert run.calibration["of"] == {"ensemble": "0000"}


def test_sampled_negatives_shift_the_logits_by_the_logarithm_of_their_share(run: Run) -> None:
    curves = []
    for kept in (1.0, 0.1):
        make_calibration(run, LAYOUT, rows(), "platt", negatives_kept=kept)
        curves.append(Calibrator.from_dict((run.calibration or {})["targets"]["click"]["calibrator"]).curve)
    assert curves[1] == curves[0].shifted(float(np.log(0.1)))


def test_rows_without_a_label_or_a_weight_do_not_count(run: Run) -> None:
    made = rows(3000)
    labels, weights = made.labels.copy(), np.ones(3000)
    labels[:500], weights[500:1000] = np.nan, 0.0
    make_calibration(run, LAYOUT, Rows("rows", made.outputs, labels, weights, None), "platt")
    assert (run.calibration or {})["targets"]["click"]["labels"] == 2000


def test_of_many_rows_some_are_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST", 700)
    make_calibration(run, LAYOUT, rows(), "platt")
    assert (run.calibration or {})["targets"]["click"]["labels"] == 700


def test_segments_are_told(run: Run) -> None:
    said: list[str] = []
    segments = np.random.default_rng(0).integers(2, 6, 2000)
    make_calibration(run, LAYOUT, rows(segments=segments), "platt", "c1", 1, say=said.append)
    assert (run.calibration or {})["targets"]["click"]["segments"] == {"of": 4, "own": 4}
    assert "curves of their own for 4 of 4 values of 'c1'" in said[0]


def test_a_refitted_model_is_calibrated_by_what_its_trial_answered(run: Run) -> None:
    answers = np.linspace(-1, 1, 300, dtype=np.float32)[None]
    run.trial_directory(1).mkdir(parents=True, exist_ok=True)
    write_outputs(run.trial_directory(1), answers)
    run.append({"event": "refit", "of": {"trial": 1}, "folder": "0000", "rows": 300})
    found = calibration.validation_rows(run, CACHED)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.outputs["click"], answers[0])


def test_a_calibration_ends_with_a_refit_behind_it(run: Run) -> None:
    make_calibration(run, LAYOUT, rows(), "platt")
    run.append({"event": "refit", "of": run.model_id, "rows": 300})
    assert run.calibration is None
    make_calibration(run, LAYOUT, rows(), "platt")
    assert run.calibration is not None


def test_a_trial_whose_files_are_gone_is_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="a run whose model's files are kept"):
        calibration.validation_rows(run, CACHED)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [0.0, 1.5, True, "0.1", float("nan")])
def test_a_share_that_is_none_is_refused(kept: Any) -> None:
    with pytest.raises(ConfigError, match="a share above 0 and at most 1"):
        check_calibration("auto", kept)


@pytest.mark.parametrize("kept", [np.float32(0.5), np.int64(1)])
def test_numbers_of_numpy_are_taken(kept: Any) -> None:
    check_calibration("auto", kept)


def test_sampled_negatives_are_those_of_one_target() -> None:
    several = SimpleNamespace(targets=[*LAYOUT.targets, *LAYOUT.targets])
    check_sampling(several, 1.0)  # type: ignore[arg-type]
    check_sampling(LAYOUT, 0.1)
    with pytest.raises(ConfigError, match="`negatives_kept` must be 1 for several targets, got 0.1"):
        check_sampling(several, 0.1)  # type: ignore[arg-type]


def test_labels_without_rows_are_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="`y` must be left out without `data`"):
        calibrate_run(run.directory, y=[0, 1], say=str)
