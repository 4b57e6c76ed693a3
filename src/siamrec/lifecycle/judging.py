"""What a cycle is run with besides its parts: how it judges, and the host around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from siamrec._core import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.lifecycle.events import Observer
    from siamrec.protocols import BlobStore, Clock


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What is held out, and how what was learned from the rest is judged and tested.

    Args:
        positive: Smallest rating that is a like.
        holdout: Share of the users that test, in (0, 1). Keep it from cycle to cycle: with a
            greater one what is in use is measured on users that it was trained on.
        cold_share: Share of the items hidden from training, in [0, 1).
        k: Length of the lists shown in the replayed traffic.
        metric: Metric of the suite by which the tuned encoder is judged.
        serving: Arm that serves today, the control of the A/B test; by default what the
            placement of the last cycle says, an arm or its bandit, else `"popularity"`.
        warm_start: Whether the training goes on from the encoder in use, where there is one, so
            that a step from it is judged and not a step from the base.
        max_rejected: Largest share of bad rows that is put up with, in [0, 1].

    Raises:
        siamrec.errors.InvalidParameterError: If a number is out of range.

    Examples:
        >>> Judging(holdout=0.1).k
        10
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    positive: float = 4.0
    holdout: float = 0.2
    cold_share: float = 0.1
    k: int = 10
    metric: str = "ndcg@10"
    serving: str | None = None
    warm_start: bool = False
    max_rejected: float = 0.05

    def __post_init__(self) -> None:
        check.positive("positive", self.positive)
        check.share("holdout", self.holdout, open_ends=True)
        check.share("cold_share", self.cold_share)
        check.count("k", self.k)
        check.kind("warm_start", self.warm_start, bool)
        check.share("max_rejected", self.max_rejected)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the application around a cycle brings along.

    Args:
        observers: Called with every `LoopEvent`.
        blobs: Where the files of registered versions go; when absent, beside the database file
            that is named, else a folder of the run.
        clock: Time of what is logged; the system's when absent. A store that is handed in keeps
            its own.
        schema: Schema of PostgreSQL for the tables, where the store is given by its URL.
    """

    observers: Sequence[Observer] = ()
    blobs: BlobStore | None = None
    clock: Clock | None = None
    schema: str | None = None
