"""What a placement serves between two changes of its configuration, release or catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.errors import UnknownNameError
from siamrec.experiments import HashAssigner
from siamrec.lifecycle._draft import Pool
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
    from siamrec.typing import BoolArray, Id, Instant, IntArray

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
    trouble: str
    genres: Mapping[Id, tuple[str, ...]]
    places: Mapping[str, IntArray | None]
    shown: BoolArray
    since: IntArray
    until: IntArray
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
    ) -> State:
        """Return what serves under these heads; `trouble` says why there is no release."""
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
        shown, since, until = _eligible(catalog, removed, items)
        return cls(
            heads=heads,
            config=config,
            release=release,
            catalog=catalog,
            removed=removed,
            trouble=trouble,
            genres=genres,
            places={name: places_of(arm, items) for name, arm in parts.items()},
            shown=shown,
            since=since,
            until=until,
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

    def assigned(self, user: str | int | None) -> str | None:
        """Return the variant of a user; None outside of every experiment."""
        if self.assigner is None or user is None:
            return None
        return self.assigner.assign(user, context={}).variant

    def allowed(
        self, exclude: Sequence[Id], among: Sequence[Id] | None, now: Instant
    ) -> BoolArray:
        """Return which items of the release may be shown in one list."""
        items = Vocabulary(()) if self.release is None else self.release.items
        allowed = self.shown & (self.since <= now) & (now < self.until)
        if exclude:
            gone = items.encode(exclude, unknown="code")
            allowed[gone[gone >= 0]] = False
        if among is not None:
            for item in among:
                if item not in items and item not in self.catalog.items:
                    raise UnknownNameError("item of among", str(item), list(items.ids))
            inside = items.encode(among, unknown="code")
            chosen = np.zeros_like(allowed)
            chosen[inside[inside >= 0]] = True
            allowed &= chosen
        return allowed

    def shows(self, item: Id, now: Instant) -> bool:
        """Whether an item that no release knows may be shown."""
        shown, since, until = _eligible(self.catalog, self.removed, Vocabulary((item,)))
        return bool(shown[0] and since[0] <= now < until[0])

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


_ALWAYS, _NEVER = -(2**62), 2**62


def _eligible(
    catalog: Catalog, removed: AbstractSet[Id], items: Vocabulary
) -> tuple[BoolArray, IntArray, IntArray]:
    """Return whether items may be shown at all, and from when until when.

    An item is shown unless it is hidden, was taken out, or is out of its time.
    """
    n = len(items)
    shown = np.array([item not in removed for item in items.ids], dtype=np.bool_)
    since = np.full(n, _ALWAYS, dtype=np.int64)
    until = np.full(n, _NEVER, dtype=np.int64)
    if not len(catalog):
        return shown, since, until
    code = items.translate(catalog.items)
    hidden = catalog.attributes.get("hidden")
    if hidden is not None:
        mask = np.array([bool(why) for why in hidden], dtype=np.bool_)
        shown = shown & ~np.where(code >= 0, mask[code], False)
    bounds = (("available_from", since, _ALWAYS), ("available_until", until, _NEVER))
    for name, bound, none in bounds:
        column = catalog.attributes.get(name)
        if column is not None:
            times = np.array(
                [none if each is None else check.instant(name, each) for each in column], np.int64
            )
            bound[:] = np.where(code >= 0, times[code], none)
    return shown, since, until
