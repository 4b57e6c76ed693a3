"""Feedback in files: what columns mean is found out and said, bad rows are set apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from siamrec._core import check
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.data.times import NANOSECONDS
from siamrec.errors import InvalidDataError, InvalidParameterError, RejectedDataError
from siamrec.expressions import Expression
from siamrec.feedback._contents import contents_of
from siamrec.feedback._delimited import delimited
from siamrec.feedback._json import is_json, json_records
from siamrec.feedback._loading import Opened, loaded_from
from siamrec.feedback._meaning import ROLES, Meaning, Word, marks_of, roles_of, word_of
from siamrec.feedback._parquet import is_typed, typed_records
from siamrec.feedback._records import Layout
from siamrec.feedback.formats import (
    FILE_FORMATS,
    FileFormat,
    called,
    guest_formats,
    recognised,
)
from siamrec.feedback.memory import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siamrec.feedback._contents import Content
    from siamrec.feedback._records import Records
    from siamrec.feedback.loaded import LoadedFeedback
    from siamrec.typing import Instant

_OWN = "siamrec"
_WIDE = {role: ROLES[role] for role in ("user", "time")}
"""Roles of a wide table: every other column is an item, whatever its name."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FileFeedback:
    r"""A `FeedbackSource` over files: CSV, TSV, JSON, Parquet, Arrow; gzipped or zipped.

    What is not given is found out and said in the report of `load`; what could be one thing or
    another is refused with the setting that says which.

    Args:
        path: A file, a folder (every such file in it and below), a pattern such as
            `"logs/2026-*.jsonl.gz"`, a file in an archive (`"all.zip/ratings.csv"`), or several.
        columns: Column of each role: `user`, `item`, `value`, `time`, `kind` (or a kind for all
            rows, such as `"click"`), `weight`, `position`, `propensity`, `decision`, `query`,
            `impressions` (lists such as `N1-1 N2-0`: an impression of each item, a click on those
            with 1). Those not named are recognised by their usual names. Paths reach into JSON and
            structs: `data.rating`.
        header: Names of the columns of a file without a header.
        delimiter: What stands between values, one letter or more.
        quote: What stands around values that hold a delimiter; empty where quotes are letters.
        encoding: How letters are written, where it is not UTF-8 and no mark says so.
        decimal: What stands before the fraction of a number: `"."` or `","`.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`: what numbers of times count.
        time_format: How texts of times are written, as `strptime` spells it: `"%d/%m/%Y"`.
        kinds: What words of the column of kinds mean: `{"addtocart": "conversion"}`; `"skip"`
            leaves rows out.
        not_rated: Values that say that nothing was rated; such rows are left out.
        scale: Smallest and largest rating that is accepted.
        wide: Whether each further column is an item and each cell a rating; empty cells are none.
        marks: Further events of a row: `{"is_like": "like", "play_ms": "dwell/1000"}`.
        ids: `"written"` keeps ids as the file has them (texts in CSV, numbers or texts else),
            `"text"` and `"number"` read all as such.
        where: Rows to take, as an `Expression` over the columns: `"country == 'TH'"`.
        context: Further columns to carry along.
        format: A `FileFormat` or the name of one; recognised by its content otherwise.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.UnknownNameError: If a role, a kind, a unit or a format is not known.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "log.csv"
        >>> _ = file.write_text("who;what;stars\nann;boat;9\nbob;boat;many\n")
        >>> columns = {"user": "who", "item": "what"}
        >>> loaded = FileFeedback(path=file, columns=columns, scale=(1, 10)).load()
        >>> loaded.feedback.value.tolist(), loaded.rejected[0].reason
        ([9.0], 'rating is not a number: many')
    """

    path: str | Path | Sequence[str | Path]
    columns: Mapping[str, str] = field(default_factory=dict)
    header: Sequence[str] = ()
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    decimal: str = "."
    time_unit: str | None = None
    time_format: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    not_rated: Sequence[float] = ()
    scale: tuple[float, float] | None = None
    wide: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)
    ids: Literal["written", "text", "number"] = "written"
    where: Expression | str | None = None
    context: Sequence[str] = ()
    format: FileFormat | str | None = None

    def __post_init__(self) -> None:
        self._check_path()
        for name in ("columns", "kinds", "marks"):
            check.kind(name, getattr(self, name), Mapping)
        for role in self.columns:
            check.one_of("column role", role, ROLES)
        for name in ("header", "context", "not_rated"):
            listed = check.many(name, getattr(self, name), what="values")
            object.__setattr__(self, name, tuple(listed))
        if len(set(self.header)) < len(self.header):
            raise InvalidParameterError("header", self.header, "different names")
        for value in self.not_rated:
            check.real("not_rated", value, "numbers")
        self._check_scale()
        if self.time_unit is not None:
            check.one_of("time_unit", self.time_unit, NANOSECONDS)
        check.one_of("decimal", self.decimal, (".", ","))
        check.one_of("ids", self.ids, ("written", "text", "number"))
        if self.format is not None:
            object.__setattr__(self, "format", FILE_FORMATS.make(self.format))
        if self.where is not None:
            object.__setattr__(self, "where", Expression.read("where", self.where))
        for word in self.kinds.values():
            word_of("kind", word)
        marks_of(self.marks)

    def _check_path(self) -> None:
        paths = [self.path] if isinstance(self.path, str | Path) else check.many("path", self.path)
        if not paths or not all(isinstance(each, str | Path) for each in paths):
            raise InvalidParameterError("path", self.path, "a path, or several")

    def _check_scale(self) -> None:
        if self.scale is None:
            return
        ends = check.many("scale", self.scale, what="two numbers")
        if len(ends) != 2 or not check.real("scale", ends[0]) < check.real("scale", ends[1]):
            raise InvalidParameterError("scale", self.scale, "(low, high), low < high")

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield the good rows with `since <= time < until`, in time order."""
        source = MemoryFeedback(self.load().feedback)
        return source.read(since=since, until=until, batch_rows=batch_rows)

    def load(self) -> LoadedFeedback:
        """Return good and rejected rows, and the report.

        Raises:
            siamrec.errors.InvalidDataError: If a file cannot be read at all, files differ in
                their columns, what columns mean cannot be told, or not one row is good; the
                message says what to do.
            siamrec.errors.UnknownNameError: If a column that was named is not there.
        """
        contents = contents_of(self.path)
        if isinstance(self.format, FileFormat) and len(contents) > 1:
            contents = [each for each in contents if self.format.is_named(each.plain_name)]
            if not contents:
                raise InvalidDataError(f"{self.path} has no file named {self.format.file}.")
        loaded = loaded_from([opened(content, self) for content in contents])
        if loaded.rejected and len(loaded.rejected) == loaded.n_rows:
            raise RejectedDataError(loaded.nothing_good())
        return loaded


def opened(content: Content, given: FileFeedback) -> Opened:
    """Read the beginning of a file and find out what it means.

    Raises:
        InvalidDataError: If it cannot be read, or what its columns mean cannot be told.
    """
    try:
        return _opened(content, given, FILE_FORMATS.house())
    except InvalidDataError:
        # Of no format of the house, and without usual names: loading plugins takes its time.
        guests = {} if given.format is not None or given.columns else guest_formats()
        if not guests:
            raise
    return _opened(content, given, guests)


def _opened(content: Content, given: FileFeedback, formats: Mapping[str, FileFormat]) -> Opened:
    head = content.head()
    assert not isinstance(given.format, str)
    known, how = given.format, "as was said"
    free = not given.columns and not given.wide
    if known is None and free and not given.header:
        known, how = _known_by_line(formats, head), "by its first line"
    settings = _settled(content, given, known)
    records = records_of(content, settings, head)
    if known is None and free:
        known, how = recognised(formats, records.names), "by its columns"
        settings = _settled(content, given, known)
        if settings.encoding != given.encoding:
            records = records_of(content, settings, head)
    told = dict(records.told)
    if content.packing:
        told["packed with"] = content.packing
    if known is not None:
        told["format"] = f"{called(known)}, {how}: {known.about}"
    return Opened(content, told, records, _meaning(content, settings, known, records))


def records_of(content: Content, settings: FileFeedback | None, head: bytes) -> Records:
    """Return the records of a file of any kind.

    Raises:
        InvalidDataError: If it is of no kind that can be read.
    """
    if is_typed(head):
        return typed_records(content, head)
    layout = Layout()
    if settings is not None:
        layout = Layout(
            names=tuple(settings.header),
            delimiter=settings.delimiter,
            quote=settings.quote,
            encoding=settings.encoding,
            numbered=settings.wide,
        )
    text = next(content.texts(content.encoding(layout.encoding, head)), b"")
    return (json_records if is_json(content, text) else delimited)(content, layout, head)


def _known_by_line(formats: Mapping[str, FileFormat], head: bytes) -> FileFormat | None:
    if is_typed(head) or b"\x00" in head:
        return None
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").split(b"\n", 1)[0][:10_000]
    return recognised(formats, (), line.decode("utf-8", errors="replace").rstrip("\r"))


def _settled(content: Content, given: FileFeedback, known: FileFormat | None) -> FileFeedback:
    """Return the settings, where they are not given those of the format."""
    if known is None:
        return given
    usual = FileFeedback(path=given.path)
    added = {
        key: value
        for key, value in known.settings.items()
        if getattr(given, key) == getattr(usual, key)
    }
    if known.encoding is not None and given.encoding is None and not content.is_utf8():
        added["encoding"] = known.encoding
    return replace(given, **added)


def _meaning(
    content: Content, settings: FileFeedback, known: FileFormat | None, records: Records
) -> Meaning:
    """Return what the columns of a file mean."""
    names = records.names
    given = {**({} if known is None else known.found(names)), **settings.columns}
    own = known is FILE_FORMATS.factory(_OWN)
    lone = settings.wide or "impressions" in given
    roles = roles_of(
        names,
        given,
        required=("user",) if lone else ("user", "item"),
        roles=_WIDE if settings.wide else ROLES,
        file=f"{content.name}: ",
    )
    where = settings.where
    assert where is None or isinstance(where, Expression)
    if where is not None:
        where.check(names)
    marks = marks_of(settings.marks)
    for column in (*settings.context, *(mark[0] for mark in marks)):
        check.one_of("column", column, names)
    kind, roles = _kind_for_all(roles, names, rated="value" in roles or settings.wide)
    used = {*roles.values(), *settings.context}
    rest = tuple(each for each in names if each not in used)
    return Meaning(
        roles=roles,
        loose=records.told["written as"] not in {"Parquet", "Arrow"},
        ids=settings.ids,
        kind=kind,
        words={word: word_of("kind", said) for word, said in settings.kinds.items()},
        not_rated=tuple(settings.not_rated),
        scale=settings.scale,
        decimal=settings.decimal,
        time_unit=settings.time_unit,
        time_format=settings.time_format,
        untimed=own,
        marks=marks,
        context=rest if own else tuple(settings.context),
        wide=rest if settings.wide else (),
        where=where,
    )


def _kind_for_all(
    roles: dict[str, str], names: Sequence[str], *, rated: bool
) -> tuple[Word, dict[str, str]]:
    """Return what every event is where no column tells it: a rating where there is a value."""
    said = roles.get("kind")
    if said is None or said in names:
        usual = FeedbackKind.RATING if rated else FeedbackKind.CLICK
        return Word(usual), roles
    others = {role: name for role, name in roles.items() if role != "kind"}
    return word_of("kind", said), others
