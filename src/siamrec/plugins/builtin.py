"""The house's own parts, offered through the hooks that guests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec.bandits import BetaThompson, EpsilonGreedy, HierarchicalBeta, Uniform
from siamrec.feedback import FileFeedback, MemoryFeedback
from siamrec.metrics._builtin import BUILTIN
from siamrec.models import AdapterEncoder, CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.recommenders import (
    EASE,
    EDLAE,
    IALS,
    ItemKNN,
    LongTail,
    Popularity,
    RP3beta,
    TextProfile,
)
from siamrec.pairs import RatingPairs
from siamrec.plugins.hookspecs import hookimpl
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Factories = Mapping[str, Callable[..., Any]]


@hookimpl
def siamrec_feedback_sources() -> Factories:
    """Offer feedback in files and in memory."""
    return {"file": FileFeedback, "memory": MemoryFeedback}


@hookimpl
def siamrec_pair_generators() -> Factories:
    """Offer pairs from ratings."""
    return {"ratings": RatingPairs}


@hookimpl
def siamrec_encoders() -> Factories:
    """Offer encoders."""
    return {
        "adapter": AdapterEncoder,
        "cached": CachedEncoder,
        "hashing": HashingEncoder,
        "sentence": SentenceEncoder,
    }


@hookimpl
def siamrec_recommenders() -> Factories:
    """Offer arms."""
    return {
        "ease": EASE,
        "edlae": EDLAE,
        "ials": IALS,
        "item-knn": ItemKNN,
        "long-tail": LongTail,
        "popularity": Popularity,
        "rp3beta": RP3beta,
        "text-profile": TextProfile,
    }


@hookimpl
def siamrec_policies() -> Factories:
    """Offer bandit policies."""
    return {
        "beta-thompson": BetaThompson,
        "epsilon-greedy": EpsilonGreedy,
        "hierarchical-beta": HierarchicalBeta,
        "uniform": Uniform,
    }


@hookimpl
def siamrec_metrics() -> Factories:
    """Offer metrics by the stem of their name."""
    return BUILTIN


@hookimpl
def siamrec_stores() -> Factories:
    """Offer the store on SQLite and PostgreSQL."""
    return {"sql": Store}
