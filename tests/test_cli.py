"""The command line: every command, its help, its errors."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import autorec
from autorec.cli import main
from tests import fitted

COMMANDS = ("search", "fit", "evaluate", "predict", "leaderboard", "ensemble", "calibrate", "export", "schema", "demo")
BUDGET = ["--target", "click", "--space", "lr", "--epochs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train.csv`, `train.parquet`, `test.csv` and the run of a search, `run`."""
    folder = tmp_path_factory.mktemp("commands")
    rows = fitted.clicks(600).drop("like")
    rows[:400].write_csv(folder / "train.csv")
    rows[:400].write_parquet(folder / "train.parquet")
    rows[400:].write_csv(folder / "test.csv")
    command = ["search", str(folder / "train.csv"), *BUDGET, "--max-trials", "2", "--out", str(folder / "run")]
    assert main([*command, "--quiet"]) == 0
    (folder / "run" / "list.json").write_text("[1, 2]")
    (folder / "run" / "latin.json").write_bytes(b'{"task": "\xe9"}')
    return folder


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"example:\n  autorec {command} " in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"autorec {autorec.__version__}\n"


def test_help_takes_less_than_a_third_of_a_second_and_no_heavy_package() -> None:
    code = (
        "import sys\nfrom autorec.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'polars', 'numpy', 'rich')))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


# Commands


def test_search_shows_its_leaderboard(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(folder / "run")]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("rank", "val_auc", "lightgbm", "baseline", "learning_rate"))
    assert max(map(len, shown.splitlines())) <= 160


def test_the_same_search_again_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", str(folder / "train.csv"), *BUDGET, "--out", str(folder / "run"), "--max-trials", "2"]
    assert main(command) == 0
    assert f"going on in {folder / 'run'}: 2 trials are done" in capsys.readouterr().err


def test_a_strategy_reaches_the_options(folder: Path, tmp_path: Path) -> None:
    command = ["fit", str(folder / "train.csv"), *BUDGET, "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*command, "--strategy", "mirrored"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"]["strategy"] == "mirrored"


def test_a_precision_reaches_the_options(folder: Path, tmp_path: Path) -> None:
    command = ["fit", str(folder / "train.csv"), *BUDGET, "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*command, "--precision", "bfloat16"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"]["precision"] == "bfloat16"


def test_arguments_of_a_search_reach_its_configuration(folder: Path, tmp_path: Path) -> None:
    command = ["search", str(folder / "train.csv"), *BUDGET, "--out", str(tmp_path / "run"), "--quiet"]
    more = "--max-trials 1 --effort fast --fidelity full --max-model-size 10MB --max-latency 5000"
    other = ["--warm-start", str(folder / "run"), "--objective", "val_log_loss, latency", "--searcher", "random"]
    assert main([*command, *more.split(), *other]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    found = {name: config[name] for name in ("effort", "max_model_size", "max_latency", "objective")}
    assert found == {
        "effort": "fast",
        "max_model_size": 10_000_000,
        "max_latency": 5000.0,
        "objective": ["val_log_loss", "latency"],
    }
    assert config["warm_start"]["run"] == str(folder / "run")
    assert len(config["warm_start"]["trials"]) == 1


def test_fit_takes_a_limit_of_time_and_an_objective(folder: Path, tmp_path: Path) -> None:
    command = ["fit", str(folder / "train.csv"), *BUDGET, "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*command, "--time-limit", "10m", "--objective", "val_log_loss"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["time_limit"], config["objective"]) == (600.0, "val_log_loss")


def test_a_configuration_repeats_its_search(folder: Path, tmp_path: Path) -> None:
    config = folder / "run" / "config.json"
    assert main(["search", "--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == json.loads(config.read_text())
    boards = [pl.DataFrame(_board(directory)) for directory in (folder / "run", tmp_path / "again")]
    assert boards[0].equals(boards[1])


def _board(directory: Path) -> pl.DataFrame:
    from autorec.leaderboard import leaderboard

    return leaderboard(directory).drop("seconds")


def test_fit_reads_parquet_and_a_schema(folder: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    assert main(["schema", str(folder / "train.parquet"), "--target", "click", "--out", str(schema)]) == 0
    autorec.Schema.load(schema).drop("country").save(schema)
    command = ["fit", str(folder / "train.parquet"), *BUDGET, "--schema", str(schema), "--out", str(tmp_path / "run")]
    assert main([*command, "--quiet"]) == 0
    assert "country" not in autorec.load(tmp_path / "run").schema


def test_a_schema_that_names_the_target_is_enough(folder: Path, tmp_path: Path) -> None:
    assert main(["schema", str(folder / "train.csv"), "--target", "click", "--out", str(tmp_path / "s.json")]) == 0
    command = ["fit", str(folder / "train.csv"), "--schema", str(tmp_path / "s.json"), "--out", str(tmp_path / "run")]
    assert main([*command, "--space", "lr", "--epochs", "1", "--quiet"]) == 0


def test_schema_prints_what_it_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", str(folder / "train.csv"), "--target", "click", "--user", "user"]) == 0
    shown = capsys.readouterr().out
    assert "user      categorical  int     role user" in shown
    assert "click     target" in shown


def test_export_evaluate_and_predict_agree(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(folder / "run"), str(tmp_path / "model")]) == 0
    capsys.readouterr()
    texts = []
    for model in (folder / "run", tmp_path / "model"):
        assert main(["evaluate", str(model), str(folder / "test.csv")]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[0].startswith("auc          0.")


def test_an_ensemble_becomes_the_model_of_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    assert main(["ensemble", str(tmp_path / "run"), "--size", "2", "--pruning", "none"]) == 0
    assert "ensemble of 2 of 2 trials (unpruned)" in capsys.readouterr().out
    assert main(["ensemble", str(tmp_path / "run"), "--size", "2"]) == 0
    assert "of 2 trials (answers)" in capsys.readouterr().out
    assert main(["leaderboard", str(tmp_path / "run")]) == 0
    assert "ensemble of 2" in capsys.readouterr().out
    assert autorec.load(tmp_path / "run").card["trial"] is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predict_writes_a_probability_for_each_row(folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"scores{suffix}"
    assert main(["predict", str(folder / "run"), str(folder / "test.csv"), "--out", str(out)]) == 0
    found = pl.read_csv(out) if suffix == ".csv" else pl.read_parquet(out)
    assert found.columns == ["click"]
    assert len(found) == 200
    assert found["click"].is_between(0, 1).all()


# Errors


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search train.csv --out x", "`--target` must be the name of a column, unless a schema names it, got None."),
        ("search train.csv --target click", "`--out` must be a directory for the run"),
        ("search --target click --out x", "`data` must be the path of the rows"),
        ("search none.csv --target click --out x", "file 'none.csv': there is no such file or folder"),
        ("search train.csv --target click --out x --time-limit 3x", "`time_limit` must be a positive duration"),
        ("search train.csv --target click --out x --space dcnv3", "Did you mean 'dcnv2'"),
        (
            "search train.csv --target click --space lr --epochs 1 --out run --seed 4",
            "`seed` must be 0 as in the run",
        ),
        (
            "search train.csv --target click --out x --effort most",
            "`effort` must be one of ['fast', 'best'], got 'most'",
        ),
        ("search train.csv --target click --out x --max-model-size big", "`max_model_size` must be a positive number"),
        ("search train.csv --target click --out x --workers 0", "`workers` must be a whole number of 1 or more, got 0"),
        ("search train.csv --target click --out x --executor foo", "`executor` must be one of"),
        ("search train.csv --target click --out x --ray-address h:1", "`ray_address` must be left out without"),
        ("search train.csv --target click --out x --schema run/list.json", "not a schema as `Schema.save` writes it"),
        ("fit train.csv --target click --out x --time-limit 3x", "`time_limit` must be a positive duration"),
        ("search --config run/latin.json --out x", "file 'run/latin.json': not the config.json of a run"),
        ("search train.csv --target click --out x --max-latency soon", "`max_latency` must be a positive number"),
        ("search --config none.json --out x", "`--config` must be the path of a run's config.json, got 'none.json'."),
        ("search --config x.json --precision auto", "`--precision` must be left out: the --config has it, got 'auto'"),
        ("search --config test.csv --out x", "file 'test.csv': not the config.json of a run"),
        ("evaluate none test.csv", "file 'none': neither an exported folder"),
        ("predict run test.csv --out p.xlsx", "`--out` must be a path that ends in .csv or .parquet"),
        ("predict run test.csv --out test.csv", "`--out` must be another file than the rows"),
        ("predict run test.csv --out none/p.csv", "`--out` must be a path in a folder that is there"),
        ("leaderboard none", "`directory` must be a run directory, got 'none'"),
        ("export run test.csv", "`folder` must be a new or empty folder, or an earlier export, got 'test.csv'."),
        ("ensemble none", "`directory` must be a run directory, got 'none'"),
        ("ensemble run --size 3", "`size` must be at most 2, the number of good trials, got 3."),
        ("ensemble run --pruning pye", "Did you mean 'pie'"),
        ("export run x --trial 9", "`trial` must be the number of a trained trial: [0, 1], got 9."),
        ("schema train.csv --target clicks", "column 'clicks': missing target"),
    ],
)
def test_an_error_is_one_line_and_exit_status_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, message: str
) -> None:
    monkeypatch.chdir(folder)
    assert main(command.split()) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"autorec {command.split()[0]}: ")
    assert message in shown
    assert shown.count("\n") == 1
    assert not (folder / "x").exists()


def test_an_interrupted_search_says_how_to_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("autorec.recommender.Recommender.search", interrupted)
    assert main(["search", str(folder / "train.csv"), "--target", "click", "--out", "x"]) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on where it stopped\n"


@pytest.mark.long
def test_a_command_writes_nothing_but_its_own_lines(folder: Path) -> None:
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "autorec", "evaluate", str(folder / "run"), str(folder / "test.csv")]
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    assert done.returncode == 0
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["auc", "log_loss", "ece"]


@pytest.mark.alone
@pytest.mark.long
def test_the_demo_tells_how_near_the_best_possible_model_it_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--rows", "4000", "--time-limit", "12s", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Best possible AUC" in shown
    assert "of the gap is closed" in shown
    assert "click probability 0." in shown
