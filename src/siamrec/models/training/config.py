"""How a fine-tuning is to go: one frozen recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from siamrec._core import check
from siamrec._core import settings as read
from siamrec._core.book import Named, named
from siamrec._core.hashing import config_hash
from siamrec.errors import InvalidParameterError
from siamrec.losses import LOSSES, LossSpec
from siamrec.models.training.card.plain_values import plainly
from siamrec.models.training.strategies.recipes import (
    STRATEGIES,
    Adapter,
    Strategy,
    says_who_reads,
)
from siamrec.models.training.validation.retention import Retention  # noqa: TC001  (read at run time)

if TYPE_CHECKING:
    from typing import Self

USUAL_LOSS = "feedback-infonce"
"""The loss of every strategy where none is named, and the adapter's only one."""


@says_who_reads
@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """Settings of a fine-tuning; the same settings, pairs and encoder give the same weights.

    What only one way of training reads stands in its `Strategy`.

    Args:
        strategy: `Adapter`, `TopLayers`, `LoRA` or `Full`, or its name, with settings where there
            are any: `"adapter"`, `"lora:rank=8"`, `{"name": "full", "batch_size": 32}`.
        loss: Name of the loss (see `siamrec.losses.LOSSES`), with its settings where there are
            any: `"mnrl:scale=30"`, or `{"name": "mse", "teacher": …}` with JSON values, arrays, a
            teacher; `"feedback-infonce"` by default. The adapter has no other, and takes none.
        losses: Further losses by name beside those of `siamrec.losses.LOSSES`; they win.
        cold_share: Share of the texts that are hidden while settings are chosen on validation,
            so that what is chosen also helps texts without any feedback; 0 leaves this out.
        early_stopping_patience: Evaluations without gain (for the adapter: clearly below the best)
            after which training stops.
        wise_ft: Share of the tuned weights in the result, in (0, 1], or `"auto"` to choose among
            the strategy's `shares` on validation, under the floor of `retention`.
        warm_start: Whether training starts from the previous version given to `FineTuner.fit`
            rather than from the base, with the width that its head has; add old pairs by
            `siamrec.pairs.ReplayedPairs`.
        retention: Largest loss of general skill, which the returned encoder has to keep; when
            None it is measured where the texts allow it, and nothing is asked of it.
        max_steps: Stops after this many steps; no limit by default.
        max_seconds: Stops after this long; no limit by default.
        seed: Of everything that is drawn.

    Raises:
        InvalidParameterError: If a number is out of its range, a loss is given to the adapter, or
            a setting that a strategy reads is given here.
        UnknownNameError: If a name is not known; the message offers the nearest ones.

    Examples:
        >>> FineTuneConfig(strategy="lora:rank=4").strategy.rank
        4
        >>> FineTuneConfig(rank=4)
        Traceback (most recent call last):
        siamrec.errors.InvalidParameterError: rank must be given where it is read, as a ...
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    strategy: Strategy | Named = field(default_factory=Adapter)
    loss: Named | None = field(default=None, hash=False)
    losses: Mapping[str, LossSpec] = field(default_factory=dict, hash=False)
    cold_share: float = 0.1
    early_stopping_patience: int = 6
    wise_ft: float | Literal["auto"] = "auto"
    warm_start: bool = False
    retention: Retention | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategy", STRATEGIES.make(self.strategy))
        object.__setattr__(self, "loss", self._read_loss())
        for name, each in check.kind("losses", self.losses, Mapping).items():
            check.kind(f"losses[{name!r}]", each, LossSpec)
        self.loss_spec.require_settings(self.loss_settings)
        check.count("early_stopping_patience", self.early_stopping_patience)
        check.count("seed", self.seed, least=0)
        if self.cold_share:
            check.share("cold_share", self.cold_share, open_ends=True)
        if self.wise_ft != "auto":
            check.share("wise_ft", check.positive("wise_ft", self.wise_ft))
        if self.max_steps is not None:
            check.count("max_steps", self.max_steps)
        if self.max_seconds is not None:
            check.positive("max_seconds", self.max_seconds)

    def _read_loss(self) -> Named | None:
        """Return the name of the loss, in a mapping with its settings where there are any."""
        given = self.loss
        if given is None:
            return None
        if isinstance(self.strategy, Adapter):
            raise InvalidParameterError(
                "loss", given, f"left out with Adapter, which trains with {USUAL_LOSS!r}"
            )
        if isinstance(given, str):
            name, texts = read.parted("loss", given)
            more = read.typed("loss", LossSpec.__call__, texts)
            return {"name": name, **more} if more else name
        if named(given) is None:
            raise InvalidParameterError("loss", given, "a name, or settings with a 'name'")
        return dict(given)

    @property
    def loss_name(self) -> str:
        """Name of the loss."""
        return named(self.loss) or USUAL_LOSS

    @property
    def loss_settings(self) -> dict[str, Any]:
        """Settings that were given with the loss."""
        given = dict(self.loss) if isinstance(self.loss, Mapping) else {}
        return {name: value for name, value in given.items() if name != "name"}

    @property
    def loss_spec(self) -> LossSpec:
        """What builds the loss."""
        return self.losses.get(self.loss_name) or LOSSES.factory(self.loss_name)

    @property
    def training(self) -> Strategy:
        """The strategy as a value."""
        return STRATEGIES.make(self.strategy)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values; `from_config` gives them back.

        Raises:
            InvalidParameterError: If something is a live object, such as the teacher of a loss,
                or a loss that is handed in.
        """
        return read.encoded(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the settings that `to_config` wrote.

        Raises:
            UnknownNameError: If a setting, the strategy or the loss is not known.
            InvalidParameterError: If a value is of another type or out of range.
        """
        given = check.kind("config", config, Mapping)
        return cls(**read.decoded("FineTuneConfig", cls, given))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values: paths as text, encoders by their fingerprints.

        Raises:
            InvalidParameterError: If a setting of the loss cannot be told apart from others.
        """
        names = (each.name for each in fields(self) if each.name != "losses")
        plain = {name: plainly(name, getattr(self, name)) for name in names}
        name = STRATEGIES.name_of(self.training)
        plain["strategy"] = {"name": name, **plain["strategy"]}
        plain["loss"] = {"name": self.loss_name, **plainly("loss", self.loss_settings)}
        return plain

    def fingerprint(self) -> str:
        """Return a hash of the settings; raises as `as_dict` does."""
        return config_hash(self.as_dict())
