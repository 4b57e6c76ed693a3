"""What is in use before a cycle: the encoder, the release, and what chooses among the arms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from siamrec.lifecycle._evaluate import TEXT_BASE, TEXT_IN_USE
from siamrec.lifecycle.placement import LIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.registry import ModelRegistry

PLACEMENT = "home"
"""Name of the placement that a cycle leaves behind."""
TEXT = "text"
"""Its arm of texts, by the encoder in use."""
BANDIT = "the bandit in use"
"""How a bandit that serves is called where it is the control of a test."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What a cycle has to beat; noted in its first step, so that a run that goes on has it too.

    Attributes:
        encoder: Version of the encoder; None before the first.
        release: Version of the release; None before the first.
        arm: The arm that serves alone, by its name in the cycle; None where a bandit chooses.
        policy: Policy of the bandit that chooses, as JSON.
        arms: Arms among which it chooses, by their names in the cycle.
    """

    encoder: str | None = None
    release: str | None = None
    arm: str | None = None
    policy: Mapping[str, Any] | None = None
    arms: tuple[str, ...] = ()

    @classmethod
    def of(cls, ground: Ground | None, registry: ModelRegistry, *, said: str | None) -> InUse:
        """Return what is in use.

        Args:
            ground: The workspace; None where a store of the host keeps no placements.
            registry: Its versions.
            said: The arm that serves, where the host says so.
        """
        encoder = registry.active(LIVE)
        if ground is None or PLACEMENT not in ground.placements():
            return cls(encoder=encoder, arm=said or "popularity")
        placement = ground.config(PLACEMENT)
        release = registry.active(placement.alias)
        text = TEXT_BASE if encoder is None else TEXT_IN_USE
        names = {arm: text if arm == TEXT else arm for arm in placement.arms}
        if said is not None or placement.mode == "static":
            return cls(encoder=encoder, release=release, arm=said or names[_heaviest(placement)])
        policy: Any = placement.policy
        arms = tuple(names.values())
        return cls(encoder=encoder, release=release, policy=policy, arms=arms)

    def to_config(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "arms": list(self.arms)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InUse:
        """Return what `to_config` wrote."""
        return cls(**{**config, "arms": tuple(config["arms"])})

    @property
    def control(self) -> str:
        """What a test compares with, by name."""
        return BANDIT if self.arm is None else self.arm


def _heaviest(placement: Placement) -> str:
    shares = placement.shares()
    return max(shares, key=shares.__getitem__)
