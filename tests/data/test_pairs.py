"""Pairs: validation, files, splits without leaks, statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data import NO_TIME, PairOrigin, Pairs, Vocabulary
from siamrec.data.pairs.splits import leaks, normalise, refuse_leaks
from siamrec.errors import InvalidDataError, LeakageError, StorageError, UnknownNameError
from siamrec.pairs import MinimumCounts, RatingPairs
from siamrec.testing.pairs import catalog_of, ratings_of

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = [".csv", ".json", ".jsonl", ".parquet"]


def rich(n_users: int = 40, per_user: int = 5, seed: int = 0) -> Pairs:
    """Pairs that use every column."""
    rng = np.random.default_rng(seed)
    n = n_users * per_user
    texts = tuple(f'film "{k}",\nplot né {k}' for k in range(30))
    left = rng.integers(0, 30, n)
    right = (left + rng.integers(1, 30, n)) % 30
    user = np.repeat(np.arange(n_users, dtype=np.int32), per_user)
    label = (rng.random(n) < 0.7).astype(np.float32)
    return Pairs(
        texts=texts,
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        label=label,
        weight=rng.random(n, dtype=np.float32),
        origin=np.where(label > 0, PairOrigin.POSITIVE, PairOrigin.NEGATIVE).astype(np.int8),
        user=user,
        left_item=left.astype(np.int32),
        right_item=right.astype(np.int32),
        time=rng.integers(0, 10**12, n),
        negatives=np.where(rng.random((n, 2)) < 0.5, -1, rng.integers(0, 30, (n, 2))),
        users=Vocabulary(tuple(f"u{k}" if k % 2 else k for k in range(n_users))),
        items=Vocabulary(tuple(range(100, 130))),
        liked_user=user,
        liked_text=right.astype(np.int32),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_give_back_the_same_pairs(tmp_path: Path, suffix: str) -> None:
    pairs = rich()
    if suffix == ".parquet":  # a Parquet column has one type, so ids of one kind
        pairs = replace(pairs, users=Vocabulary(tuple(map(str, pairs.users.ids))))
    pairs.save(tmp_path / f"pairs{suffix}")
    loaded = Pairs.load(tmp_path / f"pairs{suffix}")
    assert loaded.fingerprint() == pairs.fingerprint()
    assert loaded.statistics() == pairs.statistics()
    assert [path.name for path in tmp_path.iterdir()] == [f"pairs{suffix}"]


def test_number_like_ids_keep_their_kind_in_csv(tmp_path: Path) -> None:
    ids = (7, "7", "ann", "null", "2.5")
    pairs = replace(
        Pairs.of(["a"] * 5, ["b"] * 5),
        users=Vocabulary(ids),
        user=np.arange(5, dtype=np.int32),
    )
    pairs.save(tmp_path / "pairs.csv")
    loaded = Pairs.load(tmp_path / "pairs.csv")
    assert loaded.users.decode(loaded.user) == list(ids)


def test_file_errors_are_clear(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"suffix of a pairs file is named '\.txt'"):
        rich().save(tmp_path / "pairs.txt")
    with pytest.raises(StorageError, match="cannot be written"):
        rich().save(tmp_path / "no" / "pairs.csv")
    with pytest.raises(StorageError, match="cannot be read"):
        Pairs.load(tmp_path / "none.csv")
    (tmp_path / "bad.jsonl").write_text("{not json")
    with pytest.raises(InvalidDataError, match="is not a file of pairs"):
        Pairs.load(tmp_path / "bad.jsonl")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidDataError, match="is not a file of pairs"):
        Pairs.load(tmp_path / "other.csv")


def with_ids(*ids: object) -> Pairs:
    user = np.arange(len(ids), dtype=np.int32)
    texts = [f"t{k}" for k in range(len(ids))]
    return replace(Pairs.of(texts, ["b"] * len(ids)), users=Vocabulary(ids), user=user)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ids_of_numpy_come_back_as_those_of_python(tmp_path: Path, suffix: str) -> None:
    for ids in (tuple(np.arange(2)), tuple(np.array(["x", "y"]))):
        pairs = with_ids(*ids)
        pairs.save(tmp_path / f"pairs{suffix}")
        loaded = Pairs.load(tmp_path / f"pairs{suffix}")
        assert loaded.fingerprint() == pairs.fingerprint()
        assert loaded.users.ids == ids
        assert [type(id_) for id_ in loaded.users.ids] == [type(id_.item()) for id_ in ids]


@pytest.mark.parametrize("id_", [(1, 2), "a\ud800", 2.5])
def test_ids_that_no_file_holds_are_refused_when_pairs_are_made(id_: object) -> None:
    with pytest.raises(InvalidDataError, match="An id of a user must"):
        with_ids(id_)


def test_parquet_says_why_it_cannot_hold_ids_of_two_kinds(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match=r"of one kind in a .parquet file.*\.jsonl"):
        with_ids(3, "x").save(tmp_path / "pairs.parquet")


@pytest.mark.parametrize("value", [None, float("nan"), 3])
def test_what_is_no_text_is_told_apart_from_one(value: Any) -> None:
    with pytest.raises(InvalidDataError, match=r"left must be texts, got .* at place 1"):
        Pairs.of(["a", value], ["b", "c"])
    with pytest.raises(InvalidDataError, match=r"right must be texts, got .* at place 0"):
        Pairs.of(["a", "b"], [value, "c"])


def test_frames_without_a_text_in_some_row_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="columns of one kind each"):
        Pairs.from_frame({"left": ["a", float("nan")], "right": ["b", "c"]})
    with pytest.raises(InvalidDataError, match="left must have a text in every row, got 1 NaN"):
        Pairs.from_frame({"left": [1.5, float("nan")], "right": ["b", "c"]})
    with pytest.raises(InvalidDataError, match="left must have a text in every row, got 1 nulls"):
        Pairs.from_frame({"left": ["a", None], "right": ["b", "c"]})


def test_half_a_character_is_refused_at_the_door() -> None:
    with pytest.raises(InvalidDataError, match=r"texts must be valid Unicode, got 'a\\ud800'"):
        Pairs.of(["a\ud800"], ["b"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "it holds dict, not a list of rows"),
        ("a.json", "[1]", "it holds a row that is no object, 1"),
        ("a.json", '[{"left": "a"}]', "it has no column 'right'"),
        ("a.jsonl", '{"left": "a"}', "it has no column 'right'"),
        ("a.csv", "left,right\n", "it has no column 'label'"),
    ],
)
def test_a_file_of_something_else_is_no_file_of_no_pairs(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidDataError, match=rf"{name} is not a file of pairs: {message}\.$"):
        Pairs.load(tmp_path / name)


def test_fingerprint_ignores_codes_but_not_content() -> None:
    pairs = Pairs.of(["a", "b"], ["c", "a"])
    move = {"a": 2, "b": 0, "c": 1}
    moved = replace(
        pairs,
        texts=("b", "c", "a"),
        left=np.array([move["a"], move["b"]]),
        right=np.array([move["c"], move["a"]]),
    )
    assert moved.fingerprint() == pairs.fingerprint()
    heavier = replace(pairs, weight=np.array([1.0, 2.0], np.float32))
    assert heavier.fingerprint() != pairs.fingerprint()


def test_statistics_by_hand() -> None:
    found = replace(Pairs.of(["a", "a", "b"], ["b", "c", "c"], label=[1, 0, 1], weight=[1, 1, 2]))
    stats = found.statistics()
    assert (stats.total, stats.positive, stats.negative, stats.hard) == (3, 2, 1, 0)
    assert stats.texts == 3
    assert stats.effective == pytest.approx(16 / 6)
    assert np.isnan(stats.per_user)


@given(seed=st.integers(0, 1000), fraction=st.floats(0.3, 0.7))
@settings(max_examples=25, deadline=None)
def test_a_split_by_user_shares_no_user_and_loses_nothing(seed: int, fraction: float) -> None:
    pairs = rich(40)  # all on one side, which is refused: 0.7**40 = 6e-7
    train, valid = pairs.split(by="user", fraction=fraction, seed=seed)
    assert not set(train.user.tolist()) & set(valid.user.tolist())
    assert not set(train.liked_user.tolist()) & set(valid.liked_user.tolist())
    assert len(train) + len(valid) == len(pairs)
    assert train.liked_user.size + valid.liked_user.size == pairs.liked_user.size


def test_a_user_keeps_its_side_when_others_come() -> None:
    few, many = rich(20), rich(40)
    sides = []
    for pairs in (few, many):
        _, valid = pairs.split(by="user", fraction=0.3, seed=5)
        sides.append(set(valid.users.decode(np.unique(valid.user))))
    assert sides[0] == sides[1] & set(few.users.ids)


def test_a_split_by_time_puts_the_last_rows_aside() -> None:
    train, valid = rich().split(by="time", fraction=0.25)
    assert train.time.max() < valid.time.min()
    assert len(valid) == pytest.approx(50, abs=2)


def test_a_split_by_query_parts_texts_that_differ_in_case_only_together() -> None:
    n = 40
    left = [f"Query {k // 2}" if k % 2 else f"query  {k // 2}" for k in range(n)]
    pairs = Pairs.of(left, [f"document {k}" for k in range(n)])
    train, valid = pairs.split(by="query", fraction=0.3, seed=1)
    assert leaks(train, valid)["queries"] == 0
    assert len(train) + len(valid) == n


@pytest.mark.parametrize("by", ["query", "cluster"])
def test_both_directions_of_a_couple_are_never_parted(by: Literal["query", "cluster"]) -> None:
    n = 40
    pairs = Pairs.of(
        [f"a{k}" for k in range(n)] + [f"b{k}" for k in range(n)],
        [f"b{k}" for k in range(n)] + [f"a{k}" for k in range(n)],
    )
    train, valid = pairs.split(by=by, fraction=0.5, seed=0)
    assert leaks(train, valid)["pairs"] == leaks(train, valid)["queries"] == 0
    held = {valid.texts[code] for code in valid.left}
    used = {train.texts[c] for c in np.concatenate([train.left, train.right])}
    assert not held & used, "no row of training holds a text that is held out"
    assert train.split_by == valid.split_by == by


def test_a_split_by_cluster_parts_texts_that_differ_in_punctuation_together() -> None:
    n = 40
    left = [f"Query, {k // 2}!" if k % 2 else f"query  {k // 2}" for k in range(n)]
    pairs = Pairs.of(left, [f"document {k}" for k in range(n)])
    train, valid = pairs.split(by="cluster", fraction=0.3, seed=1)
    assert len(train) + len(valid) == n
    assert not {normalise(train.texts[c]) for c in train.left} & {
        normalise(valid.texts[c]) for c in valid.left
    }


def test_likes_go_with_their_time() -> None:
    """One user likes a to f in this order; rows join neighbours at the time of the later."""
    texts = tuple("abcdef")
    none = np.zeros(5, np.int32)
    pairs = replace(
        Pairs.of(list("abcde"), list("bcdef")),
        texts=texts,
        left=np.arange(5, dtype=np.int32),
        right=np.arange(1, 6, dtype=np.int32),
        users=Vocabulary(("u",)),
        user=none,
        time=np.array([1, 2, 3, 4, 5]),
        liked_user=np.zeros(6, np.int32),
        liked_text=np.arange(6, dtype=np.int32),
    )
    train, valid = pairs.split(by="time", fraction=0.4)
    assert train.time.tolist() == [1, 2, 3]
    assert [texts[code] for code in train.liked_text] == ["a", "b", "c", "d"]
    assert [texts[code] for code in valid.liked_text] == ["e", "f"]


def test_no_like_of_training_is_later_than_the_cut() -> None:
    feedback, catalog = ratings_of(), catalog_of()
    recipe = RatingPairs(minimum=MinimumCounts(positive=1, negative=0, total=1))
    pairs = recipe.generate(feedback, catalog, rng=np.random.default_rng(0))
    train, valid = pairs.split(by="time", fraction=0.3)
    cut = int(valid.time.min())
    text = dict(zip(catalog.items.ids, catalog.text, strict=True))
    when = {
        (feedback.users[int(u)], text[feedback.items[int(i)]]): int(t)
        for u, i, t in zip(feedback.user, feedback.item, feedback.time, strict=True)
    }
    late = [
        when[pairs.users[int(u)], pairs.texts[int(t)]] >= cut
        for u, t in zip(train.liked_user, train.liked_text, strict=True)
    ]
    assert late
    assert not any(late)
    assert train.liked_user.size + valid.liked_user.size == pairs.liked_user.size


def test_two_sides_that_share_a_pair_are_a_leak() -> None:
    first, second = Pairs.of(["a", "c"], ["b", "d"]), Pairs.of(["b"], ["a"])
    with pytest.raises(LeakageError, match="share 1 pairs") as caught:
        refuse_leaks(first, second, "query")
    assert caught.value.overlap == {"pairs": 1}


def test_a_query_keeps_its_side_when_others_come() -> None:
    few = Pairs.of([f"query {k}" for k in range(20)], ["document"] * 20)
    more = Pairs.of([f"query {k}" for k in reversed(range(40))], ["document"] * 40)
    sides = [
        {valid.texts[code] for code in valid.left}
        for _, valid in (pairs.split(by="query", fraction=0.4, seed=3) for pairs in (few, more))
    ]
    assert sides[0] == {text for text in sides[1] if int(text.split()[1]) < 20}


def test_likes_are_cut_where_the_rows_are() -> None:
    pairs = replace(rich(), liked_time=rich().time)
    train, valid = pairs.split(by="time", fraction=0.25)
    assert train.liked_time is not None
    assert valid.liked_time is not None
    assert train.liked_time.max() < valid.time.min() <= valid.liked_time.min()
    assert train.liked_user.size + valid.liked_user.size == pairs.liked_user.size
    unknown = np.where(np.arange(len(pairs)) % 2, NO_TIME, pairs.time)
    sides = replace(pairs, liked_time=unknown).split(by="time", fraction=0.25)
    assert sum(side.liked_user.size for side in sides) == (unknown != NO_TIME).sum()


def test_training_knows_no_like_that_only_a_held_out_query_tells() -> None:
    pairs = rich()
    train, valid = pairs.split(by="query", fraction=0.3, seed=1)
    told = [
        {(u, t) for u, t, y in zip(side.user, side.right, side.label, strict=True) if y >= 0.5}
        | {(u, t) for u, t, y in zip(side.user, side.left, side.label, strict=True) if y >= 0.5}
        for side in (train, valid)
    ]
    known = set(zip(train.liked_user, train.liked_text, strict=True))
    assert known
    assert not known & (told[1] - told[0])
    assert not set(train.liked_text.tolist()) & set(valid.left.tolist())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_keep_the_unit_of_the_split_and_instants_of_likes(
    tmp_path: Path, suffix: str
) -> None:
    pairs = replace(rich(), liked_time=rich().time)
    pairs = replace(pairs, users=Vocabulary(tuple(map(str, pairs.users.ids))))
    for side in pairs.split(by="time", fraction=0.3):
        side.save(tmp_path / f"pairs{suffix}")
        loaded = Pairs.load(tmp_path / f"pairs{suffix}")
        assert loaded.split_by == "time"
        assert loaded.fingerprint() == side.fingerprint()
        np.testing.assert_array_equal(loaded.liked_time, side.liked_time)


def test_joined_sides_keep_a_unit_that_they_share() -> None:
    train, valid = rich().split(by="query", fraction=0.3, seed=1)
    assert Pairs.concat([train, train]).split_by == "query"
    assert Pairs.concat([train, rich()]).split_by is None
    for origin in (PairOrigin.SYNTHETIC, PairOrigin.REPLAY):
        added = replace(rich(), origin=np.full(len(rich()), origin, np.int8))
        assert Pairs.concat([train, added]).split_by == "query"
    assert valid.split_by == "query"


def test_synthetic_pairs_stay_in_training() -> None:
    pairs = rich()
    origin = pairs.origin.copy()
    origin[::3] = PairOrigin.SYNTHETIC
    for by in ("user", "time"):
        train, valid = replace(pairs, origin=origin).split(by=by, fraction=0.4)
        assert (train.origin == PairOrigin.SYNTHETIC).any()
        assert not (valid.origin == PairOrigin.SYNTHETIC).any()


def test_a_split_that_cannot_be_made_says_why() -> None:
    with pytest.raises(InvalidDataError, match="needs the user of every pair"):
        Pairs.of(["a"], ["b"]).split(by="user")
    one = replace(Pairs.of(["a"], ["b"]), users=Vocabulary(("u",)), user=np.zeros(1, np.int32))
    with pytest.raises(InvalidDataError, match="must leave rows on both sides"):
        one.split(by="user")
    with pytest.raises(UnknownNameError, match="Did you mean 'user'"):
        rich().split(by="users")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("left", np.array([9, 0]), "left must be codes from 0 to 2"),
        ("user", np.array([0, 0]), "user must be codes from -1 to -1"),
        ("label", np.array([0.5, 2.0]), r"label must be in \[0, 1\]"),
        ("weight", np.array([np.nan, 1.0]), "weight must be finite"),
        ("texts", ("a", "b", " "), "not blank"),
        ("texts", ("a", "b", "b"), "differ from one another"),
        ("negatives", np.zeros((3, 1), np.int32), r"negatives must have shape \(2, m\)"),
        ("time", np.zeros(3, np.int64), "Columns must have one length"),
    ],
)
def test_broken_columns_are_refused(column: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidDataError, match=message):
        replace(Pairs.of(["a", "b"], ["b", "c"]), **{column: value})


def test_columns_are_read_only() -> None:
    pairs = Pairs.of(["a"], ["b"])
    with pytest.raises(ValueError, match="read-only"):
        pairs.label[0] = 0


def test_frames_come_in_and_go_out() -> None:
    import polars as pl

    frame = pl.DataFrame({"q": ["a", "b"], "d": ["x", "y"], "s": [1.0, 0.25], "who": ["u", None]})
    pairs = Pairs.from_frame(frame, left="q", right="d", label="s", user="who")
    assert pairs.user.tolist() == [0, -1]
    table = pairs.to_arrow()
    assert table.column("right").to_pylist() == ["x", "y"]
    assert table.column("origin").to_pylist() == ["positive", "negative"]
    with pytest.raises(UnknownNameError, match="column for left"):
        Pairs.from_frame(frame)
    with pytest.raises(InvalidDataError, match="text in every row"):
        Pairs.from_frame({"left": ["a", None], "right": ["b", "c"]})
