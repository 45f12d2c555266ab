"""Fetches a file once, checks it, and unpacks archives safely."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from autorec.errors import ConfigError, DataError
from autorec.files import new_folder

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_CHUNK = 1 << 20
_TIMEOUT = 60.0  # seconds without a byte


def download(url: str, folder: str | Path, *, sha256: str | None = None, md5: str | None = None) -> Path:
    """Fetches a file into a folder and returns its path; a copy that is already there is not fetched again.

    The body is written aside and takes its name only when it is whole and agrees with the checksums.

    Args:
        url: Address, `http` or `https`; the last part of its path names the file.
        folder: Where the file goes; made if need be.
        sha256: Expected checksum, 64 hexadecimal digits.
        md5: Expected checksum, 32 hexadecimal digits, or the address at which the publisher serves it.

    Raises:
        DataError: If the address cannot be read, the body is cut short or a checksum differs; names the address,
            what was expected and what was received.
        ConfigError: If the address or a checksum is not of these forms.

    Example:
        >>> download("https://example.org/log.csv", "data", sha256="9f86d0...")  # doctest: +SKIP
        PosixPath('data/log.csv')
    """
    path = Path(folder) / _name_of(url)
    sha256 = _digest("sha256", sha256, 64)
    if path.exists():
        expected = {"sha256": sha256, "md5": None if md5 is None or _is_address(md5) else _digest("md5", md5, 32)}
        _compare(url, expected, path, f"the copy at {path} (delete it to fetch the file anew)")
        return path
    expected = {"sha256": sha256, "md5": _published(md5) if md5 and _is_address(md5) else _digest("md5", md5, 32)}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _fetch(url, aside)
        _compare(url, expected, aside, "the file")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def is_archive(path: Path) -> bool:
    """Returns whether `unpack` can read the file, by its name."""
    return path.name.lower().endswith(ARCHIVES)


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpacks the files of a zip or tar archive into a new folder and returns it.

    The folder appears when everything is in it; one that is already there is returned as it is. Links and other
    things that are not plain files are left out.

    Raises:
        DataError: If the archive is damaged, or a member would be written outside the folder.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        return folder
    with new_folder(folder) as aside:
        try:
            for name, stream in _members(archive):
                target = aside.joinpath(*_inside(archive, name).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(stream, file, _CHUNK)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
            raise DataError(f"the archive cannot be unpacked: {error}", file=archive) from error
    return folder


def _is_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _name_of(url: str) -> str:
    name = url.split("?")[0].split("#")[0].rsplit("/", 1)[-1]
    if not _is_address(url) or name in ("", ".", ".."):
        raise ConfigError("url", "an http or https address that ends in a file name", url)
    return name


def _digest(argument: str, text: str | None, length: int) -> str | None:
    if text is not None and not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", text):
        raise ConfigError(argument, f"{length} hexadecimal digits", text)
    return text.lower() if text else None


def _open(url: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "autorec", "Accept-Encoding": "identity"})
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    return response


def _published(url: str) -> str:
    """Returns the MD5 digest in a publisher's checksum file, whatever stands around it."""
    try:
        with _open(url) as response:
            text = response.read(4096).decode("latin-1")
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise DataError(f"the publisher's checksum cannot be read: {error}", file=url) from error
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if found is None:
        raise DataError(f"expected an MD5 checksum of 32 hexadecimal digits, received {text[:80]!r}", file=url)
    return found.group().lower()


def _fetch(url: str, path: Path) -> None:
    received, expected = 0, None
    try:
        with _open(url) as response, path.open("wb") as file:
            expected = response.headers.get("Content-Length")
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"expected the file, received HTTP status {error.code} {error.reason}", file=url) from error
    except http.client.IncompleteRead as error:
        received += len(error.partial)
        raise DataError(f"expected {expected} bytes, received {received}; try again", file=url) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise DataError(f"expected the file, received {received} bytes, then: {error}", file=url) from error
    if expected is not None and received != int(expected):
        raise DataError(f"expected {expected} bytes, received {received}; try again", file=url)


def _compare(url: str, expected: dict[str, str | None], path: Path, what: str) -> None:
    for name, digest in expected.items():
        received = None if digest is None else _hash(path, name)
        if digest != received:
            raise DataError(f"{what} has another {name}: expected {digest}, received {received}", file=url)


def _hash(path: Path, name: str) -> str:
    digest = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            extracted = tar.extractfile(member) if member.isfile() else None
            if extracted is not None:
                yield member.name, extracted


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise DataError(f"the member {name!r} would be written outside the folder; nothing was unpacked", file=archive)
    return path
