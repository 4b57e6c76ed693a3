"""Presets that reproduce what other libraries compute under the same metric names."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, final

from siamrec._core import check
from siamrec.metrics.families.accuracy import Recall
from siamrec.metrics.families.ranking import NDCG, AveragePrecision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.metrics.base import MetricFactory


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The conventions of one library.

    Args:
        policies: Policies that differ from the defaults.
        factories: Metrics whose definition differs.
    """

    policies: Mapping[str, str] = field(default_factory=dict)
    factories: Mapping[str, MetricFactory] = field(default_factory=dict)


_CAPPED = partial(Recall, capped=True)

PRESETS: Mapping[str, Preset] = {
    "trec": Preset(policies={"missing_user": "exclude", "ties": "id-descending"}),
    "ranx": Preset(policies={"empty_truth": "zero"}),
    "rectools": Preset(
        factories={"ndcg": partial(NDCG, gain="binary", ideal="full"), "r_precision": _CAPPED}
    ),
    "sentence-transformers": Preset(
        factories={
            "map": partial(AveragePrecision, denominator="min"),
            "ndcg": partial(NDCG, gain="binary"),
        }
    ),
    "lenskit": Preset(
        policies={"short_list": "actual", "missing_user": "exclude"},
        factories={
            "map": partial(AveragePrecision, denominator="min"),
            "ndcg": partial(NDCG, discount="lenskit"),
            "recall": _CAPPED,
        },
    ),
    "torchmetrics": Preset(
        policies={"empty_truth": "zero"},
        factories={
            "map": partial(AveragePrecision, denominator="hits"),
            "ndcg": partial(NDCG, ideal="retrieved"),
        },
    ),
}
"""Conventions of each library by name; the page "why my number differs" tells them apart."""


def preset(name: str | None) -> Preset:
    """Return the conventions of one library, or the house's own for None.

    Raises:
        siamrec.errors.UnknownNameError: If the library is unknown.
    """
    return Preset() if name is None else PRESETS[check.one_of("compat", name, PRESETS)]
