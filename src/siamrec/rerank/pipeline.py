"""Score adjusters, then a selector: candidates in, lists out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final, overload

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table
from siamrec.data import frames
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.rerank._book import step
from siamrec.rerank._picks import in_order_of_score
from siamrec.rerank.base import Adjuster, Selector
from siamrec.rerank.candidates import Candidates, Inputs
from siamrec.rerank.normalise import RULES, best_places, normalised

if TYPE_CHECKING:
    from typing import Self

    from siamrec._core.book import Named
    from siamrec.data.item_columns import ItemNames, ItemNumbers, ItemVectors
    from siamrec.data.rankings import Rankings
    from siamrec.data.truth import Truth
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Explained(Record):
    """Lists with the parts of each place's score.

    Args:
        rankings: The lists; their scores are the adjusted ones, the sum of the parts.
        parts: For each name a number for each place: `"score"` is the normalised score of the
            candidate, the others what each adjuster added.
        gain: What the selector saw in each place when it took it; the adjusted score where there
            is no selector.
    """

    rankings: Rankings
    parts: Mapping[str, FloatArray]
    gain: FloatArray

    @override
    def title(self) -> str:
        return f"Explained {self.rankings.title()}"

    def to_arrow(self) -> Any:
        """Return a pyarrow table: user, item, rank from 1, each part, total and gain."""
        lists = self.rankings
        return frames.arrow_table(
            {
                "user": lists.users.decode(lists.owner),
                "item": lists.items.decode(lists.item),
                "rank": lists.rank + 1,
                **self.parts,
                "total": lists.score if lists.score is not None else np.zeros(lists.item.size),
                "gain": self.gain,
            }
        )


@final
class Pipeline(Shown):
    """Re-rank the candidates of many users.

    The scores of each user are normalised, each adjuster adds its part, and the selector picks
    the list; without a selector the best by adjusted score are taken.

    Args:
        *steps: Adjusters, in order, and at most one selector, which comes last; as objects or by
            name, such as `"popularity-damping:strength=0.1"`, `"mmr"`.
        normalise: How scores of different users are brought onto one scale: `"minmax"`,
            `"zscore"`, `"rank"` or `"none"`.

    Raises:
        siamrec.errors.InvalidParameterError: If there is no step, or one after the selector.
        siamrec.errors.UnknownNameError: If the rule is unknown.

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> from siamrec.rerank import MMR, PopularityDamping
        >>> candidates = Rankings.from_lists(
        ...     {"ann": ["hit", "twin", "gem"]}, scores={"ann": [0.9, 0.8, 0.6]}
        ... )
        >>> vectors = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]
        >>> steps = Pipeline(PopularityDamping(strength=0.2), MMR(trade_off=0.5))
        >>> steps.rerank(candidates, k=2, embeddings=vectors, popularity=[900, 10, 5]).lists()
        {'ann': ['hit', 'gem']}
    """

    def __init__(self, *steps: Adjuster | Selector | Named, normalise: str = "minmax") -> None:
        if not steps:
            raise InvalidParameterError("steps", steps, "one or more adjusters and selectors")
        made = [step(each) for each in steps]
        if any(isinstance(each, Selector) for each in made[:-1]):
            raise InvalidParameterError("steps", steps, "adjusters before one selector at the end")
        self._adjusters = tuple(each for each in made if isinstance(each, Adjuster))
        self._selector = made[-1] if isinstance(made[-1], Selector) else None
        self._normalise = check.one_of("normalise", normalise, RULES)

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pipeline):
            return NotImplemented
        return self.steps == other.steps and self._normalise == other._normalise

    @override
    def __hash__(self) -> int:
        return hash((tuple(type(each) for each in self.steps), self._normalise))

    def to_config(self) -> dict[str, Any]:
        """Return steps and rule as JSON values; `from_config` gives the pipeline back.

        Raises:
            siamrec.errors.InvalidParameterError: If a step holds a live object, such as what was
                shown so far, or nobody has registered it.
        """
        steps = [each.to_config() for each in self.steps]
        return {"steps": steps, "normalise": self._normalise}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the pipeline that `to_config` wrote.

        Raises:
            siamrec.errors.UnknownNameError: If a setting, or the name of a step, is not known.
            siamrec.errors.MissingInputError: If there are no steps in it.
        """
        given = dict(check.kind("config", config, Mapping))
        for name in given:
            check.one_of("setting of the pipeline", name, ("steps", "normalise"))
        if "steps" not in given:
            raise MissingInputError("steps of the pipeline", "{'steps': ['mmr']}")
        return cls(*check.many("steps", given.pop("steps"), what="steps"), **given)

    @override
    def title(self) -> str:
        return f"Pipeline: {', '.join(type(each).__name__ for each in self.steps)}"

    @override
    def table(self) -> Table:
        """Return the steps in their order."""
        rows = ((n, repr(each)) for n, each in enumerate(self.steps, 1))
        notes = (f"scores are normalised by {self._normalise}",)
        return Table(head=("step", "recipe"), rows=tuple(rows), title=self.title(), notes=notes)

    @property
    def steps(self) -> tuple[Adjuster | Selector, ...]:
        """The steps in order."""
        last = () if self._selector is None else (self._selector,)
        return (*self._adjusters, *last)

    @overload
    def rerank(
        self,
        candidates: Rankings,
        *,
        k: int,
        embeddings: ItemVectors | None = None,
        popularity: ItemNumbers | None = None,
        quality: ItemNumbers | None = None,
        categories: ItemNames | None = None,
        groups: ItemNames | None = None,
        history: Truth | None = None,
        explain: Literal[False] = False,
    ) -> Rankings: ...

    @overload
    def rerank(
        self,
        candidates: Rankings,
        *,
        k: int,
        embeddings: ItemVectors | None = None,
        popularity: ItemNumbers | None = None,
        quality: ItemNumbers | None = None,
        categories: ItemNames | None = None,
        groups: ItemNames | None = None,
        history: Truth | None = None,
        explain: Literal[True],
    ) -> Explained: ...

    def rerank(
        self,
        candidates: Rankings,
        *,
        k: int,
        embeddings: ItemVectors | None = None,
        popularity: ItemNumbers | None = None,
        quality: ItemNumbers | None = None,
        categories: ItemNames | None = None,
        groups: ItemNames | None = None,
        history: Truth | None = None,
        explain: bool = False,
    ) -> Rankings | Explained:
        """Return a list of at most `k` items for each user, or the list and its reasons.

        Per-item inputs are arrays in the order of `candidates.items`, or mappings from item id.

        Args:
            candidates: Scored candidates of each user, in any order.
            k: Length of the lists, above 0.
            embeddings: Vector of each item.
            popularity: Number of past interactions of each item.
            quality: Mean rating of each item.
            categories: Categories of each item: a 0/1 matrix, or a mapping to names.
            groups: One group of each item.
            history: What each user did before.
            explain: Whether to return the parts of each score too.

        Raises:
            siamrec.errors.MissingInputError: If a step needs an input that is not given.
            siamrec.errors.InvalidDataError: If candidates or inputs do not fit.
        """
        check.count("k", k)
        inputs = Inputs(
            embeddings=embeddings,
            popularity=popularity,
            quality=quality,
            categories=categories,
            groups=groups,
            history=history,
        )
        table = Candidates(candidates, inputs)
        score = normalised(table, self._normalise)
        parts = {"score": score}
        for adjuster in self._adjusters:
            part = adjuster.shift(table, score)
            name = _free(adjuster.name, parts)
            parts[name] = part
            score = score + part
        if self._selector is None:
            places = best_places(table, score, k)
            gain = score[places]
        else:
            # of equal candidates the first is chosen: the one of higher score, then earlier place
            order, in_order = in_order_of_score(table, score)
            chosen_from, gain = self._selector.select(table.reordered(order), in_order, k)
            places = order[chosen_from]
        lists = replace(candidates.places(places), score=score[places])
        if not explain:
            return lists
        chosen = {name: part[places] for name, part in parts.items()}
        return Explained(rankings=lists, parts=chosen, gain=gain)


def _free(name: str, taken: Mapping[str, FloatArray]) -> str:
    """Return a name that is not taken yet: `name`, `name_2`, `name_3` ..."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
