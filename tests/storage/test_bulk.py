"""Array literals arrive in PostgreSQL as the values that they were made of."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from siamrec.storage._bulk import array_literal

text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
SPECIAL = st.sampled_from(["", "NULL", "null", '"', "\\", "{}", ",", " a ", '\\"', "a,b", "%s"])


def test_a_column_of_nothing_is_empty() -> None:
    assert array_literal([None, None]) == "{}"
    assert array_literal([1, None, 2.5]) == "{1,NULL,2.5}"
    assert array_literal(["a", "b"]) == '{"a","b"}'


@given(
    st.lists(st.one_of(text, SPECIAL, st.none()), max_size=8),
    st.lists(st.one_of(st.floats(), st.none()), max_size=8),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_goes_in_comes_out(
    postgres_url: str, texts: list[str | None], numbers: list[float | None]
) -> None:
    pytest.importorskip("psycopg")
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        for values, kind in ((texts, "text"), (numbers, "float8")):
            if values.count(None) == len(values):
                continue
            found = connection.exec_driver_sql(
                f"SELECT %s::{kind}[]", (array_literal(values),)
            ).scalar_one()
            assert list(map(repr, found)) == list(map(repr, values))
    engine.dispose()
