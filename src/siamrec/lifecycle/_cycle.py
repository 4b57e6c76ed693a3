"""The steps of one cycle, each a function of the data, the settings and the steps before."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core.clock import ManualClock
from siamrec._core.installed import tell_plugins
from siamrec.bandits import HierarchicalBeta, Policy
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.lifecycle import _evaluate, _host, _parts, _placing, _serve, _tune
from siamrec.lifecycle._journal import Journal, write_whole
from siamrec.lifecycle._report import render
from siamrec.lifecycle.events import LoopEvent
from siamrec.lifecycle.holdout import HeldOut, hold_out
from siamrec.lifecycle.registry import Lineage, ModelRegistry
from siamrec.lifecycle.traffic import Traffic, replay
from siamrec.models import CachedEncoder, SentenceEncoder
from siamrec.models.encoders import ENCODERS
from siamrec.models.training import STRATEGIES
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec import protocols
    from siamrec.data import Catalog, Feedback
    from siamrec.feedback import RejectedRow
    from siamrec.lifecycle._host import HostArm
    from siamrec.lifecycle._settings import Parts, Settings
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.protocols import Bandit, SiameseEncoder
    from siamrec.storage import Activation
    from siamrec.typing import FloatArray, IntArray

ENCODER, SERVING = "encoder", "serving"
_TUNED = "encoder"


@final
class Cycle:
    """One run: what its steps share, and the steps in their order.

    Args:
        settings: Numbers and names.
        parts: What the host handed in.
        feedback: Good events, as they were read.
        catalog: Items with texts.
        rejected: Bad rows.
        simulated: Whether the data is made up.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        feedback: Feedback,
        catalog: Catalog,
        rejected: Sequence[RejectedRow],
        simulated: bool,
    ) -> None:
        self.settings, self.parts = settings, parts
        self.catalog, self.rejected, self.simulated = catalog, tuple(rejected), simulated
        key = {
            "data": feedback.fingerprint(),
            "catalogue": catalog.fingerprint(),
            "encoder": parts.encoder.fingerprint,
            "settings": settings.as_dict(),
            "arms": {name: _host.told(recipe) for name, recipe in parts.arms.items()},
            **({} if parts.bandit is None else {"bandit": _host.told(parts.bandit)}),
        }
        self.journal = Journal(parts.out, key, parts.observers)
        url = parts.store or f"sqlite:///{parts.out / 'siamrec.db'}"
        own = Store(url, clock=parts.clock) if isinstance(url, str) else url
        self.store: protocols.Store = own
        self._opened = own if isinstance(url, str) else None
        self._blobs = parts.blobs or FolderBlobs(parts.out / "registry")
        self.registry = ModelRegistry(
            self.store,
            self._blobs,
            on_change=self._changed,
        )
        self._repeated = _repeats(feedback)
        self.store.feedback.write(feedback)
        self._write_rejected()
        self.feedback = self.store.feedback.read_all()
        self.base = CachedEncoder(parts.encoder, folder=parts.out / "vectors")

    # --- what steps share ---------------------------------------------------------------------

    @cached_property
    def split(self) -> HeldOut:
        """The held-out split."""
        return hold_out(
            self.feedback,
            self.catalog,
            rng=self.settings.rng("split"),
            share=self.settings.judging.holdout,
            cold_share=self.settings.judging.cold_share,
            positive=self.settings.judging.positive,
        )

    @cached_property
    def tuned(self) -> SiameseEncoder:
        """The tuned encoder, as the tuning step saved it."""
        encoder = _tune.load_encoder(self.parts.out / _TUNED, self.base)
        if isinstance(encoder, SentenceEncoder):
            return CachedEncoder(encoder, folder=self.parts.out / "vectors")
        return encoder

    @cached_property
    def arms(self) -> dict[str, FittedRecommender | HostArm]:
        """The fitted arms by name; the host's own come on top of the default ones."""
        catalog = self.catalog.aligned(self.feedback.items)
        defaults = _parts.default_arms(self.settings.judging.positive, self.base, self.tuned)
        recipes = {**defaults, **self.parts.arms}
        return _host.fitted(recipes, self.split.train, catalog)

    @cached_property
    def traffic(self) -> Traffic:
        """The held-out users' later feedback as visits."""
        found = replay(
            self.split,
            self.arms,
            k=self.settings.judging.k,
            progress=lambda share: self._tell("bandit", share / 2),
        )
        if not len(found):
            raise InvalidDataError("The held-out users never come back: there is no traffic.")
        return found

    @property
    def serving(self) -> str:
        """The arm that serves today: as given, as registered, or popularity."""
        if self.settings.judging.serving is not None:
            return self.settings.judging.serving
        active = self.registry.active(SERVING)
        if active is not None:
            arm = self.registry.get(active).manifest["lineage"]["config"].get("arm")
            if arm in self.arms:
                return str(arm)
        return "popularity"

    # --- the steps ----------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Say what was read; the event log has it already."""
        texts = self.catalog.aligned(self.feedback.items).has_text
        reasons: dict[str, int] = {}
        for row in self.rejected:
            kind = row.reason.split(":")[0]
            reasons[kind] = reasons.get(kind, 0) + 1
        return {
            "users": len(self.feedback.users),
            "items": len(self.feedback.items),
            "events": len(self.feedback),
            "rejected": len(self.rejected),
            "rejected_reasons": reasons,
            "duplicates": self._repeated,
            "items_without_text": int((~texts).sum()),
            "hash": self.feedback.fingerprint(),
            "simulated": self.simulated,
        }

    def split_summary(self) -> dict[str, Any]:
        """Say how the data was parted."""
        split = self.split
        return {
            "by": "time" if split.by_time else "chance",
            "train_users": len(split.train.users),
            "train_events": len(split.train),
            "held_out_users": len(split.profile.users),
            "warm_items": len(split.warm),
            "cold_items": len(split.cold),
            "later_events": len(split.later),
        }

    def tune(self) -> dict[str, Any]:
        """Encode the items, train on pairs, and save the tuned encoder."""
        aligned = self.catalog.aligned(self.feedback.items)
        texts = [text for text in aligned.text if text is not None]
        _tune.read_texts(self.base, texts, progress=lambda s: self._tell("tune", 0.7 * s))
        result, counts = _tune.fine_tune(
            self.base,
            self.split,
            self.catalog,
            generator=self.parts.pairs,
            strategy=self.settings.strategy,
            seed=self.settings.seed,
            rng=self.settings.rng("pairs"),
            progress=lambda s: self._tell("tune", 0.7 + 0.3 * s),
        )
        folder = self.parts.out / _TUNED
        draft = folder.with_name(".encoder.draft")
        shutil.rmtree(draft, ignore_errors=True)
        _tune.save_encoder(result.encoder, draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        return {
            "strategy": STRATEGIES.name_of(self.settings.strategy),
            **counts,
            "texts": len(texts),
            "validation": {name: float(value) for name, value in result.metrics.items()},
            "validation_verdict": "ship" if result.verdict.ship else "do not ship",
            "card": dict(result.card),
        }

    def measure(self) -> dict[str, Any]:
        """Measure every arm and judge the tuned encoder."""
        metric = self.settings.judging.metric
        found = _evaluate.measure(
            self.split,
            self.arms,
            self.parts.suite,
            metric,
            progress=lambda share: self._tell("arms", share),
        )
        names = (_parts.TEXT_BASE, _parts.TEXT_TUNED)
        warm = _evaluate.paired(*(found["users"].get(name, []) for name in names))
        cold = _evaluate.paired(*(found["cold_users"].get(name, []) for name in names))
        ship, reasons = _evaluate.judged(metric, warm, cold)
        tuning = {
            "metric": metric,
            **warm,
            "cold": cold,
            "verdict": "ship" if ship else "do not ship",
            "reasons": reasons,
        }
        return {"arms": found["arms"], "cold_arms": found["cold_arms"], "tuning": tuning}

    def register(self) -> dict[str, Any]:
        """Register base and tuned encoder with their lineage."""
        tuning = self.journal.result("arms")["tuning"]
        base = self.registry.register(
            ENCODER,
            self._base_files(),
            lineage=Lineage(packages=_parts.package_versions()),
        )
        card = self.journal.result("tune")["card"]
        tuned = self.registry.register(
            ENCODER,
            self.parts.out / _TUNED,
            lineage=Lineage(
                data=self.journal.result("read")["hash"],
                parents=(base.id,),
                config=card.get("config", {}),
                seed=self.settings.seed,
                metrics={name: tuning[name] for name in ("metric", "base", "tuned", "difference")},
                packages=_parts.package_versions(),
            ),
        )
        tell_plugins("siamrec_model_trained", version=tuned.id, result=tuning)
        return {"base": base.id, "tuned": tuned.id}

    def serve(self) -> dict[str, Any]:
        """Replay the traffic under the bandit, and log its decisions."""
        clock = ManualClock()
        bandit = self._new_bandit(clock)
        every = _serve.every_visit(self.traffic)
        decisions, rewards = _serve.run_bandit(
            bandit,
            self.traffic,
            clock,
            rows=every,
            progress=lambda share: self._tell("bandit", 0.5 + share / 2),
        )
        self.store.decisions.write(decisions, _serve.as_rewards(decisions, rewards))
        return _serve.bandit_summary(self.traffic, decisions, rewards)

    def test(self) -> dict[str, Any]:
        """Test the bandit against the arm serving today."""
        clock = ManualClock()
        bandit = self._new_bandit(clock)
        assigner = self.parts.assigner or _serve.default_assigner(
            self.settings.seed, self.parts.clock
        )

        def treated(rows: IntArray) -> FloatArray:
            _, rewards = _serve.run_bandit(
                bandit,
                self.traffic,
                clock,
                rows=rows,
                progress=lambda share: self._tell("experiment", share),
            )
            return rewards

        found = _serve.run_experiment(self.traffic, assigner, treated, control=self.serving)
        tell_plugins("siamrec_experiment_decided", result=found)
        return found

    def activate(self) -> dict[str, Any]:
        """Activate what won, or keep what serves and say why."""
        ids = self.journal.result("register")
        tuning = self.journal.result("arms")["tuning"]
        experiment = self.journal.result("experiment")
        previous = self.registry.active(ENCODER)
        if previous is None:
            self.registry.activate(ENCODER, ids["base"], reason="first version")
            previous = ids["base"]
        ship = self._ships()
        reason = tuning["reasons"][0]
        if ship:
            self.registry.activate(ENCODER, ids["tuned"], reason=reason)
        serving = self._activate_serving(experiment)
        return {
            "active": self.registry.active(ENCODER),
            "previous": previous,
            "reason": reason if ship else f"Kept: {reason}",
            "serving": serving,
        }

    def place(self) -> dict[str, Any]:
        """Keep what was improved as a placement that serves; `siamrec.load` opens it."""
        if not isinstance(self.store, Store):
            return {"placement": None, "reason": "the store of a host keeps no placements"}
        version = self.journal.result("register")["tuned" if self._ships() else "base"]
        encoder = self.tuned if self._ships() else self.base
        ground = _placing.ground_of(
            self.store, self._blobs, self.parts.clock, seed=self.settings.seed
        )
        return _placing.placed(
            ground,
            feedback=self.feedback,
            catalog=self.catalog,
            judging=self.settings.judging,
            own=self.parts.arms,
            encoder=(version, encoder),
        )

    def _ships(self) -> bool:
        return bool(self.journal.result("arms")["tuning"]["verdict"] == "ship")

    def _activate_serving(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        control = str(experiment["control"])
        if self.registry.active(SERVING) is None:
            version = self._policy({"arm": control})
            self.registry.activate(SERVING, version, reason="first version")
        before = self.registry.active(SERVING)
        if experiment["decision"] == "ship":
            policy = self._policy({"arm": "bandit", "arms": list(self.traffic.arms)})
            self.registry.activate(SERVING, policy, reason=experiment["reasons"][0])
        winner = "bandit" if experiment["decision"] == "ship" else control
        return {"active": self.registry.active(SERVING), "previous": before, "winner": winner}

    def _policy(self, config: dict[str, Any]) -> str:
        body = json.dumps(config, sort_keys=True).encode()
        lineage = Lineage(config=config, seed=self.settings.seed)
        return self.registry.register(SERVING, {"policy.json": body}, lineage=lineage).id

    def summary(self) -> dict[str, Any]:
        """Return every number of the run."""
        result = self.journal.result
        return {
            "data": result("read"),
            "split": result("split"),
            "arms": result("arms")["arms"],
            "cold_arms": result("arms")["cold_arms"],
            "tuning": {**result("arms")["tuning"], "training": _without_card(result("tune"))},
            "bandit": result("bandit"),
            "experiment": result("experiment"),
            "registry": {**result("activate"), "versions": result("register")},
            "placement": result("place"),
            "seed": self.settings.seed,
            "settings": self.settings.as_dict(),
            "versions": _parts.package_versions(),
        }

    def write(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Write `report.html`."""
        path = self.parts.out / "report.html"
        write_whole(path, render(summary))
        return {"html": path.name}

    def close(self) -> None:
        """Close what the cycle opened."""
        if isinstance(self._opened, Store):
            self._opened.close()

    # --- helpers ------------------------------------------------------------------------------

    def _new_bandit(self, clock: ManualClock) -> Bandit:
        given, seed = self.parts.bandit, self.settings.seed
        if given is None or isinstance(given, Policy):
            policy = HierarchicalBeta() if given is None else given
            return _serve.bandit_with(policy, self.traffic, seed=seed, clock=clock)
        return _host.new_bandit(given, self.traffic.arms, clock=clock, seed=seed)

    def _base_files(self) -> dict[str, bytes] | Any:
        """A saved copy of the base where it can be saved, else its name and fingerprint."""
        encoder = self.parts.encoder
        if isinstance(encoder, SentenceEncoder):
            folder = self.parts.out / "base"
            encoder.save(folder)
            return folder
        about: dict[str, Any]
        try:
            about = ENCODERS.to_config(encoder)
        except InvalidParameterError:  # an encoder of the host's own, which is made anew there
            about = {"kind": type(encoder).__name__, "fingerprint": encoder.fingerprint}
        return {"encoder.json": json.dumps(about, sort_keys=True).encode()}

    def _write_rejected(self) -> None:
        if not self.rejected:
            return
        lines = [
            json.dumps({"row": row.row, "reason": row.reason, "data": dict(row.data)})
            for row in self.rejected
        ]
        write_whole(self.parts.out / "rejected.jsonl", "\n".join(lines) + "\n")

    def _changed(self, change: Activation) -> None:
        """Pass a change of an alias on to the observers."""
        self.parts.observers.tell(
            LoopEvent(
                kind="activated",
                step="activate",
                message=f"{change.alias}: {change.reason}",
                result=asdict(change),
            )
        )

    def _tell(self, step: str, done: float) -> None:
        self.parts.observers.tell(LoopEvent(kind="progress", step=step, done=done))


def _repeats(feedback: Feedback) -> int:
    """Return how many rows say again what another row says; the log stores them once."""
    columns = ("user", "item", "kind", "value", "weight")
    table = np.column_stack([getattr(feedback, name).astype(np.float64) for name in columns])
    _, row = np.unique(table, axis=0, return_inverse=True)
    pair = np.column_stack([row.reshape(-1), feedback.time])  # times do not fit a float
    return len(feedback) - int(np.unique(pair, axis=0).shape[0])


def _without_card(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "card"}
