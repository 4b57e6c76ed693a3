"""The special functions of SciPy, loaded when one of them is first called: they load slowly."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    from scipy import special

    found = getattr(special, name)
    globals()[name] = found
    return found
