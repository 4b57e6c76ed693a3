"""No interval of a metric or a report leaves the range of its quantity, or has no width."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import RegressionFound
from siamrec.metrics import METRICS, Metric, RatioOfSums, Suite, online, tukey_hsd
from siamrec.metrics.online.events import Events
from siamrec.statistics import wilson
from siamrec.testing.metrics import MetricContract, World

if TYPE_CHECKING:
    from siamrec.metrics import EvaluationView
    from siamrec.metrics.online.events import UserSums
    from siamrec.typing import FloatArray

HOUR = 3_600_000_000


@pytest.mark.parametrize("stem", sorted(METRICS.house()))
def test_every_metric_of_the_house_declares_a_range(stem: str) -> None:
    """The public contract runs over each of them in test_metric_contracts.py."""
    made: Any = METRICS.factory(stem)
    low, high = made.limits
    settings_decide = "range" in vars(made)
    assert low < high
    assert settings_decide or low > -np.inf or high < np.inf


SETTINGS: dict[str, tuple[float, float]] = {
    "ild@5": (0.0, 2.0),
    "ild(distance=jaccard)@5": (0.0, 1.0),
    "ild(distance=euclidean)@5": (0.0, np.inf),
    "aclt@5": (0.0, 5.0),
    "mean_rank@5": (1.0, 6.0),
    "mean_rank": (1.0, np.inf),
    "vendi@5": (1.0, 5.0),
    "popularity_rank(percentile=true)@5": (0.0, 1.0),
    "miscalibration@5": (0.0, -np.log(0.01)),
    "miscalibration(divergence=jsd)@5": (0.0, 1.0),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_ranges_that_depend_on_settings(name: str) -> None:
    (metric,) = Suite([name]).metrics.values()
    assert metric.range == pytest.approx(SETTINGS[name])


def test_what_few_users_say() -> None:
    """Found by trying: intervals such as [-2.4, 3.9] for a share, or of no width."""
    lists = Rankings.from_lists({u: ["a"] for u in range(6)})
    truth = Truth.from_lists({0: ["a"], **{u: ["b"] for u in range(1, 6)}})
    report = Suite(["hit@1", "coverage@1", "gini@1"]).evaluate(lists, truth, catalog_size=6)
    assert report["hit@1"].interval == pytest.approx((0.0, 0.5951), abs=1e-4)
    for name in ("coverage@1", "gini@1"):
        low, high = report[name].interval
        assert 0 <= low < report[name].mean < high <= 1
    all_hit = Suite(["hit@1"]).evaluate(lists, Truth.from_lists({u: ["a"] for u in range(6)}))
    assert all_hit["hit@1"].interval == wilson(6, 6)
    two = Suite(["ndcg@2"]).evaluate(
        Rankings.from_lists({0: ["a", "b"], 1: ["b", "c"]}), Truth.from_lists({0: ["b"], 1: ["b"]})
    )
    assert two["ndcg@2"].interval[1] == 1.0


def test_a_state_without_users_gives_the_same_intervals() -> None:
    world, suite = World(0, alike=True), Suite(["hit@3", "ndcg@3"], seen_items="allow")
    kept, streamed = suite.start(), suite.start(keep_users=False)
    for state in (kept, streamed):
        state.update(world.rankings([0, 1, 2]), world.truth([0, 1, 2]))
    for name in suite.names:
        assert streamed.compute()[name].interval == kept.compute()[name].interval


def test_differences_and_bootstraps_keep_to_their_range() -> None:
    lists = Rankings.from_lists({u: ["a"] for u in range(5)})
    good, bad = (
        Suite(["hit@1"]).evaluate(lists, Truth.from_lists({u: [item] for u in range(5)}))
        for item in ("a", "b")
    )
    (row,) = good.compare(bad, test="t")
    assert row.difference == 1.0
    assert 0 < row.low < row.high == 1.0
    assert row.p < 0.05
    assert good.interval("hit@1", rng=np.random.default_rng(0)) == (0.0, 1.0)
    (pair,) = tukey_hsd({"good": good, "bad": bad}, "hit@1")
    assert (pair.low, pair.high) == (-1.0, 1.0)
    good.assert_not_worse(good, "hit@1")
    with pytest.raises(RegressionFound, match="may be worse"):
        bad.assert_not_worse(good, "hit@1", margin=0.5)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Metric):
    """A guest's number that is no sample: every user of the product is in the lists."""

    stem: ClassVar[str] = "counted"
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    census: ClassVar[bool] = True

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return view.has_list.astype(np.float64)


class TestCensus(MetricContract):
    @override
    def make(self) -> Metric:
        return Counted()


def test_a_census_has_no_error_and_says_so() -> None:
    found = Suite([Counted()]).evaluate(Rankings.from_lists({0: ["a"], 1: []}))["counted"]
    assert (found.mean, found.interval, found.method) == (0.5, (0.5, 0.5), "census")
    assert found.standard_error == 0.0


def day(n_users: int, kinds: tuple[str, ...]) -> Events:
    """Each user does the same, an hour apart, on the first and on the second day."""
    rows = [
        (f"u{user}", kind, f"i{place % 2}", 24 * HOUR * date + HOUR * place // 4)
        for user in range(n_users)
        for date in (0, 1)
        for place, kind in enumerate(kinds)
    ]
    users, names, items, times = zip(*rows, strict=True)
    return Events.from_frame(
        {
            "user": list(users),
            "kind": list(names),
            "item": list(items),
            "value": [4.0] * len(rows),
            "position": [1] * len(rows),
            "time": np.array(times, dtype="datetime64[us]"),
        },
        item="item",
        value="value",
        position="position",
        time="time",
    )


def online_metrics() -> dict[str, Any]:
    """Every function of the room from events to sums over users."""
    return {
        name: part
        for name, part in vars(online).items()
        if inspect.isfunction(part) and str(inspect.signature(part)).endswith("-> 'UserSums'")
    }


REQUIRED = {"discovery": {"niche": ["i0"]}}
HOSTS = {"quality", "revenue"}
"""Their scale is the host's: ratings of any kind, refunds."""


@pytest.mark.parametrize("n_users", [1, 2, 5, 50])
@pytest.mark.parametrize(
    "kinds",
    [
        ("impression",) * 4,
        ("impression", "click", "rating", "thumb", "conversion"),
        ("click", "click", "click"),
        (),
    ],
    ids=["nothing", "everything", "clicks alone", "no events"],
)
@pytest.mark.parametrize("name", sorted(online_metrics()))
def test_online_metrics_keep_to_their_range(
    name: str, kinds: tuple[str, ...], n_users: int
) -> None:
    events = day(n_users, kinds) if kinds else day(1, ("click",)).where(np.zeros(2, np.bool_))
    sums: UserSums = online_metrics()[name](events, **REQUIRED.get(name, {}))
    low, high = sums.range
    assert (low, high) == (-np.inf, np.inf) if name in HOSTS else low == 0.0
    found = sums.estimate()
    first, last = found.interval
    assert low <= first < last
    if not found.mean > high:  # clicks without impressions
        assert last <= high
    assert np.isnan(found.mean) or first <= found.mean <= last


def test_what_few_events_say() -> None:
    """Found by trying: (0, 0) for 50 impressions without a click, (1, 1) for 5 thumbs up."""
    assert online.ctr(day(50, ("impression",))).estimate().interval == wilson(0, 50)
    assert online.thumbs_ratio(day(5, ("thumb",))).estimate().interval == wilson(5, 5)


def test_a_ratio_without_spread_and_without_a_range_is_unbounded() -> None:
    assert RatioOfSums.of([0.0] * 9, [5.0] * 9).estimate().interval == (-np.inf, np.inf)
    both = RatioOfSums.of([0.0], [5.0], range=(0, 1)) + RatioOfSums.of([0.0], [5.0], range=(0, 2))
    assert both.range == (0, 2)


def test_ratios_keep_their_digits_far_from_zero() -> None:
    noise = np.random.default_rng(0).normal(size=400)
    near, far = (RatioOfSums.of(noise + shift, np.ones(400)) for shift in (0.0, 1e9))
    assert far.standard_error == pytest.approx(near.standard_error, rel=1e-6)


def test_a_ratio_whose_spread_has_cancelled_is_unbounded() -> None:
    rng = np.random.default_rng(3)
    bottom = rng.integers(1, 5, 400).astype(float)
    top = 1e10 * bottom + rng.normal(size=400)
    assert RatioOfSums.of(top, bottom).estimate().interval == (-np.inf, np.inf)
    near = RatioOfSums.of(top - 1e10 * bottom, bottom)
    assert near.standard_error == pytest.approx(1 / np.sqrt(400) / bottom.mean(), rel=0.1)
