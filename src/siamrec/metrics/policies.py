"""What is done in the cases that definitions leave open; every choice is printed in the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from siamrec._core import check

EmptyTruth: TypeAlias = Literal["exclude", "zero", "nan", "raise"]
MissingUser: TypeAlias = Literal["zero", "exclude", "raise"]
ShortList: TypeAlias = Literal["pad", "actual"]
Duplicates: TypeAlias = Literal["raise", "first"]
Ties: TypeAlias = Literal["given", "expected", "id-descending", "pessimistic", "optimistic"]
SeenItems: TypeAlias = Literal["warn", "remove", "raise", "allow"]

_CHOICES = {
    "empty_truth": ("exclude", "zero", "nan", "raise"),
    "missing_user": ("zero", "exclude", "raise"),
    "short_list": ("pad", "actual"),
    "duplicates": ("raise", "first"),
    "ties": ("given", "expected", "id-descending", "pessimistic", "optimistic"),
    "seen_items": ("warn", "remove", "raise", "allow"),
}


class SampledMetricWarning(UserWarning):
    """Ranks among sampled candidates are not ranks among all items, and may order models wrongly.

    References:
        Krichene and Rendle (2020), "On sampled metrics for item recommendation", KDD.
    """


class SeenItemsWarning(UserWarning):
    """Lists hold items that the user is known to have seen."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The choices of a suite.

    Args:
        empty_truth: A user without a relevant item is left out of the mean (`"exclude"`), counts
            as 0 (`"zero"`), makes the mean NaN (`"nan"`), or is refused (`"raise"`).
        missing_user: A user with relevant items but no list counts as an empty list (`"zero"`),
            is left out (`"exclude"`), or is refused (`"raise"`).
        short_list: A list shorter than the cut-off `k` is divided by `k` (`"pad"`) or by its own
            length (`"actual"`).
        duplicates: A list that repeats an item is refused (`"raise"`), or only the first place
            counts (`"first"`) and later items move up.
        ties: Items of equal score stay as they stand (`"given"`), or are averaged over all their
            orders (`"expected"`), or ordered by id from high to low (`"id-descending"`), or with
            relevant items last (`"pessimistic"`) or first (`"optimistic"`). All but `"given"`
            need scores that fall along each list.
        seen_items: Items of `history=` found in a list cause a warning (`"warn"`), are taken out
            (`"remove"`), are refused (`"raise"`), or are left alone (`"allow"`).
        relevance: Smallest grade that counts as relevant, above 0; without it, every grade
            above 0 does.

    Raises:
        siamrec.errors.UnknownNameError: If a choice is unknown.
        siamrec.errors.InvalidParameterError: If `relevance` is not above 0.
    """

    empty_truth: EmptyTruth = "exclude"
    missing_user: MissingUser = "zero"
    short_list: ShortList = "pad"
    duplicates: Duplicates = "raise"
    ties: Ties = "given"
    seen_items: SeenItems = "warn"
    relevance: float | None = None

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            check.one_of(name, getattr(self, name), known)
        if self.relevance is not None:
            check.positive("relevance", self.relevance)
