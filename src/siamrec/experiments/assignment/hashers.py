"""Bucket hashes of other systems, bit for bit, so that running experiments can move here."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import uniform
from siamrec._core.recipe import Recipe

_FNV_START, _FNV_PRIME = 0x811C9DC5, 0x01000193
_MASK = 0xFFFFFFFF


@runtime_checkable
class Hasher(Protocol):
    """Maps a unit under a salt to a number in [0, 1)."""

    def __call__(self, unit: str, salt: str) -> float:
        """Return the number."""
        ...


@runtime_checkable
class ExposureRule(Protocol):
    """A hasher whose system draws who takes part by a hash of its own."""

    def exposed(self, unit: str, salt: str, exposure: float) -> bool:
        """Return whether a unit is in the share of units that takes part."""
        ...


@runtime_checkable
class LayerRule(Protocol):
    """A hasher whose system has its own hash for experiments that exclude each other."""

    def place(self, unit: str, layer: str) -> float:
        """Return a unit's place in a layer, in [0, 1)."""
        ...


class HashRecipe(Recipe, ABC):
    """A hasher with settings; what an author inherits."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1) for a unit under a salt."""


@final
@dataclass(frozen=True, slots=True)
class Xxh3(HashRecipe):
    """The hash of this package: 53 bits of `xxh3_64(unit, seed=xxh3_64(salt))`.

    An assigner uses it where no `hasher` is given, with salts of its own for each purpose. Given
    as a `hasher` it is treated as another system's, with one salt, and splits differently.
    """

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1)."""
        return uniform(unit, salt)


@final
@dataclass(frozen=True, slots=True)
class GrowthBookV1(HashRecipe):
    """GrowthBook's first bucket hash: `fnv1a32(unit + seed) % 1000 / 1000`.

    Its buckets of two experiments can be strongly correlated (a correlation of -0.88 for the
    seeds exp1 and exp5): finish what runs, and start nothing new with it.

    Examples:
        >>> GrowthBookV1()("a", "")
        0.22
    """

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of 0.001; the salt is the seed."""
        return _fnv1a(unit + salt) % 1000 / 1000

    def place(self, unit: str, layer: str) -> float:
        """Return a unit's place in a namespace, as `GrowthBookV2` does too."""
        return _namespace(unit, layer)


@final
@dataclass(frozen=True, slots=True)
class GrowthBookV2(HashRecipe):
    """GrowthBook's second bucket hash: `fnv1a32(str(fnv1a32(seed + unit))) % 10000 / 10000`.

    Examples:
        >>> GrowthBookV2()("a", "")
        0.0216
    """

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of 0.0001; the salt is the seed."""
        return _fnv1a(str(_fnv1a(salt + unit))) % 10_000 / 10_000

    def place(self, unit: str, layer: str) -> float:
        """Return a unit's place in a namespace, which GrowthBook always draws by version 1."""
        return _namespace(unit, layer)


@final
@dataclass(frozen=True, slots=True)
class UnleashMurmur3(HashRecipe):
    """Unleash's hash: `murmur3_32(salt + ":" + unit, seed) % normalizer`.

    Unleash draws a variant among as many slots as the weights of all variants sum to, under a
    seed for variants, and a gradual rollout among 100 slots under the seed 0; the slots count
    from 1 there and from 0 here. A variant's share is its weight over the normalizer, the
    exposure the percentage of the rollout; the group id is the salt for both, so a rollout whose
    group id differs from that of the variants cannot go on here.

    Args:
        normalizer: Sum of the weights of the variants; 1000 in what Unleash's own API makes.
        seed: Seed for variants; 0 in the clients of before November 2023, which used one hash
            for variants and rollout.

    Raises:
        InvalidParameterError: If the normalizer is below 1 or the seed below 0.

    References:
        Unleash's client specification, `08-variants` and `10-flexible-rollout-strategy`.

    Examples:
        >>> hasher = UnleashMurmur3()
        >>> hasher("user-42", "checkout"), hasher.exposed("user-42", "checkout", 0.3)
        (0.8375, False)
    """

    normalizer: int = 1000
    seed: int = 86_028_157

    def __post_init__(self) -> None:
        check.count("normalizer", self.normalizer)
        check.count("seed", self.seed, least=0)

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return the middle of the unit's slot in [0, 1), so that no rounding can move it."""
        slot = murmur3_32(f"{salt}:{unit}".encode(), self.seed) % self.normalizer
        return (slot + 0.5) / self.normalizer

    def exposed(self, unit: str, salt: str, exposure: float) -> bool:
        """Return whether a rollout to a share of units reaches the unit."""
        slot = murmur3_32(f"{salt}:{unit}".encode()) % 100
        return slot + 0.5 < 100 * exposure


@final
@dataclass(frozen=True, slots=True)
class PlanOutSha1(HashRecipe):
    """PlanOut's hash: the first 15 hexadecimal digits of `sha1(salt.unit)` over 16**15 - 1.

    PlanOut's own salt is `experiment.parameter`; give that as the salt. It is the number behind
    its `RandomFloat`, `BernoulliTrial` and `WeightedChoice`. Its `UniformChoice` takes the
    remainder of the digits instead, and its namespaces draw segments: neither can go on here.
    """

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1]; 1 only for one digest in 10**18."""
        digest = hashlib.sha1(f"{salt}.{unit}".encode(), usedforsecurity=False).hexdigest()
        return int(digest[:15], 16) / 0xFFFFFFFFFFFFFFF


@final
@dataclass(frozen=True, slots=True)
class EppoMd5(HashRecipe):
    """Eppo's shards: the first four bytes of `md5(salt-unit)`, modulo the number of shards.

    This is the shard of one split. Eppo draws who takes part by another split with a salt of
    its own, which is not here: experiments on all of the traffic can go on, others cannot.

    Args:
        shards: Number of shards.

    Raises:
        InvalidParameterError: If it is below 1.
    """

    shards: int = 10_000

    def __post_init__(self) -> None:
        check.count("shards", self.shards)

    @override
    def __call__(self, unit: str, salt: str) -> float:
        """Return the middle of the unit's shard in [0, 1), so that no rounding can move it."""
        digest = hashlib.md5(f"{salt}-{unit}".encode(), usedforsecurity=False).digest()
        return (int.from_bytes(digest[:4], "big") % self.shards + 0.5) / self.shards


def _namespace(unit: str, layer: str) -> float:
    return _fnv1a(f"{unit}__{layer}") % 1000 / 1000


def _fnv1a(text: str) -> int:
    """FNV-1a over UTF-16 code units, as JavaScript's charCodeAt gives them."""
    value = _FNV_START
    units = text.encode("utf-16-le")
    for place in range(0, len(units), 2):  # short texts; the recurrence has no closed form
        value ^= units[place] | units[place + 1] << 8
        value = value * _FNV_PRIME & _MASK
    return value


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """Return the 32-bit x86 MurmurHash3 of bytes."""
    value = seed & _MASK
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        value ^= _scramble(int.from_bytes(data[place : place + 4], "little"))
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    value ^= _scramble(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value ^= value >> shift
        value = value * factor & _MASK
    return value ^ value >> 16


def _scramble(word: int) -> int:
    word = word * 0xCC9E2D51 & _MASK
    word = (word << 15 | word >> 17) & _MASK
    return word * 0x1B873593 & _MASK
