"""Results and checkpoints on disk: written whole, and known again."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from siamrec.errors import InvalidParameterError, StorageError
from siamrec.models._writing import writing
from siamrec.models.encoders import AdapterEncoder, SentenceEncoder
from siamrec.models.training.card.readme import readme

if TYPE_CHECKING:
    import torch

    from siamrec.models.training.strategies.run import Run
    from siamrec.protocols import SiameseEncoder

CARD = "card.json"
README = "README.md"
MODEL = "model"
CHECKPOINTS = "checkpoints"
_IDENTITY = "identity.json"
_PROGRESS = "progress.json"
_BEST = "best"
_SUFFIX = ".safetensors"


def write_result(encoder: SiameseEncoder, card: Mapping[str, Any], folder: Path) -> Path:
    """Write encoder and card to `folder`; readers see the old model or the new one, never half.

    Raises:
        StorageError: If the folder cannot be written.
    """
    if not isinstance(encoder, AdapterEncoder | SentenceEncoder):
        raise InvalidParameterError("encoder", encoder, "one that can be saved")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            fresh = Path(temporary) / MODEL
            encoder.save(fresh)
            plain = _plain(card)
            (fresh / CARD).write_text(
                json.dumps(plain, indent=2, allow_nan=False), encoding="utf-8"
            )
            if "verdict" in plain:
                head = isinstance(encoder, AdapterEncoder)
                (fresh / README).write_text(readme(plain, head=head), encoding="utf-8")
            old = Path(temporary) / "old"
            if (folder / MODEL).exists():
                (folder / MODEL).replace(old)
            fresh.replace(folder / MODEL)
    return folder / MODEL


def _plain(value: Any) -> Any:
    """JSON has no NaN: what is not known becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@final
class Checkpoints:
    """The folder of one run's checkpoints, with what they belong to.

    Args:
        home: Folder of the checkpoints.
        identity: Hashes of settings, data and base.

    Raises:
        StorageError: If the folder holds checkpoints of another run or cannot be written.
    """

    def __init__(self, home: Path, identity: Mapping[str, str]) -> None:
        self.home = home
        with writing(home):
            home.mkdir(parents=True, exist_ok=True)
            marker = home / _IDENTITY
            if marker.exists():
                self._compare(json.loads(marker.read_text(encoding="utf-8")), identity)
            marker.write_text(json.dumps(identity, indent=2), encoding="utf-8")

    @classmethod
    def of(cls, run: Run) -> Checkpoints | None:
        """Return the checkpoints of a run; None when it has no folder."""
        if run.folder is None:
            return None
        identity = {
            "config": run.config.fingerprint(),
            "train": run.material.train.fingerprint(),
            "valid": run.material.valid.fingerprint(),
            "base": run.encoder.fingerprint,
            "previous": "" if run.previous is None else run.previous.fingerprint,
        }
        return cls(run.folder / CHECKPOINTS, identity)

    def _compare(self, found: Mapping[str, str], identity: Mapping[str, str]) -> None:
        changed = [name for name in identity if found.get(name) != identity[name]]
        if changed:
            raise StorageError(
                f"{self.home} holds checkpoints of another run: {', '.join(changed)} changed. "
                "Choose another folder, or delete this one to start anew."
            )

    def last(self) -> Path | None:
        """Return the newest complete checkpoint."""
        found = [path for path in self.home.glob("checkpoint-*") if path.is_dir()]
        whole = [path for path in found if (path / "trainer_state.json").exists()]
        return max(whole, key=_step_of, default=None)

    def progress(self) -> list[dict[str, float]]:
        """Return the evaluations up to the newest checkpoint."""
        path = self.home / _PROGRESS
        if not path.exists():
            return []
        history: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
        reached = self._reached()
        return [entry for entry in history if entry["step"] <= reached]

    def keep(
        self,
        history: list[dict[str, float]],
        best: Mapping[str, torch.Tensor] | None,
        *,
        step: int,
    ) -> None:
        """Store the evaluations so far, and the best weights when they are new.

        Weights that were best at the newest checkpoint stay until there is a newer one: a run
        that is cut off here goes on from that checkpoint.

        Args:
            history: All evaluations.
            best: Weights of `step` where they are the best so far.
            step: The step just evaluated.
        """
        from safetensors.torch import save_file

        with writing(self.home):
            if best is not None:
                temporary = self.home / f".{_BEST}{_SUFFIX}"
                save_file(dict(best), temporary)
                temporary.replace(self._best(step))
            temporary = self.home / f".{_PROGRESS}"
            temporary.write_text(json.dumps(history), encoding="utf-8")
            temporary.replace(self.home / _PROGRESS)
            self._tidy(history)

    def _tidy(self, history: list[dict[str, float]]) -> None:
        """Remove weights that are no longer best, were a run to go on from the last checkpoint.

        An evaluation out of turn, when a run was halted, is forgotten when it goes on.
        """
        reached = self._reached()
        stored = {_step_of(path) for path in self.home.glob(f"{_BEST}-*{_SUFFIX}")}
        past = {step for step in stored if step <= reached}
        keep = max(past & {int(entry["step"]) for entry in history}, default=0)
        for step in past - {keep}:
            self._best(step).unlink()

    def best(self, step: int) -> dict[str, torch.Tensor] | None:
        """Return the weights that were stored as the best ones at `step`."""
        from safetensors.torch import load_file

        path = self._best(step)
        return load_file(path) if path.exists() else None

    def _best(self, step: int) -> Path:
        return self.home / f"{_BEST}-{step}{_SUFFIX}"

    def _reached(self) -> int:
        last = self.last()
        return 0 if last is None else _step_of(last)

    @staticmethod
    def clear(folder: Path) -> None:
        """Remove the checkpoints in a run's folder; the run is finished."""
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _step_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
