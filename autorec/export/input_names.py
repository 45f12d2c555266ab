"""Names of a SavedModel's inputs: the columns' own, also those that TensorFlow would not take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

SIGNATURE = "serving_default"


def graph_names(columns: Sequence[str]) -> dict[str, str]:
    """Returns for each column the name of its input while the graph is made.

    TensorFlow makes node names of them: it refuses some, changes others, and takes `a b` and `a_b`, or `A` and `a`, for
    one. Where any column is such, all are numbered, and `name_inputs` gives them their names back.
    """
    plain = all(re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) for name in columns)
    if plain and "self" not in columns and len({name.lower() for name in columns}) == len(columns):
        return {name: name for name in columns}
    return {name: f"column_{i}" for i, name in enumerate(columns)}


def input_names(columns: Sequence[str]) -> dict[str, str]:
    """Returns for each column the name of its input in the saved signature.

    It is the column's own, but for names by which no loaded signature could be called from Python: an empty one,
    `self`, and the second of two that differ in signs only, such as `a b` beside `a_b`. Those are numbered.
    """
    taken = {"self", ""}
    found = {}
    for name in sorted(columns, key=lambda name: _as_argument(name) != name):
        if name in taken or _as_argument(name) in taken:
            continue
        found[name] = name
        taken |= {name, _as_argument(name)}
    for i, name in enumerate(columns):
        key = f"column_{i}"
        while name not in found and key in taken:
            key += "_"
        taken.add(key)
        found.setdefault(name, key)
    return {name: found[name] for name in columns}


def _as_argument(name: str) -> str:
    """Returns what TensorFlow makes of a name when it binds the arguments of a call."""
    word = re.sub(r"\W", "_", name)
    return word if word[:1].isalpha() else f"arg_{word}"


def name_inputs(folder: Path, columns: Sequence[str]) -> None:
    """Gives the inputs of a SavedModel that was saved with `graph_names` the names of `input_names`."""
    final = input_names(columns)
    renamed = {key: final[name] for name, key in graph_names(columns).items()}
    if any(key != name for key, name in renamed.items()):
        _rename(folder / "saved_model.pb", renamed)
        (folder / "fingerprint.pb").unlink(missing_ok=True)  # of the file as it was


def _rename(path: Path, renamed: Mapping[str, str]) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        inputs = graph.signature_def[SIGNATURE].inputs
        tensors = {name: inputs[key].SerializeToString() for key, name in renamed.items()}
        inputs.clear()
        for name, tensor in tensors.items():
            inputs[name].ParseFromString(tensor)
        for node in graph.object_graph_def.nodes:
            words = node.bare_concrete_function.argument_keywords
            if node.WhichOneof("kind") == "bare_concrete_function" and set(words) == set(renamed):
                words[:] = [renamed[word] for word in words]
    path.write_bytes(saved.SerializeToString(deterministic=True))
