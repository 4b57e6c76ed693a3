"""How a fine-tuning is to go: one frozen recipe."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (read at run time)
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias, final

from siamrec._core import check
from siamrec._core.book import Named  # noqa: TC001  (read at run time)
from siamrec._core.hashing import config_hash
from siamrec.errors import InvalidParameterError
from siamrec.models.encoders.sentence import PRECISIONS, Precision
from siamrec.models.training.card.plain_values import plainly
from siamrec.models.training.validation.retention import Retention  # noqa: TC001  (read at run time)
from siamrec.pairs import MINERS, HardNegatives

Strategy: TypeAlias = Literal["adapter", "top-layers", "lora", "full"]
"""What is trained: a head on cached vectors, the last layers, small changes of all, or all."""

STRATEGIES = ("adapter", "top-layers", "lora", "full")
WISE_FT_SHARES: dict[str, tuple[float, ...]] = {
    "adapter": (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0),
    "top-layers": (0.25, 0.5, 0.75, 1.0),
    "lora": (0.25, 0.5, 0.75, 1.0),
    "full": (0.25, 0.5, 0.75, 1.0),
}
"""Shares of tuned weights that are tried; mixing an adapter costs next to nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """Settings of a fine-tuning; the same settings, pairs and encoder give the same weights.

    Where a setting is None the strategy has its own default (adapter, full).

    Args:
        strategy: `"adapter"`, seconds on a CPU; `"top-layers"`; `"lora"` (extra `[lora]`), a
            change of low rank in every layer, merged into the result; or `"full"`.
        loss: Name of the loss (see `siamrec.losses.LOSSES`); the adapter knows only
            `"feedback-infonce"`.
        loss_settings: Further settings of the loss: JSON values, arrays, a teacher.
        layers: Layers that `"top-layers"` trains, from the last.
        rank: Rank of the changes that `"lora"` learns.
        epochs: Passes over the training pairs (2, 4).
        batch_size: Pairs in a step (256, 16).
        learning_rate: Largest step size; it falls linearly to zero (2e-3, 2e-5).
        scale: One over the temperature of the loss (10, 20).
        profile_size: Most liked texts that stand together as one anchor; 1 trains text against
            text, more trains what ranks items for a person.
        hidden: Width of a head's nonlinear part; 0 leaves it linear (adapter only).
        whiten: Power in [0, 1] with which the adapter starts by evening out the directions of the
            base's vectors; 0 only moves their mean to the origin.
        pull: Strength of the pull of the head back to where it started (adapter only).
        rows_per_user: Rows of one user that stand together in a batch, so that what the user likes
            is read once for several rows; 1 draws rows one by one (not the adapter).
        mine: `HardNegatives`, or its name `"hard-negatives"`: mines negatives with the encoder as
            it stands, before the first step, and anew at each evaluation (not the adapter).
        popularity: Strength in [0, 1] of the logQ correction; 1 makes in-batch negatives an
            unbiased sample, less favours rarer texts.
        co_likes: Texts that this many training users like together are no negatives of each other;
            0 leaves this out (0, 5). Where an anchor is a whole profile, what its user likes is
            enough to know.
        cold_share: Share of the texts that are hidden while settings are chosen on validation,
            so that what is chosen also helps texts without any feedback; 0 leaves this out.
        refit: Whether the chosen number of steps is trained again with the hidden texts.
        heads: Heads that the refit trains from different draws and joins into one of the base's
            dimension: a ranking that depends less on luck, for the time of each further head; 1
            keeps one, and so does a warm start (adapter only).
        evaluations: How often the ranking is measured on validation in all (12, 4).
        early_stopping_patience: Evaluations without gain (for the adapter: clearly below the best)
            after which training stops.
        wise_ft: Share of the tuned weights in the result, in (0, 1], or `"auto"` to choose among
            the strategy's `WISE_FT_SHARES` on validation, under the floor of `retention`.
        warm_start: Whether training starts from the previous version given to `FineTuner.fit`
            rather than from the base, with the width that its head has; add old pairs by
            `siamrec.pairs.Replay`.
        retention: Largest loss of general skill, which the returned encoder has to keep; when
            None it is measured where the texts allow it, and nothing is asked of it.
        validation_texts: Texts that validation ranks, drawn by a hash; all for the adapter and
            1,500 for the others by default, whose evaluations read every text again.
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
    loss: str = "feedback-infonce"
    loss_settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    layers: int = 2
    rank: int = 8
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    scale: float | None = None
    profile_size: int = 40
    hidden: int = 512
    whiten: float = 0.5
    pull: float = 0.0
    rows_per_user: int = 1
    mine: HardNegatives | Named | None = None
    popularity: float = 1.0
    co_likes: int | None = None
    cold_share: float = 0.1
    refit: bool = True
    heads: int = 3
    evaluations: int | None = None
    early_stopping_patience: int = 6
    wise_ft: float | Literal["auto"] = "auto"
    warm_start: bool = False
    retention: Retention | None = None
    validation_texts: int | None = None
    precision: Precision = "auto"
    max_steps: int | None = None
    max_seconds: float | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        check.one_of("strategy", self.strategy, STRATEGIES)
        check.one_of("precision", self.precision, PRECISIONS)
        for name in (
            "profile_size",
            "early_stopping_patience",
            "heads",
            "layers",
            "rank",
            "rows_per_user",
        ):
            check.count(name, getattr(self, name))
        for name in ("hidden", "seed"):
            check.count(name, getattr(self, name), least=0)
        for name in ("whiten", "popularity"):
            check.share(name, getattr(self, name))
        check.not_negative("pull", self.pull)
        if self.cold_share:
            check.share("cold_share", self.cold_share, open_ends=True)
        if self.wise_ft != "auto":
            check.share("wise_ft", check.positive("wise_ft", self.wise_ft))
        object.__setattr__(self, "mine", self.miner)
        self._check_optional()

    @property
    def miner(self) -> HardNegatives | None:
        """What mines negatives while training goes on."""
        if self.mine is None:
            return None
        miner = MINERS.make(self.mine)
        if not isinstance(miner, HardNegatives):
            raise InvalidParameterError("mine", type(miner).__name__, "HardNegatives")
        if miner.encoder is not None:
            raise InvalidParameterError("mine", "an encoder", "a recipe without an encoder")
        return miner

    def _check_optional(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "evaluations",
            "max_steps",
            "validation_texts",
            "co_likes",
        ):
            if getattr(self, name) is not None:
                check.count(name, getattr(self, name), least=0 if name == "co_likes" else 1)
        for name in ("learning_rate", "scale", "max_seconds"):
            if getattr(self, name) is not None:
                check.positive(name, getattr(self, name))

    def of_strategy(self, name: str) -> float:
        """Return a setting, or the strategy's default where it was left open."""
        value = getattr(self, name)
        return float(_DEFAULTS[self.strategy][name] if value is None else value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values: paths as text, encoders by their fingerprints.

        Raises:
            InvalidParameterError: If one of `loss_settings` cannot be told apart from others.
        """
        return {each.name: plainly(each.name, getattr(self, each.name)) for each in fields(self)}

    def fingerprint(self) -> str:
        """Return a hash of the settings; raises as `as_dict` does."""
        return config_hash(self.as_dict())


_DEFAULTS: dict[str, dict[str, float]] = {
    "adapter": {
        "batch_size": 256,
        "co_likes": 0,
        "epochs": 2,
        "evaluations": 12,
        "learning_rate": 2e-3,
        "scale": 10.0,
    },
    "top-layers": {
        "batch_size": 16,
        "co_likes": 5,
        "epochs": 4,
        "evaluations": 4,
        "learning_rate": 1e-4,
        "scale": 20.0,
    },
    "lora": {
        "batch_size": 16,
        "co_likes": 5,
        "epochs": 4,
        "evaluations": 4,
        "learning_rate": 3e-4,
        "scale": 20.0,
    },
    "full": {
        "batch_size": 16,
        "co_likes": 5,
        "epochs": 4,
        "evaluations": 4,
        "learning_rate": 2e-5,
        "scale": 20.0,
    },
}
