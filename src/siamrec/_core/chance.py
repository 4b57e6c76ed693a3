"""Where chance comes from: a generator that is passed in, or the seed of one."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError

Chance: TypeAlias = np.random.Generator | int
"""A source of chance, or the whole number that seeds a new one."""


def generator(rng: Chance) -> np.random.Generator:
    """Return the source of chance: the one given, or a new one of that seed.

    Raises:
        InvalidParameterError: If it is neither.

    Examples:
        >>> generator(7).integers(100, size=3).tolist()
        [94, 62, 68]
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise InvalidParameterError("rng", rng, "a numpy.random.Generator, or a seed")
    return np.random.default_rng(check.count("rng", rng, least=0))
