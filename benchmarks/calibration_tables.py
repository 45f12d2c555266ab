"""The tables of calibration and of several targets, each by the mark that it stands at in a page; see `table`."""

from __future__ import annotations

from typing import Any

from benchmarks.table import SETS, _line

METHODS = {
    "before": "as trained",
    "temperature": '`"temperature"`',
    "platt": '`"platt"`',
    "isotonic": '`"isotonic"`',
    "auto": '`"auto"`',
    "rate": "`negatives_kept=0.1`, on sampled validation rows",
}
KINDS = {
    "shared_bottom": "shared bottom",
    "mmoe": "MMoE",
    "ple": "PLE",
    "towers": "shared bottom, two grouped towers",
}
TARGETS = ("click", "like", "dwell")


def calibration_rows(figures: dict[str, Any]) -> list[str]:
    """Returns calibration error, log loss and AUC by set and method."""
    if not figures:
        return []
    head = ("method", "calibration error", "log loss", "AUC")
    lines = [_line("set", *head), _line(*["---"] * (1 + len(head)))]
    for name, words in SETS.items():
        for method, shown in METHODS.items():
            key = f"{name}/{method}"
            if f"{key}_ece" in figures:
                cells = (f"{figures[f'{key}_{figure}']:.4f}" for figure in ("ece", "log_loss", "auc"))
                lines.append(_line(words, shown, *cells))
    return lines


def planted_rows(figures: dict[str, Any]) -> list[str]:
    """Returns the errors of a planted fault with and without the layer, and the slopes it learned."""
    if not figures:
        return []
    head = ("", "error within devices", "calibration error", "log loss")
    lines = [_line(*head), _line(*["---"] * len(head))]
    for name, words in {"plain": "without the layer", "layer": "with it"}.items():
        cells = (f"{figures[f'planted/{name}_{figure}']:.4f}" for figure in ("ece_by_device", "ece", "log_loss"))
        lines.append(_line(words, *cells))
    found = {key.rpartition("_")[2]: value for key, value in figures.items() if key.startswith("planted/slope_")}
    slopes = ", ".join(f"{device} {value:.2f}" for device, value in found.items())
    return [*lines, "", f"Slopes that it learned: {slopes}."]


def multi_task_rows(figures: dict[str, Any]) -> list[str]:
    """Returns test log loss by target and model, size and time of a step."""
    if not figures:
        return []
    head = (*TARGETS, "parameters over three single ones", "step over three single ones")
    lines = [_line("model", *head), _line(*["---"] * (1 + len(head)))]
    singles = (f"{figures[f'single/{target}_log_loss']:.4f}" for target in TARGETS)
    lines.append(_line("three single ones", *singles, "1", "1"))
    for kind, words in KINDS.items():
        if f"{kind}/val_log_loss" not in figures:
            continue
        cells = [
            f"{figures[f'{kind}/{target}_log_loss']:.4f} ({figures[f'{kind}/{target}_se']:+.1f})" for target in TARGETS
        ]
        costs = (f"{figures[f'{kind}/{name}_over_singles']:.2f}" for name in ("parameters", "step"))
        lines.append(_line(words, *cells, *costs))
    return lines
