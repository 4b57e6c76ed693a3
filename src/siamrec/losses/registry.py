"""Losses by name: ours, and every one of sentence-transformers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeAlias, final

import torch

from siamrec._core import check
from siamrec._core import settings as read
from siamrec._core.book import Book
from siamrec.errors import InvalidParameterError
from siamrec.losses.base import EmbeddingLoss
from siamrec.losses.infonce import FeedbackInfoNCE
from siamrec.losses.known import KnownPositives
from siamrec.losses.labelled import (
    ListwiseRating,
    WeightedContrastive,
    WeightedCoSENT,
    WeightedCosine,
)
from siamrec.losses.preference import BradleyTerry, ReferencePreference, WeightedTriplet
from siamrec.losses.queued import QueuedInfoNCE
from siamrec.losses.rates import TextRates, mined_negatives
from siamrec.losses.theirs import LABELLED, POSITIVES, THEIRS, TRIPLETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.data import Pairs

Columns: TypeAlias = tuple[str, ...]

LossFactory: TypeAlias = Callable[..., torch.nn.Module]
"""Builds a loss: `factory(model, *, pairs=None, **settings)`."""


@final
@dataclass(frozen=True, slots=True)
class LossSpec:
    """A factory of losses, with the columns that they need.

    Args:
        factory: Builds it.
        columns: Text columns that it needs: positives, triplets, labelled pairs, or texts alone
            (`("text",)` with the user as a class, `("text", "other")`, `("damaged", "text")`).
        takes_negatives: Whether mined negatives may stand behind the positives, with a copy of
            the positive where a row has fewer.
        kind: Class of what it builds, where that can be written down and read back.
    """

    factory: LossFactory
    columns: Columns = POSITIVES
    takes_negatives: bool = False
    kind: type[EmbeddingLoss] | None = None

    def __call__(
        self, model: torch.nn.Module | None, *, pairs: Pairs | None = None, **settings: Any
    ) -> torch.nn.Module:
        """Return the loss for a model; arguments as for `build_loss`.

        Raises:
            UnknownNameError: If the loss knows no such setting; the nearest are offered.
        """
        self.require_settings(settings)
        return self.factory(model, pairs=pairs, **settings)

    def require_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings that the loss has not; what only its class knows passes.

        Raises:
            UnknownNameError: If there is one; the nearest are offered.
        """
        read.require_known("loss", self.factory, settings)


def loss_columns(name: str) -> Columns:
    """Return the text columns that a loss needs.

    Raises:
        UnknownNameError: If no loss has this name; the message offers the nearest ones.
    """
    return LOSSES.factory(name).columns


def build_loss(
    name: str, model: torch.nn.Module, *, pairs: Pairs | None = None, **settings: Any
) -> torch.nn.Module:
    """Return a loss by name for a model.

    Args:
        name: See `LOSSES`.
        model: The model whose embeddings it judges.
        pairs: What it will be trained on: known positives and rates come from there.
        settings: Settings of the loss.

    Raises:
        UnknownNameError: If no loss has this name; the message offers the nearest ones.
        InvalidParameterError: If the loss knows no such setting.
    """
    return built(LOSSES.factory(name), name, model, pairs=pairs, **settings)


def built(
    spec: LossSpec,
    name: str,
    model: torch.nn.Module,
    *,
    pairs: Pairs | None = None,
    **settings: Any,
) -> torch.nn.Module:
    """Return a loss of a spec, whichever it comes from.

    Raises:
        InvalidParameterError: If the loss knows no such setting, or needs another one.
    """
    try:
        return spec(model, pairs=pairs, **settings)
    except TypeError as error:  # theirs take what their classes take
        said = str(error)
        if "argument" not in said:
            raise
        unknown = re.findall(r"unexpected keyword argument '(\w+)'", said)
        raise InvalidParameterError(
            "loss", unknown or sorted(settings), f"given settings of {name!r} ({said})"
        ) from error


def feedback_infonce_of(
    model: torch.nn.Module,
    *,
    pairs: Pairs | None = None,
    scale: float = 20.0,
    debias: float = 0.0,
    popularity: float = 1.0,
    co_likes: int = 5,
    batch_size: int = 16,
) -> FeedbackInfoNCE:
    """Return `FeedbackInfoNCE` with what `pairs` know.

    Args:
        model: The model whose embeddings it judges.
        pairs: What it will be trained on; without them nothing is known.
        scale: One over the temperature.
        debias: Prior chance that a rival is a positive.
        popularity: Strength in [0, 1] of the logQ correction, by `TextRates`.
        co_likes: Texts that this many users like together are no rivals; 0 leaves this out.
        batch_size: Rows in a batch, for the rates.
    """
    _check_knowledge(popularity, co_likes, batch_size)
    if pairs is None:
        return FeedbackInfoNCE(model, scale=scale, debias=debias)
    knowledge = _knowledge(pairs, popularity, co_likes, batch_size)
    return FeedbackInfoNCE(model, scale=scale, debias=debias, **knowledge)


def queued_infonce_of(
    model: torch.nn.Module,
    *,
    pairs: Pairs | None = None,
    size: int = 1024,
    scale: float = 20.0,
    popularity: float = 1.0,
    co_likes: int = 5,
    batch_size: int = 16,
) -> QueuedInfoNCE:
    """Return `QueuedInfoNCE` with what `pairs` know; arguments as for `feedback_infonce_of`.

    Args:
        model: The model whose embeddings it judges.
        pairs: What it will be trained on; without them nothing is known.
        size: Embeddings to remember.
        scale: One over the temperature.
        popularity: Strength in [0, 1] of the logQ correction, by `TextRates`.
        co_likes: Texts that this many users like together are no rivals; 0 leaves this out.
        batch_size: Rows in a batch, for the rates.
    """
    _check_knowledge(popularity, co_likes, batch_size)
    if pairs is None:
        return QueuedInfoNCE(model, size=size, scale=scale)
    knowledge = _knowledge(pairs, popularity, co_likes, batch_size)
    return QueuedInfoNCE(model, size=size, scale=scale, **knowledge)


def _check_knowledge(popularity: float, co_likes: int, batch_size: int) -> None:
    check.share("popularity", popularity)
    check.count("co_likes", co_likes, least=0)
    check.count("batch_size", batch_size)


def _knowledge(pairs: Pairs, popularity: float, co_likes: int, batch_size: int) -> dict[str, Any]:
    rates = TextRates.of(pairs, batch_size=batch_size, strength=popularity)
    return {
        "likes": KnownPositives.likes(pairs),
        "related": KnownPositives.related(pairs, least_users=co_likes),
        "log_q": rates.log_q(mined_negatives(pairs)) if popularity else None,
        "rates": rates if popularity else None,
    }


@final
@dataclass(frozen=True, slots=True)
class _Ours:
    """Builds a loss of a class, whose settings are those of the class."""

    kind: type[EmbeddingLoss]

    @property
    def __signature__(self) -> Signature:
        pairs = Parameter("pairs", Parameter.KEYWORD_ONLY, default=None)
        own = signature(self.kind)
        return own.replace(parameters=[*own.parameters.values(), pairs])

    def __call__(
        self, model: torch.nn.Module | None, *, pairs: Pairs | None = None, **settings: Any
    ) -> EmbeddingLoss:
        del pairs
        return self.kind(model, **settings)


def _ours(kind: type[EmbeddingLoss], columns: Columns) -> LossSpec:
    return LossSpec(_Ours(kind), columns, kind=kind)


LOSSES: Book[torch.nn.Module, LossSpec] = Book(
    "loss",
    {
        "feedback-infonce": LossSpec(
            feedback_infonce_of, POSITIVES, takes_negatives=True, kind=FeedbackInfoNCE
        ),
        "queued-infonce": LossSpec(
            queued_infonce_of, POSITIVES, takes_negatives=True, kind=QueuedInfoNCE
        ),
        "weighted-cosine": _ours(WeightedCosine, LABELLED),
        "weighted-cosent": _ours(WeightedCoSENT, LABELLED),
        "weighted-contrastive": _ours(WeightedContrastive, LABELLED),
        "listwise-rating": _ours(ListwiseRating, LABELLED),
        "weighted-triplet": _ours(WeightedTriplet, TRIPLETS),
        "bradley-terry": _ours(BradleyTerry, TRIPLETS),
        "reference-preference": _ours(ReferencePreference, TRIPLETS),
        **{factory.name: LossSpec(factory, factory.columns) for factory in THEIRS},
    },
    contract=torch.nn.Module,
    factories=LossSpec,
)
"""Every loss by name: ours, those of sentence-transformers, those of plugins."""

EmbeddingLoss.book = LOSSES
