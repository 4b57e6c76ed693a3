"""A workspace serves what it trained, and its log knows everything about a list."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec._core.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from siamrec.bandits import Context, Limits, SuccessRule
from siamrec.data import Catalog, Feedback, Rankings, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    StaleWriteError,
    StorageError,
    UnknownNameError,
    UnsupportedEstimate,
)
from siamrec.experiments import Experiment
from siamrec.lifecycle import (
    Guardrail,
    LivePlacement,
    Placement,
    Promotion,
    Recommendation,
    Workspace,
)
from siamrec.metrics import Suite
from siamrec.models import AdapterEncoder, HashingEncoder
from siamrec.models.recommenders import EASE, FittedPopularity, LongTail
from siamrec.storage import RecommendationLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

NOW = 20_000 * DAY
HOME = Placement(
    name="home",
    arms={
        "svd": "pure-svd:factors=8",
        "text": {"name": "text-profile", "encoder": "encoder@live"},
        "long_tail": LongTail(base=EASE()),
        "top": "popularity",
    },
    limits=Limits(floor=0.05, cap=0.8),
    rerank=("mmr",),
    k=6,
)


@pytest.fixture(scope="module")
def trained(world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace whose placement `home` is trained."""
    folder = tmp_path_factory.mktemp("workspace")
    with Workspace(
        f"sqlite:///{folder}/app.db", encoder="hashing", clock=ManualClock(NOW), salt="test"
    ) as ws:
        ws.feedback.write(world.feedback)
        ws.catalog.write(world.catalog)
        ws.place(HOME)
        assert ws.train("home").verdict == "promoted"
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def ws(folder: Path, clock: ManualClock) -> Iterator[Workspace]:
    with Workspace(f"sqlite:///{folder}/app.db", encoder="hashing", clock=clock) as opened:
        yield opened


@pytest.fixture
def home(ws: Workspace) -> LivePlacement:
    return ws.placement("home")


def n_rows(ws: Workspace, table: str) -> int:
    return ws.store.counts()[table]


def test_a_list_is_stored_with_its_decision_and_read_back_equal(
    ws: Workspace, home: LivePlacement
) -> None:
    shown = home.recommend("person-0007", n_arms=3, session={"seen": 4}, request="r-1")
    assert len(shown.items) == len(set(shown.items)) == 6
    assert set(shown.sources) <= set(shown.arms)
    assert len(shown.arms) == len(shown.propensities) == len(shown.confidences) == 3
    assert shown.context["session_position"] == "middle"
    assert set(shown.versions) == set(shown.arms)
    assert shown.fallback is None
    assert home.recommend("person-0007", n_arms=3, request="r-1") == shown
    assert (n_rows(ws, "decision"), n_rows(ws, "recommendation")) == (1, 1)
    (stored,) = ws.store.decisions.read(home.config.belief)
    assert stored == shown.decision
    assert json.loads(shown.to_json())["items"] == list(shown.items)


def test_one_request_from_many_threads_is_one_decision(ws: Workspace, home: LivePlacement) -> None:
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: home.recommend("person-0003", request="one"), range(16)))
    assert all(each == lists[0] for each in lists)
    assert (n_rows(ws, "decision"), n_rows(ws, "recommendation")) == (1, 1)


def test_arms_share_a_list_evenly_and_every_item_has_its_arm(home: LivePlacement) -> None:
    for number in range(1, 21):
        shown = home.recommend(f"person-{number:04d}", n_arms=3)
        slots = Counter(shown.sources)
        assert max(slots.values()) - min(slots.values()) <= 1
        assert set(slots) == set(shown.arms)


def test_what_a_person_did_a_second_ago_is_not_shown_again(
    ws: Workspace, home: LivePlacement
) -> None:
    first = home.recommend("person-0011")
    ws.feedback.click(first, first.items[0])
    ws.feedback.rate("person-0011", first.items[1], 4.5)
    again = home.recommend("person-0011")
    assert not {first.items[0], first.items[1]} & set(again.items)
    assert set(again.items).isdisjoint(_seen(ws, "person-0011"))


def test_another_process_needs_nothing_but_the_url(ws: Workspace, folder: Path) -> None:
    first = ws.placement("home").recommend("person-0011", request="mine")
    ws.feedback.click(first, first.items[0])
    code = (
        "import sys; from siamrec import Workspace\n"
        "ws = Workspace(sys.argv[1]); home = ws.placement('home')\n"
        "print(home.recommend('person-0011', request='mine').to_json())\n"
        "print(home.recommend('person-0011').to_json())\n"
        "ws.close()"
    )
    run = [sys.executable, "-c", code, f"sqlite:///{folder}/app.db"]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    same, other = map(json.loads, lines)
    assert same["items"] == list(first.items)
    assert first.items[0] not in other["items"]


def test_propensities_are_those_of_the_draw(home: LivePlacement) -> None:
    users = (f"person-{1 + number % 200:04d}" for number in range(800))
    lists = [home.recommend(user, request=f"p-{number}") for number, user in enumerate(users)]
    arms = home.config.arms
    drawn = Counter(each.arms[0] for each in lists)
    chances = dict.fromkeys(arms, 0.0)
    for each in lists:
        assert each.decision is not None
        chances[each.arms[0]] += 1 / each.propensities[0]
    # Inverse propensities of an arm add up to the number of rounds, within 5 sigma.
    for arm in arms:
        assert abs(chances[arm] - 800) < 5 * (800 / (drawn[arm] / 800)) ** 0.5


def test_somebody_unknown_is_served_and_it_is_said(home: LivePlacement) -> None:
    shown = home.recommend("never-seen")
    assert len(shown.items) == 6
    nobody = home.recommend(None)
    assert len(nobody.items) == 6
    assert nobody.user is None
    assert home.release is not None


def test_an_arm_that_needs_a_history_is_not_drawn_for_somebody_without_one(
    ws: Workspace, home: LivePlacement
) -> None:
    """It would never learn that it shows nothing, and win by that."""
    lists = [home.recommend(f"new-{n}", request=f"r-{n}") for n in range(60)]
    assert {each.arms for each in lists} == {("top",), ("long_tail",)}  # not svd, not text
    assert not any(each.failed for each in lists)
    ws.feedback.write(Feedback.of(user=["new-1"], item=[lists[1].items[0]], value=[5.0], time=NOW))
    known = [home.recommend("new-1", request=f"k-{n}") for n in range(60)]
    assert {"svd", "text", "top"} <= {each.arms[0] for each in known}
    ws.place(replace(home.config, arms={"svd": "pure-svd:factors=8"}))
    shown = home.recommend("new-2")
    assert (shown.decision, set(shown.sources)) == (None, {"fallback"})
    assert shown.fallback == "no arm ranks for somebody who has done nothing yet"


def test_before_the_first_training_the_log_serves(tmp_path: Path) -> None:
    with Workspace(f"sqlite:///{tmp_path}/new.db", clock=ManualClock(NOW)) as ws:
        home = ws.place(Placement(name="home", arms={"svd": "pure-svd"}, k=2))
        assert home.recommend("a").items == ()
        clicks = Feedback.of(user=["a", "b", "b"], item=["x", "x", "y"], kind="click", time=NOW)
        ws.feedback.write(clicks)
        later = NOW + HOUR
        shown = home.recommend("a", time=later)
        assert (shown.items, shown.fallback) == (("y",), "no release serves yet")
        assert shown.decision is None
        assert home.recommend("c", time=later).items == ("x", "y")


def test_an_arm_that_fails_stays_in_the_decision_and_rests(
    home: LivePlacement, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, histories: object) -> Any:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(FittedPopularity, "score", broken)
    shown = home.recommend("person-0001", n_arms=4)
    assert shown.failed == {"top": "failed: ZeroDivisionError: no luck"}
    assert "top" in shown.arms
    assert "top" not in shown.sources
    assert len(shown.items) == 6  # the others fill the list
    resting = home.recommend("person-0001", n_arms=4)
    assert "top" not in resting.arms
    monkeypatch.undo()
    clock.advance(MINUTE)
    assert "top" in home.recommend("person-0001", n_arms=4).sources


def test_hidden_items_are_in_no_list_from_then_on(ws: Workspace, home: LivePlacement) -> None:
    gone = home.recommend("person-0005").items[:3]
    ws.catalog.hide(*gone, reason="recalled")
    lists = [home.recommend("person-0005", request=f"q{n}", k=20) for n in range(20)]
    lists += home.recommend_many(["person-0005", "person-0006"], k=20)
    assert not any(set(gone) & set(each.items) for each in lists)
    ws.catalog.unhide(*gone)
    shown = {item for n in range(20) for item in home.recommend("person-0005", k=60).items}
    assert set(gone) <= shown
    ws.catalog.remove(gone[0])
    assert gone[0] not in home.recommend("person-0005", k=60).items


def test_items_have_their_time(ws: Workspace, home: LivePlacement, clock: ManualClock) -> None:
    (item, *_) = home.recommend("person-0005").items
    ws.catalog.write(
        Catalog(items=Vocabulary((item,)), attributes={"available_until": [NOW + HOUR]})
    )
    assert item in home.recommend("person-0005", k=90).items
    clock.advance(HOUR)
    assert item not in home.recommend("person-0005", k=90).items


def test_exclude_and_among(home: LivePlacement) -> None:
    usual = home.recommend("person-0005", k=8)
    some = usual.items[::2]
    assert not set(some) & set(home.recommend("person-0005", exclude=some).items)
    among = home.recommend("person-0005", among=some, n_arms=2)
    assert set(among.items) <= set(some)
    with pytest.raises(UnknownNameError, match="item of among"):
        home.recommend("person-0005", among=["no such item"])


def test_the_bandit_off_is_a_logged_draw_by_weights(ws: Workspace, home: LivePlacement) -> None:
    ws.place(replace(home.config, static_weights={"svd": 3.0, "top": 1.0}))
    home.switch("static")
    lists = [home.recommend(f"person-{n:04d}") for n in range(1, 201)]
    assert {(each.arms[0], each.propensities[0]) for each in lists} == {
        ("svd", 0.75),
        ("top", 0.25),
    }
    share = sum(each.arms[0] == "svd" for each in lists) / 200
    assert abs(share - 0.75) < 5 * (0.75 * 0.25 / 200) ** 0.5
    home.switch("bandit")
    assert home.recommend("person-0001").decision.policy != "static"  # type: ignore[union-attr]
    told = [entry.what for entry in ws.diary("home")]
    assert told == ["training", "trained", "switched", "switched"]


def test_a_blend_by_weights_tells_shares_and_trains_no_belief(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    ws.place(replace(home.config, blend="weights"))
    shown = home.recommend("person-0004", n_arms=3)
    assert all(abs(sum(each.values()) - 1) < 1e-9 for each in shown.shares)
    assert all(max(part, key=part.__getitem__) == arm
               for part, arm in zip(shown.shares, shown.sources, strict=True))  # fmt: skip
    ws.feedback.click(shown, shown.items[0])
    clock.advance(2 * DAY)
    ws.settle()
    assert n_rows(ws, "reward") == 0


# --- what came of it ---------------------------------------------------------------------------


def test_a_click_counts_once_when_its_window_is_over_for_the_arm_that_showed_it(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0009", n_arms=2)
    item, arm = shown.items[0], shown.sources[0]
    assert ws.feedback.click(shown, item).accepted == 1
    clock.advance(SECOND)
    assert ws.feedback.click(shown.id, item).duplicates == 1
    assert n_rows(ws, "event") - len(_world_log(ws)) == 0
    assert ws.settle() == 0
    clock.advance(DAY)
    assert (ws.settle(), ws.settle()) == (1, 0)
    rewards = _rewards(ws, shown)
    n_slots = Counter(shown.sources)
    assert rewards == {
        arm: pytest.approx(1 / n_slots[arm]),
        **{a: 0.0 for a in shown.arms if a != arm},
    }


def test_a_late_event_outside_the_window_changes_nothing(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0009")
    clock.advance(2 * DAY)
    ws.settle()
    ws.feedback.click(shown, shown.items[0])
    clock.advance(SECOND)
    ws.settle()
    assert set(_rewards(ws, shown).values()) == {0.0}


def test_an_item_that_was_not_shown_rewards_nobody(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    shown = home.recommend("person-0009")
    other = next(item for item in ws.catalog.read().items.ids if item not in shown.items)
    assert ws.feedback.click(shown, other).accepted == 1
    clock.advance(2 * DAY)
    ws.settle()
    assert set(_rewards(ws, shown).values()) == {0.0}
    assert other not in home.recommend("person-0009", k=90).items


def test_learning_at_once_is_on_request(ws: Workspace, home: LivePlacement) -> None:
    ws.place(replace(home.config, reward=SuccessRule(learn="at_once")))
    shown = home.recommend("person-0009", n_arms=2)
    ws.feedback.click(shown, shown.items[0])
    assert list(_rewards(ws, shown)) == [shown.sources[0]]


def test_mails_that_nobody_opens_are_no_trials(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    ws.place(replace(home.config, rerank=(), k=2))
    lists = home.recommend_many([f"reader-{n}" for n in range(300)])
    assert all(each.confirm == "on_seen" for each in lists)
    for each in lists[:60]:
        ws.feedback.seen(each)
    clock.advance(2 * DAY)
    assert ws.settle() == 60
    trials = [each for each in lists if _rewards(ws, each)]
    assert trials == [each for each in lists[:60] if set(each.sources) != {"fallback"}]
    clock.advance(7 * DAY)
    for each in lists[60:70]:
        ws.feedback.seen(each, [1])
    clock.advance(2 * DAY)
    assert ws.settle() == 10
    with pytest.raises(InvalidParameterError, match="from 1 to 2"):
        ws.feedback.seen(lists[0], [3])


def test_the_belief_is_the_fold_of_the_log(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    for n in range(60):
        shown = home.recommend(f"person-{n:04d}", n_arms=2)
        if n % 3 == 0:
            ws.feedback.click(shown, shown.items[n % 6])
        clock.advance(HOUR)
    clock.advance(2 * DAY)
    assert 0 < ws.settle() < 60  # requests have settled the others
    assert ws.settle() == 0
    ws.verify()  # raises where sums are not the fold of the log
    bandit = home_bandit(ws)
    assert bandit.sums()["wins"].sum() > 0


# --- versions ----------------------------------------------------------------------------------


def test_a_new_release_is_taken_over_between_two_requests_and_taken_back(
    ws: Workspace, folder: Path, clock: ManualClock
) -> None:
    home = ws.placement("home")
    before = home.recommend("person-0002", request="a")
    with Workspace(f"sqlite:///{folder}/app.db", encoder="hashing", clock=clock) as other:
        other.place(replace(home.config, promotion=Promotion(confident=False, margin=1.0)))
        other.feedback.write(
            Feedback.of(user=["person-0001"], item=["story-0001"], value=5.0, time=NOW + 1)
        )
        trained = other.train("home")
        assert trained.verdict == "promoted"
    after = home.recommend("person-0002", request="b")
    assert (before.release, after.release) == (home_first(ws), trained.release)
    change = ws.rollback("home", reason="worse after all")
    assert home.recommend("person-0002", request="c").release == before.release
    assert change.version == before.release
    assert [each.id for each in ws.versions("home")] == [before.release, after.release]
    with pytest.raises(InvalidDataError, match="no earlier version"):
        ws.rollback("home", reason="once more")


def test_what_is_worse_does_not_take_the_place_of_what_serves(ws: Workspace) -> None:
    home = ws.placement("home")
    serving = home_first(ws)
    ws.place(replace(home.config, arms={"chance": "random"}, static_weights=None))
    trained = ws.train("home")
    assert trained.verdict == "kept"
    assert trained.serving == serving
    assert "a changed recipe must gain" in trained.reasons[0]
    assert {"candidate", "serving", "popularity"} <= set(trained.metrics)
    assert trained.metrics["candidate"] < trained.metrics["serving"]
    assert ws.diary("home")[-1].body["verdict"] == "kept"
    served = home.recommend("person-0002")
    assert served.release == serving
    assert served.fallback is None
    assert set(served.arms) <= set(HOME.arms)  # the new arm waits for a release that has it


def test_a_guardrail_keeps_what_must_not_be_spoilt(ws: Workspace) -> None:
    home = ws.placement("home")
    rail = Guardrail("coverage@6", drop=0.1)
    terms = Promotion(confident=False, gain=0.0, guardrails=(rail,))
    changed = replace(home.config, arms={"top": "popularity"}, promotion=terms)
    ws.place(changed)
    assert Placement.from_json(changed.to_json()) == changed
    trained = ws.train("home")
    assert trained.verdict == "kept"
    assert re.search(r"coverage@6 0\.\d+ to 0\.\d+: may lose 10%", trained.reasons[-1])


def test_the_same_data_gives_the_same_release(ws: Workspace) -> None:
    again = ws.train("home")
    assert (again.release, again.verdict) == (home_first(ws), "kept")
    assert again.reasons == ("Nothing is new: the same data gives the same release.",)


def test_a_person_may_have_to_agree(ws: Workspace) -> None:
    home = ws.placement("home")
    terms = Promotion(approval=True, confident=False, margin=1.0)
    ws.place(replace(home.config, promotion=terms))
    ws.feedback.write(Feedback.of(user=["person-0001"], item=["story-0002"], value=5.0, time=NOW))
    trained = ws.train("home")
    assert trained.verdict == "waits for approval"
    assert trained.serving == home_first(ws)
    ws.activate("home", trained.release, reason="looks good")
    assert home.recommend("person-0001").release == trained.release


def test_test_users_train_nothing(ws: Workspace, world: SimulatedWorld) -> None:
    release = ws.placement("home").release
    assert release is not None
    trained_on = set(release.arms["svd"].users.ids)
    share = 1 - len(trained_on) / len(world.feedback.users)
    assert 0.1 < share < 0.3


def test_variants_are_shown_logged_and_compared(
    ws: Workspace, home: LivePlacement, clock: ManualClock, folder: Path
) -> None:
    before = home.recommend("person-0001", request="before")
    new = {"arms": {"top": "popularity"}, "rerank": []}
    home.test(Experiment(key="plain", variants={"control": 0.5, "new": 0.5}), {"new": new})
    lists = [home.recommend(f"person-{n:04d}") for n in range(1, 121)]
    assert {each.experiment for each in lists} == {"plain"}
    by_variant = Counter(each.variant for each in lists)
    assert abs(by_variant["new"] - 60) < 5 * 30**0.5
    assert {arm for each in lists if each.variant == "new" for arm in each.arms} == {"top"}
    assert {each.release for each in lists if each.variant == "control"} == {before.release}
    assert len({each.release for each in lists}) == 2
    assert home.recommend(None).variant is None
    for each in lists:
        if each.variant == "new" or each.user == "person-0002":
            ws.feedback.click(each, each.items[0])
    report = ws.results("plain")
    assert report.decision == "ship"
    with Workspace(f"sqlite:///{folder}/app.db", encoder="hashing", clock=clock) as other:
        same = other.placement("home").recommend("person-0001", request="elsewhere")
        assert same.variant == lists[0].variant
    assert {each.allocation for each in lists} == {1}
    by_model = ws.measure(["ctr"], by=("variant", "allocation", "model"))
    tested = [levels for levels, *_ in by_model.rows if levels[0] != "none"]
    assert {allocation for _, allocation, _ in tested} == {"1"}
    served = {version for each in lists for version in each.versions.values()}
    assert {model for *_, model in tested} == served
    rows = ws.measure(["ctr"], by=("variant",))
    clicks = Counter(each.variant for each in lists
                     if each.variant == "new" or each.user == "person-0002")  # fmt: skip
    for variant, n in by_variant.items():
        assert rows.value("ctr", variant=str(variant)) == pytest.approx(clicks[variant] / (6 * n))
    clock.advance(2 * DAY)
    assert ws.settle() == len(lists) + 3
    ws.store.verify()
    beliefs = {each.decision.bandit for each in lists if each.decision}
    assert len(beliefs) == 2
    for each in lists:
        assert _rewards(ws, each)  # each variant has learned
    home.end_test(keep="new", reason="ctr")
    after = home.recommend("person-0001")
    assert (after.experiment, after.variant, after.arms) == (None, None, ("top",))
    with pytest.raises(InvalidParameterError, match="one that runs"):
        home.end_test(reason="again")


def test_an_encoder_is_kept_found_and_tried_on_half_of_the_people(
    ws: Workspace, home: LivePlacement
) -> None:
    base = HashingEncoder(dim=16)
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))[0].astype(np.float32)
    for kept in (base, AdapterEncoder(base, turned)):
        version = ws.keep_encoder(kept, alias="encoder@candidate")
        found, encoder = ws._ground.encoder("encoder@candidate")
        assert found == version.id
        texts = ["a ship answers", "two of them"]
        np.testing.assert_array_equal(encoder.encode(texts), kept.encode(texts))
    new = {"arms.text.encoder": "encoder@candidate"}
    home.test(Experiment(key="text-v2", variants={"control": 0.5, "new": 0.5}), {"new": new})
    releases = {each.variant: each.release for each in
                (home.recommend(f"person-{n:04d}") for n in range(1, 30))}  # fmt: skip
    assert releases["control"] != releases["new"]
    assert home.end_test(keep="new", reason="better").arms["text"]["encoder"] == new.popitem()[1]
    assert home.recommend("person-0001").release == releases["new"]


def test_a_test_that_cannot_be_is_refused(home: LivePlacement) -> None:
    two = Experiment(key="two", variants={"control": 0.5, "new": 0.5})
    with pytest.raises(InvalidParameterError, match="with settings for 'new'"):
        home.test(two, {})
    with pytest.raises(UnknownNameError, match="variant"):
        home.test(two, {"nwe": {"k": 3}})
    with pytest.raises(UnknownNameError, match="step of the path"):
        home.test(two, {"new": {"kk": 3}})
    home.test(two, {"new": {"k": 3}})
    with pytest.raises(InvalidParameterError, match="the only one here"):
        home.test(Experiment(key="more", variants={"a": 0.5, "b": 0.5}), {"b": {"k": 3}})
    assert {len(home.recommend(f"person-{n:04d}").items) for n in range(1, 30)} == {3, 6}


def test_figures_are_those_of_the_lists(ws: Workspace, home: LivePlacement) -> None:
    rng = np.random.default_rng(2)
    likes = {"svd": 0.9, "text": 0.5, "long_tail": 0.2, "top": 0.1}
    shown_of, clicks_of = Counter[str](), Counter[str]()
    lists = [home.recommend(f"person-{n:04d}", n_arms=2) for n in range(1, 91)]
    for each in lists:
        for item, arm in zip(each.items, each.sources, strict=True):
            shown_of[arm] += 1
            if rng.random() < likes.get(arm, 0.0):
                clicks_of[arm] += 1
                ws.feedback.click(each, item)
    stray = next(item for item in ws.catalog.read().items.ids if item not in lists[0].items)
    ws.feedback.click(lists[0], stray)
    found = ws.measure(["ctr", "coverage", "gini"], by=("arm",))
    for arm, n in shown_of.items():
        assert found.value("ctr", arm=arm) == pytest.approx(clicks_of[arm] / n)
    release = home.release
    assert release is not None
    kept = Rankings.from_lists({each.id: list(each.items) for each in lists})
    suite = Suite(["coverage@6", "gini@6"]).evaluate(kept, catalog_size=len(release.items))
    whole = ws.measure(["coverage", "gini"])
    assert whole.value("coverage") == pytest.approx(suite["coverage@6"].mean)
    assert whole.value("gini") == pytest.approx(suite["gini@6"].mean)
    assert (found.n_stray, found.n_unseen) == (1, 0)
    parts = ws.measure(["ctr"], by=("context.segment", "day"))
    n_lists = sum(row[4] for row in parts.rows)
    assert n_lists == len(lists)
    with pytest.raises(UnknownNameError, match="metric"):
        ws.measure(["crt"])
    for unmeasurable, needs in (("ndcg", "truth"), ("rmse", "scores, truth"), ("rbo", "prev")):
        with pytest.raises(InvalidParameterError, match=f"it needs {needs}"):
            ws.measure([unmeasurable])
    with pytest.raises(UnknownNameError, match="column"):
        ws.measure(["ctr"], by=("amr",))


def test_figures_by_groups_of_items_are_those_counted_by_hand(
    ws: Workspace, home: LivePlacement
) -> None:
    known = ws.catalog.read()
    genres = [["drama", "war"], ["drama"], ["comedy"], []]
    kinds = {item: genres[code % 4] for code, item in enumerate(known.items.ids)}
    ws.catalog.write(replace(known, attributes={"genres": list(kinds.values())}))
    shown, clicked = Counter[str](), Counter[str]()
    for n in range(1, 61):
        each = home.recommend(f"person-{n:04d}", request=f"genres-{n}")
        for place, item in enumerate(each.items):
            groups = kinds[item] or ["unknown"]
            shown.update(groups)
            if (n + place) % 3 == 0:
                ws.feedback.click(each, item)
                clicked.update(groups)
    found = ws.measure(["ctr"], by=("item.genres",))
    assert [row[0][0] for row in found.rows] == sorted(shown)
    for genre, n in shown.items():
        ctr = found.value("ctr", **{"item.genres": genre})
        assert ctr == pytest.approx(clicked[genre] / n)
    two = ws.measure(["ctr", "long_tail_share"], by=("arm", "item.popularity"))
    sides = {levels[1]: value for levels, name, value, *_ in two.rows if name != "ctr"}
    assert sides == {"head": 0.0, "tail": 1.0}
    with pytest.raises(UnknownNameError, match="genres"):
        ws.measure(["ctr"], by=("item.genre",))


def test_a_rule_of_another_scale_is_refused_when_arms_learn(
    ws: Workspace, home: LivePlacement
) -> None:
    rng = np.random.default_rng(4)
    rated = Feedback.of(
        user=[f"person-{n % 90 + 1:04d}" for n in range(300)],
        item=rng.choice(np.array(ws.catalog.read().items.ids), 300).tolist(),
        value=rng.integers(1, 11, 300).astype(float), kind="rating",
    )  # fmt: skip
    ws.feedback.write(rated)
    with pytest.raises(InvalidDataError, match=r"good_rating=8, bad_rating=4\) fits them"):
        ws.train("home")
    ws.place(replace(home.config, reward=SuccessRule(good_rating=8, bad_rating=4)))
    assert ws.train("home").release


def test_a_batch_obeys_what_it_asks_for(ws: Workspace, home: LivePlacement) -> None:
    users = [f"person-{n:04d}" for n in range(1, 9)]
    first = home.recommend(users[0], k=3).items
    allowed = [item for item in ws.catalog.read().items.ids if item not in first][:30]
    lists = home.recommend_many(users, k=4, among=[*allowed, *first], exclude=first, request="m")
    assert [each.user for each in lists] == users
    assert all(set(each.items) <= set(allowed) and len(each.items) == 4 for each in lists)
    assert lists[0].filtered["excluded"] == 3  # nothing of it was seen
    again = home.recommend_many(users, k=4, request="m")
    assert [each.items for each in again] == [each.items for each in lists]


def test_what_another_policy_would_have_earned(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    ws.place(replace(home.config, arms={"svd": "pure-svd:factors=8", "top": "popularity"}))
    home.switch("static")
    rng = np.random.default_rng(3)
    for n in range(400):
        each = home.recommend(f"person-{n % 200 + 1:04d}", k=1, request=f"what-if-{n}")
        if each.sources[0] == "svd" and rng.random() < 0.6:
            ws.feedback.click(each, each.items[0])
    with pytest.raises(InvalidDataError, match="a window that is over"):
        ws.what_if({"svd": 1.0})
    clock.advance(2 * DAY)
    all_svd = ws.what_if({"svd": 1.0})["snips"]
    assert all_svd.interval[0] < 0.6 < all_svd.interval[1]
    all_top = ws.what_if({"top": 1.0})["snips"]
    assert all_top.interval[1] < 0.1
    assert not all_top.diagnostics.supported  # not one click: nothing seen proves nothing
    learned = ws.what_if("beta-thompson")["snips"]
    assert learned.value > 0.4
    with pytest.raises(UnknownNameError, match="arm"):
        ws.what_if({"sdv": 1.0})


def test_what_other_weights_of_a_blend_would_have_earned(
    ws: Workspace, home: LivePlacement, clock: ManualClock
) -> None:
    """Two of three arms fill a list; those with `svd` first earn most."""
    arms = {"svd": "pure-svd:factors=8", "top": "popularity", "long_tail": "long-tail:base=ease"}
    blend = replace(home.config, arms=arms, blend="weights", rerank=())
    ws.place(blend)
    home.switch("static")
    rng = np.random.default_rng(4)
    firsts = []
    for n in range(600):
        each = home.recommend(f"person-{n % 200 + 1:04d}", n_arms=2, request=f"blend-{n}")
        firsts.append(each.arms[0])
        for item in each.items:
            if each.arms[0] == "svd" and rng.random() < 0.5:
                ws.feedback.click(each, item)
    clock.advance(2 * DAY)
    served = ws.what_if({"svd": 1.0, "top": 1.0, "long_tail": 1.0})["snips"]
    assert served.interval[0] < firsts.count("svd") / 600 * 0.5 < served.interval[1]
    always = ws.what_if({"svd": 1.0, "top": 1e-9, "long_tail": 1e-9})["snips"]
    assert always.interval[0] < 0.5 < always.interval[1]
    never = ws.what_if({"top": 1.0, "long_tail": 1.0, "svd": 0.0})["snips"]
    assert never.raw == 0  # no reward was seen, which proves nothing
    with pytest.raises(UnsupportedEstimate):
        _ = never.value
    with pytest.raises(InvalidParameterError, match="no belief learns from them"):
        ws.what_if("beta-thompson")


def test_what_was_promised_is_joined_with_what_was_said(
    ws: Workspace, home: LivePlacement
) -> None:
    ws.place(replace(home.config, arms={"bias": "bias", "top": "popularity"}, rerank=()))
    ws.activate("home", ws.train("home").release, reason="an arm that predicts ratings")
    said: dict[str, list[float]] = {}
    for n in range(1, 41):
        shown = home.recommend(f"person-{n:04d}", n_arms=2)
        for item, arm in list(zip(shown.items, shown.sources, strict=True))[:2]:
            value = 5.0 if arm == "top" else 1.0
            ws.feedback.rate(f"person-{n:04d}", item, value, shown=shown)
            said.setdefault(arm, []).append(value)
    found = ws.tracker.accuracy(min_per_item=1)
    assert found.accuracy("top") == 1.0
    assert found.accuracy("bias") == 0.0
    bias = next(row for row in found.rows if row.slice == ("bias",))
    top = next(row for row in found.rows if row.slice == ("top",))
    assert (bias.n, top.n) == (len(said["bias"]), len(said["top"]))
    assert bias.mean_absolute_error is not None
    assert 1 < bias.mean_absolute_error < 4.1  # it predicts liked items, and they say 1
    assert top.mean_absolute_error is None
    few = ws.tracker.accuracy(min_per_item=30, by=("item", "version"))
    assert few.n_few > 0
    with pytest.raises(UnknownNameError, match="column"):
        ws.tracker.accuracy(by=("amr",))


def test_comments_are_summed_up(ws: Workspace, home: LivePlacement) -> None:
    shown = home.recommend("person-0001")
    loved, hated = shown.items[:2]
    for n, text in enumerate(["boring", "not good", "too long", "a great story"]):
        ws.feedback.comment(f"person-{n:04d}", hated, text, shown=shown)
    ws.feedback.comment("person-0001", loved, "wonderful", shown=shown)
    ws.feedback.comment("person-0001", "elsewhere", "awful")
    found = ws.comments.summary(since="30d")
    assert [row.slice[0] for row in found.rows] == [hated, "elsewhere", loved]
    assert [row.complaints for row in found.rows] == [0.75, 1.0, 0.0]
    by_arm = ws.comments.summary(by=("arm",))
    assert {row.slice[0]: row.n for row in by_arm.rows}["none"] == 1
    calm = ws.comments.summary(sentiment=lambda _text: 0.0)
    assert {row.complaints for row in calm.rows} == {0.0}


# --- bad input, bad luck -----------------------------------------------------------------------


def test_what_cannot_be_asked_is_refused(ws: Workspace, home: LivePlacement) -> None:
    with pytest.raises(UnknownNameError, match="'hom'.*home"):
        ws.placement("hom")
    with pytest.raises(InvalidParameterError, match="n_arms must be at most the 4 arms"):
        home.recommend("person-0001", n_arms=5)
    with pytest.raises(InvalidParameterError, match="texts, like the others"):
        home.recommend(7)
    with pytest.raises(InvalidParameterError, match="users"):
        home.recommend_many(["a", "a"])
    with pytest.raises(UnknownNameError, match="recommendation of this workspace"):
        ws.feedback.click("f" * 32, "story-0001")
    with pytest.raises(InvalidParameterError, match="texts, like the others"):
        ws.feedback.write(Feedback.of(user=[1], item=["story-0001"]))
    with pytest.raises(StaleWriteError, match="revision 1, not 0"):
        ws.place(home.config, expect=0)
    assert n_rows(ws, "recommendation") == 0


def test_a_placement_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="eas"):
        Placement(name="x", arms={"a": "eas"})
    with pytest.raises(UnknownNameError, match="policy"):
        Placement(name="x", arms={"a": "ease"}, policy="beta-thomson")
    with pytest.raises(InvalidParameterError, match="floor"):
        Placement(name="x", arms={"a": "ease", "b": "popularity"}, limits=Limits(floor=0.6))
    with pytest.raises(UnknownNameError, match="arm"):
        Placement(name="x", arms={"a": "ease"}, static_weights={"b": 1.0})
    config = HOME.to_config()
    with pytest.raises(UnknownNameError, match="of the placement is named 'patience_of_saints'"):
        Placement.from_config({**config, "patience_of_saints": 1})
    with pytest.raises(UnknownNameError, match="step of the path"):
        HOME.overridden({"arms.txt.encoder": "encoder@candidate"})


def test_a_placement_survives_json_and_dotted_paths() -> None:
    assert Placement.from_json(HOME.to_json()) == HOME
    changed = HOME.overridden({"arms.text.encoder": "encoder@candidate", "k": 3})
    assert changed.arms["text"]["encoder"] == "encoder@candidate"
    assert (changed.k, HOME.k) == (3, 6)
    assert changed.recipe != HOME.recipe
    assert changed.belief == HOME.belief
    assert replace(HOME, context=Context.none()).belief != HOME.belief


def test_files_that_are_gone_are_said_and_the_log_serves(
    ws: Workspace, folder: Path, clock: ManualClock
) -> None:
    (folder / "app.db.models").rename(folder / "away")
    shown = ws.placement("home").recommend("person-0001")
    assert shown.fallback is not None
    assert shown.fallback.startswith("the release cannot be loaded")
    assert len(shown.items) == 6
    (folder / "away").rename(folder / "app.db.models")
    assert ws.placement("home").recommend("person-0001").release is None
    clock.advance(11 * SECOND)  # it is tried again after a while
    assert ws.placement("home").recommend("person-0001").fallback is None


def test_a_log_that_cannot_be_written_or_read(
    home: LivePlacement, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> Any:
        raise StorageError("The store is down.")

    home.recommend("person-0001")
    monkeypatch.setattr(RecommendationLog, "together", down)
    shown = home.recommend("person-0001")
    assert (shown.logged, len(shown.items)) == (False, 6)
    assert shown.fallback == "the log cannot be written: The store is down."
    monkeypatch.setattr(RecommendationLog, "look", down)
    unread = home.recommend("person-0001")
    assert (unread.logged, unread.fallback) == (
        False,
        "the log cannot be read: The store is down.",
    )
    monkeypatch.undo()
    ws.place(replace(home.config, unlogged="refuse"))
    home.recommend("person-0001")
    monkeypatch.setattr(RecommendationLog, "together", down)
    with pytest.raises(StorageError, match="down"):
        home.recommend("person-0001")
    assert n_rows(ws, "recommendation") == 2


def test_erasing_a_person_takes_the_lists(ws: Workspace, home: LivePlacement) -> None:
    shown = home.recommend("person-0001")
    kept = home.recommend("person-0002")
    done = ws.store.erase("person-0001")
    assert (done.n_lists, done.n_decisions) == (1, 1)
    log = ws.store.recommendations
    assert log.get(shown.id).unit is None  # type: ignore[union-attr]
    assert log.get(kept.id).unit == "person-0002"  # type: ignore[union-attr]


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_nothing_is_lost_or_doubled_by_kills(ws: Workspace, folder: Path, n_kills: int) -> None:
    code = (
        "import sys; from siamrec import Workspace\n"
        "ws = Workspace(sys.argv[1]); home = ws.placement('home')\n"
        "for n in range(10_000):\n"
        "    shown = home.recommend(f'person-{n % 90:04d}', request=f'{sys.argv[2]}-{n}')\n"
        "    ws.feedback.click(shown, shown.items[0])\n"
        "    print(shown.id, shown.items[0], flush=True)\n"
    )
    told: list[list[str]] = []
    for turn in range(n_kills):
        run = [sys.executable, "-c", code, f"sqlite:///{folder}/app.db", str(turn)]
        with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            for _, line in zip(range(15 + turn), worker.stdout, strict=False):
                told.append(line.split())
            worker.kill()
    counts = ws.store.counts()
    assert counts["decision"] == counts["recommendation"]
    lists = {
        row.id: Recommendation.of(row)
        for row in ws.store.recommendations.between(None, None, None)
    }
    events = ws.store.recommendations.events_of(list(lists))
    assert events is not None
    clicked = Counter(map(str, events.decision))  # type: ignore[arg-type]
    assert set(clicked.values()) == {1}
    for id_, item in told:
        assert lists[id_].items[0] == item
        assert clicked[id_] == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_children_serve_on(ws: Workspace, home: LivePlacement) -> None:
    home.recommend("person-0001")
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            done = 1
            try:
                for n in range(1, 16):
                    shown = home.recommend(f"person-{n:04d}")
                    ws.feedback.click(shown, shown.items[0])
                done = 0
            finally:
                os._exit(done)
        children.append(child)
    for n in range(1, 16):
        home.recommend(f"person-{n:04d}")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert n_rows(ws, "recommendation") == n_rows(ws, "decision") == 1 + 15 + 45
    ws.verify()


# --- helpers -----------------------------------------------------------------------------------


def _until(home: LivePlacement, arm: str, user: str) -> Recommendation:
    for number in range(200):
        shown = home.recommend(user, request=f"until-{number}")
        if shown.arms == (arm,):
            return shown
    raise AssertionError(arm)


def _seen(ws: Workspace, user: str) -> set[Any]:
    log = ws.feedback.read_all()
    mine = log.where(log.user == log.users.encode([user])[0])
    return set(mine.items.decode(mine.item))


def _world_log(ws: Workspace) -> Feedback:
    return ws.feedback.read_all()


def _rewards(ws: Workspace, shown: Recommendation) -> dict[str, float]:
    """The newest reward of each arm of a list."""
    query = "SELECT arm, reward FROM reward WHERE decision = ? ORDER BY time"
    with ws.store._engine.connect() as connection:  # what the log says, read by hand
        rows = connection.exec_driver_sql(query, (shown.id,)).all()
    return dict(rows)


def home_bandit(ws: Workspace) -> Any:
    return ws._ground.bandit(ws.placement("home").config)


def home_first(ws: Workspace) -> str:
    return ws.versions("home")[0].id
