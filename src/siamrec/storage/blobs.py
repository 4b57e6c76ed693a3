"""Named bytes in a folder; a write is seen whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, final
from uuid import uuid4

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidParameterError, StorageError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@final
class FolderBlobs(Shown):
    """A `BlobStore` in a folder of the file system.

    Args:
        folder: Where the blobs lie; made on the first write.

    Examples:
        >>> from tempfile import mkdtemp
        >>> blobs = FolderBlobs(mkdtemp())
        >>> blobs.put("greetings/one", b"hello")
        >>> blobs.get("greetings/one"), list(blobs.keys("greetings"))
        (b'hello', ['greetings/one'])
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

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
        path = self._path(key)
        try:
            if path.is_file() and path.read_bytes() == data:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{uuid4().hex}")
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise StorageError(f"Blob {key!r} cannot be written: {error}.") from error

    def get(self, key: str) -> bytes:
        """Return the bytes of `key`.

        Raises:
            siamrec.errors.UnknownNameError: If there are none.
        """
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise UnknownNameError("blob", key, self.keys()) from error

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
