"""The contract of losses: one number from embeddings and what is known of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.losses._embedding import embedded

if TYPE_CHECKING:
    from typing import Self

    from siamrec._core.recipe import Names

Labels: TypeAlias = Tensor | Mapping[str, Tensor] | None
"""What stands beside the texts: nothing, a number or a row of numbers per row, or columns."""

Loss: TypeAlias = Tensor | dict[str, Tensor]


class EmbeddingLoss(nn.Module, ABC):
    """A training loss; an author writes `compute_loss_from_embeddings` alone.

    It runs in the fine-tuner, in a plain `SentenceTransformerTrainer`, and inside
    `MatryoshkaLoss` or `GradCached`.

    Args:
        model: The model whose embeddings are judged; None where embeddings are given directly.
    """

    book: ClassVar[Names]
    citation: str = ""
    """BibTeX of the paper, for the model card."""

    def __init__(self, model: nn.Module | None = None) -> None:
        super().__init__()
        self.model = model  # the trainer swaps a wrapped model in under this name

    @abstractmethod
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Loss:
        """Return the loss of `[anchor, positive, negative…]`, each of shape `(batch, dim)`.

        Args:
            embeddings: One tensor per text column.
            labels: What is known of each row; `Side.of` reads every form.
        """

    @abstractmethod
    def get_config_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values; `type(self)(model, **settings)` is the same loss."""

    def to_config(self) -> dict[str, Any]:
        """Return name and settings as JSON values, such as `{"name": "bradley-terry", …}`.

        The model is no part of them.

        Raises:
            siamrec.errors.InvalidParameterError: If nobody has registered the class, or the loss
                knows things about pairs, which are read from the pairs anew.
        """
        settings = self.get_config_dict()
        bare, own = (
            {**vars(each), **dict(each.named_buffers(recurse=False))}
            for each in (type(self)(None, **settings), self)
        )
        for name, value in own.items():
            if name != "model" and value is not None and bare.get(name) is None:
                raise InvalidParameterError(
                    f"{type(self).__name__}.{name}",
                    f"a {type(value).__name__}",
                    "left out of what is written as JSON: give the name and the pairs, as in "
                    "build_loss(name, model, pairs=pairs)",
                )
        return {"name": self.book.name_of(self), **settings}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, model: nn.Module | None = None) -> Self:
        """Return the loss that `to_config` wrote, for a model.

        Raises:
            siamrec.errors.UnknownNameError: If the name or a setting is not known.
            siamrec.errors.InvalidParameterError: If a value is out of range, or the name is that
                of another class.
        """
        config = check.kind("config", config, Mapping)
        made: Self = cls.book.make({"model": model, **config})
        return check.kind("config", made, cls)

    @override
    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Labels = None
    ) -> Loss:
        if self.model is None:
            raise InvalidDataError("A loss needs a model to embed texts; give it as model=.")
        return self.compute_loss_from_embeddings(embedded(self.model, sentence_features), labels)


@final
@dataclass(frozen=True, slots=True, repr=False)
class Side(Arrays):
    """What stands beside the texts of a batch.

    Args:
        value: Label or rating of each row, `(batch,)`.
        weight: Weight of each row, `(batch,)`.
        user: User of each row, -1 without one; None where not given.
        texts: Text code of each column, `(batch, columns)`; None where not given.
    """

    value: Tensor | None = None
    weight: Tensor | None = None
    user: Tensor | None = None
    texts: Tensor | None = None

    @classmethod
    def of(cls, labels: Labels, *, plain: str = "value") -> Self:
        """Read labels in any form.

        Args:
            labels: None; a number per row (see `plain`); a row `[value, weight, user, texts…]`
                of float32 for each row, in which codes stay exact below 2**24; or a mapping with
                any of the keys `value`, `weight`, `user`, `texts`.
            plain: What one number per row is: `"value"` or `"weight"`.

        Raises:
            InvalidDataError: If the shape is another one, or a code is too large for float32.
        """
        if labels is None:
            return cls()
        if isinstance(labels, Mapping):
            return cls(**{name: labels.get(name) for name in ("value", "weight", "user", "texts")})
        if labels.ndim == 1:
            return cls(**{plain: labels})
        if labels.ndim == 2 and labels.shape[1] >= 2:
            return cls._of_rows(labels)
        raise InvalidDataError(
            "labels must be one number per row, or rows [value, weight, user, texts…], got shape "
            f"{tuple(labels.shape)}."
        )

    @classmethod
    def _of_rows(cls, rows: Tensor) -> Self:
        codes = rows[:, 2:]
        if codes.numel() and float(codes.abs().max()) >= 2**24:
            raise InvalidDataError(
                "Codes in a label column must be below 16777216; use FeedbackCollator for more."
            )
        user = codes[:, 0].long() if codes.shape[1] else None
        texts = codes[:, 1:].long() if codes.shape[1] > 1 else None
        return cls(rows[:, 0], rows[:, 1], user, texts)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean of `values`, weighted where weights are given; 0 when all weights are 0."""
    if weight is None:
        return values.mean()
    weight = weight.to(values.dtype)
    return (weight * values).sum() / weight.sum().clamp(min=torch.finfo(values.dtype).tiny)


def columns_of(
    embeddings: Sequence[Tensor], least: int, name: str, most: int | None = None
) -> list[Tensor]:
    """Return the columns when there are enough of them.

    Raises:
        InvalidDataError: If a loss gets fewer text columns than it needs, or more than it takes.
    """
    columns = list(embeddings)
    if len(columns) < least or (most is not None and len(columns) > most):
        wanted = (
            f"{least}"
            if most == least
            else f"at least {least}"
            if most is None
            else f"{least} to {most}"
        )
        raise InvalidDataError(
            f"{name} must get {wanted} text columns (anchor, positive, negative…), "
            f"got {len(columns)}."
        )
    return columns
