"""What serves a placement: loaded when something has changed, once for all threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from siamrec._core.clock import SECOND
from siamrec.errors import ModelLoadError, UnknownNameError
from siamrec.lifecycle._following import FirstStates
from siamrec.lifecycle._readers import reading
from siamrec.lifecycle._state import State
from siamrec.lifecycle.release import loaded_release

if TYPE_CHECKING:
    from siamrec.lifecycle._following import Served
    from siamrec.lifecycle._ground import Ground
    from siamrec.storage import Heads
    from siamrec.typing import Instant

_AGAIN = 10 * SECOND
"""How long a release that could not be loaded is not tried again."""


@final
class States:
    """The states of one placement; threads may share it.

    Args:
        ground: The workspace.
        name: Name of the placement.
    """

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self._name = name
        self._lock = threading.Lock()
        self._tried: Instant = 0
        self._states: dict[str | None, State] = {}
        """What serves, by variant; under None what serves outside of every experiment."""
        self._first = FirstStates(ground)

    def current(self) -> State:
        """Return what serves outside of every experiment."""
        log = self._ground.store.recommendations
        return self.of(log.heads(self._name, f"placement:{self._name}"), None)

    def latest(self) -> State:
        """Return what served last outside of every experiment; it may have changed since."""
        return self._states.get(None) or self.current()

    def in_memory(self, user: str | int | None, query: str | None) -> State | None:
        """Return what served last, without a look at the log; None where nothing did."""
        state = self._states.get(None)
        return None if state is None else self._states.get(state.assigned(user, query), state)

    def of(self, heads: Heads, variant: str | None) -> State:
        """Return what serves under these heads; what has changed is loaded, once."""
        state = self._states.get(variant)
        if state is not None and self._holds(state, heads):
            return state
        with self._lock:
            state = self._states.get(variant)
            if state is None or not self._holds(state, heads):
                state = self._loaded(heads, variant, state)
                self._states[variant] = state
        return state

    def of_first(self, heads: Heads, served: Served) -> State:
        """Return what serves the next page of what was served before."""
        now = self.of(heads, None)
        return self._first.of(served, now, [each.release for each in self._states.values()])

    def _holds(self, state: State, heads: Heads) -> bool:
        """Whether a state is what serves; one that could not be loaded is tried again at times."""
        again = state.trouble and not 0 <= self._ground.now() - self._tried < _AGAIN
        return state.heads == heads and not again

    def _loaded(self, heads: Heads, variant: str | None, old: State | None) -> State:
        config = self._ground.config(self._name)
        experiment = self._ground.experiment(config)
        if variant is not None and variant in config.variants:
            config = config.of_variant(variant, config.variants[variant])
        release, trouble = None, ""
        if heads.release is not None:
            held = (each.release for each in self._states.values())
            release = next((each for each in held if each and each.id == heads.release), None)
            try:
                registry = self._ground.registry
                release = release or reading(loaded_release(heads.release, registry), registry)
            except (ModelLoadError, UnknownNameError) as error:
                trouble = f"the release cannot be loaded: {error}"
                self._tried = self._ground.now()
        if old is not None and old.heads.catalog == heads.catalog:
            catalog, removed = old.catalog, old.removed
        else:
            catalog = self._ground.store.catalog.read()
            removed = self._ground.store.catalog.removed()
        same = old is not None and old.heads.catalog == heads.catalog and old.release is release
        return State.of(
            heads,
            config=config,
            release=release,
            catalog=catalog,
            removed=removed,
            trouble=trouble,
            experiment=experiment,
            variant=variant,
            clock=self._ground.clock,
            shelf=old.shelf if old is not None and same else None,
        )
