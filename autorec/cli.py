"""The command `autorec`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import autorec
from autorec.errors import AutoRecError, ConfigError, DataError
from autorec.tensorflow_log import import_quietly
from autorec.training.options import PRECISIONS, TrainOptions
from autorec.training.strategies import STRATEGIES

# Where trials are trained is no part of the experiment.
_EXECUTION = ("workers", "executor", "ray_address")
# What a search by --config takes from the command line.
_BESIDE_CONFIG = ("config", "data", "out", "quiet", "default", "run", "command", *_EXECUTION)
# Arguments of `search` that `fit` does not have, as they are.
_SEARCH = (
    "searcher",
    "effort",
    "max_trials",
    "fidelity",
    "max_model_size",
    "max_latency",
    "warm_start",
    "ensemble",
    "keep",
)
_SWITCH: dict[str, Any] = {"action": argparse.BooleanOptionalAction, "default": None}  # neither: as by --effort
_EXAMPLES = {
    "search": "autorec search clicks.parquet --target click --time-limit 10m --out runs/clicks",
    "fit": "autorec fit clicks.parquet --target click --space dcnv2 --out runs/dcnv2",
    "evaluate": "autorec evaluate runs/clicks test.parquet",
    "predict": "autorec predict runs/clicks test.parquet --out scores.parquet",
    "leaderboard": "autorec leaderboard runs/clicks",
    "ensemble": "autorec ensemble runs/clicks --size 5",
    "calibrate": "autorec calibrate runs/clicks --by device",
    "export": "autorec export runs/clicks model/",
    "schema": "autorec schema clicks.parquet --target click --out schema.json",
    "demo": "autorec demo --out runs/demo",
}
_ROLES = ("weight", "user", "item", "group", "time")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0, 2 for an error of the user's, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (AutoRecError, OSError) as error:
        sys.stderr.write(f"autorec {options.command}: {error}\n")
        return 2
    except KeyboardInterrupt:
        more = "; the same command goes on where it stopped" if options.command in ("search", "fit") else ""
        sys.stderr.write(f"interrupted{more}\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autorec",
        description="AutoML for ranking: from a log of clicks or ratings to a tested, exported Keras model.",
        epilog=f"example:\n  {_EXAMPLES['search']}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"autorec {autorec.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_search(commands)
    _add_fit(commands)
    for name, run, words in (
        ("evaluate", _evaluate, "test a run's best model, or an exported one, on labelled rows"),
        ("predict", _predict, "write a probability or rating for each row"),
    ):
        command = _add(commands, name, run, words)
        command.add_argument("model", help="run directory or exported folder")
        command.add_argument("data", help="Parquet file or folder, CSV or TSV (also .gz)")
        if name == "predict":
            command.add_argument("--out", required=True, help="CSV or Parquet file to write")
        else:
            words = "also show what was predicted and what happened, bin by bin"
            command.add_argument("--reliability", action="store_true", help=words)
    board = _add(commands, "leaderboard", _leaderboard, "show a run's trials, best first")
    board.add_argument("directory", help="run directory")
    _add_ensemble(commands)
    _add_calibrate(commands)
    export = _add(commands, "export", _export, "write a folder with model, encoder, SavedModel and card")
    export.add_argument("directory", help="run directory")
    export.add_argument("folder", help="folder to write")
    export.add_argument("--trial", type=int, help="number of the trial (default: the best)")
    schema = _add(commands, "schema", _schema, "infer a schema, print it, and save it to edit")
    _add_data(schema)
    schema.add_argument("--out", help="JSON file to write")
    demo = _add(commands, "demo", _demo, "search a built-in click log whose best possible AUC is known")
    demo.add_argument("--out", help="run directory (default: a new temporary one)")
    demo.add_argument("--rows", type=int, default=200_000, help="training rows (default: %(default)s)")
    demo.add_argument("--time-limit", default="90s", help="time for the search (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=0, help="seed of log and search (default: %(default)s)")
    return parser


def _add(commands: Any, name: str, run: Any, words: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=f"example:\n  {_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_data(command: argparse.ArgumentParser, optional: bool = False) -> None:
    words = "Parquet file or folder, CSV or TSV (also .gz)"
    command.add_argument("data", nargs="?" if optional else None, help=words)
    command.add_argument("--target", action="append", help="target column; again for several targets")
    for role in _ROLES:
        command.add_argument(f"--{role}", metavar="COLUMN", help=f"column with the role `{role}`")


def _add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--task", choices=("ctr", "rating"), default="ctr", help="default: %(default)s")
    command.add_argument("--out", help="run directory")
    command.add_argument(
        "--long",
        action="append",
        metavar="TARGET[:COLUMN][:QUANTILE]",
        help="a target of real values that is 1 where long for the column's value, such as dwell:category:0.75",
    )
    for name, words in (("loss-weight", "in the loss"), ("utility", "in the utility that predict adds")):
        command.add_argument(
            f"--{name}", action="append", metavar="TARGET:WEIGHT", help=f"weight of a target {words}, such as like:5"
        )
    command.add_argument("--space", help="preset or `auto` (default: auto, or what --effort says)")
    command.add_argument("--schema", help="JSON file that `autorec schema` wrote")
    command.add_argument("--validation", metavar="DATA", help="validation rows (default: split off)")
    command.add_argument("--split", choices=("random", "time", "user"), default="random", help="default: %(default)s")
    command.add_argument("--validation-fraction", type=float, default=0.1, help="default: %(default)s")
    command.add_argument("--trees", **_SWITCH, help="grow trees that models may read")
    command.add_argument("--batch-size", type=int, help="rows of a step (default: by the number of rows)")
    command.add_argument("--epochs", type=int, help="most epochs (default: early stopping decides)")
    command.add_argument("--time-limit", help="for all that is done, such as 90s, 10m, 1h30m")
    command.add_argument(
        "--objective",
        help="metric that ranks, such as val_log_loss (default: val_auc, val_rmse), and others behind commas, such as "
        "val_auc,latency",
    )
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    command.add_argument(
        "--strategy", choices=tuple(STRATEGIES), help="train each model on all devices, or in several processes"
    )
    command.add_argument("--precision", choices=PRECISIONS, help="of the arithmetic (default: float32)")
    command.add_argument("--refit", **_SWITCH, help="train the model on all rows in the end")
    command.add_argument(
        "--calibrate", metavar="METHOD", help="calibrate in the end: auto, isotonic, platt or temperature"
    )
    command.add_argument("--quiet", action="store_true", help="no progress")


def _add_search(commands: Any) -> None:
    command = _add(commands, "search", _search, "search for the best model; the same command again goes on")
    _add_data(command, optional=True)
    _add_training(command)
    command.add_argument("--config", help="a run's config.json: repeat that search (with --out in a new directory)")
    command.add_argument("--effort", help="fast (a good model soon) or best (the best within the time)")
    command.add_argument("--searcher", help="evolution (the default), random, bayesian, hyperband, greedy or ensemble")
    command.add_argument("--max-trials", type=int, help="trials in all (default: 20, or no limit with --time-limit)")
    command.add_argument(
        "--fidelity",
        help="auto: cheap trials, then the best in full; full: all in full (default: full, or by --effort)",
    )
    command.add_argument("--max-model-size", metavar="SIZE", help="of the weights, such as 10MB")
    command.add_argument("--max-latency", metavar="MS", help="milliseconds for one row")
    command.add_argument("--warm-start", metavar="RUN", help="run directory whose best architectures are tried first")
    command.add_argument("--workers", type=int, metavar="N", help="trials at a time, each in a process (default: 1)")
    command.add_argument("--executor", help="where: processes of this machine, or ray")
    command.add_argument("--ray-address", metavar="ADDRESS", help="of a Ray cluster, HOST:PORT")
    command.add_argument(
        "--ensemble", **_SWITCH, help="end in an ensemble of the best trials, unless it is clearly worse"
    )
    command.add_argument("--keep", type=int, help="best trials whose files are kept (default: 5, or by --effort)")
    command.set_defaults(default=command.get_default)


def _add_ensemble(commands: Any) -> None:
    command = _add(commands, "ensemble", _ensemble, "make the best trials of a run one model, which then is its model")
    command.add_argument("directory", help="run directory")
    command.add_argument("--size", type=int, help="most members (default: the rule decides; answers: 8)")
    command.add_argument(
        "--pruning", default="auto", help="pie, pap, prs, forward, answers, auto, or none (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def _add_calibrate(commands: Any) -> None:
    command = _add(commands, "calibrate", _calibrate, "calibrate the probabilities of a run's model")
    command.add_argument("directory", help="run directory")
    command.add_argument(
        "--method", default="auto", help="auto, isotonic, platt, temperature, or none (default: %(default)s)"
    )
    command.add_argument("--by", metavar="COLUMN", help="column whose values get curves of their own")
    command.add_argument("--data", help="labelled rows that the model has not seen (default: the validation rows)")
    command.add_argument(
        "--negatives-kept",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the negatives, where they were sampled: 0.1 for one in ten (default: %(default)s)",
    )
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def _add_fit(commands: Any) -> None:
    command = _add(commands, "fit", _fit, "train one model: a space at its default values")
    _add_data(command)
    _add_training(command)


def _recommender(task: str, **arguments: Any) -> Any:
    import_quietly()
    from autorec.recommender import CTRRecommender, RatingRecommender

    return (CTRRecommender if task == "ctr" else RatingRecommender)(**arguments)


def _common(options: argparse.Namespace) -> dict[str, Any]:
    targets = options.target or []
    if not targets and options.schema is None:
        raise ConfigError("--target", "the name of a column, unless a schema names it", None)
    return {
        "target": targets if len(targets) > 1 else next(iter(targets), None),
        "validation_data": options.validation,
        "schema": options.schema,
        "space": options.space,
        "split": options.split,
        "validation_fraction": options.validation_fraction,
        "trees": options.trees,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "time_limit": options.time_limit,
        "objective": _objective(options.objective),
        "seed": options.seed,
        "refit": options.refit,
        "calibrate": options.calibrate,
        "long": _long(options.long),
        "utility": _weights("--utility", options.utility),
        "options": TrainOptions(
            strategy=options.strategy,
            precision=options.precision,
            loss_weights=_weights("--loss-weight", options.loss_weight),
        ),
        "directory": options.out,
        "progress": not options.quiet,
        **{role: getattr(options, role) for role in _ROLES},
    }


def _objective(given: str | None) -> str | list[str] | None:
    """Returns the name of a metric, or those of several behind commas."""
    return [name.strip() for name in given.split(",")] if given and "," in given else given


def _long(given: Sequence[str] | None) -> dict[str, Any] | None:
    """Returns what `--long` names: target -> arguments of a `LongTarget`."""
    found = {}
    for text in given or ():
        target, *rest = text.split(":")
        quantile = {"quantile": float(rest.pop())} if rest and _is_number(rest[-1]) else {}
        found[target] = {"by": rest or None, **quantile}
    return found or None


def _weights(argument: str, given: Sequence[str] | None) -> dict[str, float] | None:
    """Returns what an argument `TARGET:WEIGHT` names, given any number of times."""
    found = {}
    for text in given or ():
        target, _, weight = text.rpartition(":")
        if not target or not _is_number(weight):
            raise ConfigError(argument, "TARGET:WEIGHT, such as like:5", text)
        found[target] = float(weight)
    return found or None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _search(options: argparse.Namespace) -> None:
    if options.config:
        recommender = _repeat(options)
    else:
        _need_data_and_out(options)
        arguments = _common(options)
        for name in (*_SEARCH, *_EXECUTION):
            arguments[name] = getattr(options, name)
        recommender = _recommender(options.task).search(options.data, **arguments)
    _show_leaderboard(recommender.leaderboard())


def _repeat(options: argparse.Namespace) -> Any:
    from autorec.config import SearchConfig

    for name, value in vars(options).items():
        if name not in _BESIDE_CONFIG and value != options.default(name):
            raise ConfigError(f"--{name.replace('_', '-')}", "left out: the --config has it", value)
    path = Path(options.config)
    if not path.is_file():
        raise ConfigError("--config", "the path of a run's config.json", options.config)
    try:
        config = SearchConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as error:  # no JSON, no UTF-8, or JSON of something else
        raise DataError(f"not the config.json of a run: {error}", file=path) from error
    import_quietly()
    from autorec.repeat import search_from_config

    return search_from_config(
        config,
        directory=options.out or path.parent,
        data=options.data,
        progress=not options.quiet,
        **{name: getattr(options, name) for name in _EXECUTION},
    )


def _fit(options: argparse.Namespace) -> None:
    _need_data_and_out(options)
    recommender = _recommender(options.task).fit(options.data, **_common(options))
    _show_leaderboard(recommender.leaderboard())


def _need_data_and_out(options: argparse.Namespace) -> None:
    if not options.data:
        raise ConfigError("data", "the path of the rows to learn from", options.data)
    if not options.out:
        raise ConfigError("--out", "a directory for the run", options.out)


def _load(path: str) -> Any:
    import_quietly()
    from autorec.loading import load

    return load(path)


def _evaluate(options: argparse.Namespace) -> None:
    found = _load(options.model).evaluate(options.data, reliability=options.reliability)
    for name, value in found.items():
        if isinstance(value, float):
            sys.stdout.write(f"{name:12} {value:.6f}\n")
    for name, value in found.items():
        if not isinstance(value, float):
            from autorec.tables import show_reliability

            show_reliability(value, name)


def _predict(options: argparse.Namespace) -> None:
    import polars as pl

    out = Path(options.out)
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError("--out", "a path that ends in .csv or .parquet", options.out)
    if not out.parent.is_dir():
        raise ConfigError("--out", "a path in a folder that is there", options.out)
    if out.resolve() == Path(options.data).resolve():
        raise ConfigError("--out", "another file than the rows", options.out)
    predictor = _load(options.model)
    found = predictor.predict(options.data)
    frame = pl.DataFrame(found if isinstance(found, dict) else {predictor.schema.targets[0]: found})
    aside = out.with_name(f".{out.name}.partial")
    try:
        frame.write_csv(aside) if out.suffix == ".csv" else frame.write_parquet(aside)
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
    sys.stdout.write(f"{len(frame)} predictions in {out}\n")


def _leaderboard(options: argparse.Namespace) -> None:
    from autorec.leaderboard import leaderboard

    _show_leaderboard(leaderboard(options.directory))


def _show_leaderboard(frame: Any) -> None:
    from autorec.tables import show_table

    show_table(frame)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _ensemble(options: argparse.Namespace) -> None:
    import_quietly()
    from autorec.steps.ensemble import make_ensemble

    pruning = None if options.pruning == "none" else options.pruning
    make_ensemble(
        options.directory,
        options.size,
        pruning,
        seed=options.seed,
        say=_say,
    )


def _calibrate(options: argparse.Namespace) -> None:
    import_quietly()
    from autorec.steps.calibration import calibrate_run

    calibrate_run(
        options.directory,
        None if options.method == "none" else options.method,
        by=options.by,
        data=options.data,
        negatives_kept=options.negatives_kept,
        seed=options.seed,
        say=_say,
    )


def _export(options: argparse.Namespace) -> None:
    import_quietly()
    from autorec.export.folder import export
    from autorec.loading import load_run

    path = export(options.folder, load_run(options.directory, options.trial))
    sys.stdout.write(f"exported to {path}\n")


def _schema(options: argparse.Namespace) -> None:
    from autorec.data.inference import describe, infer

    roles = {role: getattr(options, role) for role in _ROLES}
    target = options.target if options.target and len(options.target) > 1 else (options.target or [None])[0]
    schema = infer(options.data, target=target, **roles)
    sys.stdout.write(describe(schema) + "\n")
    if options.out:
        schema.save(options.out)


def _demo(options: argparse.Namespace) -> None:
    import_quietly()
    from autorec.demo import run

    run(rows=options.rows, time_limit=options.time_limit, seed=options.seed, directory=options.out)


if __name__ == "__main__":
    sys.exit(main())
