"""The run directory: what a kill, a second process and a full journal leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autorec.errors import ConfigError, DataError
from autorec.run import Run

ROOT = Path(__file__).resolve().parents[2]


def finish(run: Run, number: int, score: float | None, **more: object) -> None:
    run.append({"event": "started", "number": number, "values": {"dim": number}, "seed": number})
    status = "failed" if score is None else "completed"
    run.append({"event": "finished", "number": number, "status": status, "score": score, **more})


def test_what_was_appended_is_there_when_the_run_is_opened_again(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.append({"event": "note", "value": 0.1 + 0.2})
    with Run(tmp_path / "run") as run:
        assert run.events() == [{"event": "note", "value": 0.1 + 0.2}]


def test_a_last_line_cut_at_any_byte_is_dropped_and_the_journal_goes_on(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.append({"event": "first"})
        kept = run.journal.read_bytes()
        run.append({"event": "second", "text": "größer"})
        whole = run.journal.read_bytes()
    for size in range(len(kept), len(whole)):
        run.journal.write_bytes(whole[:size])
        with Run(tmp_path) as again:
            assert again.events() == [{"event": "first"}]
            assert again.journal.read_bytes() == kept
            again.append({"event": "third"})
        assert [json.loads(line)["event"] for line in run.journal.read_text().splitlines()] == ["first", "third"]


def test_a_broken_last_line_with_its_newline_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"event": "first"}\n\0\0\0\n')
    with Run(tmp_path) as run:
        assert run.events() == [{"event": "first"}]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"event": "first"}\nrubbish\n{"event": "third"}\n')
    with pytest.raises(DataError, match=r"journal.jsonl.*row 2.*rubbish"):
        Run(tmp_path)
    with pytest.raises(DataError):  # the failed opening gave the lock back
        Run(tmp_path)


def test_reading_changes_nothing_on_disk(tmp_path: Path) -> None:
    content = b'{"event": "first"}\n{"event": "sec'
    (tmp_path / "journal.jsonl").write_bytes(content)
    run = Run(tmp_path, read_only=True)
    assert run.events() == [{"event": "first"}]
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]
    assert run.journal.read_bytes() == content
    with pytest.raises(ConfigError, match="open for writing"):
        run.append({"event": "second"})


def test_reading_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="journal.jsonl"):
        Run(tmp_path, read_only=True)


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    code = (
        "import sys; from autorec.run import Run; run = Run(sys.argv[1]);"
        "print(__import__('os').getpid(), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    pid = holder.stdout.readline().strip()
    with pytest.raises(ConfigError, match=f"{tmp_path}.*Process {pid} holds it"):
        Run(tmp_path)
    assert Run(tmp_path, read_only=True).events() == []
    holder.kill()
    holder.communicate()
    Run(tmp_path).close()


def test_the_lock_is_given_back_on_close(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(ConfigError, match="holds it"):
        Run(tmp_path)
    run.close()
    Run(tmp_path).close()


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="directory"):
        Run(tmp_path / "file")
    with pytest.raises(ConfigError, match="directory"):
        Run(tmp_path / "file" / "run")


def test_numpy_values_become_plain_and_nan_becomes_none(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.append({"event": "note", "a": np.int64(1), "b": np.float32(0.5), "c": float("nan"), "d": (np.arange(2),)})
        assert json.loads(run.journal.read_text()) == {"event": "note", "a": 1, "b": 0.5, "c": None, "d": [[0, 1]]}


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with Run(tmp_path) as run:
        run.append({"event": "first"})
        before = run.journal.read_bytes()
        monkeypatch.setattr("autorec.run.os.fsync", full)
        with pytest.raises(DataError, match="No space left"):
            run.append({"event": "second"})
        assert run.journal.read_bytes() == before
        assert run.events() == [{"event": "first"}]


def test_the_configuration_is_compared_by_key(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run.config is None
        run.write_config({"seed": 1, "target": ["click"]})
        run.check_same("target", ("click",))
        run.check_same("unknown", 5)
        with pytest.raises(ConfigError, match="`seed` must be 1 as in the run"):
            run.check_same("seed", 2)


def test_the_leaderboard_has_the_best_first_and_failed_rows_last(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        finish(run, 0, 0.6)
        finish(run, 1, None, error="TrialFailed: NaN")
        finish(run, 2, 0.8)
        run.append({"event": "baseline", "name": "prior", "status": "completed", "score": 0.7})
        rows = run.leaderboard("max")
        assert [row["score"] for row in rows] == [0.8, 0.7, 0.6, None]
        assert [row["rank"] for row in rows] == [1, None, 2, None]
        assert [row["kind"] for row in rows] == ["trial", "baseline", "trial", "trial"]
        assert rows[-1]["error"] == "TrialFailed: NaN"


def test_the_direction_of_the_search_ranks(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.append({"event": "search", "objective": "val_rmse", "direction": "min"})
        finish(run, 0, 0.9)
        finish(run, 1, 0.8)
        assert run.best is not None
        assert run.best["number"] == 1
        assert run.best["values"] == {"dim": 1}


def test_trials_of_a_smaller_fidelity_are_never_ranked_among_full_ones(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        finish(run, 0, 0.9, fidelity={"epochs": 1})
        finish(run, 1, 0.8, fidelity={"epochs": 3})
        assert [row["rank"] for row in run.leaderboard()] == [1, None]
        finish(run, 2, 0.5)
        assert [(row["number"], row["rank"]) for row in run.leaderboard()] == [(2, 1), (1, None), (0, None)]


def test_a_run_without_a_completed_trial_has_no_best(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        finish(run, 0, None)
        assert run.best is None


def test_a_trial_that_never_finished_is_pending(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        finish(run, 0, 0.5)
        run.append({"event": "started", "number": 1, "values": {}, "seed": 3})
        assert [event["number"] for event in run.pending()] == [1]
        assert [row["number"] for row in run.trials()] == [0]


def test_files_of_the_best_trials_only_are_kept(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        for number, score in enumerate((0.5, 0.9, 0.7, None, 0.8)):
            run.trial_directory(number).mkdir(parents=True)
            finish(run, number, score)
        run.retain(2, also=[0])
        assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["0000", "0001", "0004"]


def test_all_trainings_of_the_best_values_may_be_kept(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        for number, (score, parent) in enumerate(((0.5, None), (0.9, None), (0.8, 1))):
            run.trial_directory(number).mkdir(parents=True)
            finish(run, number, score, parent=parent)
        run.keep_seeds = True
        run.retain(1)
        assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["0001", "0002"]


def test_an_ensemble_stands_by_its_score_without_a_rank(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        finish(run, 0, 0.5)
        finish(run, 1, 0.9)
        run.append({"event": "ensemble", "name": "ensemble of 2", "status": "completed", "score": 0.8})
        rows = [(row["number"], row["name"], row["rank"]) for row in run.leaderboard()]
        assert rows == [(1, None, 1), (None, "ensemble of 2", None), (0, None, 2)]
        assert run.best is not None
        assert run.best["number"] == 1
