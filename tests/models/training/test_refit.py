"""What is said of an adapter that was trained again with all texts is true of what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siamrec.data import Catalog, Feedback, Pairs
from siamrec.errors import InvalidDataError
from siamrec.models import AdapterEncoder, HashingEncoder
from siamrec.models.training import (
    Adapter,
    FineTuneConfig,
    FineTuner,
    FineTuneResult,
    Retention,
    TrainingEvent,
)
from siamrec.models.training.strategies.material import Material
from siamrec.models.training.validation.choosing import Slices, means
from siamrec.models.training.validation.retention import reciprocal_rank
from siamrec.pairs import RatingPairs

ENCODER = HashingEncoder(dim=96)
HEAD = Adapter(batch_size=64, hidden=32, epochs=4)
CONFIG = FineTuneConfig(strategy=HEAD, cold_share=0.2, seed=1)


@pytest.fixture(scope="module")
def sides() -> tuple[Pairs, Pairs]:
    """Texts whose beginning finds the rest, and whose themes only feedback joins."""
    rng = np.random.default_rng(0)
    theme = rng.integers(0, 4, 120)
    text = [
        f"w{s}x{rng.integers(20)} "
        + " ".join(f"noise{k}" for k in rng.integers(0, 9, 3))
        + f" film{n}. plot{n} of film{n} w{s}x{rng.integers(20)} noise{rng.integers(9)} end"
        for n, s in enumerate(theme)
    ]
    columns = {"film": list(range(120)), "text": text}
    catalog = Catalog.from_frame(columns, item="film", text="text")
    user = np.repeat(np.arange(90), 70)
    film = np.concatenate([rng.choice(120, 70, replace=False) for _ in range(90)])
    value = np.where(theme[film] == user % 4, 5.0, 1.0)
    feedback = Feedback.of(user=user, item=film, value=value, time=np.arange(user.size))
    pairs = RatingPairs().generate(feedback, catalog, rng=rng)
    return pairs.split(by="user", fraction=0.3, seed=1)


def skill_of(result: FineTuneResult, texts: tuple[str, ...]) -> float:
    queries, documents = Retention().texts(texts)
    encode = result.encoder.encode
    return reciprocal_rank(encode(queries), encode(documents))


@pytest.mark.parametrize("max_drop", [0.1, 0.3])
def test_the_floor_and_the_figures_are_of_the_encoder_that_is_returned(
    sides: tuple[Pairs, Pairs], max_drop: float
) -> None:
    config = replace(CONFIG, retention=Retention(max_drop=max_drop))
    result = FineTuner(config).fit(ENCODER, *sides)
    material = Material.of(*sides, cold_share=0.2, seed=1)
    everything = np.ones(len(material.texts), dtype=np.bool_)
    vectors = result.encoder.encode(list(material.texts))
    warm = means(Slices.of(material, everything).measure(vectors))["ndcg@10"]
    assert result.metrics["ndcg@10"] == pytest.approx(warm, abs=1e-6)
    skill = skill_of(result, material.texts)
    assert result.metrics["retention_tuned"] == pytest.approx(skill, abs=1e-6)
    assert skill >= result.metrics["retention_floor"]
    assert result.verdict.ship


def test_a_share_that_cannot_be_lowered_does_not_ship(sides: tuple[Pairs, Pairs]) -> None:
    config = replace(CONFIG, wise_ft=1.0, retention=Retention(max_drop=0.0))
    result = FineTuner(config).fit(ENCODER, *sides)
    assert not result.verdict.ship
    assert "below the floor" in result.verdict.reasons[0]


def test_figures_of_hidden_texts_are_named_as_those_before_the_refit(
    sides: tuple[Pairs, Pairs],
) -> None:
    result = FineTuner(CONFIG).fit(ENCODER, *sides)
    assert result.card["measured_before_refit"] == ["cold_ndcg@10"]
    assert any("before its refit" in reason for reason in result.verdict.reasons)
    once = FineTuner(replace(CONFIG, strategy=replace(HEAD, refit=False))).fit(ENCODER, *sides)
    assert once.card["measured_before_refit"] == []
    assert once.metrics["cold_ndcg@10"] == result.metrics["cold_ndcg@10"]


def test_general_skill_is_measured_unasked_and_asks_nothing(sides: tuple[Pairs, Pairs]) -> None:
    result = FineTuner(CONFIG).fit(ENCODER, *sides)
    assert "retention_floor" not in result.metrics
    texts = Material.of(*sides, cold_share=0.2, seed=1).texts
    assert result.metrics["retention_tuned"] == pytest.approx(skill_of(result, texts), abs=1e-6)
    assert any("without a floor" in reason for reason in result.verdict.reasons)


def test_short_texts_are_said_not_to_tell_general_skill(sides: tuple[Pairs, Pairs]) -> None:
    cut = [
        replace(side, texts=tuple(f"{text.split()[0]} {k}" for k, text in enumerate(side.texts)))
        for side in sides
    ]
    result = FineTuner(CONFIG).fit(ENCODER, *cut)
    assert any("general skill was not measured" in reason for reason in result.verdict.reasons)
    assert not any(name.startswith("retention") for name in result.metrics)
    events: list[TrainingEvent] = []
    with pytest.raises(InvalidDataError, match="Retention needs at least two texts"):
        FineTuner(replace(CONFIG, retention=Retention())).fit(
            ENCODER, *cut, on_event=events.append
        )
    assert not events  # said before any step is trained


def test_a_request_in_the_first_head_of_the_refit_keeps_the_searched_one(
    sides: tuple[Pairs, Pairs],
) -> None:
    asked = {"evaluations": 0, "after": 0}

    def note(event: TrainingEvent) -> None:
        asked["evaluations"] += event.kind == "evaluation"
        asked["after"] += event.kind == "choice"

    def stop() -> bool:
        asked["after"] += asked["after"] > 0
        return asked["after"] > 5

    result = FineTuner(CONFIG).fit(ENCODER, *sides, on_event=note, should_stop=stop)
    assert result.card["stopped"] == "stopped on request"
    assert asked["after"] <= 7
    assert isinstance(result.encoder, AdapterEncoder)
    assert result.encoder.outer is not None
    assert result.encoder.outer.shape == (96, 32)  # one head, not three
    assert result.card["measured_before_refit"] == []
