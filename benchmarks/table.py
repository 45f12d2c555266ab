"""Writes the tables of README and docs from the records: `python -m benchmarks.table`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import RECORDS, TARGETS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TRAINING_STEP = ROOT / "docs" / "training_step.md"
SHARPNESS = ROOT / "docs" / "sharpness.md"
SEARCH = ROOT / "docs" / "search.md"
ENSEMBLES = ROOT / "docs" / "ensembles.md"
LIRANK = ROOT / "docs" / "lirank"
CALIBRATION = ROOT / "docs" / "calibration.md"
SEVERAL_TARGETS = ROOT / "docs" / "several_targets.md"
PEERS = {
    "floor": "the matrix products alone: the floor",
    "ours": "AutoRec",
    "plain_keras": "Keras, an `Embedding` a field, Adam",
    "fused_keras": "Keras, one `Embedding`, fused Adam",
    "torch_dense": "PyTorch, Adam",
    "torch_sparse": "PyTorch, `SparseAdam` for the table",
}
SIZES = {"1e5": "100,000 rows", "1e6": "1,000,000 rows", "1e7": "10,000,000 rows"}
RULES = ("adam", "adagrad", "rowwise_adagrad")
SETS = {
    "frappe": "Frappe",
    "movielens100k": "MovieLens-100K",
    "movielens100k_rating": "MovieLens-100K, ratings",
    "adult": "Adult",
    "criteo10k": "Criteo-10k",
    "digits": "digits",
    "demo": "demo log",
}
PARTS = {
    "plain_adam": "plain Adam on everything, early stopping",
    "dense_tables": "Adam over all rows of the tables",
    "rule_adagrad": '`table_optimizer="adagrad"`',
    "rule_rowwise_adagrad": '`table_optimizer="rowwise_adagrad"`',
    "without_cut": "`plateau=False`",
    "without_table_l2": "`table_l2=0`",
    "with_clip": "`clip=1`",
    "last_weights": "the last epoch's weights",
}


def figures_of(name: str) -> dict[str, Any]:
    """Returns the figures of a record, none where there is no record."""
    path = RECORDS / f"{name}.json"
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return found


def rows() -> list[str]:
    """Returns a line for each figure that has a target and a record."""
    lines = ["| benchmark | figure | target | measured |", "|---|---|---|---|"]
    for name, targets in tomllib.loads(TARGETS.read_text(encoding="utf-8")).items():
        figures = figures_of(name)
        for key, bound in targets.items() if figures else ():
            word, limit = ("at least", bound["min"]) if "min" in bound else ("at most", bound["max"])
            value = figures.get(key)
            missed = value is None or value < bound.get("min", value) or value > bound.get("max", value)
            shown = "none" if value is None else f"{value:.4g}"
            lines.append(f"| {name} | {key} | {word} {limit} | {shown}{' (missed)' if missed else ''} |")
    return lines


def step_rows() -> list[str]:
    """Returns milliseconds of a step by peer and rows of the tables."""
    figures = figures_of("train_speed")
    if not figures:
        return []
    lines = [_line("milliseconds a step", *SIZES.values()), _line(*["---"] * (1 + len(SIZES)))]
    for peer, name in PEERS.items():
        lines.append(_line(name, *(f"{figures[f'milliseconds_{peer}_{size}']:.0f}" for size in SIZES)))
    lines.append(_line("AutoRec over the floor", *(f"{figures[f'over_floor_{size}']:.2f}" for size in SIZES)))
    distinct = (f"{figures[f'distinct_rows_a_batch_{size}']:,.0f}" for size in SIZES)
    return [*lines, _line("distinct rows in a batch", *distinct)]


def rule_rows() -> list[str]:
    """Returns what a table rule costs."""
    figures = figures_of("train_speed")
    if not figures:
        return []
    values = {"adam": "3 x width", "adagrad": "2 x width", "rowwise_adagrad": "width + 1"}
    lines = [_line("table rule", "step over the floor, 1,000,000 rows", "float32 values a row"), _line(*["---"] * 3)]
    return lines + [_line(f"`{rule}`", f"{figures[f'{rule}_over_floor_1e6']:.2f}", values[rule]) for rule in RULES]


def other_rows() -> list[str]:
    """Returns what the embedding tables, memory and bfloat16 come to."""
    figures = figures_of("train_speed")
    if not figures:
        return []
    gain, gap = figures["float32_over_bfloat16"], figures["bfloat16_minus_float32_log_loss"]
    memory = f"{figures['resident_megabytes_1e7']:,.0f} ({figures['tables_and_slots_megabytes_1e7']:,.0f})"
    return [
        _line("figure", "measured"),
        _line("---", "---"),
        _line("step without tables, over the floor", f"{figures['without_tables_over_floor']:.2f}"),
        _line("resident megabytes at 10,000,000 rows (tables and their moments)", memory),
        _line("float32 over bfloat16, seconds a step", "no bfloat16 here" if gain is None else f"{gain:.2f}"),
        _line("bfloat16 minus float32, validation log loss on Frappe", f"{gap:+.5f}"),
    ]


def recipe_rows() -> list[str]:
    """Returns by how much each change of the recipe raises the test log loss, and its standard errors."""
    figures = figures_of("recipe")
    names = [name for name in SETS if f"{name}/default" in figures]
    if not names:
        return []
    lines = [_line("in place of the default", *(SETS[name] for name in names)), _line(*["---"] * (1 + len(names)))]
    lines.append(_line("(the default's own test log loss)", *(f"{figures[f'{name}/default']:.4f}" for name in names)))
    for part, words in PARTS.items():
        cells = [
            f"{figures[f'{name}/{part}_minus_default']:+.4f} ({figures[f'{name}/{part}_se']:+.1f})" for name in names
        ]
        lines.append(_line(words, *cells))
    return lines


METHODS = {
    "base": "plain",
    "sam": "SAM",
    "msam2": "mSAM, 2",
    "msam4": "mSAM, 4",
    "msam8": "mSAM, 8",
    "msam16": "mSAM, 16",
}
TASKS = {
    "digits_conv": "digits, convolutional net",
    "digits_mlp": "digits, MLP",
    "frappe": "Frappe, DCNv2",
    "movielens100k": "MovieLens-100K, DCNv2",
    "adult": "Adult, DCNv2",
    "amazon_video_games": "Amazon Video Games, transformer",
}


def cost_rows() -> list[str]:
    """Returns what a sharpness-aware step costs by method and batch size."""
    figures = figures_of("sharpness_cost")
    if not figures:
        return []
    head = ("4096 rows, ms", "over plain", "256 rows, ms", "over plain", "megabytes above plain, 4096 rows")
    lines = [_line("a step of", *head), _line(*["---"] * (1 + len(head)))]
    for method, name in {"plain": "plain training", **METHODS}.items():
        if f"milliseconds_{method}_4096" not in figures:
            continue
        cells = []
        for batch in (4096, 256):
            own, plain = (figures[f"milliseconds_{each}_{batch}"] for each in (method, "plain"))
            cells += [f"{own:.3g}", f"{own / plain:.2f}"]
        lines.append(_line(name, *cells, f"{figures[f'megabytes_above_plain_{method}_4096']:.0f}"))
    return lines


def sharpness_rows() -> list[str]:
    """Returns test log loss, error and largest eigenvalue by task and method."""
    figures = figures_of("sharpness")
    if not figures:
        return []
    head = ("method", "rho", "test log loss", "ahead of plain, s.e.", "ahead of SAM, s.e.", "test error", "eigenvalue")
    lines = [_line("task", *head), _line(*["---"] * (1 + len(head)))]
    for task, words in TASKS.items():
        for method, name in METHODS.items():
            key = f"{task}/{method}"
            if f"{key}_log_loss" not in figures:
                continue
            errors = [figures.get(f"{key}_over_{over}_se") for over in ("base", "sam")]
            cells = [
                "" if method == "base" else f"{figures[f'{key}_rho']:g}",
                f"{figures[f'{key}_log_loss']:.4f}",
                *("" if each is None else f"{each:+.1f}" for each in errors),
                f"{figures[f'{key}_error']:.4f}",
                f"{figures[f'{key}_eigenvalue']:.3g}",
            ]
            lines.append(_line(words, name, *cells))
    return lines


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def write(path: Path, name: str, lines: Sequence[str]) -> None:
    """Puts lines between the marks `<!-- NAME -->` and `<!-- end of NAME -->` of a page."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, rest = path.read_text(encoding="utf-8").split(begin)
    tail = rest.split(end)[1]
    body = ["", *lines, ""] if lines else []
    path.write_text("\n".join([f"{head}{begin}", *body, f"{end}{tail}"]), encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    from benchmarks import ablation_table, calibration_tables, ensemble_tables
    from benchmarks.search_tables import tables

    write(README, "benchmarks", rows())
    write(TRAINING_STEP, "training step", step_rows())
    write(TRAINING_STEP, "table rules", rule_rows())
    write(TRAINING_STEP, "precision and memory", other_rows())
    write(TRAINING_STEP, "recipe", recipe_rows())
    write(SHARPNESS, "cost", cost_rows())
    write(SHARPNESS, "sharpness", sharpness_rows())
    if SEARCH.exists():
        for name, lines in tables().items():
            if lines:
                write(SEARCH, name, lines)
    records = {name: figures_of(name) for name in ("ensemble", "automl_ensemble")}
    for name, lines in ensemble_tables.tables(records).items():
        if lines:
            write(ENSEMBLES, name, lines)
    calibration = figures_of("calibration")
    write(CALIBRATION, "calibration", calibration_tables.calibration_rows(calibration))
    write(CALIBRATION, "planted fault", calibration_tables.planted_rows(calibration))
    write(SEVERAL_TARGETS, "several targets", calibration_tables.multi_task_rows(figures_of("multi_task")))
    ablation = figures_of("ablation")
    write(LIRANK / "README.md", "ablation", ablation_table.lines(ablation))
    for name, variants in ablation_table.PARTS.items():
        write(LIRANK / f"{name.replace(' ', '_')}.md", name, ablation_table.lines(ablation, variants))


if __name__ == "__main__":
    main()
