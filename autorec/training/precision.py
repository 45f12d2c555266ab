"""The precision of a model's arithmetic: one for all trials of a run, applied while a model is built."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.run import Run
from autorec.training import xla
from autorec.training.compiling import compile_model
from autorec.training.options import TrainOptions
from autorec.training.prediction import arrange, input_groups
from autorec.training.workers import get_workers

#: Least ratio of a step's time in float32 to its time in bfloat16 for which `auto` takes bfloat16.
GAIN = 1.1
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is Arm's
_AMPERE = (8, 0)  # the first compute capability with bfloat16
_ROWS = 100_000  # of all tables of a model that is timed: two models with the tables of the run may not fit in memory
_ROUNDS, _ROUND, _SECONDS = 7, 0.05, 0.7

#: Returns the model to train for a layout, built under the policy of the moment.
Make = Callable[[Layout], Any]


@contextmanager
def using_precision(precision: str | None) -> Iterator[None]:
    """Makes models that are built inside the `with` block compute in a precision; they keep it, saved ones too.

    Args:
        precision: `bfloat16` is Keras's policy `mixed_bfloat16`: weights are float32 and are cast where they are used;
            tables, first-order terms and heads stay float32 all the same. `float32` is that for all, as is None and,
            as long as nothing is chosen, `auto`.

    Example:
        >>> with using_precision("bfloat16"):
        ...     model = build("dcnv2", hp, layout)
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES.get(str(precision), "float32"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def settle(
    options: TrainOptions, run: Run, time_both: Callable[[], dict[str, float]], emit: Callable[[dict[str, Any]], None]
) -> TrainOptions:
    """Returns the options with the precision that all trials of a run have.

    What was chosen is an event `precision` of the journal, so that a run that goes on does not time again. Of several
    workers the first one chooses.

    Args:
        options: Options; those that ask for float32 come back as they are.
        run: Open for writing.
        time_both: Returns the seconds of a step by precision, see `time_steps`; called for `auto` only.
        emit: Receives a message with the choice and its reason, when it is made.
    """
    asked = options.precision
    if asked in (None, "float32"):
        return options
    workers = get_workers(options.strategy)
    known = [event for event in run.events("precision") if event["asked"] == asked]
    event: Any = known[-1] if known else None
    if event is None and workers.chief:
        event = {"event": "precision", "asked": asked, **choose(asked, time_both)}
    event = workers.from_chief(event)
    if not known:
        run.append(event)
        emit({"event": "message", "text": f"precision {event['precision']}: {event['reason']}"})
    return dataclasses.replace(options, precision=event["precision"])


def choose(asked: str, time_both: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """Returns the precision to train in, and why.

    Args:
        asked: `float32`, `bfloat16`, which is obeyed also where it is slow, or `auto`: bfloat16 where a training step
            is faster by `GAIN`, else float32.
        time_both: Returns the seconds of a step by precision.

    Returns:
        `precision`, `reason`, and `float32_over_bfloat16`: the ratio of times, None where none was taken.
    """
    lack = lacking()
    if asked == "bfloat16" and lack is not None:
        return _choice(asked, f"as asked for, but {lack}: float32 would be faster")
    if asked != "auto":
        return _choice(asked, "as asked for")
    if lack is not None:
        return _choice("float32", lack)
    try:
        seconds = time_both()
    except Exception as error:  # whatever code of the user's, or an operation, says to bfloat16
        return _choice("float32", f"a step cannot be timed: {type(error).__name__}: {error}")
    ratio = seconds["float32"] / seconds["bfloat16"]
    reason = f"a step in float32 takes {ratio:.2f} times as long as in bfloat16, which is taken from {GAIN} on"
    return _choice("bfloat16" if ratio >= GAIN else "float32", reason, round(ratio, 3))


def _choice(precision: str, reason: str, ratio: float | None = None) -> dict[str, Any]:
    return {"precision": precision, "reason": reason, "float32_over_bfloat16": ratio}


def lacking() -> str | None:
    """Returns the words that the device has no bfloat16 arithmetic, or None: it has, or there is no telling."""
    graphics = tf.config.list_physical_devices("GPU")
    if graphics:
        capability = tf.config.experimental.get_device_details(graphics[0]).get("compute_capability")
        if capability is None or tuple(capability) >= _AMPERE:
            return None
        return f"this GPU (compute capability {capability[0]}.{capability[1]}) has no bfloat16 arithmetic"
    flags = _processor_flags()
    return None if not flags or flags & _FLAGS else "this processor has no bfloat16 instructions"


def _processor_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Returns what Linux says that the processor can; elsewhere nothing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    found = [line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))]
    return set(found[0].split()) if found else set()


def time_steps(
    make: Make, part: Part, layout: Layout, batch_size: int, options: TrainOptions, epochs: int = 1
) -> dict[str, float]:
    """Times a training step of a model in both precisions, in turn.

    The step is that of the training: look-ups, casts, loss and optimizer are in it, and XLA where a training of so many
    epochs would come to use it, which it does in float32 only. Tables are small ones, and the first rows are the batch
    each time. Takes some two seconds, most of it to trace.

    Args:
        make: Returns the model for a layout; called once in each precision.
        part: Training rows.
        layout: Columns of the rows.
        batch_size: Rows of a step.
        options: How to train.
        epochs: Epochs of a training.

    Returns:
        For `float32` and `bfloat16` the seconds of the fastest step.
    """
    layout, options = _with_small_tables(layout), options.resolved()
    steps = {}
    for precision in _POLICIES:
        with using_precision(precision):
            model = compile_model(make(layout), layout, options)
        batch = _batch(model, part, layout, batch_size)
        steps[precision] = _steps(_step(model, batch, batch_size, epochs * -(-part.rows // batch_size)), batch)
    for run in steps.values():
        _seconds(run, 1)  # traces
    once = min(_seconds(run, 1) for run in steps.values())
    begin, count = time.perf_counter(), max(1, int(_ROUND / once))
    best = dict.fromkeys(steps, float("inf"))
    for number in range(_ROUNDS):
        if number > 1 and time.perf_counter() - begin > _SECONDS:
            break
        for precision, run in steps.items():
            best[precision] = min(best[precision], _seconds(run, count))
    return best


def _with_small_tables(layout: Layout) -> Layout:
    most = max(_ROWS // max(len(layout.ids) + len(layout.lists), 1), 2)
    ids = tuple(dataclasses.replace(column, size=min(column.size, most)) for column in layout.ids)
    lists = tuple(dataclasses.replace(column, size=min(column.size, most)) for column in layout.lists)
    return dataclasses.replace(layout, ids=ids, lists=lists)


def _batch(model: Any, part: Part, layout: Layout, batch_size: int) -> Any:
    """Returns inputs and labels of the first rows; ids beyond the small tables count as unknown ones."""
    rows = slice(0, min(batch_size, part.rows))
    x = {name: tf.constant(values) for name, values in part.take(rows, input_groups(model)).items()}
    labels = part.labels[rows]
    y = {target.name: tf.constant(labels[:, i : i + 1]) for i, target in enumerate(layout.targets)}
    return arrange(model, x), y if isinstance(model.output, dict) else y[layout.targets[0].name]


def _step(model: Any, batch: Any, batch_size: int, total: int) -> Any:
    """Returns the step that a training of `total` steps makes most of the time."""
    specs = tf.nest.map_structure(lambda values: tf.TensorSpec((None, *values.shape[1:]), values.dtype), batch)
    compiled = xla.compiled_step(model, batch_size, specs) if xla.pays(model, batch_size, total) else None
    return model.train_step if compiled is None else compiled


def _steps(train_step: Any, batch: Any) -> Callable[[Any], Any]:
    """Returns a compiled function that makes a number of training steps and returns the last loss."""

    @tf.function(autograph=False)
    def run(count: Any) -> Any:
        def step(done: Any, _: Any) -> Any:
            return done + 1, tf.cast(train_step(batch)["loss"], tf.float32)

        return tf.while_loop(lambda done, _: done < count, step, (tf.constant(0), tf.constant(0.0)))[1]

    return run  # type: ignore[no-any-return]


def _seconds(run: Callable[[Any], Any], count: int) -> float:
    begin = time.perf_counter()
    run(tf.constant(count)).numpy()  # a GPU computes behind the call
    return (time.perf_counter() - begin) / count
