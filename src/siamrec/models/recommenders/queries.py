"""Queries of people: what an arm that answers them promises, and their vectors."""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.data import Vocabulary
    from siamrec.models.recommenders.capability import Capability
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

_MOST = 10_000
LONGEST_QUERY = 10_000
"""Letters of a query, at most."""


@runtime_checkable
class AnswersQueries(Protocol):
    """A fitted arm that scores items for the text of a query; it has `Capability.QUERY`."""

    items: Vocabulary

    @property
    def capabilities(self) -> Capability:
        """What the arm can do."""

    def score_query(self, query: str) -> Float32Array:
        """Return the score of every item for a query, shape `(n_items,)`.

        An item that the arm cannot rank has the score minus infinity.
        """


def normalised(query: str) -> str:
    """Return a query without what makes two writings of it differ: case, spaces, forms of letters.

    Examples:
        >>> normalised("  Red　SHOES ")
        'red shoes'
    """
    check.text("query", query, longest=LONGEST_QUERY)
    return " ".join(unicodedata.normalize("NFKC", query).casefold().split())


@final
class Ready:
    """Returns an encoder that is at hand; unlike a function made on the spot it can be copied."""

    def __init__(self, encoder: SiameseEncoder) -> None:
        self._encoder = encoder

    def __call__(self) -> SiameseEncoder:
        """Return the encoder."""
        return self._encoder


@final
class QueryReader(Shown):
    """Reads queries as unit vectors with an encoder, and remembers the newest; threads share it.

    Args:
        encoder: Returns the encoder; asked at the first query, since loading one takes seconds.
        most: Queries that are remembered.
    """

    def __init__(self, encoder: Callable[[], SiameseEncoder], *, most: int = _MOST) -> None:
        self._made = encoder
        self._encoder: SiameseEncoder | None = None
        self._most = check.count("most", most)
        self._kept: OrderedDict[str, Float32Array] = OrderedDict()
        self._turn = Lock()

    @override
    def title(self) -> str:
        return f"Reader of queries: {counted(len(self._kept), 'query', 'queries')} remembered"

    @override
    def table(self) -> Table:
        """Return how many queries it remembers."""
        return Table.of(self.title(), {"remembered": len(self._kept), "most": self._most})

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _turn=Lock())

    def vector(self, query: str) -> Float32Array:
        """Return the vector of a query, shape `(dim,)`."""
        with self._turn:
            found = self._kept.get(query)
            if found is None:
                if self._encoder is None:
                    self._encoder = self._made()
                found = self._encoder.encode([query], kind="query")[0]
                self._kept[query] = found
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(query)
            return found
