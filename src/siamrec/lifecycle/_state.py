"""What a placement serves between two changes of its configuration, release or catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.experiments import HashAssigner
from siamrec.lifecycle._draft import Pool
from siamrec.lifecycle.eligibility import Shelf
from siamrec.lifecycle.recommendation import FALLBACK
from siamrec.lifecycle.release import Release, genres_of, memberships, places_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from siamrec.data import Catalog
    from siamrec.experiments import Experiment
    from siamrec.lifecycle.placement import Placement
    from siamrec.protocols import Clock
    from siamrec.rerank import Pipeline
    from siamrec.storage import Heads
    from siamrec.typing import Id, IntArray

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
            shelf=Shelf(catalog, removed, items) if shelf is None else shelf,
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
        )

    @property
    def allocation(self) -> int | None:
        """Version of the shares by which users get their variants."""
        return None if self.variant is None or self.experiment is None else self.experiment.version

    def assigned(self, user: str | int | None) -> str | None:
        """Return the variant of a user; None outside of every experiment."""
        if self.assigner is None or user is None:
            return None
        return self.assigner.assign(user, context={}).variant

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
