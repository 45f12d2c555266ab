"""The tables of the ensembles' benchmarks, each by the mark that it stands at in a page; see `table`."""

from __future__ import annotations

from typing import Any

from benchmarks.table import SETS, _line

WORDS = {"none": "full", "single": "best single net", "grown_none": "grown, not pruned"}


def tables(figures: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Returns the lines of each table by its mark; none where there is no record.

    Args:
        figures: Figures of the records `ensemble` and `automl_ensemble`, by name; empty without one.
    """
    return {
        "ensembles": ensemble_rows(figures["ensemble"]),
        "five minutes beside AutoGluon": automl_rows(figures["automl_ensemble"]),
    }


def ensemble_rows(figures: dict[str, Any]) -> list[str]:
    """Returns size, depth, disagreement and test loss by set and method, the largest first; bare rules are left out."""
    if not figures:
        return []
    head = (
        "method",
        "size",
        "mean depth",
        "disagreement",
        "test log loss",
        "ahead of full, s.e.",
        "ahead of single, s.e.",
    )
    lines = [_line("set", *head), _line(*["---"] * (1 + len(head)))]
    for name, words in SETS.items():
        methods = [key.split("/")[1].removesuffix("_size") for key in figures if key.startswith(f"{name}/")]
        told = [each for each in methods if f"{name}/{each}_size" in figures and not each.endswith("_bare")]
        for method in sorted(told, key=lambda each: (-figures[f"{name}/{each}_size"], each)):
            key = f"{name}/{method}"
            lines.append(
                _line(
                    words,
                    WORDS.get(method, method.replace("_", " ")),
                    f"{figures[f'{key}_size']:.1f}",
                    f"{figures[f'{key}_depth']:.1f}",
                    f"{figures[f'{key}_disagreement']:.3f}",
                    f"{figures[f'{key}_test_loss']:.4f}",
                    "" if method == "none" else f"{figures[f'{key}_minus_full_se']:+.1f}",
                    "" if method == "single" else f"{figures[f'{key}_minus_single_se']:+.1f}",
                )
            )
    return lines


def automl_rows(figures: dict[str, Any]) -> list[str]:
    """Returns the test figures of five minutes beside AutoGluon's."""
    if not figures:
        return []
    head = ("set", "figure", "ensemble", "its best trial", "AutoGluon", "members", "megabytes")
    lines = [_line(*head), _line(*["---"] * len(head))]
    for name, words in SETS.items():
        for metric, told in (("auc", "AUC"), ("log_loss", "log loss"), ("rmse", "RMSE")):
            if f"{name}/{metric}" in figures:
                cells = (figures[f"{name}/{each}{metric}"] for each in ("", "single_", "autogluon_"))
                more = (f"{figures[f'{name}/members']:.1f}", f"{figures[f'{name}/megabytes']:.1f}")
                lines.append(_line(words, told, *(f"{value:.5f}" for value in cells), *more))
    return lines
