"""TensorFlow's own messages that say nothing to who uses AutoRec."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly() -> None:
    """Imports TensorFlow without its messages about processor, GPU and drivers.

    A level that the user has set in `TF_CPP_MIN_LOG_LEVEL` is kept, and nothing is then held back.
    """
    if LEVEL in os.environ or "tensorflow" in sys.modules:
        return
    os.environ[LEVEL] = "3"
    # The first messages come from C++ before any level is read.
    with _standard_error_held_back():
        import tensorflow  # noqa: F401


@contextmanager
def _standard_error_held_back() -> Iterator[None]:
    """Holds back what is written to file descriptor 2; an error of the block lets it out."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(before, held.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


@contextmanager
def traced_often() -> Iterator[None]:
    """Drops the warning of functions that are traced anew: each model has its own, and is traced once."""

    def keep(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
