"""The table of `ablation`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.ablation import VARIANTS
from benchmarks.table import SETS, _line

WORDS = {
    "mlp": "deep network",
    "dcnv2": "+ DCNv2's crosses",
    "residual_dcn": "residual crosses in place of them",
    "gating": "+ gates",
    "isotonic": "+ isotonic layer",
    "history": "+ history transformer",
    "finalmlp": "`finalmlp`",
    "xdeepfm": "`xdeepfm`",
    "autoint": "`autoint`",
    "lightgbm": "LightGBM",
}
# The page of each part, and what is compared on it: the models without it and with it.
PARTS = {
    "residual crosses": ("dcnv2", "residual_dcn"),
    "gates": ("residual_dcn", "gating"),
    "two streams": ("mlp", "finalmlp"),
    "compressed interactions": ("mlp", "xdeepfm"),
    "histories": ("isotonic", "history"),
    "isotonic layer": ("gating", "isotonic"),
}


def lines(figures: dict[str, Any], part: Sequence[str] | None = None) -> list[str]:
    """Returns test figures and costs by set and model; none where there is no record.

    Args:
        figures: Figures of the record.
        part: The models to show, where a set lacks none of them; None shows all that there are.
    """
    if not figures:
        return []
    head = ("model", "test AUC", "log loss", "calibration error", "unified ahead, s.e.", "dense parameters", "step, ms")
    rows = [_line("set", *head), _line(*["---"] * (1 + len(head)))]
    for name, words in SETS.items():
        there = [each for each in part or VARIANTS if f"{name}/{each}_test_auc" in figures]
        for variant in there if part is None or len(there) == len(part) else ():
            key = f"{name}/{variant}"
            ahead = figures[f"{name}/unified_over_{variant}_se"]
            size, step = figures.get(f"{key}_dense_parameters"), figures.get(f"{key}_milliseconds")
            rows.append(
                _line(
                    words,
                    WORDS[variant],
                    f"{figures[f'{key}_test_auc']:.4f}",
                    f"{figures[f'{key}_test_log_loss']:.4f}",
                    f"{figures[f'{key}_test_ece']:.4f}",
                    f"{ahead:+.1f}" if ahead else "",
                    "" if size is None else f"{size:,.0f}",
                    "" if step is None else f"{step:.1f}",
                )
            )
    return rows
