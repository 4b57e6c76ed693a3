"""What a processor says of itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from siamrec._core.processor import multiplies


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ({}, set()),
        ({"_is_vnni_supported": True}, {"int8"}),
        ({"_is_avx512_bf16_supported": True, "_is_vnni_supported": False}, {"bfloat16"}),
        ({"_is_amx_tile_supported": True}, {"bfloat16", "int8"}),
    ],
)
def test_what_is_said_is_believed(said: dict[str, bool], kinds: set[str]) -> None:
    cpu = SimpleNamespace(**{name: lambda value=value: value for name, value in said.items()})
    assert {kind for kind in ("bfloat16", "int8") if multiplies(kind, cpu)} == kinds
