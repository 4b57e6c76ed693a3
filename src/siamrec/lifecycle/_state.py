"""What a placement serves between two changes of its configuration, release or catalogue."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy import sparse

from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.experiments import HashAssigner
from siamrec.lifecycle._draft import Pool
from siamrec.lifecycle._groups import in_tail
from siamrec.lifecycle.eligibility import Gate, Shelf, Wish
from siamrec.lifecycle.recommendation import FALLBACK
from siamrec.lifecycle.release import Release, genres_of, memberships, places_of
from siamrec.models.recommenders import Histories, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from siamrec.data import Catalog
    from siamrec.experiments import Experiment
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.protocols import Clock
    from siamrec.rerank import Pipeline
    from siamrec.storage import Heads
    from siamrec.typing import Id, Instant, IntArray

_MOST_PIPELINES = 100


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What serves between two changes."""

    heads: Heads
    config: Placement
    release: Release | None
    catalog: Catalog
    removed: AbstractSet[Id]
    shelf: Shelf
    trouble: str
    genres: Mapping[Id, tuple[str, ...]]
    places: Mapping[str, IntArray | None]
    inputs: Mapping[str, Any]
    belief: str
    pipelines: dict[float | None, Pipeline | None]
    """Made on first use; a race makes one twice."""
    experiment: Experiment | None
    variants: Mapping[str, Placement]
    """What each variant shows, where that differs."""
    assigner: HashAssigner | None
    variant: str | None
    silent: frozenset[str]
    """Arms that have nothing to say of somebody without a history."""
    alias: str
    """Alias whose release is that of the heads."""

    @classmethod
    def of(
        cls,
        heads: Heads,
        *,
        config: Placement,
        release: Release | None,
        catalog: Catalog,
        removed: AbstractSet[Id],
        trouble: str,
        experiment: Experiment | None,
        variant: str | None,
        clock: Clock,
        shelf: Shelf | None = None,
    ) -> State:
        """Return what serves under these heads; `trouble` says why there is no release.

        A shelf is one of the same catalogue and release; it is made anew when absent.
        """
        genres = genres_of(catalog)
        items = Vocabulary(()) if release is None else release.items
        parts = {} if release is None else {**release.arms, FALLBACK: release.fallback}
        inputs: dict[str, Any] = {}
        tail = None if release is None else in_tail(release.popularity)
        if release is not None:
            inputs = {
                "embeddings": release.vectors,
                "popularity": release.popularity,
                "quality": release.quality,
            }
            if all(id_ in genres for id_ in items.ids):
                inputs["categories"] = memberships(items, genres)
        return cls(
            heads=heads,
            config=config,
            release=release,
            catalog=catalog,
            removed=removed,
            shelf=Shelf(catalog, removed, items, tail) if shelf is None else shelf,
            trouble=trouble,
            genres=genres,
            places={name: places_of(arm, items) for name, arm in parts.items()},
            inputs=inputs,
            belief=config.belief,
            pipelines={},
            experiment=experiment,
            variants={
                name: config.of_variant(name, each) for name, each in config.variants.items()
            },
            assigner=None if experiment is None else HashAssigner([experiment], clock=clock),
            variant=variant,
            silent=frozenset() if release is None else _silent(release),
            alias=config.alias,
        )

    def speaks(self, arm: str, user: Id | None) -> bool:
        """Return whether an arm can say anything of somebody who has done nothing yet."""
        known = self.release is not None and user in self.release.arms[arm].users
        return known or arm not in self.silent

    def still_shown(
        self, shown: Recommendation, *, users: Sequence[Id], blocked: Sequence[Id], now: Instant
    ) -> Recommendation:
        """Return a list that was served before without what may not be shown any more."""
        gate = Gate(self.shelf)
        gate.apply(Wish(blocked=blocked), users=users, now=now)
        code = self.shelf.items.encode(shown.items, unknown="code").tolist()
        kept = [place for place, item in enumerate(code) if item < 0 or gate.left[item]]
        if len(kept) == len(shown.items):
            return shown
        columns: dict[str, Any] = {
            name: tuple(getattr(shown, name)[place] for place in kept)
            for name in ("items", "scores", "sources", "shares")
            if getattr(shown, name)
        }
        return replace(shown, **columns)

    @property
    def allocation(self) -> int | None:
        """Version of the shares by which users get their variants."""
        return None if self.variant is None or self.experiment is None else self.experiment.version

    def assigned(self, user: str | int | None, query: str | None) -> str | None:
        """Return the variant of a request; None outside of every experiment."""
        unit: str | int | None = user
        if self.config.unit == "query":
            unit = None if query is None else normalised(query)
        if self.assigner is None or unit is None:
            return None
        return self.assigner.assign(unit, context={}).variant

    def pipeline(self, diversity: float | None) -> Pipeline | None:
        """Return the re-ranking with so much diversity."""
        if diversity not in self.pipelines:
            if len(self.pipelines) > _MOST_PIPELINES:
                self.pipelines.clear()
            self.pipelines[diversity] = self.config.pipeline(diversity)
        return self.pipelines[diversity]

    def reranked(self, pipeline: Pipeline, pool: Pool, met: Sequence[Id], k: int) -> Pool:
        """Return the candidates of one arm in their new order."""
        release = self.release
        assert release is not None
        lists = Rankings(
            users=Vocabulary((0,)),
            items=release.items,
            item=pool.item.astype(np.int32),
            start=np.array([0, pool.item.size]),
            score=pool.score,
        )
        history = Truth.from_lists({0: [item for item in met if item in release.items]})
        made = pipeline.rerank(lists, k=min(k, pool.item.size), history=history, **self.inputs)
        score = np.empty(0) if made.score is None else made.score
        return Pool(made.item.astype(np.int64), score)


def _silent(release: Release) -> frozenset[str]:
    """Return the arms that score everything alike for somebody without a history."""
    found = set()
    for name, arm in release.arms.items():
        n_items = len(arm.items)
        nobody = Histories(sparse.csr_array((1, n_items), dtype=np.float32))
        every = np.ones(n_items, dtype=np.bool_)
        with suppress(Exception):  # an arm of whoever, which serving sets aside when it fails
            item, _ = arm.best(nobody, k=1, allowed=every, exclude_seen=False)
            found |= set() if item.size else {name}
    return frozenset(found)
