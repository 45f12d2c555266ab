"""Predictions and metrics from raw rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from autorec.errors import DataError
from autorec.export import predictor
from autorec.loading import load_run
from tests import fitted


def test_metrics_equal_those_of_scikit_learn_on_the_predictions() -> None:
    rows = fitted.clicks(400, seed=1)
    found, chance = fitted.single().evaluate(rows), fitted.single().predict(rows).astype(np.float64)
    assert found["auc"] == pytest.approx(roc_auc_score(rows["click"], chance), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(rows["click"], chance), abs=1e-9)


def test_evaluating_twice_gives_the_same_numbers() -> None:
    rows = fitted.clicks(300, seed=1)
    assert fitted.single().evaluate(rows) == fitted.single().evaluate(rows)


def test_a_prediction_does_not_depend_on_the_other_rows() -> None:
    rows = fitted.rows_of_every_kind(60, 4, unseen=True)
    whole = fitted.of_every_kind().predict(rows)
    alone = np.concatenate([fitted.of_every_kind().predict(rows[i : i + 1]) for i in range(20)])
    assert np.allclose(whole[:20], alone, atol=1e-6)


@pytest.mark.parametrize("kind", [lambda rows: rows, lambda rows: rows.to_pandas(), lambda rows: rows.lazy()])
def test_no_rows_have_no_predictions(kind: Any) -> None:
    rows = kind(fitted.rows_of_every_kind(6, 4).head(0))
    found = fitted.of_every_kind().predict(rows)
    assert found.shape == (0,)
    assert found.dtype == np.float32
    with pytest.raises(DataError, match="there are no rows"):
        fitted.of_every_kind().evaluate(rows)


def test_several_targets_are_predicted_by_name() -> None:
    found = fitted.searched().predict(fitted.clicks(50, seed=1))
    assert list(found) == ["click", "like"]
    assert all(chance.shape == (50,) and chance.dtype == np.float32 for chance in found.values())


def test_several_targets_are_measured_with_their_name_in_front() -> None:
    found = fitted.searched().evaluate(fitted.clicks(300, seed=1))
    assert {"click_auc", "like_auc", "click_gauc", "like_log_loss"} <= set(found)


def test_rows_without_a_label_do_not_count() -> None:
    rows = fitted.clicks(300, seed=1)
    holes = rows.with_columns(click=pl.when(pl.int_range(300) < 200).then("click"))
    assert fitted.single().evaluate(holes)["auc"] == fitted.single().evaluate(rows[:200])["auc"]


def test_ratings_are_measured_by_their_errors() -> None:
    frame = pl.DataFrame({"user": ["1", "2", "3"], "rating": [3.0, 4.0, 5.0]})
    found = fitted.rated().evaluate(frame)
    errors = fitted.rated().predict(frame) - frame["rating"].to_numpy()
    assert found["mse"] == pytest.approx(np.mean(errors**2), abs=1e-6)
    assert set(found) == {"mse", "rmse", "mae"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"click": pl.lit(2)}, "two classes 0 and 1"),
        ({"click": pl.lit("yes")}, "such as 'yes'"),
        ({"price": pl.lit("dear")}, "column 'price': the schema expects numbers, got text"),
    ],
)
def test_rows_that_cannot_be_measured_are_refused(change: dict[str, pl.Expr], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted.single().evaluate(fitted.clicks(50).with_columns(**change))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(DataError, match=r"column 'country': the column is absent"):
        fitted.single().predict(fitted.clicks(50).drop("country"))


def test_a_value_that_cannot_be_read_is_named_with_its_row_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, None, DataError("a bad value", row=2, column="price")])
    model = load_run(fitted.single().directory_)

    def encode(batch: Any, groups: Any) -> Any:
        found = next(answers)
        if found is not None:
            raise found
        return plain(batch, groups)

    plain = model.encoder.encode
    monkeypatch.setattr(predictor, "BLOCK", 20)
    monkeypatch.setattr(model.encoder, "encode", encode)
    with pytest.raises(DataError, match=r"row 42, column 'price': a bad value"):
        model.predict(fitted.clicks(50))


@pytest.mark.parametrize("role", ["weight", "group"])
def test_a_role_whose_column_cannot_be_read_is_not_passed_over(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = fitted.clicks(50).to_dict(as_series=False) | {"mixed": ["a", 1] * 25}
    assert fitted.single().evaluate(rows)
    monkeypatch.setattr(fitted.single().predictor_.schema, role, "mixed")
    assert len(fitted.single().predict(rows)) == 50
    with pytest.raises(DataError, match="column 'mixed': the column has mixed types"):
        fitted.single().evaluate(rows)


def test_the_target_is_needed_to_evaluate_but_not_to_predict() -> None:
    rows = fitted.clicks(50).drop("click")
    assert len(fitted.single().predict(rows)) == 50
    with pytest.raises(DataError, match="column 'click': missing target"):
        fitted.single().evaluate(rows)
