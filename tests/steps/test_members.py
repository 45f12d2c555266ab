"""Which trials may be members of an ensemble, and what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.errors import ConfigError
from autorec.run import Run
from autorec.steps.members import check_size, good_trials, named_trials, panel_of
from tests.steps.trained import LAYOUT, PART, add, four_trials
from tests.training import small


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of four trials; the last one is the best of those with files, the second has none."""
    with four_trials(tmp_path / "run") as run:
        yield run


def test_good_trials_are_trained_kept_and_in_order(run: Run) -> None:
    run.append({"event": "started", "number": 4, "values": {}, "seed": 4})
    run.append({"event": "finished", "number": 4, "status": "failed", "score": None})
    assert [row["number"] for row in good_trials(run)] == [3, 2, 0]


def test_trials_of_lower_fidelity_take_no_part(run: Run) -> None:
    add(run, 4, 0.99, fidelity={"rows": 10})
    assert [row["number"] for row in good_trials(run)] == [3, 2, 0]


def test_trials_are_named_by_number_or_folder(run: Run) -> None:
    assert [row["number"] for row in named_trials(run, [0, run.trial_directory(3)])] == [3, 0]


def test_a_trial_of_another_run_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other" / "trials" / "0000"
    with pytest.raises(ConfigError, match=rf"folders of trials of the run .*run, got '{other}'.*of one run"):
        named_trials(run, [0, other])


@pytest.mark.parametrize("trials", [[1], [7], [0, 0], [], "0", [True], [None]])
def test_what_is_no_good_trial_is_refused(run: Run, trials: Any) -> None:
    with pytest.raises(ConfigError, match="`trials` must be"):
        named_trials(run, trials)


def test_more_members_than_good_trials_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"`size` must be at most 3, the number of good trials, got 4.*`keep=`"):
        check_size(4, 3)


def test_a_panel_has_the_labelled_rows_of_each_target() -> None:
    labels = np.array([[0, np.nan], [1, 1], [np.nan, 0]], np.float32)
    part = Part({}, labels, np.array([1.0, 2.0, 3.0], np.float32))
    panel = panel_of([np.arange(6.0).reshape(2, 3)], part, small.layout("click", "like"))
    assert [list(votes.labels) for votes in panel.votes] == [[0, 1], [1, 0]]
    np.testing.assert_array_equal(panel.votes[1].outputs, [[4.0, 5.0]])
    np.testing.assert_array_equal(panel.votes[1].weights, [2.0, 3.0])  # type: ignore[arg-type]


def test_of_rare_clicks_a_panel_has_all_that_there_are_and_its_loss_is_that_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((50_000, 1)) < 0.004).astype(np.float32)
    outputs = [rng.normal(-5 + 2 * labels[:, 0], 1.0).astype(np.float32)[None] for _ in range(2)]
    part = Part({}, labels)
    [votes] = panel_of(outputs, part, small.layout(), most=2000).votes
    assert int(votes.labels.sum()) == int(labels.sum()) > 150
    assert len(votes.labels) == 2000
    assert (np.diff(votes.numbers) > 0).all()  # type: ignore[arg-type]
    assert votes.weights is not None
    assert votes.weights.sum() == pytest.approx(50_000)
    whole = panel_of(outputs, part, small.layout(), most=50_000)
    weights = np.array([0.5, 0.5])
    assert votes.loss(weights) == pytest.approx(whole.loss(weights), rel=0.03)
    assert votes.decisions.mean(1) @ [0.5, 0.5] > 0.01  # of the rows that are here, not of all
    assert votes.shares @ votes.decisions[0] == pytest.approx(float(labels.mean()), rel=0.5)


def test_of_many_rows_a_panel_has_some() -> None:
    outputs = [np.zeros((1, PART.rows))]
    assert len(panel_of(outputs, PART, LAYOUT, most=40).votes[0].labels) == 40
