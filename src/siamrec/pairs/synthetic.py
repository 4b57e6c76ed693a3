"""Pairs made without feedback, from the texts and attributes of items alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, final, runtime_checkable

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.frames import NO_TIME
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.pairs.base import Generator, TextTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from siamrec.data import Catalog, Feedback
    from siamrec.pairs.miners import Miner

METHODS = ("beginning", "crop", "noise", "attributes")
_LEAST_WORDS = 6
_DROPPED = 0.1


@runtime_checkable
class Synthesizer(Protocol):
    """Writes queries for an item, such as a language model does."""

    def generate(self, item: str, n: int, rng: np.random.Generator) -> Sequence[str]:
        """Return up to `n` queries that the text `item` answers."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic(Generator):
    """Makes queries out of items: beginnings, crops, noisy copies, attributes, or written ones.

    Made pairs have the origin `SYNTHETIC`, no user, and never come into validation.

    Args:
        share: Largest share of synthetic pairs in all, in (0, 1).
        methods: Any of `"beginning"` (the first sentence finds the rest), `"crop"` (half of the
            words in a row find the text), `"noise"` (the text with words dropped and swapped) and
            `"attributes"` (the item's attributes in words find the text).
        synthesizers: Further writers of queries.
        weight: Weight of a synthetic pair beside one from feedback.

    Raises:
        InvalidParameterError: If a number is out of its range or there is nothing to make pairs
            with.
        UnknownNameError: If a method is not known.

    References:
        Lee, Chang, Toutanova (2019), Latent retrieval (inverse cloze); Wei and Zou (2019), EDA.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    share: float = 0.2
    methods: tuple[str, ...] = ("beginning", "crop", "attributes")
    synthesizers: tuple[Synthesizer, ...] = ()
    weight: float = 0.5

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)
        check.positive("weight", self.weight)
        for method in self.methods:
            check.one_of("method", method, METHODS)
        if not (self.methods or self.synthesizers):
            raise InvalidParameterError("methods", self.methods, "one or more, or synthesizers")

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        """Return one synthetic pair for each item with a text, where its text allows one."""
        table = TextTable.of(catalog, feedback.items)
        return self.make(catalog, table, n=int((table.of_item != UNKNOWN).sum()), rng=rng)

    def make(
        self, catalog: Catalog, table: TextTable, *, n: int, rng: np.random.Generator
    ) -> Pairs:
        """Return up to `n` pairs, items and methods drawn in turn.

        Raises:
            InvalidDataError: If no text is long enough for any method.
        """
        spoken = rng.permutation(np.flatnonzero(table.of_item != UNKNOWN))
        order = np.resize(spoken, max(n, 1))
        rows: list[tuple[str, str, int]] = []
        makers: list[object] = [*self.methods, *self.synthesizers]
        for turn, item in enumerate(order[:n].tolist()):  # texts are ragged
            maker = makers[turn % len(makers)]
            made = self._made(maker, catalog, table, item, rng)
            if made is not None and made[0] != made[1]:
                rows.append((*made, item))
        if not rows and n:
            raise InvalidDataError(
                f"Synthetic pairs need texts of at least {_LEAST_WORDS} words or attributes."
            )
        return self._pairs(rows, table)

    def _made(
        self,
        maker: object,
        catalog: Catalog,
        table: TextTable,
        item: int,
        rng: np.random.Generator,
    ) -> tuple[str, str] | None:
        text = table.texts[int(table.of_item[item])]
        if isinstance(maker, Synthesizer):
            queries = list(maker.generate(text, 1, rng))
            return (queries[0], text) if queries and queries[0].strip() else None
        if maker == "attributes":
            return _described(catalog, table.items[item], text)
        words = text.split()
        if len(words) < _LEAST_WORDS:
            return None
        if maker == "beginning":
            return _beginning(text)
        if maker == "crop":
            size = max(3, len(words) // 2)
            begin = int(rng.integers(0, len(words) - size + 1))
            return " ".join(words[begin : begin + size]), text
        return _noisy(words, rng), text

    def _pairs(self, rows: list[tuple[str, str, int]], table: TextTable) -> Pairs:
        n = len(rows)
        texts = Vocabulary.of(
            [*table.texts, *(t for left, right, _ in rows for t in (left, right))]
        )
        item = np.array([row[2] for row in rows], dtype=np.int32)
        none = np.full(n, UNKNOWN, dtype=np.int32)
        return Pairs(
            texts=tuple(map(str, texts.ids)),
            left=texts.encode([row[0] for row in rows]),
            right=texts.encode([row[1] for row in rows]),
            label=np.ones(n, dtype=np.float32),
            weight=np.full(n, self.weight, dtype=np.float32),
            origin=np.full(n, PairOrigin.SYNTHETIC, dtype=np.int8),
            user=none,
            left_item=none,
            right_item=item,
            time=np.full(n, NO_TIME),
            items=table.items,
        )


def finished(
    pairs: Pairs,
    hard_negatives: Miner | None,
    synthetic: Synthetic | None,
    catalog: Catalog,
    *,
    rng: np.random.Generator,
) -> Pairs:
    """Return pairs with mined negatives and synthetic pairs, where they are asked for."""
    if synthetic is not None:
        n = int(len(pairs) * synthetic.share / (1 - synthetic.share))
        table = TextTable.of(catalog, pairs.items)
        pairs = Pairs.concat([pairs, synthetic.make(catalog, table, n=n, rng=rng)])
    return pairs if hard_negatives is None else hard_negatives.mine(pairs)


def _beginning(text: str) -> tuple[str, str] | None:
    for mark in ("\n", ". ", ": ", "; "):
        head, found, rest = text.partition(mark)
        if found and head.strip() and len(rest.split()) >= _LEAST_WORDS // 2:
            return head.strip(), rest.strip()
    return None


def _noisy(words: list[str], rng: np.random.Generator) -> str:
    """Drop a tenth of the words and swap two neighbours."""
    kept = [
        word
        for word, chance in zip(words, rng.random(len(words)), strict=True)
        if chance > _DROPPED
    ]
    kept = kept if len(kept) > 1 else list(words)
    place = int(rng.integers(0, len(kept) - 1))
    kept[place], kept[place + 1] = kept[place + 1], kept[place]
    return " ".join(kept)


def _described(catalog: Catalog, item: object, text: str) -> tuple[str, str] | None:
    place = catalog.items.encode([item], unknown="code")[0]
    said = [_words(column[place]) for column in catalog.attributes.values()]
    said = [words for words in said if words]
    return (", ".join(said), text) if said else None


def _words(value: Any) -> str:
    """Words of an attribute; numbers describe too little to be a query."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, tuple | list):
        return " ".join(str(part) for part in value)
    return ""
