"""Settings as JSON values: paths as text, encoders and arrays by what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from siamrec._core.hashing import content_hash
from siamrec.errors import InvalidParameterError


def plainly(name: str, value: Any) -> Any:
    """Return a setting as JSON values.

    Args:
        name: Name of the setting, for the error message.
        value: Its value; what has a fingerprint stands for itself by it, and so do arrays,
            tensors and modules of torch by a hash of their numbers.

    Raises:
        InvalidParameterError: If a value can be told apart from no other.
    """
    if isinstance(value, Mapping):
        return {str(key): plainly(name, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plainly(name, part) for part in value]
    if is_dataclass(value) and not isinstance(value, type | _Marked):
        return {part.name: plainly(name, getattr(value, part.name)) for part in fields(value)}
    return _single(name, value)


@runtime_checkable
class _Marked(Protocol):
    """What says itself how it can be told apart."""

    @property
    def fingerprint(self) -> str: ...


def _single(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    return value.fingerprint if isinstance(value, _Marked) else _hash_of(name, value)


def _hash_of(name: str, value: Any) -> str:
    if callable(getattr(value, "state_dict", None)):
        state = {key: tensor.numpy(force=True) for key, tensor in value.state_dict().items()}
        return content_hash(*(part for key in sorted(state) for part in (key, state[key])))
    if callable(getattr(value, "numpy", None)):
        return content_hash(value.numpy(force=True))
    if isinstance(value, np.ndarray):
        return content_hash(value)
    raise InvalidParameterError(name, value, "a JSON value, a path, an array, or an encoder")
