"""How a fine-tuning is to go: one frozen recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

from siamrec._core import check
from siamrec._core.hashing import config_hash
from siamrec.models.encoders.sentence import PRECISIONS, Precision

Strategy: TypeAlias = Literal["adapter", "full"]
"""What is trained: a head on cached vectors, or the whole encoder."""

STRATEGIES = ("adapter", "full")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """Settings of a fine-tuning; the same settings, pairs and encoder give the same weights.

    Where a setting is None the strategy has its own default (adapter, full).

    Args:
        strategy: `"adapter"`, seconds on a CPU; or `"full"`.
        epochs: Passes over the training pairs.
        batch_size: Pairs in a step (256, 16).
        learning_rate: Largest step size; it falls linearly to zero (2e-3, 2e-5).
        scale: One over the temperature of the loss (10, 20).
        profile_size: Most liked texts that stand together as one anchor; 1 trains text against
            text, more trains what ranks items for a person.
        hidden: Width of the head's nonlinear part; 0 leaves it linear (adapter only).
        whiten: Power in [0, 1] with which the adapter starts by evening out the directions of the
            base's vectors; 0 only moves their mean to the origin.
        pull: Strength of the pull of the head back to where it started (adapter only).
        popularity: Strength in [0, 1] of the logQ correction; 1 makes in-batch negatives an
            unbiased sample, less favours rarer texts.
        co_likes: Texts that this many training users like together are no negatives of each other;
            0 leaves this out.
        cold_share: Share of the texts that are hidden while settings are chosen on validation,
            so that what is chosen also helps texts without any feedback; 0 leaves this out.
        refit: Whether the chosen number of steps is trained again with the hidden texts.
        evaluations: How often the ranking is measured on validation in all.
        early_stopping_patience: Evaluations without gain after which training stops.
        wise_ft: Share of the tuned weights in the result, in (0, 1], or `"auto"` to choose among
            1/4, 1/2, 3/4 and 1 on validation.
        precision: Number format of the full strategy.
        max_steps: Stops after this many steps; no limit by default.
        max_seconds: Stops after this long; no limit by default.
        seed: Of everything that is drawn.

    Raises:
        InvalidParameterError: If a number is out of its range.
        UnknownNameError: If a name is not known; the message offers the nearest ones.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    strategy: Strategy = "adapter"
    epochs: int = 4
    batch_size: int | None = None
    learning_rate: float | None = None
    scale: float | None = None
    profile_size: int = 10
    hidden: int = 0
    whiten: float = 0.0
    pull: float = 0.0
    popularity: float = 1.0
    co_likes: int = 5
    cold_share: float = 0.1
    refit: bool = True
    evaluations: int = 12
    early_stopping_patience: int = 4
    wise_ft: float | Literal["auto"] = "auto"
    precision: Precision = "auto"
    max_steps: int | None = None
    max_seconds: float | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        check.one_of("strategy", self.strategy, STRATEGIES)
        check.one_of("precision", self.precision, PRECISIONS)
        for name in ("epochs", "profile_size", "evaluations", "early_stopping_patience"):
            check.count(name, getattr(self, name))
        for name in ("hidden", "co_likes", "seed"):
            check.count(name, getattr(self, name), least=0)
        for name in ("whiten", "popularity"):
            check.share(name, getattr(self, name))
        check.not_negative("pull", self.pull)
        if self.cold_share:
            check.share("cold_share", self.cold_share, open_ends=True)
        if self.wise_ft != "auto":
            check.share("wise_ft", check.positive("wise_ft", self.wise_ft))
        for name in ("batch_size", "max_steps"):
            if getattr(self, name) is not None:
                check.count(name, getattr(self, name))
        for name in ("learning_rate", "scale", "max_seconds"):
            if getattr(self, name) is not None:
                check.positive(name, getattr(self, name))

    def of_strategy(self, name: str) -> float:
        """Return a setting, or the strategy's default where it was left open."""
        value = getattr(self, name)
        return float(_DEFAULTS[self.strategy][name] if value is None else value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    def fingerprint(self) -> str:
        """Return a hash of the settings."""
        return config_hash(self.as_dict())


_DEFAULTS: dict[str, dict[str, float]] = {
    "adapter": {"batch_size": 256, "learning_rate": 2e-3, "scale": 10.0},
    "full": {"batch_size": 16, "learning_rate": 2e-5, "scale": 20.0},
}
