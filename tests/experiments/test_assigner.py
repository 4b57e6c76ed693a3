"""Assignment: one by one as in bulk, independent between experiments, stable under change."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec._core.clock import DAY, ManualClock
from siamrec._core.hashing import uniform, uniforms
from siamrec._core.units import Units
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.experiments import Allocation, Experiment, HashAssigner, MemorySticky
from siamrec.experiments.assignment import GrowthBookV2, Hasher
from siamrec.protocols import ExperimentAssigner

IDS = [f"user-{place}" for place in range(20_000)]
HALF = {"control": 0.5, "new": 0.5}


def experiment(key: str = "x", **settings_: Any) -> Experiment:
    return Experiment(key=key, **{"variants": HALF, **settings_})


def test_bulk_hashes_are_the_scalar_ones_bit_for_bit() -> None:
    texts = [*IDS[:500], "é", "用户", "\U0001f600"]
    bulk = Units(texts).uniforms("salt")
    assert bulk.tolist() == [uniform(text, "salt") for text in texts]
    assert bulk.tolist() == uniforms(texts, "salt").tolist()


def test_hash_test_vectors() -> None:
    # Frozen for ever: a change here moves every unit of every running experiment.
    assert uniform("user-42", "variant|ranker-v7|2026-11") == 0.9246215110240878
    a = HashAssigner([experiment("ranker-v7", salt="2026-11")]).assign("user-42")
    assert (a.variant, a.bucket, a.reason, a.propensity) == (
        "new",
        0.9246215110240878,
        "split",
        0.5,
    )


@given(
    units=st.lists(
        st.text(min_size=1, max_size=8) | st.integers(0, 10**12), min_size=1, max_size=30
    ),
    shares=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    exposure=st.floats(0, 1),
    layer=st.sampled_from([None, "a"]),
    holdout=st.floats(0, 0.5),
)
@settings(max_examples=50, deadline=None)
def test_one_by_one_equals_bulk(
    units: list[str | int], shares: list[int], exposure: float, layer: str | None, holdout: float
) -> None:
    total = sum(shares)
    made = experiment(
        variants={f"v{place}": share / total for place, share in enumerate(shares)},
        exposure=exposure,
        layer=layer,
        layer_range=(0.2, 0.9),
        holdout=holdout,
        targeting="n > 3",
    )
    assigner = HashAssigner([made], overrides={"qa": "v1"})
    contexts = [{"n": place} for place in range(len(units))]
    many = assigner.assign_many(units, contexts=contexts)
    for row, unit in enumerate(units):
        one = assigner.assign(unit, context=contexts[row])
        assert many.names()[row] == one.variant
        assert many.propensity[row] == one.propensity
        assert many.units[row] == one.unit


def test_shares_are_kept() -> None:
    # 20 000 units: 5 sigma of a share of 0.2 is 0.014.
    many = HashAssigner([experiment(variants={"a": 0.2, "b": 0.8})]).assign_many(IDS)
    assert many.counts()["a"] / len(IDS) == pytest.approx(0.2, abs=0.014)


def test_experiments_are_independent() -> None:
    """Correlation between two even splits over n units has |z| < 4.5 in all 36 pairs.

    A pair exceeds 4.5 with probability 7e-6. Hashes with little mixing fail this for such keys.
    """
    assigner = HashAssigner([experiment(f"exp{number}") for number in range(1, 10)])
    splits = [assigner.assign_many(IDS, f"exp{number}").codes * 2.0 - 1 for number in range(1, 10)]
    correlation = np.corrcoef(splits)
    off = correlation[np.triu_indices(9, 1)] * np.sqrt(len(IDS))
    assert np.abs(off).max() < 4.5


def test_exposure_says_nothing_about_the_variant() -> None:
    assigner = HashAssigner([experiment(exposure=0.3)])
    many = assigner.assign_many(IDS)
    n = int(many.in_experiment.sum())
    assert n / len(IDS) == pytest.approx(0.3, abs=0.017)
    assert many.counts()["new"] / n == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(n))


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5, unique=True))
@settings(max_examples=20, deadline=None)
def test_a_ramp_never_moves_anyone(exposures: list[float]) -> None:
    rising = sorted(exposures)
    now = experiment(exposure=rising[0])
    before = HashAssigner([now]).assign_many(IDS[:2000]).codes
    for exposure in rising[1:]:
        now = now.ramped(exposure)
        after = HashAssigner([now]).assign_many(IDS[:2000]).codes
        inside = before >= 0
        np.testing.assert_array_equal(after[inside], before[inside])
        before = after
    with pytest.raises(InvalidParameterError, match="exposure must be at least"):
        now.ramped(rising[0])


weights = st.lists(st.integers(0, 9), min_size=2, max_size=5).filter(lambda w: sum(w) > 0)


def shares_of(numbers: list[int]) -> dict[str, float]:
    return {f"v{place}": number / sum(numbers) for place, number in enumerate(numbers)}


@given(first=weights, second=weights, third=weights)
@settings(max_examples=100, deadline=None)
def test_reweighting_moves_the_least_mass(
    first: list[int], second: list[int], third: list[int]
) -> None:
    allocation = Allocation.of(shares_of(first))
    for numbers in (second, third):
        before = allocation.shares()
        allocation, old = allocation.reweighted(shares_of(numbers)), allocation
        target = shares_of(numbers)
        for name in allocation.variants:
            assert allocation.share(name) == pytest.approx(target.get(name, 0.0), abs=1e-9)
        least = sum(
            max(target.get(name, 0.0) - before.get(name, 0.0), 0.0) for name in {*target, *before}
        )
        assert allocation.moved_from(old) == pytest.approx(least, abs=1e-7)


def test_an_added_arm_takes_only_what_it_needs() -> None:
    before = experiment()
    after = before.reweighted({"control": 0.4, "new": 0.4, "newer": 0.2})
    assert after.version == 2
    old = HashAssigner([before]).assign_many(IDS).names()
    new = HashAssigner([after]).assign_many(IDS).names()
    moves = Counter((a, b) for a, b in zip(old, new, strict=True) if a != b)
    assert set(moves) == {("control", "newer"), ("new", "newer")}
    assert sum(moves.values()) / len(IDS) == pytest.approx(0.2, abs=0.015)


def test_layers_exclude_and_reasons_tell() -> None:
    first = experiment("one", layer="ranking", layer_range=(0.0, 0.5))
    second = experiment("two", layer="ranking", layer_range=(0.5, 1.0))
    assigner = HashAssigner([first, second])
    inside = [assigner.assign_many(IDS, key).in_experiment for key in ("one", "two")]
    assert (inside[0] ^ inside[1]).all()
    reasons = {assigner.assign(unit, "one").reason for unit in IDS[:200]}
    assert reasons == {"split", "other_experiment"}
    with pytest.raises(InvalidParameterError, match=r"apart from \(0.0, 0.6\) of 'one'"):
        HashAssigner([experiment("one", layer="r", layer_range=(0.0, 0.6)),
                      experiment("two", layer="r", layer_range=(0.5, 1.0))])  # fmt: skip


def test_every_reason() -> None:
    def reason(unit: str = "u", **settings_: Any) -> str:
        assigner = HashAssigner([experiment(**settings_)], overrides={"qa": "new"})
        return assigner.assign(unit, context={}).reason

    assert reason("qa", status="stopped") == "override"
    assert reason(status="draft") == "not_running"
    assert reason(holdout=1.0) == "holdout"
    assert reason(targeting="country == 'TH'") == "not_targeted"
    assert reason(exposure=0.0) == "not_exposed"
    assert reason() == "split"


def test_a_holdout_is_shared_between_experiments() -> None:
    assigner = HashAssigner([experiment("one", holdout=0.2), experiment("two", holdout=0.2)])
    first, second = (assigner.assign_many(IDS, key).in_experiment for key in ("one", "two"))
    np.testing.assert_array_equal(first, second)


def test_sticky_units_stay_when_shares_change() -> None:
    store = MemorySticky()
    before = HashAssigner([experiment()], sticky=store)
    first = before.assign_many(IDS[:500])
    changed = HashAssigner([experiment(variants={"control": 0.1, "new": 0.9})], sticky=store)
    assert changed.assign_many(IDS[:500]).names() == first.names()
    assert changed.assign(IDS[0]).reason == "sticky"
    assert changed.peek(IDS[0]) == first.names()[0]
    assert changed.peek("never seen") is None


def test_units_are_text_or_whole_numbers() -> None:
    assigner = HashAssigner([experiment()])
    assert assigner.assign(42) == assigner.assign("42")
    assert assigner.assign_many(np.arange(5)).units == ("0", "1", "2", "3", "4")
    for bad in ("", 1.5, None, True, b"x"):
        with pytest.raises(InvalidDataError, match="A unit must be text"):
            assigner.assign(bad)  # type: ignore[arg-type]
        with pytest.raises(InvalidDataError, match="A unit must be text"):
            assigner.assign_many(["fine", bad])
    for many in (False, True):
        with pytest.raises(InvalidDataError, match="fewer digits"):
            _ = assigner.assign_many([10**5000]) if many else assigner.assign(10**5000)
    for alone in ("user-42", b"user-42", 5, None):
        with pytest.raises(InvalidDataError, match="units must be many, .* alone"):
            assigner.assign_many(alone)  # type: ignore[arg-type]


def test_a_bound_assigner_fulfils_the_protocol() -> None:
    bound = HashAssigner([experiment("a"), experiment("b")]).of("a")
    assert isinstance(bound, ExperimentAssigner)
    assert bound.assign("u", {}).experiment == "a"


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"variants": {"a": 0.5, "b": 0.4}}, "shares of at least 0 that sum to 1"),
        ({"variants": {}}, "shares of at least 0 that sum to 1"),
        ({"variants": {"a": "0.5", "b": "0.5"}}, "shares of at least 0 that sum to 1"),
        ({"variants": {"a": True, "b": False}}, "shares of at least 0 that sum to 1"),
        ({"variants": {"a": None, "b": 1.0}}, "shares of at least 0 that sum to 1"),
        ({"variants": ["a", "b"]}, "variants must be a mapping of names to shares"),
        ({"variants": {None: 0.5, "b": 0.5}}, "name of a variant must be text that is not empty"),
        ({"variants": {"": 0.5, "b": 0.5}}, "name of a variant must be text that is not empty"),
        ({"exposure": "0.5"}, r"exposure must be in \[0, 1\]"),
        ({"exposure": float("nan")}, r"exposure must be in \[0, 1\]"),
        ({"holdout": None}, r"holdout must be in \[0, 1\]"),
        ({"layer_range": (0.2,)}, "layer_range must be 0 <= low < high <= 1"),
        ({"layer_range": ("a", "b")}, "layer_range must be 0 <= low < high <= 1"),
        ({"layer_range": 0.5}, "layer_range must be 0 <= low < high <= 1"),
        ({"salt": "\ud800"}, "salt must be text that has a UTF-8 form"),
        ({"salt": None}, "salt must be text that has a UTF-8 form"),
        ({"key": "\ud800"}, "key must be a name that has a UTF-8 form"),
        ({"layer": ""}, "layer must be a name that has a UTF-8 form"),
        ({"holdout_salt": "\ud800"}, "holdout_salt must be text that has a UTF-8 form"),
        ({"version": 0}, "version must be a whole number of at least 1"),
        ({"targeting": {"country": "TH"}}, "targeting must be an expression, or a predicate"),
        ({"variants": {"a": 1.5, "b": -0.5}}, "shares of at least 0 that sum to 1"),
        ({"exposure": 1.5}, r"exposure must be in \[0, 1\]"),
        ({"layer_range": (0.5, 0.5)}, "layer_range must be"),
        ({"key": ""}, "key must be a name"),
        ({"allocation": Allocation.of({"control": 0.1, "new": 0.9})}, "shares of the variants"),
    ],
)
def test_bad_experiments_are_refused(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        experiment(**settings_)


def test_names_that_are_not_known_are_refused() -> None:
    assigner = HashAssigner([experiment("ranker"), experiment("other")])
    with pytest.raises(UnknownNameError, match="Did you mean 'ranker'"):
        assigner.assign("u", "rankr")
    with pytest.raises(MissingInputError, match="experiment is needed"):
        assigner.assign("u")
    with pytest.raises(UnknownNameError, match="variant"):
        HashAssigner([experiment()], overrides={"qa": "newest"})


@pytest.mark.parametrize("hasher", [None, GrowthBookV2()])
def test_a_targeting_needs_contexts_and_as_many_as_units(hasher: Hasher | None) -> None:
    free = "plan != 'free'"
    assigner = HashAssigner([experiment(targeting=free)], hasher=hasher, overrides={"qa": "new"})
    bound = assigner.of("x")
    contexts = [{"plan": "free"}, {"plan": "paid"}, {}]
    for many in (
        assigner.assign_many(["u", "v", "w"], contexts=contexts),
        bound.assign_many(["u", "v", "w"], contexts=contexts),
    ):
        assert many.in_experiment.tolist() == [False, True, True]
    for unit in ("u", "qa"):
        with pytest.raises(MissingInputError, match="context is needed here"):
            assigner.assign(unit)
        with pytest.raises(MissingInputError, match="context is needed here"):
            bound.assign(unit)
        with pytest.raises(MissingInputError, match="contexts is needed here"):
            assigner.assign_many([unit])
        with pytest.raises(MissingInputError, match="contexts is needed here"):
            bound.assign_many([unit])
    with pytest.raises(InvalidDataError, match="one entry per unit, got 1 for 2"):
        assigner.assign_many(["u", "v"], contexts=[{}])
    without = HashAssigner([experiment()], hasher=hasher)
    with pytest.raises(InvalidDataError, match="one entry per unit, got 1 for 2"):
        without.assign_many(["u", "v"], contexts=[{}])


@pytest.mark.parametrize("hasher", [None, GrowthBookV2()])
def test_a_targeting_may_ask_for_the_present(hasher: Hasher | None) -> None:
    clock = ManualClock(10 * DAY)
    old = experiment(targeting="joined < now() - days(3)")
    assigner = HashAssigner([old], hasher=hasher, clock=clock)
    contexts = [{"joined": 5}, {"joined": 8 * DAY}, {}]

    def inside() -> list[bool]:
        pairs = zip("uvw", contexts, strict=True)
        one = [assigner.of("x").assign(*pair).in_experiment for pair in pairs]
        many = assigner.of("x").assign_many(list("uvw"), contexts=contexts)
        assert many.in_experiment.tolist() == one
        return one

    assert inside() == [True, False, False]
    clock.advance(2 * DAY)
    assert inside() == [True, True, False]
    now = HashAssigner([old], hasher=hasher).assign("u", context={"joined": 5})
    assert now.in_experiment
    with pytest.raises(InvalidParameterError, match="clock"):
        HashAssigner([old], clock=ManualClock)  # type: ignore[arg-type]


def test_the_key_may_be_left_out_where_one_experiment_runs() -> None:
    stopped = experiment("old", status="stopped")
    assigner = HashAssigner([stopped, experiment("now")])
    assert assigner.assign("u").experiment == "now"
    assert assigner.assign("u", "old").reason == "not_running"
    assert HashAssigner([stopped]).assign("u").reason == "not_running"
    with pytest.raises(MissingInputError, match="experiment is needed"):
        HashAssigner([experiment("a"), experiment("b")]).assign_many(["u"])


def test_an_empty_key_is_no_key() -> None:
    assigner = HashAssigner([experiment()])
    with pytest.raises(UnknownNameError, match="No experiment is named ''"):
        assigner.assign("u", "")
    with pytest.raises(UnknownNameError, match="No experiment is named ''"):
        assigner.assign_many(["u"], "")


@pytest.mark.parametrize("length", [1, 30])
@pytest.mark.parametrize("count", [1, 500])
def test_text_without_a_utf8_form_is_refused(length: int, count: int) -> None:
    assigner = HashAssigner([experiment()])
    odd = "user-\ud800" * length
    with pytest.raises(InvalidDataError, match="UTF-8 form"):
        assigner.assign(odd)
    with pytest.raises(InvalidDataError, match="UTF-8 form"):
        assigner.assign_many([odd] * count)
    with pytest.raises(InvalidDataError, match="UTF-8 form"):
        assigner.assign_many(np.array(["user-1"] * count + [odd]))


def test_an_allocation_needs_ranges() -> None:
    with pytest.raises(InvalidParameterError, match="edges must be rising numbers that end in 1"):
        Allocation(("a",), (), ())
    with pytest.raises(InvalidParameterError, match="name of a variant"):
        Allocation(("",), (1.0,), (0,))
