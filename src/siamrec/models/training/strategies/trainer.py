"""The trainer of sentence-transformers with rows by user, live negatives, small checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from typing_extensions import override

from siamrec.data.vocabulary import UNKNOWN
from siamrec.models._writing import writing
from siamrec.models.encoders.sentence import quietly
from siamrec.models.training.strategies import lora as _lora
from siamrec.models.training.strategies import loss_state as _loss_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siamrec.data import Pairs
    from siamrec.pairs import HardNegatives
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import BoolArray, CodeArray, IntArray


@final
class LiveNegatives:
    """Negatives of each training row, mined with the encoder as it stands.

    Args:
        recipe: How they are mined.
        pairs: One pair for each row.
        hidden: Texts that must not appear, `(n_texts,)`.
    """

    def __init__(self, recipe: HardNegatives, pairs: Pairs, hidden: BoolArray) -> None:
        self.counted: Callable[[CodeArray], object] | None = None
        self.recipe = recipe
        self.pairs = pairs
        self.hidden = np.append(hidden, False)  # the place that -1 picks
        self.codes: CodeArray = np.empty((len(pairs), 0), np.int32)

    def refresh(self, encoder: SiameseEncoder) -> float:
        """Mine anew; return how many negatives a row has in the mean.

        Where a row has fewer than wanted, a copy of its positive fills the place: the loss knows
        that it is no rival. `counted`, where it is set, gets the codes without such copies.
        """
        found = self.recipe.mine(self.pairs, encoder).negatives
        assert found is not None
        usable = (found != UNKNOWN) & ~self.hidden[found]
        self.codes = np.where(usable, found, self.pairs.right[:, None]).astype(np.int32)
        if self.counted is not None:
            self.counted(np.where(usable, found, np.int32(UNKNOWN)))
        return float(usable.sum(axis=1).mean())

    def of(self, rows: IntArray) -> tuple[CodeArray, list[list[str]]]:
        """Return codes `(b, m)` and the texts of each of the m columns."""
        codes = self.codes[rows]
        return codes, [[self.pairs.texts[code] for code in column] for column in codes.T.tolist()]


@final
class FeedbackTrainer(SentenceTransformerTrainer):
    """Trains on rows of feedback.

    Args:
        group: User and anchor of each row, `(n, 2)`, and how many rows of a user stand together;
            rows are drawn one by one without it.
        negatives: Mined texts that join each batch when it is used; the labels then end with the
            number of the row.
        small: Whether checkpoints hold the changes of LoRA alone.
        options: As for `SentenceTransformerTrainer`.
    """

    def __init__(
        self,
        *,
        group: tuple[CodeArray, int] | None = None,
        negatives: LiveNegatives | None = None,
        small: bool = False,
        **options: Any,
    ) -> None:
        self.group = group
        self.negatives = negatives
        self.small = small
        super().__init__(**options)

    @override
    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Leave it out: it copies training texts into the card, which people publish."""

    @override
    def get_batch_sampler(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> Any:
        if self.group is None:
            return super().get_batch_sampler(
                dataset, batch_size, drop_last, valid_label_columns, generator, seed
            )
        return ByUser(dataset, self.group, batch_size=batch_size, drop_last=drop_last, seed=seed)

    @override
    def collect_features(self, inputs: Any) -> tuple[list[dict[str, Any]], Any]:
        """Add the negatives of now: a batch that was made ahead must not bring older ones."""
        features, labels = super().collect_features(inputs)
        if self.negatives is None:
            return features, labels
        assert labels is not None
        codes, columns = self.negatives.of(labels[:, -1].long().cpu().numpy())
        model: Any = self.model
        for texts in columns:
            read = model.preprocess(texts)
            features.append({n: _moved(value, labels.device) for n, value in read.items()})
        mined = torch.from_numpy(codes).to(labels)
        return features, torch.cat([labels[:, :-1], mined], dim=1)

    @override
    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        assert output_dir is not None
        if self.small:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            _lora.save(self.model, Path(output_dir))
        else:
            super()._save(output_dir, state_dict)
        assert isinstance(self.loss, torch.nn.Module)
        _loss_state.save(self.loss, self.model, Path(output_dir))

    @override
    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with writing(Path(str(self.args.output_dir)), archives=True), quietly():
            super()._save_checkpoint(model, trial)

    @override
    def _load_from_checkpoint(self, checkpoint_path: str) -> None:  # type: ignore[override]
        if self.small:
            _lora.load(self.model, Path(checkpoint_path))
        else:
            with quietly():
                super()._load_from_checkpoint(checkpoint_path)
        assert isinstance(self.loss, torch.nn.Module)
        _loss_state.load(self.loss, Path(checkpoint_path))


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


@final
class ByUser(DefaultBatchSampler):
    """Batches in which several rows of one user stand together, equal anchors side by side.

    What one user likes is read once for all of these rows, and the rivals are what other users
    like.
    """

    def __init__(
        self,
        dataset: Any,
        group: tuple[CodeArray, int],
        *,
        batch_size: int,
        drop_last: bool,
        seed: int,
    ) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=drop_last, seed=seed)
        self.codes, self.together = group

    @override
    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = by_user(self.codes, self.together, rng)
        for begin in range(0, order.size, self.batch_size):
            batch = order[begin : begin + self.batch_size]
            if batch.size == self.batch_size or not self.drop_last:
                yield batch.tolist()

    @override
    def __len__(self) -> int:
        whole, rest = divmod(len(self.codes), self.batch_size)
        return whole + bool(rest and not self.drop_last)


def by_user(codes: CodeArray, together: int, rng: np.random.Generator) -> IntArray:
    """Return all rows in an order in which `together` rows of a user follow one another.

    Args:
        codes: User and anchor of each row, `(n, 2)`; rows without a user (-1) stand alone.
        together: Rows of a user that follow one another; the last ones may be fewer.
        rng: Draws the order of anchors within a user, and of the groups.
    """
    n = len(codes)
    user = codes[:, 0].astype(np.int64)
    user = np.where(user == UNKNOWN, user.max(initial=0) + 1 + np.arange(n), user)
    drawn = rng.permutation(int(codes[:, 1].max(initial=0)) + 1)[codes[:, 1]]
    rows = np.lexsort((rng.random(n), drawn, user))
    fresh = np.r_[True, user[rows][1:] != user[rows][:-1]][:n]
    start = np.flatnonzero(fresh)
    rank = np.arange(n) - np.repeat(start, np.diff(np.r_[start, n]))
    group = np.cumsum(rank % together == 0) - 1
    place = rng.permutation(int(group[-1]) + 1 if n else 0)
    order: IntArray = rows[np.argsort(place[group], kind="stable")]
    return order
