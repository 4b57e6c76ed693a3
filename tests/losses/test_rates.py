"""The correction of popularity: the rate of each candidate, mined ones too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from siamrec.data import Pairs
from siamrec.losses import FeedbackInfoNCE, TextRates, build_loss
from siamrec.models import SentenceEncoder
from siamrec.models.training import FineTuneConfig, FineTuner, Full
from siamrec.pairs import HardNegatives, RatingPairs
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model


def mined_pairs() -> Pairs:
    """Three rows of two positives; "d" and "e" are mined and never positive."""
    pairs = Pairs.of(["a", "a", "c"], ["b", "b", "a"])
    texts = (*pairs.texts, "d", "e")
    code = {text: k for k, text in enumerate(texts)}
    mined: list[list[str | None]] = [["d", "a"], ["d", None], ["e", "b"]]
    negatives = [[-1 if t is None else code[t] for t in row] for row in mined]
    return replace(pairs, texts=texts, negatives=np.array(negatives, np.int32))


def test_the_rate_is_how_often_a_text_stands_in_a_batch() -> None:
    """Batches that take each row equally often meet a text as often as the rate says."""
    pairs = mined_pairs()
    assert pairs.negatives is not None
    loss = build_loss("feedback-infonce", torch.nn.Identity(), pairs=pairs, batch_size=2)
    assert isinstance(loss, FeedbackInfoNCE)
    assert loss.log_q is not None
    couples = [(0, 1), (0, 2), (1, 2)]  # all batches of two rows
    met = np.zeros(len(pairs.texts))
    for rows in couples:
        columns = [pairs.right[list(rows)], pairs.negatives[list(rows)].ravel()]
        codes = np.concatenate(columns)
        met += np.bincount(codes[codes >= 0], minlength=len(pairs.texts))
    candidates = met > 0
    np.testing.assert_allclose(
        loss.log_q.exp().numpy()[candidates], met[candidates] / len(couples), rtol=1e-6
    )


def test_a_text_that_was_never_counted_has_the_rate_of_one() -> None:
    rates = TextRates(np.array([4, 4, 0]), batch_size=4)
    assert rates.log_q().exp().tolist() == pytest.approx([2.0, 2.0, 0.5])
    halved = TextRates(np.array([4, 4, 0]), batch_size=4, strength=0.5)
    assert halved.log_q().tolist() == pytest.approx((0.5 * rates.log_q()).tolist())


def test_negatives_mined_anew_replace_those_before() -> None:
    pairs = mined_pairs()
    loss = build_loss("feedback-infonce", torch.nn.Identity(), pairs=pairs, batch_size=2)
    assert isinstance(loss, FeedbackInfoNCE)
    loss.recount(np.array([[3], [3], [-1]], np.int32))
    assert loss.log_q is not None
    code = {text: k for k, text in enumerate(pairs.texts)}
    rate = loss.log_q.exp()
    assert float(rate[3]) == pytest.approx(2 * 2 / 3)
    assert float(rate[code["e"]]) == pytest.approx(2 / 3)
    plain = build_loss("feedback-infonce", torch.nn.Identity(), pairs=pairs, popularity=0.0)
    assert isinstance(plain, FeedbackInfoNCE)
    plain.recount(np.array([[3]], np.int32))
    assert plain.log_q is None


@pytest.mark.parametrize("way", ["beside the pairs", "while training"])
def test_mined_texts_that_nobody_likes_do_not_swamp_the_loss(way: str) -> None:
    """Untrained cosines give about log(rivals); a rate of nothing once added 27 to it."""
    recipe = HardNegatives(per_positive=2, percent=2.0)
    stored = way == "beside the pairs"
    pairs = RatingPairs(hard_negatives=recipe if stored else None).generate(
        ratings_of(), catalog_of(), rng=np.random.default_rng(0)
    )
    rare = pairs.right[:40]  # these are left in the table, and nobody likes them any more
    pairs = pairs.where(~np.isin(pairs.left, rare) & ~np.isin(pairs.right, rare))
    encoder = SentenceEncoder.of(tiny_model(pairs.texts))
    config = FineTuneConfig(
        strategy=Full(evaluations=2, mine=None if stored else recipe),
        max_steps=4,
        cold_share=0.0,
    )
    result = FineTuner(config).fit(encoder, *pairs.split(by="user", fraction=0.3, seed=2))
    assert max(entry["loss"] for entry in result.history) < 9.0
