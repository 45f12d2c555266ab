"""Training options: checks, what is searched, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.training.options import DEFAULTS, TrainOptions
from autorec.training.row_sparse import RowSparse


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "adamm"),
        ("optimizer", 3),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("table_optimizer", "lazy"),
        ("table_l2", -1e-6),
        ("table_decay", -0.1),
        ("clip", True),
        ("plateau", 1.0),
        ("patience", 0),
        ("patience", 1.5),
        ("clip", ()),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        TrainOptions(**{name: value})


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'rowwise_adagrad'"):
        TrainOptions(table_optimizer="rowwise_adagard")


def test_open_fields_are_searched_under_train() -> None:
    hp = kt.HyperParameters()
    tuned = TrainOptions().tune(hp)
    assert sorted(hp.values) == ["train/learning_rate", "train/table_l2"]
    assert tuned == TrainOptions().resolved()


@pytest.mark.parametrize(("name", "value"), [("table_l2", 0.0), ("table_l2", 0), ("clip", 0.0), ("plateau", False)])
def test_falsy_values_are_fixed(name: str, value: Any) -> None:
    hp = kt.HyperParameters()
    tuned = TrainOptions(**{name: value}).tune(hp)
    assert getattr(tuned, name) == 0
    assert f"train/{name}" not in hp.values


def test_a_tuple_is_searched_with_its_first_value_as_default() -> None:
    hp = kt.HyperParameters()
    options = TrainOptions(table_optimizer=("adagrad", "adam"), patience=[1, 3])
    assert options.tune(hp).table_optimizer == "adagrad"
    hp.values["train/table_optimizer"] = "adam"
    assert options.tune(hp).table_optimizer == "adam"
    assert options.resolved().patience == 1


def test_values_of_a_trial_are_taken() -> None:
    hp = kt.HyperParameters()
    TrainOptions().tune(hp)
    hp.values |= {"train/learning_rate": 0.005, "train/table_l2": 0.0}
    tuned = TrainOptions().tune(hp)
    assert (tuned.learning_rate, tuned.table_l2) == (0.005, 0.0)


def test_a_keras_optimizer_keeps_its_own_rate() -> None:
    hp = kt.HyperParameters()
    tuned = TrainOptions(optimizer=keras.optimizers.SGD(0.5)).tune(hp)
    assert tuned.learning_rate is None
    assert "train/learning_rate" not in hp.values


def test_dense_tables_have_no_lazy_l2() -> None:
    hp = kt.HyperParameters()
    assert TrainOptions(table_optimizer="dense").tune(hp).table_l2 == 0.0
    assert list(hp.values) == ["train/learning_rate"]
    with pytest.raises(ConfigError, match="table_l2"):
        TrainOptions(table_optimizer="dense", table_l2=1e-6)


def test_dense_tables_have_no_lazy_decay() -> None:
    hp = kt.HyperParameters()
    hp.values["train/table_optimizer"] = "dense"
    options = TrainOptions(table_optimizer=("adam", "dense"), table_decay=0.1)
    assert options.tune(hp).table_decay == 0.0
    assert options.resolved().table_decay == 0.1
    with pytest.raises(ConfigError, match="table_decay"):
        TrainOptions(table_optimizer="dense", table_decay=0.1)


def test_an_optimizer_that_cannot_be_given_rows_is_for_dense_tables_alone() -> None:
    optimizer = keras.optimizers.Adam(gradient_accumulation_steps=2)
    with pytest.raises(ConfigError, match=r"optimizer.gradient_accumulation_steps.* tables have a rule of their own"):
        TrainOptions(optimizer=optimizer)
    assert TrainOptions(optimizer=optimizer, table_optimizer="dense").resolved().optimizer is optimizer


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_that_no_validation_saw_are_refused(wrapped: bool) -> None:
    optimizer: Any = keras.optimizers.Adam(use_ema=True)
    if wrapped:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    with pytest.raises(ConfigError, match=r"`optimizer.use_ema` must be left out.*refit=True"):
        TrainOptions(optimizer=optimizer, table_optimizer="dense")


@pytest.mark.parametrize(
    ("options", "name", "found"),
    [
        ({"table_l2": (0, 1e-5)}, "table_l2", 0.0),
        ({"clip": (0, 1.0)}, "clip", 0.0),
        ({"plateau": (True, False)}, "plateau", 0.1),
        ({"plateau": (False, 0.5)}, "plateau", 0.0),
        ({"learning_rate": (1, 0.1)}, "learning_rate", 1.0),
        ({"patience": (1, 2.0)}, "patience", 1),
    ],
)
def test_values_to_search_among_may_be_written_as_they_are_alone(
    options: dict[str, Any], name: str, found: float
) -> None:
    tuned = getattr(TrainOptions(**options).tune(kt.HyperParameters()), name)
    assert (tuned, type(tuned)) == (found, type(found))


@pytest.mark.parametrize("options", [{"clip": (None, 1.0)}, {"optimizer": ("adam", None)}])
def test_none_is_no_value_to_search_among(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be a tuple of values, without None"):
        TrainOptions(**options)


def test_plateau_true_is_the_tenfold_cut() -> None:
    assert TrainOptions(plateau=True).resolved().plateau == 0.1
    assert TrainOptions(plateau=0.5).resolved().plateau == 0.5


@pytest.mark.parametrize("options", [TrainOptions(), TrainOptions(clip=0.0, plateau=False, patience=(1, 2))])
def test_options_survive_json(options: TrainOptions) -> None:
    assert TrainOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_an_optimizer_made_once_more_is_the_same() -> None:
    once, again = (TrainOptions(optimizer=keras.optimizers.SGD(0.5)).to_dict() for _ in range(2))
    assert once == again


def test_reading_options_leaves_what_is_read_as_it_was() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 100)
    text = json.dumps(TrainOptions(optimizer=keras.optimizers.AdamW(schedule)).to_dict())
    values = json.loads(text)
    assert TrainOptions.from_dict(values).to_dict() == json.loads(text)
    assert json.dumps(values) == text


@pytest.mark.parametrize("field", [{"learning_rate": 0.1}, {"clip": 1.0}])
def test_nothing_is_set_on_an_optimizer_that_wraps_another(field: dict[str, float]) -> None:
    optimizer = RowSparse("adam")
    with pytest.raises(ConfigError, match=rf"`{next(iter(field))}` must be left out with a RowSparse"):
        TrainOptions(optimizer=optimizer, table_optimizer="dense", **field)
    assert TrainOptions(optimizer=optimizer, table_optimizer="dense").resolved().learning_rate is None


def test_a_keras_optimizer_survives_json() -> None:
    values = json.loads(json.dumps(TrainOptions(optimizer=keras.optimizers.SGD(0.5)).to_dict()))
    optimizer = TrainOptions.from_dict(values).optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert float(optimizer.learning_rate) == 0.5


def test_an_unknown_option_in_json_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'patience'"):
        TrainOptions.from_dict({"patiense": 3})


def test_defaults_pass_their_own_checks() -> None:
    assert TrainOptions(**DEFAULTS).resolved() == TrainOptions().resolved()


def test_options_are_read_without_tensorflow() -> None:
    code = "import sys, autorec.training as t; t.TrainOptions(clip=1.0); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_numbers_of_numpy_are_pythons_own() -> None:
    options = TrainOptions(learning_rate=np.float32(0.5), patience=np.int64(3), table_l2=(np.float64(0.25), 0.0))
    assert json.loads(json.dumps(options.to_dict()))["table_l2"] == [0.25, 0.0]
    assert (options.learning_rate, type(options.learning_rate), type(options.patience)) == (0.5, float, int)


def test_loss_weights_survive_json_and_are_not_searched() -> None:
    options = TrainOptions(loss_weights={"like": np.float64(2)})
    assert TrainOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    hp = kt.HyperParameters()
    assert options.tune(hp).loss_weights == {"like": 2.0}
    assert "train/loss_weights" not in hp.values


@pytest.mark.parametrize("bad", [{"like": -1.0}, {"like": "2"}, {"like": True}, {3: 1.0}, 2.0, ({"like": 1.0},)])
def test_loss_weights_of_another_form_are_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="`loss_weights` must be"):
        TrainOptions(loss_weights=bad)
