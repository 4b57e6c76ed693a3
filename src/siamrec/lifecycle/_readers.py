"""Arms that were loaded, with the encoders by which they read queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec.lifecycle import _encoders
from siamrec.lifecycle._recipes import is_reference
from siamrec.models.encoders import ENCODERS
from siamrec.models.recommenders import FittedTextProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.protocols import SiameseEncoder


def with_encoder(
    arm: FittedRecommender, recipe: Any, versions: Mapping[str, str], registry: ModelRegistry
) -> FittedRecommender:
    """Return an arm that was loaded, with the encoder that it was made with.

    Args:
        arm: The arm.
        recipe: Its recipe.
        versions: Version of each encoder that recipes name by an alias, at the training.
        registry: Where versions are kept.
    """
    wanted = recipe.get("encoder")
    if not isinstance(arm, FittedTextProfile) or wanted is None:
        return arm
    if is_reference(wanted):
        version = versions.get(wanted)
        if version is None:
            return arm

        def load() -> SiameseEncoder:
            return _encoders.loaded(version, registry)

        return arm.answering(load)
    return arm.answering(lambda: ENCODERS.make(wanted))
