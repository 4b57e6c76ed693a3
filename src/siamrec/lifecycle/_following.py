"""A list that follows another: what it must not repeat, what it inherits, and what serves it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

from siamrec._core.hashing import canonical_json
from siamrec.errors import ModelLoadError, SiamrecError, UnknownNameError
from siamrec.expressions import Expression, plain
from siamrec.lifecycle._readers import reading
from siamrec.lifecycle._state import State
from siamrec.lifecycle.release import Release, loaded_release
from siamrec.lifecycle.rules import Pin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.typing import Id

_OWN = ("user", "id", "time", "following")
"""What every request has of its own."""
_MOST_STATES = 4


class Served(NamedTuple):
    """What made the first page of a list."""

    revision: int
    release: str | None
    variant: str | None
    allocation: int | None


class Following(NamedTuple):
    """What a list follows: the page before it, or the row above it on a page of several.

    Attributes:
        parent: Id of that list.
        page: Number of the page, from 1.
        shown: Items of the lists that belong together with it.
        served: What made the first page; None where the list is made by what serves now.
    """

    parent: str
    page: int
    shown: Sequence[Id]
    served: Served | None

    def marked(self, made: Recommendation, state: State) -> Recommendation:
        """Return a list with what it follows; its next page is made as the first one was."""
        told: dict[str, Any] = {"parent": self.parent, "page": self.page}
        if self.served is not None:
            told |= {
                "revision": self.served.revision,
                "allocation": self.served.allocation,
                "changed": state.trouble or None,
            }
        return replace(made, **told)


def inherited(asked: Any) -> dict[str, Any]:
    """Return as JSON values what a request asks for beside the defaults."""
    given = {
        each.name: getattr(asked, each.name) for each in fields(asked) if each.name not in _OWN
    }
    kept = {name: _kept(value) for name, value in given.items() if _is_given(value)}
    found: dict[str, Any] = json.loads(canonical_json(kept)) if kept else kept
    return found


def revived(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `inherited` kept, as fields of a request."""
    return {
        name: Expression.read(name, value) if name == "where" else value
        for name, value in kept.items()
    }


def _is_given(value: Any) -> bool:
    return not (value is None or (isinstance(value, list | tuple | Mapping) and not value))


def _kept(value: Any) -> Any:
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return plain(value)


@final
class FirstStates:
    """States of first pages whose placement or release has changed since; threads may share it.

    What may be shown is the owner's word of today: the filter, the rules and the policy of seen
    items are those of the placement as it is now. Everything else is that of the first page.

    Args:
        ground: The workspace.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lock = threading.Lock()
        self._states: dict[tuple[Any, Served], State] = {}

    def of(self, served: Served, now: State, held: Sequence[Release | None]) -> State:
        """Return what serves the next page.

        Args:
            served: What made the first page.
            now: What serves outside of every experiment.
            held: Releases that are in memory.
        """
        release = None if now.release is None else now.release.id
        if served[:3] == (now.heads.placement, release, None):
            return now
        key = (now.heads, served)
        with self._lock:
            if key not in self._states:
                if len(self._states) >= _MOST_STATES:
                    self._states.clear()
                self._states[key] = self._made(served, now, held)
            return self._states[key]

    def _made(self, served: Served, now: State, held: Sequence[Release | None]) -> State:
        config, trouble = now.config, ""
        try:
            config = self._config(served, now.config)
        except SiamrecError as error:  # of a plugin that is gone
            trouble = f"the placement of the first page cannot be read: {error}"
        release = next((each for each in held if each and each.id == served.release), None)
        if served.release is not None and release is None:
            try:
                registry = self._ground.registry
                release = reading(loaded_release(served.release, registry), registry)
            except (ModelLoadError, UnknownNameError) as error:
                trouble = f"the release of the first page cannot be loaded: {error}"
                release = self._instead(config, now)
        same = release is now.release
        state = State.of(
            now.heads, config=config, release=release, catalog=now.catalog, removed=now.removed,
            trouble=trouble, experiment=None, variant=served.variant, clock=self._ground.clock,
            shelf=now.shelf if same else None,
        )  # fmt: skip
        return replace(state, alias=now.alias)

    def _config(self, served: Served, now: Placement) -> Placement:
        """Return the placement of the first page, with what may be shown as it is now."""
        first, today = self._ground.revision(now.name, served.revision) or now, now
        if served.variant is not None:
            if served.variant in now.variants and now.experiment == first.experiment:
                today = now.of_variant(served.variant, now.variants[served.variant])
            first = first.of_variant(served.variant, first.variants.get(served.variant, {}))
        rules = [
            rule
            for rule in today.rules
            if not (isinstance(rule.then, Pin) and rule.then.place > first.k)
        ]
        wishes = {"where": today.where, "too_few": today.too_few, "seen": today.seen}
        return replace(first, rules=rules, **wishes)  # type: ignore[arg-type]  # fields of it

    def _instead(self, config: Placement, now: State) -> Release | None:
        """Return the release that serves today in the place of one that is gone."""
        active = self._ground.registry.active(config.alias)
        if active is None or (now.release is not None and active == now.release.id):
            return now.release
        try:
            return reading(loaded_release(active, self._ground.registry), self._ground.registry)
        except (ModelLoadError, UnknownNameError):
            return now.release
