"""What a cycle leaves behind: a placement that serves what it improved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec._core.hashing import canonical_json
from siamrec.data import Catalog
from siamrec.errors import InvalidParameterError, SiamrecError
from siamrec.lifecycle._ground import Ground
from siamrec.lifecycle._recipes import arm_config
from siamrec.lifecycle.placement import LIVE, Placement
from siamrec.lifecycle.training import train
from siamrec.models.recommenders import EASE, LongTail, Popularity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.data import Feedback
    from siamrec.lifecycle.judging import Judging
    from siamrec.protocols import BlobStore, Clock, SiameseEncoder
    from siamrec.storage import Store

PLACEMENT = "home"
"""Name of the placement."""


def ground_of(store: Store, blobs: BlobStore, clock: Clock, *, seed: int) -> Ground:
    """Return the ground of the workspace of a run; its salt follows the seed where it is new."""
    made = store.values.get("workspace", "salt") is not None
    return Ground(store, blobs, clock, salt=None if made else f"improve-{seed}")


def placed(
    ground: Ground,
    *,
    feedback: Feedback,
    catalog: Catalog,
    judging: Judging,
    own: Mapping[str, Any],
    encoder: tuple[str, SiameseEncoder],
) -> dict[str, Any]:
    """Keep a placement of a cycle's arms, train it, and return what came of it.

    Args:
        ground: The workspace.
        feedback: Events of the run.
        catalog: Items of the run.
        judging: What counts as liking, and the length of a list.
        own: Arms of the host.
        encoder: Version and encoder that the cycle has put into use.
    """
    try:
        ground.require_kinds(users=feedback.users.ids, items=feedback.items.ids)
    except InvalidParameterError as error:
        return {"placement": None, "reason": str(error)}
    ground.registry.activate(LIVE, encoder[0], reason="of the cycle")
    ground.store.catalog.write(_writable(catalog))
    arms = _arms(judging.positive, own)
    placement = Placement(name=PLACEMENT, arms=arms, k=judging.k, n_arms=2)
    try:
        trained = train(ground, placement, encoders={LIVE: encoder})
    except SiamrecError as error:  # an arm of the host that measures well may not serve
        return {"placement": None, "reason": str(error)}
    ground.keep(placement)
    return {
        "placement": PLACEMENT,
        "release": trained.release,
        "serving": trained.serving,
        "verdict": trained.verdict,
        "reason": trained.reasons[0],
    }


def _arms(positive: float, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arms of the placement that a cycle leaves behind: its own, as they are written.

    The text arm has the encoder in use. An arm that cannot be written down, as of a class of the
    host's own, is left out.
    """
    arms: dict[str, Any] = {
        "popularity": Popularity(positive=positive),
        "ease": EASE(positive=positive),
        "text": {"name": "text-profile", "encoder": LIVE, "positive": positive},
        "long_tail": LongTail(base=EASE(positive=positive), strength=0.3),
    }
    for name, recipe in own.items():
        try:
            arms[name] = arm_config(recipe)
        except InvalidParameterError:
            continue
    return arms


def _writable(catalog: Catalog) -> Catalog:
    """Return a catalogue with the attributes that can be written as JSON."""
    kept = {}
    for name, column in catalog.attributes.items():
        try:
            canonical_json(list(column))
        except (TypeError, ValueError):
            continue
        kept[name] = column
    return Catalog(items=catalog.items, text=catalog.text, attributes=kept)
