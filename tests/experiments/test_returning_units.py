"""Units that come back: in other strata, in other chunks, as categories no row has any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec.errors import InvalidDataError
from siamrec.experiments import (
    ExperimentMetric,
    ExperimentReport,
    Mean,
    Plan,
    Proportion,
    Quantile,
    Ratio,
    analyze,
    analyze_segments,
)


def days(seed: int, n_users: int = 100, n_days: int = 10) -> dict[str, Any]:
    """Users who come back every day, with a level of their own; no effect."""
    rng = np.random.default_rng(seed)
    level, before = rng.normal(size=n_users), rng.normal(size=n_users)
    user = np.tile(np.arange(n_users), n_days)
    return {
        "variant": np.where(user % 2 == 0, "control", "new"),
        "user": user,
        "day": np.repeat(np.arange(n_days), n_users),
        "y": level[user] + before[user] + 0.3 * rng.normal(size=user.size),
        "views": rng.poisson(3, user.size) + 1.0,
        "before": before[user],
        "won": (level[user] > 0).astype(float),
    }


def run(data: dict[str, Any], metric: ExperimentMetric, **settings: Any) -> ExperimentReport:
    return analyze(data, Plan(metrics=[metric], **settings), unit="user", strata="day")


@pytest.mark.parametrize(
    "metric",
    [Mean("y"), Mean("y", covariate="before"), Ratio("r", "y", "views"), Proportion("won")],
    ids=["mean", "covariate", "ratio", "proportion"],
)
@pytest.mark.parametrize("adjustment", ["lin", "pooled"])
def test_equal_strata_are_as_one_clustered_frame(
    metric: ExperimentMetric, adjustment: str
) -> None:
    """With the same users every day, the mean over days is the mean over their rows."""
    data = days(1)
    data["views"][:] = 2.0
    plan = Plan(metrics=[metric], adjustment=adjustment)  # type: ignore[arg-type]
    over_days = analyze(data, plan, unit="user", strata="day")[metric.name]
    whole = analyze(data, plan, unit="user")[metric.name]
    assert over_days.n == whole.n == (50, 50)
    assert over_days.absolute.estimate == pytest.approx(whole.absolute.estimate, rel=1e-6)
    assert over_days.absolute.error == pytest.approx(whole.absolute.error, rel=0.03)


def test_a_unit_of_several_strata_is_one_unit() -> None:
    # 60 runs without an effect: more than 10 of 60 have probability below 1e-3 at 5 %.
    found = sum(run(days(seed), Mean("y"))["y"].absolute.significant for seed in range(60))
    assert found <= 10


def test_influences_of_units_that_do_not_come_back_are_the_usual_errors() -> None:
    rng = np.random.default_rng(2)
    n = 400
    data = {
        "variant": np.where(rng.random(n) < 0.4, "new", "control"),
        "user": np.arange(n),
        "day": rng.integers(0, 2, n),
        "before": rng.normal(size=n),
    }
    data["y"] = data["before"] + rng.normal(size=n)
    more = {name: np.append(column, column[:2]) for name, column in data.items()}
    more["day"][-2:] = 1 - more["day"][-2:]  # two users come back: the other way is taken
    for metric in (Mean("y"), Mean("y", covariate="before")):
        usual, returned = run(data, metric)["y"], run(more, metric)["y"]
        assert usual.n == returned.n
        assert returned.absolute.error == pytest.approx(usual.absolute.error, rel=0.02)
        assert returned.absolute.estimate == pytest.approx(usual.absolute.estimate, abs=0.02)


def test_units_are_counted_once_and_where_they_came_first() -> None:
    report = run(days(3), Mean("y"))
    assert report.srm.observed == {"control": 50, "new": 50}
    assert any("come back in other strata: 100" in check.message for check in report.checks)


def test_units_that_change_the_variant_between_strata_make_it_invalid() -> None:
    data = days(4)
    data["variant"] = np.where(
        (data["day"] >= 5) & (data["user"] < 40), "new", data["variant"].astype(str)
    )
    report = run(data, Mean("y"))
    assert report.decision == "invalid"
    assert "20 units (20.00%) met several variants" in report.reasons[0]
    assert report["y"].n == (50, 30)


def test_quantiles_over_strata_that_share_units_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="must not come back in another stratum for 'y'"):
        run(days(5), Quantile("y"))


def test_units_that_repeat_across_chunks_are_refused() -> None:
    data = days(6, n_users=40, n_days=3)
    chunks = [
        {name: column[data["day"] == day] for name, column in data.items()} for day in (0, 1)
    ]
    with pytest.raises(InvalidDataError, match="Units must not repeat when data come in chunks"):
        analyze(chunks, Plan(metrics=[Mean("y")]), unit="user")
    apart = {**chunks[1], "user": chunks[1]["user"] + 40}
    found = analyze([chunks[0], apart], Plan(metrics=[Mean("y")]), unit="user")["y"]
    assert found.n == (40, 40)
    empty = {name: column[:0] for name, column in apart.items()}
    assert analyze([chunks[0], empty], Plan(metrics=[Mean("y")]))["y"].n == (20, 20)


def test_categories_that_no_row_has_do_not_count() -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(7)
    n = 998
    frame = pandas.DataFrame(
        {
            "variant": pandas.Categorical(rng.choice(["control", "new", "beta"], n)),
            "user": pandas.Categorical([f"u{k}" for k in range(n)]),
            "country": pandas.Categorical(rng.choice(["TH", "DE"], n), ["AT", "DE", "TH"]),
            "y": rng.normal(size=n),
        }
    )
    part = frame[(frame["variant"] != "beta") & (np.arange(n) % 3 > 0)]
    plain = part.astype({"variant": str, "user": str, "country": str})
    plan = Plan(metrics=[Mean("y")])
    for settings in ({"unit": "user"}, {}, {"unit": "user", "strata": "country"}):
        ours, theirs = analyze(part, plan, **settings), analyze(plain, plan, **settings)
        assert ours["y"].absolute == theirs["y"].absolute
        assert ours.checks == theirs.checks
    assert len(analyze_segments(part, plan, segment="country").reports) == 2
    repeated = pandas.DataFrame(
        {
            "variant": ["control", "control", "new", "new", "new", "new"],
            "user": pandas.Categorical.from_codes([0, 0, 1, 1, 5, 5], list("abcdef")),
            "y": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5],
        }
    )
    assert analyze(repeated, plan, unit="user")["y"].n == (2, 1)
