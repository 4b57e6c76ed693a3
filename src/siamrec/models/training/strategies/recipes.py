"""What is trained, as values: a head on cached vectors, the last layers, small changes, all."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable  # noqa: TC003  (types are read at run time here)
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast, final

from siamrec._core import check
from siamrec._core.book import Book, Named
from siamrec._core.recipe import Recipe
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.models.encoders.sentence import PRECISIONS, Precision
from siamrec.pairs import MINERS, HardNegatives

KindT = TypeVar("KindT")


def says_who_reads(kind: type[KindT]) -> type[KindT]:
    """Let a class that is called with a setting of some strategy say where it is read."""
    plain: Callable[..., None] = kind.__init__
    known = [each.name for each in fields(cast("Any", kind))]

    @wraps(plain)
    def made(self: KindT, **settings: Any) -> None:
        for name, value in settings.items():
            if name not in known:
                _refuse_unread(name, value)
                raise UnknownNameError(f"setting of {kind.__name__}", name, known)
        plain(self, **settings)

    setattr(kind, "__init__", made)  # noqa: B010  (no method can be assigned to)
    return kind


def _refuse_unread(name: str, value: object) -> None:
    kinds: list[Any] = list(STRATEGIES.house().values())
    able = sorted(k.__name__ for k in kinds if name in {each.name for each in fields(k)})
    if able:
        raise InvalidParameterError(
            name,
            value,
            f"given where it is read, as a setting of {', '.join(able)}: "
            f"FineTuneConfig(strategy={able[0]}({name}=…))",
        )


class Strategy(Recipe, ABC):
    """What is trained and how, with the settings that nothing else reads.

    All have `epochs`, `batch_size`, `learning_rate`, `evaluations` and `validation_texts`, each
    with a default of its own.

    Attributes:
        shares: Shares of tuned weights that are tried where `wise_ft` is `"auto"`.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    shares: ClassVar[tuple[float, ...]] = (0.25, 0.5, 0.75, 1.0)
    _counts: ClassVar[tuple[str, ...]] = ()

    epochs: int
    batch_size: int
    learning_rate: float
    evaluations: int
    validation_texts: int | None

    def _check_schedule(self) -> None:
        for name in ("epochs", "batch_size", "evaluations", *self._counts):
            check.count(name, getattr(self, name))
        check.positive("learning_rate", self.learning_rate)
        if self.validation_texts is not None:
            check.count("validation_texts", self.validation_texts)


@says_who_reads
@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter(Strategy):
    """Trains a head on cached vectors with `feedback-infonce`, in seconds on a CPU.

    Args:
        hidden: Width of a head's nonlinear part; 0 leaves it linear.
        whiten: Power in [0, 1] with which training starts by evening out the directions of the
            base's vectors; 0 only moves their mean to the origin.
        pull: Strength of the pull of the head back to where it started.
        profile_size: Most liked texts that stand together as one anchor; 1 trains text against
            text, more trains what ranks items for a person.
        refit: Whether the chosen number of steps is trained again with the hidden texts.
        heads: Heads that the refit trains from different draws and joins into one of the base's
            dimension: a ranking that depends less on luck, for the time of each further head; 1
            keeps one, and so does a warm start.
        scale: One over the temperature of the loss.
        popularity: Strength in [0, 1] of the logQ correction; 1 makes in-batch negatives an
            unbiased sample, less favours rarer texts.
        co_likes: Texts that this many training users like together are no negatives of each other;
            0 leaves this out. Where an anchor is a whole profile, what its user likes is enough
            to know.
        epochs: Passes over the training pairs.
        batch_size: Pairs in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        evaluations: How often the ranking is measured on validation in all.
        validation_texts: Texts that validation ranks, drawn by a hash; all by default.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """

    # Mixing a head with the base costs next to nothing.
    shares: ClassVar[tuple[float, ...]] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
    _counts: ClassVar[tuple[str, ...]] = ("profile_size", "heads")

    hidden: int = 512
    whiten: float = 0.5
    pull: float = 0.0
    profile_size: int = 40
    refit: bool = True
    heads: int = 3
    scale: float = 10.0
    popularity: float = 1.0
    co_likes: int = 0
    epochs: int = 2
    batch_size: int = 256
    learning_rate: float = 2e-3
    evaluations: int = 12
    validation_texts: int | None = None

    def __post_init__(self) -> None:
        self._check_schedule()
        for name in ("hidden", "co_likes"):
            check.count(name, getattr(self, name), least=0)
        for name in ("whiten", "popularity"):
            check.share(name, getattr(self, name))
        check.not_negative("pull", self.pull)
        check.flag("refit", self.refit)
        check.positive("scale", self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderStrategy(Strategy, ABC):
    """Trains weights of the encoder itself, with any loss, through sentence-transformers.

    Args:
        rows_per_user: Rows of one user that stand together in a batch, so that what the user likes
            is read once for several rows; 1 draws rows one by one.
        mine: `HardNegatives`, or its name `"hard-negatives"`: mines negatives with the encoder as
            it stands, before the first step, and anew at each evaluation.
        precision: Number format of training.
        epochs: Passes over the training pairs.
        batch_size: Pairs in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        evaluations: How often the ranking is measured on validation in all.
        validation_texts: Texts that validation ranks, drawn by a hash: reading all again at each
            evaluation would take most of the time; None ranks all.

    Raises:
        InvalidParameterError: If a number is out of its range.
        UnknownNameError: If a name is not known; the message offers the nearest ones.
    """

    _counts: ClassVar[tuple[str, ...]] = ("rows_per_user",)

    rows_per_user: int = 1
    mine: HardNegatives | Named | None = None
    precision: Precision = "auto"
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 2e-5
    evaluations: int = 4
    validation_texts: int | None = 1_500

    def __post_init__(self) -> None:
        self._check_schedule()
        check.one_of("precision", self.precision, PRECISIONS)
        object.__setattr__(self, "mine", self.miner)

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


@says_who_reads
@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopLayers(EncoderStrategy):
    """Trains the last layers and leaves the others as they are.

    Args:
        layers: Layers that are trained, from the last; the other settings are those of
            `EncoderStrategy`.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """

    _counts: ClassVar[tuple[str, ...]] = ("rows_per_user", "layers")

    layers: int = 2
    learning_rate: float = 1e-4


@says_who_reads
@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA(EncoderStrategy):
    """Trains a change of low rank in every layer, merged into the result (extra `[lora]`).

    Args:
        rank: Rank of the changes; the other settings are those of `EncoderStrategy`.

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Hu et al. (2022), LoRA: low-rank adaptation of large language models, ICLR.
    """

    _counts: ClassVar[tuple[str, ...]] = ("rows_per_user", "rank")

    rank: int = 8
    learning_rate: float = 3e-4


@says_who_reads
@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Full(EncoderStrategy):
    """Trains every weight of the encoder; the settings are those of `EncoderStrategy`."""


STRATEGIES: Book[Strategy] = Book(
    "strategy",
    {"adapter": Adapter, "full": Full, "lora": LoRA, "top-layers": TopLayers},
    contract=Strategy,
    recipes=Strategy,
)
"""Every strategy by name."""
