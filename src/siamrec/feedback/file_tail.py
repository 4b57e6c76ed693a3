"""Feedback from text files that are being written: what is new since the last look."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError
from siamrec.feedback._tables import raw_of_text
from siamrec.feedback.files import FileFeedback, LoadedFeedback, files_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@final
class FileTail(Shown):
    r"""Follows CSV and JSON-lines files as they grow; mutable.

    Only whole lines are taken: one that is still being written waits for its end. A file that is
    shorter than it was has been started anew, and is read from its beginning.

    Args:
        files: What the rows mean, and where they are: a file, a folder or a pattern. Files that
            come later are found as well. Gzipped files and Parquet do not grow: they are left
            out here.
        place: How far each file was read, as an earlier tail left it in its `place`.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> log = Path(mkdtemp()) / "log.csv"
        >>> _ = log.write_text("user,item,rating\nann,x,5\nbob,x,")
        >>> tail = FileTail(FileFeedback(path=log))
        >>> len(tail.fetch().feedback), tail.fetch()
        (1, None)
        >>> _ = log.write_text("user,item,rating\nann,x,5\nbob,x,4\n")
        >>> tail.fetch().feedback.users.ids
        ('bob',)
    """

    def __init__(self, files: FileFeedback, *, place: Mapping[str, int] | None = None) -> None:
        self._files = files
        self._place = dict(place or {})

    @override
    def title(self) -> str:
        return f"Tail of {self._files.path}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "files": self._files.path,
            "places": self.place,
        }
        return Table.of(self.title(), facts)

    @property
    def place(self) -> dict[str, int]:
        """How many bytes of each file were read; JSON, to be kept where the feedback goes."""
        return dict(self._place)

    def fetch(self) -> LoadedFeedback | None:
        """Return the rows that were added since the last call, None where there are none.

        Row numbers count from the first of the new rows of a file.

        Raises:
            siamrec.errors.UnknownNameError: If no column stands for users or items.
        """
        parts: list[LoadedFeedback] = []
        try:
            files = files_at(self._files.path)
        except InvalidDataError:  # none is there yet
            return None
        for file in files:
            if not file.is_file() or file.name.endswith((".gz", ".parquet")):
                continue
            text = self._new_text(file)
            if text is None:
                continue
            part = self._files.of_table(raw_of_text(io.StringIO(text), file))
            named = tuple(replace(row, file=str(file)) for row in part.rejected)
            parts.append(LoadedFeedback(part.feedback, named, part.columns))
        if not parts:
            return None
        feedback = Feedback.concat(part.feedback for part in parts)
        rejected = tuple(row for part in parts for row in part.rejected)
        return LoadedFeedback(feedback, rejected, parts[0].columns)

    def _new_text(self, file: Path) -> str | None:
        """Return the new whole lines, after the header of a CSV file."""
        with file.open("rb") as stream:
            header = b"" if _is_json(file) else stream.readline()
            if header and not header.endswith(b"\n"):
                return None
            first = max(self._place.get(str(file), 0), len(header))
            if first > stream.seek(0, io.SEEK_END):
                first = len(header)
            stream.seek(first)
            data: Any = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        if not whole.strip():
            return None
        self._place[str(file)] = first + len(whole)
        text: str = (header + whole).decode("utf-8-sig", errors="replace")
        return text


def _is_json(file: Path) -> bool:
    return file.name.endswith((".jsonl", ".ndjson", ".json"))
