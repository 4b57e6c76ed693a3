"""The six abstractions that a host wires together, and the ports beside them, on one page.

A host needs not import siamrec to satisfy them: they are structural. A plugin author inherits
the abstract class of the room instead (`siamrec.bandits.Policy`, `siamrec.metrics.Metric`,
`siamrec.models.recommenders.RecommenderRecipe`, …), which brings documentation and checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import torch

    from siamrec.data import (
        Assignment,
        Assignments,
        Catalog,
        Decision,
        Decisions,
        Feedback,
        Pairs,
        Rankings,
        Rewards,
    )
    from siamrec.typing import Float32Array, Id, Instant

__all__ = [
    "Bandit",
    "BlobStore",
    "Clock",
    "DocumentStore",
    "Executor",
    "ExperimentAssigner",
    "FeedbackSink",
    "FeedbackSource",
    "Loss",
    "MetricReport",
    "MetricSuite",
    "PairGenerator",
    "Recommender",
    "SiameseEncoder",
    "WriteReceipt",
]


# --- the six abstractions ---------------------------------------------------------------------


@runtime_checkable
class FeedbackSource(Protocol):
    """Yields feedback in time order; reading twice gives the same."""

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches of at most `batch_rows` events with `since <= time < until`."""
        ...


@runtime_checkable
class PairGenerator(Protocol):
    """Turns feedback into training pairs with label, weight and origin."""

    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        """Return the pairs; `rng` is the only source of chance."""
        ...


@runtime_checkable
class SiameseEncoder(Protocol):
    """Maps texts to unit vectors; equal texts give equal vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the weights: equal fingerprints give equal vectors."""
        ...

    def encode(
        self, texts: Sequence[str], *, kind: Literal["query", "document"] = "document"
    ) -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`."""
        ...


@runtime_checkable
class Bandit(Protocol):
    """Chooses among named arms, says with what probability, and learns from what follows."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms; an arm's code is its place here."""
        ...

    def select(
        self, context: Mapping[str, Any], *, n: int = 1, unit: str | None = None
    ) -> Decision:
        """Choose `n` different arms for one context, best first."""
        ...

    def select_many(self, contexts: Sequence[Mapping[str, Any]]) -> Decisions:
        """Choose one arm for each context."""
        ...

    def learn(self, rewards: Rewards) -> object:
        """Take in rewards; late, repeated and out-of-order ones are safe."""
        ...

    def snapshot(self) -> Any:
        """Return what has been learned, as a value to store, merge or restore."""
        ...


@runtime_checkable
class ExperimentAssigner(Protocol):
    """Gives every unit a variant, the same one for ever."""

    def assign(self, unit: str, context: Mapping[str, Any] | None = None) -> Assignment:
        """Return the variant of one unit with its reason and propensity."""
        ...

    def assign_many(self, units: Iterable[str]) -> Assignments:
        """Return the variants of many units, each equal to that of `assign`."""
        ...


@runtime_checkable
class MetricReport(Protocol):
    """What a `MetricSuite` returns: metrics by name, each with its values by user."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics in it."""
        ...

    def __getitem__(self, name: str) -> Any:
        """Return one metric, with `mean` and `interval`."""
        ...

    def per_user(self, name: str) -> npt.NDArray[np.float64]:
        """Return one metric of every user, NaN where it is undefined."""
        ...


@runtime_checkable
class MetricSuite(Protocol):
    """Measures ranked lists against what users did."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics it computes."""
        ...

    @property
    def evaluate(self) -> Callable[..., MetricReport]:
        """`evaluate(rankings, truth, **inputs)` returns every metric.

        `rankings` is a `siamrec.data.Rankings`, `truth` a `siamrec.data.Truth`; `inputs` are
        what some metrics need, such as `popularity=` (per item), `catalog_size=` and `n_users=`.
        """
        ...


# --- ports ------------------------------------------------------------------------------------


@runtime_checkable
class WriteReceipt(Protocol):
    """What became of a written batch."""

    @property
    def accepted(self) -> int:
        """Events stored now."""
        ...

    @property
    def duplicates(self) -> int:
        """Events that were there already, with the same content."""
        ...


@runtime_checkable
class FeedbackSink(Protocol):
    """Takes feedback in; writing an event twice stores it once."""

    def write(self, feedback: Feedback) -> WriteReceipt:
        """Store the events and say how many were new."""
        ...


@runtime_checkable
class DocumentStore(Protocol):
    """Finds the text of a document by its id."""

    def texts(self, ids: Sequence[Id]) -> list[str | None]:
        """Return the text of each id, None where there is none."""
        ...


@runtime_checkable
class BlobStore(Protocol):
    """Keeps named bytes; a write is seen whole or not at all."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`; the same key with the same data is no change."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes of `key`; a LookupError if there are none."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`, sorted."""
        ...


@runtime_checkable
class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def now(self) -> Instant:
        """Return the present instant."""
        ...


@runtime_checkable
class Recommender(Protocol):
    """A fitted arm: ranks items for users."""

    def recommend(
        self,
        users: Sequence[Id],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
    ) -> Rankings:
        """Return at most `k` items for each user, best first, never a seen one."""
        ...

    def recommend_for_history(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
    ) -> Rankings:
        """Return lists for people known by their items alone, in the order given."""
        ...

    def save(self, path: str | Path) -> None:
        """Write the fitted arm to a folder, as JSON and safetensors."""
        ...


@runtime_checkable
class Loss(Protocol):
    """A number to push down, from embeddings alone; it knows no model."""

    def __call__(
        self, embeddings: Sequence[torch.Tensor], labels: Any | None = None
    ) -> torch.Tensor | dict[str, torch.Tensor]:
        """Return the loss of `[anchor, positive, negative…]`, each of shape `(batch, dim)`."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Runs pure functions on many inputs: here, in processes, or on a cluster."""

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterator[Any]:
        """Yield `function(x)` for each input, in order."""
        ...
