"""Searching: arms that read answer a query, two encoders are tested by query, clicks find them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec._core.clock import DAY, HOUR, ManualClock
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidParameterError, MissingCapabilityError
from siamrec.experiments import Experiment
from siamrec.lifecycle import (
    LivePlacement,
    Never,
    Pin,
    Placement,
    Recommendation,
    Rule,
    Seen,
    Workspace,
)
from siamrec.models import HashingEncoder
from siamrec.models.recommenders import Capability, Popularity, TextProfile, normalised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 20_000 * DAY
WORDS = [
    "red", "blue", "green", "leather", "canvas", "wool", "shoe", "coat", "hat", "bag", "summer",
    "winter", "small", "large", "soft", "warm", "cheap", "fine", "old", "new",
]  # fmt: skip
GOOD, POOR = HashingEncoder(dim=256), HashingEncoder(dim=2)
"""With two dimensions most words share a place."""


def texts() -> list[str]:
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(WORDS, 4, replace=False)) for _ in range(60)]


@pytest.fixture(scope="session")
def trained_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(5)
    user, item = np.repeat(np.arange(30), 8), rng.integers(0, 60, 240)
    clicks = Feedback.of(
        user=[f"u{code}" for code in user], item=[f"d{code}" for code in item], kind="click",
        time=[NOW - DAY - int(n) for n in range(user.size)],
    )  # fmt: skip
    ids = Vocabulary(tuple(f"d{n}" for n in range(60)))
    stock = {"stock": [n % 7 for n in range(60)]}
    with Workspace(
        f"sqlite:///{folder}/app.db", clock=ManualClock(NOW), salt="s", encoder=GOOD
    ) as ws:
        ws.feedback.write(clicks)
        ws.catalog.write(Catalog(items=ids, text=tuple(texts()), attributes=stock))
        ws.keep_encoder(POOR, alias="encoder@poor")
        arms = {
            "text": {"name": "text-profile", "encoder": "encoder@live"},
            "top": "popularity",
        }
        ws.place(Placement(name="search", arms=arms, k=5, unit="query"))
        ws.activate("search", ws.train("search").release, reason="the first")
    return folder


@pytest.fixture
def ws(trained_search: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(trained_search, tmp_path / "search")
    with Workspace(f"sqlite:///{tmp_path}/search/app.db", clock=ManualClock(NOW)) as opened:
        yield opened


@pytest.fixture
def search(ws: Workspace) -> LivePlacement:
    return ws.placement("search")


def by_hand(query: str, k: int, among: Any = None) -> list[str]:
    """Return the nearest texts that are in stock, as the encoder says without any library."""
    scores = GOOD.encode(texts()) @ GOOD.encode([query], kind="query")[0]
    allowed = [n for n in range(60) if n % 7 and (among is None or f"d{n}" in among)]
    return [f"d{n}" for n in sorted(allowed, key=lambda n: (-scores[n], n))[:k]]


def test_a_query_is_answered_by_arms_that_read(ws: Workspace, search: LivePlacement) -> None:
    query = "red leather shoe"
    shown = search.recommend(query=query, user="u1", request="r")
    assert list(shown.items) == by_hand(query, 5)
    assert set(shown.sources) == {"text"}
    assert shown.arms == ("text",)
    assert shown.propensities == (1.0,)  # the other was masked before the draw
    assert shown.query == query
    assert shown.fallback is None
    again = ws.placement("search").recommend(query=query, user="u1", request="r")
    assert again == shown
    for other_query in ("blue hat", None):
        with pytest.raises(InvalidParameterError, match="of one query: it was 'red leather shoe'"):
            search.recommend(query=other_query, user="u1", request="r")
    stored = ws.store.recommendations.get(shown.id)
    assert stored is not None
    assert Recommendation.of(stored).query == query
    assert json.loads(shown.to_json())["query"] == query
    assert shown.why(0).anchors == ()  # nothing of a history made it
    assert (shown.why(0).arm, shown.why(0).item) == ("text", shown.items[0])
    other = search.recommend(query="warm wool coat")  # of nobody
    assert list(other.items) == by_hand("warm wool coat", 5)
    home = search.recommend("u1")  # the same placement without a query goes by the history
    assert home.query is None
    assert home.items != shown.items


def test_filters_rules_and_blocks_are_obeyed(ws: Workspace, search: LivePlacement) -> None:
    query = "red leather shoe"
    best = by_hand(query, 60)
    ws.catalog.hide(best[0], reason="recalled")
    ws.block("u1", best[1])
    rules = (Rule("first", then=Pin(best[9], 1)), Rule("no", then=Never("stock == 6")))
    home = ws.place(replace(search.config, rules=rules, where="stock > 1"))
    shown = home.recommend(query=query, user="u1", exclude=[best[2]])
    stocked = [item for item in best if int(item[1:]) % 7 in {2, 3, 4, 5}]
    left = [item for item in stocked if item not in {*best[:3], best[9]}]
    pinned = [best[9]] if best[9] in stocked else []
    assert list(shown.items) == [*pinned, *left][:5]
    assert shown.filtered["hidden"] == shown.filtered["blocked"] == 1
    few = home.recommend(query=query, among=left[:3])
    assert set(few.items) - {best[9]} <= set(left[:3])
    assert few.too_few is not None


def test_who_searches_for_what_is_known_finds_it_unless_told_otherwise(
    ws: Workspace, search: LivePlacement
) -> None:
    query = texts()[10]
    first = search.recommend(query=query, user="u5").items[0]
    ws.feedback.rate("u5", first, 5.0)
    assert search.recommend(query=query, user="u5").items[0] == first
    assert first not in search.recommend("u5", k=60).items
    home = ws.place(replace(search.config, seen=Seen({"rating": None})))
    shown = home.recommend(query=query, user="u5")
    assert first not in shown.items
    assert shown.filtered["seen"] == 1


def test_a_placement_without_such_arms_refuses_by_name(
    ws: Workspace, search: LivePlacement
) -> None:
    home = ws.place(Placement(name="home", arms={"top": "popularity"}))
    early = home.recommend(query="red shoe")  # nothing is trained yet: said, not refused
    assert early.fallback is not None
    assert early.release is None
    ws.activate("home", ws.train("home").release, reason="the first")
    said = "placement 'home' (arms top) does not have the capability QUERY. Models that have it: "
    with pytest.raises(MissingCapabilityError, match=re.escape(said + "TextProfile")):
        home.recommend(query="red shoe")
    for query in ("", "  ", 5, "x" * 20_000):
        with pytest.raises(InvalidParameterError, match="query must be"):
            search.recommend(query=query)  # type: ignore[arg-type]
    for more in ({"items": ["d1"]}, {"session": ["d1"]}):
        with pytest.raises(InvalidParameterError, match="left out beside a query"):
            search.recommend(query="red", **more)  # type: ignore[arg-type]
    assert search.recommend(query="red", session={"seen": 3}).items


def test_what_no_arm_can_answer_is_said(ws: Workspace, search: LivePlacement) -> None:
    release = search.release
    assert release is not None

    class BrokenError(Exception):
        pass

    def fails(query: str) -> Any:
        raise BrokenError(f"no weights for {query}")

    release.arms["text"].score_query = fails  # type: ignore[method-assign]
    shown = search.recommend(query="red shoe")
    assert shown.failed["text"].startswith("failed: BrokenError")
    assert shown.fallback is not None
    assert "text failed: BrokenError: no weights for red shoe" in shown.fallback
    assert set(shown.sources) == {"fallback"}
    resting = search.recommend(query="red shoe")
    assert resting.fallback == "every arm rests after a failure"
    assert resting.decision is None


def test_an_arm_reads_queries_with_its_own_encoder() -> None:
    catalog = Catalog(
        items=Vocabulary(tuple(f"d{n}" for n in range(60))), text=(*texts()[:59], None)
    )
    feedback = Feedback.of(user=["a"], item=["d3"], kind="click", time=1)
    arm = TextProfile(encoder=GOOD).fit(feedback, catalog=catalog)
    assert Capability.QUERY in arm.capabilities
    score = arm.score_query("red hat")
    assert score.shape == (60,)
    code = [int(item[1:]) for item in arm.items.ids]  # type: ignore[index]
    wanted = GOOD.encode(texts()) @ GOOD.encode(["red hat"], kind="query")[0]
    np.testing.assert_allclose(score[:-1], wanted[code][:-1], rtol=1e-5)
    assert score[-1] == -np.inf
    lone = Popularity().fit(feedback)
    with pytest.raises(MissingCapabilityError, match=r"QUERY.*TextProfile"):
        lone.score_query("red hat")
    allowed = np.zeros(60, dtype=bool)
    allowed[:3] = True
    item, best = arm.best_for_query("red hat", k=9, allowed=allowed)
    assert sorted(item.tolist()) == [0, 1, 2]
    assert best.tolist() == sorted(best.tolist(), reverse=True)


def test_queries_are_alike_however_they_are_written() -> None:
    assert normalised(" Red  SHOES\t") == normalised("red shoes") == "red shoes"
    assert normalised("ＲＥＤ straße") == "red strasse"


def relevant(item: object, query: str) -> bool:
    """Whether a text has all words of a query."""
    return set(query.split()) <= set(texts()[int(str(item)[1:])].split())


def test_two_encoders_side_by_side_by_query(ws: Workspace, search: LivePlacement) -> None:
    """People click the first text that has both words; the better encoder shows it sooner."""
    whole = texts()
    pairs = sorted({(a, b) for text in whole for a in text.split() for b in text.split() if a < b})
    poor = {"poor": {"arms.text.encoder": "encoder@poor"}}
    test = Experiment(key="encoders", variants={"good": 0.5, "poor": 0.5})
    search.test(test, poor)
    seen: dict[str, set[str | None]] = {}
    rng = np.random.default_rng(9)
    for number in range(600):
        a, b = pairs[int(rng.integers(len(pairs)))]
        query = (f"{a} {b}", f"{a.upper()}  {b}", f" {a} {b.title()}")[number % 3]
        user = None if number % 5 == 0 else f"u{number % 30}"
        shown = search.recommend(query=query, user=user, request=f"r{number}")
        seen.setdefault(f"{a} {b}", set()).add(shown.variant)
        wanted = next((item for item in shown.items if relevant(item, f"{a} {b}")), None)
        if wanted is not None:
            ws.feedback.click(shown, wanted, user=f"u{number % 30}")
    assert all(len(variants) == 1 for variants in seen.values())  # a query has one variant
    assert {next(iter(each)) for each in seen.values()} == {"good", "poor"}
    ws._ground.clock.advance(2 * DAY)  # type: ignore[attr-defined]
    report = ws.results("encoders")
    found = report["success"]
    assert found.absolute.estimate < -0.2
    assert found.absolute.interval[1] < 0
    assert sum(report.srm.observed.values()) == len(seen)
    home = search.recommend("u1")  # without a query there is no unit: outside of the test
    assert home.variant is None


def test_clicks_carry_the_query_and_reward_the_arm(ws: Workspace, search: LivePlacement) -> None:
    shown = search.recommend(query="Warm wool coat", user="u3")
    ws.feedback.click(shown, shown.items[1])
    log = ws.feedback.read_all()
    assert log.query is not None
    (row,) = np.flatnonzero(log.query >= 0)
    assert log.queries[int(log.query[row])] == "Warm wool coat"
    assert log.items[int(log.item[row])] == shown.items[1]
    ws._ground.clock.advance(DAY + HOUR)  # type: ignore[attr-defined]
    assert ws.settle() >= 1
    with ws.store._engine.connect() as connection:
        query = "SELECT decision, arm, reward FROM reward"
        (reward,) = connection.exec_driver_sql(query).all()
    assert tuple(reward)[:2] == (shown.id, "text")
    ws.verify()


def test_erasing_a_person_erases_what_was_searched_for(
    ws: Workspace, search: LivePlacement
) -> None:
    shown = search.recommend(query="my own secret", user="u3")
    other = search.recommend(query="red hat", user="u4")
    ws.store.erase("u3")
    kept = ws.store.recommendations.get(shown.id)
    assert kept is not None
    assert "secret" not in kept.body
    found = ws.store.recommendations.get(other.id)
    assert found is not None
    assert Recommendation.of(found).query == "red hat"
