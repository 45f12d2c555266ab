"""What every test shares: a fresh Keras session and the folder of real data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(autouse=True)
def fresh_keras_session() -> Iterator[None]:
    """Clears Keras's global state behind each test that used it."""
    yield
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "utils"):
        keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped without it."""
    folder = os.environ.get("AUTOREC_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AUTOREC_DATA does not name a folder of data sets")
    return Path(folder)
