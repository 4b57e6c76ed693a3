"""What tells one encoder from another, where that costs nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamrec.protocols import SiameseEncoder


def identity_of(encoder: SiameseEncoder) -> dict[str, Any]:
    """Return dim and first digits of the fingerprint; nothing while a model is not loaded yet."""
    base: Any = encoder
    while hasattr(base, "base"):
        base = base.base
    waiting = isinstance(getattr(type(base), "model", None), cached_property)
    if waiting and "model" not in vars(base):
        return {}
    return {"dim": encoder.dim, "fingerprint": encoder.fingerprint[:12]}
