"""Ready-made test suites for authors of new parts; needs pytest and hypothesis.

Subclass the contract of your part's kind in a test module and say how to build one. A name is
loaded on first use, so that a policy's tests do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from siamrec.testing.bandits import BanditContract as BanditContract
    from siamrec.testing.bandits import PolicyContract as PolicyContract
    from siamrec.testing.encoders import EncoderContract as EncoderContract
    from siamrec.testing.estimators import EstimatorContract as EstimatorContract
    from siamrec.testing.experiments import AssignerContract as AssignerContract
    from siamrec.testing.experiments import ExperimentStoreContract as ExperimentStoreContract
    from siamrec.testing.experiments import HasherContract as HasherContract
    from siamrec.testing.experiments import SequenceContract as SequenceContract
    from siamrec.testing.experiments import StickyStoreContract as StickyStoreContract
    from siamrec.testing.export import ExporterContract as ExporterContract
    from siamrec.testing.feedback import FeedbackSinkContract as FeedbackSinkContract
    from siamrec.testing.feedback import FeedbackSourceContract as FeedbackSourceContract
    from siamrec.testing.feedback import FileFormatContract as FileFormatContract
    from siamrec.testing.losses import LossContract as LossContract
    from siamrec.testing.metrics import MetricContract as MetricContract
    from siamrec.testing.metrics import MetricSuiteContract as MetricSuiteContract
    from siamrec.testing.metrics import PooledMetricContract as PooledMetricContract
    from siamrec.testing.pairs import MinerContract as MinerContract
    from siamrec.testing.pairs import PairGeneratorContract as PairGeneratorContract
    from siamrec.testing.recommenders import RecommenderContract as RecommenderContract
    from siamrec.testing.rerank import SelectorContract as SelectorContract
    from siamrec.testing.stores import StoreContract as StoreContract

_HOMES = {
    "AssignerContract": "experiments",
    "BanditContract": "bandits",
    "EncoderContract": "encoders",
    "EstimatorContract": "estimators",
    "ExperimentStoreContract": "experiments",
    "ExporterContract": "export",
    "FeedbackSinkContract": "feedback",
    "FeedbackSourceContract": "feedback",
    "FileFormatContract": "feedback",
    "HasherContract": "experiments",
    "LossContract": "losses",
    "MetricContract": "metrics",
    "MetricSuiteContract": "metrics",
    "MinerContract": "pairs",
    "PairGeneratorContract": "pairs",
    "PolicyContract": "bandits",
    "PooledMetricContract": "metrics",
    "RecommenderContract": "recommenders",
    "SelectorContract": "rerank",
    "SequenceContract": "experiments",
    "StickyStoreContract": "experiments",
    "StoreContract": "stores",
}

__all__ = [
    "AssignerContract",
    "BanditContract",
    "EncoderContract",
    "EstimatorContract",
    "ExperimentStoreContract",
    "ExporterContract",
    "FeedbackSinkContract",
    "FeedbackSourceContract",
    "FileFormatContract",
    "HasherContract",
    "LossContract",
    "MetricContract",
    "MetricSuiteContract",
    "MinerContract",
    "PairGeneratorContract",
    "PolicyContract",
    "PooledMetricContract",
    "RecommenderContract",
    "SelectorContract",
    "SequenceContract",
    "StickyStoreContract",
    "StoreContract",
]

# What an assertion of a suite compared is shown to its guests as in their own modules.
pytest.register_assert_rewrite(
    *(f"siamrec.testing.{home}" for home in sorted({*_HOMES.values(), "sample"}))
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'siamrec.testing' has no attribute {name!r}")
    return getattr(import_module(f"siamrec.testing.{_HOMES[name]}"), name)
