"""Going on after a request, a budget or a full disk: bit for bit what one run gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from siamrec.errors import StorageError
from siamrec.losses import MultiTask, QueuedInfoNCE, WeightedCosine
from siamrec.models import AdapterEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import FineTuneConfig, FineTuner, Full
from siamrec.models.training._store import write_result
from siamrec.models.training.strategies import loss_state as _loss_state
from siamrec.pairs import RatingPairs
from siamrec.testing.pairs import catalog_of, ratings_of
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Pairs
    from siamrec.models.training import FineTuneResult, TrainingEvent

CONFIG = FineTuneConfig(
    strategy=Full(evaluations=2, learning_rate=2e-2, batch_size=8),
    max_steps=20,
    wise_ft=1.0,
    seed=3,
)


@pytest.fixture(scope="module")
def sides() -> tuple[Pairs, Pairs]:
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    return pairs.split(by="user", fraction=0.3, seed=2)


@pytest.fixture(scope="module")
def encoder(sides: tuple[Pairs, Pairs]) -> SentenceEncoder:
    return SentenceEncoder.of(tiny_model(sides[0].texts), name="tiny")


def fit(
    config: FineTuneConfig,
    encoder: SentenceEncoder,
    sides: tuple[Pairs, Pairs],
    out: Path,
    *,
    stop: int | None = None,
) -> FineTuneResult:
    """Fit, with a request to stop after `stop` steps."""
    done = 0

    def note(event: TrainingEvent) -> None:
        nonlocal done
        done = event.step if event.kind == "step" else done

    return FineTuner(config).fit(
        encoder,
        *sides,
        out=out,
        on_event=note,
        should_stop=lambda: stop is not None and done >= stop,
    )


@pytest.mark.parametrize("stops", [(13,), (14,), (7, 18)])
def test_a_run_that_was_stopped_between_evaluations_goes_on_as_if_it_had_not(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder, stops: tuple[int, ...]
) -> None:
    whole = fit(CONFIG, encoder, sides, tmp_path / "whole")
    for stop in stops:
        cut = fit(CONFIG, encoder, sides, tmp_path / "cut", stop=stop)
        assert cut.card["stopped"] == "stopped on request"
    resumed = fit(CONFIG, encoder, sides, tmp_path / "cut")
    assert resumed.history == whole.history
    assert resumed.card["steps"] == whole.card["steps"]
    assert resumed.encoder.fingerprint == whole.encoder.fingerprint


@pytest.mark.parametrize("loss", ["queued-infonce", "softmax"])
def test_what_a_loss_holds_is_part_of_a_checkpoint(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder, loss: str
) -> None:
    config = replace(
        CONFIG, loss=loss, strategy=Full(evaluations=2, learning_rate=5e-3, batch_size=8)
    )
    whole = fit(config, encoder, sides, tmp_path / "whole")
    fit(config, encoder, sides, tmp_path / "cut", stop=12)
    assert list((tmp_path / "cut").glob(f"checkpoints/checkpoint-*/{_loss_state.FILE}"))
    torch.manual_seed(99)  # weights that a loss draws are the run's and not the process's
    resumed = fit(config, encoder, sides, tmp_path / "cut")
    assert resumed.history == whole.history
    assert resumed.encoder.fingerprint == whole.encoder.fingerprint


def test_the_state_of_a_loss_goes_to_a_file_and_back(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    built = [
        MultiTask({"queue": QueuedInfoNCE(model), "cosine": WeightedCosine(model)}, model=model)
        for _ in range(2)
    ]
    with torch.no_grad():
        built[0].log_scale.copy_(torch.tensor([0.5, -0.5]))
    labels = {"value": torch.ones(3), "texts": torch.arange(6).reshape(3, 2)}
    built[0].compute_loss_from_embeddings([torch.eye(3), torch.eye(3)], labels)
    _loss_state.save(built[0], model, tmp_path)
    _loss_state.load(built[1], tmp_path)
    states = [_loss_state.state_of(loss, model) for loss in built]
    assert states[0].keys() == {"log_scale", "losses.queue.past_3", "losses.queue.codes_3"}
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name])
    with pytest.raises(StorageError, match="which the loss does not know"):
        _loss_state.load(WeightedCosine(model), tmp_path)


def test_a_loss_without_a_state_leaves_no_file(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 2)
    _loss_state.save(WeightedCosine(model), model, tmp_path)
    _loss_state.load(WeightedCosine(model), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_finished_run_leaves_its_folder_to_the_next(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    config = replace(CONFIG, max_steps=4)
    first = fit(config, encoder, sides, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    second = fit(replace(config, seed=4), encoder, sides, tmp_path)
    assert second.path == first.path


def test_the_folder_of_another_run_is_told_as_that_and_not_as_a_full_disk(
    tmp_path: Path, sides: tuple[Pairs, Pairs], encoder: SentenceEncoder
) -> None:
    fit(CONFIG, encoder, sides, tmp_path, stop=3)
    with pytest.raises(StorageError) as caught:
        fit(replace(CONFIG, seed=4), encoder, sides, tmp_path)
    assert "cannot be written" not in str(caught.value)
    assert str(caught.value).endswith("or delete this one to start anew.")


@pytest.mark.parametrize("error", ["safetensors", "torch"])
def test_a_full_disk_is_one_error_whoever_writes(
    tmp_path: Path,
    sides: tuple[Pairs, Pairs],
    encoder: SentenceEncoder,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
) -> None:
    import safetensors
    import safetensors.numpy

    def full(*args: Any, **named: Any) -> None:
        del args, named
        if error == "torch":
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64")
        raise safetensors.SafetensorError("Error while serializing: I/O error: no space left")

    if error == "torch":
        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(StorageError, match="cannot be written"):
            fit(replace(CONFIG, max_steps=4), encoder, sides, tmp_path)
        return
    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    base = HashingEncoder(dim=4)
    with pytest.raises(StorageError, match="cannot be written"):
        write_result(AdapterEncoder(base, np.eye(4, dtype=np.float32)), {}, tmp_path)
    assert not list(tmp_path.iterdir())
