"""Precision: which one a run has, and what stays float32 under any."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

import autorec as ar
from autorec.data.layout import IdColumn, Layout, ListColumn, NumberColumn, StatisticColumn, TargetColumn
from autorec.errors import ConfigError
from autorec.recommender import CTRRecommender, RatingRecommender
from autorec.run import Run
from autorec.searchers import trial
from autorec.spaces import SPACES, build
from autorec.training import TrainOptions, precision, predict, tables, train
from autorec.training.precision import choose, lacking, settle, time_steps, using_precision
from tests.fitted import QUICK, clicks
from tests.training import small

BOTH = {"float32": 2e-3, "bfloat16": 1e-3}
USER, ITEM = IdColumn("user", "user", 20, "user"), IdColumn("item", "item", 20, "item")
PRICE = NumberColumn("price", "price", 5.0, 4.0, 1.5, 0.8, (0.0, 1.0, 9.0), 0.2)
TAGS = ListColumn("tags", "list_0", "bag", 7, "tags", 4)
RATE = StatisticColumn("rate(user)", ("user",), "rate", "click", 100.0, 0.01)
TARGETS = tuple(TargetColumn(name, "binary", 0.3, 0.46, 0.0, 1.0) for name in ("click", "like"))
LAYOUT = Layout(ids=(USER, ITEM), targets=TARGETS[:1], user="user", item="item")


def quick(**arguments: Any) -> dict[str, Any]:
    frame = {"data": clicks().drop("like"), "target": "click", "user": "user", "item": "item"}
    return {**QUICK, **frame, "space": "mf", **arguments}


def never() -> dict[str, float]:
    raise AssertionError("timed")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with bfloat16."""
    monkeypatch.setattr(precision, "lacking", lambda: None)


@pytest.fixture
def unable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without bfloat16."""
    monkeypatch.setattr(precision, "lacking", lambda: "no bfloat16 here")


@pytest.fixture
def timings(able: None, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device on which bfloat16 is twice as fast; a batch size for each time that it was timed."""
    found: list[int] = []

    def time_steps(make: Any, part: Any, layout: Layout, batch_size: int, *_: Any) -> dict[str, float]:
        found.append(batch_size)
        return BOTH

    monkeypatch.setattr(trial, "time_steps", time_steps)
    return found


# What is asked for


@pytest.mark.parametrize("value", ["float16", "int8", "bf16", 16, ("float32", "bfloat16")])
def test_a_precision_that_is_not_known_is_refused_with_those_that_are(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"`precision` must be one of \['float32', 'bfloat16', 'auto'\]"):
        TrainOptions(precision=value)


def test_precision_is_float32_by_default_and_never_searched() -> None:
    hp = kt.HyperParameters()
    assert TrainOptions().tune(hp).precision == "float32"
    assert TrainOptions(precision="bfloat16").tune(hp).precision == "bfloat16"
    assert "train/precision" not in hp.values


# What is chosen


@pytest.mark.parametrize(("ratio", "chosen"), [(1.3, "bfloat16"), (1.05, "float32"), (0.5, "float32")])
def test_auto_takes_bfloat16_where_it_is_clearly_faster(able: None, ratio: float, chosen: str) -> None:
    found = choose("auto", lambda: {"float32": ratio, "bfloat16": 1.0})
    assert (found["precision"], found["float32_over_bfloat16"]) == (chosen, ratio)


def test_auto_is_float32_untimed_where_the_device_has_no_bfloat16(unable: None) -> None:
    assert choose("auto", never) == {
        "precision": "float32",
        "reason": "no bfloat16 here",
        "float32_over_bfloat16": None,
    }


def test_auto_is_float32_where_a_space_fails_in_bfloat16(able: None) -> None:
    found = choose("auto", never)
    assert found["precision"] == "float32"
    assert "AssertionError: timed" in found["reason"]


def test_bfloat16_is_obeyed_and_its_slowness_told(unable: None) -> None:
    found = choose("bfloat16", never)
    assert found["precision"] == "bfloat16"
    assert "no bfloat16 here" in found["reason"]


@pytest.mark.parametrize(
    ("line", "lacks"),
    [("flags : fpu avx2 avx512_bf16", False), ("Features : fp bf16", False), ("flags : fpu avx2", True), ("", False)],
)
def test_a_processor_is_asked_for_its_instructions(
    line: str, lacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n", encoding="utf-8")
    flags = precision._processor_flags(tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "_processor_flags", lambda: flags)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    assert (lacking() is not None) == lacks


@pytest.mark.parametrize(("capability", "lacks"), [((7, 5), True), ((8, 0), False), (None, False)])
def test_a_gpu_is_asked_for_its_capability(capability: Any, lacks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(
        "tensorflow.config.experimental.get_device_details", lambda device: {"compute_capability": capability}
    )
    assert (lacking() is not None) == lacks


def test_a_choice_is_journaled_and_not_made_again(able: None, tmp_path: Path) -> None:
    told: list[Any] = []
    with Run(tmp_path) as run:
        first = settle(TrainOptions(precision="auto"), run, lambda: BOTH, told.append)
    with Run(tmp_path) as run:
        again = settle(TrainOptions(precision="auto"), run, never, told.append)
        (event,) = run.events("precision")
    assert first.precision == again.precision == event["precision"] == "bfloat16"
    assert len(told) == 1


def test_float32_needs_no_choice(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert settle(TrainOptions(), run, never, never) == TrainOptions()  # type: ignore[arg-type]
        assert not run.events()


def test_steps_are_timed_in_both_precisions_on_small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_ROWS", 10)
    made: list[Any] = []

    def make(layout: Layout) -> Any:
        made.append(build("fm", kt.HyperParameters(), layout))
        return made[-1]

    found = time_steps(make, small.part(50), small.layout(), 32, TrainOptions(precision="auto"))
    assert list(found) == ["float32", "bfloat16"]
    assert min(found.values()) > 0
    assert [model.layers[-1].compute_dtype for model in made] == ["float32", "bfloat16"]
    assert [table.shape[0] for model in made for table in tables(model)] == [10, 10]


def test_a_step_is_timed_as_a_long_training_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    totals: list[int] = []
    monkeypatch.setattr(precision.xla, "pays", lambda model, batch_size, total: totals.append(total))
    time_steps(lambda layout: small.model(), small.part(50), small.layout(), 32, TrainOptions(), epochs=100)
    assert totals == [200, 200]


@pytest.mark.parametrize("sharpness", [None, ar.SharpnessAware()])
def test_steps_of_several_targets_are_timed_whatever_their_names(sharpness: Any) -> None:
    names = ("a click!", "größe/ä")
    options = TrainOptions(sharpness=sharpness, loss_weights={"a click!": 2.0})
    part, layout = small.part(50, targets=2), small.layout(*names)
    assert set(time_steps(lambda layout: small.model(*names), part, layout, 32, options)) == {"float32", "bfloat16"}


# What it means for a model


def test_the_policy_is_that_of_before_behind_an_error_too() -> None:
    before = keras.config.dtype_policy().name
    seen: list[str] = []
    with contextlib.suppress(KeyError), using_precision("bfloat16"):
        seen.append(keras.config.dtype_policy().name)
        raise KeyError
    assert (seen, keras.config.dtype_policy().name) == (["mixed_bfloat16"], before)


def test_a_logit_that_is_not_float32_is_refused() -> None:
    def plain(hp: Any) -> keras.Model:
        inputs, fields = ar.inputs(hp, dim=4)
        return keras.Model(inputs, {"click": keras.layers.Dense(1)(keras.layers.Flatten()(fields))})

    with using_precision("bfloat16"), pytest.raises(ConfigError, match="float32 under any precision"):
        build(plain, kt.HyperParameters(), LAYOUT)


@pytest.mark.parametrize("space", sorted(SPACES))
def test_weights_tables_and_logits_of_a_space_are_float32(space: str) -> None:
    with using_precision("bfloat16"):
        model = build(space, kt.HyperParameters(), LAYOUT)
    assert {weight.dtype for weight in model.trainable_variables} == {"float32"}
    ids = np.array([[3, 4], [5, 19]], "int32")
    outputs = [*model.output.values(), *model({"ids": ids}).values()]
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs} == {"float32"}


@pytest.mark.parametrize("targets", [TARGETS, (TargetColumn("stars", "real", 3.0, 1.0, 1.0, 5.0),)])
def test_a_first_order_model_is_the_same_bit_for_bit(targets: tuple[TargetColumn, ...]) -> None:
    layout = Layout((USER, ITEM), (PRICE,), (RATE,), (), (TAGS,), targets)
    rows = {
        "ids": np.array([[3, 4], [5, 19]], "int32"),
        "numbers": np.array([[1.2345678], [np.nan]]),
        "statistics": np.array([[100.013], [99.99]], "float32"),
        "list_0": np.array([[1, 5, 2], [6, 0, 0]], "int32"),
    }
    outputs = []
    for name in ("float32", "bfloat16"):
        with using_precision(name):
            model = build("lr", kt.HyperParameters(), layout)
        rng = np.random.default_rng(0)
        model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
        outputs.append(np.concatenate([np.array(values) for values in model(rows).values()]))
    np.testing.assert_array_equal(*outputs)


def test_training_in_bfloat16_comes_close_to_float32() -> None:
    losses = []
    for name in ("float32", "bfloat16"):
        with using_precision(name):
            model = small.model()
        result = train(model, [small.part()], small.part(200, seed=1), layout=small.layout(), batch_size=64, epochs=5)
        losses.append(result.metrics["val_log_loss"])
    assert abs(losses[0] - losses[1]) < 0.005


def test_a_prediction_does_not_depend_on_the_other_rows() -> None:
    with using_precision("bfloat16"):
        model = build("deepfm", kt.HyperParameters(), small.layout())
    part = small.part(64)
    alone = [predict(model, part, batch_size=size)["click"] for size in (1, 7, 64)]
    np.testing.assert_allclose(alone[0], alone[2], atol=1e-6)
    np.testing.assert_allclose(alone[1], alone[2], atol=1e-6)


# What it means for a run


def dtypes(model: Any) -> set[str]:
    return {layer.compute_dtype for layer in model.layers if layer.name.startswith(("dense", "mlp"))}


def dense(hp: Any) -> Any:
    inputs, fields = ar.inputs(hp, dim=4)
    return ar.ctr_model(inputs, [ar.blocks.MLP(units=hp.Choice("units", [4, 8]), layers=1)(fields)])


@pytest.mark.long
def test_all_trials_of_a_run_have_the_precision_chosen_once(timings: list[int], tmp_path: Path) -> None:
    rec = CTRRecommender(options=TrainOptions(precision="auto"), directory=tmp_path / "run")
    rec.search(**quick(space=dense, max_trials=1, batch_size=128))
    rec.search(**quick(space=dense, max_trials=2, batch_size=128, refit=True))
    assert timings == [128]
    assert [dtypes(rec.model(number)) for number in (0, 1)] == [{"bfloat16"}] * 2
    assert dtypes(rec.model()) == {"bfloat16"}
    assert Run(tmp_path / "run", read_only=True).config["options"]["precision"] == "auto"  # type: ignore[index]


def test_a_run_does_not_go_on_in_another_precision(tmp_path: Path) -> None:
    rec = CTRRecommender(directory=tmp_path / "run").search(**quick(max_trials=1))
    with pytest.raises(ConfigError, match="options"):
        rec.search(**quick(max_trials=2, options=TrainOptions(precision="bfloat16")))


@pytest.mark.long
@pytest.mark.parametrize("space", ["deepfm", "dcnv2"])
def test_an_export_in_bfloat16_predicts_what_the_recommender_does(space: str, tmp_path: Path) -> None:
    rec = CTRRecommender(options=TrainOptions(precision="bfloat16")).fit(**quick(space=space))
    rows = clicks(100, seed=1)
    rec.export(tmp_path / "model")
    found = ar.load(tmp_path / "model").predict(rows)
    np.testing.assert_allclose(found, rec.predict(rows), atol=1e-6)
    assert found.dtype == np.float32
    assert "bfloat16" in {layer.compute_dtype for layer in rec.model().layers}


def test_ratings_are_trained_in_bfloat16(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(0, 30, 400)
    data = {"user": users.astype(str), "item": rng.integers(0, 9, 400).astype(str), "rating": 3.0 + users % 3}
    rec = RatingRecommender(options=TrainOptions(precision="bfloat16"))
    rec.fit(data, target="rating", user="user", item="item", **{**QUICK, "space": "neumf", "epochs": 5})
    assert rec.evaluate(data)["rmse"] < float(np.std(data["rating"]))
