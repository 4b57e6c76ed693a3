"""What looking rules, hashers and stores of experiments must keep, as test classes to subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.errors import SiamrecError, StaleWriteError
from siamrec.experiments import Experiment
from siamrec.experiments.assignment import StickyVariant
from siamrec.experiments.manager import ExperimentRecord
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.assignment import Hasher, StickyStore
    from siamrec.experiments.manager import ExperimentStore
    from siamrec.experiments.sequential.confidence_sequences import Sequence
    from siamrec.protocols import ExperimentAssigner

__all__ = [
    "AssignerContract",
    "ExperimentStoreContract",
    "HasherContract",
    "SequenceContract",
    "StickyStoreContract",
]

_SHARES_OF = ("control", "new")


class SequenceContract(ABC):
    """Subclass it as `class TestMine(SequenceContract)` and say how to build the rule."""

    runs = 600
    """Simulated experiments in which nothing happens."""

    @abstractmethod
    def make(self, planned: float) -> Sequence:
        """Return the rule under test, planned for so many units of both variants."""

    def test_intervals_and_p_values_agree(self) -> None:
        rule = self.make(2000.0)
        for n in (500.0, 1000.0, 2000.0):
            reach = rule.multiplier(n, 0.05)
            assert rule.log_p(reach * 1.001, n, 0.05) <= np.log(0.05) + 1e-3
            assert rule.log_p(reach * 0.98, n, 0.05) > np.log(0.05)
            assert rule.log_p(0.0, n, 0.05) <= 0.0

    def test_a_smaller_alpha_is_wider(self) -> None:
        rule = self.make(2000.0)
        for n in (500.0, 2000.0):
            assert rule.multiplier(n, 0.01) > rule.multiplier(n, 0.05) > 1.9

    def test_twenty_looks_keep_the_level(self) -> None:
        """At most 5 % + 4 s.e. cross at any look: fails once in 30,000 for an exact rule."""
        rng = np.random.default_rng(5)
        looks = np.arange(50, 1001, 50)
        gap = rng.normal(size=(self.runs, 1000)) - rng.normal(size=(self.runs, 1000))
        z = np.cumsum(gap, axis=1)[:, looks - 1] / np.sqrt(2 * looks)
        rule = self.make(2000.0)
        bounds = np.array([rule.multiplier(2.0 * n, 0.05) for n in looks])
        crossed = (np.abs(z) > bounds).any(axis=1).mean()
        assert crossed <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / self.runs)


class HasherContract(ABC):
    """Subclass it as `class TestMine(HasherContract)` and say how to build the hasher."""

    @abstractmethod
    def make(self) -> Hasher:
        """Return the hasher under test."""

    def test_equal_input_equal_bucket(self) -> None:
        hasher = self.make()
        for unit, salt in (("u", "s"), ("", ""), ("é", "用")):
            assert hasher(unit, salt) == hasher(unit, salt)
            assert 0 <= hasher(unit, salt) <= 1

    def test_the_salt_counts(self) -> None:
        hasher = self.make()
        units = [f"unit-{number}" for number in range(200)]
        one, two = ([hasher(unit, salt) for unit in units] for salt in ("one", "two"))
        assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(200)

    def test_buckets_are_even(self) -> None:
        """Ten bins of 10,000 units: chi-square with 9 degrees of freedom below 60 (1e-9)."""
        hasher = self.make()
        buckets = np.array([hasher(f"unit-{number}", "salt") for number in range(10_000)])
        counts = np.bincount(np.minimum((buckets * 10 + 1e-9).astype(int), 9), minlength=10)
        assert ((counts - 1000.0) ** 2 / 1000).sum() < 60


class StickyStoreContract(ABC):
    """Subclass it as `class TestMine(StickyStoreContract)` and say how to open an empty store."""

    @abstractmethod
    def make(self) -> StickyStore:
        """Return an empty store."""

    def test_the_first_variant_stays(self) -> None:
        store = self.make()
        first, second = StickyVariant("control", 0.9, 1), StickyVariant("new", 0.5, 2)
        assert store.get("x", "u") is None
        assert store.put("x", "u", first) == first
        assert store.put("x", "u", second) == first
        assert store.get("x", "u") == first
        assert store.get("y", "u") is None
        assert store.get("x", "v") is None

    def test_what_is_not_known_stays_unknown(self) -> None:
        store = self.make()
        bare = StickyVariant("control")
        assert store.put("x", "u", bare) == bare
        assert store.get("x", "u") == bare


class ExperimentStoreContract(ABC):
    """Subclass it as `class TestMine(ExperimentStoreContract)`; say how to open an empty store."""

    @abstractmethod
    def make(self) -> ExperimentStore:
        """Return an empty store."""

    def _record(self, key: str) -> ExperimentRecord:
        return ExperimentRecord(
            experiment=Experiment(key=key, variants=dict.fromkeys(_SHARES_OF, 0.5))
        )

    def test_what_is_put_is_got(self) -> None:
        store = self.make()
        assert store.get("x") is None
        assert store.keys() == ()
        for key in ("y", "x"):
            store.put(self._record(key), expected=None)
        assert store.keys() == ("x", "y")
        assert store.get("x") == self._record("x")

    def test_a_stale_write_changes_nothing(self) -> None:
        store = self.make()
        first = self._record("x")
        store.put(first, expected=None)
        second = replace(first, revision=1)
        store.put(second, expected=0)
        with pytest.raises(StaleWriteError):
            store.put(replace(first, revision=1, winner="new"), expected=0)
        assert store.get("x") == second


class AssignerContract(ABC):
    """Subclass it as `class TestMine(AssignerContract)` and say how to build one.

    Attributes:
        shares: Share of each variant, of those who are in the experiment.
        exposure: Share of the units that are in the experiment.
    """

    shares: Mapping[str, float] = {"control": 0.3, "new": 0.7}
    exposure: float = 1.0

    @abstractmethod
    def make(self) -> ExperimentAssigner:
        """Return an assigner with these shares; two calls give equal ones."""

    def _units(self, n: int, of: str = "unit") -> list[str]:
        return [f"{of}-{number}" for number in range(n)]

    def test_the_same_unit_always_gets_the_same_variant(self) -> None:
        one, two = self.make(), self.make()
        with no_global_chance():
            for unit in (*self._units(50), "é", "用户", " ", "x" * 500):
                first = one.assign(unit)
                one.assign("somebody else")
                assert one.assign(unit).variant == first.variant == two.assign(unit).variant

    def test_bulk_equals_single(self) -> None:
        assigner, units = self.make(), self._units(300)
        many = assigner.assign_many(units)
        assert len(many.codes) == len(units)
        for unit, code, propensity in zip(units, many.codes, many.propensity, strict=True):
            single = assigner.assign(unit)
            assert single.variant == (many.variants[code] if code >= 0 else None)
            assert single.propensity == pytest.approx(propensity)

    def test_company_and_order_do_not_matter(self) -> None:
        assigner, units = self.make(), self._units(100)
        plain = assigner.assign_many(units)
        turned = assigner.assign_many(units[::-1])
        np.testing.assert_array_equal(turned.codes[::-1], plain.codes)
        np.testing.assert_array_equal(assigner.assign_many(units[3:9]).codes, plain.codes[3:9])

    @pytest.mark.parametrize("of", ["unit", "user:2026/", "0000"])
    def test_shares_are_as_promised(self, of: str) -> None:
        """Each count of 20,000 units within 5 sigma: fails once in a million."""
        n = 20_000
        many = self.make().assign_many(self._units(n, of))
        inside = {name: share * self.exposure for name, share in self.shares.items()}
        for name, share in inside.items():
            found = int((many.codes == many.variants.index(name)).sum())
            assert abs(found - n * share) <= 5 * np.sqrt(n * share * (1 - share))

    def test_the_propensity_is_the_share(self) -> None:
        many = self.make().assign_many(self._units(400))
        for code, name in enumerate(many.variants):
            np.testing.assert_allclose(many.propensity[many.codes == code], self.shares[name])
        assigner = self.make()
        for unit in self._units(40):
            single = assigner.assign(unit)
            if single.variant is not None:
                assert single.propensity == pytest.approx(self.shares[single.variant])

    def test_neighbours_are_independent(self) -> None:
        """The correlation of units next to each other is within 5 sigma of 0."""
        n = 20_000
        codes = self.make().assign_many(self._units(n)).codes.astype(float)
        correlation = np.corrcoef(codes[:-1], codes[1:])[0, 1]
        assert abs(correlation) <= 5 / np.sqrt(n)

    def test_nobody_is_assigned_to_nothing(self) -> None:
        assert len(self.make().assign_many([]).codes) == 0

    def test_one_text_is_not_many_units(self) -> None:
        with pytest.raises(SiamrecError):
            self.make().assign_many("ab")

    def test_an_empty_unit_is_refused(self) -> None:
        with pytest.raises(SiamrecError):
            self.make().assign("")
