"""Feedback from text files that are being written: what is new since the last look."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import IO, TYPE_CHECKING, final
from zlib import crc32

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidDataError
from siamrec.feedback._contents import contents_of
from siamrec.feedback._delimited import end_of_records
from siamrec.feedback._loading import loaded_from
from siamrec.feedback.files import FileFeedback, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.feedback._contents import Content
    from siamrec.feedback.loaded import LoadedFeedback


@final
class FileTail(Shown):
    r"""Follows CSV and JSON-lines files as they grow; mutable.

    Only whole records are taken: one that is still being written waits for its end. A file that is
    shorter than it was, or begins in another way, has been started anew, and is read from its
    beginning.

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

    def __init__(
        self, files: FileFeedback, *, place: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        self._files = files
        self._place = {name: (int(at), int(mark)) for name, (at, mark) in (place or {}).items()}

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
    def place(self) -> dict[str, list[int]]:
        """How many bytes of each file were read, and a hash of the first of them.

        It is JSON, to be kept where the feedback goes.
        """
        return {name: list(place) for name, place in self._place.items()}

    def fetch(self) -> LoadedFeedback | None:
        """Return the rows that were added since the last call, None where there are none.

        Row numbers count from the first of the new rows of a file.

        Raises:
            siamrec.errors.UnknownNameError: If no column stands for users or items.
        """
        try:
            contents = contents_of(self._files.path)
        except InvalidDataError:  # none is there yet
            return None
        files = [
            opened(part, self._files)
            for content in contents
            if content.file.is_file() and (part := self._grown(content)) is not None
        ]
        if not files:
            return None
        loaded = loaded_from(files)
        if len(files) > 1:
            return loaded
        named = tuple(replace(r, file=files[0].content.name) for r in loaded.rejected)
        return replace(loaded, rejected=named)

    def _grown(self, content: Content) -> Content | None:
        """Return the new whole records of a file, after the header of one that has it."""
        if content.packing or content.plain_name.endswith(_TYPED):
            return None
        headless = bool(self._files.header) or content.plain_name.endswith(_JSON)
        with content.file.open("rb") as stream:
            header = b"" if headless else stream.readline()
            if header and not header.endswith(b"\n"):
                return None
            read, mark = self._place.get(content.name, (0, 0))
            if read > stream.seek(0, io.SEEK_END) or mark != _mark(stream, read):
                read = 0
            first = max(read, len(header))
            stream.seek(first)
            data = stream.read()
        whole = data[: self._end(content, header, data)]
        if not whole.strip():
            return None
        with content.file.open("rb") as stream:
            self._place[content.name] = (first + len(whole), _mark(stream, first + len(whole)))
        return replace(content, part=header + whole)

    def _end(self, content: Content, header: bytes, data: bytes) -> int:
        """Where the last whole record ends: a line break within quotes is none."""
        end = data.rfind(b"\n") + 1
        if content.plain_name.endswith(_JSON) or b'"' not in data or self._files.quote == "":
            return end
        return end_of_records(header, data, self._files.delimiter)


def _mark(stream: IO[bytes], read: int) -> int:
    """Return a hash of the beginning of what was read; nought of nothing."""
    stream.seek(0)
    return crc32(stream.read(min(read, _BEGINNING)))


_BEGINNING = 1024
_TYPED = (".parquet", ".arrow", ".feather")
_JSON = (".jsonl", ".ndjson", ".json")
