"""Every registered arm over data that no example has: a rule is kept, or an error says why not."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.models.every_arm import NAMES, is_deep, load, make

from siamrec.data import Catalog, Feedback, FeedbackKind, Vocabulary
from siamrec.errors import SiamrecError
from siamrec.models.recommenders import Capability

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.data import Rankings
    from siamrec.models.recommenders import FittedRecommender

SECOND = 10**9


def plain(n_users: int = 8, n_items: int = 7) -> Feedback:
    """Ratings with a little taste; nothing odd about them."""
    met = np.random.default_rng(5).random((n_users, n_items)) < 0.5
    met[:, 0] |= ~met.any(axis=1)
    met[0] |= ~met.any(axis=0)
    user, item = np.nonzero(met)
    value = np.where((user + item) % 2, 5, 2)
    return Feedback.of(
        user=[f"u{code}" for code in user],
        item=[f"i{code}" for code in item],
        value=value,
        time=np.arange(user.size) * SECOND,
    )


def renamed(feedback: Feedback, users: list[Any], items: list[Any]) -> Feedback:
    return replace(
        feedback,
        users=Vocabulary(tuple(users[: len(feedback.users)])),
        items=Vocabulary(tuple(items[: len(feedback.items)])),
    )


def whole(n_users: int, n_items: int, **columns: Any) -> Feedback:
    """Everybody with everything."""
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    columns.setdefault("value", 1 + (user + 2 * item) % 5)
    columns.setdefault("time", np.arange(user.size) * SECOND)
    return Feedback.of(user=[f"u{c}" for c in user], item=[f"i{c}" for c in item], **columns)


def repeated(feedback: Feedback, times: int) -> Feedback:
    again = Feedback.concat([feedback] * times)
    return replace(again, time=np.arange(len(again)) * SECOND)


def of_kind(feedback: Feedback, kind: FeedbackKind, value: float = 1.0) -> Feedback:
    return replace(
        feedback,
        kind=np.full(len(feedback), kind, np.int8),
        value=np.full(len(feedback), value, np.float32),
    )


PLAIN = plain()
TEXTS: list[Any] = ["", " ", "a,b", 'say "x"', "zwei\nZeilen", "用户", "null", "nan", "../up", "0"]
NUMBERS: list[Any] = [-1, 0, 2**62, -(2**62), 7, 1_000_000_007, 3, 2**31, 2**32, 5]
MANY = [f"other{code}" for code in range(4)]

ODD: dict[str, Callable[[], Feedback]] = {
    "plain": lambda: PLAIN,
    "one user": lambda: whole(1, 4),
    "one item": lambda: whole(5, 1),
    "one event": lambda: whole(1, 1),
    "no event": lambda: PLAIN.where(np.empty(0, np.int64)),
    "nobody and nothing": lambda: Feedback.of(user=[], item=[]),
    "all alike": lambda: whole(4, 4, value=3.0).where(np.arange(16) % 5 > 0),
    "all seen": lambda: whole(4, 3),
    "everybody once": lambda: Feedback.of(user=list("abcdef"), item=list("xyxyxz"), time=range(6)),
    "repeats": lambda: repeated(PLAIN, 4),
    "weight 0 for most": lambda: replace(PLAIN, weight=(PLAIN.user < 3).astype(np.float32)),
    "weight 0 for all": lambda: replace(PLAIN, weight=np.zeros(len(PLAIN), np.float32)),
    "ids that are texts": lambda: renamed(PLAIN, TEXTS, TEXTS),
    "ids that are numbers": lambda: renamed(PLAIN, NUMBERS, NUMBERS),
    "unused names": lambda: replace(
        PLAIN,
        users=PLAIN.users.extend(Vocabulary(("ghost",))),
        items=PLAIN.items.extend(Vocabulary(("unmet", "unseen"))),
    ),
    "ties in time": lambda: replace(PLAIN, time=np.full(len(PLAIN), SECOND)),
    "no times": lambda: Feedback.of(
        user=PLAIN.users.decode(PLAIN.user), item=PLAIN.items.decode(PLAIN.item), value=PLAIN.value
    ),
    "times far off": lambda: replace(
        PLAIN, time=np.where(PLAIN.user % 2, 9 * 10**18, -9 * 10**18)
    ),
    "large values": lambda: replace(PLAIN, value=(PLAIN.value * 1e12).astype(np.float32)),
    "values below 0": lambda: replace(PLAIN, value=-PLAIN.value),
    "nothing but 0": lambda: replace(PLAIN, value=np.zeros(len(PLAIN), np.float32)),
    "clicks": lambda: of_kind(PLAIN, FeedbackKind.CLICK),
    "views": lambda: of_kind(PLAIN, FeedbackKind.VIEW),
    "thumbs down": lambda: of_kind(PLAIN, FeedbackKind.THUMB, -1.0),
    "one who met all": lambda: Feedback.concat([PLAIN, whole(1, 7)]),
    "wide": lambda: plain(3, 40),
    "long": lambda: plain(40, 3),
}
"""Feedback by what is odd about it."""


def catalog_of(ids: Any) -> Catalog:
    texts = [
        None if code % 4 == 3 else f"story {code} of kind {code % 3}" for code in range(len(ids))
    ]
    kinds = [None if code % 4 == 2 else f"kind {code % 3}" for code in range(len(ids))]
    return Catalog(
        items=Vocabulary(tuple(ids)), text=tuple(texts), attributes={"kind": tuple(kinds)}
    )


CATALOGUES: dict[str, Callable[[Feedback], Catalog | None]] = {
    "its items": lambda feedback: catalog_of(feedback.items.ids),
    "disjoint": lambda _: catalog_of(MANY),
    "none": lambda _: None,
}

_FITTED: dict[tuple[str, str, str], FittedRecommender | SiamrecError] = {}


def fitted(name: str, odd: str, catalogue: str = "its items") -> FittedRecommender:
    """Return an arm, fitted once for all tests; what the house refuses skips the test."""
    key = (name, odd, catalogue)
    if key not in _FITTED:
        feedback = ODD[odd]()
        try:
            _FITTED[key] = make(name).fit(feedback, catalog=CATALOGUES[catalogue](feedback))
        except SiamrecError as error:
            _FITTED[key] = error
    found = _FITTED[key]
    if isinstance(found, SiamrecError):
        assert 10 < len(str(found)) < 600  # it says what is wrong
        pytest.skip(f"refused: {found}")
    return found


def marked(*parts: Any) -> Any:
    """Every arm with each of some parts; deep ones over few of them, the others slow."""
    quick = {"plain", "one item", "all alike", "weight 0 for most", "its items"}
    return [
        pytest.param(
            name, part, marks=[pytest.mark.slow] if is_deep(name) and part not in quick else []
        )
        for name in NAMES
        for part in parts
    ]


def check_lists(lists: Rankings, *, k: int, seen: list[set[Any]], items: Any) -> None:
    assert lists.score is not None
    assert np.isfinite(lists.score).all()
    for owner, row in enumerate(lists.lists().values()):
        assert len(row) == len(set(row)) <= k
        assert set(row) <= set(items.ids)
        assert not set(row) & seen[owner]
        own = lists.score[lists.start[owner] : lists.start[owner + 1]]
        assert (np.diff(own) <= 0).all()


def seen_by(arm: FittedRecommender) -> list[set[Any]]:
    rows = arm.history.value
    return [
        set(arm.items.decode(rows.indices[rows.indptr[place] : rows.indptr[place + 1]]))
        for place in range(rows.shape[0])
    ]


@pytest.mark.parametrize(("name", "odd"), marked(*ODD))
def test_lists_hold_what_lists_promise(name: str, odd: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arm = fitted(name, odd)
        seen = seen_by(arm)
        for k in (1, 3, 1000):  # above the catalogue too
            lists = arm.recommend(list(arm.users.ids), k=k)
            check_lists(lists, k=k, seen=seen, items=arm.items)
        every = arm.recommend(list(arm.users.ids), k=1000, exclude_seen=False)
        check_lists(every, k=1000, seen=[set() for _ in seen], items=arm.items)


@pytest.mark.parametrize(("name", "odd"), marked(*ODD))
def test_histories_and_updates_hold_it_too(name: str, odd: str) -> None:
    arm = fitted(name, odd)
    if Capability.COLD_USER not in arm.capabilities:
        pytest.skip("The arm ranks for training users only.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some = list(arm.items.ids[:2])
        histories: list[list[Any]] = [[], ["nobody knows"], some * 3, list(arm.items.ids)]
        lists = arm.recommend_for_history(histories, k=5)
        check_lists(lists, k=5, seen=[set(row) for row in histories], items=arm.items)
        assert lists.lists()[3] == []
        newer = arm
        for more in (ODD[odd](), PLAIN.where(PLAIN.user == 0).compacted(), ODD["no event"]()):
            if {type(id_) for id_ in more.users.ids} <= {type(id_) for id_ in arm.users.ids}:
                newer = newer.update(more)
        check_lists(newer.recommend(list(newer.users.ids), k=3), k=3, seen=seen_by(newer),
                    items=newer.items)  # fmt: skip


@pytest.mark.parametrize(("name", "odd"), marked(*ODD))
def test_a_saved_arm_ranks_as_before(name: str, odd: str, tmp_path: Path) -> None:
    arm = fitted(name, odd)
    arm.save(tmp_path / "arm")
    loaded = load(make(name), tmp_path / "arm")
    users = list(arm.users.ids)
    one, two = (each.recommend(users, k=9) for each in (arm, loaded))
    assert one.lists() == two.lists()
    np.testing.assert_array_equal(one.score, two.score)


@pytest.mark.parametrize(("name", "catalogue"), marked(*CATALOGUES))
def test_any_catalogue_is_taken_or_refused(name: str, catalogue: str) -> None:
    arm = fitted(name, "plain", catalogue)
    lists = arm.recommend(list(arm.users.ids), k=50)
    check_lists(lists, k=50, seen=seen_by(arm), items=arm.items)


@pytest.mark.parametrize("name", NAMES)
def test_eight_threads_get_what_one_gets(name: str) -> None:
    arm = fitted(name, "plain")
    users = list(arm.users.ids)
    expected = [arm.recommend([user], k=5).lists() for user in users]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(lambda user: arm.recommend([user], k=5).lists(), users * 4))
            assert found == expected * 4


@pytest.mark.parametrize("name", NAMES)
def test_names_of_users_and_items_do_not_matter(name: str) -> None:
    other = renamed(PLAIN, [f"x{code}" for code in range(9)], [f"y{code}" for code in range(9)])
    arms = [make(name).fit(each, catalog=catalog_of(each.items.ids)) for each in (PLAIN, other)]
    one, two = (arm.recommend(list(arm.users.ids), k=5) for arm in arms)
    np.testing.assert_array_equal(one.item, two.item)
    np.testing.assert_array_equal(one.score, two.score)
