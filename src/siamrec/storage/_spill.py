"""Events that wait in a file: a line each, so that a torn one costs itself and no other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from uuid import uuid4

from siamrec.errors import InvalidParameterError, StorageError
from siamrec.storage._events import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TAKEN = ".taking"
_TORN = ".torn"


@final
class Spill:
    """A file that any number of processes append to and read back.

    Args:
        path: The file; its folder is there already.

    Raises:
        InvalidParameterError: If no file can be there.
    """

    def __init__(self, path: object) -> None:
        self._path = Path(path) if isinstance(path, str | Path) else Path()
        try:
            fits = self._path.parent.is_dir() and not self._path.is_dir()
        except (OSError, ValueError):  # a name that no file can have
            fits = False
        if not fits:
            raise InvalidParameterError("spill", path, "a file in a folder that is there")

    def put(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows: all of them, or none.

        Raises:
            StorageError: If the disk is full, or cannot be written.
        """
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                start = file.tell()
                if start and not self._ends_well():
                    data = b"\n" + data  # a process that was killed has left half a line
                reason: object = "No space left on device"
                try:
                    whole = file.write(data) == len(data)
                except OSError as error:
                    whole, reason = False, error
                if not whole:
                    os.truncate(self._path, start)
        except OSError as error:
            whole, reason = False, error
        if not whole:
            raise StorageError(f"The spill file {self._path} cannot be written: {reason}.")

    def take(self, store: Callable[[list[tuple[Any, ...]]], None]) -> int:
        """Hand all rows to `store` and forget them once it returns.

        Lines that are torn go to a file of their own beside this one.

        Returns:
            Number of torn lines.

        Raises:
            StorageError: If the file cannot be read, or `store` fails; the rows stay then.
        """
        n_torn = 0
        try:
            if self._path.exists():
                # What others append from now on is in a file of its own.
                self._path.replace(
                    self._path.with_name(f"{self._path.name}.{uuid4().hex}{_TAKEN}")
                )
            for part in sorted(self._path.parent.glob(f"{self._path.name}.*{_TAKEN}")):
                rows, torn = _read(part.read_bytes())
                if rows:
                    store(rows)
                if torn:
                    with self._path.with_name(self._path.name + _TORN).open("ab") as file:
                        file.writelines(line + b"\n" for line in torn)
                part.unlink(missing_ok=True)
                n_torn += len(torn)
        except FileNotFoundError:
            return n_torn  # another process was faster
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"The spill file {self._path} cannot be read: {error}.") from error
        return n_torn

    def _ends_well(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def _read(data: bytes) -> tuple[list[tuple[Any, ...]], list[bytes]]:
    rows, torn = [], []
    for line in data.splitlines():
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            row = ()
        if isinstance(row, list) and len(row) == len(NAMES):
            rows.append(tuple(row))
        elif row is not None:
            torn.append(line)
    return rows, torn
