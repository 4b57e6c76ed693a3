"""Sealed events as Parquet: rows to bytes and back, named by the hash of the bytes."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from sqlalchemy import BigInteger, Float, Integer, SmallInteger
from xxhash import xxh3_128_intdigest

from siamrec.data import NO_TIME
from siamrec.errors import StorageError
from siamrec.storage._events import NAMES
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.typing import Instant

STORED = ("seq", "xid", *NAMES)
"""Columns of a segment."""
_MODULUS = 2**128

Columns: TypeAlias = "Mapping[str, Sequence[Any]]"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What the database knows of one sealed file.

    Attributes:
        number: Its place in the order of sealing.
        hash: SHA-256 of the file; also its name.
        n_rows: Number of events.
        first: Time of the first event.
        last: Time of the last one.
        fingerprint: Sum of the hashes of its events; see `fingerprint`.
    """

    number: int
    hash: str
    n_rows: int
    first: Instant
    last: Instant
    fingerprint: str

    @property
    def blob(self) -> str:
        """Key of the file in the archive."""
        return blob_of(self.hash)


def blob_of(hash_: str) -> str:
    return f"segments/{hash_}.parquet"


def packed(table: Any) -> bytes:
    """Return a table of events as the bytes of a Parquet file."""
    from pyarrow import parquet  # only an archive needs it

    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd", version="2.6")
    return out.getvalue()


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def table_of(rows: Sequence[Sequence[Any]]) -> Any:
    """Return rows with the columns `STORED` as an Arrow table."""
    import pyarrow as pa

    kinds = {
        SmallInteger: pa.int16(),
        Integer: pa.int32(),
        BigInteger: pa.int64(),
        Float: pa.float64(),
    }
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(values, type=pa.int64() if name == "seq" else _kind(name, kinds, pa))
        for name, values in zip(STORED, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=list(STORED))


def _kind(name: str, kinds: Mapping[type, Any], arrow: Any) -> Any:
    return kinds.get(type(event.c[name].type), arrow.string())


def unpacked(segment: Segment, data: bytes, columns: Sequence[str] | None = None) -> Any:
    """Return the events of a file, after a look at its hash.

    Raises:
        StorageError: If the bytes are not what was sealed.
    """
    from pyarrow import parquet

    if hash_of(data) != segment.hash:
        raise StorageError(f"Segment {segment.blob!r} of the archive is not what was sealed.")
    return parquet.read_table(io.BytesIO(data), columns=None if columns is None else list(columns))


def times_of(table: Any) -> Any:
    """Return the instants of a segment; sealed events have one."""
    times: Any = np.asarray(table["time"].fill_null(int(NO_TIME)), dtype=np.int64)
    return times


def fingerprint(events: Iterable[tuple[str, str]]) -> int:
    """Return the sum of 128-bit hashes of (key, digest): of a set, whatever its order.

    Fingerprints of disjoint sets add up modulo 2**128.
    """
    hashes = (xxh3_128_intdigest(f"{key}\x1f{digest}".encode()) for key, digest in events)
    return sum(hashes, 0) % _MODULUS


def added(*fingerprints: int) -> int:
    return sum(fingerprints) % _MODULUS


def as_text(number: int) -> str:
    return f"{number:032x}"
