"""Training over several devices and several processes: the same training as on one device."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training import TrainOptions
from autorec.training.workers import Workers, get_workers

STRATEGIES = ["mirrored", "multi_worker"]


def start(name: str, out: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training.replicas", name, str(out)]
    with out.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def cluster(size: int) -> list[dict[str, str]]:
    workers = [f"127.0.0.1:{port}" for port in free_ports(size)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}} for i in range(size)]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What each process found, by strategy: two devices of one process, and two processes."""
    found = {}
    for name, environments in (("mirrored", [{}]), ("multi_worker", cluster(2))):
        folder = tmp_path_factory.mktemp(name)
        outs = [folder / f"{i}.json" for i in range(len(environments))]
        processes = [start(name, out, **environment) for out, environment in zip(outs, environments)]
        try:
            codes = [process.wait(timeout=400) for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert not any(codes), "\n".join(out.with_suffix(".log").read_text()[-3000:] for out in outs)
        found[name] = [json.loads(out.read_text()) for out in outs]
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("case", ["plain", "clipped", "dense", "targets", "normalised", "plateau"])
def test_the_losses_are_those_of_one_device(results: Any, name: str, case: str) -> None:
    for found in results[name]:
        one, many = found[case]["one"], found[case]["many"]
        assert len(many["history"]) == len(one["history"])
        for here, there in zip(many["history"], one["history"]):
            known = [key for key in there if key == "loss" or key.startswith("val_")]  # not Keras's loss of each target
            assert [here[key] for key in known] == pytest.approx([there[key] for key in known], abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("case", ["plain", "clipped", "dense", "targets", "normalised", "averaged"])
def test_the_weights_are_those_of_one_device(results: Any, name: str, case: str) -> None:
    found = results[name][0][case]
    for here, there in zip(found["many"]["weights"], found["one"]["weights"]):
        np.testing.assert_allclose(here, there, atol=1e-4)


@pytest.mark.long
def test_all_workers_end_with_the_same_weights_bit_for_bit(results: Any) -> None:
    first, second = results["multi_worker"]
    for case in ("plain", "clipped", "targets", "normalised", "averaged"):
        assert first[case]["many"]["weights"] == second[case]["many"]["weights"]


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_plateau_cuts_and_the_best_weights_are_kept(results: Any, name: str) -> None:
    found = results[name][0]["plateau"]["many"]
    rates = {round(epoch["learning_rate"], 6) for epoch in found["history"]}
    assert rates == {0.3, 0.03}
    assert found["best_epoch"] < len(found["history"])
    assert found["validated"] == pytest.approx(found["metrics"], abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_loss_that_is_not_finite_names_its_step_on_every_worker(results: Any, name: str) -> None:
    for found in results[name]:
        assert "the loss is not finite at step 1 (epoch 1), learning rate 0.02" in found["infinite"]


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_batch_that_the_replicas_do_not_divide_is_refused(results: Any, name: str) -> None:
    assert "`batch_size` must be a multiple of the 2 replicas" in results[name][0]["odd"]
    assert "got 63" in results[name][0]["odd"]


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_model_from_outside_the_scope_is_refused(results: Any, name: str) -> None:
    assert "with options.scope():" in results[name][0]["outside"]


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_callback_sees_every_batch_and_may_end_the_training(results: Any, name: str) -> None:
    assert [found["stopped"]["steps"] for found in results[name]] == [3] * len(results[name])


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_all_workers_keep_the_chiefs_deadline_with_a_score(results: Any, name: str) -> None:
    late = [found["late"] for found in results[name]]
    assert len({found["steps"] for found in late}) == 1
    assert late[0]["steps"] < 15_000
    assert late[0]["seconds"] < 30.0  # of 4; all epochs take many minutes, letting the iterator go some seconds
    assert "val_auc" in late[0]["metrics"]


@pytest.mark.long
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_search_with_a_failed_trial_finds_what_it_finds_on_one_device(results: Any, name: str) -> None:
    found = results[name][0]["search"]
    assert [row["status"] for row in found["many"]] == ["completed", "completed", "failed"]
    for here, there in zip(found["many"], found["one"]):
        assert (here["trial"], here["status"]) == (there["trial"], there["status"])
        assert here["score"] == pytest.approx(there["score"], abs=1e-3)


@pytest.mark.long
def test_the_chiefs_value_is_every_workers(results: Any) -> None:
    for found in results["multi_worker"]:
        assert found["from_chief"] == {"index": 0, "text": "ä" * 1000}


@pytest.mark.long
def test_workers_notice_that_their_values_differ(results: Any) -> None:
    for found in results["multi_worker"]:
        assert "`data` must be the same on all 2 workers" in found["unequal"]


# Within this process


def test_another_strategy_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match="MirroredStrategy or MultiWorkerMirroredStrategy, got 'OneDeviceStrategy'"):
        TrainOptions(strategy=tf.distribute.OneDeviceStrategy("CPU:0"))


def test_a_misspelt_strategy_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mirrored'"):
        TrainOptions(strategy="mirored")


@pytest.mark.parametrize("value", [2, ("mirrored", "multi_worker")])
def test_what_is_no_strategy_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="strategy"):
        TrainOptions(strategy=value)


def test_a_strategy_is_a_name_in_a_configuration() -> None:
    values = json.loads(json.dumps(TrainOptions(strategy="multi_worker").to_dict()))
    assert TrainOptions.from_dict(values).strategy == "multi_worker"
    assert TrainOptions().resolved().strategy is None


def test_a_default_batch_is_rounded_up_to_what_replicas_can_share() -> None:
    workers = Workers()
    assert workers.round_up(256) == 256
    workers.replicas = 3
    assert workers.round_up(256) == 258
    with pytest.raises(ConfigError, match=r"multiple of the 3 replicas.*got 256"):
        workers.check_batch_size(256)


@pytest.mark.long
def test_several_workers_have_to_be_made_first() -> None:
    program = (
        "import tensorflow as tf; tf.constant(1.0) + 1.0\n"
        "from autorec.training.workers import get_workers; get_workers('multi_worker')"
    )
    environment = {**os.environ, **cluster(2)[0]}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "Make it at the start of the program" in done.stderr


def test_a_process_alone_decides_for_itself() -> None:
    workers = get_workers(None)
    value = object()
    assert (workers.count, workers.replicas, workers.chief) == (1, 1, True)
    assert workers.from_chief(value) is value
