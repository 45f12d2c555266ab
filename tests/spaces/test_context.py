"""The layout that spaces build for."""

from __future__ import annotations

import pytest

from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.spaces import current_layout, current_schema, using_layout


def test_a_layout_is_current_inside_the_block_only(layout: Layout) -> None:
    with using_layout(layout) as current:
        assert current is current_layout() is layout
        assert current_schema() is None
    with pytest.raises(ConfigError, match="`layout` must be set while a model is built"):
        current_layout()


def test_blocks_may_be_nested(layout: Layout) -> None:
    schema = Schema()
    with using_layout(layout, schema):
        with using_layout(Layout()):
            assert current_layout() == Layout()
        assert current_layout() is layout
        assert current_schema() is schema


def test_an_error_inside_ends_the_block(layout: Layout) -> None:
    with pytest.raises(ZeroDivisionError), using_layout(layout):
        raise ZeroDivisionError
    with pytest.raises(ConfigError, match=r"using_layout\(layout\)"):
        current_schema()
