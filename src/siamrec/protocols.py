"""The six abstractions that a host wires together, and the ports beside them, on one page.

A host needs not import siamrec to satisfy them: they are structural. A plugin author inherits
the abstract class of the room instead (`siamrec.bandits.Policy`, `siamrec.metrics.Metric`,
`siamrec.models.recommenders.RecommenderRecipe`, …), which brings documentation and checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
    "BanditFactory",
    "BlobStore",
    "Clock",
    "DecisionSink",
    "DocumentStore",
    "EventLog",
    "Executor",
    "ExperimentAssigner",
    "FeedbackSink",
    "FeedbackSource",
    "Loss",
    "MetricReport",
    "MetricSuite",
    "PairGenerator",
    "Recommender",
    "RecommenderRecipe",
    "SiameseEncoder",
    "Store",
    "VersionLog",
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
        self,
        context: Mapping[str, Any],
        *,
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Choose `n` different arms for one context, best first.

        Args:
            context: Value of each factor.
            n: Number of arms.
            unit: Whom the decision is for.
            arms: Those that may be chosen this time; all when absent.
            time: When; the bandit's own clock when absent.

        Returns:
            A `siamrec.data.Decision`, or anything with its `id`, `arms` and `propensities`.
        """
        ...

    def select_many(
        self,
        contexts: Sequence[Mapping[str, Any]],
        *,
        arms: Sequence[str] | None = None,
    ) -> Decisions:
        """Choose one arm for each context, all from one state."""
        ...

    def learn(self, rewards: Rewards) -> object:
        """Take in rewards; late, repeated and out-of-order ones are safe."""
        ...

    def snapshot(self) -> Any:
        """Return what has been learned, as a value to store, merge or restore."""
        ...


class BanditFactory(Protocol):
    """Makes a bandit that has learned nothing: each replay and each test starts with its own."""

    def __call__(self, arms: tuple[str, ...], *, clock: Clock, seed: int) -> Bandit:
        """Return a bandit over exactly these arms.

        Args:
            arms: Names of the arms.
            clock: Tells the time of what is replayed.
            seed: Of everything that is drawn.
        """
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
    """Keeps named bytes; a write is seen whole or not at all.

    One that has `put_many({key: data, ...})` besides is given many at once.
    """

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
    """A fitted arm: ranks items for people, by what they did."""

    def recommend_for_feedback(
        self, feedback: Feedback, *, k: int, candidates: Sequence[Id]
    ) -> Rankings | Mapping[Id, Sequence[Id]]:
        """Return at most `k` of the candidates for each user of `feedback`, best first.

        The users may be new; what they did in `feedback` is all there is to know, and none of
        those items is recommended. Lists by user are as good as a `siamrec.data.Rankings`.
        """
        ...


@runtime_checkable
class RecommenderRecipe(Protocol):
    """Settings of an arm; fitting leaves them as they are.

    Its `repr` tells a run that is taken up again whether the settings are still the same.
    """

    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> Recommender:
        """Return the arm fitted to `feedback`; the catalogue follows its items."""
        ...


@runtime_checkable
class EventLog(FeedbackSink, Protocol):
    """The events of a store."""

    def read_all(self) -> Feedback:
        """Return every event in time order, with vocabularies that hold no other id."""
        ...


@runtime_checkable
class DecisionSink(Protocol):
    """The decisions of a store, with their rewards."""

    def write(self, decisions: Sequence[Decision], rewards: Rewards | None = None) -> int:
        """Store decisions and rewards, each once; return how many decisions were new."""
        ...


@runtime_checkable
class VersionLog(Protocol):
    """The versions of a store and the aliases that point at them.

    A version has `id`, `name`, `number`, `created` and `manifest`; a change of an alias is a
    dataclass with `alias`, `version`, `previous`, `time`, `action` and `reason`.
    """

    def add(self, id_: str, name: str, manifest: Mapping[str, Any]) -> Any:
        """Store a version and return it; one that is there already is returned as it is.

        A log that has `add_many([(id_, name, manifest), ...])` besides is given many at once.
        """
        ...

    def get(self, id_: str) -> Any:
        """Return a version; a LookupError if there is none."""
        ...

    def all(self, name: str | None = None) -> list[Any]:
        """Return all versions, or those of one name, oldest first."""
        ...

    def active(self, alias: str) -> str | None:
        """Return the id of the version that an alias points at, None for none."""
        ...

    def point(
        self,
        alias: str,
        version: str,
        *,
        expect: str | None,
        reason: str,
        action: Literal["activated", "rolled_back"],
    ) -> Any:
        """Point an alias at a version, where it points at `expect`, and return the change."""
        ...

    def history(self, alias: str) -> list[Any]:
        """Return every change of an alias, oldest first."""
        ...


@runtime_checkable
class Store(Protocol):
    """What is known of the past: events, decisions, versions."""

    @property
    def feedback(self) -> EventLog:
        """The event log."""
        ...

    @property
    def decisions(self) -> DecisionSink:
        """The decisions."""
        ...

    @property
    def versions(self) -> VersionLog:
        """The versions and aliases."""
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
