"""Making one list: context, draw, candidates, draft, fallback."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import SECOND, Stopwatch, duration
from siamrec.data import Decision
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.lifecycle._draft import Pick, Pool, drafted, drawn, weighted
from siamrec.lifecycle._person import Person
from siamrec.lifecycle.context import context_of
from siamrec.lifecycle.recommendation import FALLBACK, Recommendation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data import Feedback
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._state import State
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.release import Release
    from siamrec.storage import StoredBandit
    from siamrec.typing import BoolArray, Id, Instant

_REST = 30 * SECOND
"""How long an arm that failed is left alone."""
_FRESH = 60 * SECOND
"""How long the popularity of the log is believed where nothing has been trained."""
_MOST_POPULAR = 1_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, checked."""

    user: str | int | None
    id: str
    time: Instant
    k: int | None = None
    n_arms: int | None = None
    diversity: float | None = None
    session: Mapping[str, object] | None = None
    exclude: Sequence[Id] = ()
    among: Sequence[Id] | None = None
    confirm: Literal["on_serve", "on_seen"] | None = None
    met: list[str | int] = field(default_factory=list)
    """Every item of a person whose history is longer than what is looked at."""


@final
class Maker:
    """Makes the lists of a placement, and remembers which arms need a rest; threads may share it.

    Args:
        ground: The workspace.
        name: Name of the placement.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self._name = name
        self._own = threading.local()
        self._popular: tuple[Instant, tuple[str | int, ...]] | None = None
        self._resting: dict[str, Instant] = {}

    def made(self, state: State, asked: Asked, history: Feedback | None) -> Recommendation:
        """Return a list; nothing is written."""
        config, release = state.config, state.release
        k = config.k if asked.k is None else check.count("k", asked.k)
        confirm = asked.confirm or config.confirm
        check.one_of("confirm", confirm, ("on_serve", "on_seen"))
        known = state.allowed((*asked.exclude, *asked.met), asked.among, asked.time)
        head = Recommendation(
            id=asked.id, placement=self._name, user=asked.user, items=(), scores=(), sources=(),
            time=asked.time, release=None if release is None else release.id, confirm=confirm,
            experiment=None if state.variant is None else config.experiment,
            variant=state.variant,
        )  # fmt: skip
        n_arms = config.n_arms if asked.n_arms is None else check.count("n_arms", asked.n_arms)
        if n_arms > len(config.arms):
            raise InvalidParameterError("n_arms", n_arms, f"at most the {len(config.arms)} arms")
        if release is None:
            return self._untrained(head, state, asked, history, k)
        able = self._able(config, release, asked.time)
        person = Person.of(history, release.items)
        if not able:
            return self._filled(
                head, state, [], person, known, k, "every arm rests after a failure"
            )
        decision = self._decided(state, asked, history, able, min(n_arms, len(able)))
        pools, failed = self._pools(state, asked, decision, person, known, k)
        if config.blend == "draft":
            picks = drafted(pools, k=k, id_=asked.id)
        else:
            weights = dict(
                zip(decision.arms, decision.confidences or (1.0,) * n_arms, strict=False)
            )
            picks = weighted(pools, weights, k=k)
        head = replace(
            head,
            decision=decision,
            failed=failed,
            versions={
                arm: release.versions[arm] for arm in decision.arms if arm in release.versions
            },
        )
        reason = None
        if len(picks) < k:
            gone = ", ".join(f"{arm} {why}" for arm, why in failed.items())
            reason = gone or "the arms had too few items"
        return self._filled(head, state, picks, person, known, k, reason)

    def _able(self, config: Placement, release: Release, now: Instant) -> list[str]:
        """Return the arms of the release that are wanted, and not at rest.

        Arms that are new in the placement wait for a release that has them; while it has none of
        them, those of the release go on.
        """
        wanted = [arm for arm in config.arms if arm in release.arms] or list(release.arms)
        rested = now - _REST
        return [arm for arm in wanted if not rested < self._resting.get(arm, rested) <= now]

    def _decided(
        self,
        state: State,
        asked: Asked,
        history: Feedback | None,
        able: list[str],
        n: int,
    ) -> Decision:
        config = state.config
        unit = None if asked.user is None else str(asked.user)
        given = context_of(
            config.context, history, time=asked.time, session=asked.session, genres=state.genres
        )
        if config.mode == "bandit":
            bandit = self._bandit(state)
            return bandit.draw(given, id=asked.id, n=n, unit=unit, arms=able, time=asked.time)
        shares = config.shares()
        weights = {arm: shares.get(arm, 0.0) for arm in able}
        if not sum(weights.values()) > 0:  # what has a weight is at rest
            weights = dict.fromkeys(able, 1.0)
        arms, chances = drawn(weights, n=n, id_=asked.id, salt=self._ground.salt)
        total = sum(weights.values())
        return Decision(
            id=asked.id,
            bandit=state.belief,
            context=config.context.levels(config.context.cell(given)),
            arms=arms,
            propensities=chances,
            confidences=tuple(weights[arm] / total for arm in arms),
            policy="static",
            time=asked.time,
            unit=unit,
        )

    def _bandit(self, state: State) -> StoredBandit[Any]:
        """Return this thread's bandit of the placement's belief."""
        kept: dict[str, tuple[Any, StoredBandit[Any]]]
        kept = self._own.__dict__.setdefault("bandits", {})
        config = state.config
        arms = (*config.arms, *(() if state.release is None else state.release.arms))
        made_of = (arms, config.limits)
        held = kept.get(state.belief)
        if held is None or held[0] != made_of:
            held = kept[state.belief] = (made_of, self._ground.bandit(config, arms))
        return held[1]

    def _pools(  # noqa: PLR0917 - what a list is made of
        self,
        state: State,
        asked: Asked,
        decision: Decision,
        person: Person,
        known: BoolArray,
        k: int,
    ) -> tuple[dict[str, Pool], dict[str, str]]:
        """Return the candidates of each chosen arm, and why an arm has none."""
        config, release = state.config, state.release
        assert release is not None
        pipeline = state.pipeline(asked.diversity)
        wanted = k if pipeline is None else k * config.candidates
        pools: dict[str, Pool] = {}
        failed: dict[str, str] = {}
        patience = duration("patience", config.patience)
        for arm in decision.arms:
            watch = Stopwatch()
            try:
                pool = person.ranked(release.arms[arm], state.places[arm], known, wanted)
                pool = _sound(pool, known)
                if pool.item.size and pipeline is not None:
                    pool = _sound(state.reranked(pipeline, pool, person.met, k), known)
            except Exception as error:  # noqa: BLE001 - an arm of whoever: the list goes on
                failed[arm] = f"failed: {_line(error)}"
                self._resting[arm] = asked.time
                continue
            if watch.seconds() * SECOND > patience:
                failed[arm] = f"was later than {config.patience}"
                self._resting[arm] = asked.time
            elif not pool.item.size:
                failed[arm] = "had nothing to show"
            else:
                pools[arm] = pool
        return pools, failed

    def _filled(  # noqa: PLR0917 - what a list is made of
        self,
        head: Recommendation,
        state: State,
        picks: list[Pick],
        person: Person,
        known: BoolArray,
        k: int,
        reason: str | None,
    ) -> Recommendation:
        """Return the list, filled up by the fallback where it is short."""
        release = state.release
        assert release is not None
        if len(picks) < k:
            free = known.copy()
            free[[pick.item for pick in picks]] = False
            place = state.places[FALLBACK]
            try:
                pool = _sound(person.ranked(release.fallback, place, free, k - len(picks)), free)
            except Exception as error:  # noqa: BLE001 - a fallback of whoever
                reason = f"{reason}; the fallback failed: {_line(error)}"
                pool = Pool(np.empty(0, dtype=np.int64), np.empty(0))
            if not pool.item.size:  # it failed, or all that is left scores alike
                free[person.histories.value.indices] = False
                pool = _most_met(release, free, k - len(picks))
            picks = picks + [
                Pick(item, score, FALLBACK, {})
                for item, score in zip(pool.item.tolist(), pool.score.tolist(), strict=True)
            ]
        shares = tuple(pick.shares for pick in picks)
        return replace(
            head,
            items=tuple(_stored_id(release.items[pick.item]) for pick in picks),
            scores=tuple(pick.score for pick in picks),
            sources=tuple(pick.source for pick in picks),
            shares=shares if any(shares) else (),
            fallback=reason,
        )

    def _untrained(
        self,
        head: Recommendation,
        state: State,
        asked: Asked,
        history: Feedback | None,
        k: int,
    ) -> Recommendation:
        """Serve what the log has most of, while nothing has been trained."""
        now = asked.time
        if self._popular is None or not 0 <= now - self._popular[0] < _FRESH:
            self._popular = (now, tuple(self._ground.store.feedback.popular(_MOST_POPULAR)))
        seen = set() if history is None else set(history.items.ids)
        gone = seen | set(asked.exclude)
        among = None if asked.among is None else set(asked.among)
        items = [
            item
            for item in self._popular[1]
            if item not in gone and (among is None or item in among) and state.shows(item, now)
        ][:k]
        why = state.trouble or "nothing has been trained yet"
        return replace(
            head,
            items=tuple(items),
            scores=tuple(float(k - place) for place in range(len(items))),
            sources=(FALLBACK,) * len(items),
            fallback=why,
        )


def _sound(pool: Pool, known: BoolArray) -> Pool:
    """Return the candidates that may be shown; an arm may have overlooked what it was told.

    Raises:
        siamrec.errors.InvalidDataError: If a score is not finite.
    """
    if not np.isfinite(pool.score).all():
        raise InvalidDataError("scores must be finite.")
    keep = known[pool.item]
    return Pool(pool.item[keep], pool.score[keep])


def _most_met(release: Release, free: BoolArray, k: int) -> Pool:
    item = np.flatnonzero(free)
    item = item[np.argsort(-release.popularity[item], kind="stable")][:k]
    return Pool(item, release.popularity[item])


def _line(error: Exception) -> str:
    """Return an error as one short line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _stored_id(id_: Any) -> str | int:
    """Return an id of a workspace, whose ids are texts or whole numbers."""
    known: str | int = id_
    return known
