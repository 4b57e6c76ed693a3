"""Sticky variants: kept with the version and the probability that gave them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.errors import InvalidParameterError
from siamrec.experiments import Experiment, HashAssigner, Mean, MemorySticky, Plan, analyze
from siamrec.experiments.analysis import sample_ratio_within
from siamrec.experiments.assignment import StickyVariant

IDS = [f"user-{place}" for place in range(20_000)]
EARLY = Experiment(key="x", variants={"control": 0.9, "new": 0.1})
LATE = EARLY.reweighted({"control": 0.5, "new": 0.5})


def test_sticky_units_belong_to_the_version_that_gave_their_variant() -> None:
    """The units of one version are split as that version says.

    5 sigma of a count of 10,000 units: 150 at a share of 0.1, 250 at one of 0.5.
    """
    store = MemorySticky()
    first = HashAssigner([EARLY], sticky=store).assign_many(IDS[:10_000])
    many = HashAssigner([LATE], sticky=store).assign_many(IDS)
    assert many.names()[:10_000] == first.names()
    assert many.version == 2
    assert many.versions.tolist() == [1] * 10_000 + [2] * 10_000
    new = many.codes == 1
    for version, share, sigma in ((1, 0.1, 30), (2, 0.5, 50)):
        here = many.versions == version
        assert abs((new & here).sum() - 10_000 * share) < 5 * sigma
        assert set(many.propensity[here & new].tolist()) == {share}
    # The mean of 1/p over the units of a variant is 1: its standard error is at most 0.03 / 2.
    for name in (0, 1):
        weight = (many.codes == name) / many.propensity
        assert weight.mean() == pytest.approx(1.0, abs=5 * 0.015)


def test_analysis_by_version_believes_sticky_units() -> None:
    """Fails with probability 1e-3, the level of the check, for another set of ids."""
    store = MemorySticky()
    HashAssigner([EARLY], sticky=store).assign_many(IDS[:10_000])
    many = HashAssigner([LATE], sticky=store).assign_many(IDS)
    shares = {"1": dict(EARLY.variants), "2": dict(LATE.variants)}
    counts = {
        str(version): {
            name: int(((many.codes == code) & (many.versions == version)).sum())
            for code, name in enumerate(many.variants)
        }
        for version in (1, 2)
    }
    assert sample_ratio_within(counts, stratum_shares=shares).p > 1e-3
    frame = many.to_arrow().append_column("y", [np.random.default_rng(0).normal(size=len(many))])
    plan = Plan(metrics=[Mean("y")], stratum_shares=shares)
    assert analyze(frame, plan, strata="version", control="control").decision != "invalid"


def test_one_by_one_equals_bulk() -> None:
    stores = MemorySticky(), MemorySticky()
    for place, store in enumerate(stores):
        before = HashAssigner([EARLY], sticky=store)
        if place:
            before.assign_many(IDS[:200])
        else:
            for unit in IDS[:200]:
                before.assign(unit)
    overrides = {"user-7": "new", "user-300": "new"}
    one, bulk = (HashAssigner([LATE], sticky=each, overrides=overrides) for each in stores)
    many = bulk.assign_many(IDS[:400])
    for row, unit in enumerate(IDS[:400]):
        found = one.assign(unit)
        assert (found.variant, found.propensity, found.version) == (
            many.names()[row],
            many.propensity[row],
            many.versions[row],
        )
        assert stores[0].get("x", unit) == stores[1].get("x", unit)


def test_an_override_is_not_stored() -> None:
    for bulk in (False, True):
        store = MemorySticky()
        assigner = HashAssigner([EARLY], overrides={"qa": "new"}, sticky=store)
        if bulk:
            assigner.assign_many(["qa"])
        else:
            assigner.assign("qa")
        assert store.get("x", "qa") is None


def test_units_of_a_removed_arm_leave() -> None:
    three = Experiment(key="x", variants={"control": 0.4, "new": 0.3, "newer": 0.3})
    two = three.reweighted({"control": 0.6, "new": 0.4})
    store = MemorySticky()
    first = HashAssigner([three], sticky=store).assign_many(IDS[:100])
    after = HashAssigner([two], sticky=store)
    many = after.assign_many(IDS[:100])
    for row, unit in enumerate(IDS[:100]):
        one = after.assign(unit)
        gone = first.names()[row] == "newer"
        expected = (None, False, "arm_removed", 0.0, 2) if gone else (
            first.names()[row], True, "sticky", first.propensity[row], 1
        )  # fmt: skip
        assert (
            one.variant,
            one.in_experiment,
            one.reason,
            one.propensity,
            one.version,
        ) == expected
        assert (many.codes[row] >= 0) != gone
        assert many.propensity[row] == one.propensity


def test_an_arm_without_a_share_keeps_its_units() -> None:
    store = MemorySticky()
    HashAssigner([EARLY], sticky=store).assign_many(IDS[:100])
    closed = EARLY.reweighted({"control": 1.0, "new": 0.0})
    many = HashAssigner([closed], sticky=store).assign_many(IDS[:200])
    assert "new" in many.names()[:100]
    assert "new" not in many.names()[100:]
    assert (many.propensity > 0).all()


shares = st.lists(st.integers(0, 5), min_size=2, max_size=4).filter(any)


@given(changes=st.lists(shares, min_size=1, max_size=4), removes=st.booleans())
@settings(max_examples=40, deadline=None)
def test_whoever_takes_part_has_a_probability(changes: list[list[int]], *, removes: bool) -> None:
    """Through any changes of shares, with arms that come and go."""
    store, now = MemorySticky(), EARLY
    names = ("control", "new", "newer", "newest")
    for turn, numbers in enumerate(changes):
        total = sum(numbers)
        share = {
            name: number / total
            for name, number in zip(names, numbers, strict=False)
            if number or not removes or name == "control"
        }
        now = now.reweighted(share)
        assigner = HashAssigner([now], sticky=store)
        many = assigner.assign_many(IDS[20 * turn : 20 * turn + 60])
        assert ((many.propensity > 0) == many.in_experiment).all()
        assert (many.versions[many.in_experiment] >= 2).all()
        for unit in IDS[20 * turn : 20 * turn + 60]:
            one = assigner.assign(unit)
            assert (one.propensity > 0) == one.in_experiment
            assert one.reason in {"sticky", "arm_removed"}


class Bare:
    """A store from before probabilities were kept."""

    def get(self, experiment: str, unit: str) -> StickyVariant | None:
        return StickyVariant("new")

    def put(self, experiment: str, unit: str, given: StickyVariant) -> StickyVariant:
        raise AssertionError


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (EARLY, (0.1, 1)),  # shares have never changed, so it was this one
        (LATE, (1.0, 0)),  # nobody knows
        (Experiment(key="x", variants={"control": 1.0, "new": 0.0}), (1.0, 0)),
    ],
)
def test_a_variant_whose_probability_was_not_kept(
    experiment: Experiment, expected: tuple[float, int]
) -> None:
    assigner = HashAssigner([experiment], sticky=Bare())
    one = assigner.assign("u")
    assert (one.variant, one.reason, one.propensity, one.version) == ("new", "sticky", *expected)
    many = assigner.assign_many(["u"])
    assert (many.names(), many.propensity[0], many.versions[0]) == (["new"], *expected)


class Late:
    """A store that another worker writes to between our look and our write."""

    def __init__(self) -> None:
        self.given = StickyVariant("new", 0.1, 1)

    def get(self, experiment: str, unit: str) -> StickyVariant | None:
        return None

    def put(self, experiment: str, unit: str, given: StickyVariant) -> StickyVariant:
        return self.given


def test_the_worker_that_was_first_decides() -> None:
    assigner = HashAssigner([LATE], sticky=Late())
    many = assigner.assign_many(IDS[:50])
    assert set(many.names()) == {"new"}
    assert set(many.propensity.tolist()) == {0.1}
    for unit in IDS[:50]:
        one = assigner.assign(unit)
        assert (one.variant, one.reason, one.propensity, one.version) == ("new", "sticky", 0.1, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variant": ""}, "variant must be the name of a variant"),
        ({"variant": None}, "variant must be the name of a variant"),
        ({"propensity": 0.0}, r"propensity must be in \(0, 1\]"),
        ({"propensity": float("nan")}, r"propensity must be in \(0, 1\]"),
        ({"version": 0}, "version must be a whole number of at least 1"),
    ],
)
def test_bad_sticky_variants_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        StickyVariant(**{"variant": "new", **given})
