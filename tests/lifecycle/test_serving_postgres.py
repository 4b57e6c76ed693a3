"""A workspace on PostgreSQL: threads and processes share it, and every draw is as stated."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from siamrec import Placement, Workspace
from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.data import Feedback
from siamrec.lifecycle import Retraining

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

NOW = 20_000 * DAY
ARMS = {"svd": "pure-svd:factors=4", "graph": "rp3beta", "top": "popularity"}


@pytest.fixture
def url(postgres_url: str) -> str:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return postgres_url


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ws(url: str, world: SimulatedWorld, tmp_path: Path, clock: ManualClock) -> Iterator[Workspace]:
    with Workspace(url, blobs=tmp_path / "models", clock=clock, salt="pg") as ws:
        ws.feedback.write(world.feedback)
        ws.place(Placement(name="home", arms=ARMS, n_arms=2, k=4))
        ws.train("home")
        yield ws


def serve(url: str, blobs: str, first: int, told: Any) -> None:
    """Serve and click in a process of its own."""
    with Workspace(url, blobs=blobs, clock=ManualClock(NOW)) as ws:
        home = ws.placement("home")
        for number in range(first, first + 20):
            shown = home.recommend(f"person-{number:04d}", request=f"r{number}")
            ws.feedback.click(shown, shown.items[0])
            told.put((shown.id, shown.items[0]))


def test_threads_and_processes_serve_one_workspace(
    ws: Workspace, url: str, tmp_path: Path, clock: ManualClock
) -> None:
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    blobs = str(tmp_path / "models")
    starts = (1, 11)  # half of the requests come from both
    workers = [context.Process(target=serve, args=(url, blobs, n, told)) for n in starts]
    for worker in workers:
        worker.start()
    home = ws.placement("home")
    with ThreadPoolExecutor(4) as pool:
        lists = list(
            pool.map(lambda n: home.recommend(f"person-{n:04d}", request=f"r{n}"), range(1, 41))
        )
    answers = [told.get(timeout=120) for _ in range(40)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    counts = ws.store.counts()
    assert counts["recommendation"] == counts["decision"] == 40
    items = {each.id: each.items for each in lists}
    assert all(items[id_][0] == item for id_, item in answers)
    events = ws.store.recommendations.events_of(list(items))
    assert events is not None
    assert set(Counter(map(str, events.decision)).values()) == {1}  # type: ignore[arg-type]
    clock.advance(2 * DAY)
    assert ws.settle() == 40
    ws.store.verify()


def test_pages_guests_and_previews(ws: Workspace) -> None:
    home = ws.placement("home")
    ws.place(Placement(name="hero", arms=ARMS, k=3))
    ws.train("hero")
    first = home.recommend("guest", request="r")
    ws.feedback.click(first, first.items[0])
    assert ws.identify("guest", "person")
    counts = ws.store.counts()
    preview = ws.preview("person", "home", k=20)
    assert ws.store.counts() == counts
    assert first.items[0] not in preview.items
    pages = [first, first.next(), home.next(home.next(first.id).id)]
    shown = [item for each in pages for item in each.items]
    assert len(shown) == len(set(shown)) == 12
    page = ws.page("person", {"hero": 3, "home": 5}, request="p")
    assert not {*page["hero"].items} & {*page["home"].items}
    assert first.items[0] not in {*page["hero"].items, *page["home"].items}
    assert ws.page("person", {"hero": 3, "home": 5}, request="p") == page
    assert ws.store.erase("person").n_aliases == 1
    ws.verify()


def test_three_workers_of_a_server_train_what_is_due_once(
    ws: Workspace, url: str, tmp_path: Path, clock: ManualClock
) -> None:
    ws.place(replace(ws.placement("home").config, retraining=Retraining(every="6h")))
    before = len(ws.diary("home"))
    for n in (1, 2):
        ws.feedback.write(
            Feedback.of(user=["person-0001"], item=[f"new-{n}"], kind="click", time=[clock.now()])
        )
        clock.advance(6 * HOUR)
        together = Barrier(3)

        def work(_: int, together: Barrier = together) -> int:
            with Workspace(url, blobs=tmp_path / "models", clock=clock) as worker:
                together.wait()
                return worker.work().done

        with ThreadPoolExecutor(3) as pool:
            assert sum(pool.map(work, range(3))) == 1
        assert [job.status for job in ws.jobs.list()] == ["done"] * n
        trained = [each for each in ws.diary("home")[before:] if each.what == "trained"]
        assert len(trained) == n
