"""Selectors against slow references, and against the library of the field."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.errors import UnknownNameError as Unknown
from siamrec.rerank import (
    DPP,
    MMR,
    SSD,
    Calibrated,
    FacilityCoverage,
    MaxPerGroup,
    MaxSum,
    Pipeline,
    Quotas,
    Selector,
    SlidingWindow,
    XQuAD,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

N_ITEMS, N_USERS, DIM, K = 90, 6, 8, 7


def world(seed: int = 0) -> tuple[Rankings, FloatArray]:
    """Candidates of different lengths, and vectors that are not of unit length."""
    rng = np.random.default_rng(seed)
    lengths = [80, 60, 3, 0, 41, 80]
    lists = {u: rng.permutation(N_ITEMS)[:n].tolist() for u, n in enumerate(lengths)}
    scores = {u: np.sort(rng.gamma(2.0, 1.0, n))[::-1].tolist() for u, n in enumerate(lengths)}
    items = Vocabulary(tuple(range(N_ITEMS)))
    vectors = rng.standard_normal((N_ITEMS, DIM)) * rng.uniform(0.5, 3.0, (N_ITEMS, 1))
    return Rankings.from_lists(lists, scores=scores, items=items), vectors


def greedy(candidates: Rankings, k: int, gain_of: Any) -> dict[Any, list[int]]:
    """Take the candidate of highest gain, again and again, in plain Python."""
    lists = {}
    assert candidates.score is not None
    for user, (low, high) in enumerate(itertools.pairwise(candidates.start.tolist())):
        item = candidates.item[low:high].tolist()
        gain = gain_of(user, item, candidates.score[low:high])
        chosen: list[int] = []
        while len(chosen) < min(k, len(item)):
            rest = [i for i in range(len(item)) if i not in chosen]
            chosen.append(max(rest, key=lambda i: gain(chosen, i)))
        lists[user] = [item[i] for i in chosen]
    return lists


def unit(vectors: FloatArray) -> FloatArray:
    rows: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows


@pytest.mark.parametrize("trade_off", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_mmr(trade_off: float, seed: int) -> None:
    candidates, vectors = world(seed)

    def gain_of(_user: int, item: list[int], score: FloatArray) -> Any:
        near = unit(vectors[item])

        def gain(chosen: list[int], i: int) -> float:
            closest = max((max(0.0, near[i] @ near[j]) for j in chosen), default=0.0)
            return float(trade_off * score[i] - (1 - trade_off) * closest)

        return gain if trade_off else lambda c, i: (gain(c, i), score[i], -i) if c else score[i]

    pipeline = Pipeline(MMR(trade_off=trade_off), normalise="none")
    lists = pipeline.rerank(candidates, k=K, embeddings=vectors).lists()
    if trade_off:
        assert lists == greedy(candidates, K, gain_of)
    assert all(len(set(row)) == len(row) for row in lists.values())


@pytest.mark.parametrize("trade_off", [0.3, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_max_sum(trade_off: float, seed: int) -> None:
    candidates, vectors = world(seed)

    def gain_of(_user: int, item: list[int], score: FloatArray) -> Any:
        near = unit(vectors[item])
        return lambda chosen, i: (
            trade_off * score[i] + (1 - trade_off) * sum(1 - near[i] @ near[j] for j in chosen)
        )

    pipeline = Pipeline(MaxSum(trade_off=trade_off), normalise="none")
    lists = pipeline.rerank(candidates, k=K, embeddings=vectors).lists()
    assert lists == greedy(candidates, K, gain_of)


@pytest.mark.parametrize("trade_off", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_dpp_is_the_greedy_determinant(trade_off: float, seed: int) -> None:
    candidates, vectors = world(seed)

    def gain_of(_user: int, item: list[int], score: FloatArray) -> Any:
        if not item:
            return None
        weight = np.exp(trade_off * (score - score.mean()) / score.std())
        rows = unit(vectors[item]) * weight[:, None]
        kernel = rows @ rows.T
        return lambda chosen, i: np.linalg.slogdet(kernel[np.ix_([*chosen, i], [*chosen, i])])[1]

    pipeline = Pipeline(DPP(trade_off=trade_off), normalise="none")
    lists = pipeline.rerank(candidates, k=K, embeddings=vectors).lists()
    if trade_off:
        assert lists == greedy(candidates, K, gain_of)
    else:  # the first gains are all 1: any first item will do
        assert [len(row) for row in lists.values()] == [7, 7, 3, 0, 7, 7]


def test_dpp_fills_up_by_score_when_the_space_is_used_up() -> None:
    items = Vocabulary(tuple("abcd"))
    candidates = Rankings.from_lists(
        {"u": list("abcd")}, scores={"u": [4.0, 3.0, 2.0, 1.0]}, items=items
    )
    flat = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    lists = Pipeline(DPP(trade_off=1.0)).rerank(candidates, k=4, embeddings=flat).lists()
    assert lists == {"u": ["a", "c", "b", "d"]}


@pytest.mark.parametrize("selector", [MMR(trade_off=0.8), DPP(trade_off=1.0)])
def test_pruning_changes_no_list(selector: Selector) -> None:
    # Flat and steep scores over many candidates: some lists must be chosen among more than 64.
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((400, 6))
    flat = np.sort(rng.uniform(0.9, 1.0, (4, 400)), axis=1)[:, ::-1]
    item = np.stack([rng.permutation(400) for _ in range(4)])
    pipeline = Pipeline(selector, normalise="none")
    whole = pipeline.rerank(Rankings.from_arrays(item, score=flat), k=20, embeddings=vectors)
    for user in range(4):  # one user at a time, with the items renamed
        alone = pipeline.rerank(
            Rankings.from_arrays(item[user : user + 1], score=flat[user : user + 1]),
            k=20,
            embeddings=vectors,
        )
        assert alone.lists()[0] == whole.lists()[user]
    if isinstance(selector, MMR):
        near = unit(vectors)
        expected = greedy(
            Rankings.from_arrays(item, score=flat),
            20,
            lambda _u, names, score: (
                lambda chosen, i: (
                    0.8 * score[i]
                    - 0.2
                    * max((max(0.0, near[names[i]] @ near[names[j]]) for j in chosen), default=0.0)
                )
            ),
        )
        assert whole.lists() == expected


@pytest.mark.parametrize("window", [None, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_ssd_measures_what_is_left_outside_the_window(window: int | None, seed: int) -> None:
    candidates, vectors = world(seed)

    def gain_of(_user: int, item: list[int], score: FloatArray) -> Any:
        near = np.column_stack((unit(vectors[item]), np.ones(len(item))))

        def gain(chosen: list[int], i: int) -> float:
            if not chosen:
                return float(score[i])  # the first is the best by score
            span = near[chosen if window is None else chosen[-window:]].T
            rest = near[i] - span @ np.linalg.lstsq(span, near[i], rcond=None)[0]
            return float(0.6 * score[i] + 0.4 * np.linalg.norm(rest))

        return gain

    pipeline = Pipeline(SSD(trade_off=0.6, window=window), normalise="none")
    lists = pipeline.rerank(candidates, k=K, embeddings=vectors).lists()
    assert lists == greedy(candidates, K, gain_of)


@pytest.mark.parametrize("concavity", [0.5, 0.8])
def test_facility_coverage(concavity: float) -> None:
    candidates, vectors = world(1)

    def gain_of(_user: int, item: list[int], score: FloatArray) -> Any:
        similar = np.clip(unit(vectors[item]) @ unit(vectors[item]).T, 0, 1)

        def gain(chosen: list[int], i: int) -> float:
            before = similar[:, chosen].sum(axis=1) ** concavity
            after = similar[:, [*chosen, i]].sum(axis=1) ** concavity
            return float(0.4 * score[i] + 0.6 * (after.sum() - before.sum()))

        return gain

    pipeline = Pipeline(FacilityCoverage(trade_off=0.4, concavity=concavity), normalise="none")
    lists = pipeline.rerank(candidates, k=K, embeddings=vectors).lists()
    assert lists == greedy(candidates, K, gain_of)


def taste_world() -> tuple[Rankings, dict[int, list[str]], Truth, dict[int, dict[str, float]]]:
    candidates, _ = world(2)
    rng = np.random.default_rng(7)
    genres = {
        i: [str(g) for g in rng.choice(list("abcde"), rng.integers(1, 4), replace=False)]
        for i in range(N_ITEMS)
    }
    past = {u: rng.permutation(N_ITEMS)[:9].tolist() for u in range(N_USERS - 1)}
    taste: dict[int, dict[str, float]] = {u: dict.fromkeys("abcde", 0.0) for u in range(N_USERS)}
    for u, row in past.items():
        for i in row:
            for g in genres[i]:
                taste[u][g] += 1 / len(genres[i]) / 9
    taste[N_USERS - 1] = dict.fromkeys("abcde", 0.2)  # nothing known: all alike
    return candidates, genres, Truth.from_lists(past), taste


def test_xquad() -> None:
    candidates, genres, history, taste = taste_world()

    def part(item: int, genre: str) -> float:
        return 1 / len(genres[item]) if genre in genres[item] else 0.0

    def gain_of(user: int, item: list[int], score: FloatArray) -> Any:
        def gain(chosen: list[int], i: int) -> float:
            served = sum(
                share * part(item[i], g) * float(np.prod([1 - part(item[j], g) for j in chosen]))
                for g, share in taste[user].items()
            )
            return float(0.5 * score[i] + 0.5 * served)

        return gain

    pipeline = Pipeline(XQuAD(trade_off=0.5), normalise="none")
    lists = pipeline.rerank(candidates, k=K, categories=genres, history=history).lists()
    assert lists == greedy(candidates, K, gain_of)


def calibration(
    items: list[int],
    score: list[float],
    genres: dict[int, list[str]],
    p: dict[str, float],
    trade_off: float,
) -> float:
    q = dict.fromkeys(p, 0.0)
    for item in items:
        for g in genres[item]:
            q[g] += 1 / len(genres[item]) / len(items)
    divergence = sum(
        share * np.log(share / (0.99 * q[g] + 0.01 * share)) for g, share in p.items() if share
    )
    return float(trade_off * sum(score) - (1 - trade_off) * divergence)


@pytest.mark.parametrize("trade_off", [0.2, 0.9])
def test_calibrated(trade_off: float) -> None:
    candidates, genres, history, taste = taste_world()

    def gain_of(user: int, item: list[int], score: FloatArray) -> Any:
        def gain(chosen: list[int], i: int) -> float:
            now = [*chosen, i]
            return calibration(
                [item[j] for j in now], [score[j] for j in now], genres, taste[user], trade_off
            )

        return gain

    pipeline = Pipeline(Calibrated(trade_off=trade_off), normalise="none")
    lists = pipeline.rerank(candidates, k=K, categories=genres, history=history).lists()
    assert lists == greedy(candidates, K, gain_of)


def test_calibrated_comes_close_to_the_best_list_of_all() -> None:
    candidates, genres, history, taste = taste_world()
    few = candidates.top(9)
    found = Pipeline(Calibrated(trade_off=0.3), normalise="none").rerank(
        few, k=4, categories=genres, history=history
    )
    assert few.score is not None
    score = dict(zip(few.item[:9].tolist(), few.score[:9].tolist(), strict=True))
    p = taste[0]
    best = max(
        calibration(list(items), [score[i] for i in items], genres, p, 0.3)
        for items in itertools.combinations(score, 4)
    )
    own = found.lists()[0]
    reached = calibration(own, [score[i] for i in own], genres, p, 0.3)
    # KL <= log(1 / 0.01) bounds every list from below: values less that bound are not negative.
    least = -0.7 * np.log(100)
    assert reached - least >= (1 - 1 / np.e) * (best - least)
    assert reached <= best + 1e-12


def grouped(groups: str) -> tuple[Rankings, dict[int, str]]:
    """One user with candidates 0, 1, 2 ... by falling score, in the given groups."""
    size = len(groups)
    candidates = Rankings.from_arrays([list(range(size))], score=[list(range(size, 0, -1))])
    return candidates, dict(enumerate(groups))


@pytest.mark.parametrize(
    ("selector", "groups", "expected"),
    [
        (MaxPerGroup(most=1), "aaabbc", [0, 3, 5, 1]),  # the last place is filled all the same
        (MaxPerGroup(most=2), "aaabbc", [0, 1, 3, 4]),
        (SlidingWindow(window=2), "aaabbc", [0, 3, 1, 4]),
        (SlidingWindow(window=3), "aaabbc", [0, 3, 5, 1]),
        (SlidingWindow(window=3, most=2), "aaabbc", [0, 1, 3, 2]),
        (Quotas(least={"c": 0.25}), "aaabbc", [0, 1, 2, 5]),
        (Quotas(least={"b": 0.5}), "aaabbc", [0, 3, 1, 4]),
        (Quotas(least={"c": 0.9}), "aaabbc", [0, 5, 1, 2]),  # as far as the candidates go
    ],
)
def test_limits(selector: Selector, groups: str, expected: list[int]) -> None:
    candidates, names = grouped(groups)
    assert Pipeline(selector).rerank(candidates, k=4, groups=names).lists() == {0: expected}


PYVERSITY: dict[str, Callable[[float], Selector]] = {
    "mmr": lambda keep: MMR(trade_off=keep),
    "msd": lambda keep: MaxSum(trade_off=keep),
    "dpp": lambda keep: DPP(trade_off=keep),
    "cover": lambda keep: FacilityCoverage(trade_off=keep),
}


@pytest.mark.parametrize("name", PYVERSITY)
@pytest.mark.parametrize("diversity", [0.2, 0.6])
def test_same_lists_as_pyversity(name: str, diversity: float) -> None:
    pyversity = pytest.importorskip("pyversity")
    rng = np.random.default_rng(11)
    vectors = rng.standard_normal((300, 24)).astype(np.float32)
    item = np.stack([rng.permutation(300)[:150] for _ in range(8)])
    score = np.sort(rng.uniform(0, 1, (8, 150)).astype(np.float32), axis=1)[:, ::-1]
    pipeline = Pipeline(PYVERSITY[name](1 - diversity), normalise="none")
    lists = pipeline.rerank(
        Rankings.from_arrays(item, score=score), k=20, embeddings=vectors
    ).lists()
    for user in range(8):
        theirs = getattr(pyversity, name)(
            vectors[item[user]], score[user], 20, diversity=diversity
        ).indices
        assert lists[user] == item[user][theirs].tolist()


def test_same_lists_as_pyversity_ssd() -> None:
    pyversity = pytest.importorskip("pyversity")
    rng = np.random.default_rng(12)
    vectors = rng.standard_normal((100, 16)).astype(np.float32)
    score = np.sort(rng.uniform(0, 1, 100))[::-1].copy()
    theirs = pyversity.ssd(vectors, score, 12, diversity=0.4, normalize_scores=False).indices
    candidates = Rankings.from_arrays([list(range(100))], score=[score])
    lists = Pipeline(SSD(trade_off=0.6), normalise="none").rerank(
        candidates, k=12, embeddings=vectors
    )
    assert lists.lists()[0] == theirs.tolist()


def test_equal_candidates_go_by_score_then_by_place() -> None:
    candidates = Rankings.from_arrays([[3, 1, 2]], score=[[1.0, 2.0, 2.0]])
    same = np.ones((4, 2))
    for selector in (MMR(trade_off=0.5), MaxSum(trade_off=0.5), DPP(trade_off=1.0)):
        lists = Pipeline(selector).rerank(candidates, k=3, embeddings=same).lists()
        assert lists == {0: [1, 2, 3]}


def test_bad_input_is_refused() -> None:
    candidates, vectors = world()
    with pytest.raises(MissingInputError, match=r"embeddings is needed here; pass it as rerank"):
        Pipeline(MMR()).rerank(candidates, k=3)
    with pytest.raises(MissingInputError, match="score is needed here"):
        Pipeline(MMR()).rerank(Rankings.from_lists({"u": ["a"]}), k=3, embeddings=[[1.0]])
    with pytest.raises(InvalidDataError, match="must not repeat an item, got 1"):
        Pipeline(MMR()).rerank(
            Rankings.from_arrays([[0, 0]], score=[[2, 1]]), k=1, embeddings=[[1.0]]
        )
    broken = vectors.copy()
    broken[candidates.item[0]] = 0.0
    with pytest.raises(InvalidDataError, match="a vector that is not zero for every candidate"):
        Pipeline(MMR()).rerank(candidates, k=3, embeddings=broken)
    with pytest.raises(InvalidParameterError, match=r"trade_off must be in \[0, 1\], got 1.5"):
        MMR(trade_off=1.5)
    with pytest.raises(InvalidParameterError, match="k must be a whole number of at least 1"):
        Pipeline(MMR()).rerank(candidates, k=0, embeddings=vectors)
    with pytest.raises(Unknown, match="No group is named 'z'"):
        Pipeline(Quotas(least={"z": 0.1})).rerank(
            candidates, k=3, groups=dict.fromkeys(range(N_ITEMS), "a")
        )
