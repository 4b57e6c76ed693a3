"""Names for the array types, ids and instants that appear in signatures."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
Float32Array: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]
CodeArray: TypeAlias = npt.NDArray[np.int32]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IdArray: TypeAlias = npt.NDArray[Any]
"""One-dimensional array of int64 or of fixed-width text: ids of decisions and events."""

Id: TypeAlias = Hashable
"""What a host calls a user or an item: any hashable value, usually text or a whole number."""

Instant: TypeAlias = int
"""A point in time: nanoseconds since 1970-01-01T00:00Z."""

__all__ = [
    "BoolArray",
    "CodeArray",
    "Float32Array",
    "FloatArray",
    "Id",
    "IdArray",
    "Instant",
    "IntArray",
]
