"""Ready-made test suites for authors of new parts; needs pytest and hypothesis.

Subclass the contract of your part's kind in a test module and say how to build one. A name is
loaded on first use, so that a policy's tests do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from siamrec.testing.bandits import PolicyContract as PolicyContract
    from siamrec.testing.encoders import EncoderContract as EncoderContract
    from siamrec.testing.feedback import FeedbackSinkContract as FeedbackSinkContract
    from siamrec.testing.feedback import FeedbackSourceContract as FeedbackSourceContract
    from siamrec.testing.losses import LossContract as LossContract
    from siamrec.testing.metrics import MetricContract as MetricContract
    from siamrec.testing.metrics import PooledMetricContract as PooledMetricContract
    from siamrec.testing.pairs import PairGeneratorContract as PairGeneratorContract
    from siamrec.testing.recommenders import RecommenderContract as RecommenderContract
    from siamrec.testing.rerank import SelectorContract as SelectorContract

_HOMES = {
    "EncoderContract": "encoders",
    "FeedbackSinkContract": "feedback",
    "FeedbackSourceContract": "feedback",
    "LossContract": "losses",
    "MetricContract": "metrics",
    "PairGeneratorContract": "pairs",
    "PolicyContract": "bandits",
    "PooledMetricContract": "metrics",
    "RecommenderContract": "recommenders",
    "SelectorContract": "rerank",
}

__all__ = [
    "EncoderContract",
    "FeedbackSinkContract",
    "FeedbackSourceContract",
    "LossContract",
    "MetricContract",
    "PairGeneratorContract",
    "PolicyContract",
    "PooledMetricContract",
    "RecommenderContract",
    "SelectorContract",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'siamrec.testing' has no attribute {name!r}")
    return getattr(import_module(f"siamrec.testing.{_HOMES[name]}"), name)
