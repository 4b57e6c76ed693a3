"""Making one list: context, draw, candidates; what may be shown, and what fills it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import SECOND, Stopwatch, duration
from siamrec._core.table import counted
from siamrec.data import Decision, Feedback, FeedbackKind, Vocabulary
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.lifecycle._anchors import Anchors
from siamrec.lifecycle._draft import Pool, drafted, drawn, weighted
from siamrec.lifecycle._fallback import Fallback, in_order, line_of, sound
from siamrec.lifecycle._filling import Filling
from siamrec.lifecycle._following import inherited
from siamrec.lifecycle._person import Person
from siamrec.lifecycle._ruling import Ruling
from siamrec.lifecycle._searching import answering
from siamrec.lifecycle.context import context_of
from siamrec.lifecycle.eligibility import Gate, Shelf, Wish
from siamrec.lifecycle.recommendation import FALLBACK, Recommendation
from siamrec.lifecycle.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.bandits import ContextualBandit
    from siamrec.expressions import Expression
    from siamrec.lifecycle._filling import Blend, Ranked
    from siamrec.lifecycle._following import Following
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._state import State
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.recommendation import Pager
    from siamrec.lifecycle.release import Release
    from siamrec.storage import StoredBandit
    from siamrec.typing import FloatArray, Id, Instant

_REST = 30 * SECOND
_SILENT = "no arm ranks for somebody who has done nothing yet"
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
    about: Mapping[str, object] = field(default_factory=dict)
    anchors: Sequence[Id] = ()
    """Items on the screen, to which the list belongs, instead of a history."""
    visit: Sequence[Id] = ()
    """Items of this visit, which follow the history."""
    query: str | None = None
    """What is searched for, instead of what goes with a history."""
    exclude: Sequence[Id] = ()
    among: Sequence[Id] | None = None
    where: Expression | None = None
    confirm: Literal["on_serve", "on_seen"] | None = None
    following: Following | None = None
    """The list that comes before it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the log knows of a person when a list is made.

    Attributes:
        ids: All ids of the person; none for nobody.
        history: Newest events, of which arms and context are told.
        past: All events that the log still has.
        blocked: Items that are kept from the person.
        impressions: What the person has seen in lists, as far as the placement asks for it.
        there: Whether the list was made before, and nothing else is known.
    """

    ids: Sequence[Id]
    history: Feedback | None = None
    past: Feedback | None = None
    blocked: Sequence[Id] = ()
    impressions: Sequence[tuple[Id, Instant]] = ()
    there: bool = False


class _Wishes(NamedTuple):
    """What the owner and the request leave to choose from."""

    gate: Gate
    ruling: Ruling
    weights: FloatArray | None
    k: int


@final
class Maker:
    """Makes the lists of a placement, and remembers which arms need a rest; threads may share it.

    Args:
        ground: The workspace.
        name: Name of the placement.
        pager: What its lists ask for their next page.
        resting: Arms that failed, with the instant; for previews, which write nothing.
    """

    def __init__(
        self,
        ground: Ground,
        name: str,
        pager: Pager,
        *,
        resting: Mapping[str, Instant] | None = None,
    ) -> None:
        self._ground = ground
        self._name = name
        self._pager = pager
        self._own = threading.local()
        self._popular: tuple[Instant, int, Shelf] | None = None
        self._resting: dict[str, Instant] = {} if resting is None else dict(resting)
        self._previews = resting is not None

    def for_previews(self) -> Maker:
        """Return one whose lists are served to nobody: it opens no bandit and tires no arm."""
        return Maker(self._ground, self._name, self._pager, resting=self._resting)

    def made(self, state: State, asked: Asked, known: Known) -> Recommendation:
        """Return a list; nothing is written."""
        config, release = state.config, state.release
        k = config.k if asked.k is None else check.count("k", asked.k)
        confirm = asked.confirm or config.confirm
        check.one_of("confirm", confirm, ("on_serve", "on_seen"))
        n_arms = config.n_arms if asked.n_arms is None else check.count("n_arms", asked.n_arms)
        if n_arms > len(config.arms):
            raise InvalidParameterError("n_arms", n_arms, f"at most the {len(config.arms)} arms")
        shelf = self._shelf(state, asked.time) if release is None else state.shelf
        wishes = _wishes(shelf, config, asked, known, k)
        gate = wishes.gate
        few = gate.n_left < k
        head = Recommendation(
            id=asked.id, placement=self._name, user=asked.user, items=(), scores=(), sources=(),
            time=asked.time, release=None if release is None else release.id, confirm=confirm,
            experiment=None if state.variant is None else config.experiment,
            variant=state.variant, allocation=state.allocation, anchors=_anchors(asked, shelf),
            filtered=gate.counts,
            too_few=_too_few(gate, k),
            query=asked.query, unit=config.unit,
            limit=None if asked.user is None or not _leaves_out(config, asked)
            else config.seen.limit(state.heads.archived, asked.time),
            revision=state.heads.placement, asked=inherited(asked), pager=self._pager,
        )  # fmt: skip
        if release is None:
            why = state.trouble or "no release serves yet"
            return _listed(head, wishes, in_order(shelf, k), None, why)
        person = _whose(asked, known.history, release)
        ranked = Fallback(state, person)
        able = self._able(config, release, asked)
        idle = "every arm rests after a failure" if not able else _SILENT
        if asked.query is None and not person.histories.value.nnz:
            able = [arm for arm in able if state.speaks(arm, person.user)]
        if not able or not gate.n_left or (few and config.too_few == "fallback"):
            why = idle if not able else str(head.too_few)
            return _listed(head, wishes, ranked, None, why)
        decision = self._decided(state, asked, known.history, able, min(n_arms, len(able)))
        pools, failed = self._pools(state, asked, decision, person, wishes)
        head = replace(
            head,
            decision=decision,
            failed=failed,
            splits=Anchors(state, person) if asked.query is None else None,
            versions={
                arm: release.versions[arm] for arm in decision.arms if arm in release.versions
            },
        )
        gone = ", ".join(f"{arm} {why}" for arm, why in failed.items())
        blend = _blend(config, decision, pools, n_arms)
        return _listed(head, wishes, ranked, blend, gone or "the arms had too few items")

    def _able(self, config: Placement, release: Release, asked: Asked) -> list[str]:
        """Return the arms of the release that are wanted, can do what is asked, and do not rest.

        Arms that are new in the placement wait for a release that has them; while it has none of
        them, those of the release go on.
        """
        wanted = [arm for arm in config.arms if arm in release.arms] or list(release.arms)
        if asked.query is not None:
            wanted = answering(self._name, release, wanted)
        now, rested = asked.time, asked.time - _REST
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

    def _bandit(self, state: State) -> StoredBandit[Any] | ContextualBandit[Any]:
        """Return this thread's bandit of the placement's belief."""
        kept: dict[str, tuple[Any, StoredBandit[Any]]]
        kept = self._own.__dict__.setdefault("bandits", {})
        config = state.config
        arms = (*config.arms, *(() if state.release is None else state.release.arms))
        if self._previews:
            return self._ground.believed(config, arms)
        made_of = (arms, config.limits)
        held = kept.get(state.belief)
        if held is None or held[0] != made_of:
            held = kept[state.belief] = (made_of, self._ground.bandit(config, arms))
        return held[1]

    def _pools(
        self, state: State, asked: Asked, decision: Decision, person: Person, wishes: _Wishes
    ) -> tuple[dict[str, Pool], dict[str, str]]:
        """Return the candidates of each chosen arm, and why an arm has none."""
        config, release = state.config, state.release
        assert release is not None
        ruling, weights, k = wishes.ruling, wishes.weights, wishes.k
        pipeline = state.pipeline(asked.diversity)
        wide = ruling.wide or weights is not None
        wanted = k if pipeline is None and not wide else k * config.candidates
        known = ruling.unpinned(wishes.gate.left)[: len(release.items)]
        pools: dict[str, Pool] = {}
        failed: dict[str, str] = {}
        patience = duration("patience", config.patience)
        for arm in decision.arms:
            watch = Stopwatch()
            try:
                pool = person.ranked(release.arms[arm], state.places[arm], known, wanted)
                pool = ruling.lifted(sound(pool, known), weights)
                if pool.item.size and pipeline is not None:
                    length = wanted if wide else k
                    pool = sound(state.reranked(pipeline, pool, person.met, length), known)
            except Exception as error:  # noqa: BLE001 - an arm of whoever: the list goes on
                failed[arm] = f"failed: {line_of(error)}"
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

    def _shelf(self, state: State, now: Instant) -> Shelf:
        """Return what the log has most of, while nothing has been trained."""
        held, catalog = self._popular, state.heads.catalog
        if held is None or held[1] != catalog or not 0 <= now - held[0] < _FRESH:
            items = Vocabulary(tuple(self._ground.store.feedback.popular(_MOST_POPULAR)))
            held = self._popular = (now, catalog, Shelf(state.catalog, state.removed, items))
        return held[2]


def _wishes(shelf: Shelf, config: Placement, asked: Asked, known: Known, k: int) -> _Wishes:
    """Return what the owner and the request leave to choose from."""
    now = asked.time
    scope = {"user": asked.about, "current": _current(shelf, asked)}
    ruling = Ruling(config.rules, shelf, scope=scope, now=now)
    unwanted = () if config.meaning is None else config.meaning.blocked(known.past)
    wish = Wish(
        exclude=(*asked.exclude, *asked.anchors, *asked.visit),
        among=asked.among,
        blocked=(*known.blocked, *unwanted),
        seen=config.seen.left_out(known.past, known.impressions, now)
        if _leaves_out(config, asked)
        else (),
        shown=() if asked.following is None else asked.following.shown,
    )
    gate = Gate(shelf)
    gate.apply(wish, users=known.ids, now=now)
    ruling.shut(gate)
    own = () if config.where is None else shelf.conditions(config.where)
    more = () if asked.where is None else shelf.conditions(asked.where)
    relax = config.too_few == "relax"
    gate.filter(
        (*(() if relax else own), *more), own if relax else (), least=k, scope=scope, now=now
    )
    ruling.admit(gate, k)
    recovered = config.seen.recovered(known.impressions, now) if _leaves_out(config, asked) else {}
    weights = None
    if recovered:
        weights = np.ones(len(shelf.items))
        code = shelf.items.encode(list(recovered), unknown="code")
        weights[code[code >= 0]] = np.array(list(recovered.values()))[code >= 0]
    return _Wishes(gate, ruling, weights, k)


def _leaves_out(config: Placement, asked: Asked) -> bool:
    """Whether what was seen counts: who searches for it finds it, unless the placement says so."""
    return asked.query is None or config.seen != Seen()


def _anchors(asked: Asked, shelf: Shelf) -> tuple[str | int, ...]:
    """Return the items that a list is made for; each has to be known to somebody."""
    listed = (*asked.anchors, *asked.visit)
    for item in listed:
        if item not in shelf.items:
            raise UnknownNameError("item to go by", item, shelf.items.ids)
    return tuple(map(_stored_id, listed))


def _current(shelf: Shelf, asked: Asked) -> dict[str, Any]:
    """Return what the catalogue says of the item on the screen."""
    listed = (*asked.anchors, *asked.visit[-1:])
    return shelf.row(listed[0]) if listed else {}


def _whose(asked: Asked, history: Feedback | None, release: Release) -> Person:
    """Return whom arms rank for: the person, the visit, or nobody but the items on the screen."""
    listed = asked.anchors or asked.visit
    if not listed:
        return replace(Person.of(history, release.items), query=asked.query)
    person = asked.user if history is None else history.users[0]
    named = "" if person is None else person
    clicks = Feedback.of(
        user=[named] * len(listed), item=listed, kind=FeedbackKind.CLICK,
        time=[asked.time + place for place in range(len(listed))],
    )  # fmt: skip
    if asked.anchors:
        return replace(Person.of(clicks, release.items), user=None)
    whole = clicks if history is None else Feedback.concat([history, clicks])
    return replace(Person.of(whole, release.items), user=person)


def _too_few(gate: Gate, k: int) -> str | None:
    """Return what was done because few items were left; None where nothing had to be."""
    said = []
    if gate.relaxed:
        said.append(f"let go of {' and '.join(gate.relaxed)}")
    if gate.n_left < k:
        said.append(f"{counted(gate.n_left, 'item')} left for {counted(k, 'place')}")
    return "; ".join(said) or None


def _blend(config: Placement, decision: Decision, pools: dict[str, Pool], n_arms: int) -> Blend:
    """Return how the chosen arms share places."""
    if config.blend == "draft":
        return partial(drafted, pools, id_=decision.id)
    sure = decision.confidences or (1.0,) * n_arms
    return partial(weighted, pools, dict(zip(decision.arms, sure, strict=False)))


def _listed(
    head: Recommendation, wishes: _Wishes, ranked: Ranked, blend: Blend | None, reason: str
) -> Recommendation:
    """Return the list; `reason` says why the arms were not enough, where they were not."""
    gate = wishes.gate
    filled = Filling(gate, wishes.ruling, wishes.k, ranked).filled(blend)
    trouble = f"; {ranked.trouble}" if isinstance(ranked, Fallback) and ranked.trouble else ""
    picks = filled.picks
    if filled.relaxed:
        quotas = " and ".join(filled.relaxed)
        said = f"let go of the quota of the rule {quotas}: too few items within it"
        head = replace(head, too_few="; ".join(filter(None, (head.too_few, said))))
    # A list that nothing else has filled either is short, and `too_few` says so.
    filled_up = not picks or any(pick.source == FALLBACK for pick in picks)
    told = not filled.enough and (filled_up or trouble or head.too_few is None)
    shares = tuple(pick.shares for pick in picks)
    return replace(
        head,
        items=tuple(_stored_id(gate.shelf.items[pick.item]) for pick in picks),
        scores=tuple(pick.score for pick in picks),
        sources=tuple(pick.source for pick in picks),
        shares=shares if any(shares) else (),
        fallback=f"{reason}{trouble}" if told else None,
        rules=filled.rules,
    )


def _stored_id(id_: Any) -> str | int:
    """Return an id of a workspace, whose ids are texts or whole numbers."""
    known: str | int = id_
    return known
