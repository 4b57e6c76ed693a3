"""What is kept of a result: settings as JSON, lineage, and how the encoder reads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from siamrec.errors import InvalidParameterError
from siamrec.models import CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import (
    Adapter,
    FineTuneConfig,
    FineTuner,
    Full,
    Retention,
    TrainingEvent,
)
from siamrec.pairs import HardNegatives, RatingPairs
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Pairs

FULL = FineTuneConfig(strategy=Full(evaluations=1), max_steps=2, cold_share=0.0)


@pytest.fixture(scope="module")
def sides() -> tuple[Pairs, Pairs]:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    return pairs.split(by="user", fraction=0.3, seed=2)


def test_a_cache_folder_and_a_teacher_can_stand_in_a_card(
    tmp_path: Path, sides: tuple[Pairs, Pairs]
) -> None:
    encoder = SentenceEncoder.of(tiny_model(sides[0].texts))
    mine = HardNegatives(per_positive=1, cache=tmp_path / "mined")
    config = replace(FULL, strategy=Full(evaluations=1, mine=mine))
    mined = FineTuner(config).fit(encoder, *sides, out=tmp_path / "a")
    assert mined.card["config"]["strategy"]["mine"]["cache"] == str(tmp_path / "mined")
    taught = replace(FULL, loss={"name": "mse", "teacher": encoder})
    result = FineTuner(taught).fit(encoder, *sides, out=tmp_path / "b")
    assert result.path is not None
    card = json.loads((result.path / "card.json").read_text())
    assert card["config"]["loss"] == {"name": "mse", "teacher": encoder.fingerprint}


def test_settings_that_differ_have_other_fingerprints() -> None:
    found = [
        replace(FULL, loss={"name": "mse", **settings}).fingerprint()
        for settings in (
            {},
            {"teacher": HashingEncoder(dim=4)},
            {"teacher": HashingEncoder(dim=8)},
            {"guide": torch.nn.Linear(1, 1)},
            {"vectors": np.eye(2)},
            {"vectors": torch.eye(3)},
            {"dims": (np.int64(4), 2)},
        )
    ]
    assert len(set(found)) == len(found)
    plain = replace(
        FULL, retention=Retention(max_drop=0.1), loss={"name": "matryoshka", "dims": (4, 2)}
    )
    assert json.loads(json.dumps(plain.as_dict()))["retention"]["max_drop"] == 0.1


def test_a_setting_that_no_card_can_hold_is_told_before_training(
    sides: tuple[Pairs, Pairs],
) -> None:
    events: list[TrainingEvent] = []
    config = replace(FULL, loss={"name": "mse", "teacher": object()})
    with pytest.raises(InvalidParameterError, match="loss must be a JSON value, a path"):
        FineTuner(config).fit(
            SentenceEncoder.of(tiny_model(sides[0].texts)), *sides, on_event=events.append
        )
    assert not events


def test_the_readme_tells_the_lineage(tmp_path: Path, sides: tuple[Pairs, Pairs]) -> None:
    config = FineTuneConfig(strategy=Adapter(hidden=4, heads=1), max_steps=3)
    result = FineTuner(config).fit(HashingEncoder(dim=16), *sides, out=tmp_path)
    assert result.path is not None
    said = (result.path / "README.md").read_text()
    for part in (result.card["parent"], result.card["data"]["train"], "AdapterEncoder.load"):
        assert part in said
    encoder = SentenceEncoder.of(tiny_model(sides[0].texts))
    whole = FineTuner(FULL).fit(encoder, *sides, out=tmp_path / "full")
    assert whole.path is not None
    told = (whole.path / "README.md").read_text()
    assert encoder.fingerprint in told
    assert "SentenceTransformer(" in told
    assert {"siamrec", "sentence-transformers", "transformers"} <= set(whole.card["versions"])


def test_the_tuned_encoder_reads_as_its_base_does(sides: tuple[Pairs, Pairs]) -> None:
    model = tiny_model(sides[0].texts)
    base = SentenceEncoder.of(model, batch_size=5, precision="float32")
    tuned = FineTuner(FULL).fit(CachedEncoder(base), *sides).encoder
    assert isinstance(tuned, SentenceEncoder)
    assert (tuned.batch_size, tuned.precision) == (5, "float32")
