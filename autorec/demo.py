"""The main job on a built-in click log whose best possible AUC is known."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from autorec.data.demo import ClickLog, click_log
from autorec.tables import show_table

_SHOWN = ("rank", "trial", "kind", "status", "val_auc", "val_log_loss", "best_epoch", "seconds", "parameters")


def run(
    rows: int = 200_000, time_limit: float | str = "90s", seed: int = 0, directory: str | Path | None = None
) -> dict[str, float]:
    """Searches the built-in click log, tests the winner, exports it, and lets it answer a raw row.

    Args:
        rows: Training rows; a quarter as many later rows are the test.
        time_limit: Time for the search.
        seed: Seed of log and search.
        directory: Run directory; None takes a new temporary one.

    Returns:
        `auc` and `log_loss` on the test rows, `bayes_auc`, `logistic_regression_auc`, and `gap_closed`: how much of
        the way from logistic regression to the best possible AUC the model went.
    """
    from autorec.loading import load
    from autorec.recommender import CTRRecommender

    log = click_log(rows=rows + rows // 4, seed=seed)
    train, test = log.slice(0, rows), log.slice(rows, log.rows)
    directory = Path(tempfile.mkdtemp(prefix="autorec-demo-")) if directory is None else Path(directory)
    _say(f"A click log of a known process: {train.rows:,} rows to learn from, the {test.rows:,} that follow to test.")
    recommender = CTRRecommender(directory=directory / "run")
    recommender.search(train, target="click", user="user", item="item", time="time", time_limit=time_limit, seed=seed)
    board = recommender.leaderboard()
    show_table(board.select([name for name in _SHOWN if name in board.columns]).head(12))
    found = _figures(recommender, train, test)
    _say(
        f"\nTest AUC {found['auc']:.4f}, log loss {found['log_loss']:.4f}. Best possible AUC {found['bayes_auc']:.4f}, "
        f"logistic regression {found['logistic_regression_auc']:.4f}: {found['gap_closed']:.0%} of the gap is closed."
    )
    folder = recommender.export(directory / "model")
    row = test.frame().drop("click").head(1)
    _say(f"Exported to {folder}. It answers a raw row:")
    _say(f"  {row.row(0, named=True)}\n  click probability {float(load(folder).predict(row)[0]):.4f}")
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _figures(recommender: Any, train: ClickLog, test: ClickLog) -> dict[str, float]:
    found: dict[str, float] = recommender.evaluate(test)
    linear, bayes = logistic_regression_auc(recommender, train, test), test.bayes_auc("click")
    closed = (found["auc"] - linear) / (bayes - linear)
    return {**found, "bayes_auc": bayes, "logistic_regression_auc": linear, "gap_closed": closed}


def logistic_regression_auc(recommender: Any, train: ClickLog, test: ClickLog) -> float:
    """Returns the test AUC of a logistic regression on one-hot ids and numbers, on the same training rows."""
    from sklearn.linear_model import LogisticRegression

    from autorec.data.cache import Part
    from autorec.searchers.designs import one_hot
    from autorec.training.metrics import auc

    encoder = recommender.predictor_.encoder
    parts = []
    for log in (train, test):
        batches = list(log.batches())
        labels = [batch.column("click").to_numpy(zero_copy_only=False) for batch in batches]
        groups: dict[str, list[Any]] = {"ids": [], "numbers": []}
        for batch in batches:
            for name, array in encoder.encode(batch, list(groups)).items():
                groups[name].append(array)
        parts.append(Part(*_joined(groups, labels)))
    matrices = [one_hot(part, encoder.layout) for part in parts]
    model = LogisticRegression(C=0.1, max_iter=100).fit(matrices[0], parts[0].labels[:, 0])
    return auc(parts[1].labels[:, 0], model.decision_function(matrices[1]))


def _joined(groups: dict[str, list[Any]], labels: list[Any]) -> tuple[dict[str, Any], Any]:
    import numpy as np

    arrays = {name: np.concatenate(pieces) for name, pieces in groups.items()}
    return arrays, np.concatenate(labels).astype(np.float32)[:, None]
