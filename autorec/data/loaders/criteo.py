"""The Criteo Display Advertising Challenge."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from autorec.data.loaders.dataset import Dataset
from autorec.data.loaders.files import find, locate
from autorec.data.loaders.line_source import LineSource
from autorec.data.schema import Feature, Schema

ADDRESS = "https://go.criteo.net/criteo-research-kaggle-display-advertising-challenge-dataset.tar.gz"
CITATION = "Criteo Labs. Display Advertising Challenge. Kaggle, 2014."
NUMBERS = tuple(f"I{i}" for i in range(1, 14))
CATEGORIES = tuple(f"C{i}" for i in range(1, 27))


def criteo(
    path: str | Path | None = None,
    *,
    test_fraction: float | None = None,
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Loads Criteo's click log: tab-separated lines of `label`, 13 counts and 26 hashed categories, streamed.

    The rows are in order of time and carry no time. Columns: `label` (target), `I1` to `I13` (numeric), `C1` to `C26`
    (categorical, 8 hexadecimal digits).

    Args:
        path: The text file (also gzip), a folder that holds `train.txt`, an archive or an http(s) address; None
            fetches the whole set (4.6 GB) from Criteo.
        test_fraction: Share of the rows, the last ones, that becomes the test part; None makes none.
        sha256: Checksum of what is fetched.
        cache: Folder for fetched and unpacked files; None for `~/.cache/autorec/datasets`.

    Raises:
        DataError: If the file is absent; while reading, if a line is not of the format.

    Example:
        >>> data = criteo("train.txt", test_fraction=0.1)  # doctest: +SKIP
    """
    place = locate(path, ADDRESS, sha256=sha256, cache=cache)
    file = place if place.is_file() else find(place, ["train.txt"])
    fields = {"label": pa.int64(), **dict.fromkeys(NUMBERS, pa.int64()), **dict.fromkeys(CATEGORIES, pa.string())}
    source = LineSource(file, fields, "\t", required=("label",))
    train, test = (source, None) if test_fraction is None else source.split(test_fraction)
    features = [Feature(name, "numeric", "int") for name in NUMBERS]
    features += [Feature(name, "categorical") for name in CATEGORIES]
    return Dataset(train, test, Schema(features, targets=["label"]), "label", CITATION)
