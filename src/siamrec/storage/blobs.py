"""Named bytes in a folder; a write is seen whole or not at all."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, final
from uuid import uuid4

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidParameterError, StorageError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siamrec.storage._sqlite import Durability

_AT_ONCE = 16
_DRAFTS = ".drafts"
_OLD = 24 * 3600.0
"""Seconds after which nobody is writing a draft any more: it takes as long as its bytes do."""
_COMPARED = 1_000
"""Keys that are offered where one is not known, at most: there may be very many."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@final
class FolderBlobs(Shown):
    """A `BlobStore` in a folder of the file system.

    What is written is a draft first, which a writer that was killed leaves behind; those of a day
    ago are swept by whoever writes next.

    Args:
        folder: Where the blobs lie; made on the first write.
        durability: What a blob that was put survives, as of `Store`: a power cut (`"power"`), for
            which every new one waits for the disk, or only the end of the process (`"process"`).

    Raises:
        siamrec.errors.UnknownNameError: If the durability is not known.

    Examples:
        >>> from tempfile import mkdtemp
        >>> blobs = FolderBlobs(mkdtemp())
        >>> blobs.put("greetings/one", b"hello")
        >>> blobs.get("greetings/one"), list(blobs.keys("greetings"))
        (b'hello', ['greetings/one'])
    """

    def __init__(self, folder: str | Path, *, durability: Durability = "power") -> None:
        self._folder = Path(folder)
        self._waits = check.one_of("durability", durability, ("process", "power")) == "power"

    @classmethod
    def beside(cls, database: Path, what: str) -> FolderBlobs:
        """Return the blobs in the folder that goes with a database file, such as its models."""
        return cls(database.with_name(f"{database.name}.{what}"))

    @override
    def title(self) -> str:
        return f"Blobs in {self._folder}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "folder": self._folder,
            "keys": sum(1 for _ in self.keys()),
        }
        return Table.of(self.title(), facts)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`; the same key with the same data is no change.

        Raises:
            siamrec.errors.StorageError: If the folder cannot be written.
        """
        self.put_many({key: data})

    def put_many(self, blobs: Mapping[str, bytes]) -> None:
        """Store many blobs as `put` does; disks bring many to rest at once as fast as one.

        Raises:
            siamrec.errors.StorageError: If the folder cannot be written; none is seen then.
        """
        drafts: list[tuple[Path, Path]] = []
        try:
            for key, data in blobs.items():
                path = self._path(key)
                if path.is_file() and path.read_bytes() == data:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                place = self._folder / _DRAFTS
                place.mkdir(exist_ok=True)
                drafts.append((place / uuid4().hex, path))
                drafts[-1][0].write_bytes(data)
            if len(drafts) < 2 and self._waits:
                [*map(_rested, drafts)]
            elif self._waits:
                with ThreadPoolExecutor(min(_AT_ONCE, len(drafts))) as pool:
                    [*pool.map(_rested, drafts)]
            if drafts:
                _swept(drafts[0][0])
            for draft, path in drafts:
                draft.replace(path)
        except OSError as error:
            with suppress(OSError):  # of a disk that fails; what stays is seen by nobody
                for draft, _ in drafts:
                    draft.unlink(missing_ok=True)
            raise StorageError(f"{shown([*blobs])} cannot be written: {error}.") from error

    def get(self, key: str) -> bytes:
        """Return the bytes of `key`.

        Raises:
            siamrec.errors.UnknownNameError: If there are none.
            siamrec.errors.StorageError: If they cannot be read.
        """
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise UnknownNameError("blob", key, islice(self.keys(), _COMPARED)) from error
        except OSError as error:
            raise StorageError(f"Blob {key!r} cannot be read: {error}.") from error

    def remove(self, key: str) -> None:
        """Forget a key; one that is not there is no error.

        Raises:
            siamrec.errors.StorageError: If the folder cannot be written.
        """
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"Blob {key!r} cannot be removed: {error}.") from error

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`, sorted."""
        paths = (path for path in self._folder.rglob("*") if path.is_file())
        names = (path.relative_to(self._folder).as_posix() for path in paths)
        yield from sorted(
            name for name in names if name.startswith(prefix) and _KEY.fullmatch(name)
        )

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidParameterError(
                "key", key, "letters, digits, '.', '_' and '-' between single slashes"
            )
        return self._folder / key


def _swept(mine: Path) -> None:
    """Remove the drafts that are old beside one's own, by the clock of the disk that has both."""
    with suppress(OSError):  # another sweeps too; what stays is seen by nobody
        now = mine.stat().st_mtime
        for draft in mine.parent.iterdir():
            if now - draft.stat().st_mtime > _OLD:
                draft.unlink(missing_ok=True)


def _rested(draft: tuple[Path, Path]) -> None:
    """Wait until the disk has a draft: a blob is never seen before it is whole."""
    with draft[0].open("rb") as file:
        os.fsync(file.fileno())
