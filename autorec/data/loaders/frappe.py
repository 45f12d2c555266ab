"""The Frappe log of app use, in the libfm form of the factorization-machine papers."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from autorec.data.loaders.dataset import Dataset
from autorec.data.loaders.files import find, locate
from autorec.data.loaders.line_source import LineSource
from autorec.data.schema import Feature, Schema
from autorec.errors import unknown_name

# A fixed commit of the repository of Xiao and others, "Attentional Factorization Machines" (2017).
ADDRESS = (
    "https://raw.githubusercontent.com/hexiangnan/attentional_factorization_machine/"
    "09c6756788a4fb78a4283271876fd81344c67bf3/data/frappe/"
)
SHA256 = {
    "validation": "fdf4be563a7dd9b15f7a6e8b32671e90e6e7a2a2bd3af4e10bf13c5ad7e76e9e",
    "test": "a2ebaef3a9af8e55f8bb0d08bc4923965e42e43760ebd7635ac2f8c5db99e097",
}
CITATION = (
    "L. Baltrunas, K. Church, A. Karatzoglou, N. Oliver. Frappe: Understanding the Usage and Perception of Mobile App "
    "Recommendations In-The-Wild. arXiv:1505.03014, 2015."
)
FIELDS = ("user", "app", "daytime", "weekday", "weekend", "homework", "cost", "weather", "country", "city")
PARTS = ("train", "validation", "test")


def frappe(
    path: str | Path | None = None,
    *,
    train: str = "train",
    validation: str | None = "validation",
    test: str | None = "test",
    cache: str | Path | None = None,
) -> Dataset:
    """Loads Frappe: lines of a label, 1 used or -1 sampled negative, and ten `index:1` fields.

    Columns: `used` (target, 0 or 1) and `user`, `app`, `daytime`, `weekday`, `weekend`, `homework`, `cost`,
    `weather`, `country`, `city`, all categorical, as the indices of the file.

    Args:
        path: A folder or archive that holds `frappe.train.libfm` and so on (also gzip), or an http(s) address of such
            a folder; None fetches the files from their public address.
        train: Which of the three files trains: `train`, `validation` or `test`.
        validation: Which validates; None for none.
        test: Which tests; None for none.
        cache: Folder for fetched and unpacked files; None for `~/.cache/autorec/datasets`.

    Raises:
        ConfigError: If a file is not one of the three.
        DataError: If a file is absent or a line is not of the format.

    Example:
        >>> data = frappe("frappe", train="validation", validation=None)  # doctest: +SKIP
    """
    parts = {"train": train, "validation": validation, "test": test}
    for argument, part in parts.items():
        if part not in PARTS and (part is not None or argument == "train"):
            raise unknown_name(argument, part, PARTS)
    frames = [None if part is None else _read(_file(path, part, cache)) for part in parts.values()]
    features = [Feature(name, "categorical", "int") for name in FIELDS]
    schema = Schema(features, targets=["used"], user="user", item="app")
    return Dataset(frames[0], frames[2], schema, "used", CITATION, validation=frames[1])


def _file(path: str | Path | None, part: str, cache: str | Path | None) -> Path:
    name = f"frappe.{part}.libfm"
    if path is None:
        return locate(None, ADDRESS + name, sha256=SHA256.get(part), cache=cache)
    if str(path).lower().startswith(("http://", "https://")):
        return locate(f"{str(path).rstrip('/')}/{name}", "", cache=cache)
    return find(locate(path, "", cache=cache), [name])


def _read(file: Path) -> pl.DataFrame:
    source = LineSource(
        file,
        {"used": pa.int64(), **dict.fromkeys(FIELDS, pa.string())},
        " ",
        converted={"used": (pa.int64(), _label), **dict.fromkeys(FIELDS, (pa.int64(), _index))},
        required=("used", *FIELDS),
    )
    return source.frame()


def _label(array: pa.Array) -> pa.Array:
    """Returns 1 for 1, 0 for -1, null for anything else."""
    known = pc.is_in(array, pa.array([-1, 1]))
    return pc.if_else(known, pc.greater(array, 0).cast(pa.int64()), None)


def _index(array: pa.Array) -> pa.Array:
    """Returns the index of each `index:1`; null for anything else."""
    index = pc.struct_field(pc.extract_regex(array, r"^(?P<index>\d{1,18}):1(?:\.0*)?$"), "index")
    return index.cast(pa.int64())
