"""The tables of the searchers' benchmarks, each by the mark that it stands at in a page; see `table`."""

from __future__ import annotations

from benchmarks.table import SETS, _line, figures_of

SEARCHERS = {
    "random": "random",
    "random_distinct": "random graphs, none twice",
    "greedy": "greedy",
    "keras_tuner_bayesian": "KerasTuner's Bayesian",
    "bayesian": "ours of it",
    "evolution": "evolution without a ranker",
    "evolution_ranker": "evolution",
}
METHODS = {
    "best": '`effort="best"`',
    "evolution": "evolution alone",
    "random": "random search",
    "presets": "presets, tuned",
    "lightgbm": "LightGBM",
}
MODELS = {
    "own": "found here",
    "transferred": "found on the other set",
    "random": "random graph",
    "preset": "best preset",
}
PARTS = {
    "before_trials": "reading and encoding the log, exploring the space",
    "between_trials": "searcher, ranker and journal",
    "tracing": "tracing and compiling",
    "validation_building_saving": "building models, validation, saving",
}


def tables() -> dict[str, list[str]]:
    """Returns the lines of each table by its mark; none where there is no record."""
    return {
        "architectures": architecture_rows(),
        "searchers on the table": table_rows(),
        "live searches": live_rows(),
        "five minutes": automl_rows(),
        "transfer": transfer_rows(),
        "search overhead": overhead_rows(),
    }


def _head(*cells: str) -> list[str]:
    return [_line(*cells), _line(*["---"] * len(cells))]


def architecture_rows() -> list[str]:
    """Returns how fidelities, seeds and sets agree on the closed space."""
    figures = figures_of("architectures")
    if not figures:
        return []
    names = ("movielens100k", "frappe")
    lines = _head("closed space of two blocks", *(SETS[name] for name in names))
    for words, key, form in (
        ("graphs", "{}/graphs", "d"),
        ("Kendall's tau of half the rows against all", "tau_between_fidelities_{}", ".2f"),
        ("Kendall's tau of two seeds", "tau_between_seeds_{}", ".2f"),
        ("true rank of the best at half the rows", "{}/rank_of_the_best_at_low_fidelity", "d"),
        ("validation log loss of the best graph", "{}/least_log_loss", ".4f"),
        ("of the median graph", "{}/median_log_loss", ".4f"),
        ("of the worst graph", "{}/largest_log_loss", ".4f"),
    ):
        lines.append(_line(words, *(format(figures[key.format(name)], form) for name in names)))
    both = f"{figures['tau_between_sets']:.2f}"
    return [*lines, _line(f"Kendall's tau between the sets, over the {figures['frappe/graphs']} of both", both, both)]


def table_rows() -> list[str]:
    """Returns regrets and trials to the top 1% of the closed space by searcher."""
    figures = figures_of("search")
    if not figures:
        return []
    lines = _head("searcher", "median trials to the top 1%", *(f"regret after {n} trials" for n in (20, 50, 100)))
    for searcher, words in SEARCHERS.items():
        key = f"table/{searcher}"
        regrets = [figures.get(f"{key}/regret_at_{point}") for point in (20, 50, 100)]
        cells = ["" if regret is None else f"{regret:.5f}" for regret in regrets]
        lines.append(_line(words, f"{figures[f'{key}/median_trials_to_top_1_percent']:g}", *cells))
    return lines


def live_rows() -> list[str]:
    """Returns the best validation log loss of live searches by set, searcher and number of trials."""
    figures = figures_of("search")
    if not figures:
        return []
    points = (20, 40, 60)
    lines = _head("set", "searcher", *(f"after {point} trials" for point in points))
    for name in ("frappe", "movielens100k"):
        for searcher in ("random", "evolution"):
            cells = [f"{figures[f'live/{name}/{searcher}_loss_at_{point}']:.5f}" for point in points]
            lines.append(_line(SETS[name], searcher, *cells))
        cells = [f"{figures[f'live/{name}/loss_minus_random_at_{point}_se']:+.1f}" for point in points]
        lines.append(_line(SETS[name], "evolution ahead, s.e.", *cells))
    return lines


def automl_rows() -> list[str]:
    """Returns test figures of five minutes by set and method, and how far `best` is ahead in standard errors."""
    figures = figures_of("automl")
    names = [name for name in SETS if f"{name}/best_took" in figures]
    if not names:
        return []
    lines = _head("set", "metric", *METHODS.values())
    for name in names:
        metric = "rmse" if name.endswith("rating") else "auc"
        cells = []
        for method in METHODS:
            error = figures.get(f"{name}/best_over_{method}_se")
            ahead = "" if error is None else f" ({error:+.1f})"
            cells.append(f"{figures[f'{name}/{method}_test_{metric}']:.4f}{ahead}")
        lines.append(_line(SETS[name], metric.upper(), *cells))
    return lines


def transfer_rows() -> list[str]:
    """Returns test AUCs by set and model, and how far the transferred graph is ahead in standard errors."""
    figures = figures_of("transfer")
    if not figures:
        return []
    lines = _head("test AUC on", *MODELS.values())
    for name in ("frappe", "movielens100k"):
        cells = []
        for model in MODELS:
            error = figures.get(f"{name}/transferred_over_{model}_se")
            ahead = "" if error is None else f" ({error:+.1f})"
            cells.append(f"{figures[f'{name}/{model}_test_auc']:.4f}{ahead}")
        lines.append(_line(SETS[name], *cells))
    return lines


def overhead_rows() -> list[str]:
    """Returns what shares of a search are spent outside of training steps."""
    figures = figures_of("search_overhead")
    if not figures:
        return []
    lines = _head("share of a search", "15 s a trial", "5 s a trial")
    shares = [f"{figures[f'share_outside_training_at_{seconds}s']:.1%}" for seconds in (15, 5)]
    lines.append(_line("outside of training steps", *shares))
    for part, words in PARTS.items():
        lines.append(_line(words, *(f"{figures[f'share_{part}_at_{seconds}s']:.1%}" for seconds in (15, 5))))
    return lines
