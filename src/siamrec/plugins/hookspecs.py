"""What a plugin may offer or watch.

A component hook returns factories by name and does nothing else; it is called once, when a
registry is made. A factory is what the book of the kind holds and the constructor that takes the
part expects: for a loss a `LossSpec`, for a format an `Exporter`, for a file format a
`FileFormat`, else whatever makes the part from keyword settings. An observer hook is told that
something happened; what it raises is logged and goes no further. Hook specs are protocol classes,
so that a plugin can be checked statically: `plugin: RecommenderHooks = my_module`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast, final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec._core.book import Book
    from siamrec.bandits import Policy
    from siamrec.bandits.ope import Estimator
    from siamrec.experiments.assignment import Hasher
    from siamrec.experiments.sequential import Sequence as LookingRule
    from siamrec.feedback import FileFormat
    from siamrec.losses import LossSpec
    from siamrec.metrics.base import AnyMetric
    from siamrec.models.export import Exporter
    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.pairs import Miner
    from siamrec.protocols import (
        FeedbackSource,
        PairGenerator,
        SiameseEncoder,
    )
    from siamrec.rerank import Adjuster, Selector

hookimpl = pluggy.HookimplMarker("siamrec")
_hookspec = pluggy.HookspecMarker("siamrec")


class FeedbackHooks(Protocol):
    """Where feedback comes from."""

    @_hookspec
    def siamrec_feedback_sources(self) -> Mapping[str, Callable[..., FeedbackSource]]:
        """Return feedback sources by name."""
        ...

    @_hookspec
    def siamrec_file_formats(self) -> Mapping[str, FileFormat]:
        """Return formats of files of feedback by name; files are recognised by them."""
        ...


class TrainingHooks(Protocol):
    """What encoders are made of and trained with."""

    @_hookspec
    def siamrec_pair_generators(self) -> Mapping[str, Callable[..., PairGenerator]]:
        """Return pair generators by name."""
        ...

    @_hookspec
    def siamrec_miners(self) -> Mapping[str, Callable[..., Miner]]:
        """Return miners of hard negatives by name."""
        ...

    @_hookspec
    def siamrec_losses(self) -> Mapping[str, LossSpec]:
        """Return training losses by name."""
        ...

    @_hookspec
    def siamrec_encoders(self) -> Mapping[str, Callable[..., SiameseEncoder]]:
        """Return encoders by name."""
        ...

    @_hookspec
    def siamrec_exporters(self) -> Mapping[str, Exporter]:
        """Return export formats by name."""
        ...


class RecommenderHooks(Protocol):
    """Arms."""

    @_hookspec
    def siamrec_recommenders(self) -> Mapping[str, Callable[..., RecommenderRecipe]]:
        """Return recipes of recommenders by name."""
        ...

    @_hookspec
    def siamrec_adjusters(self) -> Mapping[str, Callable[..., Adjuster]]:
        """Return adjusters of scores, for the re-ranking, by name."""
        ...

    @_hookspec
    def siamrec_selectors(self) -> Mapping[str, Callable[..., Selector]]:
        """Return selectors of the re-ranking by name."""
        ...


class BanditHooks(Protocol):
    """What chooses among arms, and what judges choices afterwards."""

    @_hookspec
    def siamrec_policies(self) -> Mapping[str, Callable[..., Policy[Any]]]:
        """Return bandit policies by name."""
        ...

    @_hookspec
    def siamrec_estimators(self) -> Mapping[str, Callable[..., Estimator]]:
        """Return off-policy estimators by name."""
        ...


class ExperimentHooks(Protocol):
    """How units are split and how splits are judged."""

    @_hookspec
    def siamrec_hashers(self) -> Mapping[str, Callable[..., Hasher]]:
        """Return hashers of units by name."""
        ...

    @_hookspec
    def siamrec_looking_rules(self) -> Mapping[str, Callable[..., LookingRule]]:
        """Return rules by which an experiment may be looked at more than once, by name."""
        ...


class MetricHooks(Protocol):
    """How lists are measured."""

    @_hookspec
    def siamrec_metrics(self) -> Mapping[str, Callable[..., AnyMetric]]:
        """Return metrics by the stem of their name."""
        ...


class LifecycleHooks(Protocol):
    """What is told of: a change of an alias whoever makes it, the rest by the loop.

    A change has `alias`, `version`, `previous`, `time`, `action` and `reason`.
    """

    @_hookspec
    def siamrec_model_trained(self, version: str, result: Mapping[str, Any]) -> None:
        """Hear that a tuned encoder was registered under an id, and how it compares."""

    @_hookspec
    def siamrec_version_activated(self, change: Mapping[str, Any]) -> None:
        """Hear that an alias points at another version."""

    @_hookspec
    def siamrec_rolled_back(self, change: Mapping[str, Any]) -> None:
        """Hear that an alias went back to the version before."""

    @_hookspec
    def siamrec_experiment_decided(self, result: Mapping[str, Any]) -> None:
        """Hear what an experiment decided."""


HOOKS: tuple[type, ...] = (
    FeedbackHooks,
    TrainingHooks,
    RecommenderHooks,
    BanditHooks,
    ExperimentHooks,
    MetricHooks,
    LifecycleHooks,
)


@final
class Component(NamedTuple):
    """One kind of part: what it is called, and the address of the book of its names."""

    kind: str
    address: str

    def book(self) -> Book[Any, Any]:
        """Return the book; loads its room."""
        module, _, name = self.address.partition(":")
        return cast("Book[Any, Any]", getattr(import_module(module), name))


COMPONENTS: dict[str, Component] = {
    "siamrec_adjusters": Component("adjuster", "siamrec.rerank:ADJUSTERS"),
    "siamrec_encoders": Component("encoder", "siamrec.models.encoders:ENCODERS"),
    "siamrec_estimators": Component("estimator", "siamrec.bandits.ope:ESTIMATORS"),
    "siamrec_exporters": Component("format", "siamrec.models.export:EXPORTERS"),
    "siamrec_feedback_sources": Component("feedback source", "siamrec.feedback:FEEDBACK_SOURCES"),
    "siamrec_file_formats": Component("file format", "siamrec.feedback:FILE_FORMATS"),
    "siamrec_hashers": Component("hasher", "siamrec.experiments.assignment:HASHERS"),
    "siamrec_looking_rules": Component(
        "looking rule", "siamrec.experiments.sequential:LOOKING_RULES"
    ),
    "siamrec_losses": Component("loss", "siamrec.losses:LOSSES"),
    "siamrec_metrics": Component("metric", "siamrec.metrics:METRICS"),
    "siamrec_miners": Component("miner", "siamrec.pairs:MINERS"),
    "siamrec_pair_generators": Component("pair generator", "siamrec.pairs:PAIR_GENERATORS"),
    "siamrec_policies": Component("policy", "siamrec.bandits:POLICIES"),
    "siamrec_recommenders": Component("recommender", "siamrec.models.recommenders:RECOMMENDERS"),
    "siamrec_selectors": Component("selector", "siamrec.rerank:SELECTORS"),
}
"""Component hooks, and the kind of part that each offers."""

OBSERVERS: tuple[str, ...] = (
    "siamrec_model_trained",
    "siamrec_version_activated",
    "siamrec_rolled_back",
    "siamrec_experiment_decided",
)
"""Observer hooks."""
