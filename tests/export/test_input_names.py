"""Columns keep their names in a signature, whatever they are called."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import tensorflow as tf

from autorec.export.input_names import SIGNATURE, graph_names, input_names, name_inputs


def saved(folder: Path, columns: list[str]) -> object:
    keys = graph_names(columns)

    def lengths(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found = [tf.strings.length(inputs[key]) * 10**i for i, key in enumerate(keys.values())]
        return {"sum": tf.add_n(found)}

    specs = {key: tf.TensorSpec((None,), tf.string, name=key) for key in keys.values()}
    function = tf.function(lengths, autograph=False).get_concrete_function(specs)
    tf.saved_model.save(tf.Module(), str(folder), signatures={SIGNATURE: function})
    name_inputs(folder, columns)
    return tf.saved_model.load(str(folder)).signatures[SIGNATURE]


@pytest.mark.parametrize(
    "columns",
    [
        ["user", "C1"],
        ["user id", "Age", "age", "a/b", "_x", "1", "пол", "x.y"],
        ["a b", "a_b"],
        ["self", "x"],
        ["", "x"],
    ],
)
def test_a_loaded_signature_takes_columns_by_name(tmp_path: Path, columns: list[str]) -> None:
    keys = input_names(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = saved(tmp_path / "model", columns)
        found = signature(**{keys[name]: tf.constant(["x" * (i + 1)]) for i, name in enumerate(columns)})
    assert int(found["sum"][0]) == sum((i + 1) * 10**i for i in range(len(columns)))


def test_plain_names_stay_as_they_are() -> None:
    assert graph_names(["user", "C1", "a_b"]) == {"user": "user", "C1": "C1", "a_b": "a_b"}


@pytest.mark.parametrize("columns", [["A", "a"], ["a b"], ["self"], ["1"], ["_a"]])
def test_names_that_tensorflow_would_change_are_numbered_in_the_graph(columns: list[str]) -> None:
    assert list(graph_names(columns).values()) == [f"column_{i}" for i in range(len(columns))]


def test_only_names_that_python_cannot_pass_are_numbered_in_the_signature() -> None:
    found = input_names(["a b", "a_b", "self", "user id", ""])
    assert found == {"a b": "column_0", "a_b": "a_b", "self": "column_2", "user id": "user id", "": "column_4"}


def test_a_number_never_takes_the_name_of_a_column() -> None:
    found = input_names(["self", "column_0"])
    assert found["column_0"] == "column_0"
    assert len(set(found.values())) == 2
