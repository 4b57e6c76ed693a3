"""The fine-tuner: pairs in, a better encoder with its evidence out."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidParameterError
from siamrec.models.training._store import Checkpoints, write_result
from siamrec.models.training.config import FineTuneConfig
from siamrec.models.training.result import EncoderComparison, FineTuneResult, TrainingEvent
from siamrec.models.training.strategies.adapter import tune_adapter
from siamrec.models.training.strategies.material import Material, require_rivals
from siamrec.models.training.strategies.recipes import Adapter, EncoderStrategy
from siamrec.models.training.strategies.run import Run, Trained
from siamrec.models.training.validation.choosing import (
    COLD,
    POPULARITY,
    PREVIOUS,
    WARM,
    judged,
    means,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.data import Pairs
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import FloatArray


_PACKAGES = ("siamrec", "numpy", "scipy", "torch", "sentence-transformers", "transformers")
_AMONG_RIVALS = ("feedback-infonce", "queued-infonce")


def _silent(event: TrainingEvent) -> None:
    """Take an event and do nothing."""


def _never() -> bool:
    return False


@final
@dataclass(frozen=True, slots=True, repr=False)
class FineTuner(Shown):
    """Tunes an encoder on pairs and says whether the result is worth shipping.

    Args:
        config: How it is to go.

    Examples:
        >>> tuner = FineTuner(FineTuneConfig(strategy="adapter:hidden=64", seed=7))
        >>> tuner.config.seed
        7
    """

    config: FineTuneConfig = field(default_factory=FineTuneConfig)

    @override
    def title(self) -> str:
        return (
            f"Fine-tuner: {self.config.strategy}, loss {self.config.loss}, seed {self.config.seed}"
        )

    @override
    def table(self) -> Table:
        """Return the settings."""
        settings = {name: getattr(self.config, name) for name in type(self.config).__slots__}
        facts = {name.replace("_", " "): value for name, value in settings.items()}
        return Table.of(self.title(), facts)

    def fit(
        self,
        encoder: SiameseEncoder,
        train: Pairs,
        valid: Pairs,
        *,
        previous: SiameseEncoder | None = None,
        on_event: Callable[[TrainingEvent], object] = _silent,
        should_stop: Callable[[], bool] = _never,
        out: str | Path | None = None,
    ) -> FineTuneResult:
        """Return the tuned encoder with metrics, history, verdict and card.

        Half of what each validation user likes is the profile, and the other half is to be ranked
        high; where pairs are of queries, or come of a split by query or cluster, each anchor is to
        find its texts; after a split by time the profile is what training knows of the user.
        Number of steps and WiSE-FT share are chosen on these users, once among texts that training
        saw and once among hidden ones.

        Args:
            encoder: The base; it is never changed.
            train: Pairs to learn from.
            valid: Pairs of other users to choose and judge by, or the other side of any one split.
            previous: The version in use now. It is judged beside the tuned encoder, which must
                also be better than it to ship; with `warm_start` training goes on from it.
            on_event: Called with each `TrainingEvent`; `print` will do.
            should_stop: Asked after each step; training ends early, with the best so far, when it
                returns True.
            out: Folder for the tuned encoder and its card. The strategies that train the encoder
                itself also keep checkpoints there, and go on from the last one when called again
                with the same settings and data; a run that comes to its end removes them.

        Raises:
            InvalidDataError: If there is nothing to learn or to judge by.
            InvalidParameterError: If the strategy cannot train this encoder, or a warm start has
                no previous version to start from.
            LeakageError: If training and validation have users in common, or, as sides of one
                split by another unit, what that parts.
            TrainingDivergedError: If the loss is not finite before the first evaluation.
            StorageError: If the folder cannot be written, or holds checkpoints of another run.
        """
        config = self.config
        config.fingerprint()  # what the card cannot hold is told before the training
        if config.warm_start and previous is None:
            raise InvalidParameterError("warm_start", True, "used with previous=")
        material = Material.of(train, valid, cold_share=config.cold_share, seed=config.seed)
        mines = isinstance(config.training, EncoderStrategy) and config.training.mine is not None
        if config.loss_name in _AMONG_RIVALS and not mines:
            require_rivals(material.train)
        folder = None if out is None else Path(out)
        run = Run(
            config,
            encoder,
            material,
            on_event=on_event,
            should_stop=should_stop,
            folder=folder,
            previous=previous,
        )
        return _result(run, _tuned(run))


def _tuned(run: Run) -> Trained:
    recipe = run.config.training
    if isinstance(recipe, Adapter):
        return tune_adapter(run, recipe)
    if not isinstance(recipe, EncoderStrategy):
        raise InvalidParameterError("strategy", recipe, "an Adapter or an EncoderStrategy")
    from siamrec.models.training.strategies.whole_encoder import tune_encoder  # seconds to import

    return tune_encoder(run, recipe)


def _compared(metric: str, before: FloatArray, after: FloatArray) -> EncoderComparison:
    """Return the comparison of a metric between 0 and 1."""
    return EncoderComparison.of(metric, before, after, within=(-1.0, 1.0))


def _result(run: Run, trained: Trained) -> FineTuneResult:
    popular = run.slices().warm.ndcg_of_popularity(run.material.popularity())
    popularity = means({WARM: popular})[WARM]
    names = [name for name in (WARM, COLD) if name in trained.found]
    before, found = trained.previous or {}, trained.found
    comparisons = {n: _compared(n, trained.base[n], found[n]) for n in names}
    beside = {POPULARITY: _compared(WARM, popular, found[WARM])}
    beside |= {PREVIOUS + n: _compared(n, before[n], found[n]) for n in before}
    verdict = judged(
        comparisons, beside=beside, concerns=_concerns(run, trained), notes=_notes(trained)
    )
    metrics = {
        **means(trained.found),
        **{f"base_{name}": value for name, value in means(trained.base).items()},
        **{PREVIOUS + name: value for name, value in means(before).items()},
        f"popularity_{WARM}": popularity,
        **{f"retention_{name}": value for name, value in trained.retention.items()},
        **{f"drift_{name}": value for name, value in trained.drift.items()},
    }
    card = _card(run, trained, metrics, verdict.title())
    path = None if run.folder is None else write_result(trained.encoder, card, run.folder)
    if run.folder is not None and not run.stopped and not isinstance(run.config.training, Adapter):
        Checkpoints.clear(run.folder)
    run.tell("end", trained.steps, trained.steps, metrics=metrics, message=verdict.title())
    return FineTuneResult(
        encoder=trained.encoder,
        verdict=verdict,
        metrics=metrics,
        comparisons=comparisons,
        beside=beside,
        history=tuple(run.history),
        card=card,
        path=path,
    )


def _concerns(run: Run, trained: Trained) -> tuple[str, ...]:
    concerns = []
    kept = trained.retention
    if "floor" in kept and kept["tuned"] < kept["floor"]:
        concerns.append(
            f"own-text retrieval falls from {kept['base']:.4f} to {kept['tuned']:.4f}, below the "
            f"floor of {kept['floor']:.4f}"
        )
    if "diverged" in run.stopped:
        concerns.append(run.stopped)
    return tuple(concerns)


def _notes(trained: Trained) -> tuple[str, ...]:
    """What a reader of the figures has to know."""
    notes = [
        f"{name} is that of the head before its refit, which has seen the hidden texts"
        for name in trained.before_refit
    ]
    kept = trained.retention
    if not kept:
        notes.append("general skill was not measured: too few texts have a beginning and a rest")
    elif "floor" not in kept:
        notes.append(
            f"own-text retrieval: {kept['base']:.4f} -> {kept['tuned']:.4f}, without a floor; "
            "retention=Retention() sets one"
        )
    return tuple(notes)


def _card(run: Run, trained: Trained, metrics: dict[str, float], verdict: str) -> dict[str, Any]:
    material = run.material
    return {
        "kind": "siamrec fine-tuning",
        "config": run.config.as_dict(),
        "config_hash": run.config.fingerprint(),
        "parent": run.encoder.fingerprint,
        "previous": None if run.previous is None else run.previous.fingerprint,
        "fingerprint": trained.encoder.fingerprint,
        "data": {
            "train": material.train.fingerprint(),
            "valid": material.valid.fingerprint(),
            "train_pairs": len(material.train),
            "valid_pairs": len(material.valid),
            "texts": len(material.texts),
        },
        "metrics": metrics,
        "measured_before_refit": list(trained.before_refit),
        "verdict": verdict,
        "history": run.history,
        "steps": trained.steps,
        "wise_ft": trained.share,
        "stopped": run.stopped,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str | None:
    """The version of a package; None where it is not installed as one."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
