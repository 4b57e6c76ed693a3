"""What a plugin may offer or watch.

A component hook returns factories by name and does nothing else; it is called once, when a
registry is made. An observer hook is told that something happened; what it raises is logged and
goes no further. Hook specs are protocol classes, so that a plugin can be checked statically:
`plugin: RecommenderHooks = my_module`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.bandits import Policy
    from siamrec.metrics.base import AnyMetric
    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.pairs import Miner
    from siamrec.protocols import (
        FeedbackSource,
        PairGenerator,
        SiameseEncoder,
    )

    Factory = Callable[..., Any]

hookimpl = pluggy.HookimplMarker("siamrec")
_hookspec = pluggy.HookspecMarker("siamrec")


class FeedbackHooks(Protocol):
    """Where feedback comes from."""

    @_hookspec
    def siamrec_feedback_sources(self) -> Mapping[str, Callable[..., FeedbackSource]]:
        """Return feedback sources by name."""
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
    def siamrec_losses(self) -> Mapping[str, Factory]:
        """Return training losses by name."""
        ...

    @_hookspec
    def siamrec_encoders(self) -> Mapping[str, Callable[..., SiameseEncoder]]:
        """Return encoders by name."""
        ...

    @_hookspec
    def siamrec_exporters(self) -> Mapping[str, Factory]:
        """Return export formats by name."""
        ...


class RecommenderHooks(Protocol):
    """Arms."""

    @_hookspec
    def siamrec_recommenders(self) -> Mapping[str, Callable[..., RecommenderRecipe]]:
        """Return recipes of recommenders by name."""
        ...

    @_hookspec
    def siamrec_selectors(self) -> Mapping[str, Factory]:
        """Return selectors of the re-ranking by name."""
        ...


class BanditHooks(Protocol):
    """What chooses among arms, and what judges choices afterwards."""

    @_hookspec
    def siamrec_policies(self) -> Mapping[str, Callable[..., Policy[Any]]]:
        """Return bandit policies by name."""
        ...

    @_hookspec
    def siamrec_estimators(self) -> Mapping[str, Factory]:
        """Return off-policy estimators by name."""
        ...


class ExperimentHooks(Protocol):
    """How units are split and how splits are judged."""

    @_hookspec
    def siamrec_hashers(self) -> Mapping[str, Factory]:
        """Return hashers of units by name."""
        ...

    @_hookspec
    def siamrec_tests(self) -> Mapping[str, Factory]:
        """Return statistical tests by name."""
        ...


class MetricHooks(Protocol):
    """How lists are measured."""

    @_hookspec
    def siamrec_metrics(self) -> Mapping[str, Callable[..., AnyMetric]]:
        """Return metrics by the stem of their name."""
        ...


class LifecycleHooks(Protocol):
    """Where state lives, what alarms, and what is told about it."""

    @_hookspec
    def siamrec_stores(self) -> Mapping[str, Factory]:
        """Return stores by name."""
        ...

    @_hookspec
    def siamrec_alert_rules(self) -> Mapping[str, Factory]:
        """Return alert rules by name."""
        ...

    @_hookspec
    def siamrec_model_trained(self, version: str, result: Mapping[str, Any]) -> None:
        """Hear that a tuned encoder was registered under an id, and how it compares."""

    @_hookspec
    def siamrec_version_activated(self, change: Mapping[str, Any]) -> None:
        """Hear that an alias points at another version: alias, version, previous, reason, time."""

    @_hookspec
    def siamrec_rolled_back(self, change: Mapping[str, Any]) -> None:
        """Hear that an alias went back: alias, version, previous, reason, time."""

    @_hookspec
    def siamrec_experiment_decided(self, result: Mapping[str, Any]) -> None:
        """Hear what an experiment decided."""

    @_hookspec
    def siamrec_alert(self, alert: Mapping[str, Any]) -> None:
        """Hear of an alert."""


HOOKS: tuple[type, ...] = (
    FeedbackHooks,
    TrainingHooks,
    RecommenderHooks,
    BanditHooks,
    ExperimentHooks,
    MetricHooks,
    LifecycleHooks,
)

COMPONENTS: dict[str, str] = {
    "siamrec_feedback_sources": "feedback source",
    "siamrec_pair_generators": "pair generator",
    "siamrec_miners": "miner",
    "siamrec_losses": "loss",
    "siamrec_encoders": "encoder",
    "siamrec_recommenders": "recommender",
    "siamrec_policies": "policy",
    "siamrec_estimators": "estimator",
    "siamrec_hashers": "hasher",
    "siamrec_tests": "test",
    "siamrec_metrics": "metric",
    "siamrec_selectors": "selector",
    "siamrec_exporters": "exporter",
    "siamrec_stores": "store",
    "siamrec_alert_rules": "alert rule",
}
"""Component hooks, and what one of their parts is called."""

OBSERVERS: tuple[str, ...] = (
    "siamrec_model_trained",
    "siamrec_version_activated",
    "siamrec_rolled_back",
    "siamrec_experiment_decided",
    "siamrec_alert",
)
"""Observer hooks."""
