"""What a run has finished, so that it can go on after an interruption."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from siamrec._core.clock import Stopwatch
from siamrec.errors import InvalidDataError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.lifecycle.events import Observers

from siamrec.lifecycle._begun import EVENTS
from siamrec.lifecycle.events import LoopEvent

_FILE, _EARLIER = "progress.json", "earlier"
_LAST = "report"
"""The step after which a run is finished."""
_OF_A_RUN = (_FILE, EVENTS, "report.html", "summary.json", "rejected.jsonl", "encoder", "base")
"""What belongs to one run; versions, events and cached vectors belong to all of them."""


@final
class Journal:
    """Results of finished steps in `progress.json`, bound to one set of data and settings.

    The files of a finished run of another key are set aside under `earlier`, by number.

    Args:
        folder: Folder of the run.
        key: What the run depends on; a folder with an unfinished run of another key is refused.
        observers: Whom to tell.
        events: File of the events of a source that goes on, kept before the key is; empty where
            what was read can be read again.

    Raises:
        StorageError: If the folder cannot be written.
        InvalidDataError: If it holds another run that is not finished, or its file is damaged.
    """

    def __init__(
        self, folder: Path, key: Mapping[str, Any], observers: Observers, events: bytes = b""
    ) -> None:
        self._path = folder / _FILE
        self._key = json.loads(json.dumps(dict(key)))
        self._observers = observers
        self._steps: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
        if found:
            self._resume(found, folder)
        if events and not self._steps:
            write_whole(folder / EVENTS, events)
        self._save()  # what the run depends on is known before it writes anything else

    def _resume(self, text: str, folder: Path) -> None:
        try:
            found = json.loads(text)
            steps, seconds, key = found["steps"], found["seconds"], found["key"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidDataError(
                f"{self._path} is damaged; remove it to begin anew, or choose another folder."
            ) from error
        if key != self._key:
            if _LAST in steps:
                _set_aside(folder)
                return
            other = [name for name in self._key if key.get(name) != self._key[name]]
            raise InvalidDataError(
                f"{folder} holds an unfinished run with another {', '.join(other)}; finish it "
                f"with what it began with, remove {_FILE}, or choose another folder."
            )
        self._steps, self.seconds = steps, seconds

    def done(self, step: str) -> bool:
        """Whether the step was finished, in this run or an earlier one."""
        return step in self._steps

    def result(self, step: str) -> Any:
        """Return the result of a finished step."""
        return self._steps[step]

    def run(
        self, step: str, work: Callable[[], Mapping[str, Any]], line: Callable[[Any], str]
    ) -> Any:
        """Do the step unless it is done, and return its result as JSON values.

        Args:
            step: Name of the step.
            work: Does it; the result must be JSON values.
            line: Makes the line of result.
        """
        if step in self._steps:
            self._tell("skipped", step, line(self._steps[step]), 1.0)
            return self._steps[step]
        self._tell("started", step)
        watch = Stopwatch()
        result = _plain(work())
        self._steps[step] = result
        self.seconds[step] = round(watch.seconds(), 3)
        self._save()
        self._tell("finished", step, line(result), 1.0, result)
        return result

    def _tell(
        self, kind: Any, step: str, message: str = "", done: float = 0.0, result: Any = None
    ) -> None:
        self._observers.tell(
            LoopEvent(kind=kind, step=step, message=message, done=done, result=result or {})
        )

    def _save(self) -> None:
        write_whole(
            self._path,
            json.dumps({"key": self._key, "steps": self._steps, "seconds": self.seconds}),
        )


def _set_aside(folder: Path) -> None:
    """Move the files of a finished run into a folder of their own."""
    earlier = folder / _EARLIER
    earlier.mkdir(exist_ok=True)
    numbers = (int(each.name) for each in earlier.iterdir() if each.name.isdigit())
    aside = earlier / f"{1 + max(numbers, default=0)}"
    aside.mkdir()
    # What says that a run is finished goes last: an interruption is made good by the next call.
    for name in reversed(_OF_A_RUN):
        if (folder / name).exists():
            (folder / name).replace(aside / name)


def _plain(value: Any) -> Any:
    """Return JSON values; what is not finite is not known, and becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that is seen whole or not at all.

    Raises:
        StorageError: If it cannot be written.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
