"""The table of `ablation`."""

from __future__ import annotations

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


def lines(figures: dict[str, Any]) -> list[str]:
    """Returns test figures and costs by set and model; none where there is no record."""
    if not figures:
        return []
    head = ("model", "test AUC", "log loss", "calibration error", "unified ahead, s.e.", "dense parameters", "step, ms")
    rows = [_line("set", *head), _line(*["---"] * (1 + len(head)))]
    for name, words in SETS.items():
        for variant in (each for each in VARIANTS if f"{name}/{each}_test_auc" in figures):
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
