"""What a cycle uses where the host hands nothing in."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from siamrec.lifecycle._evaluate import WARM_METRICS
from siamrec.metrics import Suite
from siamrec.models import SentenceEncoder
from siamrec.models.recommenders import EASE, LongTail, Popularity, TextProfile
from siamrec.pairs import MinimumCounts, RatingPairs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.protocols import MetricSuite, PairGenerator, SiameseEncoder

MODEL = "all-MiniLM-L6-v2"
TEXT_BASE, TEXT_TUNED = "text_base", "text_tuned"


def default_encoder(encoder: SiameseEncoder | str | Path | None) -> SiameseEncoder:
    """Return the given encoder, or the model of that name, or the default model."""
    if encoder is None:
        return SentenceEncoder(MODEL)
    if hasattr(encoder, "encode") and not isinstance(encoder, str):
        return encoder  # type: ignore[return-value]  # paths and text cannot encode vectors
    return SentenceEncoder(str(encoder))


def default_pairs(positive: float) -> PairGenerator:
    """Return pairs of what one user likes, and of likes with what that user dislikes."""
    return RatingPairs(
        positive=positive,
        negative=positive / 2,
        minimum=MinimumCounts(positive=20, negative=0, total=20),
    )


def default_suite() -> MetricSuite:
    """Return accuracy, coverage, concentration, novelty and long-tail share."""
    return Suite(list(WARM_METRICS))


def default_arms(
    positive: float, base: SiameseEncoder, tuned: SiameseEncoder
) -> Mapping[str, RecommenderRecipe]:
    """Return popularity, EASE, the text encoder before and after, and a long-tail arm."""
    ease = EASE(positive=positive)
    return {
        "popularity": Popularity(positive=positive),
        "ease": ease,
        TEXT_BASE: TextProfile(encoder=base, positive=positive),
        TEXT_TUNED: TextProfile(encoder=tuned, positive=positive),
        "long_tail": LongTail(base=ease, strength=0.3),
    }


def package_versions() -> dict[str, str]:
    """Return the versions that the numbers depend on."""
    names = ("siamrec", "numpy", "scipy", "torch", "sentence-transformers")
    found: dict[str, Any] = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
