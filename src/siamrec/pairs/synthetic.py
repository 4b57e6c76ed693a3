"""Pairs made without feedback, from the texts and attributes of items alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import Formatter
from typing import TYPE_CHECKING, ClassVar, Protocol, final, runtime_checkable

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.data.frames import NO_TIME
from siamrec.data.liking import Threshold, liked, require_threshold, speakers, threshold
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.pairs._book import MINERS, PAIR_GENERATORS
from siamrec.pairs.base import Generator, TextTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from siamrec._core.book import Named
    from siamrec.data import Catalog, Feedback
    from siamrec.pairs.base import Miner
    from siamrec.typing import CodeArray

METHODS = ("beginning", "crop", "noise", "attributes", "neighbours")
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
            words in a row find the text), `"noise"` (the text with words dropped and swapped),
            `"attributes"` (the item's attributes in words find the text) and `"neighbours"` (the
            first sentence of the item that most users like together with it finds the text). What
            neighbours know comes from users, so this method works on the feedback of training
            alone: call `generate` with it, after splitting.
        templates: Sentences with attributes in braces, such as `"a {genres} film of {year}"`; an
            item that lacks one of them is passed over.
        synthesizers: Further writers of queries.
        weight: Weight of a synthetic pair beside one from feedback.
        positive: Least rating of a liked item, for neighbours; thumbs up, clicks and conversions
            are likes. `"scale"` is 4 of 5 and the same share of other scales; None counts every
            event but a thumb down.

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
    templates: tuple[str, ...] = ()
    synthesizers: tuple[Synthesizer, ...] = ()
    weight: float = 0.5
    positive: Threshold = "scale"

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)
        check.positive("weight", self.weight)
        require_threshold("positive", self.positive)
        for maker in check.many("synthesizers", self.synthesizers, what="synthesizers"):
            check.methods("synthesizers", maker, ("generate",), what="Synthesizers")
        for method in self.methods:
            check.one_of("method", method, METHODS)
        if not (self.methods or self.templates or self.synthesizers):
            raise InvalidParameterError("methods", self.methods, "one or more, or synthesizers")
        for template in self.templates:
            if not _fields(template):
                raise InvalidParameterError(
                    "template", template, "one with an attribute: {genres}"
                )

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        """Return one synthetic pair for each item with a text, where its text allows one."""
        table = TextTable.of(catalog, feedback.items)
        near = (
            _neighbours(feedback, table, self.positive) if "neighbours" in self.methods else None
        )
        n = int((table.of_item != UNKNOWN).sum())
        return self.make(catalog, table, n=n, near=near, rng=rng)

    def make(
        self,
        catalog: Catalog,
        table: TextTable,
        *,
        n: int,
        near: CodeArray | None = None,
        rng: np.random.Generator,
    ) -> Pairs:
        """Return up to `n` pairs, items and methods drawn in turn.

        Args:
            catalog: Attributes of the items.
            table: Their texts.
            n: Most pairs.
            near: Nearest neighbour of each text, -1 where there is none.
            rng: Draws items, crops and noise.

        Raises:
            InvalidDataError: If no text is long enough for any method.
            InvalidParameterError: If neighbours are asked for and not given.
        """
        if "neighbours" in self.methods and near is None:
            raise InvalidParameterError(
                "methods",
                "neighbours",
                "left out here: it would carry likes of validation users into training; generate "
                "these pairs apart, from the feedback of training",
            )
        spoken = rng.permutation(np.flatnonzero(table.of_item != UNKNOWN))
        order = np.resize(spoken, max(n, 1))
        rows: list[tuple[str, str, int]] = []
        makers: list[object] = [*self.methods, *self.templates, *self.synthesizers]
        for turn, item in enumerate(order[:n].tolist()):  # texts are ragged
            maker = makers[turn % len(makers)]
            made = (
                _of_neighbour(near, table, item)
                if maker == "neighbours" and near is not None
                else self._made(maker, catalog, table, item, rng)
            )
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
        if maker in self.templates:
            return _filled(str(maker), catalog, table.items[item], text)
        return _cut(maker, text, rng)

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
    hard_negatives: Miner | Named | None,
    synthetic: Synthetic | Named | None,
    catalog: Catalog,
    *,
    rng: np.random.Generator,
    table: TextTable | None = None,
) -> Pairs:
    """Return pairs with mined negatives and synthetic pairs, where they are asked for.

    The recipe of the negatives stays with the pairs, so that a split mines those of training again
    without what validation knows. Texts are those of the catalogue unless `table` is given.
    """
    if synthetic is not None:
        maker = _maker(synthetic)
        n = int(len(pairs) * maker.share / (1 - maker.share))
        table = TextTable.of(catalog, pairs.items) if table is None else table
        pairs = Pairs.concat([pairs, maker.make(catalog, table, n=n, rng=rng)])
    if hard_negatives is None:
        return pairs
    miner = MINERS.make(hard_negatives)
    mined = miner.mine(pairs)
    return mined if mined.miner is not None else replace(mined, miner=miner)


def _maker(synthetic: Synthetic | Named) -> Synthetic:
    made = PAIR_GENERATORS.make(synthetic)
    if not isinstance(made, Synthetic):
        raise InvalidParameterError("synthetic", made, "a Synthetic, which needs no feedback")
    return made


def _cut(maker: object, text: str, rng: np.random.Generator) -> tuple[str, str] | None:
    """What is made of the words of a text; None where they are too few."""
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
    if place == UNKNOWN:  # a text from elsewhere
        return None
    said = [_words(column[place]) for column in catalog.attributes.values()]
    said = [words for words in said if words]
    return (", ".join(said), text) if said else None


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _filled(template: str, catalog: Catalog, item: object, text: str) -> tuple[str, str] | None:
    """A template with an item's attributes; None where one, or the item, is missing.

    Raises:
        MissingInputError: If the catalogue has no such attribute.
    """
    place = catalog.items.encode([item], unknown="code")[0]
    if place == UNKNOWN:  # a text from elsewhere
        return None
    said = {}
    for name in _fields(template):
        if name not in catalog.attributes:
            raise MissingInputError(f"The attribute {name!r} of a template", "Catalog.attributes")
        value = catalog.attributes[name][place]
        said[name] = _words(value) or ("" if value is None else str(value)).strip("()")
    return (template.format(**said), text) if all(said.values()) else None


def _of_neighbour(near: CodeArray, table: TextTable, item: int) -> tuple[str, str] | None:
    code = int(table.of_item[item])
    if near[code] == UNKNOWN:
        return None
    other = table.texts[int(near[code])]
    begun = _beginning(other)
    return (other if begun is None else begun[0]), table.texts[code]


def _neighbours(
    feedback: Feedback, table: TextTable, positive: Threshold, *, least_users: int = 3
) -> CodeArray:
    """Text of largest cosine of the users who like it, of those that enough like; or -1."""
    said = speakers(feedback)
    kind, value = feedback.kind[said], feedback.value[said]
    text = table.of_item[feedback.item[said]]
    likes = (text != UNKNOWN) & liked(kind, value, threshold(positive, kind, value))
    n = len(table.texts)
    ones = np.ones(int(likes.sum()), dtype=np.float32)
    shape = (len(feedback.users), n)
    users = sparse.csr_array((ones, (feedback.user[said][likes], text[likes])), shape=shape)
    users.sum_duplicates()
    users.data[:] = 1.0
    together = sparse.coo_array(users.T @ users)
    first, second, both = together.row, together.col, together.data
    count = np.asarray(users.sum(axis=0)).ravel()
    keep = (first != second) & (both >= least_users)
    first, second, both = first[keep], second[keep], both[keep]
    cosine = both / np.sqrt(count[first] * count[second])
    order = np.lexsort((-second, cosine))  # the best comes last and stays
    near = np.full(n, UNKNOWN, dtype=np.int32)
    near[first[order]] = second[order]
    return near


def _words(value: Any) -> str:
    """Words of an attribute; numbers describe too little to be a query."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, tuple | list):
        return " ".join(str(part) for part in value)
    return ""
