"""Checks of arguments that many blocks take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autorec.blocks.checks import flag, share, whole
from autorec.errors import ConfigError


@pytest.mark.parametrize(
    ("check", "value", "kind"),
    [(whole, np.int64(3), int), (flag, np.bool_(False), bool), (share, 0, float), (share, np.float32(0.5), float)],
)
def test_a_value_becomes_a_plain_one(check: Callable[..., Any], value: Any, kind: type) -> None:
    found = check("argument", value)
    assert (type(found), found) == (kind, value)


def test_the_least_whole_number_is_allowed() -> None:
    assert whole("argument", 0, least=0) == 0


@pytest.mark.parametrize(
    ("check", "value"),
    [(whole, 0), (whole, 1.0), (whole, True), (whole, "2"), (whole, None)]
    + [(flag, 0), (flag, None), (flag, "False")]
    + [(share, 1), (share, -0.1), (share, False), (share, "0.5"), (share, float("nan"))],
)
def test_what_is_not_allowed_is_named(check: Callable[..., Any], value: Any) -> None:
    with pytest.raises(ConfigError, match=r"`argument` must be .* got"):
        check("argument", value)
