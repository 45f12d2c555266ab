"""A search once more, from the configuration of its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from autorec.config import SearchConfig
from autorec.errors import ConfigError
from autorec.repeat import search_from_config
from autorec.run import Run
from tests import fitted


def test_a_search_from_memory_cannot_be_repeated_from_its_configuration_alone(tmp_path: Path) -> None:
    config = SearchConfig.from_dict(Run(fitted.single().directory_, read_only=True).config or {})
    with pytest.raises(ConfigError, match="the path of the rows"):
        search_from_config(config, directory=tmp_path)
    again = search_from_config(config, directory=tmp_path, data=fitted.clicks().drop("like"), progress=False)
    boards = [rec.leaderboard().drop("seconds") for rec in (again, fitted.single())]
    assert boards[0].equals(boards[1])
