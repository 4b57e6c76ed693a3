"""The whole loop on a small world: every number, resuming, and every part replaced."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import siamrec
from siamrec.bandits import Context, ContextualBandit, EpsilonGreedy, Factor
from siamrec.data import NO_TIME, Catalog, Feedback
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    StorageError,
    UnknownNameError,
)
from siamrec.experiments import Experiment, HashAssigner
from siamrec.feedback import MemoryFeedback
from siamrec.lifecycle import Host, ImprovementLoop, Judging, LoopEvent
from siamrec.metrics import Suite
from siamrec.models import AdapterEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.recommenders import EASE, Popularity
from siamrec.pairs import MinimumCounts, RatingPairs
from siamrec.storage import Store
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

STEPS = [
    "read", "split", "tune", "arms", "register", "bandit", "experiment", "activate", "place",
    "report",
]  # fmt: skip
ARMS = ("popularity", "ease", "text_base", "text_tuned", "long_tail")


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name != "seconds"}


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, world: SimulatedWorld
) -> tuple[Path, dict[str, Any], list[LoopEvent]]:
    out = tmp_path_factory.mktemp("loop") / "run"
    events: list[LoopEvent] = []
    report = ImprovementLoop(
        source=world.feedback,
        catalog=world.catalog,
        encoder=HashingEncoder(dim=64),
        out=out,
        seed=3,
        host=Host(observers=[events.append]),
    ).run()
    return out, report.summary(), events


def test_the_summary_has_every_number(finished: Any) -> None:
    out, summary, _ = finished
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["data"]["users"] == 220
    assert summary["data"]["events"] > 3000
    assert set(summary["arms"]) == set(ARMS)
    assert set(summary["cold_arms"]) == {"text_base", "text_tuned"}
    for rows in (*summary["arms"].values(), *summary["cold_arms"].values()):
        for metric in rows.values():
            # null: not bounded, such as the entropy of lists that are all the same
            assert metric["low"] is None or metric["low"] <= metric["mean"]
            assert metric["high"] is None or metric["mean"] <= metric["high"]
    tuning = summary["tuning"]
    assert tuning["difference"] == pytest.approx(tuning["after"] - tuning["before"])
    assert tuning["cold"]["difference"] == pytest.approx(
        tuning["cold"]["after"] - tuning["cold"]["before"]
    )
    bandit = summary["bandit"]
    assert sum(bandit["shares"].values()) == pytest.approx(1.0)
    assert bandit["best_fixed"]["mean"] == max(bandit["fixed"].values())
    assert bandit["least_propensity"] >= 0.02
    assert set(summary["experiment"]) >= {"control", "treatment", "lift", "low", "high", "srm_p"}
    assert summary["registry"]["active"] in summary["registry"]["versions"].values()
    assert list(summary["seconds"]) == STEPS
    assert summary["seed"] == 3


def test_every_step_tells_its_observers(finished: Any) -> None:
    _, _, events = finished
    assert [event.step for event in events if event.kind == "started"] == STEPS
    assert [event.step for event in events if event.kind == "finished"] == STEPS
    assert all(event.message for event in events if event.kind == "finished")
    assert any(event.kind == "progress" and event.step == "tune" for event in events)


def test_the_log_holds_events_decisions_and_versions(finished: Any) -> None:
    out, summary, _ = finished
    store = Store(f"sqlite:///{out / 'siamrec.db'}")
    counts = store.counts()
    assert counts["event"] == summary["data"]["events"]
    assert counts["decision"] == counts["reward"] == summary["bandit"]["visits"]
    assert counts["model_version"] >= 3
    decisions = list(store.decisions.read("cycle"))
    assert all(0 < decision.propensities[0] <= 1 for decision in decisions)
    store.close()


def test_the_report_is_one_file_that_works_offline(finished: Any) -> None:
    out, summary, _ = finished
    page = (out / "report.html").read_text()
    assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="', page)
    for name in ("figure-arms", "figure-tail", "figure-shares", "figure-sequence"):
        assert f'id="{name}"' in page
    assert summary["tuning"]["verdict"] in page


def test_only_known_scripts_run_on_the_report(finished: Any) -> None:
    out, _, _ = finished
    page = (out / "report.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = {f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts}
    assert len(digests) == 5
    assert set(rules["script-src"].split()) == digests
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_the_same_seed_gives_the_same_summary(finished: Any, make_loop: Any) -> None:
    _, summary, _ = finished
    assert without_times(make_loop().run().summary()) == without_times(summary)


def test_another_seed_gives_another_summary(finished: Any, make_loop: Any) -> None:
    _, summary, _ = finished
    assert make_loop(seed=4).run().summary()["arms"] != summary["arms"]


class _Stop(Exception):  # noqa: N818
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("last", STEPS)
def test_an_interrupted_run_goes_on(
    last: str, finished: Any, make_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, summary, _ = finished
    from siamrec.lifecycle._cycle import Cycle

    method = {
        "split": "split_summary", "arms": "measure", "bandit": "serve", "experiment": "test",
        "report": "write",
    }.get(last, last)  # fmt: skip

    def interrupted(*_: object) -> dict[str, Any]:
        raise _Stop

    with monkeypatch.context() as patch:
        patch.setattr(Cycle, method, interrupted)
        with pytest.raises(_Stop):
            make_loop().run()
    events: list[LoopEvent] = []
    report = make_loop(host=Host(observers=[events.append])).run()
    assert [e.step for e in events if e.kind == "skipped"] == STEPS[: STEPS.index(last)]
    assert without_times(report.summary()) == without_times(summary)


def test_a_finished_run_is_not_run_again(make_loop: Any) -> None:
    first = make_loop().run().summary()
    events: list[LoopEvent] = []
    assert make_loop(host=Host(observers=[events.append])).run().summary() == first
    assert {event.kind for event in events} == {"skipped"}


def test_a_broken_observer_does_not_stop_the_loop(
    make_loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: LoopEvent) -> None:
        raise RuntimeError(event.step)

    assert make_loop(host=Host(observers=[broken])).run().verdict in {"ship", "do not ship"}
    assert caplog.text.count("An observer failed") == 1


def test_a_bandit_over_other_arms_is_refused(make_loop: Any) -> None:
    def other(_: tuple[str, ...], **settings: Any) -> ContextualBandit[Any]:
        return ContextualBandit(EpsilonGreedy(), ("a", "b"), **settings)

    with pytest.raises(InvalidParameterError, match="bandit must be a bandit over the arms"):
        make_loop(bandit=other)


def test_a_bandit_that_was_made_already_is_refused_with_the_remedy(make_loop: Any) -> None:
    bandit = ContextualBandit(EpsilonGreedy(), ARMS)
    with pytest.raises(InvalidParameterError, match=r"a function \(arms, \*, clock, seed\) that"):
        make_loop(bandit=bandit)


def test_own_source_encoder_and_bandit_run(make_loop: Any, world: SimulatedWorld) -> None:
    context = Context(
        tuple(
            Factor(name, levels)
            for name, levels in (
                ("profile_size", ("small", "medium", "large")),
                ("day", ("weekday", "weekend")),
                ("time_of_day", ("night", "morning", "afternoon", "evening")),
            )
        )
    )
    made: list[ContextualBandit[Any]] = []

    def bandit(arms: tuple[str, ...], **settings: Any) -> ContextualBandit[Any]:
        made.append(ContextualBandit(EpsilonGreedy(), arms, context=context, **settings))
        return made[-1]

    report = make_loop(
        source=MemoryFeedback(world.feedback),
        encoder=HashingEncoder(dim=32),
        bandit=bandit,
        arms={"ease": EASE(l2=20.0, positive=4.0)},
    ).run()
    assert set(report.bandit["shares"]) == set(ARMS)
    tried, replayed, tested = made
    assert not tried.state_version  # made to see whether it can be, and left alone
    assert replayed.state_version > tested.state_version > 0


def test_own_parts_run(make_loop: Any, tmp_path: Path) -> None:
    experiment = Experiment(key="own", variants={"control": 0.3, "bandit": 0.7})
    store = Store(f"sqlite:///{tmp_path / 'own.db'}")
    report = make_loop(
        pairs=RatingPairs(minimum=MinimumCounts(positive=1, negative=0, total=1), per_user=20),
        assigner=HashAssigner([experiment]).of("own"),
        suite=Suite(["ndcg@5", "hit@5"]),
        arms={"fresh": Popularity(half_life="30d")},
        store=store,
        judging=Judging(metric="ndcg@5", serving="ease"),
    ).run()
    assert set(report.arms) == {*ARMS, "fresh"}
    assert set(report.arms["fresh"].metrics) == {"ndcg@5", "hit@5"}
    assert report.experiment["control"] == "ease"
    visits = report.experiment["users_visits"]
    assert visits["bandit"] > visits["control"]
    assert store.counts()["event"] == report.summary()["data"]["events"]


def test_without_times_the_split_is_random_and_said(make_loop: Any, world: SimulatedWorld) -> None:
    feedback = world.feedback
    untimed = Feedback.of(
        user=feedback.users.decode(feedback.user),
        item=feedback.items.decode(feedback.item),
        value=feedback.value,
        time=NO_TIME,
    )
    report = make_loop(source=untimed).run()
    assert report.summary()["split"]["by"] == "chance"
    assert "no times" in (report.out / "report.html").read_text()


def test_items_without_text_are_counted_and_never_ranked(
    make_loop: Any, world: SimulatedWorld
) -> None:
    catalog = world.catalog
    texts = tuple(text if n % 10 else None for n, text in enumerate(catalog.text))
    report = make_loop(catalog=Catalog(items=catalog.items, text=texts)).run()
    assert report.summary()["data"]["items_without_text"] == 10


def test_what_the_loop_saves_can_be_used_alone(finished: Any) -> None:
    out, _, _ = finished
    encoder = AdapterEncoder.load(out / "encoder", HashingEncoder(dim=64))
    vectors = encoder.encode(["The quiet lighthouse."])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_bad_arguments_write_nothing(world: SimulatedWorld, tmp_path: Path) -> None:
    out = tmp_path / "run"
    good: dict[str, Any] = {
        "source": world.feedback,
        "catalog": world.catalog,
        "encoder": HashingEncoder(dim=16),
        "out": out,
    }
    with pytest.raises(MissingInputError, match="catalog is needed here"):
        ImprovementLoop(source=world.feedback, out=out)
    with pytest.raises(UnknownNameError, match="Did you mean 'adapter'"):
        ImprovementLoop(**good, strategy="adaptor")
    with pytest.raises(UnknownNameError, match="metric of the suite is named 'ndcg@3'"):
        ImprovementLoop(**good, judging=Judging(metric="ndcg@3"))
    with pytest.raises(InvalidParameterError, match=r"holdout must be in \(0, 1\)"):
        ImprovementLoop(**good, judging=Judging(holdout=1.0))
    with pytest.raises(InvalidDataError, match="There is no feedback"):
        ImprovementLoop(**{**good, "source": Feedback.of(user=[], item=[])}).run()
    one = Feedback.of(user=["a"] * 9, item=list("bcdefghij"), value=5)
    with pytest.raises(InvalidDataError, match="at least 5 users"):
        ImprovementLoop(**{**good, "source": one}).run()
    assert not out.exists()
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        ImprovementLoop(**{**good, "out": blocked / "run"}).run()


@pytest.mark.parametrize("strategy", ["full", "lora:rank=2"])
def test_the_whole_encoder_can_be_tuned(
    make_loop: Any, world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    from siamrec.lifecycle import _tune

    monkeypatch.setattr(_tune, "_ENCODER_STEPS", 20)
    texts = [text for text in world.catalog.text if text is not None]
    encoder = SentenceEncoder.of(tiny_model(texts, dim=16, layers=1))
    loop = make_loop(encoder=encoder, strategy=strategy)
    report = loop.run()
    summary = report.summary()
    name, _, rank = strategy.partition(":rank=")
    assert summary["tuning"]["training"]["strategy"] == name
    assert str(summary["settings"]["strategy"].get("rank", "")) == rank
    tuned = SentenceEncoder(report.out / "encoder")
    assert tuned.fingerprint != encoder.fingerprint
    versions = report.summary()["registry"]["versions"]
    assert versions["base"] != versions["tuned"]


class OwnRecipe:
    """An arm's recipe of a host that inherits nothing."""

    def fit(self, feedback: Any, *, catalog: Any = None) -> Any:
        return Popularity().fit(feedback, catalog=catalog)


def test_parts_are_taken_by_name_and_what_is_unknown_is_told_at_once(
    make_loop: Callable[..., ImprovementLoop], tmp_path: Path
) -> None:
    loop = make_loop(arms={"own": OwnRecipe(), "other": "popularity:half_life=30d"})
    assert set(loop._parts.arms) == {"own", "other"}
    assert loop._parts.arms["other"] == Popularity(half_life="30d", positive=4.0)
    for wrong in (
        {"arms": ["eas"]},
        {"pairs": "rating"},
        {"suite": ["ndgc@10"]},
        {"bandit": "beta-tompson"},
        {"source": "fiel"},
        {"arms": {"long": "long-tail:base=eas"}},
    ):
        with pytest.raises(UnknownNameError, match="Did you mean"):
            make_loop(**wrong)
    with pytest.raises(InvalidParameterError, match=r"make one by OwnRecipe\(\.\.\.\), a class"):
        make_loop(arms={"own": OwnRecipe})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"positive": 0.0}, "positive"),
        ({"holdout": 0.0}, "holdout"),
        ({"cold_share": 1.5}, "cold_share"),
        ({"k": 0}, "k"),
        ({"max_rejected": -0.1}, "max_rejected"),
    ],
)
def test_a_trial_checks_its_numbers(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{name} must be"):
        Judging(**settings)


def test_the_loop_takes_few_arguments() -> None:
    assert len(inspect.signature(ImprovementLoop).parameters) <= 14


def test_what_was_improved_serves_in_a_fresh_process(finished: Any) -> None:
    """Nothing but the folder of the run is needed, and the log knows what was served."""
    folder = finished[0]
    code = (
        "import json, sys, siamrec\n"
        "with siamrec.load(sys.argv[1]) as shipped:\n"
        "    (shown,) = shipped.recommend(['person-0003'], k=4)\n"
        "print(shown.to_json())"
    )
    run = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    shown = json.loads(done.stdout)
    assert len(shown["items"]) == 4
    assert shown["release"] is not None
    assert set(shown["sources"]) <= {"popularity", "ease", "text", "long_tail", "fallback"}


def test_a_folder_without_a_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="the folder of a run"):
        siamrec.load(tmp_path)
