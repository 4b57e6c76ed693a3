"""What every strategy shares: settings, pairs, validation, events, budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core.clock import Stopwatch
from siamrec._core.hashing import uniforms
from siamrec.errors import InvalidDataError
from siamrec.models.training.result import TrainingEvent
from siamrec.models.training.validation.choosing import Slices, means, merit
from siamrec.models.training.validation.retention import Retention, drift, reciprocal_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from siamrec.losses import LossSpec
    from siamrec.models.encoders._texts import TextKind
    from siamrec.models.training.config import FineTuneConfig
    from siamrec.models.training.result import EventKind
    from siamrec.models.training.strategies.material import Material
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import BoolArray, Float32Array, FloatArray

NEAR_ENOUGH = 0.97
"""Share of the best merit that counts as equal: validation is not finer than that."""

_DRIFT_TEXTS = 500


@final
class Run:
    """One fine-tuning on its way; the one mutable value of this room.

    Args:
        config: Settings.
        encoder: The base.
        material: Training and validation pairs.
        on_event: Where events go.
        should_stop: Whether somebody asked to stop.
        folder: Where checkpoints and the result go, if anywhere.
        previous: The version in use now, if there is one.
    """

    def __init__(
        self,
        config: FineTuneConfig,
        encoder: SiameseEncoder,
        material: Material,
        *,
        on_event: Callable[[TrainingEvent], object],
        should_stop: Callable[[], bool],
        folder: Path | None = None,
        previous: SiameseEncoder | None = None,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.material = material
        self.on_event = on_event
        self.should_stop = should_stop
        self.folder = folder
        self.previous = previous
        self.history: list[dict[str, float]] = []
        self.stopped = ""
        self.watch = Stopwatch()

    def spec(self) -> LossSpec:
        """Return the loss of the configuration."""
        return self.config.loss_spec

    def tell(
        self,
        kind: EventKind,
        step: int = 0,
        total: int = 0,
        *,
        loss: float | None = None,
        metrics: Mapping[str, float] | None = None,
        message: str = "",
    ) -> None:
        """Send an event."""
        self.on_event(TrainingEvent(kind, step, total, loss, metrics or {}, message))

    def halted(self) -> bool:
        """Whether a request or the time budget ends training now; says so once."""
        limit = self.config.max_seconds
        if not self.stopped and self.should_stop():
            self.stopped = "stopped on request"
        elif not self.stopped and limit is not None and self.watch.seconds() > limit:
            self.stopped = f"stopped after {limit:g} seconds"
        return bool(self.stopped)

    def shares(self) -> tuple[float, ...]:
        """Return the shares of tuned weights that are tried."""
        fixed = self.config.wise_ft
        return self.config.training.shares if fixed == "auto" else (fixed,)

    def record(self, step: int, total: int, loss: float, found: Mapping[str, FloatArray]) -> float:
        """Note one evaluation and return its merit."""
        figures = means(found)
        self.history.append({"step": step, "loss": loss, **figures})
        self.tell("evaluation", step, total, loss=loss, metrics=figures)
        return merit(found)

    def judged_texts(self) -> BoolArray:
        """Return the texts that validation reads: all, or a sample drawn by hash.

        Its own queries are always among them.
        """
        texts, limit = self.material.texts, self.config.training.validation_texts
        if limit is None or limit >= len(texts):
            return np.ones(len(texts), dtype=np.bool_)
        drawn = uniforms(texts, f"validation-{self.config.seed}")
        mask = np.asarray(drawn <= np.partition(drawn, limit - 1)[limit - 1], dtype=np.bool_)
        own = self.material.valid.left
        mask[own[self.material.asked()[own]]] = True
        return mask

    def vectors(self, encoder: SiameseEncoder, among: BoolArray | None = None) -> Float32Array:
        """Return an encoder's vector of each text, queries as queries, `(n_texts, dim)`.

        Args:
            encoder: The encoder.
            among: Texts to read, `(n_texts,)`; the others' rows are zero. All by default.
        """
        texts, asked = self.material.texts, self.material.asked()
        wanted = np.ones(len(texts), dtype=np.bool_) if among is None else among
        if wanted.all() and not asked.any():
            return encoder.encode(texts)
        vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
        kinds: tuple[tuple[TextKind, BoolArray], ...] = (("document", ~asked), ("query", asked))
        for kind, of in kinds:
            codes = np.flatnonzero(of & wanted)
            if codes.size:
                vectors[codes] = encoder.encode([texts[code] for code in codes], kind=kind)
        return vectors

    def slices(self) -> Slices:
        """Return the ranking tasks of validation."""
        return Slices.of(self.material, self.judged_texts())


@final
@dataclass(frozen=True, slots=True)
class Trained:
    """What a strategy comes back with.

    Args:
        encoder: The tuned encoder.
        base: Metric columns of the base on validation.
        found: Metric columns of the tuned encoder.
        steps: Steps behind the chosen weights.
        share: WiSE-FT share of the tuned weights.
        retention: Figures of general skill: `base`, `tuned`, and `floor` where one is asked for;
            empty when texts are too short to measure it.
        drift: How far vectors moved.
        previous: Metric columns of the version in use, if there is one.
        before_refit: Columns of `found` that are those of the encoder before a last training
            with the hidden texts.
    """

    encoder: SiameseEncoder
    base: Mapping[str, FloatArray]
    found: Mapping[str, FloatArray]
    steps: int
    share: float
    retention: Mapping[str, float]
    drift: Mapping[str, float]
    previous: Mapping[str, FloatArray] | None = None
    before_refit: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Probe:
    """Texts on which general skill and drift are measured, read by the base once.

    Args:
        queries: Beginnings of texts.
        documents: Their rest, in the same order.
        sample: Texts whose vectors are compared.
    """

    queries: list[str]
    documents: list[str]
    sample: list[str]

    @classmethod
    def of(cls, run: Run) -> Probe:
        """Return the probe of a run.

        Raises:
            InvalidDataError: If retention is asked for and too few texts can be cut in two;
                where it is not asked for, there are no queries then.
        """
        sample = sorted(run.material.texts, key=lambda text: (len(text), text))
        sample = sample[:: max(1, len(sample) // _DRIFT_TEXTS)][:_DRIFT_TEXTS]
        try:
            queries, documents = (run.config.retention or Retention()).texts(run.material.texts)
        except InvalidDataError:
            if run.config.retention is not None:
                raise
            return cls([], [], sample)
        return cls(queries, documents, sample)

    def figures(self, run: Run, base: float, tuned: float) -> dict[str, float]:
        """Return the figures of general skill, with the floor where one is asked for."""
        if not self.queries:
            return {}
        retention = run.config.retention
        floor = {} if retention is None else {"floor": retention.floor(base)}
        return {"base": base, "tuned": tuned, **floor}

    def skill(self, read: Callable[[Sequence[str]], Float32Array]) -> float:
        """Return the mean reciprocal rank of own texts; NaN without queries."""
        if not self.queries:
            return float("nan")
        return reciprocal_rank(read(self.queries), read(self.documents))

    def moved(
        self,
        before: Callable[[Sequence[str]], Float32Array],
        after: Callable[[Sequence[str]], Float32Array],
    ) -> dict[str, float]:
        """Return the drift between two readers."""
        return drift(before(self.sample), after(self.sample))


def chosen_share(
    run: Run, merits: Mapping[float, float], skills: Mapping[float, float], base_skill: float
) -> float:
    """Return the largest WiSE-FT share near the most merit that keeps enough general skill.

    Where none does, the share that keeps most; the verdict then says why not to ship.
    """
    retention = run.config.retention
    allowed = list(merits)
    if retention is not None:
        floor = retention.floor(base_skill)
        allowed = [share for share in merits if skills[share] >= floor]
        if not allowed:
            return max(skills, key=lambda share: (skills[share], -share))
    enough = NEAR_ENOUGH * max(merits[share] for share in allowed)
    share = max(share for share in allowed if merits[share] >= enough)
    run.tell("choice", metrics={f"wise_ft={s:g}": m for s, m in merits.items()})
    return share
