"""A placement in use: asks the log, draws, ranks, and writes down what it served."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final
from uuid import uuid4

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND, Stopwatch, duration
from siamrec._core.table import Shown, Table
from siamrec.data import Catalog, Decision, Rankings, Vocabulary
from siamrec.errors import (
    InvalidParameterError,
    ModelLoadError,
    StaleWriteError,
    StorageError,
    UnknownNameError,
)
from siamrec.lifecycle.context import context_of
from siamrec.lifecycle.draft import Pick, Pool, drafted, drawn, weighted
from siamrec.lifecycle.recommendation import FALLBACK, Recommendation
from siamrec.lifecycle.release import Release, genres_of, loaded_release, places_of
from siamrec.models.recommenders import Histories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data import Feedback
    from siamrec.lifecycle.ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.rerank import Pipeline
    from siamrec.storage import Heads, StoredBandit, StoredList
    from siamrec.typing import BoolArray, Id, Instant, IntArray

_ATTEMPTS = 5
_REST = 30 * SECOND
"""How long an arm that failed is left alone."""
_FRESH = 60 * SECOND
"""How long the popularity of the log is believed where nothing has been trained."""
_MOST_POPULAR = 1_000


@final
class LivePlacement(Shown):
    """A placement of a workspace; made by `Workspace.place` and `Workspace.placement`.

    Threads may share it. A newly activated release, a changed configuration and a changed
    catalogue are taken over between two requests, in every process.

    Args:
        ground: The workspace that it belongs to.
        name: Its name.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self.name = name
        self._lock = threading.Lock()
        self._own = threading.local()
        self._state: _State | None = None
        self._popular: tuple[Instant, tuple[str | int, ...]] | None = None
        self._resting: dict[str, Instant] = {}

    @override
    def title(self) -> str:
        return f"Placement {self.name} at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return what serves now."""
        state = self._current()
        release = state.release
        facts = {
            "revision": state.heads.placement,
            "release": "nothing trained yet" if release is None else release.id[:12],
            "arms": list(state.config.arms),
            "mode": state.config.mode,
            "fallback": state.config.fallback["name"],
        }
        return Table.of(self.title(), facts)

    @property
    def config(self) -> Placement:
        """The placement as it is stored now."""
        return self._current().config

    @property
    def release(self) -> Release | None:
        """The release that serves; None before the first training."""
        return self._current().release

    def switch(self, mode: Literal["bandit", "static"]) -> Placement:
        """Turn the bandit on, or off for a draw by the static weights; return the placement.

        The draw is random in both modes and its propensities are logged, so that what the other
        mode would have done can be told from the log.
        """
        check.one_of("mode", mode, ("bandit", "static"))
        changed = self.config.switched(mode)
        self._ground.keep(changed)
        self._ground.store.diary.write(self.name, "switched", {"mode": mode})
        return changed

    def recommend(
        self,
        user: Id | None = None,
        *,
        k: int | None = None,
        n_arms: int | None = None,
        diversity: float | None = None,
        session: Mapping[str, object] | None = None,
        request: str | None = None,
        exclude: Sequence[Id] = (),
        among: Sequence[Id] | None = None,
        confirm: Literal["on_serve", "on_seen"] | None = None,
        time: Instant | None = None,
    ) -> Recommendation:
        """Return a list for a person, stored with its decision before it is returned.

        Items with feedback of the person are left out, as the log knows them now. What the chosen
        arms leave empty is filled by the fallback, and `fallback` of the result says so.

        Args:
            user: The person; None for nobody, known or not.
            k: Length of the list; the placement's when absent.
            n_arms: Arms that share the list; the placement's when absent.
            diversity: How much unlikeness counts, in [0, 1]; the placement's re-ranking when
                absent.
            session: What the application knows of this visit, such as `{"seen": 4}`.
            request: Id of the request: one that comes again gets the same list, and there is one
                decision. A new one when absent.
            exclude: Items not to show.
            among: The only items to show; all when absent.
            confirm: As in the placement.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: If a number is out of range, or the user is of
                another kind than the users of the workspace.
            siamrec.errors.UnknownNameError: If `among` has an item that nobody knows.
            siamrec.errors.StorageError: If the log cannot be read and nothing was served before,
                or it cannot be written and the placement refuses to serve then.
        """
        asked = _Asked(
            user=self._ground.user(user),
            id=self._ground.list_id(self.name, uuid4().hex if request is None else request),
            k=k,
            n_arms=n_arms,
            diversity=diversity,
            session=session,
            exclude=check.many("exclude", exclude),
            among=None if among is None else check.many("among", among),
            confirm=confirm,
            time=self._ground.now() if time is None else check.instant("time", time),
        )
        for _ in range(_ATTEMPTS):
            try:
                state, history, there = self._look(asked)
            except StorageError as error:
                return self._unlogged(asked, error)
            if there:
                return self._again(asked.id)
            made = self._made(state, asked, history)
            try:
                self._write([made], state)
            except StaleWriteError:
                continue  # what it depends on has changed, or another worker was first
            except StorageError as error:
                if state.config.unlogged == "refuse":
                    raise
                why = f"the log cannot be written: {error}"
                return replace(made, logged=False, fallback=made.fallback or why)
            return made
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    def recommend_many(
        self,
        users: Sequence[Id],
        *,
        k: int | None = None,
        request: str | None = None,
        confirm: Literal["on_serve", "on_seen"] = "on_seen",
        time: Instant | None = None,
    ) -> list[Recommendation]:
        """Return lists for many people, stored in one transaction; for mails and the like.

        A list counts as seen when somebody says so, with `feedback.seen` or by an event on it:
        one that nobody opens is no trial.

        Args:
            users: Different people.
            k: Length of the lists; the placement's when absent.
            request: Id of the batch; the ids of its lists are made of it and of the person.
            confirm: When a list counts as seen.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: As for `recommend`, or if a user repeats.
            siamrec.errors.StorageError: If the log cannot be read or written.
        """
        people = [self._ground.user(user) for user in check.many("users", users)]
        check.distinct("users", [str(user) for user in people])
        batch = uuid4().hex if request is None else check.text("request", request)
        now = self._ground.now() if time is None else check.instant("time", time)
        for _ in range(_ATTEMPTS):
            state = self._current()
            done: list[Recommendation] = []
            new: list[Recommendation] = []
            for user in people:
                id_ = self._ground.list_id(self.name, f"{batch}|{user}")
                asked = _Asked(user=user, id=id_, k=k, confirm=confirm, time=now)
                state, history, there = self._look(asked)
                done.append(self._again(id_) if there else self._made(state, asked, history))
                if not there:
                    new.append(done[-1])
            try:
                self._write(new, state)
            except StaleWriteError:
                continue
            return done
        raise StaleWriteError(f"The placement {self.name!r} changes too often to be served.")

    # --- what a list is made of ----------------------------------------------------------------

    def _look(self, asked: _Asked) -> tuple[_State, Feedback | None, bool]:
        """Return what serves now, the person's history, and whether the list is there already."""
        n = 500 if self._state is None else self._state.config.history
        heads, history, there = self._ground.store.recommendations.look(
            self.name, f"placement:{self.name}", user=asked.user, n=n, id_=asked.id
        )
        return self._state_of(heads), history, there

    def _again(self, id_: str) -> Recommendation:
        found = self._ground.store.recommendations.get(id_)
        if found is None:
            raise StaleWriteError(f"The recommendation {id_} was erased meanwhile.")
        return Recommendation.of(found)

    def _write(self, made: Sequence[Recommendation], state: _State) -> None:
        config = state.config
        learns = config.blend == "draft"
        rows: list[StoredList] = []
        decisions: list[Decision] = []
        for each in made:
            drawn_ = each.decision
            rows.append(each.stored(bandit=config.belief if learns and drawn_ else None))
            if drawn_ is not None:
                decisions.append(drawn_)
        self._ground.store.recommendations.write(
            rows,
            decisions,
            context=config.context,
            expect=(self.name, config.alias, state.heads),
        )

    def _unlogged(self, asked: _Asked, error: StorageError) -> Recommendation:
        """Serve from memory while the log cannot be read."""
        state = self._state
        if state is None or state.config.unlogged == "refuse":
            raise error
        made = self._made(state, asked, None)
        why = f"the log cannot be read: {error}"
        return replace(made, logged=False, fallback=why)

    def _made(self, state: _State, asked: _Asked, history: Feedback | None) -> Recommendation:
        """Return a list; nothing is written."""
        config, release = state.config, state.release
        k = config.k if asked.k is None else check.count("k", asked.k)
        confirm = asked.confirm or config.confirm
        check.one_of("confirm", confirm, ("on_serve", "on_seen"))
        known = state.allowed(asked.exclude, asked.among, asked.time)
        head = Recommendation(
            id=asked.id, placement=self.name, user=asked.user, items=(), scores=(), sources=(),
            time=asked.time, release=None if release is None else release.id, confirm=confirm,
        )  # fmt: skip
        n_arms = config.n_arms if asked.n_arms is None else check.count("n_arms", asked.n_arms)
        if n_arms > len(config.arms):
            raise InvalidParameterError("n_arms", n_arms, f"at most the {len(config.arms)} arms")
        if release is None:
            return self._untrained(head, state, asked, history, k)
        able = self._able(config, release, asked.time)
        person = _Person.of(history, release.items)
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
        """Return the arms that are fitted and not at rest."""
        return [
            arm
            for arm in config.arms
            if arm in release.arms and not 0 <= now - self._resting.get(arm, -_REST - now) < _REST
        ]

    def _decided(
        self,
        state: _State,
        asked: _Asked,
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
            bandit = self._bandit(config)
            return bandit.draw(given, id=asked.id, n=n, unit=unit, arms=able, time=asked.time)
        shares = config.shares()
        weights = {arm: shares[arm] for arm in able}
        if not sum(weights.values()) > 0:  # what has a weight is at rest
            weights = dict.fromkeys(able, 1.0)
        arms, chances = drawn(weights, n=n, id_=asked.id, salt=self._ground.salt)
        total = sum(weights.values())
        return Decision(
            id=asked.id,
            bandit=config.belief,
            context=config.context.levels(config.context.cell(given)),
            arms=arms,
            propensities=chances,
            confidences=tuple(weights[arm] / total for arm in arms),
            policy="static",
            time=asked.time,
            unit=unit,
        )

    def _bandit(self, config: Placement) -> StoredBandit[Any]:
        """Return this thread's bandit of the placement's belief."""
        kept: dict[Any, StoredBandit[Any]] = self._own.__dict__.setdefault("bandits", {})
        key = (config.belief, tuple(config.arms), repr(config.limits))
        if key not in kept:
            kept.clear()
            kept[key] = self._ground.bandit(config)
        return kept[key]

    def _pools(  # noqa: PLR0917 - what a list is made of
        self,
        state: _State,
        asked: _Asked,
        decision: Decision,
        person: _Person,
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
            except Exception as error:  # noqa: BLE001 - an arm of whoever: the list goes on
                failed[arm] = f"failed: {type(error).__name__}: {error}"[:200]
                self._resting[arm] = asked.time
                continue
            if watch.seconds() * SECOND > patience:
                failed[arm] = f"was later than {config.patience}"
                self._resting[arm] = asked.time
            elif not pool.item.size:
                failed[arm] = "had nothing to show"
            else:
                pools[arm] = pool if pipeline is None else state.reranked(pipeline, pool, k)
        return pools, failed

    def _filled(  # noqa: PLR0917 - what a list is made of
        self,
        head: Recommendation,
        state: _State,
        picks: list[Pick],
        person: _Person,
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
            pool = person.ranked(
                release.fallback, state.places[FALLBACK], free, k - len(picks), anybody=True
            )
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
        state: _State,
        asked: _Asked,
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

    # --- what serves ---------------------------------------------------------------------------

    def _current(self) -> _State:
        log = self._ground.store.recommendations
        return self._state_of(log.heads(self.name, f"placement:{self.name}"))

    def _state_of(self, heads: Heads) -> _State:
        """Return what serves under these heads; what has changed is loaded, once."""
        state = self._state
        if state is not None and state.heads == heads:
            return state
        with self._lock:
            state = self._state
            if state is None or state.heads != heads:
                state = self._loaded(heads, state)
                self._state = state
        return state

    def _loaded(self, heads: Heads, old: _State | None) -> _State:
        config = self._ground.config(self.name)
        same = old is not None and old.heads.release == heads.release and not old.trouble
        trouble = ""
        release = old.release if same and old is not None else None
        if release is None and heads.release is not None:
            try:
                release = loaded_release(heads.release, self._ground.registry)
            except (ModelLoadError, UnknownNameError) as error:
                trouble = f"the release cannot be loaded: {error}"
        if old is not None and old.heads.catalog == heads.catalog:
            catalog = old.catalog
        else:
            catalog = self._ground.store.catalog.read()
        return _State.of(heads, config, release, catalog, trouble)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
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


class _Person(NamedTuple):
    """Somebody's history over the items of a release."""

    histories: Histories
    items: Vocabulary
    user: Id | None
    feedback: Feedback | None

    @classmethod
    def of(cls, feedback: Feedback | None, items: Vocabulary) -> _Person:
        if feedback is None:
            nothing = sparse.csr_array((1, len(items)), dtype=np.float32)
            return cls(Histories(nothing), items, None, None)
        user = feedback.users[0]
        return cls(Histories.of(feedback, feedback.users, items), items, user, feedback)

    def ranked(
        self,
        arm: FittedRecommender,
        places: IntArray | None,
        known: BoolArray,
        k: int,
        *,
        anybody: bool = False,
    ) -> Pool:
        """Return the best items of an arm, as codes of the release.

        Args:
            arm: The arm.
            places: Code of the release of each item of the arm; None where they are the same.
            known: Which items of the release may be shown.
            k: Most items.
            anybody: Whether a list by popularity, where the arm has nothing to say of a person,
                is as good as another.
        """
        if places is None:
            histories, allowed = self.histories, known
        else:
            histories = (
                Histories(sparse.csr_array((1, len(arm.items)), dtype=np.float32))
                if self.feedback is None
                else Histories.of(self.feedback, self.feedback.users, arm.items)
            )
            allowed = np.where(places >= 0, known[places], False)
        if self.user is not None:
            code = arm.users.encode([self.user], unknown="code")
            if code[0] >= 0:
                histories = Histories(histories.value, histories.order, code)
        lists = arm.rank(histories, k=k, allowed=allowed)
        if not anybody and _is_silent(lists):
            return Pool(np.empty(0, dtype=np.int64), np.empty(0))
        item = lists.item.astype(np.int64)
        score = np.empty(0) if lists.score is None else lists.score
        return Pool(item if places is None else places[item], score)


def _stored_id(id_: Any) -> str | int:
    """Return an id of a workspace, whose ids are texts or whole numbers."""
    known: str | int = id_
    return known


def _is_silent(lists: Rankings) -> bool:
    """Whether an arm had nothing to say, so that its list is by popularity."""
    return (
        lists.source is not None
        and "popularity" in lists.arms[-1:]
        and bool((lists.source == len(lists.arms) - 1).all())
    )


@final
@dataclass(frozen=True, slots=True)
class _State:
    """What serves between two changes."""

    heads: Heads
    config: Placement
    release: Release | None
    catalog: Catalog
    trouble: str
    genres: Mapping[Id, tuple[str, ...]]
    places: Mapping[str, IntArray | None]
    shown: BoolArray
    since: IntArray
    until: IntArray
    inputs: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        heads: Heads,
        config: Placement,
        release: Release | None,
        catalog: Catalog,
        trouble: str,
    ) -> _State:
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
                inputs["categories"] = {id_: genres[id_] for id_ in items.ids}
        shown, since, until = _eligible(catalog, items)
        return cls(
            heads,
            config,
            release,
            catalog,
            trouble,
            genres,
            {name: places_of(arm, items) for name, arm in parts.items()},
            shown,
            since,
            until,
            inputs,
        )

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
                    raise UnknownNameError("item of among", str(item), [])
            inside = items.encode(among, unknown="code")
            chosen = np.zeros_like(allowed)
            chosen[inside[inside >= 0]] = True
            allowed &= chosen
        return allowed

    def shows(self, item: Id, now: Instant) -> bool:
        """Whether an item that no release knows may be shown."""
        shown, since, until = _eligible(self.catalog, Vocabulary((item,)))
        return bool(shown[0] and since[0] <= now < until[0])

    def pipeline(self, diversity: float | None) -> Pipeline | None:
        return self.config.pipeline(diversity)

    def reranked(self, pipeline: Pipeline, pool: Pool, k: int) -> Pool:
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
        made = pipeline.rerank(lists, k=min(k, pool.item.size), **self.inputs)
        score = np.empty(0) if made.score is None else made.score
        return Pool(made.item.astype(np.int64), score)


_ALWAYS, _NEVER = -(2**62), 2**62


def _eligible(catalog: Catalog, items: Vocabulary) -> tuple[BoolArray, IntArray, IntArray]:
    """Return whether items may be shown at all, and from when until when.

    Once there is a catalogue, an item that is not in it is not shown.
    """
    n = len(items)
    shown = np.ones(n, dtype=np.bool_)
    since = np.full(n, _ALWAYS, dtype=np.int64)
    until = np.full(n, _NEVER, dtype=np.int64)
    if not len(catalog):
        return shown, since, until
    code = items.translate(catalog.items)
    shown = code >= 0
    hidden = catalog.attributes.get("hidden")
    if hidden is not None:
        mask = np.array([bool(why) for why in hidden], dtype=np.bool_)
        shown = shown & ~np.where(code >= 0, mask[code], False)
    for name, bound, none in (
        ("available_from", since, _ALWAYS),
        ("available_until", until, _NEVER),
    ):
        column = catalog.attributes.get(name)
        if column is not None:
            times = np.array(
                [none if each is None else check.instant(name, each) for each in column], np.int64
            )
            bound[:] = np.where(code >= 0, times[code], none)
    return shown, since, until
