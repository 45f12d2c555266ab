"""What a user wrote reaches another process, or is named when it cannot."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from autorec.errors import ConfigError
from autorec.searchers.transport import cannot_load, pack, unpack


@dataclass
class Given:
    space: Any
    callbacks: Any

    GIVEN: ClassVar = ("space", "callbacks")


def test_lambdas_and_functions_within_functions_arrive() -> None:
    factor = 3
    found = unpack(pack(Given(lambda x: factor * x, [len]), Given.GIVEN))
    assert (found.space(2), found.callbacks[0]("ab")) == (6, 2)


@pytest.mark.parametrize("name", ["space", "callbacks"])
def test_what_cannot_be_sent_is_named(name: str) -> None:
    lock = threading.Lock()
    given = Given(**{"space": 1, "callbacks": 2, name: lambda x: lock})
    with pytest.raises(ConfigError, match=f"`{name}` must be something that can be sent.*cannot pickle.*lock"):
        pack(given, Given.GIVEN)


def test_the_advice_says_what_to_do() -> None:
    error = cannot_load("ModuleNotFoundError: No module named 'mine'")
    assert "No module named 'mine'" in str(error)
    assert "leave out `workers`" in str(error)


SCRIPT = """
import sys
import keras
from autorec.searchers.transport import pack

@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def build(x):
    return Doubled()(x)

open(sys.argv[1], "wb").write(pack(build))
"""


@pytest.mark.long
def test_layers_of_a_script_are_known_to_keras_where_they_arrive(tmp_path: Path) -> None:
    import keras

    script, packed = tmp_path / "script.py", tmp_path / "packed"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, str(script), str(packed)], check=True)
    doubled = unpack(packed.read_bytes())(keras.ops.ones((1, 1)))
    assert keras.ops.convert_to_numpy(doubled).tolist() == [[2.0]]
    assert keras.saving.get_registered_object("mine>Doubled") is not None
