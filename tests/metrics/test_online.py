"""Online metrics: hand-computed answers, addition of batches, intervals by user."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from siamrec.data import Vocabulary
from siamrec.errors import InvalidDataError, MissingInputError, UnknownNameError
from siamrec.metrics import RatioOfSums
from siamrec.metrics.online import (
    Events,
    UserSums,
    abandonment,
    bad_rating_share,
    click_share,
    clicks_per_session,
    conversion,
    ctr,
    ctr_by_position,
    discovery,
    good_rating_share,
    impressions_per_session,
    measure,
    quality,
    rating_conversion,
    rating_rate,
    retention,
    revenue,
    session_length,
    thumbs_ratio,
    time_to_first_click,
    user_ctr,
)
from siamrec.statistics import bootstrap_interval

stats = pytest.importorskip("scipy.stats")
HOUR = 3600 * 10**9


def events(rows: list[tuple[Any, ...]], **names: str) -> Events:
    """Rows of (user, kind, item, hours, value, impression, position, variant)."""
    columns = ("user", "kind", "item", "time", "value", "impression", "position", "variant")
    filled = [(*row, *(None,) * (len(columns) - len(row))) for row in rows]
    table = {name: [row[n] for row in filled] for n, name in enumerate(columns)}
    table["time"] = [int((hours or 0) * HOUR) + 10**18 for hours in table["time"]]
    table["variant"] = [variant or "a" for variant in table["variant"]]
    table["value"] = [1.0 if v is None else float(v) for v in table["value"]]
    table["position"] = [float("nan") if p is None else float(p) for p in table["position"]]
    return Events.from_frame(
        table, item="item", time="time", value="value", impression="impression",
        position="position", columns=["variant"],
    )  # fmt: skip


DAY = events(
    [
        ("ann", "impression", "x", 0.0, None, "i1", 1),
        ("ann", "impression", "y", 0.0, None, "i2", 2),
        ("ann", "click", "x", 0.01, None, "i1", 1),
        ("ann", "click", "x", 0.02, None, "i1", 1),  # the same impression: counts once
        ("ann", "rating", "x", 0.1, 5.0),
        ("bob", "impression", "y", 0.0, None, "i3", 1, "b"),
        ("bob", "impression", "z", 0.0, None, "i4", 2, "b"),
        ("bob", "click", "z", 2.0, None, "i4", 2, "b"),
        ("bob", "rating", "z", 2.0, 2.0, None, None, "b"),
        ("bob", "thumb", "z", 2.0, -1.0, None, None, "b"),
        ("eve", "impression", "z", 0.0, None, "i5", 1),
        ("eve", "thumb", "z", 0.0, 1.0),
        ("eve", "thumb", "x", 0.0, 1.0),
    ]
)


def test_engagement_by_hand() -> None:
    assert ctr(DAY).value == 2 / 5
    assert user_ctr(DAY).value == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert click_share(DAY).value == 2 / 3
    assert rating_rate(DAY).value == 2 / 5
    assert rating_conversion(DAY).value == 1.0
    assert thumbs_ratio(DAY).value == 2 / 3
    assert good_rating_share(DAY).value == 0.5
    assert bad_rating_share(DAY).value == 0.5
    assert {p: sums.value for p, sums in ctr_by_position(DAY).items()} == {1: 1 / 3, 2: 1 / 2}
    assert ctr(DAY, examined={1: 1.0, 2: 0.5}).value == (1 + 2) / 5
    assert quality(DAY).value == 3.5  # own ratings of x and z
    assert discovery(DAY, niche=["z"]).value == 0.5
    assert discovery(DAY, popularity={"x": 5000, "z": 10}).value == 0.5


def test_quality_falls_back_to_the_mean_of_the_item() -> None:
    clicks = events([("ann", "click", "x"), ("ann", "click", "y"), ("ann", "click", "w")])
    assert quality(clicks, item_rating={"x": 4.0, "y": 3.0}).value == 3.5


def test_sessions_by_hand() -> None:
    # ann: one session of 0.1 h; bob: at 0 without a click, at 2 with one; eve: at 0
    assert session_length(DAY).value == pytest.approx(0.1 * 3600 / 4)
    assert clicks_per_session(DAY).value == 3 / 4
    assert impressions_per_session(DAY).value == 5 / 4
    assert abandonment(DAY).value == 2 / 3
    assert time_to_first_click(DAY).value == pytest.approx((0.01 * 3600 + 0) / 2)
    assert session_length(DAY, gap="3h").value == pytest.approx((0.1 + 2.0) * 3600 / 3)


def test_conversion_leaves_out_users_who_are_too_new() -> None:
    rows = [
        ("early", "impression", "x", 0), ("early", "conversion", "x", 20, 9.0),
        ("late", "impression", "x", 0), ("late", "conversion", "x", 60, 5.0),
        ("new", "impression", "x", 90), ("new", "conversion", "x", 91, 1.0),
        ("unseen", "conversion", "x", 100, 99.0),
    ]  # fmt: skip
    found = conversion(events(rows), window="1d")
    assert (found.top.sum(), found.bottom.sum()) == (1.0, 2.0)
    assert revenue(events(rows)).value == 15 / 3


def test_retention_is_censored_on_the_right() -> None:
    rows = [
        ("back", "click", "x", 0), ("back", "click", "x", 25),
        ("gone", "click", "x", 0),
        ("later", "click", "x", 0), ("later", "click", "x", 80),
        ("new", "click", "x", 70), ("new", "click", "x", 71),
    ]  # fmt: skip
    assert retention(events(rows), day=1).value == pytest.approx(1 / 3)
    assert retention(events(rows), day=1, kind="rolling").value == pytest.approx(2 / 3)
    assert retention(events(rows), day=1).bottom.sum() == 3.0
    assert np.isnan(retention(events(rows), day=30).value)


def test_batches_add_to_the_whole() -> None:
    first, second = np.arange(len(DAY)) < 6, np.arange(len(DAY)) >= 6
    for metric in (ctr, rating_rate, thumbs_ratio, good_rating_share):
        parts = metric(DAY.where(first)) + metric(DAY.where(second))
        assert parts.value == pytest.approx(metric(DAY).value)
    left, right = measure(DAY.where(first), by="variant"), measure(DAY.where(second), by="variant")
    both = left + right
    assert both.estimate("ctr", "b").mean == measure(DAY, by="variant").estimate("ctr", "b").mean


def test_report_slices_and_prints() -> None:
    report = measure(DAY, {"ctr": ctr, "sessions": session_length}, by="variant")
    assert report.slices == ("a", "b")
    assert report.names == ("ctr", "sessions")
    assert report.estimate("ctr", "b").mean == 0.5
    assert "| b" in report.to_markdown()
    assert json.loads(report.to_json())["rows"][0]["numerator"] == 1.0
    with pytest.raises(UnknownNameError, match="No slice is named 'c'"):
        report.estimate("ctr", "c")
    with pytest.raises(UnknownNameError, match="online metric"):
        report.estimate("ctrr", "b")
    with pytest.raises(UnknownNameError, match="No column is named 'arm'"):
        measure(DAY, by="arm")


def test_delta_method_covers_where_naive_binomial_does_not() -> None:
    # Clicks of one user hang together: 300 samples of 150 users; a 95 % interval covers in
    # 95 % +- 6.3 % (5 sigma); the naive one covers far less.
    rng = np.random.default_rng(0)
    covered, naive = [], []
    for _ in range(300):
        shown = rng.integers(1, 60, 150)
        taste = rng.beta(1, 4, 150)
        clicks = rng.binomial(shown, taste)
        found = RatioOfSums.of(clicks, shown)
        low, high = found.estimate().interval
        covered.append(low <= 0.2 <= high)
        half = 1.96 * np.sqrt(found.value * (1 - found.value) / shown.sum())
        naive.append(abs(found.value - 0.2) <= half)
    assert np.mean(covered) > 0.88
    assert np.mean(naive) < 0.7


def test_ratio_equals_the_textbook_delta_method_and_adds() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.poisson(2, 50).astype(float), rng.poisson(5, 50) + 1.0
    ratio = x.sum() / y.sum()
    cov = np.cov(x, y)
    variance = (cov[0, 0] - 2 * ratio * cov[0, 1] + ratio**2 * cov[1, 1]) / y.mean() ** 2 / 50
    whole = RatioOfSums.of(x, y)
    assert whole.standard_error == pytest.approx(np.sqrt(variance))
    parts = RatioOfSums.of(x[:20], y[:20]) + RatioOfSums.of(x[20:], y[20:])
    assert parts.standard_error == pytest.approx(whole.standard_error)
    low, high = bootstrap_interval(x, np.asarray(y, np.float64), method="percentile", rng=rng)
    assert (low, high) == pytest.approx(whole.estimate().interval, abs=0.03)
    assert RatioOfSums.of([1.0], [2.0]).estimate().interval == (-np.inf, np.inf)


def test_bad_events_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'click'"):
        Events.from_frame({"user": ["a"], "kind": ["klick"]})
    plain = Events.from_frame({"user": ["a"], "kind": ["click"]})
    with pytest.raises(MissingInputError, match="time .for session_length. is needed here"):
        session_length(plain)
    with pytest.raises(MissingInputError, match="item .for quality."):
        quality(plain)
    with pytest.raises(MissingInputError, match="position .for ctr_by_position."):
        ctr_by_position(plain)
    with pytest.raises(MissingInputError, match="niche .for discovery."):
        discovery(DAY)
    with pytest.raises(InvalidDataError, match="denominator must not be negative"):
        UserSums(Vocabulary(("a",)), np.ones(1), -np.ones(1))
