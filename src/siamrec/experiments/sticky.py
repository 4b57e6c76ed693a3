"""Stores that remember the first variant of a unit."""

from __future__ import annotations

from typing import Protocol, final


class StickyStore(Protocol):
    """Remembers the first variant of a unit, so that later changes do not move it."""

    def get(self, experiment: str, unit: str) -> str | None:
        """Return the stored variant, None where there is none."""
        ...

    def put(self, experiment: str, unit: str, variant: str) -> None:
        """Store a variant; a variant that is there already stays."""
        ...


@final
class MemorySticky:
    """A sticky store in this process's memory; mutable."""

    def __init__(self) -> None:
        self._variants: dict[tuple[str, str], str] = {}

    def get(self, experiment: str, unit: str) -> str | None:
        """Return the stored variant, None where there is none."""
        return self._variants.get((experiment, unit))

    def put(self, experiment: str, unit: str, variant: str) -> None:
        """Store a variant; a variant that is there already stays."""
        self._variants.setdefault((experiment, unit), variant)
