"""Public data sets in their original formats, written here in small and read from the real files."""

from __future__ import annotations

import gzip
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from autorec.data.encode import encode
from autorec.data.loaders import avazu, criteo, files, frappe, movielens_1m, movielens_100k
from autorec.data.loaders.avazu import COLUMNS
from autorec.data.loaders.line_source import LineSource
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError

FLAGS = "|".join("1" if i in (3, 4, 5) else "0" for i in range(19))
NO_FLAGS = "1" + "|0" * 18


@pytest.fixture
def ml_100k(tmp_path: Path) -> Path:
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    item = f"1|Mis\xe9rables (1995)|01-Jan-1995||http://x|{FLAGS}\n267|unknown||||{NO_FLAGS}\n"
    (folder / "u.item.gz").write_bytes(gzip.compress(item.encode("latin-1")))
    (folder / "u.data").write_text("1\t1\t5\t874965758\n2\t267\t3\t876893171\n2\t1\t4\t876893172\n")
    (folder / "u1.base").write_text("1\t1\t5\t874965758\n2\t267\t3\t876893171\n")
    (folder / "u1.test").write_text("2\t1\t4\t876893172\n")
    return folder


def test_movielens_100k_joins_ratings_users_and_films(ml_100k: Path) -> None:
    data = movielens_100k(ml_100k)
    assert data.train.row(0, named=True) == {
        "user": 1,
        "item": 1,
        "time": datetime(1997, 9, 22, 22, 2, 38),
        "age": 24,
        "gender": "M",
        "occupation": "technician",
        "zip": "85711",
        "year": 1995,
        "genres": ["Animation", "Children's", "Comedy"],
        "like": 1,
    }
    assert data.train["like"].to_list() == [1, 0]
    assert data.test is not None
    assert data.test["like"].to_list() == [1]


def test_a_film_without_a_date_has_no_year(ml_100k: Path) -> None:
    row = movielens_100k(ml_100k).train.row(1, named=True)
    assert (row["year"], row["genres"]) == (None, ["unknown"])


def test_movielens_100k_as_rating_keeps_the_rating(ml_100k: Path) -> None:
    data = movielens_100k(ml_100k, fold=None, as_="rating")
    assert data.target == "rating"
    assert data.schema.targets == ["rating"]
    assert data.train["rating"].to_list() == [5, 3, 4]
    assert data.test is None
    assert "like" not in data.train.columns


def test_genres_as_flags_are_a_column_each(ml_100k: Path) -> None:
    data = movielens_100k(ml_100k, genres="flags")
    assert data.train.row(0, named=True)["Comedy"] == 1
    assert data.train.row(0, named=True)["Western"] == 0
    assert data.schema["Comedy"].kind == "categorical"
    assert "genres" not in data.schema


def test_the_movielens_schema_names_kinds_and_roles(ml_100k: Path) -> None:
    data = movielens_100k(ml_100k)
    schema = data.schema
    assert (schema.user, schema.item, schema.time) == ("user", "item", "time")
    kinds = {feature.name: feature.kind for feature in schema}
    assert kinds["age"] == "numeric"
    assert kinds["zip"] == "categorical"
    assert kinds["genres"] == "bag"
    assert set(schema.columns) == set(data.train.columns)


def test_an_archive_is_read_like_its_folder(ml_100k: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        for path in ml_100k.iterdir():
            archive.write(path, f"ml-100k/{path.name}")
    data = movielens_100k(tmp_path / "ml.zip", cache=tmp_path / "cache")
    assert data.train.equals(movielens_100k(ml_100k).train)


def test_movielens_1m_reads_double_colons_and_codes(tmp_path: Path) -> None:
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n")
    (tmp_path / "movies.dat").write_bytes("7::L\xe9on: Pro, 1|2 (1994)::Crime|Film-Noir\n".encode("latin-1"))
    (tmp_path / "ratings.dat").write_text("1::7::4::978300760\n")
    data = movielens_1m(tmp_path)
    row = data.train.row(0, named=True)
    assert (row["year"], row["genres"], row["age"], row["like"]) == (1994, ["Crime", "Film-Noir"], 1, 1)
    assert data.schema["age"].kind == data.schema["occupation"].kind == "categorical"


@pytest.mark.parametrize("argument", ["fold", "as_", "genres"])
def test_a_mistyped_choice_is_named(ml_100k: Path, argument: str) -> None:
    choice: Any = {argument: "u11"}
    with pytest.raises(ConfigError, match=f"`{argument}` must be one of"):
        movielens_100k(ml_100k, **choice)


def test_a_folder_without_the_file_names_what_it_expects_and_holds(ml_100k: Path) -> None:
    (ml_100k / "u1.test").unlink()
    with pytest.raises(DataError, match=r"expected a file named u1.test or u1.test.gz, found \['u.data'"):
        movielens_100k(ml_100k)


@pytest.mark.parametrize(
    ("text", "row", "column", "message"),
    [
        ("1\t1\t5\t874965758\n2\tx\t3\t876893171\n", 2, "item", "invalid value 'x'"),
        ("1\t1\t5\t874965758\n2\t267\t3\n", 2, None, "Expected 4 columns, got 3"),
        ("1\t1\t5\t874965758\n2\t267\t\t876893171\n", 2, "rating", "expected a value, got None"),
    ],
)
def test_a_line_of_another_format_is_named(
    ml_100k: Path, text: str, row: int, column: str | None, message: str
) -> None:
    (ml_100k / "u1.base").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        movielens_100k(ml_100k)
    assert (caught.value.file, caught.value.row, caught.value.column) == (str(ml_100k / "u1.base"), row, column)


def criteo_line(i: int) -> str:
    return "\t".join([str(i % 2), *(str(i + k) for k in range(12)), "", *(f"{i:08x}" for _ in range(25)), ""])


@pytest.fixture
def criteo_file(tmp_path: Path) -> Path:
    path = tmp_path / "train.txt"
    path.write_text("".join(criteo_line(i) + "\n" for i in range(10)))
    return path


def test_criteo_streams_counts_and_categories_with_missing_ones(criteo_file: Path) -> None:
    data = criteo(criteo_file.parent)
    row = data.train.frame().row(3, named=True)
    assert (row["label"], row["I1"], row["I13"], row["C1"], row["C26"]) == (1, 3, None, "00000003", None)
    assert [feature.kind for feature in data.schema] == ["numeric"] * 13 + ["categorical"] * 26


@pytest.mark.parametrize("rows", [1, 3, 10, 100])
def test_batches_of_every_size_hold_all_rows_in_order(criteo_file: Path, rows: int) -> None:
    batches = list(criteo(criteo_file).train.batches(["I1"], rows))
    assert [len(batch) for batch in batches[:-1]] == [rows] * (len(batches) - 1)
    assert [value for batch in batches for value in batch.column(0).to_pylist()] == list(range(10))


def test_test_fraction_holds_back_the_last_rows(criteo_file: Path) -> None:
    data = criteo(criteo_file, test_fraction=0.25)
    assert data.test is not None
    assert (data.train.count(), data.test.count()) == (8, 2)
    assert data.train.frame()["I1"].to_list() + data.test.frame()["I1"].to_list() == list(range(10))


def test_a_file_without_a_last_newline_counts_all_rows(criteo_file: Path) -> None:
    criteo_file.write_text(criteo_file.read_text().rstrip("\n")[:-1] + "\tzz")
    assert criteo(criteo_file).train.count() == len(criteo(criteo_file).train.frame()) == 10


def test_a_fingerprint_tells_files_and_slices_apart(criteo_file: Path) -> None:
    source = criteo(criteo_file).train
    before = source.fingerprint()
    assert before == criteo(criteo_file).train.fingerprint() != source.slice(0, 5).fingerprint()
    criteo_file.write_text(criteo_file.read_text().replace("00000003", "00000009"))
    assert source.fingerprint() != before


def test_a_wrong_count_far_down_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    lines = [criteo_line(i) for i in range(2000)]
    lines[1500] = lines[1500].replace("\t1511\t", "\tmany\t")
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="invalid value 'many'") as caught:
        list(criteo(path).train.batches(["label", "I12"]))
    assert (caught.value.row, caught.value.column) == (1501, "I12")


def test_a_truncated_gzip_file_is_named(criteo_file: Path) -> None:
    path = criteo_file.with_name("train.txt.gz")
    path.write_bytes(gzip.compress(criteo_file.read_bytes())[:-40])
    with pytest.raises(DataError, match=r"train\.txt\.gz"):
        criteo(path).train.frame()


def avazu_file(folder: Path, hours: list[str], header: str = ",".join(COLUMNS)) -> Path:
    row = ",0,{},1005,0," + ",".join(f"{k:08x}" for k in range(9)) + ",1,2,15706,320,50,1722,0,35,-1,79"
    lines = [str(10**19 + i) + row.format(hour) for i, hour in enumerate(hours)]
    path = folder / "train.csv"
    path.write_text("\n".join([header, *lines, ""]))
    return path


def test_avazu_reads_the_hour_as_a_time_and_leaves_the_id_out(tmp_path: Path) -> None:
    data = avazu(avazu_file(tmp_path, ["14102100", "14102123"]))
    frame = data.train.frame()
    assert frame["hour"].to_list() == [datetime(2014, 10, 21, 0), datetime(2014, 10, 21, 23)]
    assert "id" not in frame.columns
    assert data.train.count() == 2
    assert data.schema.time == "hour"
    assert data.schema["hour"].kind == "time"
    assert set(data.schema.columns) == set(frame.columns)


def test_an_hour_that_is_none_is_named(tmp_path: Path) -> None:
    path = avazu_file(tmp_path, ["14102100", "14139900"])
    with pytest.raises(DataError, match="got '14139900'") as caught:
        avazu(path).train.frame()
    assert (caught.value.row, caught.value.column) == (3, "hour")


def test_a_streamed_set_is_encoded_like_its_frame(tmp_path: Path) -> None:
    data = avazu(avazu_file(tmp_path, [f"141021{hour:02d}" for hour in range(24)] * 3))
    streamed = encode(data.train, data.schema, tmp_path / "streamed", split="time", fraction=0.25)
    framed = encode(as_source(data.train.frame()), data.schema, tmp_path / "framed", split="time", fraction=0.25)
    assert (streamed.train.rows, streamed.validation.rows) == (54, 18)
    assert streamed.layout == framed.layout
    assert np.array_equal(streamed.train.arrays["ids"], framed.train.arrays["ids"])


def test_another_header_is_named(tmp_path: Path) -> None:
    path = avazu_file(tmp_path, [], header="id,label")
    with pytest.raises(DataError, match="expected the column 'click', got 'label'"):
        avazu(path).train.frame()


def test_files_of_one_name_at_two_addresses_are_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, folder: Path, **checksums: Any) -> Path:
        path = folder / "train.csv"
        if not path.exists():
            folder.mkdir(parents=True)
            path.write_text(url, encoding="utf-8")
        return path

    monkeypatch.setattr(files, "download", download)
    urls = ("https://a.example/train.csv", "https://b.example/train.csv")
    found = [files.locate(url, "", cache=tmp_path) for url in (*urls, *urls)]
    assert [path.read_text(encoding="utf-8") for path in found] == [*urls, *urls]


def test_avazu_has_no_public_address() -> None:
    with pytest.raises(ConfigError, match="kaggle"):
        avazu()


def test_frappe_reads_libfm_lines(tmp_path: Path) -> None:
    line = " ".join(f"{k}:1" for k in range(10, 20))
    for part in ("train", "validation", "test"):
        (tmp_path / f"frappe.{part}.libfm").write_text(f"-1 {line}\n1 {line}\n")
    data = frappe(tmp_path)
    assert data.train["used"].to_list() == [0, 1]
    assert data.train.row(0)[1:] == tuple(range(10, 20))
    assert data.validation is not None
    assert data.test is not None
    assert (data.schema.user, data.schema.item) == ("user", "app")


@pytest.mark.parametrize(
    ("label", "field", "column"), [("0", "12:1", "used"), ("1", "12:2", "user"), ("1", "x:1", "user")]
)
def test_a_libfm_field_of_another_form_is_named(tmp_path: Path, label: str, field: str, column: str) -> None:
    good = " ".join(f"{k}:1" for k in range(9))
    (tmp_path / "frappe.train.libfm").write_text(f"1 3:1 {good}\n{label} {field} {good}\n")
    with pytest.raises(DataError) as caught:
        frappe(tmp_path, validation=None, test=None)
    assert (caught.value.row, caught.value.column) == (2, column)


def test_a_part_that_frappe_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`test` must be one of .*Did you mean 'test'"):
        frappe(tmp_path, test="tests")


def test_reading_does_not_take_more_memory_for_a_longer_file(tmp_path: Path) -> None:
    block = "".join(criteo_line(i) + "\n" for i in range(2000))
    most = []
    for blocks in (200, 400):  # 60 and 120 MB
        (tmp_path / "train.txt").write_text(block * blocks)
        most.append(max(pa.total_allocated_bytes() for _ in criteo(tmp_path).train.batches(rows=10_000)))
    assert most[1] < 1.2 * most[0] + 5_000_000


def test_an_unknown_column_is_named(criteo_file: Path) -> None:
    source: LineSource = criteo(criteo_file).train
    with pytest.raises(DataError, match="the column is absent"):
        list(source.batches(["C27"]))


def test_the_real_movielens_100k_has_the_known_counts(real_data: Path) -> None:
    data = movielens_100k(real_data / "movielens-100k", fold=None, as_="rating")
    assert data.train.shape == (100_000, 10)
    assert data.train["rating"].mean() == pytest.approx(3.52986)
    counts = data.train["rating"].value_counts().sort("rating")["count"].to_list()
    assert counts == [6110, 11370, 27145, 34174, 21201]
    assert data.train.null_count().select(pl.sum_horizontal(pl.exclude("year"))).item() == 0


def test_the_real_folds_part_the_ratings(real_data: Path) -> None:
    data = movielens_100k(real_data / "movielens-100k", fold="u3")
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (80_000, 20_000)
    together = pl.concat([data.train, data.test]).select("user", "item", "time")
    assert together.n_unique() == 100_000


def test_the_real_criteo_rows_have_the_known_label_mean(real_data: Path) -> None:
    frame = criteo(real_data / "criteo-10k" / "train-10k.txt.gz").train.frame()
    assert frame.shape == (10_000, 40)
    assert frame["label"].sum() == 2182
    assert frame["C3"].n_unique() == 5520 + 1  # and missing
    assert frame["I2"].min() == -2


def test_the_real_avazu_rows_have_the_known_counts(real_data: Path) -> None:
    data = avazu(real_data / "avazu-10k" / "train-10k.csv.gz", test_fraction=0.2)
    assert data.test is not None
    assert (data.train.count(), data.test.count()) == (8000, 1999)
    both = pl.concat([data.train.frame(), data.test.frame()])
    assert both["click"].sum() == 1706
    assert both["device_ip"].n_unique() == 7302


def test_the_real_frappe_rows_have_the_known_counts(real_data: Path) -> None:
    data = frappe(real_data / "frappe", train="validation", validation=None)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (57_722, 28_860)
    assert data.train["used"].mean() == pytest.approx(0.3303, abs=5e-5)
    assert data.train["app"].min() >= 957
