"""General skill and drift, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.training import Retention
from siamrec.models.training.validation.retention import cut_in_two, drift, reciprocal_rank

TEXTS = [f"Title {k}. A plot of {k} words and more words." for k in range(9)]


def test_texts_are_cut_at_the_first_sentence_or_in_the_middle() -> None:
    assert cut_in_two("Heat (1995). A crew plans one last job.") == (
        "Heat (1995)",
        "A crew plans one last job.",
    )
    assert cut_in_two("one two three four five six seven eight") == (
        "one two three four",
        "five six seven eight",
    )
    assert cut_in_two("Heat. Too short.") is None


def test_probes_do_not_depend_on_order() -> None:
    retention = Retention(probes=4)
    assert retention.texts(TEXTS) == retention.texts(TEXTS[::-1])
    queries, documents = retention.texts(TEXTS)
    assert len(queries) == len(documents) == 4


def test_rank_by_hand_and_ties_count_against() -> None:
    documents = np.eye(3, dtype=np.float32)
    queries = documents[[0, 2, 2]]  # ranks 1, 2 or 3 (tie with 0 counts), 1
    assert reciprocal_rank(queries, documents) == pytest.approx((1 + 1 / 3 + 1) / 3)
    same = np.ones((3, 1), dtype=np.float32)
    assert reciprocal_rank(same, same) == pytest.approx(1 / 3)


def test_drift_of_nothing_is_nothing_and_of_a_rotation_is_no_churn() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    still = drift(vectors, vectors)
    assert still["cosine"] == pytest.approx(1.0, abs=1e-6)
    assert still["churn"] == 0.0
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(np.float32)
    turned = drift(vectors, vectors @ rotation)
    assert turned["cosine"] < 0.9
    assert turned["churn"] < 0.02
    assert np.isnan(drift(vectors, vectors[:, :2])["cosine"])


def test_errors_name_the_remedy() -> None:
    with pytest.raises(InvalidDataError, match="pass retention=None"):
        Retention().texts(["Heat", "Up"])
    with pytest.raises(InvalidParameterError, match="max_drop"):
        Retention(max_drop=1.5)
