"""Optional packages."""

from __future__ import annotations

import math

import pytest

from siamrec._core.lazy import extra
from siamrec.errors import MissingExtraError


def test_an_installed_module_is_returned() -> None:
    assert extra("math", extra="demo", purpose="Counting") is math


def test_a_missing_one_names_the_pip_line() -> None:
    with pytest.raises(
        MissingExtraError, match=r"Drawing needs .* pip install 'siamrec\[plots\]'"
    ):
        extra("no_such_module_anywhere", extra="plots", purpose="Drawing")
