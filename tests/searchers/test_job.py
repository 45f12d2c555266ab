"""A job travels to another process, whose clock is another one."""

from __future__ import annotations

import time

import keras_tuner as kt
import pytest

from autorec.searchers import job as module
from autorec.searchers.job import Job
from tests.searchers.clock import Clock


def test_a_job_arrives_with_its_hyperparameters_and_all_else() -> None:
    hp = kt.HyperParameters()
    hp.Choice("kind", ["flat", "deep"], default="deep")
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 5, default=3)
    sent = Job(7, hp, 11, None, 2, {"rows": 100}, {"latency": 0.5})
    found = Job.from_message(sent.to_message())
    assert found.hp.get_config() == hp.get_config()
    assert (found.number, found.seed, found.deadline, found.epochs) == (7, 11, None, 2)
    assert (found.fidelity, found.costs) == ({"rows": 100}, {"latency": 0.5})


def test_the_time_that_is_left_is_what_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    message = Job(0, kt.HyperParameters(), 1, time.monotonic() + 30, None, {}).to_message()
    assert message["left"] == pytest.approx(30, abs=1)
    monkeypatch.setattr(module, "time", Clock(now=5.0))  # a machine that has just been switched on
    assert Job.from_message(message).deadline == pytest.approx(35, abs=1)
