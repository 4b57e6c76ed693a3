"""The fine-tuner: pairs in, a better encoder with its evidence out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import Stopwatch
from siamrec.models.training._adapter import Batches, Head, train_head
from siamrec.models.training._choose import WARM, Slices, judged, means, merit
from siamrec.models.training._material import Material
from siamrec.models.training.config import FineTuneConfig
from siamrec.models.training.result import Comparison, FineTuneResult, TrainingEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.data import Pairs
    from siamrec.models.encoders import AdapterEncoder
    from siamrec.protocols import SiameseEncoder

WISE_FT_SHARES = (0.25, 0.5, 0.75, 1.0)


def _silent(event: TrainingEvent) -> None:
    """Take an event and do nothing."""


def _never() -> bool:
    return False


@final
@dataclass(frozen=True, slots=True)
class FineTuner:
    """Tunes an encoder on pairs and says whether the result is worth shipping.

    Args:
        config: How it is to go.

    Examples:
        >>> tuner = FineTuner(FineTuneConfig(strategy="adapter", seed=7))
        >>> tuner.config.seed
        7
    """

    config: FineTuneConfig = field(default_factory=FineTuneConfig)

    def fit(
        self,
        encoder: SiameseEncoder,
        train: Pairs,
        valid: Pairs,
        *,
        on_event: Callable[[TrainingEvent], object] = _silent,
        should_stop: Callable[[], bool] = _never,
    ) -> FineTuneResult:
        """Return the tuned encoder with metrics, history, verdict and card.

        Half of what each validation user likes is the profile, and the other half is to be ranked
        high. Number of steps and WiSE-FT share are chosen on these users, once among texts that
        training saw and once among hidden ones.

        Args:
            encoder: The base; it is never changed.
            train: Pairs to learn from.
            valid: Pairs of other users to choose and judge by.
            on_event: Called with each `TrainingEvent`; `print` will do.
            should_stop: Asked after each step; training ends early, with the best so far, when it
                returns True.

        Raises:
            InvalidDataError: If there is nothing to learn or to judge by.
            LeakageError: If training and validation have users in common.
            TrainingDivergedError: If the loss is not finite before the first evaluation.
        """
        config = self.config
        material = Material.of(train, valid, cold_share=config.cold_share, seed=config.seed)
        run = _AdapterRun(config, encoder, material, on_event, should_stop)
        return run.result()


@final
class _AdapterRun:
    """One training of a head; holds what its steps share."""

    def __init__(
        self,
        config: FineTuneConfig,
        encoder: SiameseEncoder,
        material: Material,
        on_event: Callable[[TrainingEvent], object],
        should_stop: Callable[[], bool],
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.material = material
        self.on_event = on_event
        self.should_stop = should_stop
        self.watch = Stopwatch()
        self.slices = Slices.of(material)
        self.vectors = encoder.encode(material.texts)
        check.finite("vectors of the encoder", self.vectors)
        self.history: list[dict[str, float]] = []
        self.stopped = ""

    def result(self) -> FineTuneResult:
        base = self.slices.measure(self.vectors)
        best, best_steps, total = self._search()
        tuned, share = self._mixed(best)
        found = self.slices.measure(tuned.project(self.vectors))
        if self.config.refit and self.material.hidden.any() and not self.stopped:
            tuned = self._refitted(best_steps, total, share)
        popular = self.slices.warm.ndcg_of_popularity(self.material.popularity())
        comparisons = {name: Comparison.of(name, base[name], found[name]) for name in found}
        popularity = means({WARM: popular})[WARM]
        verdict = judged(comparisons, popularity=popularity)
        metrics = {
            **means(found),
            **{f"base_{name}": value for name, value in means(base).items()},
            f"popularity_{WARM}": popularity,
        }
        self._tell("end", best_steps, total, metrics=metrics, message=str(verdict))
        return FineTuneResult(
            encoder=tuned,
            verdict=verdict,
            metrics=metrics,
            comparisons=comparisons,
            history=tuple(self.history),
            card=self._card(tuned, metrics, steps=best_steps, share=share),
        )

    def _search(self) -> tuple[AdapterEncoder, int, int]:
        """Train without the hidden texts; return the best head, its step and the steps planned."""
        pairs = self.material.without_hidden()
        total = self._steps(pairs)
        every = max(1, total // self.config.evaluations)
        best: tuple[float, int, AdapterEncoder | None] = (-math.inf, 0, None)
        since = 0
        losses: list[float] = []
        self._tell("start", 0, total, message=f"adapter on {len(pairs)} pairs")

        def after_step(done: int, loss: float, head: Head) -> bool:
            nonlocal best, since
            losses.append(loss)
            self._halt()
            if done % every and done < total and not self.stopped:
                return False
            candidate = head.encoder(self.encoder)
            found = self.slices.measure(candidate.project(self.vectors))
            mean_loss = float(np.mean(losses))
            losses.clear()
            self.history.append({"step": done, "loss": mean_loss, **means(found)})
            self._tell("evaluation", done, total, loss=mean_loss, metrics=means(found))
            since += 1
            if merit(found) > best[0]:
                best, since = (merit(found), done, candidate), 0
            return bool(self.stopped) or since >= self.config.early_stopping_patience

        train_head(pairs, self.vectors, self.config, steps=total, after_step=after_step)
        assert best[2] is not None  # the last step is always evaluated
        return best[2], best[1], total

    def _mixed(self, best: AdapterEncoder) -> tuple[AdapterEncoder, float]:
        """Return the best mix of base and tuned head by validation, and its share."""
        if self.config.wise_ft != "auto":
            return best.towards(self.config.wise_ft), self.config.wise_ft
        mixes = {share: best.towards(share) for share in WISE_FT_SHARES}
        merits = {
            share: merit(self.slices.measure(mix.project(self.vectors)))
            for share, mix in mixes.items()
        }
        share = max(merits, key=lambda s: (merits[s], s))
        self._tell("choice", 0, 0, metrics={f"wise_ft={s:g}": m for s, m in merits.items()})
        return mixes[share], share

    def _refitted(self, steps: int, total: int, share: float) -> AdapterEncoder:
        """Train the chosen number of steps again, with the hidden texts."""

        def after_step(done: int, loss: float, head: Head) -> bool:
            del loss, head
            return done >= steps or self.should_stop()

        head = train_head(
            self.material.train, self.vectors, self.config, steps=total, after_step=after_step
        )
        return head.encoder(self.encoder).towards(share)

    def _steps(self, pairs: Pairs) -> int:
        batches = Batches(pairs, self.config, np.random.default_rng(0))
        total = self.config.epochs * len(batches)
        return min(total, self.config.max_steps or total)

    def _halt(self) -> None:
        if self.should_stop():
            self.stopped = "stopped on request"
        limit = self.config.max_seconds
        if limit is not None and self.watch.seconds() > limit:
            self.stopped = f"stopped after {limit:g} seconds"

    def _tell(self, kind: Any, step: int, total: int, **more: Any) -> None:
        self.on_event(TrainingEvent(kind, step, total, **more))

    def _card(
        self, tuned: AdapterEncoder, metrics: dict[str, float], *, steps: int, share: float
    ) -> dict[str, Any]:
        material = self.material
        return {
            "kind": "siamrec fine-tuning",
            "config": self.config.as_dict(),
            "config_hash": self.config.fingerprint(),
            "parent": self.encoder.fingerprint,
            "fingerprint": tuned.fingerprint,
            "data": {
                "train": material.train.fingerprint(),
                "valid": material.valid.fingerprint(),
                "train_pairs": len(material.train),
                "valid_pairs": len(material.valid),
                "texts": len(material.texts),
            },
            "metrics": metrics,
            "steps": steps,
            "wise_ft": share,
            "stopped": self.stopped,
            "versions": {name: version(name) for name in ("numpy", "scipy", "torch")},
        }
