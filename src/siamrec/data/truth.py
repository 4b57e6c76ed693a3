"""What each user truly liked, in compressed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import counted
from siamrec.data import frames
from siamrec.data.columnar import Columnar, one_or_more
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.data.liking import liked, speakers
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Truth(Columnar):
    """The judged items of each user with their grades, in compressed rows.

    Row `u` is `item[start[u]:start[u + 1]]`. A grade of 0 says "judged, not relevant"; which
    grades count as relevant is decided by who reads it.

    Args:
        users: Ids of the users.
        items: Ids of the items.
        start: Row bounds, shape `(n_users + 1,)`, rising from 0 to the number of judgements.
        item: Item codes, rising within each user (so never twice), shape `(n_judgements,)`.
        grade: Gain of each judgement, finite and not negative, shape `(n_judgements,)`.

    Raises:
        siamrec.errors.InvalidDataError: If the columns break one of these rules.

    Examples:
        >>> truth = Truth.from_lists({"ann": {"a": 2.0, "z": 1.0}, "bob": ["x"]})
        >>> len(truth), truth.n_judged.tolist(), truth.lists()["ann"]
        (2, [2, 1], {'a': 2.0, 'z': 1.0})
    """

    users: Vocabulary
    items: Vocabulary
    start: IntArray
    item: CodeArray
    grade: FloatArray

    def __post_init__(self) -> None:
        self.users.checked("a user")
        self.items.checked("an item")
        check_rows("Truth", len(self.users), len(self.items), self.start, self.item)
        check.same_length(item=self.item, grade=self.grade)
        grade = check.finite("grade", self.grade)
        if (grade < 0).any():
            row = int(np.argmax(grade < 0))
            raise InvalidDataError(f"grade must not be negative, got {grade[row]} in row {row}.")
        item = check.frozen(self.item, np.int32)
        start = check.frozen(self.start, np.int64)
        falls = item[1:] <= item[:-1]
        falls[(start[1:-1] - 1)[(start[1:-1] > 0) & (start[1:-1] < item.size)]] = False
        if falls.any():
            raise InvalidDataError(
                "item must rise within each user of a Truth, "
                f"got code {item[int(np.argmax(falls)) + 1]} out of order or twice."
            )
        object.__setattr__(self, "item", item)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "grade", check.frozen(grade, np.float64))

    @classmethod
    def from_lists(
        cls,
        lists: Mapping[Any, Iterable[Hashable] | Mapping[Any, float]],
        *,
        items: Vocabulary | None = None,
    ) -> Self:
        """Return the truth of a mapping from user to its relevant items.

        Args:
            lists: For each user a list or set of item ids (grade 1 each), or a mapping from
                item id to grade.
            items: Vocabulary of the items; without it, ids in order of first appearance.

        Raises:
            siamrec.errors.InvalidDataError: If a list repeats an item or a grade is bad.
            siamrec.errors.UnknownNameError: If an item is not in `items`.
        """
        ids: list[Hashable] = []
        grades: list[float] = []
        counts: list[int] = []
        check.kind("lists", lists, Mapping)
        for user, row in lists.items():
            listed = list(row) if isinstance(row, Mapping) else check.many(f"lists[{user!r}]", row)
            ids += listed
            grades += list(row.values()) if isinstance(row, Mapping) else [1.0] * len(listed)
            counts.append(len(listed))
        vocabulary = items if items is not None else Vocabulary.of(ids)
        return cls.from_arrays(
            user=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
            item=vocabulary.encode(ids, name="item"),
            grade=np.array(grades, dtype=np.float64),
            users=Vocabulary(tuple(lists)),
            items=vocabulary,
        )

    @classmethod
    def from_feedback(
        cls, feedback: Feedback, *, positive: float | None = None, graded: bool = False
    ) -> Self:
        """Return what each user of the feedback liked; of a pair the strongest and latest counts.

        An opinion stands before an act, and an act before a view; an event with a time is later
        than one without, and events of one instant come in the order of their rows. Events of
        weight 0 do not count, others count alike.

        Args:
            feedback: What users did.
            positive: Least rating of a like; a thumb up, a click and a conversion are likes, a
                view, a dwell and a comment are none. Without it every event is one, but a thumb
                down.
            graded: Whether the grade is the value (which must not be negative) rather than 1;
                where anything is rated, ratings alone have grades.

        Raises:
            siamrec.errors.InvalidDataError: If a grade would be negative.
        """
        check.kind("feedback", feedback, Feedback)
        last = speakers(feedback)
        kind, value = feedback.kind[last], feedback.value[last].astype(np.float64)
        chosen = liked(kind, value, positive)
        rated = kind == FeedbackKind.RATING
        if graded and rated.any():
            chosen &= rated
        return cls.from_arrays(
            user=feedback.user[last][chosen],
            item=feedback.item[last][chosen],
            grade=value[chosen] if graded else None,
            users=feedback.users,
            items=feedback.items,
        )

    @classmethod
    def from_frame(
        cls, frame: object, *, user: str = "user", item: str = "item", grade: str | None = None
    ) -> Self:
        """Return the truth held by a data frame with one row for each judgement.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            user: Column of user ids.
            item: Column of item ids.
            grade: Column of grades; without it every row has the grade 1.

        Raises:
            siamrec.errors.UnknownNameError: If a column is missing.
            siamrec.errors.InvalidDataError: If an id is null, a pair repeats or a grade is bad.
        """
        table = frames.table_of(frame)
        users, user_codes = frames.codes_of(frames.pick(table, user, "the user"), user)
        items, item_codes = frames.codes_of(frames.pick(table, item, "the item"), item)
        grades = None
        if grade is not None:
            grades = frames.floats_of(frames.pick(table, grade, "the grade"), grade)
        return cls.from_arrays(
            user=user_codes, item=item_codes, grade=grades, users=users, items=items
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        user: npt.ArrayLike,
        item: npt.ArrayLike,
        grade: npt.ArrayLike | None = None,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
    ) -> Self:
        """Return the truth of parallel columns of codes, in any order of rows.

        Args:
            user: User codes, shape `(n_judgements,)`.
            item: Item codes, shape `(n_judgements,)`.
            grade: Grades, shape `(n_judgements,)`; without them every grade is 1.
            users: Vocabulary of the users; without it the codes are their own ids.
            items: Vocabulary of the items; without it the codes are their own ids.

        Raises:
            siamrec.errors.InvalidDataError: If lengths differ, a code is out of range, or one
                user judges an item twice.
        """
        user_codes = whole_numbers("user", user)
        item_codes = whole_numbers("item", item)
        grades = np.ones(user_codes.size) if grade is None else np.asarray(grade, np.float64)
        check.same_length(user=user_codes, item=item_codes, grade=grades)
        users = own_codes(user_codes) if users is None else users
        items = own_codes(item_codes) if items is None else items
        in_range("user", user_codes, len(users))
        in_range("item", item_codes, len(items))
        order = np.argsort(user_codes * max(len(items), 1) + item_codes, kind="stable")
        counts = np.bincount(user_codes, minlength=len(users))
        return cls(
            users=users,
            items=items,
            start=np.concatenate(([0], counts.cumsum())),
            item=item_codes[order].astype(np.int32),
            grade=grades[order],
        )

    @override
    def __len__(self) -> int:
        return len(self.users)

    @override
    def row(self, place: int) -> dict[str, Any]:
        low, high = self.start[place], self.start[place + 1]
        grades = dict(
            zip(self.items.decode(self.item[low:high]), self.grade[low:high].tolist(), strict=True)
        )
        return {"user": self.users[place], "grades": grades}

    @override
    def title(self) -> str:
        return (
            f"Truth: {counted(self.item.size, 'judgement')} of {counted(len(self), 'user')} on "
            f"{counted(len(self.items), 'item')}"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return the users of a mask, or users by number in the order given.

        The vocabulary of items stays; that of users holds the chosen ones.

        Raises:
            siamrec.errors.InvalidDataError: If it is neither, or a user is chosen twice.
        """
        chosen = chosen_rows(rows, len(self))
        places = places_of(self.start, chosen)
        return type(self)(
            users=Vocabulary(tuple(self.users.decode(chosen))),
            items=self.items,
            start=bounds(self.n_judged[chosen]),
            item=self.item[places],
            grade=self.grade[places],
        )

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return the users of all parts, over the items of all of them.

        Raises:
            siamrec.errors.InvalidDataError: If there is no part, or a user is in two of them.
        """
        listed = one_or_more(parts, cls, "truth")
        items = listed[0].items
        for part in listed[1:]:
            items = items.extend(part.items)
        moved = [part.items.translate(items)[part.item] for part in listed]
        counts = np.concatenate([part.n_judged for part in listed])
        return cls.from_arrays(
            user=np.repeat(np.arange(counts.size), counts),
            item=np.concatenate(moved),
            grade=np.concatenate([part.grade for part in listed]),
            users=Vocabulary(tuple(id_ for part in listed for id_ in part.users)),
            items=items,
        )

    @property
    def n_judged(self) -> IntArray:
        """Number of judged items of each user, shape `(n_users,)`."""
        return np.diff(self.start)

    def lists(self) -> dict[Any, dict[Any, float]]:
        """Return the grades as a mapping from user id to a mapping from item id to grade."""
        ids = self.items.decode(self.item)
        grades = self.grade.tolist()
        bounds = self.start.tolist()
        return {
            user: dict(zip(ids[low:high], grades[low:high], strict=True))
            for user, low, high in zip(self.users, bounds, bounds[1:], strict=False)
        }

    def to_arrow(self) -> Any:
        """Return a pyarrow table with the columns user, item and grade."""
        owner = np.repeat(np.arange(len(self)), self.n_judged)
        return frames.arrow_table(
            {
                "user": self.users.decode(owner),
                "item": self.items.decode(self.item),
                "grade": self.grade,
            }
        )


def bounds(counts: npt.ArrayLike) -> IntArray:
    """Return the row bounds of compressed rows of these lengths."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def chosen_rows(rows: BoolArray | IntArray, n: int) -> IntArray:
    """Return a choice of compressed rows as numbers from 0."""
    chosen: IntArray = np.arange(n, dtype=np.int64)[check.rows("rows", rows, n)]
    return chosen


def places_of(start: IntArray, rows: IntArray) -> IntArray:
    """Return the places of compressed rows, row after row."""
    lengths = np.diff(start)[rows]
    within = np.arange(int(lengths.sum())) - np.repeat(bounds(lengths)[:-1], lengths)
    return np.repeat(start[:-1][rows], lengths) + within


def whole_numbers(name: str, values: npt.ArrayLike) -> IntArray:
    """Return codes as int64.

    Raises:
        siamrec.errors.InvalidDataError: If they are not whole numbers.
    """
    column: npt.NDArray[Any] = np.asarray(values)
    if column.size and column.dtype.kind not in "iu":
        raise InvalidDataError(f"{name} must hold whole numbers, got dtype {column.dtype}.")
    return column.astype(np.int64, copy=False)


def own_codes(codes: IntArray) -> Vocabulary:
    """Return the vocabulary in which a code is its own id."""
    return Vocabulary(tuple(range(int(codes.max(initial=-1)) + 1)))


def in_range(name: str, codes: npt.NDArray[Any], size: int) -> None:
    """Refuse codes outside `[0, size)`.

    Raises:
        siamrec.errors.InvalidDataError: If there is one; the message tells the first.
    """
    if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= size):
        outside = (codes < 0) | (codes >= size)
        row = int(np.argmax(outside))
        raise InvalidDataError(
            f"{name} must hold codes below {size}, got {codes.flat[row]} in row {row}."
        )


def check_rows(
    kind: str, n_users: int, n_items: int, start: npt.NDArray[Any], item: npt.NDArray[Any]
) -> None:
    """Refuse compressed rows whose bounds or codes do not fit.

    Raises:
        siamrec.errors.InvalidDataError: If they do not.
    """
    if start.shape != (n_users + 1,):
        raise InvalidDataError(
            f"start of a {kind} must have {n_users + 1} entries for {n_users} users, "
            f"got shape {start.shape}."
        )
    if start[0] != 0 or start[-1] != item.size or (start[1:] < start[:-1]).any():
        raise InvalidDataError(
            f"start of a {kind} must rise from 0 to {item.size}, "
            f"got {int(start[0])} to {int(start[-1])}."
        )
    in_range("item", item, n_items)
