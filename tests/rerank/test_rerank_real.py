"""Popularity damping on real data: more of the long tail at no cost in accuracy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.metrics import Suite
from siamrec.rerank import Pipeline, PopularityDamping

ROOT = os.environ.get("SIAMREC_DATA")


@pytest.mark.realdata
@pytest.mark.skipif(ROOT is None, reason="SIAMREC_DATA is not set")
def test_damping_raises_the_long_tail_at_less_than_one_percent_of_ndcg() -> None:
    rows = np.loadtxt(Path(str(ROOT)) / "ml-100k" / "u.data", dtype=np.int64)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    user, item = rows[:, 0] - 1, rows[:, 1] - 1
    size = np.bincount(user)
    held = np.arange(user.size) - (size.cumsum() - size)[user] >= np.floor(0.8 * size)[user]
    users, items = Vocabulary(tuple(range(943))), Vocabulary(tuple(range(1682)))
    watched = np.zeros((943, 1682))
    watched[user[~held], item[~held]] = 1.0
    inverse = np.linalg.inv(watched.T @ watched + 500.0 * np.eye(1682))
    weights = -inverse / np.diag(inverse)
    weights[np.diag_indices(1682)] = 0.0
    past = Truth.from_arrays(user=user[~held], item=item[~held], users=users, items=items)
    truth = Truth.from_arrays(user=user[held], item=item[held], users=users, items=items)
    candidates = Rankings.from_scores(
        watched @ weights, k=300, exclude=past, users=users, items=items
    )
    popularity = watched.sum(axis=0)
    suite = Suite(["ndcg@10", "long_tail_share@10"])
    before, after = (
        suite.evaluate(lists, truth, popularity=popularity, history=past)
        for lists in (
            candidates.top(10),
            Pipeline(PopularityDamping(strength=0.2)).rerank(
                candidates, k=10, popularity=popularity
            ),
        )
    )
    assert before["ndcg@10"].mean > 0.44  # EASE is strong here
    assert after["ndcg@10"].mean > 0.99 * before["ndcg@10"].mean
    assert after["long_tail_share@10"].mean > 1.4 * before["long_tail_share@10"].mean
