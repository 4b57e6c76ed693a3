"""Training a head on cached vectors: profiles against texts, in seconds on a CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidParameterError, TrainingDivergedError
from siamrec.losses import KnownPositives, feedback_infonce
from siamrec.models.encoders import AdapterEncoder
from siamrec.models.training.strategies.material import learnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siamrec.data import Pairs
    from siamrec.models.training.strategies.recipes import Adapter
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array, IntArray


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """Profiles and the texts that they are to find.

    Args:
        texts: Texts of the batch, `(t,)`, distinct.
        profile: How often each text stands in each row's profile, `(b, t)`.
        candidate: Place in `texts` of each candidate, `(m,)`.
        positive: Candidate of each row, `(b,)`.
        user: User of each row, -1 without one.
        anchor: Text of each row's pair, `(b,)`.
        weight: Weight of each row.
    """

    texts: Tensor
    profile: Tensor
    candidate: Tensor
    positive: Tensor
    user: Tensor
    anchor: Tensor
    weight: Tensor


@final
class Batches:
    """Draws batches of profiles from pairs; every epoch shows each pair once.

    A pair's anchor stands in its profile together with up to `profile_size - 1` other texts that
    the same user likes, as many as a fair die says, never the text to be found.
    """

    def __init__(self, pairs: Pairs, recipe: Adapter, rng: np.random.Generator) -> None:
        rows = learnable(pairs)
        self._left = pairs.left[rows].astype(np.int64)
        self._right = pairs.right[rows].astype(np.int64)
        self._user = pairs.user[rows].astype(np.int64)
        self._weight = pairs.weight[rows]
        order = np.argsort(pairs.liked_user, kind="stable")
        self._liked = pairs.liked_text[order].astype(np.int64)
        self._n_liked = np.bincount(pairs.liked_user, minlength=max(len(pairs.users), 1))
        self._start = np.cumsum(self._n_liked) - self._n_liked
        self._profile_size = recipe.profile_size
        self._size = recipe.batch_size
        self._rng = rng
        count = np.bincount(self._right, minlength=len(pairs.texts))
        rate = np.clip(count / max(count.sum(), 1), 0.0, 1.0 - 1e-9)
        # Chance that a batch holds the text at all: candidates of a batch are distinct.
        meets = -np.expm1(min(self._size, self._right.size) * np.log1p(-rate))
        self.log_q = torch.from_numpy(np.log(np.maximum(meets, 1e-12)).astype(np.float32))

    def __len__(self) -> int:
        return math.ceil(self._left.size / self._size)

    def epoch(self) -> Iterator[Batch]:
        """Yield the batches of one epoch in a new order."""
        order = self._rng.permutation(self._left.size)
        for begin in range(0, order.size, self._size):
            yield self._batch(order[begin : begin + self._size])

    def _batch(self, rows: IntArray) -> Batch:
        profile, texts = self._profiles(rows)
        candidates, positive = np.unique(self._right[rows], return_inverse=True)
        distinct, place = np.unique(np.concatenate([texts, candidates]), return_inverse=True)
        # A dense product adds up in a fixed order; scattered additions do not.
        flat = profile * distinct.size + place[: texts.size]
        counts = np.bincount(flat, minlength=rows.size * distinct.size)
        return Batch(
            texts=torch.from_numpy(distinct),
            profile=torch.from_numpy(counts.reshape(rows.size, -1).astype(np.float32)),
            candidate=torch.from_numpy(place[texts.size :]),
            positive=torch.from_numpy(positive),
            user=torch.from_numpy(self._user[rows]),
            anchor=torch.from_numpy(self._left[rows]),
            weight=torch.from_numpy(self._weight[rows]),
        )

    def _profiles(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        user = self._user[rows]
        available = np.where(user == UNKNOWN, 0, self._n_liked[user])
        more = self._rng.integers(0, self._profile_size, rows.size)
        more = np.where(available > 2, np.minimum(more, available), 0)
        drawn = np.repeat(np.arange(rows.size), more)
        of = user[drawn]
        chosen = (self._rng.random(drawn.size) * self._n_liked[of]).astype(np.int64)
        others = self._liked[self._start[of] + chosen]
        keep = (others != self._right[rows][drawn]) & (others != self._left[rows][drawn])
        profile = np.concatenate([np.arange(rows.size), drawn[keep]])
        return profile, np.concatenate([self._left[rows], others[keep]])


@final
class Head(nn.Module):
    """The trainable head, on vectors that were centred and whitened once.

    Args:
        vectors: Vectors of the base, `(n, dim)`, of the texts in training.
        hidden: Width of the bent part.
        whiten: Power of the whitening, in [0, 1].
        generator: Draws the bent part.
    """

    def __init__(
        self, vectors: Float32Array, *, hidden: int, whiten: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        dim = vectors.shape[1]
        mean, spread = _whitening(vectors, whiten)
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("spread", torch.from_numpy(spread))
        self.change = nn.Parameter(torch.zeros(dim, dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        inner = torch.randn(hidden, dim, generator=generator) / dim**0.5
        self.inner = nn.Parameter(inner)
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(torch.zeros(dim, hidden))

    mean: Tensor
    spread: Tensor

    def start(self, vectors: Tensor) -> Tensor:
        """Return vectors as training sees them: centred, and evened out by the whitening."""
        return (vectors - self.mean) @ self.spread.T

    @override
    def forward(self, started: Tensor) -> Tensor:
        mapped = started + started @ self.change.T + self.bias
        if self.outer.shape[1]:
            mapped = (
                mapped + functional.relu(started @ self.inner.T + self.inner_bias) @ self.outer.T
            )
        return functional.normalize(mapped, dim=1)

    def distance(self) -> Tensor:
        """Return the squared distance of the head from where it started."""
        return self.change.square().sum() + self.outer.square().sum()

    @torch.no_grad()
    def begin(self, tuned: AdapterEncoder) -> None:
        """Put the head where a tuned one ended, so that training goes on from there.

        Raises:
            InvalidParameterError: If it has another dimension.
        """
        if tuned.dim != len(self.bias):
            raise InvalidParameterError("previous", tuned.dim, f"of {len(self.bias)} dimensions")
        mean, back = self.mean.double(), torch.linalg.inv(self.spread.double())
        weight = torch.tensor(tuned.weight, dtype=torch.float64)
        self.change.copy_(weight @ back - torch.eye(len(self.bias)))
        bias = weight @ mean
        self.bias.copy_(bias if tuned.bias is None else bias + torch.tensor(tuned.bias))
        if tuned.inner is not None and tuned.inner_bias is not None and tuned.outer is not None:
            inner = torch.tensor(tuned.inner, dtype=torch.float64)
            self.inner.copy_(inner @ back)
            self.inner_bias.copy_(torch.tensor(tuned.inner_bias) + inner @ mean)
            self.outer.copy_(torch.tensor(tuned.outer))

    @torch.no_grad()
    def encoder(self, base: SiameseEncoder) -> AdapterEncoder:
        """Return the head as an encoder on the base's own vectors."""
        eye = torch.eye(self.change.shape[0])
        weight = (eye + self.change) @ self.spread
        bias = self.bias - weight @ self.mean
        if not self.outer.shape[1]:
            return AdapterEncoder(base, weight.numpy(), bias.numpy())
        inner = self.inner @ self.spread
        return AdapterEncoder(
            base,
            weight.numpy(),
            bias.numpy(),
            inner.numpy(),
            (self.inner_bias - inner @ self.mean).numpy(),
            self.outer.numpy().copy(),
        )


def _whitening(vectors: Float32Array, power: float) -> tuple[Float32Array, Float32Array]:
    """Return the mean and the matrix `C^(-power/2)`, scaled so that rows have mean length 1.

    Directions with less than a tenth of the mean variance are evened out only up to that, for
    what they hold is mostly noise.
    """
    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    centred = exact - mean
    spread = np.eye(exact.shape[1])
    if power:
        values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        floor = 0.1 * max(values.mean(), np.finfo(np.float64).tiny)
        spread = (axes * (np.maximum(values, 0.0) + floor) ** (-power / 2)) @ axes.T
    length = np.linalg.norm(centred @ spread.T, axis=1).mean()
    scaled = spread / (length if length > 0 else 1.0)
    return mean.astype(np.float32), scaled.astype(np.float32)


def train_head(
    pairs: Pairs,
    vectors: Float32Array,
    recipe: Adapter,
    *,
    seed: int,
    steps: int,
    after_step: Callable[[int, float, Head], bool],
    start: AdapterEncoder | None = None,
) -> Head:
    """Train a head and return it as it stands after the last step.

    Args:
        pairs: Pairs to learn from.
        vectors: Vector of each text of the pairs' table, `(n_texts, dim)`.
        recipe: Settings.
        seed: Of everything that is drawn.
        steps: Steps over which the learning rate falls to zero.
        after_step: Called with the number of steps done, the loss and the head; training stops
            when it returns True.
        start: A tuned head from which to go on, as wide as it is; the untouched base without it.

    Raises:
        TrainingDivergedError: If the loss is not finite.
    """
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    used = np.unique(np.concatenate([pairs.left, pairs.right]))
    hidden = recipe.hidden if start is None else _width(start)
    head = Head(vectors[used], hidden=hidden, whiten=recipe.whiten, generator=generator)
    if start is not None:
        head.begin(start)
    started = head.start(torch.from_numpy(np.ascontiguousarray(vectors)))
    batches = Batches(pairs, recipe, rng)
    objective = _Objective.of(pairs, recipe, batches.log_q)
    rate = recipe.learning_rate
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=0.0)
    done = 0
    while True:
        for batch in batches.epoch():
            for group in optimiser.param_groups:
                group["lr"] = rate * max(1.0 - done / steps, 0.0)
            loss = objective(head, started, batch)
            value = float(loss.detach())
            if not np.isfinite(value):
                raise TrainingDivergedError(
                    f"The loss is {value} after {done} steps; lower learning_rate."
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            done += 1
            if after_step(done, value, head) or done >= steps:
                return head


def _width(tuned: AdapterEncoder) -> int:
    return 0 if tuned.outer is None else int(tuned.outer.shape[1])


@final
@dataclass(frozen=True, slots=True)
class _Objective:
    """The loss of a batch, with what is known of all pairs."""

    recipe: Adapter
    likes: KnownPositives
    related: KnownPositives
    log_q: Tensor

    @classmethod
    def of(cls, pairs: Pairs, recipe: Adapter, log_q: Tensor) -> _Objective:
        related = KnownPositives.related(pairs, least_users=recipe.co_likes)
        return cls(recipe, KnownPositives.likes(pairs), related, log_q)

    def __call__(self, head: Head, started: Tensor, batch: Batch) -> Tensor:
        recipe = self.recipe
        embedded = head(started[batch.texts])
        candidates = batch.texts[batch.candidate]
        loss = feedback_infonce(
            batch.profile @ embedded,
            embedded[batch.candidate],
            batch.positive,
            scale=recipe.scale,
            weights=batch.weight,
            known=self.likes(batch.user, candidates) | self.related(batch.anchor, candidates),
            log_q=recipe.popularity * self.log_q[candidates] if recipe.popularity else None,
        )
        return loss + recipe.pull * head.distance() if recipe.pull else loss
