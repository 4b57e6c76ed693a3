"""What a cycle uses where the host hands nothing in."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamrec._core.book import named
from siamrec.errors import UnknownNameError, nearest
from siamrec.lifecycle._evaluate import WARM_METRICS
from siamrec.lifecycle._host import required_suite
from siamrec.metrics import Suite
from siamrec.models import SentenceEncoder
from siamrec.models.encoders import ENCODERS
from siamrec.models.recommenders import EASE, LongTail, Popularity, TextProfile
from siamrec.pairs import PAIR_GENERATORS, MinimumCounts, RatingPairs

if TYPE_CHECKING:
    from siamrec._core.book import Named
    from siamrec.metrics.base import AnyMetric
    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.protocols import MetricSuite, PairGenerator, SiameseEncoder

_SLIP = 0.8
"""Likeness to an encoder's name above which a text is a slip, and no model such as sentence-t5."""

MODEL = "all-MiniLM-L6-v2"
TEXT_BASE, TEXT_TUNED = "text_base", "text_tuned"


def encoder_of(encoder: SiameseEncoder | Named | Path | None) -> SiameseEncoder:
    """Return the given encoder, the one of that name, or the model at that path or of the hub.

    Raises:
        UnknownNameError: If a text is near the name of an encoder, and no folder is called so.
    """
    if encoder is None:
        return SentenceEncoder(MODEL)
    if isinstance(encoder, Path):
        return SentenceEncoder(encoder)
    if isinstance(encoder, str) and ("/" in encoder or named(encoder) not in ENCODERS):
        word = encoder.partition(":")[0]
        if nearest(word, ENCODERS.names(), like=_SLIP) and not Path(encoder).exists():
            raise UnknownNameError("encoder", word, ENCODERS.names())
        return SentenceEncoder(encoder)
    return ENCODERS.make(encoder)


def pairs_of(pairs: PairGenerator | Named | None, positive: float) -> PairGenerator:
    """Return the given generator, or what one user likes, and likes with what is disliked."""
    if pairs is not None:
        return PAIR_GENERATORS.make(pairs, positive=positive)
    return RatingPairs(
        positive=positive,
        negative=positive / 2,
        minimum=MinimumCounts(positive=20, negative=0, total=20),
    )


def suite_of(suite: MetricSuite | Sequence[AnyMetric | Named] | None) -> MetricSuite:
    """Return the given suite, or one of these metrics, or the default one.

    By default accuracy, coverage, concentration, novelty and long-tail share are measured.
    """
    if suite is None:
        return Suite(list(WARM_METRICS))
    return Suite(suite) if isinstance(suite, Sequence) else required_suite(suite)


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
