"""What columns and words of files mean: usual names of each role, words for kinds of events."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple, final

from siamrec._core import check
from siamrec.data.feedback import FeedbackKind
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.expressions import Expression

ROLES: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user", "userid", "uid", "customer", "customerid", "reviewer", "reviewerid", "visitor",
        "visitorid", "member", "memberid",
    ),
    "item": (
        "item", "itemid", "iid", "movie", "movieid", "product", "productid", "asin", "documentid",
        "articleid", "newsid", "songid", "trackid", "bookid", "videoid", "isbn",
    ),
    "value": ("rating", "value", "score", "stars", "overall", "bookrating"),
    "time": (
        "timestamp", "time", "date", "datetime", "createdat", "ratedat", "unixreviewtime",
        "eventtime", "ts",
    ),
    "kind": ("kind", "event", "eventtype", "eventname", "action", "behavior", "interaction"),
    "weight": ("weight",),
    "position": ("position", "rank"),
    "propensity": ("propensity", "propensityscore", "pscore"),
    "decision": ("decision", "decisionid", "impressionid"),
    "query": ("query", "searchquery", "searchterm"),
    "impressions": ("impressions",),
}  # fmt: skip
"""Column names that are recognised, in lower case without '_', '-' and blanks."""

TEXTS = (
    "title", "name", "genres", "overview", "description", "plot", "summary", "text", "abstract",
    "keywords",
)  # fmt: skip
"""Column names of a catalogue that make texts, in this order."""


class Word(NamedTuple):
    """What a word for a kind of event says; no kind where its rows are left out."""

    kind: FeedbackKind | None
    value: float | None = None


SKIP = "skip"
_KINDS: Mapping[FeedbackKind, str] = {
    FeedbackKind.RATING: "rating rate review stars",
    FeedbackKind.CLICK: "click clicked open opened select selected play listen watch read "
    "download",
    FeedbackKind.VIEW: "view viewed pageview",
    FeedbackKind.THUMB: "thumb",
    FeedbackKind.DWELL: "dwell",
    FeedbackKind.CONVERSION: "conversion purchase purchased buy bought order ordered transaction "
    "checkout cart addtocart basket",
    FeedbackKind.COMMENT: "comment reply",
    FeedbackKind.IMPRESSION: "impression shown seen exposure exposed displayed",
}
_UP = "like liked up upvote thumbsup favorite favourite positive true yes"
_DOWN = "dislike disliked down downvote thumbsdown negative false no hate"
THUMBS: Mapping[str, float] = {
    **dict.fromkeys(_UP.split(), 1.0),
    **dict.fromkeys(_DOWN.split(), -1.0),
    "\N{THUMBS UP SIGN}": 1.0,
    "\N{THUMBS DOWN SIGN}": -1.0,
}
"""What a word says where a thumb is told by one."""
_TRUTHS = {"true", "yes", "false", "no", "positive", "negative"}
WORDS: Mapping[str, Word] = {
    **{word: Word(kind) for kind, words in _KINDS.items() for word in words.split()},
    **{w: Word(FeedbackKind.THUMB, v) for w, v in THUMBS.items() if w not in _TRUTHS},
    SKIP: Word(None),
}
"""Words for kinds of events that are known, as `plain_name` spells them."""


def plain_name(name: str) -> str:
    """Return a name in lower case without '_', '-', blanks, and a kind such as `:token`."""
    name = re.sub(r":(token|float)(_seq)?$", "", name)
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def word_of(name: str, word: object) -> Word:
    """Return what a word for a kind says.

    Raises:
        UnknownNameError: If it is not known; the nearest are offered.
    """
    known = WORDS.get(plain_name(word)) if isinstance(word, str) else None
    if known is None:
        raise UnknownNameError(name, word, WORDS)
    return known


def words_of(found: Iterable[str], given: Mapping[str, Word]) -> dict[str, Word]:
    """Return what each word of a column of kinds says.

    Raises:
        InvalidDataError: If one is neither given nor known.
    """
    exact = {**given}
    loose = {plain_name(word): said for word, said in given.items()}
    unknown = []
    for word in found:
        said = given.get(word) or loose.get(plain_name(word)) or WORDS.get(plain_name(word))
        if said is None:
            unknown.append(word)
        else:
            exact[word] = said
    if unknown:
        near = get_close_matches(plain_name(unknown[0]), WORDS, n=3)
        hint = f" (nearest: {', '.join(near)})" if near else ""
        raise InvalidDataError(
            f"Kinds that are not known: {', '.join(map(shown, unknown[:8]))}{hint}. Say what they "
            f"are, such as --kinds {unknown[0][:40]}=click or …=skip (kinds={{…}} from Python)."
        )
    return exact


def roles_of(
    names: Sequence[str],
    given: Mapping[str, str],
    *,
    required: Sequence[str],
    roles: Mapping[str, Sequence[str]] = ROLES,
    file: str = "",
) -> dict[str, str]:
    """Return which column stands for what: those given, else the one with a usual name.

    Raises:
        UnknownNameError: If a column that was given is not there.
        InvalidDataError: If a required role has no column, or a role has several.
    """
    for role, name in given.items():
        if name not in names and not (role == "kind" and plain_name(name) in WORDS):
            raise UnknownNameError(f"column for {role}", name, names)
    found = dict(given)
    for role, usual in roles.items():
        if role in given or (role == "impressions" and "item" in found):
            continue  # beside an item it is how often it was shown
        fitting = [n for n in names if plain_name(n) in usual and n not in given.values()]
        if len(fitting) > 1:
            raise InvalidDataError(
                f"{file}{' and '.join(map(shown, fitting[:4]))} may each be the {role}. "
                f"{_remedy(role)}"
            )
        if fitting:
            found[role] = fitting[0]
    for role in required:
        if role not in found and not (role == "item" and "impressions" in found):
            listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise InvalidDataError(
                f"{file}No column stands for the {role}; found {listed or 'none'}. {_remedy(role)}"
            )
    twice = [role for role, name in found.items() if list(found.values()).count(name) > 1]
    if twice:
        raise InvalidParameterError(
            "columns", {role: found[role] for role in twice}, "a column of its own for each role"
        )
    return found


def _remedy(role: str) -> str:
    return f"Name it with --{role} (columns={{'{role}': …}} from Python)."


def mixed_ids(name: str) -> str:
    """Return why texts and whole numbers in one column of ids are refused, and what to do."""
    return (
        f"Ids of the {name} are texts in one place and whole numbers in another; read them "
        "alike: ids='text' or ids='number' (--ids text)."
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the columns of a file mean.

    Attributes:
        roles: Column of each role.
        loose: Whether cells are texts without a kind of their own, to be trimmed and parsed.
        ids: `"written"`, `"text"` or `"number"`.
        kind: What every event is, where no column tells it.
        words: What words of the column of kinds say, beside the known ones.
        not_rated: Values that say that nothing was rated.
        scale: Smallest and largest rating, None where any number is one.
        decimal: What stands before the fraction of a number.
        time_unit: What numbers count.
        time_format: How texts of times are written.
        untimed: Whether an event may go without its time.
        marks: Further events of a row: column, what it says, what its value is divided by.
        context: Columns to carry along.
        wide: Columns of items whose cells are ratings.
        where: Rows that are taken.
    """

    roles: Mapping[str, str]
    loose: bool
    ids: str = "written"
    kind: Word
    words: Mapping[str, Word] = field(default_factory=dict)
    not_rated: tuple[float, ...] = ()
    scale: tuple[float, float] | None = None
    decimal: str = "."
    time_unit: str | None = None
    time_format: str | None = None
    untimed: bool = False
    marks: tuple[tuple[str, Word, float], ...] = ()
    context: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    where: Expression | None = None

    @property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        names = [*self.roles.values(), *(name for name, *_ in self.marks), *self.context]
        names += [*self.wide, *(self.where.names if self.where else ())]
        return list(dict.fromkeys(names))

    @property
    def id_columns(self) -> dict[str, bool]:
        """The columns of ids, and whether texts and numbers may stand in one."""
        roles = ("user", "item", "decision")
        return {self.roles[role]: self.ids != "written" for role in roles if role in self.roles}


def number_in(cell: Any) -> Any:
    """The number that a text spells, and the text where it spells none."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if not text or not (text[-1].isdigit() or text[-1] == ".") or "_" in text:
        return text or None
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text


def marks_of(given: Mapping[str, str]) -> tuple[tuple[str, Word, float], ...]:
    """Return what columns of marks say: `click`, or `dwell/1000` for milliseconds.

    Raises:
        siamrec.errors.UnknownNameError: If a word is not known.
        InvalidDataError: If a divisor is no number above 0.
    """
    return tuple(_mark(name, said) for name, said in given.items())


def _mark(name: str, said: str) -> tuple[str, Word, float]:
    word, _, divisor = check.text("mark", said).partition("/")
    number = number_in(divisor) if divisor else 1.0
    if not isinstance(number, int | float) or not number > 0:
        raise InvalidDataError(f"The mark {name} must be a kind, or one such as dwell/1000.")
    return name, word_of("mark", word), float(number)
