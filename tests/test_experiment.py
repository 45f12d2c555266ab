"""A search from the outside: what it refuses before any training, how it goes on, what it leaves on disk."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import polars as pl
import pytest

import autorec
from autorec import experiment
from autorec.config import SearchConfig
from autorec.errors import AutoRecError, ConfigError, DataError, SearchAborted
from autorec.recommender import CTRRecommender, RatingRecommender
from autorec.repeat import search_from_config
from autorec.run import Run
from autorec.searchers.fidelity import Fidelity, Schedule
from tests import fitted
from tests.fitted import QUICK

ROWS = 300


def frame() -> pl.DataFrame:
    return fitted.clicks(ROWS).drop("like")


def search(directory: Path, data: Any = None, **arguments: Any) -> CTRRecommender:
    settings = {**QUICK, "max_trials": 1, "target": "click", **arguments}
    return CTRRecommender(directory=directory).search(frame() if data is None else data, **settings)


def no_training(*arguments: object, **more: object) -> None:
    raise AssertionError("something was trained")


def test_evolution_is_told_which_bits_are_void_for_these_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracles: list[Any] = []

    def no_search(run: Run, *, oracle: Any, **more: Any) -> str:
        oracles.append(oracle)
        return "exhausted"

    monkeypatch.setattr(experiment, "search", no_search)
    ids = frame().select("user", "item", "country", "click")  # dense are statistics alone
    search(tmp_path / "run", ids, user="user", item="item", space="dag", searcher="evolution")
    for read in (False, True):
        values = {"features/statistics": read, "features/pairs": 0, "dag/0/sparse": True}
        forms = [oracles[0].canonical({**values, "dag/0/dense": bit}) for bit in (False, True)]
        assert (forms[0] == forms[1]) is not read


# Going on


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gone on") / "run"
    search(directory, max_trials=2, keep=1, user="user")
    return directory


def messages(directory: Path, **arguments: Any) -> list[str]:
    texts: list[str] = []
    search(directory, user="user", progress=lambda event: texts.append(event.get("text", event["event"])), **arguments)
    return texts


def test_a_finished_search_called_again_trains_nothing_and_says_so(run: Path) -> None:
    texts = messages(run, max_trials=2, keep=1)
    assert texts[0] == f"going on in {run}: 2 trials are done"
    assert "trial_started" not in texts


def test_a_search_goes_on_with_more_trials(run: Path) -> None:
    before = Run(run, read_only=True).trials()
    texts = messages(run, max_trials=3, keep=1)
    after = Run(run, read_only=True).trials()
    assert texts.count("trial_started") == 1
    assert (len(after), after[:2]) == (3, before)


def test_files_of_the_best_few_trials_only_are_kept(run: Path) -> None:
    best = Run(run, read_only=True).best
    assert best is not None
    assert [path.name for path in (run / "trials").iterdir()] == [f"{best['number']:04d}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": "fm"}, "`space` must be .*'lr'.* as in the run .*Use another directory"),
        ({"seed": 5}, "`seed` must be 0 as in the run"),
        ({"validation_fraction": 0.2}, "`validation_fraction` must be 0.1 as in the run"),
        ({"data": frame().drop("country")}, "`schema` must be the one of the run .* without 'country'"),
        ({"data": frame()[:200]}, "`data` must be the rows that the run .* got 'other rows in polars.DataFrame'"),
        ({"validation_data": frame()}, "`validation_data` must be the rows that the run"),
    ],
)
def test_a_run_of_another_experiment_is_refused_and_left_alone(
    run: Path, arguments: dict[str, Any], message: str
) -> None:
    before = {path: path.read_bytes() for path in run.glob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(ConfigError, match=message):
        search(run, **{"user": "user", **arguments})
    assert before == {path: path.read_bytes() for path in before}


def test_a_run_that_trained_nothing_may_be_asked_anew(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'mf' reads only the user and the item"):
        search(tmp_path / "run", space="mf")
    search(tmp_path / "run", space="mf", user="user", item="item")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["roles"]["user"] == "user"


def test_a_run_in_use_by_another_process_is_refused(run: Path) -> None:
    code = f"import time, autorec.run; run = autorec.run.Run({str(run)!r}); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"no other process uses, .* Process {holder.pid} holds it"):
            search(run, user="user")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


# Another run, cheap trials and limits


def values(directory: Path) -> list[dict[str, Any]]:
    return [row["values"] for row in Run(directory, read_only=True).trials()]


def test_a_search_begins_with_the_best_of_another_on_other_data(run: Path, tmp_path: Path) -> None:
    other = pl.DataFrame({"a": ["x", "y", "z"] * 100, "b": np.arange(300) % 7, "y": np.arange(300) % 2})
    search(tmp_path / "run", other, target="y", warm_start=run)
    best = Run(run, read_only=True).best
    assert best is not None
    assert values(tmp_path / "run")[0].items() >= {k: v for k, v in best["values"].items() if "train/" in k}.items()


@pytest.mark.long
def test_a_run_that_began_warm_goes_on_and_is_repeated_without_the_other(run: Path, tmp_path: Path) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    shutil.copytree(run, other)
    search(mine, warm_start=other)
    shutil.rmtree(other)
    assert search(mine, max_trials=2, warm_start=other).leaderboard().height == 2
    config = SearchConfig.from_dict(json.loads((mine / "config.json").read_text()))
    search_from_config(config, directory=tmp_path / "again", data=frame(), progress=False)
    assert values(tmp_path / "again") == values(mine)


def test_a_run_does_not_begin_with_another_one_later(run: Path, tmp_path: Path) -> None:
    search(tmp_path / "run")
    with pytest.raises(ConfigError, match=f"`warm_start` must be None as in the run .*got '{run}'"):
        search(tmp_path / "run", warm_start=run)


def test_two_who_say_how_cheap_trials_are_are_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "train_baselines", no_training)
    schedule = Schedule(Fidelity(rows=100))
    with pytest.raises(ConfigError, match="`searcher` must be one that leaves the fidelity to the schedule"):
        search(tmp_path, searcher="hyperband", fidelity=schedule, baselines=True)


def test_an_ensemble_made_behind_a_search_keeps_to_its_limits(tmp_path: Path) -> None:
    rec = search(tmp_path, max_trials=3, searcher="random", max_model_size="1MB")
    size = 4 * max(row["parameters"] for row in Run(tmp_path, read_only=True).trials())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_model_size": 2 * size}))
    said: list[Any] = []
    rec.ensemble(pruning=None, progress=said.append)
    assert len(rec.ensemble_["members"]) == 2  # type: ignore[index]
    assert "an ensemble of 3 would be over a limit of the run: it has 2 instead" in said[0]["text"]


@pytest.mark.long
def test_cheap_trials_are_followed_by_full_ones_over_several_seeds(tmp_path: Path) -> None:
    schedule = Schedule(Fidelity(rows=100), finalists=1, seeds=2)
    search(tmp_path, max_trials=2, fidelity=schedule)
    rows = Run(tmp_path, read_only=True).trials()
    assert [row["fidelity"] for row in rows] == [{"rows": 100}, {"rows": 100}, {}, {}]
    assert len({row["seed"] for row in rows[2:]}) == 2
    config = json.loads((tmp_path / "config.json").read_text())
    assert Schedule.from_dict(config["fidelity"]) == schedule


@pytest.mark.long
def test_a_model_that_is_too_large_fails_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(SearchAborted, match="max_model_size"):
        search(tmp_path, max_model_size=100)


def test_the_first_of_several_objectives_ranks(tmp_path: Path) -> None:
    board = search(tmp_path, max_trials=2, objective=["val_log_loss", "latency"]).leaderboard()
    assert board["score"].equals(board["val_log_loss"].rename("score"))
    assert board["pareto"][0]
    assert board["latency"].null_count() == 0


def test_a_configuration_of_an_earlier_version_is_opened(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    for name in ("effort", "fidelity", "max_model_size", "max_latency", "warm_start"):
        del config[name]
    path.write_text(json.dumps(config))
    before = Run(run, read_only=True).trials()
    search(tmp_path / "run", user="user", max_trials=1)
    assert Run(tmp_path / "run", read_only=True).trials() == before
    assert SearchConfig.from_dict(config).warm_start is None


# Failures


def test_a_failed_trial_is_a_row_with_its_cause(tmp_path: Path) -> None:
    def sometimes(hp: Any) -> keras.Model:
        inputs, fields = autorec.inputs(hp, dim=4)
        if hp.Int("layers", 1, 8, default=1) > 2:
            raise ValueError("too deep")
        return autorec.ctr_model(inputs, [autorec.blocks.MLP(units=4)(fields)])

    board = search(tmp_path, space=sometimes, max_trials=4).leaderboard()
    failed = board.filter(pl.col("status") == "failed")
    assert set(failed["error"]) == {"ValueError: too deep"}
    assert failed["rank"].null_count() == len(failed) > 0
    assert board["status"][0] == "completed"


class Unregistered(keras.layers.Layer):
    """A layer that Keras does not find when a model with it is loaded."""

    def call(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize("layer", [Unregistered, lambda: keras.layers.Lambda(lambda x: x)])
def test_a_model_that_could_not_be_loaded_again_is_refused_at_once(tmp_path: Path, layer: Any) -> None:
    def build(hp: Any) -> keras.Model:
        inputs, fields = autorec.inputs(hp, dim=4)
        return autorec.ctr_model(inputs, [layer()(keras.layers.Flatten()(fields))])

    with pytest.raises(ConfigError, match=r"`space` must be one whose models Keras can load again.*register_keras"):
        search(tmp_path, space=build)


def test_a_model_that_its_space_compiled_with_a_loss_of_its_own_is_none_that_could_not_be_loaded(
    tmp_path: Path,
) -> None:
    class Named(keras.Model):
        pass

    def build(hp: Any) -> keras.Model:
        inputs, fields = autorec.inputs(hp, dim=4)
        found = autorec.ctr_model(inputs, [autorec.blocks.MLP(units=4)(fields)])
        model = Named(found.input, found.output)
        model.compile("adam", loss=lambda y, p: keras.ops.mean(y - p))
        return model

    rec = search(tmp_path, space=build, max_trials=1)
    assert len(rec.predict(frame())) == ROWS


def test_a_search_without_any_trained_trial_tells_the_cause(tmp_path: Path) -> None:
    def broken(hp: Any) -> keras.Model:
        raise RuntimeError("my mistake")

    with pytest.raises(SearchAborted, match="RuntimeError: my mistake"):
        search(tmp_path, space=broken)


def test_a_time_limit_in_which_nothing_was_trained_is_an_error_and_the_search_goes_on(tmp_path: Path) -> None:
    with pytest.raises(SearchAborted, match="the time limit is reached: 0 trials in .* goes on with more time"):
        search(tmp_path, max_trials=None, time_limit=1e-3)
    assert search(tmp_path, max_trials=1, time_limit=300).leaderboard()["status"][0] == "completed"


def test_a_full_disk_ends_the_search_and_loses_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Run(run, read_only=True).trials()

    def full(self: Any, *arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "save", full)
        with pytest.raises(DataError, match="the disk is full"):
            search(run, user="user", max_trials=9)
    assert Run(run, read_only=True).trials() == before
    assert len(autorec.load(run).predict(frame())) == ROWS


# Bad input: all of it before anything is trained


def one_positive() -> pl.DataFrame:
    return frame().with_columns(click=pl.Series([1] + [0] * (ROWS - 1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "clicks"}, "column 'clicks': missing target.*Did you mean 'click'"),
        ({"target": None}, "`target` must be the name of a column"),
        ({"target": 3}, "`target` must be the name of a column, or a list of names, got 3"),
        ({"data": frame().with_columns(click=pl.int_range(ROWS) % 3)}, "got 3 values: 0, 1, 2"),
        ({"data": frame().with_columns(click=pl.lit(1))}, "column 'click': the target is constant"),
        ({"data": one_positive()}, "rows have only the value 0 of the target; .*`validation_fraction`"),
        ({"data": frame()[:0]}, "there are no rows"),
        ({"data": None, "target": "x"}, "column 'x': missing target"),
        ({"space": "deepfn"}, "Did you mean 'deepfm'"),
        ({"searcher": "hyperbnd"}, "Did you mean 'hyperband'"),
        ({"objective": "val_aux"}, "Did you mean 'val_auc'"),
        ({"objective": "val_rmse"}, "`objective` must be one of .*got 'val_rmse'"),
        ({"objective": "val_gauc"}, "`objective` must be one of .*got 'val_gauc'"),
        ({"max_trials": 0}, "`max_trials` must be a whole number of 1 or more, got 0"),
        ({"time_limit": 0}, "`time_limit` must be a positive duration"),
        ({"callbacks": [3]}, "`callbacks` must be a list of keras.callbacks.Callback objects, got 3"),
        ({"callbacks": keras.callbacks.Callback()}, "`callbacks` must be a list"),
        ({"options": {"patience": 1}}, "`options` must be a TrainOptions object.*Write TrainOptions"),
        ({"statistics": "order"}, "`statistics` must be .*Did you mean 'ordered'"),
        ({"split": "user"}, "where no column has the role `user`"),
        ({"refit": 1}, "`refit` must be True or False, got 1"),
        ({"effort": "beste"}, "`effort` must be one of .*'best'.*Did you mean 'best'"),
        ({"fidelity": "low"}, "`fidelity` must be None, 'full', 'auto', a Schedule or a dict .*got 'low'"),
        ({"fidelity": {"low": {"row": 3}}}, "`fidelity` must be one of .*Did you mean 'rows'"),
        ({"max_model_size": "10XB"}, "`max_model_size` must be a positive number of bytes, .*got '10XB'"),
        ({"max_latency": 0}, "`max_latency` must be a positive number of milliseconds, got 0"),
        ({"objective": ["latency"]}, "`objective` must be .*got 'latency'"),
        ({"objective": ["val_auc", "speed"]}, "`objective` must be .*got 'speed'"),
        ({"objective": ["val_auc", "val_auc"]}, "`objective` must be different names"),
        ({"objective": []}, "`objective` must be the name of a metric, or a list that begins with one"),
        ({"warm_start": "nowhere"}, "`warm_start` must be the directory of another run, got 'nowhere'"),
        ({"progress": "yes"}, "`progress` must be True, False or a function"),
        ({"user": "usr"}, "column 'usr': the column is absent.*Did you mean 'user'"),
        ({"validation_data": (1, 2, 3)}, "`validation_data` must be rows, or a pair"),
        ({"validation_data": frame().drop("country")}, "column 'country': the column is absent"),
        ({"space": lambda hp: 3}, "`space` must be one that builds a functional Keras model, got 3"),
        ({"schema": "nowhere.json"}, "`schema` must be a Schema or the path of one"),
    ],
)
def test_bad_input_is_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(keras.Model, "fit", no_training)
    with pytest.raises(AutoRecError, match=message):
        search(tmp_path / "run", **{"baselines": True, **change})


def test_clicks_are_no_ratings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'click': a rating must have other values than 0 and 1"):
        RatingRecommender(directory=tmp_path).fit(frame(), target="click", **QUICK)


def test_a_directory_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"It holds \['thesis.txt'\]"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="`directory` must be a directory"):
        search(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("content", "message"), [("{", "JSONDecodeError"), ("{}", "KeyError: 'features'"), ('{"features": 3}', "TypeError")]
)
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "schema.json").write_text(content)
    with pytest.raises(DataError, match=rf"schema.json': not a schema .*{message}"):
        search(tmp_path / "run", schema=tmp_path / "schema.json")


def test_numbers_of_numpy_and_objectives_of_keras_tuner_are_taken(tmp_path: Path) -> None:
    objective = kt.Objective("val_log_loss", "min")
    rec = search(tmp_path, seed=np.int64(3), max_trials=np.int32(1), objective=objective, callbacks=None)
    row = rec.leaderboard().row(0, named=True)
    assert row["score"] == row["val_log_loss"]
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 3


def test_an_oracle_of_ones_own_keeps_its_number_of_trials(tmp_path: Path) -> None:
    oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("val_auc", "max"), max_trials=2, seed=1)
    assert search(tmp_path, searcher=oracle, max_trials=None).leaderboard().height == 2


# Kills and limits


KILLED = """
import sys
from pathlib import Path
from autorec.data.demo import click_log
from autorec.recommender import CTRRecommender

directory = Path(sys.argv[1])

def listen(event):
    if event["event"] in ("trial_started", "epoch", "trial_finished"):
        with (directory / "events.log").open("a") as file:
            file.write(f"{event['event']} {event['number']}\\n")

rec = CTRRecommender("fm", directory=directory / "run")
budget = {"max_trials": 4, "epochs": 2, "baselines": False}
course = {"low": {"rows": 1000}, "finalists": 1, "seeds": 2}
rec.search(click_log(rows=2000), target="click", fidelity=course, progress=listen, **budget)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", KILLED, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def events(folder: Path) -> list[str]:
    log = folder / "events.log"
    return log.read_text().splitlines() if log.exists() else []


def kill_at(folder: Path, moment: str) -> None:
    process = start(folder)
    while moment not in events(folder):
        assert process.poll() is None, "the search ended before its kill"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def board(folder: Path) -> list[dict[str, Any]]:
    rows = Run(folder / "run", read_only=True).leaderboard()
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.long
def test_a_killed_search_ends_as_the_undisturbed_one_and_trains_no_finished_trial_again(tmp_path: Path) -> None:
    assert start(tmp_path / "whole").wait() == 0
    disturbed = tmp_path / "disturbed"
    for moment in ("trial_started 0", "epoch 1", "trial_finished 1", "trial_started 3", "epoch 4", "trial_started 5"):
        kill_at(disturbed, moment)
    assert start(disturbed).wait() == 0
    assert board(disturbed) == board(tmp_path / "whole")
    finished: set[str] = set()
    for event, number in map(str.split, events(disturbed)):
        assert event != "trial_started" or number not in finished, f"trial {number} was trained again"
        finished |= {number} if event == "trial_finished" else set()


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"refit": True},
        {"searcher": "bayesian", "baselines": False},
        {"fidelity": "auto", "refit": True},
        {"effort": "best"},
    ],
)
def test_a_time_limit_holds_for_all_of_a_search(tmp_path: Path, arguments: dict[str, Any]) -> None:
    limit = 15.0
    rows = fitted.clicks(20_000)
    begin = time.monotonic()
    rec = CTRRecommender(directory=tmp_path).search(
        rows, target="click", time_limit=limit, **{"progress": False, **arguments}
    )
    assert time.monotonic() - begin < 1.05 * limit
    assert rec.leaderboard()["status"].str.starts_with("completed").any()


@pytest.mark.alone
@pytest.mark.long
def test_a_search_with_a_time_limit_goes_on_with_more_time(tmp_path: Path) -> None:
    first = search(tmp_path, max_trials=None, time_limit=4).leaderboard().height
    second = search(tmp_path, max_trials=None, time_limit="6s").leaderboard().height
    assert second > first > 0
