"""Hashes that stay the same for ever: of units into [0, 1), and of content into names."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from siamrec.typing import FloatArray

_53_BITS = 2.0**-53


def hash64(text: str, salt: str = "") -> int:
    """Return the 64-bit hash `xxh3_64(utf8(text), seed=xxh3_64(utf8(salt)))`.

    Examples:
        >>> hash64("user-42", "salt") == hash64("user-42", "salt")
        True
    """
    return xxhash.xxh3_64_intdigest(text.encode(), xxhash.xxh3_64_intdigest(salt.encode()))


def uniform(text: str, salt: str = "") -> float:
    """Return a number in [0, 1) with 53 bits of the hash of `text` under `salt`."""
    return (hash64(text, salt) >> 11) * _53_BITS


def uniforms(texts: Iterable[str], salt: str = "") -> FloatArray:
    """Return `uniform(text, salt)` of every text, bit for bit."""
    seed = xxhash.xxh3_64_intdigest(salt.encode())
    digest = xxhash.xxh3_64_intdigest
    codes = np.fromiter((digest(text.encode(), seed) for text in texts), dtype=np.uint64)
    values: FloatArray = (codes >> np.uint64(11)).astype(np.float64) * _53_BITS
    return values


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(*parts: object) -> str:
    """Return the SHA-256 of arrays, bytes, text and JSON values as 64 hexadecimal digits.

    Arrays count with their dtype and shape; the order of the parts counts.

    Examples:
        >>> content_hash("a", {"b": 1}) == content_hash("a", {"b": 1})
        True
        >>> content_hash("ab") == content_hash("a", "b")
        False
    """
    digest = hashlib.sha256()
    for part in parts:
        data = _as_bytes(part)
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _as_bytes(part: object) -> bytes:
    if isinstance(part, bytes):
        return b"b" + part
    if isinstance(part, np.ndarray):
        array: npt.NDArray[Any] = np.ascontiguousarray(part)
        head = f"{array.dtype.str}{array.shape}".encode()
        body = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
        return b"a" + head + body
    return b"j" + canonical_json(part).encode()


def config_hash(config: Mapping[str, object]) -> str:
    """Return the first 16 hexadecimal digits of the hash of a JSON-like configuration."""
    return content_hash(dict(config))[:16]
