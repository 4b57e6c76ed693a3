"""Every part that is registered passes the suite of its kind; a new one joins by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from siamrec._core.clock import ManualClock
from siamrec.bandits import POLICIES, ContextualBandit
from siamrec.bandits.ope import ESTIMATORS, IPS
from siamrec.experiments import Experiment, HashAssigner
from siamrec.experiments.assignment import HASHERS
from siamrec.metrics import Suite
from siamrec.models import SentenceEncoder
from siamrec.models.export import EXPORTERS
from siamrec.models.export._parity import SAMPLE_TEXTS
from siamrec.models.recommenders import RECOMMENDERS
from siamrec.pairs import MINERS
from siamrec.rerank import SELECTORS
from siamrec.storage import Store
from siamrec.testing.bandits import BanditContract, PolicyContract
from siamrec.testing.estimators import EstimatorContract
from siamrec.testing.experiments import AssignerContract, HasherContract
from siamrec.testing.export import ExporterContract
from siamrec.testing.metrics import MetricSuiteContract
from siamrec.testing.pairs import MinerContract, catalog_of
from siamrec.testing.rerank import SelectorContract
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from siamrec.models.export import Exporter
    from siamrec.protocols import Bandit, ExperimentAssigner, MetricSuite, SiameseEncoder


def _texts() -> list[str]:
    return [text for text in catalog_of().text if text is not None]


def suites(contract: type, book: Any, **of: dict[str, Any]) -> dict[str, type]:
    """Return a test class for each name of a book, with what is particular to some of them."""
    made: dict[str, type] = {}
    for name in book.house():
        own = of.get(name.replace("-", "_"), {})
        settings = own.get("settings", {})

        def make(_self: object, name: str = name, settings: Any = settings) -> Any:
            return book.make({"name": name, **settings})

        title = "".join(word.title() for word in name.split("-"))
        body = {"make": make, **{key: value for key, value in own.items() if key != "settings"}}
        made[f"Test{contract.__name__.removesuffix('Contract')}{title}"] = type(
            f"Test{title}", (contract,), body
        )
    return made


globals().update(
    suites(PolicyContract, POLICIES, uniform={"learns": False, "tempered": False}),
)
FOLDED = {"on_policy": 0.01, "order": 0.01}  # models are fitted to folds, cut by place
globals().update(
    suites(
        EstimatorContract,
        ESTIMATORS,
        dm={**FOLDED, "bias": 0.03},
        dr=FOLDED,
        dros=FOLDED,
        mrdr=FOLDED,
        switch_dr=FOLDED,
        replay={"stochastic": False},
        sub_gaussian={"bias": 0.12},
        mips={"settings": {"groups": (0, 1, 2)}},
        slope={"settings": {"candidates": (IPS(clip=3.0), IPS())}, "bias": 0.02},
    )
)
globals().update(suites(SelectorContract, SELECTORS))
globals().update(suites(HasherContract, HASHERS))
globals().update(
    suites(
        MinerContract,
        MINERS,
        hard_negatives={"settings": {"per_positive": 3, "pool": 16}},
        sentence_transformers={
            "settings": {"per_positive": 3, "percent": 1.0},
            "encoder": lambda _: SentenceEncoder.of(tiny_model(_texts()), name="tiny"),
        },
    )
)


class TestContextualBandit(BanditContract):
    @override
    def make(self, arms: tuple[str, ...]) -> Bandit:
        return ContextualBandit("beta-thompson", arms, seed=3, clock=ManualClock(1))


class TestHierarchicalBandit(BanditContract):
    @override
    def make(self, arms: tuple[str, ...]) -> Bandit:
        return ContextualBandit("hierarchical-beta", arms, seed=3, clock=ManualClock(1))


class TestGreedyBandit(BanditContract):
    @override
    def make(self, arms: tuple[str, ...]) -> Bandit:
        return ContextualBandit("epsilon-greedy", arms, seed=3, clock=ManualClock(1))


@pytest.mark.slow
class TestStoredBandit(BanditContract):
    snapshots = False

    @override
    def make(self, arms: tuple[str, ...]) -> Any:
        store = Store("sqlite://", clock=ManualClock(1))
        return store.bandit("home", "beta-thompson", arms, seed=3, worker="one")


class TestHashAssigner(AssignerContract):
    @override
    def make(self) -> ExperimentAssigner:
        experiment = Experiment(key="x", variants=dict(self.shares), salt="a salt")
        return HashAssigner([experiment]).of("x")


class TestExposedAssigner(AssignerContract):
    exposure = 0.4

    @override
    def make(self) -> ExperimentAssigner:
        experiment = Experiment(key="x", variants=dict(self.shares), salt="s", exposure=0.4)
        return HashAssigner([experiment]).of("x")


class TestSuite(MetricSuiteContract):
    accuracy = "ndcg@5"

    @override
    def make(self) -> MetricSuite:
        names = ["ndcg@5", "recall@5", "coverage@5", "novelty@5", "gini@5"]
        return Suite(names, seen_items="allow")


class _Export(ExporterContract):
    form: str

    @override
    def make(self) -> Exporter:
        exporter: Exporter = EXPORTERS.house()[self.form]
        return exporter

    @override
    def encoder(self, seed: int = 0) -> SiameseEncoder:
        return SentenceEncoder.of(tiny_model(SAMPLE_TEXTS, seed=seed), name=f"tiny {seed}")


class TestSentenceTransformers(_Export):
    form = "sentence-transformers"


class TestLegacySentenceTransformers(_Export):
    form = "sentence-transformers-legacy"


def test_every_arm_runs_the_suite_of_arms_in_its_room() -> None:
    """The suite needs settings of each arm's own, small enough for the sample."""
    rooms = Path(__file__).parents[1] / "models"
    told = "\n".join(path.read_text(encoding="utf-8") for path in sorted(rooms.rglob("test_*.py")))
    tried = set(re.findall(r"class Test\w+\(\w*Contract\):.*?(?=\n\n\n)", told, re.DOTALL))
    text = "\n".join(tried) + told
    for name, made in RECOMMENDERS.house().items():
        kind = getattr(made, "__name__", "")
        assert re.search(rf"\b{kind}\(", text), f"{name} ({kind}) has no test class"
