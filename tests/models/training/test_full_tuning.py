"""The strategies that train the encoder itself, on a model built in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from siamrec.errors import InvalidParameterError, StorageError, TrainingDivergedError
from siamrec.models import CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import FineTuneConfig, FineTuner, Retention
from siamrec.models.training._dataset import training_set
from siamrec.pairs import HardNegatives
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Pairs
    from siamrec.models.training import TrainingEvent

QUICK = FineTuneConfig(
    strategy="full",
    learning_rate=1e-3,
    epochs=1,
    max_steps=12,
    evaluations=3,
    cold_share=0.0,
    seed=3,
)


@pytest.fixture(scope="module")
def sides() -> tuple[Pairs, Pairs]:
    from siamrec.pairs import RatingPairs

    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    return pairs.split(by="user", fraction=0.3, seed=2)


@pytest.fixture(scope="module")
def encoder(sides: tuple[Pairs, Pairs]) -> SentenceEncoder:
    return SentenceEncoder.of(tiny_model(sides[0].texts), name="tiny")


def test_tuning_moves_a_copy_and_leaves_the_base(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    before = encoder.fingerprint
    events: list[TrainingEvent] = []
    result = FineTuner(QUICK).fit(CachedEncoder(encoder), *sides, on_event=events.append)
    assert SentenceEncoder.of(encoder.model).fingerprint == before
    assert result.encoder.fingerprint != before
    assert [entry["step"] for entry in result.history] == [4, 8, 12]
    assert sum(event.kind == "step" for event in events) == 12


def test_same_seed_same_weights(sides: tuple[Pairs, Pairs], encoder: SentenceEncoder) -> None:
    prints = {FineTuner(QUICK).fit(encoder, *sides).encoder.fingerprint for _ in range(2)}
    assert len(prints) == 1


def test_interrupted_and_resumed_equals_uninterrupted(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    whole = FineTuner(QUICK).fit(encoder, *sides, out=tmp_path / "whole")

    class Killed(Exception):  # noqa: N818
        pass

    def kill_at_step_ten(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == 10:
            raise Killed

    with pytest.raises(Killed):
        FineTuner(QUICK).fit(encoder, *sides, out=tmp_path / "cut", on_event=kill_at_step_ten)
    steps: list[int] = []
    resumed = FineTuner(QUICK).fit(
        encoder,
        *sides,
        out=tmp_path / "cut",
        on_event=lambda event: steps.append(event.step) if event.kind == "step" else None,
    )
    assert steps[0] == 9, "it goes on from the checkpoint at step 8"
    assert resumed.encoder.fingerprint == whole.encoder.fingerprint
    assert resumed.history == whole.history
    assert resumed.path is not None
    assert SentenceEncoder(resumed.path).fingerprint == resumed.encoder.fingerprint


def test_checkpoints_of_another_run_are_refused(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    def kill(event: TrainingEvent) -> None:
        if event.kind == "step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FineTuner(QUICK).fit(encoder, *sides, out=tmp_path, on_event=kill)
    with pytest.raises(StorageError, match="checkpoints of another run: config changed"):
        FineTuner(replace(QUICK, seed=4)).fit(encoder, *sides, out=tmp_path)


def test_top_layers_leave_the_lower_ones(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    config = replace(QUICK, strategy="top-layers", layers=1, wise_ft=1.0)
    tuned = FineTuner(config).fit(encoder, *sides).encoder
    assert isinstance(tuned, SentenceEncoder)
    before, after = encoder.model.state_dict(), tuned.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("layer.1." in name for name in changed)


def test_diverging_training_stops_at_once(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    huge = np.full(len(sides[0]), 3e38, np.float32)  # their sum is beyond float32
    with pytest.raises(TrainingDivergedError, match="lower learning_rate"):
        FineTuner(QUICK).fit(encoder, replace(sides[0], weight=huge), sides[1])


def test_cancelled_training_keeps_the_best_so_far(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    asked = iter([False] * 5)
    result = FineTuner(QUICK).fit(encoder, *sides, should_stop=lambda: next(asked, True))
    assert result.card["stopped"] == "stopped on request"
    assert result.history[-1]["step"] == 6


def test_lost_skill_forbids_shipping(sides: tuple[Pairs, Pairs], encoder: SentenceEncoder) -> None:
    spoken = [
        replace(side, texts=tuple(f"{text}. {text} and {text}" for text in side.texts))
        for side in sides
    ]
    config = replace(QUICK, retention=Retention(max_drop=0.0, probes=20), wise_ft=1.0)
    result = FineTuner(config).fit(encoder, *spoken)
    kept = result.metrics["retention_tuned"] >= result.metrics["retention_floor"]
    assert kept or not result.verdict.ship
    assert result.metrics["retention_floor"] == pytest.approx(result.metrics["retention_base"])


def test_mined_negatives_are_learned_from(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    train = HardNegatives(per_positive=2, percent=1.5).mine(sides[0], encoder)
    rows = training_set(train, ("anchor", "positive"), mined=True)
    assert rows.column_names == ["anchor", "positive", "negative_1", "negative_2", "label"]
    assert all(len(label) == 7 for label in rows["label"])
    plain = FineTuner(QUICK).fit(encoder, *sides)
    mined = FineTuner(QUICK).fit(encoder, train, sides[1])
    assert plain.encoder.fingerprint != mined.encoder.fingerprint


def test_only_sentence_encoders_can_be_trained_whole(sides: tuple[Pairs, Pairs]) -> None:
    with pytest.raises(InvalidParameterError, match="a SentenceEncoder, or strategy 'adapter'"):
        FineTuner(QUICK).fit(HashingEncoder(), *sides)
