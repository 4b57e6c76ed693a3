"""Strategies are values: what only one of them reads can be given to no other."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.models.training import (
    STRATEGIES,
    Adapter,
    EncoderStrategy,
    FineTuneConfig,
    Full,
    LoRA,
    Strategy,
    TopLayers,
)
from siamrec.pairs import HardNegatives

KINDS = (Adapter, Full, LoRA, TopLayers)


@pytest.mark.parametrize("name", sorted(STRATEGIES.names()))
def test_a_name_stands_for_the_defaults_and_a_recipe_comes_back(name: str) -> None:
    strategy = FineTuneConfig(strategy=name).training
    assert strategy == type(strategy)()
    assert Strategy.from_config(json.loads(json.dumps(strategy.to_config()))) == strategy


def test_a_name_takes_settings() -> None:
    small = LoRA(rank=4, mine=HardNegatives(per_positive=2))
    assert FineTuneConfig(strategy="lora:rank=4").training == LoRA(rank=4)
    assert FineTuneConfig(strategy=small.to_config()).training == small
    with pytest.raises(UnknownNameError, match="setting of the strategy 'lora' is named 'rnk'"):
        FineTuneConfig(strategy="lora:rnk=4")


def test_defaults_are_those_that_were_measured() -> None:
    shared = ("epochs", "batch_size", "learning_rate", "evaluations", "validation_texts")
    found = {kind.__name__: tuple(getattr(kind(), name) for name in shared) for kind in KINDS}
    assert found == {
        "Adapter": (2, 256, 2e-3, 12, None),
        "Full": (4, 16, 2e-5, 4, 1_500),
        "LoRA": (4, 16, 3e-4, 4, 1_500),
        "TopLayers": (4, 16, 1e-4, 4, 1_500),
    }


@pytest.mark.parametrize("kind", [FineTuneConfig, *KINDS])
def test_what_is_not_read_is_refused_and_its_reader_offered(kind: Any) -> None:
    own = {each.name for each in fields(kind)}
    unread = [(each.name, reader) for reader in KINDS for each in fields(reader)]
    refused = 0
    for name, _ in unread:
        if name in own:
            continue
        able = [reader.__name__ for reader in KINDS if name in {f.name for f in fields(reader)}]
        with pytest.raises(InvalidParameterError) as caught:
            kind(**{name: 3})
        assert f"{name} must be given where it is read" in str(caught.value)
        assert f"FineTuneConfig(strategy={able[0]}({name}=…))" in str(caught.value)
        refused += 1
    assert refused


def test_a_setting_of_nobody_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'max_steps'"):
        FineTuneConfig(max_step=3)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="Did you mean 'hidden'"):
        Adapter(hiden=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Adapter, {"hidden": -1}, "hidden"),
        (Adapter, {"whiten": 1.5}, "whiten"),
        (Adapter, {"heads": 0}, "heads"),
        (Adapter, {"pull": -0.5}, "pull"),
        (Adapter, {"scale": 0.0}, "scale"),
        (Adapter, {"co_likes": -1}, "co_likes"),
        (Full, {"batch_size": 0}, "batch_size"),
        (Full, {"validation_texts": 0}, "validation_texts"),
        (Full, {"rows_per_user": 0}, "rows_per_user"),
        (LoRA, {"rank": 0}, "rank"),
        (TopLayers, {"layers": 0}, "layers"),
        (TopLayers, {"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_numbers_are_checked(kind: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{message} must be"):
        kind(**settings)


def test_losses_come_with_their_settings() -> None:
    by_text = FineTuneConfig(strategy="full", loss="mnrl:scale=30")
    by_value = FineTuneConfig(strategy="full", loss={"name": "mnrl", "scale": 30})
    assert by_text == by_value
    assert (by_text.loss_name, by_text.loss_settings) == ("mnrl", {"scale": 30})
    plain = FineTuneConfig(strategy="full")
    named = replace(plain, loss="feedback-infonce")
    assert plain.fingerprint() == named.fingerprint() != by_text.fingerprint()
    with pytest.raises(InvalidParameterError, match="left out with Adapter"):
        replace(plain, strategy="adapter", loss="mnrl")
    with pytest.raises(InvalidParameterError, match="a name, or settings with a 'name'"):
        replace(plain, loss={"scale": 3.0})


def test_a_strategy_of_no_kind_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="an object, not its class"):
        FineTuneConfig(strategy=LoRA)  # type: ignore[arg-type]
    assert all(issubclass(kind, EncoderStrategy) for kind in (Full, LoRA, TopLayers))
    assert not issubclass(Adapter, EncoderStrategy)
