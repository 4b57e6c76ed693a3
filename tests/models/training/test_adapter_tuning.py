"""The adapter strategy on a small world whose words carry the users' tastes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Catalog, Feedback, Pairs, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    LeakageError,
    TrainingDivergedError,
    UnknownNameError,
)
from siamrec.models import AdapterEncoder, HashingEncoder
from siamrec.models.training import (
    Adapter,
    EncoderComparison,
    FineTuneConfig,
    FineTuner,
    TrainingEvent,
)
from siamrec.models.training.strategies import adapter as _adapter_run
from siamrec.models.training.strategies.adapter_head import train_head
from siamrec.models.training.strategies.joined_heads import joined
from siamrec.models.training.validation.ranking import RankingTask
from siamrec.pairs import MinimumCounts, RatingPairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array

ENCODER = HashingEncoder(dim=96)
HEAD = Adapter(epochs=4, batch_size=64, hidden=8)
QUICK = FineTuneConfig(strategy=HEAD, cold_share=0.2, seed=1)


class BrokenEncoder:
    """An encoder whose numbers have overflown."""

    dim = 4
    fingerprint = "broken"

    def encode(self, texts: Sequence[str], *, kind: str = "document") -> Float32Array:
        return np.full((len(texts), 4), np.inf, dtype=np.float32)


def world(n_users: int = 90, n_items: int = 120, seed: int = 0) -> Pairs:
    """Texts of one theme rarely share a word; which words belong together only feedback tells."""
    rng = np.random.default_rng(seed)
    words = [[f"w{theme}x{k}" for k in range(20)] for theme in range(4)]
    theme_of = rng.integers(0, 4, n_items)
    texts = tuple(
        " ".join(
            [rng.choice(words[theme]), *(f"noise{w}" for w in rng.integers(0, 9, 3)), f"id{k}"]
        )
        for k, theme in enumerate(theme_of)
    )
    taste = rng.integers(0, 4, n_users)
    seen = [rng.choice(n_items, 70, replace=False) for _ in range(n_users)]
    user = np.repeat(np.arange(n_users), 70)
    item = np.concatenate(seen)
    liked = theme_of[item] == taste[user]
    flip = rng.random(liked.size) < 0.1
    feedback = Feedback.of(
        user=user, item=item, value=np.where(liked ^ flip, 5.0, 1.0), time=np.arange(user.size)
    )
    catalog = Catalog(items=Vocabulary(tuple(range(n_items))), text=texts)
    recipe = RatingPairs(minimum=MinimumCounts(positive=1, negative=1, total=2))
    return recipe.generate(feedback, catalog, rng=rng)


@pytest.fixture(scope="module")
def sides() -> tuple[Pairs, Pairs]:
    return world().split(by="user", fraction=0.3, seed=1)


def test_held_out_users_gain_on_seen_and_on_hidden_texts(sides: tuple[Pairs, Pairs]) -> None:
    # In 20 seeds of the world and of training the warm gain was above 0.05 every time.
    result = FineTuner(QUICK).fit(ENCODER, *sides)
    assert result.verdict.ship, result.verdict
    assert result.comparisons["ndcg@10"].low > 0.03
    assert result.metrics["cold_ndcg@10"] > result.metrics["base_cold_ndcg@10"]
    assert isinstance(result.encoder, AdapterEncoder)
    assert result.card["parent"] == ENCODER.fingerprint
    assert result.card["fingerprint"] == result.encoder.fingerprint


def test_same_seed_same_weights(sides: tuple[Pairs, Pairs]) -> None:
    prints = [
        FineTuner(replace(QUICK, seed=seed)).fit(ENCODER, *sides).encoder.fingerprint
        for seed in (3, 3, 4)
    ]
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


def test_labels_without_meaning_do_not_ship() -> None:
    """Shuffled likes teach nothing; the chance that an interval lies above 0 is 2.5 %."""
    train, valid = world().split(by="user", fraction=0.3, seed=1)
    rng = np.random.default_rng(5)
    shuffled = [
        replace(
            side,
            liked_text=rng.permutation(side.liked_text),
            left=rng.permutation(side.left),
            right=rng.permutation(side.right),
        )
        for side in (train, valid)
    ]
    result = FineTuner(QUICK).fit(ENCODER, *shuffled)
    assert not result.verdict.ship
    assert any("no significant difference" in reason for reason in result.verdict.reasons)


def test_events_tell_the_story(sides: tuple[Pairs, Pairs]) -> None:
    events: list[TrainingEvent] = []
    result = FineTuner(QUICK).fit(ENCODER, *sides, on_event=events.append)
    kinds = [event.kind for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("evaluation") == len(result.history)
    assert result.history[0]["step"] < result.history[-1]["step"] <= events[0].total
    assert "head 3 of 3 with all texts" in [event.message for event in events]


def test_a_request_during_the_refit_keeps_the_heads_that_there_are(
    sides: tuple[Pairs, Pairs],
) -> None:
    trained: list[str] = []

    def note(event: TrainingEvent) -> None:
        if event.message.startswith("head"):
            trained.append(event.message)

    result = FineTuner(QUICK).fit(
        ENCODER, *sides, on_event=note, should_stop=lambda: len(trained) == 2
    )
    assert trained == ["head 1 of 3 with all texts", "head 2 of 3 with all texts"]
    assert result.card["stopped"] == "stopped on request"
    assert isinstance(result.encoder, AdapterEncoder)
    assert result.encoder.outer is not None
    assert result.encoder.outer.shape == (96, 16)


def test_cancelled_training_gives_the_best_so_far(sides: tuple[Pairs, Pairs]) -> None:
    asked = iter([False] * 12)
    result = FineTuner(QUICK).fit(ENCODER, *sides, should_stop=lambda: next(asked, True))
    assert result.card["stopped"] == "stopped on request"
    assert result.history[-1]["step"] == 13
    assert np.isfinite(result.encoder.encode(["w0x1 w0x2"])).all()


def test_step_budget_holds(sides: tuple[Pairs, Pairs]) -> None:
    result = FineTuner(replace(QUICK, max_steps=5)).fit(ENCODER, *sides)
    assert result.history[-1]["step"] == 5


def test_diverging_training_is_named(sides: tuple[Pairs, Pairs]) -> None:
    huge = np.full(len(sides[0]), 3e38, np.float32)  # their sum is beyond float32
    with pytest.raises(TrainingDivergedError, match="lower learning_rate"):
        FineTuner(QUICK).fit(ENCODER, replace(sides[0], weight=huge), sides[1])


@pytest.mark.parametrize("kept", [0, 1])
def test_a_refit_that_diverges_keeps_what_there_is(
    sides: tuple[Pairs, Pairs], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    calls: list[int] = []

    def breaks(*given: Any, **settings: Any) -> Any:
        calls.append(settings["steps"])
        if len(calls) == 2 + kept:  # the search, and so many heads of the refit
            raise TrainingDivergedError("diverged at step 3")
        return train_head(*given, **settings)

    monkeypatch.setattr(_adapter_run, "train_head", breaks)
    told: list[str] = []
    result = FineTuner(replace(QUICK, max_steps=20)).fit(
        ENCODER,
        *sides,
        on_event=lambda event: told.append(event.message) if event.kind == "warning" else None,
    )
    assert len(calls) == 2 + kept
    assert len(told) == 1
    assert "training with all texts diverged" in told[0]
    assert result.card["stopped"] == told[0]
    assert np.isfinite(result.encoder.encode(["w0x1 w1x2"])).all()
    assert bool(result.card["measured_before_refit"]) == bool(kept)


def test_vectors_must_be_finite(sides: tuple[Pairs, Pairs]) -> None:
    with pytest.raises(InvalidDataError, match="vectors of the encoder must be finite"):
        FineTuner(QUICK).fit(BrokenEncoder(), *sides)


def test_shared_users_are_a_leak(sides: tuple[Pairs, Pairs]) -> None:
    with pytest.raises(LeakageError, match="share"):
        FineTuner(QUICK).fit(ENCODER, sides[0], sides[0])


def test_nothing_to_learn_or_judge_by(sides: tuple[Pairs, Pairs]) -> None:
    train, valid = sides
    with pytest.raises(InvalidDataError, match="train must hold positive pairs"):
        FineTuner(QUICK).fit(ENCODER, train.where(train.label < 0.5), valid)
    with pytest.raises(InvalidDataError, match="valid must hold pairs to judge by"):
        FineTuner(QUICK).fit(ENCODER, train, valid.where(valid.label > 2))


def test_pairs_from_another_table_are_joined(sides: tuple[Pairs, Pairs]) -> None:
    train, valid = sides
    order = np.random.default_rng(0).permutation(len(valid.texts))
    moved = np.argsort(order).astype(np.int32)
    other = replace(
        valid,
        texts=tuple(valid.texts[k] for k in order),
        left=moved[valid.left],
        right=moved[valid.right],
        liked_text=moved[valid.liked_text],
    )
    tuner = FineTuner(QUICK)
    same = tuner.fit(ENCODER, train, valid)
    assert tuner.fit(ENCODER, train, other).metrics == same.metrics


def test_queries_and_documents_can_be_tuned_without_users() -> None:
    left = [f"ask{k % 30} variant{k // 30}" for k in range(300)]
    right = [f"say{k % 30}" for k in range(300)]
    couples = Pairs.of(left, right)
    drawn = np.random.default_rng(0).random(300) < 0.3
    settings = replace(QUICK, cold_share=0.0, strategy=replace(HEAD, epochs=20))
    result = FineTuner(settings).fit(ENCODER, couples.where(~drawn), couples.where(drawn))
    assert result.metrics["base_ndcg@10"] < 0.4
    assert result.metrics["ndcg@10"] > 0.9


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"strategy": "adaptor"}, UnknownNameError, "Did you mean 'adapter'"),
        ({"strategy": "adapter:epochs=0"}, InvalidParameterError, "epochs must be a whole number"),
        ({"wise_ft": 1.5}, InvalidParameterError, "wise_ft"),
        ({"cold_share": 1.0}, InvalidParameterError, "cold_share"),
        (
            {"strategy": {"name": "full", "learning_rate": -1.0}},
            InvalidParameterError,
            "learning_rate",
        ),
    ],
)
def test_settings_are_checked(
    settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        FineTuneConfig(**settings)  # type: ignore[arg-type]


def test_settings_have_a_stable_hash() -> None:
    full = FineTuneConfig(strategy="full")
    assert hash(replace(full, loss={"name": "mnrl", "scale": 3.0})) == hash(full)
    assert QUICK.fingerprint() == replace(QUICK).fingerprint()
    assert QUICK.fingerprint() != replace(QUICK, seed=2).fingerprint()


def test_ranking_by_hand() -> None:
    task = RankingTask(
        profile_unit=np.array([0]),
        profile_text=np.array([0]),
        truth_unit=np.array([0, 0]),
        truth_text=np.array([2, 3]),
        candidates=np.arange(4),
        n_units=2,
    )
    # Text 0 is known, so the order is 1, 2, 3: hits at 2 and 3 of ideally 1 and 2.
    scores = np.tile([9.0, 3.0, 2.0, 1.0], (2, 1))
    gained = 1 / np.log2(3) + 1 / np.log2(4)
    found = task.ndcg_of_scores(scores)
    assert found[0] == pytest.approx(gained / (1 + 1 / np.log2(3)))
    assert np.isnan(found[1]), "a unit without a profile has no value"


def test_first_half_is_known_and_second_half_is_wanted() -> None:
    pairs = replace(
        Pairs.of(["a"], ["b"]),
        texts=("a", "b", "c", "d", "e"),
        users=Vocabulary(("u",)),
        user=np.zeros(1, np.int32),
        liked_user=np.zeros(5, np.int32),
        liked_text=np.array([4, 2, 0, 1, 3], np.int32),
    )
    task = RankingTask.of(pairs, np.arange(5))
    assert task.profile_text.tolist() == [4, 2, 0]
    assert task.truth_text.tolist() == [1, 3]


def test_interval_by_hand() -> None:
    comparison = EncoderComparison.of("m", np.array([0.0, 0.0, np.nan]), np.array([0.2, 0.4, 1.0]))
    # mean 0.3, standard error 0.1, t(1, 0.975) = 12.7062
    assert comparison.n == 2
    assert comparison.difference == pytest.approx(0.3)
    assert comparison.high - comparison.difference == pytest.approx(1.27062, rel=1e-5)
    alone = EncoderComparison.of("m", np.array([0.0]), np.array([1.0]))
    assert (alone.low, alone.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_warm_start_goes_on_from_the_head_in_use(
    sides: tuple[Pairs, Pairs], hidden: int
) -> None:
    head = replace(HEAD, hidden=hidden, refit=False)
    config = replace(QUICK, strategy=head, wise_ft=1.0)
    first = FineTuner(config).fit(ENCODER, *sides)
    slow = replace(head, learning_rate=1e-9)
    still = replace(config, strategy=slow, warm_start=True, max_steps=1)
    again = FineTuner(still).fit(ENCODER, *sides, previous=first.encoder)
    texts = list(sides[0].texts)
    np.testing.assert_allclose(again.encoder.encode(texts), first.encoder.encode(texts), atol=1e-3)
    assert again.beside["previous_ndcg@10"].difference == pytest.approx(0.0, abs=0.01)
    with pytest.raises(InvalidParameterError, match="an AdapterEncoder on the same base"):
        FineTuner(still).fit(ENCODER, *sides, previous=ENCODER)
    other = FineTuner(replace(still, strategy=replace(slow, hidden=8))).fit(
        ENCODER, *sides, previous=first.encoder
    )
    np.testing.assert_allclose(other.encoder.encode(texts), again.encoder.encode(texts), atol=1e-6)


def test_popularity_stands_beside_with_its_interval(sides: tuple[Pairs, Pairs]) -> None:
    result = FineTuner(QUICK).fit(ENCODER, *sides)
    beside = result.beside["popularity"]
    assert beside.base == pytest.approx(result.metrics["popularity_ndcg@10"])
    assert beside.tuned == pytest.approx(result.metrics["ndcg@10"])
    assert str(beside) in str(result.verdict)


def test_joined_heads_keep_the_mean_of_their_products() -> None:
    """Exactly, where the heads differ by a turn and fit into the base's dimension together."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 96)).astype(np.float32)
    base = ENCODER
    heads = []
    for scale in (0.5, 2.0):
        turn = np.linalg.qr(rng.normal(size=(96, 96)))[0]
        keep = np.eye(96)[:, :40] @ np.eye(96)[:40]
        weight = (scale * turn @ keep).astype(np.float32)
        heads.append(AdapterEncoder(base, weight, np.zeros(96, np.float32)))
    one = joined(heads, vectors)
    assert one.dim == 96
    products = [(vectors @ h.weight.T) @ (vectors @ h.weight.T).T for h in heads]
    wanted = sum(p / np.trace(p) for p in products)
    found = (vectors @ one.weight.T) @ (vectors @ one.weight.T).T
    np.testing.assert_allclose(found / np.trace(found), wanted / np.trace(wanted), atol=1e-6)
    assert joined(heads[:1], vectors) is heads[0]


def test_a_head_joined_with_itself_ranks_as_before() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 96)).astype(np.float32)
    shapes = ((96, 96), (96,), (8, 96), (8,), (96, 8))
    head = AdapterEncoder(ENCODER, *(rng.normal(size=s).astype(np.float32) for s in shapes))
    one = joined([head, head, head], vectors)
    assert one.inner is not None
    assert one.inner.shape == (24, 96)
    before, after = head.project(vectors), one.project(vectors)
    np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-4)


def test_joined_heads_lie_where_the_base_lies() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(300, 96)).astype(np.float32)
    turns = [np.linalg.qr(rng.normal(size=(96, 96)))[0].astype(np.float32) for _ in range(2)]
    heads = [AdapterEncoder(ENCODER, turn, np.zeros(96, np.float32)) for turn in turns]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    lone = (heads[0].project(vectors) * unit).sum(axis=1).mean()
    both = (joined(heads, vectors).project(vectors) * unit).sum(axis=1).mean()
    assert abs(lone) < 0.2
    assert both > 0.8


def test_more_heads_are_trained_and_become_one(sides: tuple[Pairs, Pairs]) -> None:
    single = FineTuner(replace(QUICK, strategy=replace(HEAD, heads=1))).fit(ENCODER, *sides)
    several = FineTuner(replace(QUICK, strategy=replace(HEAD, heads=3))).fit(ENCODER, *sides)
    assert isinstance(several.encoder, AdapterEncoder)
    assert isinstance(single.encoder, AdapterEncoder)
    assert several.encoder.outer is not None
    assert single.encoder.outer is not None
    assert several.encoder.outer.shape == (96, 24)
    assert single.encoder.outer.shape == (96, 8)
    # Validation chose by one head, before the others were trained; what is reported of texts
    # that training may see is of the heads that are returned.
    assert several.metrics["cold_ndcg@10"] == single.metrics["cold_ndcg@10"]
    assert several.card["steps"] == single.card["steps"]
    again = FineTuner(replace(QUICK, warm_start=True)).fit(
        ENCODER, *sides, previous=several.encoder
    )
    assert isinstance(again.encoder, AdapterEncoder)
    assert again.encoder.outer is not None
    assert again.encoder.outer.shape == (96, 24)
