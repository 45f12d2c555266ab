"""What every loader returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autorec.data.schema import Schema


@dataclass(frozen=True)
class Dataset:
    """A public data set, ready for a recommender.

    Args:
        train: Training rows: a Polars frame, or a `LineSource` that streams a file too large for memory.
        test: Test rows of the same form; None where there is no test part.
        validation: Validation rows of the same form; None where the publisher ships none.
        schema: Kinds and roles of the columns, as the format's description gives them.
        target: Name of the target column.
        citation: What to cite when results are published.

    Example:
        >>> data = movielens_100k("ml-100k", fold="u1")  # doctest: +SKIP
        >>> CTRRecommender().fit(data.train, target=data.target, schema=data.schema)  # doctest: +SKIP
    """

    train: Any
    test: Any | None
    schema: Schema
    target: str
    citation: str
    validation: Any | None = None
