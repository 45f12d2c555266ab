"""When a search that has no completed trial ends: nothing it tries can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autorec.errors import SearchAborted
from autorec.searchers.outcome import OVERRUN, cause_of

# So many trials that all fail of the same cause end a search that has no completed one.
_HOPELESS = 10
_UNAFFORDABLE = 300  # so many models that all are over a budget do so too


def check_hopeless(rows: Sequence[dict[str, Any]]) -> None:
    """Ends a search whose trials all fail.

    Args:
        rows: Those of `Run.trials`.

    Raises:
        SearchAborted: If ten trials failed of one cause and no other, or three hundred models were over a budget.
    """
    if any(row["status"] == "completed" for row in rows):
        return
    refused = [row for row in rows if row.get("refused")]
    # Those that ran over their share do not count: the time limit ends them all.
    trained = [row for row in rows if not row.get("refused") and cause_of(row) != OVERRUN]
    if len(trained) >= _HOPELESS and len({cause_of(row) for row in trained}) == 1:
        raise SearchAborted(f"the first {len(trained)} trials all failed: {cause_of(trained[0])}")
    if len(refused) >= _UNAFFORDABLE:
        cause = cause_of(refused[-1])
        raise SearchAborted(f"{len(refused)} models cost more than they may, and none was trained: {cause}")


def check_any_completed(rows: Sequence[dict[str, Any]]) -> None:
    """Ends a search behind its last trial.

    Raises:
        SearchAborted: If there are trials and none was completed; names the first cause.
    """
    if rows and all(row["status"] == "failed" for row in rows):
        raise SearchAborted(f"all {len(rows)} trials failed; trial {rows[0]['number']}: {cause_of(rows[0])}")
