"""Bucket hashes of other systems, bit for bit, so that running experiments can move here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, final

from siamrec._core.hashing import uniform

_FNV_START, _FNV_PRIME = 0x811C9DC5, 0x01000193
_MASK = 0xFFFFFFFF


class Hasher(Protocol):
    """Maps a unit under a salt to a number in [0, 1)."""

    def __call__(self, unit: str, salt: str) -> float:
        """Return the number."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Xxh3:
    """The hash of this package: 53 bits of `xxh3_64(unit, seed=xxh3_64(salt))`."""

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1)."""
        return uniform(unit, salt)


@final
@dataclass(frozen=True, slots=True)
class GrowthBookV1:
    """GrowthBook's first bucket hash: `fnv1a32(unit + seed) % 1000 / 1000`.

    Its buckets of two experiments can be strongly correlated (a correlation of -0.88 for the
    seeds exp1 and exp5): finish what runs, and start nothing new with it.

    Examples:
        >>> GrowthBookV1()("a", "")
        0.22
    """

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of 0.001; the salt is the seed."""
        return _fnv1a(unit + salt) % 1000 / 1000


@final
@dataclass(frozen=True, slots=True)
class GrowthBookV2:
    """GrowthBook's second bucket hash: `fnv1a32(str(fnv1a32(seed + unit))) % 10000 / 10000`.

    Examples:
        >>> GrowthBookV2()("a", "")
        0.0216
    """

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of 0.0001; the salt is the seed."""
        return _fnv1a(str(_fnv1a(salt + unit))) % 10_000 / 10_000


@final
@dataclass(frozen=True, slots=True)
class UnleashMurmur3:
    """Unleash's normalised hash: `murmur3_32(salt + ":" + unit) % 100 / 100`.

    Unleash counts buckets from 1 to 100; here they start at 0. Its variants use the seed
    86028157, rollouts the seed 0.

    Args:
        seed: Seed of the hash.
    """

    seed: int = 0

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of 0.01; the salt is the group id."""
        return murmur3_32(f"{salt}:{unit}".encode(), self.seed) % 100 / 100


@final
@dataclass(frozen=True, slots=True)
class PlanOutSha1:
    """PlanOut's hash: the first 15 hexadecimal digits of `sha1(salt.unit)` over 16**15 - 1.

    PlanOut's own salt is `experiment.parameter`; give that as the salt.
    """

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1]; 1 only for one digest in 10**18."""
        digest = hashlib.sha1(f"{salt}.{unit}".encode(), usedforsecurity=False).hexdigest()
        return int(digest[:15], 16) / 0xFFFFFFFFFFFFFFF


@final
@dataclass(frozen=True, slots=True)
class EppoMd5:
    """Eppo's shards: the first four bytes of `md5(salt-unit)`, modulo the number of shards.

    Args:
        shards: Number of shards.
    """

    shards: int = 10_000

    def __call__(self, unit: str, salt: str) -> float:
        """Return a number in [0, 1), a multiple of `1 / shards`."""
        digest = hashlib.md5(f"{salt}-{unit}".encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:4], "big") % self.shards / self.shards


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
