"""XXH3 of many short texts at once: the same bits as the library's, without a call for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from siamrec.typing import FloatArray, IntArray

_Codes: TypeAlias = "npt.NDArray[np.uint64]"

_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    ),
    dtype="<u8",
)
"""The first bytes of the constant of XXH3, as whole numbers."""

_SHORTEST, _MIDDLE, _LONGEST = 4, 8, 16
_FEW = 100
_BLOCK = 8_192
_32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@final
@dataclass(frozen=True, slots=True)
class ShortTexts:
    """Texts of 4 to 16 bytes as columns of words, ready to be hashed under many seeds.

    XXH3 reads only the first and the last word of so short a text: 8 bytes each, or 4 bytes each
    up to a length of 8.

    Attributes:
        first: The 8 bytes from the start of each text; it may end before.
        last: The 8 bytes up to the end of each text; it may start after.
        length: Bytes of each text.
        short: Rows of up to 8 bytes.
    """

    first: _Codes
    last: _Codes
    length: _Codes
    short: IntArray

    @classmethod
    def of(cls, texts: list[str]) -> ShortTexts | None:
        """Return the columns, or None where this way is not open.

        It is open where every text has 4 to 16 bytes and none holds the character 0; fewer than
        a hundred are not worth it.

        Raises:
            TypeError: If something is not text.
        """
        if len(texts) < _FEW or not _SHORTEST <= len(texts[0]) <= _LONGEST:
            return None
        first, last, length = np.empty((3, len(texts)), dtype=np.uint64)
        for start in range(0, len(texts), _BLOCK):  # blocks that stay in a core's cache
            part = slice(start, start + _BLOCK)
            if not _read(texts[part], first[part], last[part], length[part]):
                return None
        return cls(first, last, length, np.flatnonzero(length <= _MIDDLE))

    def hashes(self, seed: int) -> _Codes:
        """Return `xxh3_64(utf8(text), seed)` of every text.

        References:
            The XXH3 specification, sections on inputs of 4 to 8 and of 9 to 16 bytes.
        """
        found = np.empty(self.length.size, dtype=np.uint64)
        for part, codes in self._blocks(seed):
            found[part] = codes
        return found

    def uniforms(self, seed: int) -> FloatArray:
        """Return 53 bits of every hash as a number in [0, 1)."""
        values = np.empty(self.length.size)
        for part, codes in self._blocks(seed):
            np.multiply(codes >> np.uint64(11), 2.0**-53, out=values[part])
        return values

    def _blocks(self, seed: int) -> Iterator[tuple[slice, _Codes]]:
        for start in range(0, self.length.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            first, last, length = self.first[part], self.last[part], self.length[part]
            low, high = np.searchsorted(self.short, (start, start + _BLOCK))
            rows = self.short[low:high] - start
            codes = (
                _nine_to_sixteen(first, last, length, seed)
                if rows.size < length.size
                else np.empty(length.size, dtype=np.uint64)
            )
            if rows.size:
                lower, upper = first[rows] & _LOW, last[rows] >> _32
                codes[rows] = _four_to_eight(lower, upper, length[rows], seed)
            yield part, codes


def _read(texts: list[str], first: _Codes, last: _Codes, length: _Codes) -> bool:
    """Write the words and lengths of some texts; return whether all of them are fit."""
    data = b"".join((bytes(8), "\0".join(texts).encode(), bytes(9)))
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8)[8:-8] == 0)
    if ends.size != len(texts):
        return False
    starts = np.empty_like(ends)
    starts[0] = 0
    np.add(ends[:-1], 1, out=starts[1:])
    np.subtract(ends, starts, out=length, casting="unsafe")
    if length.min() < _SHORTEST or length.max() > _LONGEST:
        return False
    # The word that starts at each byte; the 8 bytes ahead of the first text shift the ends.
    words: _Codes = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, strides=(1,))
    starts += 8
    np.take(words, starts, out=first, mode="clip")
    np.take(words, ends, out=last, mode="clip")
    return True


def _nine_to_sixteen(first: _Codes, last: _Codes, length: _Codes, seed: int) -> _Codes:
    low = first ^ np.uint64((int(_SECRET[3] ^ _SECRET[4]) + seed) % 2**64)
    high = last ^ np.uint64((int(_SECRET[5] ^ _SECRET[6]) - seed) % 2**64)
    mixed: _Codes = low.byteswap()
    mixed += length
    mixed += high
    mixed += _folded(low, high)
    mixed ^= mixed >> np.uint64(37)
    mixed *= np.uint64(0x165667919E3779F9)
    mixed ^= mixed >> _32
    return mixed


def _folded(a: _Codes, b: _Codes) -> _Codes:
    """Return the two halves of the product of 128 bits, one xor the other."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _32, b & _LOW, b >> _32
    middle = a_high * b_low
    carry = a_low * b_low
    carry >>= _32
    a_low *= b_high
    carry += a_low
    carry += middle & _LOW
    carry >>= _32
    middle >>= _32
    a_high *= b_high
    a_high += middle
    a_high += carry
    a_high ^= a * b
    return a_high


def _four_to_eight(first: _Codes, last: _Codes, length: _Codes, seed: int) -> _Codes:
    swapped = int.from_bytes((seed % 2**32).to_bytes(4, "little"), "big")
    flip = (int(_SECRET[1] ^ _SECRET[2]) - (seed ^ (swapped << 32))) % 2**64
    mixed = last + (first << _32)
    mixed ^= np.uint64(flip)
    mixed ^= _rotated(mixed, 49) ^ _rotated(mixed, 24)
    mixed *= np.uint64(0x9FB21C651E98DF25)
    mixed ^= (mixed >> np.uint64(35)) + length
    mixed *= np.uint64(0x9FB21C651E98DF25)
    mixed ^= mixed >> np.uint64(28)
    return mixed


def _rotated(values: _Codes, bits: int) -> _Codes:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))
