"""Recipes of arms and of steps, as they are written in a placement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from siamrec._core.settings import parted
from siamrec.models.recommenders import RECOMMENDERS
from siamrec.rerank import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

_ENCODER = "encoder"
_STAND_IN = {"name": "hashing"}
"""Stands in for an encoder that is known by its alias alone, until there is a version of it."""


def arm_config(arm: Any) -> dict[str, Any]:
    """Return an arm as JSON values, with references to encoders as they stand.

    Raises:
        siamrec.errors.InvalidParameterError: If it holds a live object.
        siamrec.errors.UnknownNameError: If its name or a setting is not known.
    """
    if isinstance(arm, str) and "@" in arm:
        name, settings = parted("recommender", arm)
        arm = {"name": name, **settings}
    if not isinstance(arm, Mapping):
        return RECOMMENDERS.make(arm).to_config()
    plain = with_encoders(arm, lambda _reference: dict(_STAND_IN))
    config: dict[str, Any] = RECOMMENDERS.make(plain).to_config()
    return _with_references(config, arm)


def with_encoders(config: Any, encoder: Callable[[str], Any]) -> Any:
    """Return a configuration with what stands behind each reference in its place."""
    if not isinstance(config, Mapping):
        return config
    return {
        key: encoder(value)
        if key == _ENCODER and is_reference(value)
        else with_encoders(value, encoder)
        for key, value in config.items()
    }


def with_positive(config: Any, positive: float | None) -> Any:
    """Return a configuration that says what is a like wherever it is left open."""
    if not isinstance(config, Mapping):
        return config
    return {
        key: positive if key == "positive" and value is None else with_positive(value, positive)
        for key, value in config.items()
    }


def _with_references(config: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in given.items():
        if key == _ENCODER and is_reference(value):
            config[key] = value
        elif isinstance(value, Mapping) and isinstance(config.get(key), dict):
            config[key] = _with_references(config[key], value)
    return config


def is_reference(value: object) -> bool:
    """Whether a setting names a version in use, such as `"encoder@live"`."""
    return isinstance(value, str) and "@" in value


def references(config: Any) -> set[str]:
    """Return every reference to an encoder in a configuration."""
    found: set[str] = set()
    if isinstance(config, Mapping):
        for key, value in config.items():
            found |= {value} if key == _ENCODER and is_reference(value) else references(value)
    return found


def step_config(step: Any) -> dict[str, Any]:
    (made,) = Pipeline(step).steps
    return made.to_config()
