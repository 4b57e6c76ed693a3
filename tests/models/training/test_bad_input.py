"""What cannot work is refused in words, and a failed save leaves nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from siamrec.data import Pairs, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    StorageError,
    UnknownNameError,
)
from siamrec.losses import EmbeddingLoss, LossSpec, WeightedCosine
from siamrec.models import AdapterEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import FineTuneConfig, FineTuner, Full
from siamrec.models.training._store import write_result
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

ENCODER = HashingEncoder(dim=8)


def pairs_of(users: str) -> Pairs:
    texts = [f"film {k}" for k in range(12)]
    base = Pairs.of(texts[:6] * 2, texts[6:] * 2)
    table = Vocabulary(tuple(users))
    user = np.arange(12, dtype=np.int32) % len(users)
    return replace(
        base, users=table, user=user, liked_user=user, liked_text=np.arange(12, dtype=np.int32)
    )


def test_a_loss_that_needs_triplets_says_where_to_get_them() -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(strategy="full", loss="weighted-triplet", max_steps=2)
    with pytest.raises(InvalidDataError, match=r"needs triplets.*HardNegatives"):
        FineTuner(config).fit(encoder, train, valid)


def test_one_class_is_refused_by_losses_that_learn_from_labels() -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(strategy="full", loss="weighted-cosent", max_steps=2)
    with pytest.raises(InvalidDataError, match="all 12 pairs have the label 1; one class only"):
        FineTuner(replace(config, cold_share=0.0)).fit(encoder, train, valid)


def test_rows_by_user_need_a_loss_of_pairs() -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(strategy=Full(rows_per_user=4), loss="batch-hard-triplet", max_steps=2)
    with pytest.raises(InvalidParameterError, match="rows_per_user must be 1 with 'batch-hard"):
        FineTuner(config).fit(encoder, train, valid)


def test_settings_that_a_loss_does_not_know_are_named() -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    with pytest.raises(UnknownNameError, match=r"No setting of the loss is named 'tau'"):
        FineTuneConfig(strategy="full", loss="feedback-infonce:tau=3", max_steps=2)
    theirs = FineTuneConfig(strategy="full", loss="mnrl:tau=3", max_steps=2)  # only it knows
    with pytest.raises(InvalidParameterError, match=r"loss must be given settings of.*tau"):
        FineTuner(theirs).fit(encoder, train, valid)


def test_texts_are_queries_or_documents() -> None:
    encoders: list[HashingEncoder | SentenceEncoder] = [
        ENCODER,
        SentenceEncoder.of(tiny_model(["a film"])),
    ]
    for encoder in encoders:
        with pytest.raises(UnknownNameError, match="Did you mean 'query'"):
            encoder.encode(["a film"], kind="qurey")  # type: ignore[arg-type]


def test_unknown_losses_offer_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'triplet'"):
        FineTuneConfig(strategy="full", loss="tripplet", max_steps=2)


def test_a_guest_loss_trains_by_its_name() -> None:
    asked: list[int] = []

    def factory(model: Any, *, pairs: Pairs, **settings: Any) -> WeightedCosine:
        asked.append(len(pairs))
        return WeightedCosine(model)

    train, valid = pairs_of("abc"), pairs_of("xyz")
    train = replace(train, label=np.where(np.arange(12) < 9, 1.0, 0.0).astype(np.float32))
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    guests = {"guest": LossSpec(factory, ("left", "right"))}
    config = FineTuneConfig(
        strategy="full", loss="guest", losses=guests, max_steps=3, cold_share=0.0, wise_ft=1.0
    )
    result = FineTuner(config).fit(encoder, train, valid)
    assert asked == [len(train)]
    assert result.history[-1]["loss"] > 0


def test_the_adapter_knows_one_loss() -> None:
    with pytest.raises(InvalidParameterError, match="left out with Adapter, which trains with"):
        FineTuneConfig(loss="mnrl")


def test_one_user_cannot_be_split() -> None:
    with pytest.raises(InvalidDataError, match="must leave rows on both sides"):
        pairs_of("a").split(by="user")


@pytest.mark.parametrize("strategy", ["adapter", "full"])
def test_one_user_has_no_rivals(strategy: Any) -> None:
    train = pairs_of("a")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(strategy=strategy, max_steps=2)
    with pytest.raises(InvalidDataError, match=r"two users, got 12 pairs of 'a' alone"):
        FineTuner(config).fit(encoder, train, pairs_of("xyz"))


def test_one_class_cannot_be_learned() -> None:
    dislikes = replace(pairs_of("abc"), label=np.zeros(12, np.float32))
    with pytest.raises(InvalidDataError, match="one class only cannot be learned"):
        FineTuner().fit(ENCODER, dislikes, pairs_of("xyz"))


class _Explodes(EmbeddingLoss):
    """A loss that is not a number after a few steps."""

    def __init__(self, model: Any, **settings: Any) -> None:
        super().__init__(model)
        self.calls = 0

    @override
    def compute_loss_from_embeddings(self, embeddings: Any, labels: Any = None) -> torch.Tensor:
        self.calls += 1
        distance: torch.Tensor = (embeddings[0] - embeddings[1]).square().mean()
        return distance if self.calls < 6 else distance * float("nan")

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {}


def test_training_that_diverges_later_keeps_the_best_and_says_so() -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(
        strategy=Full(batch_size=4, evaluations=6, epochs=9), loss="exploding", max_steps=12,
        cold_share=0.0, wise_ft=1.0, losses={"exploding": LossSpec(_Explodes)},
    )  # fmt: skip
    told: list[str] = []
    tuner = FineTuner(config)
    result = tuner.fit(
        encoder,
        train,
        valid,
        on_event=lambda event: told.append(event.message) if event.kind == "warning" else None,
    )
    assert told == ["stopped because training diverged at step 6"]
    assert result.card["stopped"] == told[0]
    assert [entry["step"] for entry in result.history] == [2, 4]
    assert not result.verdict.ship
    assert told[0] in str(result.verdict)
    assert isinstance(result.encoder, SentenceEncoder)
    assert all(torch.isfinite(t).all() for t in result.encoder.model.state_dict().values())


def test_a_full_disk_while_training_is_named_and_what_stands_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, valid = pairs_of("abc"), pairs_of("xyz")
    encoder = SentenceEncoder.of(tiny_model(train.texts))
    config = FineTuneConfig(
        strategy=Full(batch_size=4, evaluations=3, epochs=9), max_steps=6, cold_share=0.0,
        wise_ft=1.0,
    )  # fmt: skip
    tuner = FineTuner(config)
    whole = tuner.fit(encoder, train, valid, out=tmp_path / "whole")
    write, calls = torch.save, []

    def full(value: Any, path: Any, **more: Any) -> None:
        calls.append(path)
        if "checkpoint-4" in str(path):
            raise OSError(28, "No space left on device")
        write(value, path, **more)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(StorageError, match="No space left on device"):
        tuner.fit(encoder, train, valid, out=tmp_path / "cut")
    monkeypatch.undo()
    assert not (tmp_path / "cut" / "model").exists()
    steps: list[int] = []
    again = tuner.fit(
        encoder,
        train,
        valid,
        out=tmp_path / "cut",
        on_event=lambda event: steps.append(event.step) if event.kind == "step" else None,
    )
    assert steps[0] == 3, "half of a checkpoint is passed over"
    assert again.encoder.fingerprint == whole.encoder.fingerprint


def test_validation_needs_something_to_find() -> None:
    valid = pairs_of("xyzuvwXYZUVW")  # one like each
    valid = replace(valid, user=np.full(12, 0, np.int32)).where(np.zeros(12, bool))
    with pytest.raises(InvalidDataError, match="valid must hold pairs to judge by"):
        FineTuner().fit(ENCODER, pairs_of("abc"), valid)


def test_a_failed_save_keeps_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = AdapterEncoder.identity(ENCODER)
    path = write_result(first, {"version": 1}, tmp_path / "tuned")

    def full(self: AdapterEncoder, path: Any) -> None:
        (path / "adapter.json").parent.mkdir(parents=True)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AdapterEncoder, "save", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_result(first.towards(0.5), {"version": 2}, tmp_path / "tuned")
    monkeypatch.undo()
    assert [entry.name for entry in (tmp_path / "tuned").iterdir()] == ["model"]
    assert AdapterEncoder.load(path, ENCODER).fingerprint == first.fingerprint
    assert '"version": 1' in (path / "card.json").read_text()


def test_a_newer_model_replaces_the_old_one(tmp_path: Path) -> None:
    first = AdapterEncoder.identity(ENCODER)
    second = AdapterEncoder(ENCODER, 2 * np.eye(8, dtype=np.float32))
    write_result(first, {"version": 1}, tmp_path)
    path = write_result(second, {"version": 2}, tmp_path)
    assert AdapterEncoder.load(path, ENCODER).fingerprint == second.fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_card_is_json_even_where_a_figure_is_not_known(tmp_path: Path) -> None:
    card = {"metrics": {"drift": float("nan"), "steps": (1, float("inf"))}}
    path = write_result(AdapterEncoder.identity(ENCODER), card, tmp_path)
    stored = json.loads((path / "card.json").read_text(), parse_constant=pytest.fail)
    assert stored == {"metrics": {"drift": None, "steps": [1, None]}}


def test_encoders_that_cannot_be_saved_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="one that can be saved"):
        write_result(ENCODER, {}, tmp_path)
