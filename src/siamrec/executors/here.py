"""One call after the other, where one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@final
@dataclass(frozen=True, slots=True)
class Here:
    """Runs each call in the calling thread: the slow definition of every other executor.

    Examples:
        >>> list(Here().map(abs, [-1, 2]))
        [1, 2]
    """

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterator[Any]:
        """Yield `function(x)` for each input, in order; what it raises is raised."""
        return map(function, inputs)
