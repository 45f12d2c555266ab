"""Simple models beside the searched ones: what a model has to beat to be worth its trouble."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.searchers.designs import categories, one_hot
from autorec.training.validation import measure_answers

NO_TIME = "no time was left"
BASELINES = ("prior", "logistic_regression", "lightgbm")

_ROWS = 500_000
_ROUNDS = 2000
_PATIENCE = 50
_ROWS_A_THREAD = 50_000  # beside other work, threads of less wait for each other

# (training rows, validation rows, layout, target's position, seed, deadline) -> predictions of the validation rows
Fit = Callable[[Part, Part, Layout, int, int, float | None], np.ndarray]


def baselines(
    train: Part,
    validation: Part,
    layout: Layout,
    *,
    objective: str,
    seed: int = 0,
    deadline: float | None = None,
    skip: Container[str] = (),
    loss_weights: Mapping[str, float] | None = None,
) -> Iterator[dict[str, Any]]:
    """Trains the baselines one by one; each yielded row is an event of the run's journal.

    ======================  =======================================================================================
    `prior`                 the training mean
    `logistic_regression`   on one-hot ids, list values and standardised log numbers; `ridge_regression` for ratings
    `lightgbm`              ids as categories (rare ones as one), numbers as they are, early stopping on `validation`
    ======================  =======================================================================================

    Metrics are those of trials, over `validation`; with several targets there is one model for each. From tables of
    over 500,000 rows a sample of that size is taken.

    Args:
        train: Training rows.
        validation: Rows to measure on.
        layout: Columns of both.
        objective: Metric that becomes the score, such as `val_auc`.
        seed: Seed of the sample and of LightGBM.
        deadline: `time.monotonic()` to end at; what cannot be fitted until then is a failed row that says so.
        skip: Names of baselines not to train, such as those that the run already has.
        loss_weights: Weights of the targets in `val_loss`, 1 where left out.

    Yields:
        Dicts with event (`baseline`), kind, name, status, score, metrics, seconds, error.
    """
    rating = any(target.kind == "real" for target in layout.targets)
    fits: dict[str, Fit] = {
        "prior": _prior,
        "ridge_regression" if rating else "logistic_regression": _linear,
        "lightgbm": _lightgbm,
    }
    rows = _sample(train, seed)
    for name, fit in fits.items():
        if name not in skip:
            yield _row(name, fit, rows, validation, layout, objective, seed, deadline, loss_weights)


def _row(
    name: str,
    fit: Fit,
    train: Part,
    validation: Part,
    layout: Layout,
    objective: str,
    seed: int,
    deadline: float | None,
    loss_weights: Mapping[str, float] | None,
) -> dict[str, Any]:
    begin = time.monotonic()
    row: dict[str, Any] = {"event": "baseline", "kind": "baseline", "name": name, "status": "failed", "score": None}
    if deadline is not None and begin >= deadline:
        return {**row, "seconds": 0.0, "error": NO_TIME}
    try:
        predictions = [
            fit(_labelled(train, position), validation, layout, position, seed, deadline)
            for position in range(len(layout.targets))
        ]
        metrics = measure_answers(predictions, validation, layout, loss_weights)
        score = metrics.get(objective, math.nan)
        if math.isnan(score):
            row |= {"metrics": metrics, "error": f"the objective {objective!r} is not a number on the validation rows"}
        else:
            row |= {"status": "completed", "metrics": metrics, "score": score}
    except Exception as error:
        row |= {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {**row, "seconds": round(time.monotonic() - begin, 3)}


def _sample(part: Part, seed: int) -> Part:
    if part.rows <= _ROWS:
        return part
    return _select(part, np.sort(np.random.default_rng(seed).choice(part.rows, _ROWS, replace=False)))


def _labelled(part: Part, position: int) -> Part:
    known = ~np.isnan(part.labels[:, position])
    return part if known.all() else _select(part, np.flatnonzero(known))


def _select(part: Part, rows: np.ndarray) -> Part:
    weights = None if part.weights is None else np.asarray(part.weights[rows])
    users = None if part.users is None else np.asarray(part.users[rows])
    return Part(part.take(rows, part.arrays), np.asarray(part.labels[rows]), weights, users)


def _prior(
    train: Part, validation: Part, layout: Layout, position: int, seed: int, deadline: float | None
) -> np.ndarray:
    mean = np.average(train.labels[:, position].astype(np.float64), weights=train.weights)
    return np.full(validation.rows, mean)


def _linear(
    train: Part, validation: Part, layout: Layout, position: int, seed: int, deadline: float | None
) -> np.ndarray:
    matrix, labels, target = one_hot(train, layout), train.labels[:, position], layout.targets[position]
    if target.kind == "real":
        from sklearn.linear_model import Ridge

        model = Ridge(alpha=5.0, solver="sparse_cg", max_iter=200)
        model.fit(matrix, labels.astype(np.float64), sample_weight=train.weights)
        return np.clip(model.predict(one_hot(validation, layout)), target.low, target.high)
    return _logistic(matrix, labels, train.weights, deadline).predict_proba(one_hot(validation, layout))[:, 1]


def _logistic(matrix: Any, labels: np.ndarray, weights: np.ndarray | None, deadline: float | None) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Some steps at a time, so that a deadline can end it.
    model = LogisticRegression(max_iter=10, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(10):
            model.fit(matrix, labels > 0.5, sample_weight=weights)
            if model.n_iter_[0] < model.max_iter or (deadline is not None and time.monotonic() >= deadline):
                break
    return model


def _lightgbm(
    train: Part, validation: Part, layout: Layout, position: int, seed: int, deadline: float | None
) -> np.ndarray:
    import lightgbm

    target = layout.targets[position]
    matrix, categorical = categories(train, layout)
    data = lightgbm.Dataset(
        matrix,
        np.ascontiguousarray(train.labels[:, position]),
        weight=train.weights,
        categorical_feature=categorical,
        params={"verbosity": -1},
        free_raw_data=True,
    )
    known = _labelled(validation, position)
    labels = np.ascontiguousarray(known.labels[:, position])
    matrix_of_known = categories(known, layout)[0]
    valid = data.create_valid(matrix_of_known, labels, weight=known.weights)
    settings = {
        "objective": "binary" if target.kind == "binary" else "regression",
        "metric": "auc" if target.kind == "binary" else "rmse",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "cat_smooth": 10,
        "num_threads": min(2, 1 + train.rows // _ROWS_A_THREAD),
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }
    stops = [lightgbm.early_stopping(_PATIENCE, verbose=False), _stop_at(deadline)]
    model = lightgbm.train(settings, data, _ROUNDS, valid_sets=[valid], callbacks=stops)
    judged = matrix_of_known if known is validation else categories(validation, layout)[0]
    scores = model.predict(judged, num_iteration=model.best_iteration)
    return np.clip(scores, target.low, target.high) if target.kind == "real" else scores


def _stop_at(deadline: float | None) -> Callable[[Any], None]:
    import lightgbm

    def stop(env: Any) -> None:
        if deadline is not None and time.monotonic() >= deadline:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    return stop
