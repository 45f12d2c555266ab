"""Fetching files from a local server: checked, whole or not at all, and unpacked safely."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autorec.data.download import download, unpack
from autorec.errors import ConfigError, DataError

BODY = b"1\t2\n" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


class Site:
    """A local HTTP server: path -> body; a path that ends in `.cut` announces more bytes than it sends."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                body = site.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + 100 * self.path.endswith(".cut")))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


def test_a_file_that_agrees_with_both_checksums_is_written(site: Site, tmp_path: Path) -> None:
    site.files = {"/log.csv": BODY, "/log.csv.md5": f"MD5 (log.csv) = {MD5}\n".encode()}
    path = download(f"{site.url}/log.csv", tmp_path, sha256=SHA256.upper(), md5=f"{site.url}/log.csv.md5")
    assert path == tmp_path / "log.csv"
    assert path.read_bytes() == BODY


def test_a_copy_on_disk_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    site.files = {"/log.csv": BODY}
    for _ in range(2):
        download(f"{site.url}/log.csv", tmp_path, sha256=SHA256)
    assert site.asked == ["/log.csv"]


def test_a_copy_on_disk_with_another_checksum_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"expected {SHA256}"):
        download("http://127.0.0.1:9/log.csv", tmp_path, sha256=SHA256)
    assert (tmp_path / "log.csv").read_bytes() == b"mine"


@pytest.mark.parametrize(("name", "expected", "received"), [("sha256", "0" * 64, SHA256), ("md5", "0" * 32, MD5)])
def test_a_wrong_checksum_names_address_and_both_digests(
    site: Site, tmp_path: Path, name: str, expected: str, received: str
) -> None:
    site.files = {"/log.csv": BODY}
    with pytest.raises(DataError) as caught:
        download(f"{site.url}/log.csv", tmp_path, **{name: expected})
    assert all(part in str(caught.value) for part in (f"{site.url}/log.csv", expected, received))
    assert list(tmp_path.iterdir()) == []


def test_a_published_checksum_that_differs_is_an_error(site: Site, tmp_path: Path) -> None:
    site.files = {"/log.csv": BODY, "/log.md5": b"0" * 32}
    with pytest.raises(DataError, match=f"another md5: expected {'0' * 32}, received {MD5}"):
        download(f"{site.url}/log.csv", tmp_path, md5=f"{site.url}/log.md5")


def test_a_checksum_file_without_a_checksum_is_an_error(site: Site, tmp_path: Path) -> None:
    site.files = {"/log.csv": BODY, "/log.md5": b"<html>moved</html>"}
    with pytest.raises(DataError, match="32 hexadecimal digits, received '<html>moved"):
        download(f"{site.url}/log.csv", tmp_path, md5=f"{site.url}/log.md5")


def test_a_truncated_body_names_both_lengths_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.files = {"/log.cut": BODY}
    with pytest.raises(DataError, match=r"log\.cut': expected 4100 bytes, received 4000"):
        download(f"{site.url}/log.cut", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_file_names_address_and_status(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{site.url}/log.csv'.* received HTTP status 404"):
        download(f"{site.url}/log.csv", tmp_path)


def test_a_server_that_is_not_there_is_a_data_error(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="received 0 bytes, then"):
        download("http://127.0.0.1:9/log.csv", tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://127.0.0.1/a", "http://127.0.0.1/", "http://127.0.0.1/.."])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="url"):
        download(url, tmp_path)


def test_a_checksum_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`sha256` must be 64 hexadecimal digits"):
        download("http://127.0.0.1:9/a", tmp_path, sha256="abc")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


@pytest.mark.parametrize(("make", "suffix"), [(zipped, ".zip"), (tarred, ".tar.gz")])
def test_an_archive_is_unpacked_once(tmp_path: Path, make: object, suffix: str) -> None:
    archive = make(tmp_path / f"set{suffix}", {"set/a.txt": b"a", "set/deep/b.txt": b"b"})  # type: ignore[operator]
    folder = unpack(archive, tmp_path / "out")
    assert (folder / "set" / "a.txt").read_bytes() == b"a"
    assert (folder / "set" / "deep" / "b.txt").read_bytes() == b"b"
    archive.unlink()
    assert unpack(archive, folder) == folder


@pytest.mark.parametrize(("make", "suffix"), [(zipped, ".zip"), (tarred, ".tar.gz")])
@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "..\\out.txt", "c:\\out.txt"])
def test_a_member_outside_the_folder_is_refused(tmp_path: Path, make: object, suffix: str, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = make(inner / f"set{suffix}", {"good.txt": b"", name: b"bad"})  # type: ignore[operator]
    with pytest.raises(DataError, match="outside the folder"):
        unpack(archive, inner / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", archive.name]


def test_a_link_in_an_archive_is_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hosts"
        archive.addfile(info)
    assert list(unpack(tmp_path / "set.tar", tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_damaged_archive_is_named(tmp_path: Path, suffix: str) -> None:
    make = zipped if suffix == ".zip" else tarred
    whole = make(tmp_path / f"set{suffix}", {"a.txt": bytes(range(256)) * 400})
    whole.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(DataError, match=f"set{suffix}"):
        unpack(whole, tmp_path / "out")
    assert not (tmp_path / "out").exists()
