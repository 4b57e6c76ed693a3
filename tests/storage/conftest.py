"""Databases to test on: a SQLite file, and a real PostgreSQL where one can be started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

from siamrec.storage import Store, _engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from siamrec.storage._sqlite import Durability


@pytest.fixture(autouse=True)
def _close(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close connections to the server: psycopg warns of one that is dropped."""
    opened: list[Engine] = []

    def connect(url: str, durability: Durability) -> Engine:
        engine = real(url, durability)
        if engine.dialect.name != "sqlite":
            opened.append(engine)
        return engine

    real = _engine.connect
    monkeypatch.setattr(_engine, "connect", connect)
    yield
    for engine in opened:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'siamrec.db'}"
    address: str = request.getfixturevalue("postgres_url")
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return address


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
