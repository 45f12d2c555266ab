"""What a trial leaves in another process gets into the run."""

from __future__ import annotations

from pathlib import Path

from autorec.searchers.trial_files import TrialFiles, deliver


def left(place: Path) -> TrialFiles:
    (place / "0007").mkdir(parents=True)
    (place / "0007" / "model.keras").write_bytes(b"weights")
    (place / "0007" / "outputs.npy").write_bytes(b"numbers")
    return TrialFiles(place)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_moved_and_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    files, target = left(tmp_path / "place"), tmp_path / "trials" / "0007"
    target.mkdir(parents=True)
    (target / "old.keras").touch()
    folder = files.left(7)
    assert folder is not None
    deliver(folder, target)
    assert contents(target) == {"model.keras": b"weights", "outputs.npy": b"numbers"}
    assert files.left(7) is None


def test_files_that_are_sent_are_removed_where_they_were_made(tmp_path: Path) -> None:
    files = left(tmp_path)
    content = files.content(7)
    assert content == {"model.keras": b"weights", "outputs.npy": b"numbers"}
    assert files.content(7) is None
    deliver(content, tmp_path / "run" / "0007")
    assert contents(tmp_path / "run" / "0007") == content


def test_a_trial_that_left_nothing_has_no_files(tmp_path: Path) -> None:
    files = TrialFiles(tmp_path)
    assert files.left(3) is None
    assert files.content(3) is None
    assert files.events("finished") == []
