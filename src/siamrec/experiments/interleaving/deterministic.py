"""Interleaving: two or more rankers share one list, and clicks tell which one is better."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import uniform
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments.sequential._book import LOOKING_RULES
from siamrec.statistics import proportions
from siamrec.statistics.effect import Effect
from siamrec.statistics.tails import (
    deviate_of_t,
    positive_p,
    reach_of_t,
    t_of_deviate,
    two_sided_t,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from siamrec._core.book import Named
    from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class Interleaved(Shown):
    """One list made of several rankers'.

    Attributes:
        items: The list, best first, without repeats.
        teams: For each item, the code of the ranker that is credited with it.
        n_teams: Number of rankers.
    """

    items: tuple[Hashable, ...]
    teams: tuple[int, ...]
    n_teams: int

    @override
    def title(self) -> str:
        return f"Interleaved list of {counted(len(self.items), 'item')} from {self.n_teams} teams"

    @override
    def table(self) -> Table:
        """Return the items with the team that gave each."""
        rows = tuple((str(i), team) for i, team in zip(self.items, self.teams, strict=True))
        return Table(head=("item", "team"), rows=rows, title=self.title())

    def credit(
        self, clicked: Sequence[Hashable], *, rule: Literal["all", "first", "binary"] = "all"
    ) -> tuple[float, ...]:
        """Return the credit of each ranker.

        Args:
            clicked: Items that were clicked, in the order of the clicks; others than those shown
                are left out.
            rule: `"all"` counts every item clicked once, `"first"` the first click only,
                `"binary"` gives 1 to each ranker with a click.

        Raises:
            UnknownNameError: If the rule is not known.
        """
        check.one_of("rule", rule, ("all", "first", "binary"))
        team = dict(zip(self.items, self.teams, strict=True))
        hits = [team[item] for item in dict.fromkeys(clicked) if item in team]
        if rule == "first":
            hits = hits[:1]
        counts = np.bincount(np.array(hits, dtype=np.int64), minlength=self.n_teams).astype(float)
        return tuple((np.minimum(counts, 1.0) if rule == "binary" else counts).tolist())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TeamDraft:
    """Team-draft interleaving, of two or more rankers.

    In every round the rankers pick in an order drawn by chance, each the best of its items that
    is not taken yet. The chance is a hash of the request id: a request gets the same list again
    when it is repeated, and the log need not keep it.

    Args:
        salt: Changes every draw.

    References:
        Radlinski, Kurup, Joachims (2008), CIKM; Schuth, Sietsma, Whiteson, Lefortier, de Rijke
        (2014), CIKM, for more than two rankers.

    Examples:
        >>> shown = TeamDraft().interleave("request-1", ["a", "b", "c"], ["b", "d", "a"], k=3)
        >>> len(shown.items), sorted(set(shown.teams))
        (3, [0, 1])
    """

    salt: str = ""

    def interleave(self, request: str | int, *rankings: Sequence[Hashable], k: int) -> Interleaved:
        """Return one list of at most k items.

        Args:
            request: Id of the request.
            rankings: Two or more lists without repeats, best first.
            k: Length of the list.

        Raises:
            InvalidDataError: If a ranking repeats an item.
            InvalidParameterError: If there are fewer than two rankings, k is below 1, or the
                request is neither text with a UTF-8 form nor a whole number.
        """
        n_teams = len(rankings)
        if n_teams < 2:
            raise InvalidParameterError("rankings", n_teams, "two or more")
        check.count("k", k)
        request = request_text(request)
        for team, ranking in enumerate(rankings):
            check.many(f"ranking {team}", ranking)
            if len(set(ranking)) != len(ranking):
                raise InvalidDataError(f"Ranking {team} must not repeat items.")
        items: dict[Hashable, int] = {}
        place = [0] * n_teams
        turn = 0
        while len(items) < k:
            before = len(items)
            for team in self._order(request, turn, n_teams):
                ranking = rankings[team]
                while place[team] < len(ranking) and ranking[place[team]] in items:
                    place[team] += 1
                if place[team] < len(ranking) and len(items) < k:
                    items[ranking[place[team]]] = team
            if len(items) == before:
                break
            turn += 1
        return Interleaved(tuple(items), tuple(items.values()), n_teams)

    def _order(self, request: str, turn: int, n_teams: int) -> list[int]:
        """Fisher and Yates' shuffle with hashed numbers: all orders are equally likely."""
        order = list(range(n_teams))
        for last in range(n_teams - 1, 0, -1):
            draw = uniform(f"{request}|{turn}|{last}", f"team-draft|{self.salt}")
            other = int(draw * (last + 1))
            order[last], order[other] = order[other], order[last]
        return order


@final
@dataclass(frozen=True, slots=True)
class BalancedInterleaving:
    """Balanced interleaving of two rankers: at every depth both have given equally many, ± 1.

    Known to favour neither ranker only on average over rankings; team draft is the better
    default.

    Args:
        salt: Changes every draw.

    References:
        Joachims (2003), Text Mining; Chapelle, Joachims, Radlinski, Yue (2012), ACM TOIS 30.
    """

    salt: str = ""

    def interleave(
        self, request: str | int, first: Sequence[Hashable], second: Sequence[Hashable], *, k: int
    ) -> Interleaved:
        """Return one list of at most k items; each is credited to the ranker that has it higher.

        Items at equal rank in both are credited to whoever placed them.

        Raises:
            InvalidDataError: If a ranking repeats an item.
            InvalidParameterError: If k is below 1, or the request is neither text with a UTF-8
                form nor a whole number.
        """
        check.count("k", k)
        request = request_text(request)
        for team, ranking in enumerate((first, second)):
            check.many(f"ranking {team}", ranking)
            if len(set(ranking)) != len(ranking):
                raise InvalidDataError(f"Ranking {team} must not repeat items.")
        starts = uniform(request, f"balanced|{self.salt}") < 0.5
        lists = (first, second) if starts else (second, first)
        items: dict[Hashable, int] = {}
        place = [0, 0]
        while len(items) < k and any(place[side] < len(lists[side]) for side in (0, 1)):
            side = 0 if place[0] <= place[1] and place[0] < len(lists[0]) else 1
            if place[side] >= len(lists[side]):
                side = 1 - side
            items.setdefault(lists[side][place[side]], side if starts else 1 - side)
            place[side] += 1
        ranks = tuple({item: rank for rank, item in enumerate(each)} for each in (first, second))
        teams = []
        for item, placed in items.items():
            high, low = (rank.get(item, len(first) + len(second)) for rank in ranks)
            teams.append(placed if high == low else int(low < high))
        return Interleaved(tuple(items), tuple(teams), 2)


def request_text(request: str | int) -> str:
    """Return the id of a request as the text that is hashed; a whole number as its digits.

    Raises:
        InvalidParameterError: If it is neither text with a UTF-8 form nor a whole number.
    """
    given: object = request
    if isinstance(given, str):
        with suppress(UnicodeEncodeError):
            given.encode()
            return given
    elif isinstance(given, int | np.integer) and not isinstance(given, bool):
        return str(int(given))
    raise InvalidParameterError("request", request, "text with a UTF-8 form or a whole number")


def preference(
    credit: FloatArray,
    *,
    users: Sequence[Hashable] | None = None,
    alpha: float = 0.05,
    sequential: LookingRule | Named | None = None,
) -> Effect:
    """Test which of two rankers is preferred.

    The effect is the mean over users of the share of their requests won by the second ranker
    less the share won by the first (ties count for none), in [-1, 1]. Requests of one user are
    not independent, so users are the units.

    Where all n users say the same v there is no spread to judge by. By Markov's inequality they do
    so with a probability of at most `((1 + m) / (1 + v))^n` under a preference of m < v, which
    for v = 1 is that of Clopper and Pearson's exact interval; it holds at every look. Six such
    users are needed for 5 %. Nothing but ties has the effect 0 and p = 1.

    Args:
        credit: Credit of both rankers in each request, shape `(n_requests, 2)`.
        users: The user of each request; every request its own user when absent.
        alpha: Error rate, in (0, 1).
        sequential: Looking rule or its name, to look at any time.

    Raises:
        InvalidDataError: If shapes do not fit or a number is not finite.
        InvalidParameterError: If alpha is outside (0, 1).

    References:
        Chapelle, Joachims, Radlinski, Yue (2012), ACM TOIS 30; Clopper and Pearson (1934),
        Biometrika 26.

    Examples:
        >>> preference(np.tile([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]], (40, 1))).estimate > 0
        True
    """
    check.share("alpha", alpha, open_ends=True)
    wins = np.sign(_gaps(credit))
    if users is not None:
        if len(users) != len(wins):
            raise InvalidDataError(f"users must have {len(wins)} entries, got {len(users)}.")
        codes = {user: code for code, user in enumerate(dict.fromkeys(users))}
        place = np.array([codes[user] for user in users], dtype=np.int64)
        wins = np.bincount(place, wins) / np.bincount(place)
    n = wins.size
    looking = None if sequential is None else LOOKING_RULES.make(sequential)
    rule = "Student's t over users" if looking is None else looking.name
    if n < 2:
        return Effect(
            estimate=float(wins.mean()) if n else 0.0, interval=(-1.0, 1.0), p=1.0, log_p=0.0,
            error=np.inf, rule=rule,
        )  # fmt: skip
    estimate, error = float(wins.mean()), float(wins.std(ddof=1) / np.sqrt(n))
    agreed = np.ptp(wins) == 0
    if looking is None and agreed:
        return _of_one_mind(float(wins[0]), n, alpha)
    if looking is None:
        reach = reach_of_t(n - 1, alpha)
        p, log_p = two_sided_t(estimate / error, n - 1)
    else:
        # Users who all say the same would, without a preference, vary by what they say.
        error = abs(estimate) / float(np.sqrt(n - 1)) if agreed else error
        deviate = deviate_of_t(estimate / error, n - 1) if error > 0 else 0.0
        reach = t_of_deviate(looking.multiplier(n, alpha), n - 1) if error > 0 else 0.0
        p, log_p = positive_p(looking.log_p(deviate, n, alpha))
    low, high = -1.0, 1.0
    if error > 0:
        low, high = max(low, estimate - reach * error), min(high, estimate + reach * error)
    return Effect(
        estimate=estimate,
        interval=(low, high),
        p=p,
        log_p=log_p,
        error=error,
        rule=rule,
        freedom=float(n - 1),
        anytime=looking is not None,
    )


def _gaps(credit: FloatArray) -> FloatArray:
    """Return the credit of the second ranker less that of the first."""
    table = check.finite("credit", credit)
    if table.ndim != 2 or table.shape[1] != 2:
        raise InvalidDataError(f"credit must have shape (n_requests, 2), got {table.shape}.")
    gaps: FloatArray = table[:, 1] - table[:, 0]
    return gaps


def _of_one_mind(say: float, n: int, alpha: float) -> Effect:
    """Return the effect where every user says the same."""
    factor = float((alpha / 2) ** (1 / n))  # at least this share of all users says the same
    p, log_p = positive_p(min(float(np.log(2) - n * np.log1p(abs(say))), 0.0) if say else 0.0)
    return Effect(
        estimate=say,
        interval=((1 + say) * factor - 1, 1 - (1 - say) * factor),
        p=p,
        log_p=log_p,
        error=0.0,
        rule="users who agree, exact",
    )


def sign_test(credit: FloatArray) -> tuple[float, int, int]:
    """Return the exact two-sided p-value of as many wins, and the wins of both rankers.

    Ties are left out. Requests must be independent (one per user). The p-value is never 0.

    Args:
        credit: Credit of both rankers in each request, shape `(n_requests, 2)`.

    Raises:
        InvalidDataError: If the shape does not fit or a number is not finite.

    Examples:
        >>> sign_test(np.array([[0.0, 1.0]] * 6))
        (0.03125, 0, 6)
    """
    gap = _gaps(credit)
    second, first = int((gap > 0).sum()), int((gap < 0).sum())
    return proportions.sign_test(first, second), first, second
