"""MovieLens-100K and MovieLens-1M."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from autorec.data.loaders.dataset import Dataset
from autorec.data.loaders.files import find, locate
from autorec.data.loaders.line_source import LineSource
from autorec.data.schema import Feature, Schema
from autorec.errors import unknown_name

ADDRESS = "https://files.grouplens.org/datasets/movielens/"
CITATION = (
    "F. M. Harper, J. A. Konstan. The MovieLens Datasets: History and Context. ACM Transactions on Interactive "
    "Intelligent Systems 5(4), 2015."
)
FOLDS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
GENRES = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
_RATINGS = dict.fromkeys(("user", "item", "rating", "time"), pa.int64())
LIKED = 4  # a rating from here on counts as liked


def movielens_100k(
    path: str | Path | None = None,
    *,
    fold: str | None = "u1",
    as_: str = "ctr",
    genres: str = "bag",
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Loads MovieLens-100K: 100,000 ratings of 1,682 films by 943 users, with what is known of both.

    Columns: `user`, `item`, `time`, `age`, `gender`, `occupation`, `zip`, `year` (of release), the genres, and the
    target, `rating` (1 to 5) or `like` (a rating of 4 or 5).

    Args:
        path: A folder or archive that holds `u.data` and so on (also gzip), or an http(s) address of the archive;
            None fetches it from GroupLens, checked against the checksum served there.
        fold: Shipped split: `u1` to `u5` (five folds), `ua`, `ub` (ten test ratings a user); None puts all ratings
            into the training part.
        as_: `ctr` for the target `like`, `rating` for `rating`.
        genres: `bag` for one column of lists, `flags` for a column of 0 and 1 for each genre.
        sha256: Checksum of what is fetched.
        cache: Folder for fetched and unpacked files; None for `~/.cache/autorec/datasets`.

    Raises:
        ConfigError: If `fold`, `as_` or `genres` is not one of these.
        DataError: If a file is absent or a line is not of the format.

    Example:
        >>> data = movielens_100k("ml-100k", fold="u1", as_="rating")  # doctest: +SKIP
    """
    if fold is not None and fold not in FOLDS:
        raise unknown_name("fold", fold, FOLDS)
    _check(as_, genres)
    place = locate(path, f"{ADDRESS}ml-100k.zip", md5=f"{ADDRESS}ml-100k.zip.md5", sha256=sha256, cache=cache)
    users = _users_100k(find(place, ["u.user"]))
    items = _genre_columns(_items_100k(find(place, ["u.item"])), genres)
    names = ["u.data"] if fold is None else [f"{fold}.base", f"{fold}.test"]
    frames = [_joined(find(place, [name]), "\t", users, items, as_) for name in names]
    return _dataset(frames, as_, genres, codes=False)


def movielens_1m(
    path: str | Path | None = None,
    *,
    as_: str = "ctr",
    genres: str = "bag",
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Loads MovieLens-1M: 1,000,209 ratings of 3,706 films by 6,040 users, with what is known of both.

    The columns are those of `movielens_100k`; `age` and `occupation` are codes, and categorical. No split is shipped:
    all rows are in the training part.

    Args:
        path: A folder or archive that holds `ratings.dat`, `users.dat` and `movies.dat` (also gzip), or an http(s)
            address of the archive; None fetches it from GroupLens, checked against the checksum served there.
        as_: `ctr` for the target `like`, `rating` for `rating`.
        genres: `bag` for one column of lists, `flags` for a column of 0 and 1 for each genre.
        sha256: Checksum of what is fetched.
        cache: Folder for fetched and unpacked files; None for `~/.cache/autorec/datasets`.

    Raises:
        ConfigError: If `as_` or `genres` is not one of these.
        DataError: If a file is absent or a line is not of the format.

    Example:
        >>> data = movielens_1m("ml-1m.zip")  # doctest: +SKIP
    """
    _check(as_, genres)
    place = locate(path, f"{ADDRESS}ml-1m.zip", md5=f"{ADDRESS}ml-1m.zip.md5", sha256=sha256, cache=cache)
    users = _users_1m(find(place, ["users.dat"]))
    items = _genre_columns(_items_1m(find(place, ["movies.dat"])), genres)
    frame = _joined(find(place, ["ratings.dat"]), "::", users, items, as_)
    return _dataset([frame], as_, genres, codes=True)


def _check(as_: str, genres: str) -> None:
    for argument, value, allowed in (("as_", as_, ("ctr", "rating")), ("genres", genres, ("bag", "flags"))):
        if value not in allowed:
            raise unknown_name(argument, value, allowed)


def _users_100k(file: Path) -> pl.DataFrame:
    text = dict.fromkeys(("gender", "occupation", "zip"), pa.string())
    return LineSource(file, {"user": pa.int64(), "age": pa.int64(), **text}, "|", required=("user",)).frame()


def _users_1m(file: Path) -> pl.DataFrame:
    codes = {"age": pa.int64(), "occupation": pa.int64()}
    fields = {"user": pa.int64(), "gender": pa.string(), **codes, "zip": pa.string()}
    return LineSource(file, fields, "::", required=("user",)).frame()


def _items_100k(file: Path) -> pl.DataFrame:
    text = dict.fromkeys(("title", "date", "video_date", "address"), pa.string())
    fields = {"item": pa.int64(), **text, **dict.fromkeys(GENRES, pa.int64())}
    frame = LineSource(file, fields, "|", encoding="latin1", required=("item", *GENRES)).frame()
    flags = [pl.when(pl.col(name) == 1).then(pl.lit(name)) for name in GENRES]
    return frame.select(
        "item",
        pl.col("date").str.tail(4).cast(pl.Int64, strict=False).alias("year"),
        pl.concat_list(flags).list.drop_nulls().alias("genres"),
    )


def _items_1m(file: Path) -> pl.DataFrame:
    fields = {"item": pa.int64(), "title": pa.string(), "genres": pa.string()}
    frame = LineSource(file, fields, "::", encoding="latin1", required=("item",)).frame()
    return frame.select(
        "item",
        pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64).alias("year"),
        pl.col("genres").str.split("|"),
    )


def _genre_columns(items: pl.DataFrame, genres: str) -> pl.DataFrame:
    if genres == "bag":
        return items
    flags = [pl.col("genres").list.contains(name).cast(pl.Int64).alias(name) for name in GENRES]
    return items.with_columns(flags).drop("genres")


def _joined(file: Path, separator: str, users: pl.DataFrame, items: pl.DataFrame, as_: str) -> pl.DataFrame:
    ratings = LineSource(file, _RATINGS, separator, required=tuple(_RATINGS)).frame()
    frame = ratings.join(users, on="user", how="left", maintain_order="left")
    frame = frame.join(items, on="item", how="left", maintain_order="left")
    frame = frame.with_columns(pl.from_epoch("time", time_unit="s").cast(pl.Datetime("us")))
    like = (pl.col("rating") >= LIKED).cast(pl.Int64)
    return frame if as_ == "rating" else frame.with_columns(like.alias("like")).drop("rating")


def _dataset(frames: list[pl.DataFrame], as_: str, genres: str, *, codes: bool) -> Dataset:
    features = [
        Feature("user", "categorical", "int"),
        Feature("item", "categorical", "int"),
        Feature("time", "time", "time"),
        Feature("age", "categorical", "int") if codes else Feature("age", "numeric", "int"),
        Feature("gender", "categorical"),
        Feature("occupation", "categorical", "int" if codes else "string"),
        Feature("zip", "categorical"),
        Feature("year", "numeric", "int"),
    ]
    flags = [Feature(name, "categorical", "int") for name in GENRES]
    features += [Feature("genres", "bag")] if genres == "bag" else flags
    target = "like" if as_ == "ctr" else "rating"
    schema = Schema(features, targets=[target], user="user", item="item", time="time")
    return Dataset(frames[0], frames[1] if len(frames) > 1 else None, schema, target, CITATION)
