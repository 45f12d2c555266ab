"""The run's model trained once more."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from autorec.data.layout import Layout, StatisticColumn, TargetColumn
from autorec.errors import TrialFailed
from autorec.loading import ENCODER, REFIT, refit_directory
from autorec.run import FOREST, Run
from autorec.searchers.budgets import Budgets
from autorec.searchers.trial import MODEL
from autorec.steps import clock as clock_module
from autorec.steps import refit as refit_module
from autorec.steps.clock import Clock
from autorec.steps.refit import Refit

LAYOUT = Layout(
    margins=(StatisticColumn("margin(click)", (), "margin", "click", 0.0, 1.0),),
    targets=(TargetColumn("click", "binary", mean=0.5, std=0.5, low=0.0, high=1.0),),
)


class Trainer:
    """A trainer that is done at once, or fails; a model of it answers the number of its trial."""

    train, validation = SimpleNamespace(rows=90), SimpleNamespace(rows=10)
    tail = 0.25
    workers = SimpleNamespace(count=1)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[int] = []
        self.seeds: list[int] = []

    def refitted_size(self, rows: list[dict[str, Any]]) -> int:
        return 8 * len(rows)

    def refit(self, row: dict[str, Any], deadline: float | None) -> keras.Model:
        self.asked.append(row["number"])
        self.seeds.append(row["seed"])
        if self.error is not None:
            raise self.error
        inputs = keras.Input((1,), name="margins")
        answer = keras.layers.Dense(
            1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(row["number"])
        )
        return keras.Model({"margins": inputs}, {"click": answer(inputs)})


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of three trials that took 9 seconds for 4 epochs each, 2 of them to the best; the last is the best."""
    with Run(tmp_path / "run") as run:
        run.append({"event": "encoded", "seconds": 5.0})
        run.append({"event": "search", "direction": "max"})
        for number, score in enumerate((0.5, 0.6, 0.7)):
            more = {"status": "completed", "seconds": 9.0, "epochs": 4, "course": [0.1, 0.1]}
            run.append({"event": "started", "number": number, "values": {"a": number}, "seed": 1})
            run.append({"event": "finished", "number": number, "score": score, **more})
        yield run


class Slow(Trainer):
    """A trainer whose trainings take 10 seconds of a clock of its own; of the last ones one may fail.

    Args:
        fails: Number of the training that fails, from 0.
    """

    now = 0.0

    def __init__(self, fails: int | None = None) -> None:
        super().__init__()
        self.fails = fails

    def refit(self, row: dict[str, Any], deadline: float | None) -> keras.Model:
        self.now += 10.0
        if len(self.asked) == self.fails:
            raise MemoryError("there is none")
        return super().refit(row, deadline)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """A trainer whose clock is that of the refit."""
    trainer = Slow()
    for module in (clock_module, refit_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: trainer.now))
    return trainer


def refit(
    run: Run,
    trainer: Trainer | None = None,
    said: list[str] | None = None,
    size: int | None = None,
    fill: bool = False,
    **clock: Any,
) -> Refit:
    encoder = run.directory / "rows" / ENCODER
    encoder.mkdir(parents=True, exist_ok=True)
    (encoder / "encoder.json").write_text("of all rows")
    cache = SimpleNamespace(layout=LAYOUT, train=SimpleNamespace(rows=100), directory=encoder.parent)
    say = (said if said is not None else []).append
    limits = None if size is None else Budgets(max_model_size=size)
    return Refit(run, trainer or Trainer(), lambda: cache, Clock(**clock), say, limits, fill)  # type: ignore[arg-type, return-value]


def ensemble(run: Run, **weights: float) -> None:
    members = [{"trial": int(name[1:]) if name[1:].isdigit() else name, "weight": w} for name, w in weights.items()]
    told = {"name": "ensemble", "status": "completed", "score": 0.8, "folder": "0000"}
    run.append({"event": "ensemble", **told, "members": members})


def answer(run: Run, margin: float = 0.0) -> float:
    assert run.refit is not None
    model = keras.models.load_model(refit_directory(run, run.refit) / MODEL)
    return float(model({"margins": np.full((1, 1), margin, np.float32)})["click"][0, 0])


def test_the_best_trial_is_trained_for_its_best_epochs_and_kept_with_its_encoder(run: Run) -> None:
    said: list[str] = []
    refit(run, said=said).make()
    assert said == ["refit on all rows: trial and epochs 2 (2)"]
    assert answer(run) == 2.0
    assert (run.directory / REFIT / "0000" / ENCODER / "encoder.json").read_text() == "of all rows"
    told = {"folder": "0000", "rows": 100, "parameters": 2, "networks": [{"trial": 2, "seed": 1, "weight": 1.0}]}
    assert run.refit == {"event": "refit", "of": {"trial": 2}, **told}
    assert run.model_id == {"trial": 2, "refit": True}


def test_all_members_of_an_ensemble_are_and_their_weights_stay(run: Run) -> None:
    trainer, said = Trainer(), list[str]()
    ensemble(run, t1=0.25, t2=0.25, forest=0.5)
    refit(run, trainer, said).make()
    assert trainer.asked == [1, 2]
    assert said == ["refit on all rows: trials and epochs 1 (2), 2 (2)"]
    assert answer(run, margin=4.0) == 0.25 * 1 + 0.25 * 2 + 0.5 * 4.0
    assert run.ensemble is not None
    assert run.model_id == {"ensemble": "0000", "refit": True}


def networks(run: Run) -> list[Any]:
    """Returns the trial of each network."""
    assert run.refit is not None
    assert sum(each["weight"] for each in run.refit["networks"]) == pytest.approx(1.0)
    return [each["trial"] for each in run.refit["networks"]]


def test_time_that_is_left_goes_to_further_networks_of_the_members_that_gain_most(run: Run, slow: Slow) -> None:
    said: list[str] = []
    ensemble(run, t1=0.5, t2=0.2, forest=0.3)
    refit(run, slow, said, fill=True, limit=64.0, begin=0.0).make()
    # 20 s for both; 44 s are left, of which networks keep half a second each, and a training needs 11 s.
    assert slow.asked == [1, 2, 1, 1, 1]
    assert len(set(slow.seeds)) == 4  # both trials have the same seed at first
    assert said[1:] == 3 * ["there is time left: trial 1 once more on all rows, with another seed"]
    assert networks(run) == [1, 1, 1, 1, 2, FOREST]
    assert answer(run, margin=4.0) == pytest.approx(0.5 * 1 + 0.2 * 2 + 0.3 * 4.0)


def test_there_are_twelve_networks_at_most(run: Run, slow: Slow) -> None:
    ensemble(run, t1=0.5, t2=0.5)
    refit(run, slow, fill=True, limit=1e4, begin=0.0).make()
    assert networks(run) == 6 * [1] + 6 * [2]


def test_one_trial_may_have_several_networks(run: Run, slow: Slow) -> None:
    refit(run, slow, fill=True, limit=42.0, begin=0.0).make()
    assert networks(run) == [2, 2, 2]
    assert answer(run) == pytest.approx(2.0)


def test_none_is_added_that_takes_long_to_save(run: Run, slow: Slow) -> None:
    slow.tail = 4.0
    refit(run, slow, fill=True, limit=28.0, begin=0.0).make()
    assert networks(run) == [2]
    slow.tail = 3.0
    ensemble(run, t2=1.0)
    refit(run, slow, fill=True, limit=28.0, begin=slow.now).make()
    assert networks(run) == [2, 2]


@pytest.mark.parametrize(("limit", "fill"), [(None, True), (1e4, False)])
def test_none_is_added_without_a_limit_or_where_none_may_be(
    run: Run, slow: Slow, limit: float | None, fill: bool
) -> None:
    ensemble(run, t1=0.5, t2=0.5)
    refit(run, slow, fill=fill, limit=limit, begin=0.0).make()
    assert networks(run) == [1, 2]


def test_one_more_that_fails_leaves_the_others(run: Run, slow: Slow) -> None:
    slow.fails, said = 3, list[str]()
    ensemble(run, t1=0.5, t2=0.5)
    refit(run, slow, said, fill=True, limit=1e4, begin=0.0).make()
    assert networks(run) == [1, 1, 2]
    assert said[-1] == "without it: MemoryError: there is none"


def test_it_is_done_once_and_again_for_another_model(run: Run) -> None:
    trainer = Trainer()
    for _ in range(2):
        refit(run, trainer).make()
    assert trainer.asked == [2]
    ensemble(run, t0=0.5, t1=0.5)
    assert run.refit is None
    refit(run, trainer).make()
    assert trainer.asked == [2, 0, 1]
    assert [path.name for path in (run.directory / REFIT).iterdir()] == ["0001"]


def test_without_enough_time_it_is_not_begun(run: Run) -> None:
    trainer, said = Trainer(), list[str]()
    refit(run, trainer, said, limit=10.9, begin=time.monotonic()).make()
    assert said == ["no refit: it would take some 11 s, 11 s are left"]  # 5 s of encoding, 5 s of training
    assert trainer.asked == []


def test_a_winner_of_fewer_rows_is_known_to_take_longer(run: Run) -> None:
    row = {**run.trials()[0], "fidelity": {"rows": 9}}
    assert refit(run).seconds([row]) == pytest.approx(1.1 * (5 + 50))
    assert refit(run).seconds([row, row]) == pytest.approx(1.1 * (5 + 100))


@pytest.mark.parametrize(
    ("error", "words"),
    [(TrialFailed("too late"), "too late"), (OSError("the file is gone"), "OSError: the file is gone")],
)
def test_one_that_fails_leaves_the_model_as_it_is(run: Run, error: Exception, words: str) -> None:
    said: list[str] = []
    refit(run, Trainer(error), said).make()
    assert said[-1] == f"no refit, the model as it is stays: {words}"
    assert run.refit is None
    assert run.model_id == {"trial": 2}
    assert not (run.directory / REFIT).exists()


@pytest.mark.parametrize(
    ("heavy", "later", "kept"), [(0.8, (), True), (0.79, (), False), (0.8, ("calibration",), False)]
)
def test_where_one_member_fails_the_others_stay_if_they_weigh_enough_and_no_curve_is_of_all(
    run: Run, heavy: float, later: tuple[str, ...], kept: bool
) -> None:
    class Late(Trainer):
        def refit(self, row: dict[str, Any], deadline: float | None) -> keras.Model:
            if self.asked:
                raise TrialFailed("the time was over before it ended")
            return super().refit(row, deadline)

    trainer, said = Late(), list[str]()
    ensemble(run, t1=1.0 - heavy, t2=heavy)
    refit(run, trainer, said).make(*later)
    assert trainer.asked == [2]  # the heaviest first
    if kept:
        assert networks(run) == [2]
        assert answer(run) == 2.0
        assert said[-1] == "a refit without trial 1, 20% of the ensemble: the time was over before it ended"
    else:
        assert run.refit is None


@pytest.mark.parametrize(("available", "trials"), [(64, [1, 2]), (65, [1, 2, 2])])
def test_none_is_added_where_the_memory_may_not_hold_it(
    run: Run, slow: Slow, monkeypatch: pytest.MonkeyPatch, available: int, trials: list[int]
) -> None:
    ensemble(run, t1=0.4, t2=0.6)
    monkeypatch.setattr(refit_module.psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
    refit(run, slow, fill=True, limit=1e4, begin=0.0).make()  # a network has 8 bytes: 4 * 8 + 2 * 8 for each
    assert networks(run) == trials


def test_one_that_became_too_large_is_not_trained(run: Run) -> None:
    trainer, said = Trainer(), list[str]()
    refit(run, trainer, said, size=7).make()
    assert trainer.asked == []
    assert said[-1] == "no refit, the model as it is stays: model size 8 bytes is over max_model_size 7 bytes"
    assert run.refit is None


def test_of_several_workers_an_error_ends_the_search(run: Run) -> None:
    trainer = Trainer(OSError("the file is gone"))
    trainer.workers = SimpleNamespace(count=2)
    with pytest.raises(OSError, match="the file is gone"):
        refit(run, trainer).make()


def test_a_refit_of_an_older_version_is_none(run: Run) -> None:
    run.append({"event": "refit", "number": 2, "epochs": 2})
    assert run.refit is None


def test_without_a_trained_trial_there_is_nothing_to_refit(tmp_path: Path) -> None:
    with Run(tmp_path / "empty") as empty:
        refit(empty).make()
        assert empty.events("refit") == []
