"""Tuning on every kind of split, and on queries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Catalog, Feedback, Pairs, Vocabulary
from siamrec.errors import LeakageError
from siamrec.models import HashingEncoder, SentenceEncoder
from siamrec.models.training import Adapter, FineTuneConfig, FineTuner, Full
from siamrec.models.training.strategies.material import Material
from siamrec.models.training.validation.choosing import Slices
from siamrec.models.training.validation.ranking import RankingTask
from siamrec.pairs import PreferencePairs, QueryPairs, RatingPairs
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders._texts import TextKind
    from siamrec.typing import Float32Array

QUICK = FineTuneConfig(strategy=Adapter(heads=1, hidden=4, batch_size=32), max_steps=4)


class Listening:
    """A hashing encoder that remembers what was read as what, and reads queries its own way."""

    dim = 32

    def __init__(self) -> None:
        self.base = HashingEncoder(dim=32)
        self.fingerprint = self.base.fingerprint
        self.read: dict[str, set[str]] = {"query": set(), "document": set()}

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        self.read[kind].update(texts)
        vectors = self.base.encode([f"{kind} {text}" for text in texts])
        return np.asarray(vectors, dtype=np.float32)


def asked() -> Pairs:
    """Queries about topics, answered by documents; each user asks several."""
    rng = np.random.default_rng(0)
    n = 60
    catalog = Catalog(
        items=Vocabulary(tuple(range(n))),
        text=tuple(f"doc{k} topic{k % 6} words" for k in range(n)),
    )
    item = rng.integers(0, n, 240)
    query = [f"query about topic{k % 6} nr{rng.integers(30)}" for k in item]
    base = Feedback.of(
        user=np.repeat(np.arange(40), 6), item=item, kind="click", time=np.arange(240)
    )
    queries, code = Vocabulary.factorize(query)
    feedback = replace(base, queries=queries, query=code)
    return QueryPairs().generate(feedback, catalog, rng=rng)


@pytest.mark.parametrize("by", ["user", "query", "time", "cluster"])
def test_every_split_of_ratings_can_be_tuned_on(by: Any) -> None:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    train, valid = pairs.split(by=by, fraction=0.3, seed=1)
    result = FineTuner(QUICK).fit(HashingEncoder(dim=32), train, valid)
    assert np.isfinite(result.metrics["ndcg@10"])


@pytest.mark.parametrize("by", ["user", "query"])
def test_queries_find_their_answers_and_are_read_as_queries(by: Any) -> None:
    train, valid = asked().split(by=by, fraction=0.3, seed=1)
    material = Material.of(train, valid, cold_share=0.1, seed=1)
    is_query = np.array([text.startswith("query") for text in material.texts])
    np.testing.assert_array_equal(material.asked(), is_query)
    warm = Slices.of(material, np.ones(len(material.texts), dtype=np.bool_)).warm
    assert is_query[warm.profile_text].all()
    assert not is_query[warm.truth_text].any()
    assert not is_query[warm.candidates].any()
    positive = valid.label >= 0.5
    assert warm.n_units == np.unique(valid.left[positive]).size
    encoder = Listening()
    FineTuner(QUICK).fit(encoder, train, valid)
    answers = {text for text in material.texts if not text.startswith("query")}
    assert encoder.read["query"] == set(material.texts) - answers
    assert answers <= encoder.read["document"]


def test_the_whole_encoder_is_judged_on_all_queries_of_a_sample() -> None:
    train, valid = asked().split(by="query", fraction=0.3, seed=1)
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(strategy=Full(evaluations=1, validation_texts=30), max_steps=2)
    result = FineTuner(config).fit(encoder, train, valid)
    assert np.isfinite(result.metrics["ndcg@10"])


def test_sides_of_different_splits_are_still_a_leak() -> None:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    train, valid = pairs.split(by="time", fraction=0.3)
    for first, second in (
        (replace(train, split_by=None), valid),
        (train, replace(valid, split_by="query")),
    ):
        with pytest.raises(LeakageError, match="or give both sides of one split"):
            FineTuner(QUICK).fit(HashingEncoder(dim=32), first, second)


def test_a_split_that_was_filled_up_again_is_a_leak() -> None:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    train, valid = pairs.split(by="query", fraction=0.3, seed=1)
    with pytest.raises(LeakageError, match=r"share \d+ queries"):
        FineTuner(QUICK).fit(HashingEncoder(dim=16), Pairs.concat([train, valid]), valid)


def test_after_a_split_by_time_the_past_is_the_profile() -> None:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    train, valid = pairs.split(by="time", fraction=0.3)
    material = Material.of(train, valid, cold_share=0.0, seed=0)
    train, valid = material.train, material.valid
    task = RankingTask.of(valid, np.arange(len(material.texts)), train=train)
    users = np.unique(valid.liked_user)
    for unit, user in enumerate(users.tolist()):
        past = set(train.liked_text[train.liked_user == user].tolist())
        future = set(valid.liked_text[valid.liked_user == user].tolist())
        profile = set(task.profile_text[task.profile_unit == unit].tolist())
        truth = set(task.truth_text[task.truth_unit == unit].tolist())
        if past:
            assert (profile, truth) == (past, future - past)
        else:
            assert profile | truth == future


def test_preferences_between_items_are_judged_by_user() -> None:
    pairs = PreferencePairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    train, valid = pairs.split(by="user", fraction=0.3, seed=1)
    task = RankingTask.of(valid, np.arange(len(valid.texts)), train=train)
    assert task.n_units == np.unique(valid.liked_user).size
