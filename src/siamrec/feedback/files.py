"""Feedback in files: what columns mean is found out and said, bad rows are set apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from siamrec._core import check
from siamrec.data.cells import NANOSECONDS
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.expressions import Expression
from siamrec.feedback._assembled import are_thumbs, assembled, far_times, one_unit, sentinels
from siamrec.feedback._contents import contents_of
from siamrec.feedback._delimited import delimited
from siamrec.feedback._events import events_of
from siamrec.feedback._json import is_json, json_records
from siamrec.feedback._meaning import ROLES, Meaning, Word, marks_of, roles_of, word_of
from siamrec.feedback._records import Layout
from siamrec.feedback._typed import is_typed, typed_records
from siamrec.feedback.formats import FILE_FORMATS, recognised
from siamrec.feedback.labels import Scale
from siamrec.feedback.loaded import LoadedFeedback, RejectedRow
from siamrec.feedback.memory import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from siamrec.feedback._contents import Content
    from siamrec.feedback._events import Events
    from siamrec.feedback._records import Records
    from siamrec.typing import BoolArray, Instant, IntArray

_OWN = "siamrec"
_SHOWN = 1_000
"""Rejected rows whose cells are kept."""


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
            `impressions` (lists such as `N1-1 N2-0`: a view of each item, a click on those with
            1). Those not named are recognised by their usual names. Paths reach into JSON and
            structs: `data.rating`.
        header: Names of the columns of a file without a header.
        delimiter: What stands between values, one letter or more.
        quote: What stands around values that hold a delimiter; empty where quotes are letters.
        encoding: How letters are written, where it is not UTF-8 and no mark says so.
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
        format: Name of a known format; recognised by its content otherwise.

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
    format: str | None = None

    def __post_init__(self) -> None:
        for role in self.columns:
            check.one_of("column role", role, ROLES)
        for name in ("header", "context", "not_rated"):
            object.__setattr__(
                self, name, tuple(check.many(name, getattr(self, name), what="values"))
            )
        if len(set(self.header)) < len(self.header):
            raise InvalidParameterError("header", self.header, "different names")
        if self.scale is not None:
            low, high = self.scale
            if not check.real("scale", low) < check.real("scale", high):
                raise InvalidParameterError("scale", self.scale, "(low, high), low < high")
        if self.time_unit is not None:
            check.one_of("time_unit", self.time_unit, NANOSECONDS)
        check.one_of("ids", self.ids, ("written", "text", "number"))
        if self.format is not None:
            FILE_FORMATS.factory(self.format)
        if self.where is not None:
            object.__setattr__(self, "where", Expression.read("where", self.where))
        for word in self.kinds.values():
            word_of("kind", word)
        marks_of(self.marks)

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
                their columns, or what columns mean cannot be told; the message says what to do.
            siamrec.errors.UnknownNameError: If a column that was named is not there.
        """
        contents = contents_of(self.path)
        if self.format is not None and len(contents) > 1:
            known = FILE_FORMATS.factory(self.format)
            contents = [each for each in contents if known.is_named(each.plain_name)]
            if not contents:
                raise InvalidDataError(f"{self.path} has no file named {known.file}.")
        return loaded_from([opened(content, self) for content in contents])


@final
@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose beginning was read: how it is written, its records, and what they mean."""

    content: Content
    told: Mapping[str, str]
    records: Records
    meaning: Meaning


def opened(content: Content, given: FileFeedback) -> Opened:
    """Read the beginning of a file and find out what it means.

    Raises:
        InvalidDataError: If it cannot be read, or what its columns mean cannot be told.
    """
    head = content.head()
    name, how = given.format, "named"
    free = not given.columns and not given.wide
    if name is None and free and not given.header:
        name, how = _known_by_line(head), "by its first line"
    settings = _settled(content, given, name)
    records = records_of(content, settings, head)
    if name is None and free:
        name, how = recognised(records.names), "by its columns"
        settings = _settled(content, given, name)
        if settings.encoding != given.encoding:
            records = records_of(content, settings, head)
    told = dict(records.told)
    if content.packing:
        told["packed with"] = content.packing
    if name is not None:
        told["format"] = f"{name}, {how}: {FILE_FORMATS.factory(name).about}"
    return Opened(content, told, records, _meaning(content, settings, name, records))


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
        )
    text = next(content.texts(content.encoding(layout.encoding, head)), b"")
    return (json_records if is_json(content, text) else delimited)(content, layout, head)


def _known_by_line(head: bytes) -> str | None:
    if is_typed(head) or b"\x00" in head:
        return None
    line = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").split(b"\n", 1)[0][:10_000]
    return recognised((), line.decode("utf-8", errors="replace").rstrip("\r"))


def _settled(content: Content, given: FileFeedback, name: str | None) -> FileFeedback:
    """Return the settings, where they are not given those of the format."""
    if name is None:
        return given
    known = FILE_FORMATS.factory(name)
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
    content: Content, settings: FileFeedback, name: str | None, records: Records
) -> Meaning:
    """Return what the columns of a file mean."""
    names = records.names
    known = {} if name is None else FILE_FORMATS.factory(name).found(names)
    given = {**known, **settings.columns}
    lone = settings.wide or "impressions" in given
    roles = roles_of(
        names, given, required=("user",) if lone else ("user", "item"), file=f"{content.name}: "
    )
    where = settings.where
    assert where is None or isinstance(where, Expression)
    if where is not None:
        where.check(names)
    marks = marks_of(settings.marks)
    for column in (*settings.context, *(mark[0] for mark in marks)):
        check.one_of("column", column, names)
    kind, roles = _kind_for_all(roles, names)
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
        time_unit=settings.time_unit,
        time_format=settings.time_format,
        untimed=name == _OWN,
        marks=marks,
        context=rest if name == _OWN else tuple(settings.context),
        wide=rest if settings.wide else (),
        where=where,
    )


def _kind_for_all(roles: dict[str, str], names: Sequence[str]) -> tuple[Word, dict[str, str]]:
    """Return what every event is where no column tells it: a rating where there is a value."""
    said = roles.get("kind")
    if said is None or said in names:
        usual = FeedbackKind.RATING if "value" in roles else FeedbackKind.CLICK
        return Word(usual), roles
    others = {role: name for role, name in roles.items() if role != "kind"}
    return word_of("kind", said), others


# --- many files as one --------------------------------------------------------------------------


@final
class _Rows:
    """Where events come from, and which records were set apart; grows."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._rows: list[IntArray] = [np.zeros(0, dtype=np.int64)]
        self._blocks: list[IntArray] = [np.zeros(0, dtype=np.int64)]
        self.rejected: list[RejectedRow] = []
        self.left_out: Counter[str] = Counter()
        self.units: frozenset[str] = frozenset()
        self.n = 0

    def add(self, file: str, events: Events) -> None:
        """Take what a block says of its records."""
        number = np.broadcast_to(np.int64(len(self._files)), events.rows.shape)
        self._files.append(file)
        self._blocks.append(number)
        self._rows.append(events.rows)
        self.rejected += [RejectedRow(*row, file=file) for row in events.rejected]
        self.left_out += events.left_out
        self.units |= events.units
        self.n += events.n_records

    def without(self, feedback: Feedback, bad: BoolArray, reason: str) -> Feedback:
        """Set events apart, and return the others."""
        if not bad.any():
            return feedback
        rows, blocks = np.concatenate(self._rows), np.concatenate(self._blocks)
        self._rows, self._blocks = [rows[~bad]], [blocks[~bad]]
        for event in np.flatnonzero(bad).tolist():
            data = {name: str(cell) for name, cell in feedback.row(event).items()}
            told = f"{reason}: {_strange(feedback, event, reason)}"
            self.rejected.append(
                RejectedRow(int(rows[event]), told, data, self._files[blocks[event]])
            )
        return feedback.where(~bad)


def _strange(feedback: Feedback, place: int, reason: str) -> str:
    if reason.startswith("time"):
        return str(np.datetime64(int(feedback.time[place]), "ns"))[:19]
    return f"{feedback.value[place]:g}"


def loaded_from(files: Sequence[Opened]) -> LoadedFeedback:
    """Return what files hold, as one.

    Raises:
        InvalidDataError: If they differ in their columns, or cannot be read.
    """
    first = files[0]
    for other in files[1:]:
        _check_alike(first, other)
    rows, blocks = _Rows(), []
    for file in files:
        name = file.content.name if len(files) > 1 else ""
        for block in file.records.blocks(file.meaning.wanted):
            events = events_of(block, file.meaning, shown=max(0, _SHOWN - len(rows.rejected)))
            blocks.append(events.columns)
            rows.add(name, events)
    feedback = assembled(blocks) if blocks else Feedback.of(user=[], item=[])
    feedback, told = _judged(feedback, rows, first.meaning)
    meaning = first.meaning
    used = {*meaning.roles.values(), *meaning.wanted}
    return LoadedFeedback(
        feedback,
        tuple(sorted(rows.rejected, key=lambda row: (row.file, row.row))),
        {role: column for role, column in meaning.roles.items() if column},
        unused=tuple(name for name in first.records.names if name not in used),
        told={**_told_of(files), **told},
        left_out=dict(rows.left_out),
        n_rows=rows.n,
        declared=None if meaning.scale is None else Scale(*meaning.scale),
    )


def _judged(feedback: Feedback, rows: _Rows, meaning: Meaning) -> tuple[Feedback, dict[str, str]]:
    """Set apart what is strange beside the rest, and refuse what can be read in two ways."""
    told: dict[str, str] = {}
    if meaning.untimed:
        return feedback, told
    if "time" in meaning.roles:
        column = meaning.roles["time"]
        if meaning.time_unit is None:
            one_unit(rows.units, column)
            far = far_times(feedback.time, rows.units, column)
            feedback = rows.without(feedback, far, "time is decades away from the rest")
        if rows.units:
            told["times are told as"] = ", ".join(sorted(rows.units - {"small"}) or ["s"])
    if meaning.scale is None and ("value" in meaning.roles or meaning.wide):
        column = meaning.roles.get("value", "the cells")
        rated = feedback.kind == FeedbackKind.RATING
        odd = sentinels(feedback.value, rated, column)
        feedback = rows.without(feedback, odd, "rating stands apart from the others")
        if "kind" not in meaning.roles and are_thumbs(feedback.value, feedback.kind):
            told["kind of all"] = "thumb, for every value is 1 or -1"
            kind = np.full(len(feedback), FeedbackKind.THUMB, dtype=np.int8)
            return replace(feedback, kind=kind), told
    if "kind" not in meaning.roles and not meaning.wide and meaning.kind.kind is not None:
        told["kind of all"] = meaning.kind.kind.name.lower()
    return feedback, told


def _told_of(files: Sequence[Opened]) -> dict[str, str]:
    names = [file.content.name for file in files]
    listed = ", ".join(names[:5]) + (f", … and {len(names) - 5} more" if len(names) > 5 else "")
    told = {"file" if len(names) == 1 else "files": listed}
    for key in dict.fromkeys(key for file in files for key in file.told):
        told[key] = "; ".join(dict.fromkeys(f.told[key] for f in files if key in f.told))
    return told


def _check_alike(one: Opened, other: Opened) -> None:
    """Refuse files that mean different things.

    Raises:
        InvalidDataError: If their columns differ, or stand for different things.
    """
    told = f"{other.content.name} has other columns than {one.content.name}"
    json = "JSON" in one.told["written as"] + other.told["written as"]
    mine, theirs = set(one.records.names), set(other.records.names)
    if not json and mine != theirs:
        lacking = ", ".join(sorted(mine - theirs)[:5])
        more = ", ".join(sorted(theirs - mine)[:5])
        said = f"it lacks {lacking}" if lacking else f"it also has {more}"
        raise InvalidDataError(f"{told}: {said}. Name the files that belong together.")
    if one.meaning.roles != other.meaning.roles:
        raise InvalidDataError(
            f"{told}: {_spelt(other.meaning.roles)}, not {_spelt(one.meaning.roles)}. Name the "
            "files that belong together."
        )


def _spelt(roles: Mapping[str, str]) -> str:
    return ", ".join(f"{role} {name}" for role, name in roles.items())
