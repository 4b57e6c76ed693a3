"""What is inside of files: unpacked within bounds, decoded without replacing a letter."""

from __future__ import annotations

import codecs
import gzip
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast, final

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = 2 << 20
"""Bytes that are read at a time."""

_ENDINGS = (
    ".csv", ".tsv", ".dat", ".inter", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow",
    ".feather",
)  # fmt: skip
_READABLE = "CSV, JSON, Parquet and Arrow"
RATIO = 500
"""Bytes that one packed byte may become; real logs stay below a tenth of it."""
FREE = 256 << 20
"""Bytes that anything may become, whatever the ratio."""
_END = 256 << 10
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"SQLite format 3", "a SQLite database: read it with SqlFeedback"),
    (b"BZh", "packed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "packed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: save it as CSV"),
    (b"FEA1", "Feather version 1: write it anew as version 2 or Parquet"),
    (b"ORC", "an ORC file: write it anew as Parquet"),
    (b"%PDF", "a PDF document"),
)


@final
@dataclass(frozen=True, slots=True)
class Content:
    """One file, or one file in a zip archive.

    Attributes:
        file: Where it is on the disk.
        member: Its name in the archive, empty for a file of its own.
        part: The bytes to read in place of all of it, as a tail does.
    """

    file: Path
    member: str = ""
    part: bytes | None = None

    @property
    def name(self) -> str:
        """The place as people read it."""
        return f"{self.file}/{self.member}" if self.member else str(self.file)

    @property
    def plain_name(self) -> str:
        """The last part of the name, without what says that it is packed."""
        return (self.member.rpartition("/")[2] or self.file.name).removesuffix(".gz").lower()

    @property
    def packing(self) -> str:
        """`"gzip"`, `"zip"`, or nothing."""
        if self.member:
            return "zip"
        if self.part is not None:
            return ""
        with self.file.open("rb") as stream:
            return "gzip" if stream.read(2) == b"\x1f\x8b" else ""

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the bytes, unpacked.

        Raises:
            InvalidDataError: If they cannot be read.
        """
        try:
            if self.member:
                with zipfile.ZipFile(self.file) as archive, archive.open(self.member) as inner:
                    yield inner
            elif self.packing:
                with gzip.open(self.file, "rb") as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                with self.file.open("rb") as stream:
                    yield stream
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            # RuntimeError is what zipfile raises for a password
            raise InvalidDataError(f"{self.name} cannot be read: {said(error)}.") from error

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, unpacked, a block at a time.

        Raises:
            InvalidDataError: If they cannot be read, or become far more than any data would.
        """
        if self.part is not None:
            yield self.part
            return
        packed = self.file.stat().st_size if self.packing else None
        done = 0
        with self.opened() as stream:
            while block := stream.read(BLOCK):
                done += len(block)
                if packed is not None and done > max(FREE, RATIO * packed):
                    raise InvalidDataError(
                        f"{self.name} becomes more than {done >> 20:,} MB from "
                        f"{packed:,} bytes: unpack it yourself if that is right."
                    )
                yield block

    def last(self) -> bytes:
        """Return the end of a file that is not packed, for a look at what comes later."""
        if self.packing or self.part is not None:
            return b""
        with self.file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _END))
            return stream.read()

    def head(self) -> bytes:
        """Return the first block.

        Raises:
            InvalidDataError: If there is nothing, or it is of a kind that is known and not read.
        """
        if not self.file.is_file():
            raise InvalidDataError(f"{self.name} is not a file.")
        head = next(self.blocks(), b"")
        if not head.strip():
            raise InvalidDataError(f"{self.name} is empty.")
        for mark, said in _OTHERS:
            if head.startswith(mark):
                raise InvalidDataError(f"{self.name} is {said}.")
        return head

    def encoding(self, given: str | None, head: bytes) -> str:
        """Return the encoding of a text: the one given, that of its mark, else UTF-8.

        Raises:
            InvalidParameterError: If no encoding has the name given.
            InvalidDataError: If the bytes are no text.
        """
        if given is not None:
            return _codec(given)
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
        if b"\x00" in head:
            raise InvalidDataError(
                f"{self.name} is neither text nor Parquet; {_READABLE} can be read. "
                "Name the encoding (utf-16?) if it is text."
            )
        return "utf-8"

    def is_utf8(self) -> bool:
        """Whether all of it is UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in chain(self.blocks(), (b"",)):
                decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            return False
        return True

    def texts(self, encoding: str) -> Iterator[bytes]:
        """Yield the bytes of a text in UTF-8, without the mark at its beginning.

        Raises:
            InvalidDataError: If they are not of the encoding; UTF-8 itself is looked at by line.
        """
        lone = False
        for number, block in enumerate(self._decoded(encoding)):
            first = block.removeprefix(codecs.BOM_UTF8) if not number else block
            if not number:  # line ends of old: a return alone
                lone = b"\n" not in first and b"\r" in first
            yield first.replace(b"\r", b"\n") if lone else first

    def _decoded(self, encoding: str) -> Iterator[bytes]:
        if encoding == "utf-8":
            yield from self.blocks()
            return
        decoder = codecs.getincrementaldecoder(encoding)()
        lines = 1
        for block in chain(self.blocks(), (b"",)):
            try:
                text = decoder.decode(block, final=not block)
            except (UnicodeError, ValueError) as error:
                raise InvalidDataError(
                    f"{self.name} is not written in {encoding} (after line {lines:,}): "
                    f"{said(error)}. Name the encoding that it is in (--encoding)."
                ) from error
            lines += text.count("\n")
            yield text.encode("utf-8", errors="surrogatepass")


def _codec(given: str) -> str:
    """Return the name of an encoding of letters."""
    try:
        b"a".decode(given)
    except UnicodeError:
        pass  # one letter is not enough for some
    except (LookupError, ValueError) as error:
        raise InvalidParameterError(
            "encoding", given, "a name that Python knows, such as 'latin-1' or 'cp1252'"
        ) from error
    return codecs.lookup(given).name


def said(error: BaseException) -> str:
    """Return what an error of others says, in one line and without a full stop."""
    return " ".join(str(error).split()).rstrip(" .")


def contents_of(path: str | Path | Sequence[str | Path]) -> list[Content]:
    """Return the files that a path, a folder, a pattern or several of them stand for.

    The files of a folder and of a pattern are sorted. `ratings.zip/u.data` is a file in an
    archive; an archive of one file is that file.

    Raises:
        InvalidDataError: If a folder or a pattern has none, or an archive has several.
    """
    if not isinstance(path, str | Path):
        return [found for each in path for found in contents_of(each)]
    place = Path(path)
    try:
        return _found_at(place, str(path))
    except (OSError, ValueError) as error:  # a name that no disk can have
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(f"{path} cannot be read: {said(error)}.") from error


def _found_at(place: Path, said: str) -> list[Content]:
    if place.is_dir():
        inside = (each for each in place.rglob("*") if each.is_file())
        found = sorted(each for each in inside if _is_readable(each.name))
    elif not place.exists() and any(letter in said for letter in "*?["):
        found = sorted(map(Path, glob(said, recursive=True)))  # noqa: PTH207 - any anchor
    else:
        return _file_at(place)
    if not found:
        raise InvalidDataError(f"{said} has no {_READABLE} files.")
    return [content for file in found for content in _file_at(file)]


def _is_readable(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith((*_ENDINGS, ".zip")) and name[:1] != "."


def _file_at(place: Path) -> list[Content]:
    archive = next((each for each in place.parents if each.is_file()), None)
    if archive is not None and zipfile.is_zipfile(archive):
        member = place.relative_to(archive).as_posix()
        names = _members(archive)
        if member not in names:
            raise UnknownNameError(f"file in {archive.name}", member, names)
        return [Content(archive, member)]
    if not place.is_file() or not zipfile.is_zipfile(place) or not _begins_as_zip(place):
        return [Content(place)]
    names = _members(place)
    if "[Content_Types].xml" in names:
        raise InvalidDataError(f"{place} is an Office document: save it as CSV.")
    if len(names) != 1:
        raise InvalidDataError(
            f"{place} has {len(names)} files ({', '.join(names[:8])}): name one, such as "
            f"{place}/{names[0] if names else 'ratings.csv'}."
        )
    return [Content(place, names[0])]


def _begins_as_zip(place: Path) -> bool:
    """A text may end like an archive."""
    with place.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, UnicodeError) as error:
        raise InvalidDataError(f"{archive} cannot be read: {said(error)}.") from error
    hidden = ("__MACOSX/", ".")
    return [name for name in names if not name.endswith("/") and not name.startswith(hidden)]
