"""Exact metrics of a model on validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.errors import unknown_name
from autorec.training import metrics
from autorec.training.prediction import answers, predict

_RARE = 100  # rows of a class, of fewer of which an area under the curve says little
_BY_KIND = {"binary": ("auc", "log_loss", "ece"), "real": ("mse", "rmse", "mae")}


def default_objective(layout: Layout) -> str:
    """Returns `val_auc` where there is a binary target, else `val_rmse`."""
    return "val_auc" if any(target.kind == "binary" for target in layout.targets) else "val_rmse"


def epoch_metric(objective: str, part: Part, layout: Layout) -> str:
    """Returns the metric whose best epoch counts where an objective ranks the trials.

    It is the objective, but log loss in place of an area under the curve on fewer than 1,000 validation rows, or 100 of
    a class. There the area moves from epoch to epoch mostly by chance, and its best one often is an overfitted one that
    was lucky; log loss tells the two apart.

    Args:
        objective: Metric that ranks the trials.
        part: The validation rows.
        layout: Their columns.

    Example:
        >>> epoch_metric("val_auc", cache.validation, cache.layout)  # of 800 rows
        'val_log_loss'
    """
    if not objective.endswith("auc") or (part.rows >= metrics.FEW and _rarest(objective, part, layout) >= _RARE):
        return objective
    return objective.removesuffix("auc").removesuffix("g") + "log_loss"


def _rarest(objective: str, part: Part, layout: Layout) -> int:
    """Returns the rows of the class that has the fewest, of the target that an objective names or of all."""
    counts = [part.rows]
    named = [
        f"val_{target.name}_auc" == objective or f"val_{target.name}_gauc" == objective for target in layout.targets
    ]
    for target, mine, labels in zip(layout.targets, named, np.asarray(part.labels).T):
        if target.kind == "binary" and (mine or not any(named)):
            counts += [int((labels > 0.5).sum()), int((labels <= 0.5).sum())]
    return min(counts)


def metric_names(layout: Layout, grouped: bool) -> list[str]:
    """Returns the names that `validate` gives.

    Args:
        layout: Columns of the rows.
        grouped: Whether the rows have groups.
    """
    names = []
    for target in layout.targets:
        bare = [*_BY_KIND[target.kind], *(["gauc"] if grouped and target.kind == "binary" else [])]
        names += [f"val_{name}" for name in bare]
        names += [f"val_{target.name}_{name}" for name in bare if len(layout.targets) > 1]
    return [*dict.fromkeys(names), "val_loss"]


def check_objective(objective: str, layout: Layout, grouped: bool) -> None:
    """Checks that validation gives the objective.

    Raises:
        ConfigError: If it does not; names the nearest metrics.
    """
    names = metric_names(layout, grouped)
    if objective not in names:
        raise unknown_name("objective", objective, names)


def validate(
    model: Any, part: Part, layout: Layout, loss_weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Returns the exact metrics on all rows of a part.

    Of one target `val_auc`, `val_log_loss`, `val_ece` and with groups `val_gauc`, or `val_mse`, `val_rmse`, `val_mae`.
    Of several, each has the target in its name, `val_like_auc`, and `val_auc` is the mean over the targets that have
    one. `val_loss` is the sum over the targets of log loss or squared error over the variance, each with its weight.

    Args:
        model: Keras model.
        part: Labelled rows.
        layout: Columns of the rows.
        loss_weights: Weights of the targets' losses, 1 where left out.
    """
    return measure(predict(model, part), part, layout, loss_weights)


def measure(
    outputs: Mapping[str, np.ndarray], part: Part, layout: Layout, loss_weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Returns the metrics of raw outputs, as `validate` does of a model's.

    Args:
        outputs: (rows,) logits or values by target.
        part: The labelled rows.
        layout: Columns of the rows.
        loss_weights: Weights of the targets' losses, 1 where left out.
    """
    if any(np.isnan(raw).any() for raw in outputs.values()):
        # All of them, so that no epoch with a broken target is the best by the others.
        return dict.fromkeys(metric_names(layout, part.users is not None), float("nan"))
    raw = list(outputs.values()) if len(layout.targets) == 1 else [outputs[target.name] for target in layout.targets]
    return measure_answers([answers(*each) for each in zip(raw, layout.targets)], part, layout, loss_weights)


def measure_answers(
    scores: Sequence[np.ndarray], part: Part, layout: Layout, loss_weights: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Returns the metrics of probabilities and ratings, as `validate` does of a model's.

    Args:
        scores: (rows,) probabilities or ratings of each target, in the order of the layout.
        part: The labelled rows.
        layout: Columns of the rows.
        loss_weights: Weights of the targets' losses, 1 where left out.
    """
    result: dict[str, float] = {}
    means: dict[str, list[float]] = {}
    loss = 0.0
    for own, labels, target in zip(scores, part.labels.T, layout.targets, strict=True):
        found = metrics.evaluate(labels, own, target.kind, groups=part.users, weights=part.weights)
        term = found["log_loss"] if target.kind == "binary" else found["mse"] / target.std**2
        if not np.isnan(term):  # else no row of the part has this target
            loss += term * (loss_weights or {}).get(target.name, 1.0)
        for name, value in found.items():
            means.setdefault(name, []).append(value)
            if len(layout.targets) > 1:
                result[f"val_{target.name}_{name}"] = value
    result |= {f"val_{name}": _mean(values) for name, values in means.items()}
    return result | {"val_loss": loss}


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
