"""Contexts: levels, buckets, cells."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec.bandits import Bins, Context, DayKind, Factor, TimeOfDay
from siamrec.bandits.policies import Space
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

FRIDAY_EVENING = 1_795_200_000 * 10**9  # 2026-11-20T18:40Z


def test_the_default_context_has_216_known_cells() -> None:
    assert Context.default(unknown="error").n_cells == 216
    assert Context.default().n_cells == 5 * 3 * 4 * 4 * 4


def test_raw_values_are_bucketed() -> None:
    context = Context.default()
    raw = {"time_of_day": FRIDAY_EVENING, "day": FRIDAY_EVENING, "segment": 7,
           "genre_saturation": 0.9, "session_position": 0}  # fmt: skip
    assert context.levels(context.cell(raw)) == {
        "time_of_day": "evening",
        "day": "weekday",
        "segment": "regular",
        "genre_saturation": "high",
        "session_position": "early",
    }


@given(st.integers(0, Context.default().n_cells - 1))
def test_cells_and_levels_are_inverse(cell: int) -> None:
    context = Context.default()
    assert context.cell(context.levels(cell)) == cell
    for factor, level in context.levels(cell).items():
        labels = context.factors[context.names.index(factor)].labels
        assert labels[context.level_of(factor, np.array([cell]))[0]] == level


def test_columns_equal_one_by_one() -> None:
    context = Context.default()
    columns: dict[str, list[object]] = {
        "segment": ["cold", None, 80],
        "time_of_day": ["evening", 3, "nonsense"],
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    expected = [context.cell(row) for row in rows]
    assert context.cells(columns).tolist() == expected
    assert context.cells(rows).tolist() == expected


def test_unknown_levels_are_refused_where_asked() -> None:
    strict = Context((Factor("segment", ("cold", "warm"), unknown="error"),))
    with pytest.raises(UnknownNameError, match="Did you mean 'cold'"):
        strict.cell({"segment": "colt"})
    with pytest.raises(UnknownNameError, match="No level of segment is named None"):
        strict.cell({})
    with pytest.raises(UnknownNameError, match="context factor"):
        Context.default().cell({"segmnt": "cold"})
    with pytest.raises(UnknownNameError, match="context factor"):
        Context.default().cells({"segmnt": ["cold"]})
    with pytest.raises(InvalidDataError, match="one length"):
        Context.default().cells({"segment": ["cold"], "day": ["weekday", "weekend"]})


def test_bad_factors_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="edges must be 1 rising numbers"):
        Bins((3, 1), ("a", "b"))
    with pytest.raises(InvalidParameterError, match="without the reserved 'unknown'"):
        Factor("x", ("a", "unknown"))
    with pytest.raises(InvalidParameterError, match="names of factors"):
        Context((Factor("x", ("a",)), Factor("x", ("b",))))


@pytest.mark.parametrize(
    ("hour", "label"),
    [
        (0, "night"),
        (5, "night"),
        (6, "morning"),
        (12, "afternoon"),
        (18, "evening"),
        (22, "night"),
    ],
)
def test_parts_of_the_day(hour: int, label: str) -> None:
    assert TimeOfDay()(hour) == label


def test_days() -> None:
    assert [DayKind()(day) for day in range(7)] == ["weekday"] * 5 + ["weekend"] * 2


@pytest.mark.parametrize("value", [24, 25.5, -1, 1_704_114_000, 1_704_114_000_000])
def test_numbers_that_are_no_hour_and_no_instant_are_refused(value: float) -> None:
    with pytest.raises(InvalidParameterError, match=r"time of day|nanoseconds"):
        Context.default().cell({"time_of_day": value})
    with pytest.raises(InvalidParameterError, match=r"day must be .*nanoseconds"):
        Context.default().cell({"day": value})


def test_a_datetime_with_a_zone_is_an_instant() -> None:
    evening = datetime.fromtimestamp(FRIDAY_EVENING // 10**9, tz=UTC)
    assert (TimeOfDay()(evening), DayKind()(evening)) == ("evening", "weekday")


@pytest.mark.parametrize("nan", [float("nan"), np.float64("nan")])
def test_nan_is_a_value_that_is_not_there(nan: float) -> None:
    for name in Context.default().names:
        assert Context.default().cell({name: nan}) == Context.default().cell({})
        with pytest.raises(UnknownNameError):
            Context.default(unknown="error").cell({name: nan})


def test_design_has_no_indicator_for_unknown_levels() -> None:
    space = Space(n_arms=2, levels=(3, 2), pooled=(True, False))
    np.testing.assert_array_equal(
        space.design(),
        [
            [1, 1, 0, 1, 0],
            [1, 1, 0, 0, 1],
            [1, 0, 1, 1, 0],
            [1, 0, 1, 0, 1],
            [1, 0, 0, 1, 0],
            [1, 0, 0, 0, 1],
        ],
    )
