"""The house's own parts, offered through the hooks that guests use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from siamrec import bandits, experiments, feedback, pairs
from siamrec.bandits import ope
from siamrec.experiments import assignment
from siamrec.losses import losses
from siamrec.metrics._builtin import BUILTIN
from siamrec.models import (
    AdapterEncoder,
    CachedEncoder,
    HashingEncoder,
    SentenceEncoder,
    StaticEncoder,
    TwoTowerEncoder,
    ensembles,
)
from siamrec.models import recommenders as arms
from siamrec.models.export import OnnxEncoder, exporters
from siamrec.plugins.hookspecs import hookimpl
from siamrec.rerank._builtin import SELECTORS
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Factories = Mapping[str, Callable[..., Any]]


@hookimpl
def siamrec_feedback_sources() -> Factories:
    """Offer feedback in files, databases, memory, and several of them merged."""
    return {
        "conport": feedback.ConPortFeedback,
        "file": feedback.FileFeedback,
        "filtered": feedback.FilteredFeedback,
        "iterable": feedback.IterableFeedback,
        "memory": feedback.MemoryFeedback,
        "merged": feedback.MergedFeedback,
        "sql": feedback.SqlFeedback,
    }


@hookimpl
def siamrec_pair_generators() -> Factories:
    """Offer pairs from ratings, preferences, clicks, queries, what is liked together, texts."""
    return {
        "clicks": pairs.ClickPairs,
        "co-engagement": pairs.CoEngagementPairs,
        "preferences": pairs.PreferencePairs,
        "queries": pairs.QueryPairs,
        "ratings": pairs.RatingPairs,
        "scored": pairs.ScoredPairs,
        "synthetic": pairs.Synthetic,
    }


@hookimpl
def siamrec_miners() -> Factories:
    """Offer miners of negatives: ours with each search, and that of sentence-transformers."""
    return {
        "exact": pairs.HardNegatives,
        "faiss": partial(pairs.HardNegatives, search="faiss"),
        "sentence-transformers": pairs.SentenceTransformersMiner,
        "usearch": partial(pairs.HardNegatives, search="usearch"),
    }


@hookimpl
def siamrec_losses() -> Factories:
    """Offer our losses and every one of sentence-transformers: `factory(model, pairs=…)`."""
    return {name: spec.factory for name, spec in losses().items()}


@hookimpl
def siamrec_encoders() -> Factories:
    """Offer encoders."""
    return {
        "adapter": AdapterEncoder,
        "cached": CachedEncoder,
        "hashing": HashingEncoder,
        "onnx": OnnxEncoder,
        "sentence": SentenceEncoder,
        "static": StaticEncoder,
        "two-tower": TwoTowerEncoder,
    }


@hookimpl
def siamrec_exporters() -> Factories:
    """Offer export formats: each factory writes an encoder to a folder."""
    return {name: exporter.write for name, exporter in exporters().items()}


@hookimpl
def siamrec_recommenders() -> Factories:
    """Offer arms."""
    return {
        "attention-mf": arms.AttentionMF,
        "bias": arms.BiasModel,
        "cascade": ensembles.Cascade,
        "ease": arms.EASE,
        "edlae": arms.EDLAE,
        "explicit-mf": arms.ExplicitMF,
        "fallback": ensembles.Fallback,
        "coverage": arms.Coverage,
        "gf-cf": arms.GFCF,
        "hidden-gems": arms.HiddenGems,
        "ials": arms.IALS,
        "item-knn": arms.ItemKNN,
        "item-knn-baseline": arms.ItemKNNBaseline,
        "light-gcn": arms.LightGCN,
        "long-tail": arms.LongTail,
        "mult-vae": arms.MultVAE,
        "multi-task": arms.MultiTaskMF,
        "neu-mf": arms.NeuMF,
        "niche": arms.Niche,
        "popularity": arms.Popularity,
        "pure-svd": arms.PureSVD,
        "random": arms.Random,
        "rp3beta": arms.RP3beta,
        "stacking": ensembles.Stacking,
        "sasrec": arms.SASRec,
        "sequential-rules": arms.SequentialRules,
        "serendipity": arms.SerendipityExplorer,
        "slit": arms.SLIT,
        "svdpp": arms.SVDpp,
        "switching": ensembles.Switching,
        "text-profile": arms.TextProfile,
        "text-to-factor": arms.TextToFactor,
        "time-svdpp": arms.TimeSVDpp,
        "two-tower": arms.TwoTower,
        "user-knn": arms.UserKNN,
        "weighted": ensembles.Weighted,
    }


@hookimpl
def siamrec_policies() -> Factories:
    """Offer bandit policies, by the names that decisions carry."""
    return {
        "bayes-ucb": bandits.BayesUCB,
        "beta-thompson": bandits.BetaThompson,
        "epsilon-greedy": bandits.EpsilonGreedy,
        "exp3-ix": bandits.Exp3IX,
        "gamma-thompson": bandits.GammaThompson,
        "hierarchical-beta": bandits.HierarchicalBeta,
        "information-directed": bandits.InformationDirected,
        "kl-ucb": bandits.KLUCB,
        "linear-thompson": bandits.LinearThompson,
        "linear-ucb": bandits.LinearUCB,
        "logistic-thompson": bandits.LogisticThompson,
        "normal-thompson": bandits.NormalThompson,
        "top-two-thompson": bandits.TopTwoThompson,
        "tsallis-inf": bandits.TsallisINF,
        "ucb1": bandits.UCB1,
        "uniform": bandits.Uniform,
    }


@hookimpl
def siamrec_estimators() -> Factories:
    """Offer off-policy estimators."""
    return {
        "dm": ope.DirectMethod,
        "dr": ope.DoublyRobust,
        "dros": ope.DRos,
        "ips": ope.IPS,
        "mips": ope.MIPS,
        "mrdr": ope.MRDR,
        "replay": ope.Replay,
        "slope": ope.Slope,
        "snips": ope.SNIPS,
        "sub-gaussian": ope.SubGaussian,
        "switch-dr": ope.SwitchDR,
    }


@hookimpl
def siamrec_hashers() -> Factories:
    """Offer hashers of units: ours, and those of other systems for moving over."""
    return {
        "eppo-md5": assignment.EppoMd5,
        "growthbook-v1": assignment.GrowthBookV1,
        "growthbook-v2": assignment.GrowthBookV2,
        "planout-sha1": assignment.PlanOutSha1,
        "unleash-murmur3": assignment.UnleashMurmur3,
        "xxh3": assignment.Xxh3,
    }


@hookimpl
def siamrec_tests() -> Factories:
    """Offer looking rules: tests that may be looked at more than once."""
    return {
        "asymptotic-cs": experiments.AsymptoticCS,
        "group-sequential": experiments.GroupSequential,
        "normal-mixture": experiments.NormalMixture,
    }


@hookimpl
def siamrec_metrics() -> Factories:
    """Offer metrics by the stem of their name."""
    return BUILTIN


@hookimpl
def siamrec_selectors() -> Factories:
    """Offer selectors of the re-ranking."""
    return SELECTORS


@hookimpl
def siamrec_stores() -> Factories:
    """Offer the store on SQLite and PostgreSQL."""
    return {"sql": Store}
