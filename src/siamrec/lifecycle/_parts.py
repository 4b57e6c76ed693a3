"""What a cycle uses where the host hands nothing in."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamrec._core.book import named
from siamrec.errors import InvalidParameterError, UnknownNameError, nearest
from siamrec.lifecycle._evaluate import TEXT_BASE, TEXT_IN_USE, TEXT_TUNED, WARM_METRICS
from siamrec.lifecycle._host import required_suite
from siamrec.metrics import Suite
from siamrec.models import SentenceEncoder
from siamrec.models.encoders import ENCODERS
from siamrec.models.recommenders import EASE, LongTail, Popularity, TextProfile
from siamrec.pairs import PAIR_GENERATORS, MinimumCounts, RatingPairs
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from siamrec import protocols
    from siamrec._core.book import Named
    from siamrec.lifecycle._settings import Parts
    from siamrec.metrics.base import AnyMetric
    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.protocols import BlobStore, MetricSuite, PairGenerator, SiameseEncoder

_SLIP = 0.8
"""Likeness to an encoder's name above which a text is a slip, and no model such as sentence-t5."""

MODEL = "all-MiniLM-L6-v2"


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
    positive: float,
    base: SiameseEncoder,
    tuned: SiameseEncoder,
    in_use: SiameseEncoder | None = None,
) -> Mapping[str, RecommenderRecipe]:
    """Return popularity, EASE, an arm of texts for each encoder, and a long-tail arm.

    Args:
        positive: Smallest value that is a like.
        base: The encoder as it came.
        tuned: The encoder after the training.
        in_use: The encoder in use, where it is another than the base.
    """
    ease = EASE(positive=positive)
    encoders = {TEXT_BASE: base, TEXT_IN_USE: in_use, TEXT_TUNED: tuned}
    texts = {
        name: TextProfile(encoder=encoder, positive=positive)
        for name, encoder in encoders.items()
        if encoder is not None
    }
    return {
        "popularity": Popularity(positive=positive),
        "ease": ease,
        **texts,
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


def base_files(parts: Parts) -> dict[str, bytes] | Path:
    """Return a saved copy of the encoder where it can be saved, else what it is made of."""
    encoder = parts.encoder
    if isinstance(encoder, SentenceEncoder):
        folder = parts.out / "base"
        encoder.save(folder)
        return folder
    about: dict[str, Any]
    try:
        about = ENCODERS.to_config(encoder)
    except InvalidParameterError:  # an encoder of the host's own, which is made anew there
        about = {"kind": type(encoder).__name__, "fingerprint": encoder.fingerprint}
    return {"encoder.json": json.dumps(about, sort_keys=True).encode()}


def blobs_of(parts: Parts, store: protocols.Store) -> BlobStore:
    """Return where the files of versions are: as given, beside the database, or in the folder.

    Beside a database that the host names, so that runs into several folders share their versions.
    """
    if parts.blobs is not None:
        return parts.blobs
    if parts.store is not None and isinstance(store, Store) and store.file is not None:
        return FolderBlobs.beside(store.file, "models")
    return FolderBlobs(parts.out / "registry")
