"""Experiments on a store: written on what they were made from, and sticky for all workers."""

from __future__ import annotations

import pytest
from typing_extensions import override

from siamrec.errors import InvalidDataError, StaleWriteError
from siamrec.experiments import Experiment
from siamrec.experiments.assignment import StickyVariant
from siamrec.storage import Store, StoredSticky
from siamrec.testing.experiments import StickyStoreContract


def test_a_manager_on_a_store_keeps_every_change(store: Store) -> None:
    experiment = Experiment(
        key="ranker",
        variants={"z-control": 0.5, "a-new": 0.5},
        exposure=0.2,
        layer="search",
        layer_range=(0.0, 0.5),
        targeting="country in ['TH', 'LA']",
    )
    manager = store.experiments()
    manager.define(experiment, who="ann")
    manager.start("ranker")
    manager.ramp("ranker", 0.6)
    changed = manager.reweight("ranker", {"z-control": 0.25, "a-new": 0.75})
    again = store.experiments()
    assert again.record("ranker") == manager.record("ranker")
    found = again.record("ranker").experiment
    assert found.control == "z-control"
    assert found.allocation == changed.allocation
    assert found.targeting == experiment.targeting
    assert [entry.action for entry in again.record("ranker").trail] == [
        "define", "start", "ramp", "reweight",
    ]  # fmt: skip
    here = again.assigner().assign("u1", context={"country": "TH"})
    assert here == manager.assigner().assign("u1", context={"country": "TH"})


def test_a_write_on_an_old_revision_is_refused(store: Store) -> None:
    manager = store.experiments()
    manager.define(Experiment(key="x", variants={"a": 0.5, "b": 0.5}))
    old = manager.record("x")
    manager.start("x")
    with pytest.raises(StaleWriteError, match="'x' was changed meanwhile"):
        store.experiment_records.put(old, expected=old.revision)
    with pytest.raises(StaleWriteError, match="'x' was changed meanwhile"):
        store.experiment_records.put(old, expected=None)
    assert store.experiment_records.get("y") is None
    assert store.experiment_records.keys() == ("x",)


def test_code_cannot_be_stored_as_targeting(store: Store) -> None:
    experiment = Experiment(key="x", variants={"a": 0.5, "b": 0.5}, targeting=bool)
    with pytest.raises(InvalidDataError, match="targeting of a stored experiment must be"):
        store.experiments().define(experiment)


def test_the_first_variant_of_a_unit_stays(store: Store) -> None:
    before = Experiment(key="x", variants={"a": 1.0, "b": 0.0})
    after = Experiment(key="x", variants={"a": 0.0, "b": 1.0})
    assert store.assigner([before]).assign("ann").variant == "a"
    assert store.assigner([after]).assign("ann").variant == "a"
    assert store.assigner([after], sticky=False).assign("ann").variant == "b"
    assert store.assigner([after]).assign("bob").variant == "b"
    assert store.counts()["sticky"] == 2


def test_the_probability_and_the_version_of_a_sticky_variant_are_kept(store: Store) -> None:
    early = Experiment(key="x", variants={"a": 0.75, "b": 0.25})
    late = early.reweighted({"a": 0.5, "b": 0.5})
    ids = [f"u{number}" for number in range(20)]
    first = store.assigner([early]).assign_many(ids[:10])
    many = store.assigner([late]).assign_many(ids)
    assert many.names()[:10] == first.names()
    assert many.propensity[:10].tolist() == first.propensity.tolist()
    assert many.versions.tolist() == [1] * 10 + [2] * 10
    one = store.assigner([late]).assign(ids[0])
    assert (one.reason, one.version, one.propensity) == ("sticky", 1, first.propensity[0])


def test_the_variant_that_was_first_is_what_a_write_returns(store: Store) -> None:
    kept = StoredSticky(store._engine)
    first, second = StickyVariant("a", 0.75, 1), StickyVariant("b", 0.5, 2)
    assert kept.put("x", "ann", first) == first
    assert kept.put("x", "ann", second) == first
    assert kept.get("x", "ann") == first


def test_rows_from_before_probabilities_were_kept_are_read(store: Store) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sticky (experiment, unit, variant) VALUES ('x', 'ann', 'b')"
        )
    early = Experiment(key="x", variants={"a": 0.75, "b": 0.25})
    late = early.reweighted({"a": 0.5, "b": 0.5})
    found = [store.assigner([each]).assign("ann") for each in (early, late)]
    assert [(a.variant, a.propensity, a.version) for a in found] == [("b", 0.25, 1), ("b", 1.0, 0)]


class TestStoredSticky(StickyStoreContract):
    @override
    def make(self) -> StoredSticky:
        return StoredSticky(Store("sqlite://")._engine)
