"""Errors say what is wrong, what is allowed and what was received."""

from __future__ import annotations

import pytest

from autorec.errors import ConfigError, DataError, MissingExtraError, nearest, require, unknown_name


def test_a_data_error_names_file_row_and_column() -> None:
    error = DataError("is text", file="a.csv", row=3, column="price")
    assert str(error) == "file 'a.csv', row 3, column 'price': is text"
    assert (error.file, error.row, error.column) == ("a.csv", 3, "price")


def test_a_configuration_error_names_argument_allowed_and_received() -> None:
    assert str(ConfigError("dim", "positive", -1, "Try 8.")) == "`dim` must be positive, got -1. Try 8."


def test_an_unknown_name_comes_with_the_nearest() -> None:
    assert "Did you mean 'deepfm'?" in str(unknown_name("space", "depfm", ["deepfm", "lr"]))
    assert nearest("xyz", ["deepfm"]) == ""


def test_a_missing_extra_is_named_with_how_to_install_it() -> None:
    with pytest.raises(
        MissingExtraError, match=r"Serving needs the package 'no_such_package'.*pip install 'autorec\[serve\]'"
    ):
        require("no_such_package", "serve", "Serving")
    require("json", "serve", "Serving")
