"""Exact metrics of predictions, computed on all rows at once.

============  =========  ==================================================================================
name          direction  meaning
============  =========  ==================================================================================
`auc`         max        area under the ROC curve
`log_loss`    min        mean negative log likelihood
`ece`         min        expected calibration error over 15 bins of equal weight
`gauc`        max        area under the curve within each group, averaged by the groups' weights
`mse`         min        mean squared error
`rmse`        min        its root
`mae`         min        mean absolute error
============  =========  ==================================================================================

All take float arrays of equal length; rows whose label is NaN do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autorec.errors import unknown_name

DIRECTIONS = {
    "auc": "max",
    "log_loss": "min",
    "ece": "min",
    "gauc": "max",
    "mse": "min",
    "rmse": "min",
    "mae": "min",
    "loss": "min",
}
ECE_BINS = 15
# Validation rows below which labels tell too little to choose much by them: which epoch has the larger area under the
# curve (log loss tells better), which members make the better ensemble (what they answer does).
FEW = 1000
_EPSILON = 1e-7  # probabilities are float32: nearer to 0 or 1 they are no more exact


def direction(name: str) -> str:
    """Returns `"max"` or `"min"` for a metric such as `"auc"`, `"val_auc"` or, of several targets, `"val_like_auc"`.

    Raises:
        ConfigError: If the metric is not known; names the nearest.
    """
    bare = name.removeprefix("val_")
    for known in sorted(DIRECTIONS, key=len, reverse=True):
        if bare == known or bare.endswith(f"_{known}"):
            return DIRECTIONS[known]
    raise unknown_name("objective", name, [f"val_{known}" for known in DIRECTIONS])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns float32 probabilities of logits, computed in float64."""
    return (0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64)))).astype(np.float32)


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the area under the ROC curve, ties counted half; NaN where one class alone or a NaN score is present."""
    labels, scores, weights = _labelled(labels, scores, weights)
    if not _two_classes(labels, weights) or np.isnan(scores).any():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels > 0.5, scores, sample_weight=weights))


def log_loss(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the mean negative log likelihood; probabilities are kept `1e-7` away from 0 and 1."""
    labels, scores, weights = _labelled(labels, scores, weights)
    p = np.clip(scores, _EPSILON, 1.0 - _EPSILON)
    return _mean(-(labels * np.log(p) + (1.0 - labels) * np.log1p(-p)), weights)


def ece(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None, bins: int = ECE_BINS) -> float:
    """Returns the expected calibration error: the bins' mean gap between predicted and observed rate.

    Rows are sorted by score and cut into `bins` bins of equal weight (bins of equal width would put nearly all rows of
    a click log into one); rows of one score stay in one bin, so that the value does not depend on the order of rows.

    Source: Naeini, Cooper, Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    found = reliability(labels, scores, weights, bins)
    if not found["share"]:
        return float("nan")
    return float(np.abs(np.array(found["share"]) * np.array(found["gap"])).sum())


def reliability(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None, bins: int = ECE_BINS
) -> dict[str, list[Any]]:
    """Returns what was predicted and what happened in bins of equal weight, the data of a reliability diagram.

    Args:
        labels: (rows,) 0 and 1, NaN where unlabelled.
        scores: (rows,) probabilities.
        weights: (rows,) weights, or None.
        bins: Number of bins; fewer where many rows have one score.

    Returns:
        Columns with a value for each bin that has rows, by rising score: `low`, `high` (least and largest score),
        `rows`, `share` (of the weight), `predicted`, `observed` (weighted means), `gap` (predicted minus observed).
        `ece` is the sum of `share` times the gap's size.

    Example:
        >>> polars.DataFrame(reliability(labels, probabilities))
    """
    labels, scores, weights = _labelled(labels, scores, weights)
    mass = np.ones_like(scores) if weights is None else weights
    counted = mass > 0.0
    labels, scores, mass = labels[counted], scores[counted], mass[counted]
    order = np.argsort(scores, kind="stable")
    labels, scores, mass = labels[order], scores[order], mass[order]
    middle = (np.cumsum(mass) - 0.5 * mass) / (mass.sum() or 1.0)
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]][: len(scores)])
    run = np.repeat(starts, np.diff(np.r_[starts, len(scores)]))
    which = np.minimum((middle[run] * bins).astype(np.int64), bins - 1)
    firsts = np.flatnonzero(np.r_[True, which[1:] != which[:-1]][: len(which)])
    ends = np.r_[firsts[1:], len(which)].astype(np.int64)
    total, predicted, ones = (
        np.add.reduceat(values, firsts) if len(firsts) else np.zeros(0)
        for values in (mass, mass * scores, mass * labels)
    )
    found = {
        "low": scores[firsts],
        "high": scores[ends - 1] if len(firsts) else scores,
        "rows": ends - firsts if len(firsts) else firsts,
        "share": total / (mass.sum() or 1.0),
        "predicted": predicted / total,
        "observed": ones / total,
        "gap": (predicted - ones) / total,
    }
    return {name: values.tolist() for name, values in found.items()}


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the AUC within each group, averaged by the groups' row weights; groups of one class do not count.

    NaN where no group has both classes, or a score is NaN.

    Source: Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017.
    """
    known = ~np.isnan(np.asarray(labels, np.float64).reshape(-1))
    codes = np.unique(np.asarray(groups).reshape(-1)[known], return_inverse=True)[1].reshape(-1)
    labels, scores, weights = _labelled(labels, scores, weights)
    if np.isnan(scores).any():
        return float("nan")
    mass = np.ones_like(scores) if weights is None else weights
    order = np.lexsort((scores, codes))
    labels, scores, mass, codes = labels[order], scores[order], mass[order], codes[order]
    count = int(codes[-1]) + 1 if len(codes) else 0
    good, bad = mass * labels, mass * (1.0 - labels)
    # Of each good row's bad rows of the same group, those below count whole and those of the same score count half.
    tie = np.cumsum(np.r_[True, (codes[1:] != codes[:-1]) | (scores[1:] != scores[:-1])]) - 1 if count else codes
    tied_bad = np.bincount(tie, bad)
    below_tie = np.cumsum(tied_bad) - tied_bad
    group_bad = np.bincount(codes, bad, minlength=count)
    below_group = np.cumsum(group_bad) - group_bad
    wins = np.bincount(codes, good * (below_tie[tie] - below_group[codes] + 0.5 * tied_bad[tie]), minlength=count)
    pairs = np.bincount(codes, good, minlength=count) * group_bad
    size = np.bincount(codes, mass, minlength=count)
    both = pairs > 0.0
    if not both.any():
        return float("nan")
    return float(np.average(wins[both] / pairs[both], weights=size[both]))


def mse(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the mean squared error."""
    labels, scores, weights = _labelled(labels, scores, weights)
    return _mean((labels - scores) ** 2, weights)


def rmse(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the root of the mean squared error."""
    return float(np.sqrt(mse(labels, scores, weights)))


def mae(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the mean absolute error."""
    labels, scores, weights = _labelled(labels, scores, weights)
    return _mean(np.abs(labels - scores), weights)


def evaluate(
    labels: np.ndarray,
    scores: np.ndarray,
    kind: str,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Returns all metrics of a target.

    Args:
        labels: (rows,) labels, NaN where unlabelled.
        scores: (rows,) probabilities of a `binary` target, predictions of a `real` one.
        kind: `"binary"` gives `auc`, `log_loss`, `ece` and with groups `gauc`; `"real"` gives `mse`, `rmse`, `mae`.
        groups: (rows,) equal values for rows of one group, or None.
        weights: (rows,) row weights, or None.

    Raises:
        ConfigError: If `kind` is neither.

    Example:
        >>> evaluate(np.array([0.0, 1.0]), np.array([0.2, 0.9]), "binary")["auc"]
        1.0
    """
    if kind == "binary":
        functions: tuple[Any, ...] = (auc, log_loss, ece)
    elif kind == "real":
        functions = (mse, rmse, mae)
    else:
        raise unknown_name("kind", kind, ("binary", "real"))
    result = {function.__name__: function(labels, scores, weights) for function in functions}
    if kind == "binary" and groups is not None:
        result["gauc"] = gauc(labels, scores, groups, weights)
    return result


def _labelled(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    labels = np.asarray(labels, np.float64).reshape(-1)
    scores = np.asarray(scores, np.float64).reshape(-1)
    known = ~np.isnan(labels)
    if weights is not None:
        weights = np.asarray(weights, np.float64).reshape(-1)[known]
    return labels[known], scores[known], weights


def _two_classes(labels: np.ndarray, weights: np.ndarray | None) -> bool:
    counted = labels if weights is None else labels[weights > 0.0]
    return bool((counted > 0.5).any() and (counted <= 0.5).any())


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    if not len(values) or (weights is not None and not weights.sum() > 0.0):
        return float("nan")
    return float(np.average(values, weights=weights))
