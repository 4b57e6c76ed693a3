"""Arms of a release with the encoders by which they read queries."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from siamrec.lifecycle import _encoders
from siamrec.models.encoders import ENCODERS
from siamrec.models.recommenders import FittedTextProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.lifecycle.release import Release
    from siamrec.protocols import SiameseEncoder


def reading(release: Release, registry: ModelRegistry) -> Release:
    """Return a release whose arms of texts answer queries; an encoder is loaded when it is needed.

    Two arms of one encoder have one copy of it.
    """
    made: dict[str, Callable[[], SiameseEncoder]] = {}
    arms = dict(release.arms)
    for name, recipe in release.encoders.items():
        arm = arms.get(name)
        if isinstance(arm, FittedTextProfile):
            encoder = made.setdefault(str(recipe), _once(partial(_made, recipe, registry)))
            arms[name] = arm.answering(encoder)
    return replace(release, arms=arms)


def _made(recipe: Any, registry: ModelRegistry) -> SiameseEncoder:
    return _encoders.loaded(recipe, registry) if isinstance(recipe, str) else ENCODERS.make(recipe)


def _once(make: Callable[[], SiameseEncoder]) -> Callable[[], SiameseEncoder]:
    kept: list[SiameseEncoder] = []

    def made() -> SiameseEncoder:
        if not kept:
            kept.append(make())
        return kept[0]

    return made
