"""Formats of files that are known by name: public data sets, exports of other tools, our own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.book import HOUSE, Book
from siamrec._core.installed import installed_plugins
from siamrec._core.recipe import Recipe
from siamrec._core.table import Record
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.feedback._meaning import ROLES, WORDS, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SETTINGS = (
    "header", "delimiter", "quote", "decimal", "time_unit", "time_format", "kinds", "not_rated",
    "scale", "wide", "marks", "ids", "where", "context",
)  # fmt: skip
"""Settings of `FileFeedback` that a format may have."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FileFormat(Recipe, Record):
    """How files of one origin are written and what their columns mean.

    Args:
        about: What it is.
        columns: Column of each role; `"a|b"` is the first of them that is there, `"a?"` may be
            missing. In place of a column of kinds a kind for all rows may stand.
        settings: Settings of `FileFeedback`, used where they are not given.
        header: Columns by which a file is recognised: all are there.
        line: Form of the first line by which a file without a header is recognised.
        file: Form of the names of its files in a folder that has others too, such as `"u.data"`.
        encoding: Encoding of those of its files that are not UTF-8.

    Raises:
        siamrec.errors.UnknownNameError: If a role or a setting is not known.
        siamrec.errors.InvalidParameterError: If the form of the first line is none.

    Examples:
        >>> mine = FileFormat(about="Our shop", columns={"user": "who", "item": "what"})
        >>> mine
        <File format: Our shop>
    """

    about: str
    columns: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    line: str = ""
    file: str = ""
    encoding: str | None = None

    def __post_init__(self) -> None:
        for name in ("about", "line", "file", "encoding"):
            if (told := getattr(self, name)) is not None:
                check.kind(name, told, str)
        for role in check.kind("columns", self.columns, Mapping):
            check.one_of("column role", role, ROLES)
        for setting in check.kind("settings", self.settings, Mapping):
            check.one_of("setting of a format", setting, _SETTINGS)
        header = tuple(check.many("header", self.header, what="names of columns"))
        object.__setattr__(self, "header", header)
        try:
            re.compile(self.line)
        except re.error as error:
            raise InvalidParameterError("line", self.line, "a regular expression") from error

    @override
    def title(self) -> str:
        return f"File format: {self.about}"

    def fits(self, names: Sequence[str], line: str) -> bool:
        """Whether a file is of this format, by its columns or its first line."""
        if self.header:
            return set(self.header) <= set(names)
        return bool(self.line) and re.fullmatch(self.line, line) is not None

    def is_named(self, name: str) -> bool:
        """Whether a file of a folder is of this format by its name."""
        return not self.file or any(fnmatch(name, each) for each in self.file.split("|"))

    def found(self, names: Sequence[str]) -> dict[str, str]:
        """Return the column of each role.

        Raises:
            InvalidDataError: If one that must be there is missing.
        """
        found: dict[str, str] = {}
        for role, told in self.columns.items():
            wanted = told.removesuffix("?").split("|")
            there = next((name for name in wanted if name in names), None)
            if there is not None:
                found[role] = there
            elif role == "kind" and plain_name(told) in WORDS:
                found[role] = told
            elif not told.endswith("?"):
                raise InvalidDataError(
                    f"A file of the format {self.about} has a column {' or '.join(wanted)}, "
                    f"found {', '.join(names[:20])}."
                )
        return found


_OWN = ("user", "item", "kind", "value", "weight", "time")
_MORE = ("decision", "position", "propensity", "query")
_PLAIN = {"user": "user", "item": "item", "value": "rating", "time": "timestamp"}
_HEADLESS = {"header": ("user", "item", "rating", "timestamp")}
_REVIEW = {"user": "reviewerID", "item": "asin", "value": "overall", "time": "unixReviewTime"}
_SECONDS = r"\d{9,10}"

FILE_FORMATS: Book[FileFormat, FileFormat] = Book(
    "file format",
    {
        "siamrec": FileFormat(
            about="siamrec's own export",
            columns={**{name: name for name in _OWN}, **{name: f"{name}?" for name in _MORE}},
            header=_OWN,
        ),
        "movielens": FileFormat(
            about="MovieLens, CSV",
            columns={"user": "userId", "item": "movieId", "value": "rating", "time": "timestamp?"},
            header=("userId", "movieId", "rating"),
            file="ratings.csv",
        ),
        "movielens-100k": FileFormat(
            about="MovieLens 100K, u.data",
            columns=_PLAIN,
            settings={**_HEADLESS, "delimiter": "\t", "scale": (1.0, 5.0)},
            line=rf"\d+\t\d+\t[1-5]\t{_SECONDS}",
            file="u.data",
        ),
        "movielens-dat": FileFormat(
            about="MovieLens 1M and 10M, ratings.dat",
            columns=_PLAIN,
            settings={**_HEADLESS, "delimiter": "::", "scale": (0.5, 5.0)},
            line=rf"\d+::\d+::\d(\.5|\.0)?::{_SECONDS}",
            file="ratings.dat",
        ),
        "book-crossing": FileFormat(
            about="Book-Crossing, ratings",
            columns={"user": "User-ID", "item": "ISBN", "value": "Book-Rating"},
            settings={"not_rated": (0.0,), "scale": (1.0, 10.0)},
            header=("User-ID", "ISBN", "Book-Rating"),
            file="*Ratings*.csv",
            encoding="latin-1",
        ),
        "amazon-2014": FileFormat(
            about="Amazon reviews 2014 and 2018, JSON",
            columns=_REVIEW,
            settings={"scale": (1.0, 5.0), "time_unit": "s"},
            header=("reviewerID", "asin", "overall", "unixReviewTime"),
        ),
        "amazon-2014-ratings": FileFormat(
            about="Amazon reviews 2014, ratings only",
            columns=_PLAIN,
            settings={**_HEADLESS, "delimiter": ",", "scale": (1.0, 5.0), "time_unit": "s"},
            line=rf"A[A-Z0-9]{{9,20}},(B[A-Z0-9]{{9}}|\d{{9}}[\dX]),\d(\.0)?,{_SECONDS}",
        ),
        "amazon-2018-ratings": FileFormat(
            about="Amazon reviews 2018, ratings only",
            columns=_PLAIN,
            settings={
                "header": ("item", "user", "rating", "timestamp"),
                "delimiter": ",",
                "scale": (1.0, 5.0),
                "time_unit": "s",
            },
            line=rf"(B[A-Z0-9]{{9}}|\d{{9}}[\dX]),A[A-Z0-9]{{9,20}},\d(\.0)?,{_SECONDS}",
        ),
        "amazon-2023": FileFormat(
            about="Amazon reviews 2023",
            columns={
                "user": "user_id",
                "item": "parent_asin",
                "value": "rating",
                "time": "timestamp",
            },
            settings={"scale": (1.0, 5.0), "time_unit": "ms"},
            header=("user_id", "parent_asin", "rating", "timestamp"),
        ),
        "goodreads": FileFormat(
            about="Goodreads (UCSD), interactions",
            columns={
                "user": "user_id",
                "item": "book_id",
                "value": "rating",
                "time": "date_added?",
            },
            settings={
                "not_rated": (0.0,),
                "scale": (1.0, 5.0),
                "time_format": "%a %b %d %H:%M:%S %z %Y",
            },
            header=("user_id", "book_id", "is_read", "rating"),
            file="goodreads_interactions*",
        ),
        "lastfm-360k": FileFormat(
            about="Last.fm 360K, plays of artists",
            columns={"user": "user", "item": "artist", "weight": "plays", "kind": "listen"},
            settings={
                "header": ("user", "artist-id", "artist", "plays"),
                "delimiter": "\t",
                "quote": "",
            },
            line=r"[0-9a-f]{40}\t[^\t]*\t[^\t]*\t\d+",
            file="usersha1-artmbid-artname-plays*",
        ),
        "lastfm-1k": FileFormat(
            about="Last.fm 1K, plays of tracks",
            columns={"user": "user", "item": "track-id", "time": "timestamp", "kind": "listen"},
            settings={
                "header": ("user", "timestamp", "artist-id", "artist", "track-id", "track"),
                "delimiter": "\t",
                "quote": "",
            },
            line=r"user_\d{6}\t\d{4}-\d\d-\d\dT[^\t]+Z\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*",
            file="userid-timestamp-artid-artname-traid-traname*",
        ),
        "retailrocket": FileFormat(
            about="RetailRocket, events",
            columns={
                "user": "visitorid",
                "item": "itemid",
                "kind": "event",
                "time": "timestamp",
            },
            settings={"time_unit": "ms"},
            header=("timestamp", "visitorid", "event", "itemid", "transactionid"),
            file="events.csv",
        ),
        "mind": FileFormat(
            about="MIND, behaviors.tsv",
            columns={
                "user": "user",
                "time": "time",
                "decision": "impression",
                "impressions": "impressions",
            },
            settings={
                "header": ("impression", "user", "time", "history", "impressions"),
                "delimiter": "\t",
                "quote": "",
                "time_format": "%m/%d/%Y %I:%M:%S %p",
            },
            line=r"\d+\tU\d+\t\d+/\d+/\d{4} [^\t]+ [AP]M\t[^\t]*\tN\d+.*",
            file="behaviors.tsv",
        ),
        "kuairand": FileFormat(
            about="KuaiRand and KuaiSAR, logs of videos shown",
            columns={
                "user": "user_id",
                "item": "video_id",
                "time": "time_ms",
                "kind": "impression",
            },
            settings={
                "time_unit": "ms",
                "marks": {
                    "is_click": "click",
                    "is_like": "like",
                    "is_hate": "dislike",
                    "is_comment": "comment",
                    "play_time_ms": "dwell/1000",
                },
            },
            header=(
                *("user_id", "video_id", "time_ms", "is_click", "is_like", "is_hate"),
                *("is_comment", "play_time_ms"),
            ),
            file="log_*.csv",
        ),
        "recbole": FileFormat(
            about="RecBole, atomic file of interactions",
            settings={"delimiter": "\t", "quote": ""},
            line=r"[^\t:]+:(token|float)(_seq)?(\t[^\t:]+:(token|float)(_seq)?)+",
            file="*.inter",
        ),
        "stackexchange-votes": FileFormat(
            about="Stack Exchange, votes",
            columns={
                "user": "UserId",
                "item": "PostId",
                "kind": "VoteTypeId",
                "time": "CreationDate",
            },
            settings={
                "kinds": {
                    "1": "like",  # accepted by who asked
                    "2": "like",
                    "3": "dislike",
                    "5": "like",  # kept as a favourite
                    **{str(other): "skip" for other in (4, *range(6, 17))},
                }
            },
            header=("Id", "PostId", "VoteTypeId", "CreationDate"),
        ),
        "langfuse": FileFormat(
            about="Langfuse, scores",
            columns={
                "user": "trace.userId|userId|user_id",
                "item": "traceId|trace_id",
                "value": "value",
                "time": "timestamp",
            },
            header=("traceId", "name", "value", "source", "timestamp"),
        ),
        "open-webui": FileFormat(
            about="Open WebUI, feedback",
            columns={
                "user": "user_id",
                "item": "data.model_id",
                "value": "data.rating",
                "time": "created_at",
                "kind": "thumb",
            },
            settings={"not_rated": (0.0,), "time_unit": "s"},
            header=("user_id", "data.rating", "data.model_id", "created_at"),
        ),
    },
    contract=FileFormat,
    recipes=FileFormat,
    factories=FileFormat,
)
"""Every format of files by name."""


def guest_formats() -> dict[str, FileFormat]:
    """Return the formats that plugins and the host bring, by name; loads the plugins."""
    installed_plugins()  # what they offer is in the book from then on
    names = (name for name in FILE_FORMATS if FILE_FORMATS.owner(name) != HOUSE)
    return {name: FILE_FORMATS.factory(name) for name in names}


def recognised(
    formats: Mapping[str, FileFormat], names: Iterable[str], line: str = ""
) -> FileFormat | None:
    """Return which of the formats a file is of, by its columns or its first line.

    Of those known by columns the one that asks for all the columns of the others, and more, is
    the nearest.

    Raises:
        InvalidDataError: If it may be of several.
    """
    listed = tuple(names)
    known = {name: each for name, each in formats.items() if each.fits(listed, line)}
    nearest = [
        each
        for name, each in known.items()
        if all(set(each.header) > set(other.header) for key, other in known.items() if key != name)
    ]
    if len(known) > 1 and not nearest:
        fitting = sorted(known)
        first = fitting[0]
        raise InvalidDataError(
            f"The file may be of the format {' or '.join(fitting)}. Say which with "
            f"--format {first} (format={first!r} from Python)."
        )
    return nearest[0] if nearest else None


def called(known: FileFormat) -> str:
    """Return what a format is called: its name and who brings it, or that it was given."""
    name = next((name for name in FILE_FORMATS if FILE_FORMATS.factory(name) is known), None)
    if name is None:
        return "given"
    owner = FILE_FORMATS.owner(name)
    return name if owner == HOUSE else f"{name} of {owner}"
