"""TensorFlow's messages: held back for commands, let through where they matter."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from autorec.tensorflow_log import traced_often

CODE = "from autorec import tensorflow_log; tensorflow_log.import_quietly(); import sys; sys.modules['tensorflow']"


@pytest.mark.long
def test_tensorflow_starts_without_a_word() -> None:
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=quiet)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_of_the_import_is_seen() -> None:
    code = (
        "import os, sys, types\n"
        "from autorec import tensorflow_log\n"
        "with tensorflow_log._standard_error_held_back():\n"
        "    os.write(2, b'what C++ said'); raise ImportError('no library')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "what C++ said" in done.stderr
    assert "ImportError: no library" in done.stderr


def test_only_the_warning_of_functions_traced_anew_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tensorflow")
    with traced_often():
        logger.warning("5 out of the last 7 calls triggered tf.function retracing.")
        logger.warning("something else")
    logger.warning("6 out of the last 8 calls triggered tf.function retracing.")
    assert [record.getMessage()[:9] for record in caplog.records] == ["something", "6 out of "]
