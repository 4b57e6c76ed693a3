"""What a cycle leaves behind: a placement that serves what it improved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from siamrec._core.hashing import canonical_json
from siamrec.bandits import Policy, SuccessRule
from siamrec.data import Catalog
from siamrec.errors import InvalidParameterError, SiamrecError
from siamrec.lifecycle._evaluate import TEXT_BASE, TEXT_IN_USE, TEXT_TUNED
from siamrec.lifecycle._ground import Ground
from siamrec.lifecycle._in_use import PLACEMENT, TEXT
from siamrec.lifecycle._recipes import arm_config
from siamrec.lifecycle.placement import LIVE, Placement
from siamrec.lifecycle.training import TrainingData, train
from siamrec.models.recommenders import EASE, LongTail, Popularity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.data import Feedback
    from siamrec.lifecycle.judging import Judging
    from siamrec.protocols import BanditFactory, BlobStore, Clock, SiameseEncoder
    from siamrec.storage import Store


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """What is to choose among the arms after a cycle.

    Attributes:
        control: The arm that served alone until now; None where a bandit did.
        won: Whether the bandit of the cycle won against what served.
        policy: Its policy, a function of the host that makes bandits, or None for the usual one.
    """

    control: str | None
    won: bool
    policy: Policy[Any] | BanditFactory | None

    def candidate(self, placement: Placement) -> Placement:
        """Return the placement with the bandit of the cycle."""
        given = isinstance(self.policy, Policy) and (self.control is not None or self.won)
        policy = self.policy if given else placement.policy
        return replace(placement, mode="bandit", policy=policy)  # type: ignore[arg-type]

    def first(self, placement: Placement) -> Placement:
        """Return a placement that is new, with what serves already where the host says what.

        Raises:
            siamrec.errors.InvalidParameterError: If that is no arm of the placement.
        """
        if self.won or self.control in {None, "popularity"}:
            return placement  # `train` compares with popularity
        texts = {TEXT_BASE, TEXT_IN_USE, TEXT_TUNED}
        arm = TEXT if self.control in texts else self.control
        return replace(placement, mode="static", static_weights={arm: 1.0})


def salt_of(seed: int) -> str:
    """Return the salt of a workspace that a run makes."""
    return f"improve-{seed}"


def ground_of(store: Store, blobs: BlobStore, clock: Clock, *, seed: int) -> Ground:
    """Return the ground of the workspace of a run; its salt follows the seed where it is new."""
    made = store.values.get("workspace", "salt") is not None
    return Ground(store, blobs, clock, salt=None if made else salt_of(seed))


def placed(
    ground: Ground,
    *,
    feedback: Feedback,
    catalog: Catalog,
    judging: Judging,
    own: Mapping[str, Any],
    encoder: tuple[str, SiameseEncoder],
    chooser: Chooser,
) -> dict[str, Any]:
    """Keep a placement of a cycle's arms, train it on its events, and return what came of it.

    A placement that is there keeps its settings, and stays as it is unless what was trained takes
    the place of what serves: then arms of the cycle join it, and a bandit chooses among them.

    Args:
        ground: The workspace.
        feedback: Events of the run.
        catalog: Items of the run.
        judging: What counts as liking, and the length of a list.
        own: Arms of the host.
        encoder: Version and encoder that are in use now.
        chooser: What is to choose.
    """
    try:
        ground.require_kinds(users=feedback.users.ids, items=feedback.items.ids)
        ground.store.catalog.write(_writable(catalog))
        arms = _arms(judging.positive, own)
        there = ground.config(PLACEMENT) if PLACEMENT in ground.placements() else None
        if there is None:
            n_arms = min(2, len(arms))
            reward = SuccessRule(good_rating=judging.positive, bad_rating=judging.positive / 2)
            made = Placement(name=PLACEMENT, arms=arms, k=judging.k, n_arms=n_arms, reward=reward)
            candidate = chooser.first(chooser.candidate(made))
        else:
            joined = {name: arm for name, arm in arms.items() if name in own}
            candidate = chooser.candidate(replace(there, arms={**arms, **there.arms, **joined}))
        trained = train(
            ground, candidate, serves_as=there, data=TrainingData.of(ground, feedback),
            encoders={LIVE: encoder},
        )  # fmt: skip
    except SiamrecError as error:  # an arm of the host that measures well may not serve
        return {"placement": None, "reason": str(error)}
    better = there is None or chooser.won or trained.verdict == "promoted"
    placement = candidate if better or there is None else there
    ground.keep(placement)
    return {
        "placement": PLACEMENT,
        "chooses": "the bandit" if placement.mode == "bandit" else _alone(placement),
        "release": trained.release,
        "serving": trained.serving,
        "verdict": trained.verdict,
        "reason": trained.reasons[0],
        "metrics": dict(trained.metrics),
    }


def _alone(placement: Placement) -> str:
    """Return the arms that are drawn by fixed weights."""
    return ", ".join(arm for arm, share in placement.shares().items() if share > 0)


def _arms(positive: float, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arms of the placement that a cycle leaves behind: its own, as they are written.

    The text arm has the encoder in use. An arm that cannot be written down, as of a class of the
    host's own, is left out.
    """
    arms: dict[str, Any] = {
        "popularity": Popularity(positive=positive),
        "ease": EASE(positive=positive),
        TEXT: {"name": "text-profile", "encoder": LIVE, "positive": positive},
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
