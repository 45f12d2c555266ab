"""Finds features that alone tell the target: what would not be known when the model is asked."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

_FOLDS = 5
_SMOOTHING = 1.0
_LEAST = 20


def separation(values: np.ndarray, target: np.ndarray, is_number: bool) -> float:
    """Returns how well one feature alone orders the target, 0.5 to 1.

    For a binary target the AUC of the number itself (or of its negative), for codes of the out-of-fold target rate;
    for another target (1 + |rank correlation|) / 2 of the same. 0.5 if there are too few rows to tell.

    Args:
        values: Numbers with NaN where missing, or codes with -1 where missing.
        target: Target with NaN where unlabelled.
        is_number: Whether `values` are numbers.
    """
    known = ~np.isnan(target)
    values, target = values[known], target[known]
    if len(np.unique(target)) < 2 or len(target) < _LEAST:
        return 0.5
    scores = np.nan_to_num(values, nan=np.nanmin(values) - 1.0) if is_number else _rates(values, target)
    if np.isin(target, (0.0, 1.0)).all():
        found = _auc(scores, target)
    else:
        found = (1 + _correlation(scores, target)) / 2
    return max(found, 1 - found) if is_number else found


def _rates(codes: np.ndarray, target: np.ndarray) -> np.ndarray:
    size = int(codes.max()) + 2
    fold = np.random.default_rng(0).permutation(len(codes)) % _FOLDS
    out = np.empty(len(codes))
    for held in range(_FOLDS):
        rest, own = fold != held, fold == held
        sums = np.bincount(codes[rest] + 1, target[rest], size)
        counts = np.bincount(codes[rest] + 1, minlength=size)
        # Differences between folds' means would order rows by fold.
        rate = (sums - counts * target[rest].mean()) / (counts + _SMOOTHING)
        out[own] = rate[codes[own] + 1]
    return out


def _auc(scores: np.ndarray, target: np.ndarray) -> float:
    positive = target == 1
    above = rankdata(scores)[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
    return float(above / (positive.sum() * (~positive).sum()))


def _correlation(scores: np.ndarray, target: np.ndarray) -> float:
    a, b = rankdata(scores), rankdata(target)
    return 0.0 if a.std() == 0 else float(np.corrcoef(a, b)[0, 1])
