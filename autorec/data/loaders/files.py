"""Finds the files of a data set: in a folder, in an archive, or at an address."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from autorec.data.download import download, is_archive, unpack
from autorec.errors import DataError

CACHE = Path("~/.cache/autorec/datasets")


def locate(
    path: str | Path | None,
    address: str,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> Path:
    """Returns the local file or folder of a data set, fetched and unpacked where need be.

    Args:
        path: A file, a folder, a zip or tar archive, or an http(s) address; None for the public address.
        address: The public address.
        md5: Checksum at the public address, or the address at which its publisher serves it.
        sha256: Checksum of what is fetched, from wherever.
        cache: Folder for fetched files and unpacked archives; None for `~/.cache/autorec/datasets`.

    Raises:
        DataError: If there is nothing at `path`, or it cannot be fetched or unpacked.
    """
    folder = Path(CACHE if cache is None else cache).expanduser()
    if path is None:
        found = download(address, folder, sha256=sha256, md5=md5)
    elif str(path).lower().startswith(("http://", "https://")):
        # By the address too: files of two of them may have one name.
        place = folder / hashlib.sha256(str(path).encode()).hexdigest()[:8]
        found = download(str(path), place, sha256=sha256)
    else:
        found = Path(path).expanduser()
    if not found.exists():
        raise DataError("there is no such file or folder", file=found)
    return unpack(found, folder / _folder_name(found)) if found.is_file() and is_archive(found) else found


def _folder_name(archive: Path) -> str:
    """Names an unpacked archive after its content's place, size and date: another archive gets another folder."""
    status = archive.stat()
    mark = hashlib.sha256(f"{archive.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:8]
    return f"{archive.name.split('.')[0]}-{mark}"


def find(place: Path, names: Sequence[str]) -> Path:
    """Returns the file with one of these names, or the same with `.gz`, in a folder or below it.

    Raises:
        DataError: If there is none, or `place` is no folder.
    """
    wanted = [name for plain in names for name in (plain, f"{plain}.gz")]
    files = sorted((path for path in place.rglob("*") if path.is_file()), key=lambda path: (len(path.parts), path))
    for name in wanted:
        for path in files:
            if path.name == name:
                return path
    held = sorted({path.name for path in files})[:20]
    raise DataError(f"expected a file named {' or '.join(wanted)}, found {held}", file=place)
