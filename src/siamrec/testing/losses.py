"""What every training loss must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

if TYPE_CHECKING:
    from siamrec.losses import EmbeddingLoss
    from siamrec.losses.base import Labels, Loss

BATCH, DIM = 6, 8


def total(loss: Loss) -> Tensor:
    """Return the sum of a loss that comes in parts."""
    return torch.stack(list(loss.values())).sum() if isinstance(loss, dict) else loss


class LossContract(ABC):
    """Subclass it as `class TestMine(LossContract)`, say how to build one and what it reads.

    Attributes:
        columns: Number of text columns.
        row_twice: Whether a row of weight 2 counts like the row twice; false where other rows are
            rivals, since a second copy is one more rival.
        weighted: Whether weights count at all.
        nearest: Whether a positive cannot be too near to its anchor.
        positive: Value of a row that belongs together.
        labelled: Whether the value of a row counts at all.
    """

    columns: int = 2
    row_twice: bool = True
    weighted: bool = True
    nearest: bool = True
    positive: float = 1.0
    labelled: bool = True

    @abstractmethod
    def make(self) -> EmbeddingLoss:
        """Return the loss under test, without memory of earlier batches."""

    def embeddings(self, seed: int = 0) -> list[Tensor]:
        """Return leaves of shape `(BATCH, DIM)`, one for each column."""
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(BATCH, DIM, generator=generator).requires_grad_()
            for _ in range(self.columns)
        ]

    def labels(self) -> Tensor:
        """Return rows of value, weight, user and text codes; each text appears once."""
        value = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0, 0.25])
        weight = torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0, 1.0])
        user = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
        texts = torch.arange(BATCH * self.columns, dtype=torch.float32).reshape(BATCH, -1)
        return torch.cat([torch.stack([value, weight, user], dim=1), texts], dim=1)

    def loss(self, embeddings: list[Tensor], labels: Labels) -> Tensor:
        return total(self.make().compute_loss_from_embeddings(embeddings, labels))

    def test_finite_with_gradients_to_every_column(self) -> None:
        columns = self.embeddings()
        value = self.loss(columns, self.labels())
        assert value.ndim == 0
        assert torch.isfinite(value)
        value.backward()  # type: ignore[no-untyped-call]
        for column in columns:
            assert column.grad is not None
            assert torch.isfinite(column.grad).all()
            assert column.grad.abs().sum() > 0

    def test_order_of_rows_does_not_count(self) -> None:
        columns, labels = self.embeddings(), self.labels()
        order = torch.tensor([3, 1, 5, 0, 2, 4])
        moved = self.loss([column[order] for column in columns], labels[order])
        torch.testing.assert_close(moved, self.loss(columns, labels), rtol=1e-5, atol=1e-6)

    def test_weight_two_is_the_row_twice(self) -> None:
        if not self.row_twice:
            pytest.skip("other rows are rivals of a row")
        columns, labels = self.embeddings(), self.labels()
        labels[:, 1] = 1.0
        again = torch.tensor([0, 1, 1, 2, 3, 4, 5])
        twice = self.loss([column[again] for column in columns], labels[again])
        heavy = labels.clone()
        heavy[1, 1] = 2.0
        torch.testing.assert_close(self.loss(columns, heavy), twice, rtol=1e-5, atol=1e-6)

    def test_scale_of_weights_does_not_change_the_direction(self) -> None:
        columns, labels = self.embeddings(), self.labels()
        heavier = labels.clone()
        heavier[:, 1] *= 3.0
        grads = []
        for rows in (labels, heavier):
            fresh = [column.detach().clone().requires_grad_() for column in columns]
            grads.append(torch.autograd.grad(self.loss(fresh, rows), fresh[0])[0].flatten())
        cosine = torch.nn.functional.cosine_similarity(grads[0], grads[1], dim=0)
        assert float(cosine) > 0.9

    def test_pulling_a_positive_closer_lowers_the_loss(self) -> None:
        if not self.nearest:
            pytest.skip("The loss asks for an order, not for the nearest.")
        columns = [column.detach() for column in self.embeddings(3)]
        columns[0] = torch.eye(DIM)[:BATCH]  # what comes nearer to one comes nearer to no other
        labels = self.labels()
        labels[:, 1] = 1.0
        positive = (labels[:, 0] >= self.positive)[:, None]
        values = []
        for share in (0.0, 0.3, 0.6, 0.9):
            nearer = torch.lerp(columns[1], columns[0], share * positive)
            values.append(self.loss([columns[0], nearer, *columns[2:]], labels).item())
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]

    def test_weights_count(self) -> None:
        if not self.weighted:
            pytest.skip("The loss takes no weights.")
        columns, labels = self.embeddings(), self.labels()
        labels[:, 1] = 1.0
        other = labels.clone()
        other[0, 1] = 5.0
        assert self.loss(columns, labels).item() != pytest.approx(
            self.loss(columns, other).item(), rel=1e-6
        )

    def test_the_label_of_each_row_counts(self) -> None:
        if not self.labelled:
            pytest.skip("The loss reads no labels.")
        columns, labels = self.embeddings(), self.labels()
        labels[:, 1] = 1.0
        plain = self.loss(columns, labels).item()
        for row in range(BATCH):
            other = labels.clone()
            other[row, 0] = 0.9 if labels[row, 0] < 0.5 else 0.1
            assert self.loss(columns, other).item() != pytest.approx(plain, rel=1e-6)
        swapped = labels.clone()  # labels that only count together would not notice
        swapped[[0, 1], 0] = labels[[1, 0], 0]
        assert self.loss(columns, swapped).item() != pytest.approx(plain, rel=1e-6)

    def test_a_loss_made_anew_remembers_nothing(self) -> None:
        columns, labels = self.embeddings(), self.labels()
        before = [column.detach().clone() for column in columns]
        first, second = (self.loss(columns, labels).item() for _ in range(2))
        assert first == second
        for column, kept in zip(columns, before, strict=True):
            assert torch.equal(column.detach(), kept)

    def test_no_global_chance(self) -> None:
        state = torch.get_rng_state()
        self.loss(self.embeddings(), self.labels())
        assert torch.equal(torch.get_rng_state(), state)

    def test_bfloat16_stays_finite(self) -> None:
        columns = [column.detach().bfloat16().requires_grad_() for column in self.embeddings()]
        value = self.loss(columns, self.labels())
        assert torch.isfinite(value)

    def test_settings_make_the_same_loss(self) -> None:
        loss = self.make()
        again = type(loss)(None, **loss.get_config_dict())
        columns, labels = self.embeddings(), self.labels()
        torch.testing.assert_close(
            total(again.compute_loss_from_embeddings(columns, labels)), self.loss(columns, labels)
        )
