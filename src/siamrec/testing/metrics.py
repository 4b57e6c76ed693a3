"""What every metric must satisfy; subclass a suite and say how to build the metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import MissingInputError
from siamrec.metrics import METRICS, Metric, Suite
from siamrec.metrics._names import build
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.metrics import PooledMetric, Report
    from siamrec.protocols import MetricSuite

N_ITEMS, N_USERS = 25, 30
SEEDS = (0, 1, 2)


@final
class World:
    """Lists, truths and every input that metrics may ask for, under any names of the items.

    Args:
        seed: Which world.
        label: Name of each item; without it, its number.
        alike: Whether all users are one and the same.
    """

    def __init__(
        self, seed: int, label: Mapping[int, Any] | None = None, *, alike: bool = False
    ) -> None:
        rng = np.random.default_rng(seed)
        self.label = dict(label or {item: item for item in range(N_ITEMS)})
        self.lists = {u: rng.permutation(N_ITEMS)[: rng.integers(0, 9)] for u in range(N_USERS)}
        self.scores = {u: np.sort(rng.uniform(0, 1, r.size))[::-1] for u, r in self.lists.items()}
        self.likes = {
            u: dict.fromkeys(rng.permutation(N_ITEMS)[: rng.integers(0, 7)].tolist(), 1.0)
            for u in range(N_USERS)
        }
        for row in self.likes.values():
            row.update({item: float(rng.integers(1, 4)) for item in row})
        self.past = {u: rng.permutation(N_ITEMS)[:4].tolist() for u in range(N_USERS)}
        self.before = {u: rng.permutation(N_ITEMS)[:6].tolist() for u in range(N_USERS)}
        if alike:
            first = max(self.lists, key=lambda user: self.lists[user].size)
            tables: list[dict[int, Any]] = [self.lists, self.scores, self.likes]
            for table in (*tables, self.past, self.before):
                table.update(dict.fromkeys(table, table[first]))
        self.counts = np.sort(rng.integers(1, 100, N_ITEMS))[::-1].astype(float)
        self.vectors = rng.standard_normal((N_ITEMS, 4))
        self.kinds = {n: [f"k{n % 4}"] if n % 3 else [f"k{n % 4}", "k9"] for n in range(N_ITEMS)}

    def rankings(self, users: list[int] | None = None) -> Rankings:
        """Return the lists of some users, in that order."""
        chosen = list(self.lists) if users is None else users
        return Rankings.from_lists(
            {u: self._named(self.lists[u].tolist()) for u in chosen},
            scores={u: self.scores[u].tolist() for u in chosen},
            items=Vocabulary(tuple(self.label.values())),
        )

    def truth(self, users: list[int] | None = None) -> Truth:
        """Return the truths of some users."""
        chosen = list(self.lists) if users is None else users
        return Truth.from_lists(
            {u: {self.label[i]: g for i, g in self.likes[u].items()} for u in chosen}
        )

    def inputs(self) -> dict[str, Any]:
        """Return every optional input of `Suite.evaluate`, per-item ones by item id."""
        label = self.label
        return {
            "catalog_size": N_ITEMS,
            "n_users": 500,
            "popularity": {label[n]: float(c) for n, c in enumerate(self.counts)},
            "quality": {label[n]: 5.0 + n / 10 for n in label},
            "propensity": {label[n]: (n + 1) / N_ITEMS for n in label},
            "embeddings": {label[n]: row for n, row in enumerate(self.vectors)},
            "categories": {label[n]: kinds for n, kinds in self.kinds.items()},
            "groups": {label[n]: kinds[0] for n, kinds in self.kinds.items()},
            "history": Truth.from_lists({u: self._named(row) for u, row in self.past.items()}),
            "expected": self._named([0, 1, 2, 3]),
            "previous": Rankings.from_lists({u: self._named(r) for u, r in self.before.items()}),
        }

    def _named(self, items: list[int]) -> list[Any]:
        return [self.label[item] for item in items]


def _evaluated(metric: Metric | PooledMetric, world: World, users: list[int]) -> Report:
    suite = Suite([metric], seen_items="allow")
    return suite.evaluate(world.rankings(users), world.truth(users), **world.inputs())


def _missing(metric: Metric | PooledMetric) -> None:
    """Every declared need must be asked for by name, with its remedy."""
    world = World(0)
    for need in sorted(metric.needs):
        given = {name: value for name, value in world.inputs().items() if name != need}
        rankings, truth = world.rankings(), None if need == "truth" else world.truth()
        if need == "scores":
            rankings = Rankings.from_lists({0: [0]})
        with pytest.raises(MissingInputError, match=f"{need}.*is needed here; pass it as"):
            Suite([metric], seen_items="allow").evaluate(rankings, truth, **given)


def _needs_no_more(metric: Metric | PooledMetric) -> None:
    """What is not declared is not asked for."""
    world = World(0)
    given = {name: value for name, value in world.inputs().items() if name in metric.needs}
    truth = world.truth() if "truth" in metric.needs else None
    Suite([metric], seen_items="allow").evaluate(world.rankings(), truth, **given)


def _round_trip(metric: Metric | PooledMetric) -> None:
    """The name must build the metric again."""
    assert build(metric.name, {metric.stem: type(metric)}, METRICS) == metric
    assert hash(metric) == hash(build(metric.name, {metric.stem: type(metric)}, METRICS))


def _keeps_its_range(metric: Metric | PooledMetric, *, alike: bool) -> None:
    """The range is declared, holds every value, and no interval leaves it or has no width."""
    low, high = metric.range
    assert low < high, f"the range of {metric.name} must rise"
    assert low > -np.inf or high < np.inf, f"{metric.name} must declare its range (limits=)"
    for seed in SEEDS:
        for n_users in (1, 2, 3, 6, N_USERS):
            report = _evaluated(metric, World(seed, alike=alike), list(range(n_users)))
            found = report[metric.name]
            slack = 1e-9 * max(abs(found.mean), 1.0)
            if isinstance(metric, Metric):
                values = report.per_user(metric.name)
                values = values[~np.isnan(values)]
                assert (values >= low - slack).all()
                assert (values <= high + slack).all()
            assert np.isnan(found.mean) or low - slack <= found.mean <= high + slack
            if metric.census:
                assert found.method == "census"
                continue
            first, last = found.interval
            assert low <= first < last <= high
            assert np.isnan(found.mean) or first - slack <= found.mean <= last + slack


class MetricContract(ABC):
    """Laws of a metric with one number for each user.

    Examples:
        A third party writes, in a test module::

            class TestMine(MetricContract):
                def make(self) -> Metric:
                    return Mine(k=5)
    """

    @abstractmethod
    def make(self) -> Metric:
        """Return the metric under test."""

    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_number_for_each_user(self, seed: int) -> None:
        metric = self.make()
        values = _evaluated(metric, World(seed), list(range(N_USERS))).per_user(metric.name)
        assert values.shape == (N_USERS,)
        assert values.dtype == np.float64
        assert not np.isinf(values).any()
        assert not np.isnan(values).all()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_order_of_users_changes_no_bit(self, seed: int) -> None:
        metric, world = self.make(), World(seed)
        order = np.random.default_rng(seed).permutation(N_USERS).tolist()
        plain = _evaluated(metric, world, list(range(N_USERS))).per_user(metric.name)
        turned = _evaluated(metric, world, order).per_user(metric.name)
        np.testing.assert_array_equal(turned, plain[order])

    @pytest.mark.parametrize("seed", SEEDS)
    def test_names_of_items_change_no_bit(self, seed: int) -> None:
        metric = self.make()
        label = {n: f"item {n:03}" for n in range(N_ITEMS)}
        users = list(range(N_USERS))
        plain = _evaluated(metric, World(seed), users).per_user(metric.name)
        named = _evaluated(metric, World(seed, label), users).per_user(metric.name)
        np.testing.assert_array_equal(named, plain)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_batches_change_no_bit(self, seed: int) -> None:
        metric, world = self.make(), World(seed)
        plain = _evaluated(metric, world, list(range(N_USERS))).per_user(metric.name)
        state = Suite([metric], seen_items="allow").start(**world.inputs())
        for low in range(0, N_USERS, 7):
            users = list(range(low, min(low + 7, N_USERS)))
            state.update(world.rankings(users), world.truth(users))
        np.testing.assert_array_equal(state.compute().per_user(metric.name), plain)

    @pytest.mark.parametrize("alike", [False, True])
    def test_range_is_declared_and_kept(self, *, alike: bool) -> None:
        _keeps_its_range(self.make(), alike=alike)

    def test_missing_inputs_are_named(self) -> None:
        _missing(self.make())

    def test_nothing_else_is_needed(self) -> None:
        _needs_no_more(self.make())

    def test_name_builds_it_again(self) -> None:
        _round_trip(self.make())

    def test_what_is_below_the_cut_off_does_not_count(self) -> None:
        metric = self.make()
        k = getattr(metric, "k", None)
        if k is None:
            pytest.skip("The metric has no cut-off.")
        world, longer = World(1), World(1)
        everybody = list(range(N_USERS))
        for user, row in world.lists.items():
            short = row[:k]
            rest = np.setdiff1d(np.arange(N_ITEMS), short)[
                : 9 - short.size if short.size == k else 0
            ]
            world.lists[user], world.scores[user] = short, np.arange(short.size, 0, -1.0)
            longer.lists[user] = np.concatenate([short, rest])
            longer.scores[user] = np.arange(short.size + rest.size, 0, -1.0)
        plain = _evaluated(metric, world, everybody).per_user(metric.name)
        found = _evaluated(metric, longer, everybody).per_user(metric.name)
        np.testing.assert_allclose(found, plain, rtol=1e-12)

    def test_two_calls_agree_and_share_nothing(self) -> None:
        metric, world = self.make(), World(0)
        everybody = list(range(N_USERS))
        with no_global_chance():
            first = _evaluated(metric, world, everybody).per_user(metric.name)
            kept = first.copy()
            second = _evaluated(metric, world, everybody).per_user(metric.name)
        np.testing.assert_array_equal(second, kept)
        if first.flags.writeable:
            first[:] = -7.0
        np.testing.assert_array_equal(
            _evaluated(metric, world, everybody).per_user(metric.name), kept
        )

    def test_a_user_alone_has_the_same_number(self) -> None:
        metric, world = self.make(), World(2)
        together = _evaluated(metric, world, list(range(N_USERS))).per_user(metric.name)
        for user in (0, 7, 19):
            alone = _evaluated(metric, world, [user]).per_user(metric.name)
            np.testing.assert_allclose(alone, together[[user]], rtol=1e-12)


class PooledMetricContract(ABC):
    """Laws of a metric with one number for all users."""

    @abstractmethod
    def make(self) -> PooledMetric:
        """Return the metric under test."""

    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_finite_number_with_an_interval(self, seed: int) -> None:
        metric = self.make()
        found = _evaluated(metric, World(seed), list(range(N_USERS)))[metric.name]
        assert np.isfinite(found.mean)
        assert found.interval[0] <= found.mean <= found.interval[1]

    @pytest.mark.parametrize("seed", SEEDS)
    def test_order_of_users_and_names_of_items_do_not_matter(self, seed: int) -> None:
        metric = self.make()
        label = {n: f"item {n:03}" for n in range(N_ITEMS)}
        order = np.random.default_rng(seed).permutation(N_USERS).tolist()
        plain = _evaluated(metric, World(seed), list(range(N_USERS)))[metric.name]
        turned = _evaluated(metric, World(seed, label), order)[metric.name]
        assert turned.mean == pytest.approx(plain.mean, rel=1e-12)
        assert turned.interval == pytest.approx(plain.interval, rel=1e-9)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_batches_and_merges_equal_one_evaluation(self, seed: int) -> None:
        metric, world = self.make(), World(seed)
        plain = _evaluated(metric, world, list(range(N_USERS)))[metric.name]
        suite = Suite([metric], seen_items="allow")
        merged = None
        for low in range(0, N_USERS, 10):
            state = suite.start(**world.inputs())
            users = list(range(low, low + 10))
            state.update(world.rankings(users), world.truth(users))
            merged = state if merged is None else merged.merge(state)
        assert merged is not None
        found = merged.compute()[metric.name]
        assert found.mean == pytest.approx(plain.mean, rel=1e-12)
        assert found.interval == pytest.approx(plain.interval, rel=1e-9)

    @pytest.mark.parametrize("alike", [False, True])
    def test_range_is_declared_and_kept(self, *, alike: bool) -> None:
        _keeps_its_range(self.make(), alike=alike)

    def test_missing_inputs_are_named(self) -> None:
        _missing(self.make())

    def test_nothing_else_is_needed(self) -> None:
        _needs_no_more(self.make())

    def test_name_builds_it_again(self) -> None:
        _round_trip(self.make())


class MetricSuiteContract(ABC):
    """Laws of a suite: what it measures is there by name, for every user, and repeats.

    Attributes:
        accuracy: A metric that rises when what people like is put first; "" for none.
        inputs: Inputs of `Suite.evaluate`, among those of `World.inputs`, that it is given.
    """

    accuracy: str = ""
    inputs: tuple[str, ...] = ("catalog_size", "popularity", "n_users")

    @abstractmethod
    def make(self) -> MetricSuite:
        """Return the suite under test."""

    def evaluated(self, world: World, users: list[int] | None = None) -> Any:
        given = {name: world.inputs()[name] for name in self.inputs}
        return self.make().evaluate(world.rankings(users), world.truth(users), **given)

    def test_every_name_is_in_the_report(self) -> None:
        names = tuple(self.make().names)
        assert names
        assert len(set(names)) == len(names)
        report = self.evaluated(World(0))
        assert set(report.names) >= set(names)
        for name in names:
            low, high = report[name].interval
            assert low <= report[name].mean <= high

    def test_the_mean_is_that_of_the_users(self) -> None:
        report = self.evaluated(World(1))
        told = 0
        for name in self.make().names:
            try:
                values = report.per_user(name)
            except (LookupError, ValueError):
                continue  # one number for all users
            told += 1
            assert values.shape == (N_USERS,)
            assert report[name].mean == pytest.approx(np.nanmean(values), rel=1e-9)
        assert told, "At least one metric must be told for every user."

    def test_two_calls_agree(self) -> None:
        with no_global_chance():
            first, second = (self.evaluated(World(2)) for _ in range(2))
        for name in self.make().names:
            assert first[name].mean == second[name].mean
            assert tuple(first[name].interval) == tuple(second[name].interval)

    def test_order_of_users_does_not_matter(self) -> None:
        order = np.random.default_rng(0).permutation(N_USERS).tolist()
        plain, turned = self.evaluated(World(0)), self.evaluated(World(0), order)
        for name in self.make().names:
            assert turned[name].mean == pytest.approx(plain[name].mean, rel=1e-9)

    def test_what_people_like_first_is_better(self) -> None:
        if not self.accuracy:
            pytest.skip("The suite names no metric of accuracy.")
        best, worst = World(3), World(3)
        for user, likes in best.likes.items():
            row = sorted(range(N_ITEMS), key=lambda item: -likes.get(item, 0.0))
            for world, listed in ((best, row), (worst, row[::-1])):
                world.lists[user] = np.array(listed[:8])
                world.scores[user] = np.arange(8, 0, -1.0)
        good, bad = self.evaluated(best), self.evaluated(worst)
        assert good[self.accuracy].mean > bad[self.accuracy].mean
