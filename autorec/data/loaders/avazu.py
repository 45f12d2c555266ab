"""The Avazu Click-Through Rate Prediction set."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from autorec.data.loaders.dataset import Dataset
from autorec.data.loaders.files import find, locate
from autorec.data.loaders.line_source import LineSource
from autorec.data.schema import Feature, Schema
from autorec.errors import ConfigError

CITATION = "Avazu. Click-Through Rate Prediction. Kaggle, 2014."
_TEXT = [
    "site_id",
    "site_domain",
    "site_category",
    "app_id",
    "app_domain",
    "app_category",
    "device_id",
    "device_ip",
    "device_model",
]
COLUMNS = ("id", "click", "hour", "C1", "banner_pos", *_TEXT, "device_type", "device_conn_type")
COLUMNS += tuple(f"C{i}" for i in range(14, 22))


def avazu(
    path: str | Path | None = None,
    *,
    test_fraction: float | None = None,
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Loads Avazu's click log: comma-separated lines with a header, streamed.

    Columns: `click` (target), `hour` (YYMMDDHH, read as a time; the rows are in its order) and 21 categorical ones;
    the row number `id` is left out.

    Args:
        path: The CSV file (also gzip), a folder that holds `train`, `train.csv` or `train.gz`, an archive, or an
            http(s) address. It is needed: the set is served to registered users of Kaggle only.
        test_fraction: Share of the rows, the last ones, that becomes the test part; None makes none.
        sha256: Checksum of what is fetched.
        cache: Folder for fetched and unpacked files; None for `~/.cache/autorec/datasets`.

    Raises:
        ConfigError: If `path` is None.
        DataError: If the file is absent; while reading, if a line is not of the format.

    Example:
        >>> data = avazu("train.gz", test_fraction=0.2)  # doctest: +SKIP
    """
    if path is None:
        hint = "Fetch it from https://www.kaggle.com/c/avazu-ctr-prediction, which asks for an account."
        raise ConfigError("path", "a file, a folder or an address", path, hint)
    place = locate(path, "", sha256=sha256, cache=cache)
    file = place if place.is_file() else find(place, ["train", "train.csv"])
    text = {"id", "hour", *_TEXT}
    fields = {name: pa.string() if name in text else pa.int64() for name in COLUMNS}
    source = LineSource(
        file,
        fields,
        ",",
        header=True,
        dropped=("id",),
        converted={"hour": (pa.timestamp("us"), _hour)},
        required=("click", "hour"),
    )
    train, test = (source, None) if test_fraction is None else source.split(test_fraction)
    return Dataset(train, test, _schema(), "click", CITATION)


def _schema() -> Schema:
    features = [Feature("hour", "time", "time")]
    features += [Feature(name, "categorical", "string" if name in _TEXT else "int") for name in COLUMNS[3:]]
    return Schema(features, targets=["click"], time="hour")


def _hour(array: pa.Array) -> pa.Array:
    """Returns the time of each `YYMMDDHH`; null where it is none."""
    distinct = array.dictionary_encode()
    parsed = pc.strptime(distinct.dictionary, format="%y%m%d%H", unit="us", error_is_null=True)
    return parsed.take(distinct.indices)
