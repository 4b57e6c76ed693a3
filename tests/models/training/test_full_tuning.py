"""The strategies that train the encoder itself, on a model built in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from siamrec.errors import (
    InvalidParameterError,
    MissingExtraError,
    StorageError,
    TrainingDivergedError,
)
from siamrec.models import CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import FineTuneConfig, FineTuner, Full, LoRA, Retention, TopLayers
from siamrec.models.training.strategies.dataset import training_set
from siamrec.pairs import HardNegatives
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Pairs
    from siamrec.models.training import TrainingEvent

WHOLE = Full(learning_rate=1e-3, epochs=1, evaluations=3)
SMALL = LoRA(rank=2, learning_rate=1e-3, epochs=1, evaluations=3)
QUICK = FineTuneConfig(strategy=WHOLE, max_steps=12, cold_share=0.0, seed=3)


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


WAYS = {
    "full": QUICK,
    "lora": replace(QUICK, strategy=SMALL),
    "rows by user": replace(QUICK, strategy=replace(WHOLE, rows_per_user=3)),
    "live negatives": replace(
        QUICK, strategy=replace(WHOLE, mine=HardNegatives(per_positive=2, percent=1.5))
    ),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_interrupted_and_resumed_equals_uninterrupted(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder, way: str
) -> None:
    tuner = FineTuner(WAYS[way])
    whole = tuner.fit(encoder, *sides, out=tmp_path / "whole")

    class Killed(Exception):  # noqa: N818
        pass

    def kill_at_step_ten(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == 10:
            raise Killed

    with pytest.raises(Killed):
        tuner.fit(encoder, *sides, out=tmp_path / "cut", on_event=kill_at_step_ten)
    steps: list[int] = []
    resumed = tuner.fit(
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
    top = TopLayers(layers=1, learning_rate=1e-3, epochs=1, evaluations=3)
    config = replace(QUICK, strategy=top, wise_ft=1.0)
    tuned = FineTuner(config).fit(encoder, *sides).encoder
    assert isinstance(tuned, SentenceEncoder)
    before, after = encoder.model.state_dict(), tuned.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("layer.1." in name for name in changed)


def test_lora_changes_matrices_of_layers_by_a_low_rank_and_leaves_an_ordinary_model(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    config = replace(QUICK, strategy=SMALL, wise_ft=1.0)
    tuned = FineTuner(config).fit(encoder, *sides).encoder
    assert isinstance(tuned, SentenceEncoder)
    before, after = encoder.model.state_dict(), tuned.model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".layer." in name and name.endswith(".weight") for name in changed)
    for name in changed:
        values = torch.linalg.svdvals(after[name] - before[name])
        assert values[2] < 1e-4 * values[0], "the change has rank 2"


def test_lora_without_its_package_is_named(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"siamrec\[lora\]"):
        FineTuner(replace(QUICK, strategy="lora")).fit(encoder, *sides)


def test_lora_starts_where_the_base_is(encoder: SentenceEncoder) -> None:
    import copy

    from siamrec.models.training.strategies import lora as _lora

    model = copy.deepcopy(encoder.model).eval()
    before = model.encode(["film heist"])
    _lora.insert(model, rank=2, seed=0)
    np.testing.assert_array_equal(model.encode(["film heist"]), before)
    for module in model.modules():
        if hasattr(module, "lora_B"):
            torch.nn.init.normal_(module.lora_B["default"].weight)  # type: ignore[index, union-attr]
    fresh = copy.deepcopy(encoder.model).eval()
    fresh.load_state_dict(_lora.merged(model))
    np.testing.assert_allclose(fresh.encode(["heist"]), model.encode(["heist"]), atol=1e-5)
    assert not np.allclose(fresh.encode(["heist"]), encoder.model.encode(["heist"]), atol=1e-3)


def test_rows_of_a_user_stand_together_and_each_row_comes_once() -> None:
    from siamrec.models.training.strategies.trainer import by_user

    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(-1, 5, 60), rng.integers(0, 7, 60)], axis=1).astype(np.int32)
    order = by_user(codes, 4, rng)
    np.testing.assert_array_equal(np.sort(order), np.arange(60))
    user = codes[order, 0]
    for who in range(5):
        runs = np.flatnonzero(np.diff(np.r_[False, user == who, False].astype(int)))
        lengths = np.diff(runs)[::2]
        assert (lengths % 4 == 0).sum() >= lengths.size - 1, "all groups but one are full"
    assert by_user(codes[:0], 4, rng).size == 0


def test_rows_of_a_user_with_one_anchor_are_neighbours() -> None:
    from siamrec.models.training.strategies.trainer import by_user

    codes = np.array([[0, k % 2] for k in range(8)], dtype=np.int32)
    anchors = codes[by_user(codes, 4, np.random.default_rng(1)), 1]
    assert len(set(anchors[:4])) == len(set(anchors[4:])) == 1


def test_negatives_are_mined_anew_with_the_weights_of_now(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints: list[str] = []
    mine = HardNegatives.mine

    def seen(self: HardNegatives, pairs: Pairs, reader: SentenceEncoder) -> Pairs:
        prints.append(reader.fingerprint)
        return mine(self, pairs, reader)

    monkeypatch.setattr(HardNegatives, "mine", seen)
    events: list[TrainingEvent] = []
    config = replace(WAYS["live negatives"], cold_share=0.2)
    FineTuner(config).fit(encoder, *sides, on_event=events.append)
    assert prints[0] == encoder.fingerprint
    assert len(set(prints)) == len(prints) == 3, "at the start and after steps 4 and 8"
    told = [event for event in events if event.kind == "mining"]
    assert [event.step for event in told] == [0, 4, 8]
    assert all(0 < event.metrics["negatives_per_row"] <= 2 for event in told)


def test_a_hidden_text_is_never_a_negative(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    from siamrec.models.training.strategies.material import Material
    from siamrec.models.training.strategies.trainer import LiveNegatives

    recipe = HardNegatives(per_positive=3, percent=1.5)
    material = Material.of(recipe.mine(sides[0], encoder), sides[1], cold_share=0.3, seed=0)
    shown = material.without_hidden()
    assert shown.negatives is not None
    assert not material.hidden[shown.negatives[shown.negatives >= 0]].any()
    live = LiveNegatives(recipe, shown, material.hidden)
    assert 0 < live.refresh(encoder) < 3
    codes, texts = live.of(np.array([5, 1]))
    assert not material.hidden[live.codes].any()
    assert texts[2] == [shown.texts[code] for code in codes[:, 2]]


def test_mining_while_training_needs_a_loss_that_takes_negatives(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    mined = replace(WHOLE, mine=HardNegatives())
    with pytest.raises(InvalidParameterError, match="a loss that takes negatives"):
        FineTuner(replace(QUICK, loss="mnrl", strategy=mined)).fit(encoder, *sides)
    with pytest.raises(InvalidParameterError, match="a recipe without an encoder"):
        Full(mine=HardNegatives(encoder=encoder))


def test_a_version_in_use_must_be_beaten_too(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    first = FineTuner(QUICK).fit(encoder, *sides)
    again = FineTuner(QUICK).fit(encoder, *sides, previous=first.encoder)
    beside = again.beside["previous_ndcg@10"]
    assert beside.difference == 0.0
    assert again.metrics["previous_ndcg@10"] == first.metrics["ndcg@10"]
    assert not again.verdict.ship
    assert "no significant difference over the version in use" in str(again.verdict)
    assert again.card["previous"] == first.encoder.fingerprint
    assert first.beside.keys() == {"popularity"}


def test_a_warm_start_goes_on_from_the_version_in_use(
    sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    first = FineTuner(replace(QUICK, wise_ft=1.0)).fit(encoder, *sides).encoder
    config = replace(
        QUICK,
        strategy=replace(WHOLE, learning_rate=1e-9),
        warm_start=True,
        max_steps=1,
        wise_ft=1.0,
    )
    result = FineTuner(config).fit(encoder, *sides, previous=first)
    assert result.metrics["ndcg@10"] == pytest.approx(result.metrics["previous_ndcg@10"], abs=1e-6)
    assert result.metrics["ndcg@10"] != result.metrics["base_ndcg@10"]
    with pytest.raises(InvalidParameterError, match="used with previous="):
        FineTuner(config).fit(encoder, *sides)
    other = SentenceEncoder.of(tiny_model(sides[0].texts, dim=16), name="smaller")
    with pytest.raises(InvalidParameterError, match="of the base's architecture"):
        FineTuner(config).fit(encoder, *sides, previous=other)


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


def test_no_file_quotes_what_users_were_shown(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    marked = [
        replace(side, texts=tuple(f"{t} confidential" for t in side.texts)) for side in sides
    ]
    result = FineTuner(QUICK).fit(encoder, *marked, out=tmp_path)
    assert result.path is not None
    spoken = SentenceEncoder.of(tiny_model(marked[0].texts)).model.tokenizer.get_vocab()
    assert "confidential" in spoken, "the word is one that could be found"
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"confidential" not in path.read_bytes(), path


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
