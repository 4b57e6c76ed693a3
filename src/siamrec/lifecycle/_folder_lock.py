"""A folder that one run has at a time, whatever becomes of the run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from siamrec.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; the system lets go of it when the process ends, however it does.

    Raises:
        StorageError: If another run holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _FILE).open("a+")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
    with file:
        if not _taken(file):
            raise StorageError(
                f"Another run is at work in {folder}: wait for it, or choose another folder."
            )
        yield  # the file stays: another may have opened it already, and waits for nothing


def _taken(file: IO[str]) -> bool:
    """Take the lock of an open file; tell whether it was free."""
    try:
        if os.name == "nt":  # pragma: no cover - not where the tests run
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return os.name != "nt"  # a file system without locks: as before there were any
    return True
