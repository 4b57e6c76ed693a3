"""The contracts of pair generators and miners, and the recipe steps that generators share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final, runtime_checkable

import numpy as np

from siamrec._core import check
from siamrec._core.recipe import Recipe
from siamrec.data import Catalog, Feedback, Pairs
from siamrec.data.liking import acted
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec.protocols import DocumentStore, SiameseEncoder
    from siamrec.typing import BoolArray, CodeArray


class Generator(Recipe, ABC):
    """A recipe that turns feedback into training pairs; it holds settings and never changes."""

    __slots__ = ()
    doors: ClassVar[Mapping[str, Mapping[str, type]]] = {
        "generate": {"feedback": Feedback, "catalog": Catalog, "rng": np.random.Generator}
    }
    taken: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"feedback": acted}
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    @abstractmethod
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        """Return training pairs.

        Args:
            feedback: What users did.
            catalog: Texts of the items; items without a text give no pairs.
            rng: The only source of chance.

        Raises:
            InvalidDataError: If the feedback cannot give enough pairs.
        """


@runtime_checkable
class Miner(Protocol):
    """Finds negatives of positive pairs; `HardNegatives` is one."""

    def mine(self, pairs: Pairs, encoder: SiameseEncoder | None = None) -> Pairs:
        """Return the same pairs, in their order, with `negatives`, -1 where there is none.

        Args:
            pairs: Pairs; no row may be dropped.
            encoder: Says what is near; the miner's own where it is not given.
        """
        ...


class MinerRecipe(Recipe, ABC):
    """A miner that holds settings and never changes; what an author inherits."""

    __slots__ = ()
    doors: ClassVar[Mapping[str, Mapping[str, type]]] = {"mine": {"pairs": Pairs}}
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    @abstractmethod
    def mine(self, pairs: Pairs, encoder: SiameseEncoder | None = None) -> Pairs:
        """Return the same pairs with `negatives`; arguments as for `Miner`."""


_PARTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "weights": (("__call__",), "something that weighs feedback, such as QualityWeights()"),
    "documents": (("texts",), "a store of documents, which finds texts by their ids"),
    "encoder": (("dim", "fingerprint", "encode"), "an encoder such as HashingEncoder(), no name"),
    "minimum": (("require",), "MinimumCounts(...)"),
}


def require_parts(recipe: Recipe, *names: str) -> None:
    """Refuse a recipe whose fields hold something else than the parts that they are for.

    Raises:
        InvalidParameterError: If a part lacks what will be asked of it.
    """
    for name in names:
        part = getattr(recipe, name)
        if part is not None or name == "minimum":
            needed, what = _PARTS[name]
            check.methods(name, part, needed, what=what)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumCounts:
    """The fewest pairs worth training on.

    Args:
        positive: Pairs that belong together.
        negative: Pairs that do not.
        total: Pairs of both kinds.
    """

    positive: int = 50
    negative: int = 50
    total: int = 100

    def __post_init__(self) -> None:
        for name in ("positive", "negative", "total"):
            check.count(name, getattr(self, name), least=0)

    def require(self, *, positive: int, negative: int, source: str) -> None:
        """Pass when there are enough pairs.

        Raises:
            InvalidDataError: If there are too few; the message says how many of each there are
                and what to lower.
        """
        have = {"positive": positive, "negative": negative, "total": positive + negative}
        short = [name for name, count in have.items() if count < getattr(self, name)]
        if not short:
            return
        needed = ", ".join(f"{getattr(self, name)} {name}" for name in short)
        lower = ", ".join(f"{name}={have[name]}" for name in short)
        raise InvalidDataError(
            f"{source} gave {positive} positive and {negative} negative pairs, but at least "
            f"{needed} are asked for; bring more feedback or lower minimum to "
            f"MinimumCounts({lower})."
        )


@final
@dataclass(frozen=True, slots=True)
class TextTable:
    """Distinct texts of a catalogue and the place of each item's text.

    Args:
        texts: Distinct texts.
        of_item: Code of each item's text, -1 where it has none, in the order of `items`.
        items: The items.
    """

    texts: tuple[str, ...]
    of_item: CodeArray
    items: Vocabulary

    @classmethod
    def of(cls, catalog: Catalog, items: Vocabulary) -> TextTable:
        """Return the texts of `items` in a catalogue.

        Raises:
            InvalidDataError: If no item has a text.
        """
        place = items.translate(catalog.items).tolist()
        listed = [None if code == UNKNOWN else catalog.text[code] for code in place]
        return cls._of_texts(listed, items, "catalog")

    @classmethod
    def of_store(cls, store: DocumentStore, items: Vocabulary) -> TextTable:
        """Return the texts of `items` in a store of documents.

        Raises:
            InvalidDataError: If no item has a text, or the store answers for another number.
        """
        listed = store.texts(list(items.ids))
        if len(listed) != len(items):
            raise InvalidDataError(
                f"documents must answer for each of {len(items)} ids, got {len(listed)} texts."
            )
        return cls._of_texts(listed, items, "documents")

    @classmethod
    def _of_texts(cls, listed: Sequence[str | None], items: Vocabulary, source: str) -> TextTable:
        listed = [text if text is not None and text.strip() else None for text in listed]
        table = Vocabulary.of(text for text in listed if text is not None)
        if not len(table):
            raise InvalidDataError(
                f"{source} must have a text for at least one of the {len(items)} items of the "
                "feedback, got none; check that both use the same ids."
            )
        texts = tuple(str(text) for text in table.ids)
        return cls(texts, table.encode(listed, unknown="code"), items)


def capped(group: CodeArray, most: int, rng: np.random.Generator) -> BoolArray:
    """Return a mask that keeps at most `most` rows of each group, drawn at random."""
    order = rng.permutation(group.size)
    order = order[np.argsort(group[order], kind="stable")]
    ordered = group[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if order.size else order
    size = np.diff(np.r_[start, order.size])
    rank = np.arange(order.size) - np.repeat(start, size)
    keep = np.zeros(group.size, dtype=np.bool_)
    keep[order[rank < most]] = True
    return keep
