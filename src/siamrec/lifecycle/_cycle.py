"""The steps of one cycle, each a function of the data, the settings and the steps before."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from siamrec._core.clock import ManualClock
from siamrec._core.installed import tell_plugins
from siamrec.bandits import HierarchicalBeta, Policy
from siamrec.data.liking import acted
from siamrec.errors import InvalidDataError, SiamrecError
from siamrec.lifecycle import _encoders, _evaluate, _host, _in_use, _parts, _placing, _serve, _tune
from siamrec.lifecycle._comparing import Served
from siamrec.lifecycle._in_use import InUse
from siamrec.lifecycle._journal import Journal, write_whole
from siamrec.lifecycle._report import render
from siamrec.lifecycle.events import LoopEvent
from siamrec.lifecycle.holdout import HeldOut, hold_out
from siamrec.lifecycle.placement import LIVE
from siamrec.lifecycle.registry import Lineage, ModelRegistry
from siamrec.lifecycle.release import loaded_release
from siamrec.lifecycle.traffic import Traffic, replay
from siamrec.models import CachedEncoder, SentenceEncoder
from siamrec.models.training import STRATEGIES
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec import protocols
    from siamrec.data import Catalog, Feedback
    from siamrec.feedback import RejectedRow
    from siamrec.lifecycle._host import HostArm
    from siamrec.lifecycle._settings import Parts, Settings
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.protocols import Bandit, SiameseEncoder
    from siamrec.storage import Activation, StoredVersion
    from siamrec.typing import FloatArray, IntArray

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
        events: File of the events, where they are those of a source that goes on.
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
        events: bytes = b"",
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
        self.journal = Journal(parts.out, key, parts.observers, events)
        url = parts.store or f"sqlite:///{parts.out / 'siamrec.db'}"
        own = Store(url, clock=parts.clock, schema=parts.schema) if isinstance(url, str) else url
        self.store: protocols.Store = own
        self._opened = own if isinstance(url, str) else None
        self._blobs = _parts.blobs_of(parts, own)
        self.registry = ModelRegistry(self.store, self._blobs, on_change=self._changed)
        self.ground = (
            _placing.ground_of(own, self._blobs, parts.clock, seed=settings.seed)
            if isinstance(own, Store)
            else None
        )
        self.feedback = acted(_host.once(feedback))
        self._repeated = len(feedback) - len(_host.once(feedback))
        self.store.feedback.write(feedback)
        self._write_rejected()
        self.base = CachedEncoder(parts.encoder, folder=parts.out / "vectors")
        self.not_loaded = ""
        """Why the encoder in use cannot be compared with."""

    # --- what steps share ---------------------------------------------------------------------

    @cached_property
    def split(self) -> HeldOut:
        """The held-out split."""
        return hold_out(
            self.feedback,
            self.catalog,
            rng=self.settings.rng("split"),
            salt=_placing.salt_of(self.settings.seed) if self.ground is None else self.ground.salt,
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
    def in_use(self) -> InUse:
        """What was in use before the run."""
        return InUse.from_config(self.journal.result("read")["in_use"])

    @cached_property
    def encoder_in_use(self) -> SiameseEncoder | None:
        """The encoder in use before the run, where it is another than the base."""
        version = self.in_use.encoder
        if version is None:
            return None
        try:
            known = {self._base_version.id: self.base}
            encoder = _encoders.loaded(version, self.registry, known=known)
        except SiamrecError as error:
            self.not_loaded = str(error)
            return None
        return None if encoder.fingerprint == self.base.fingerprint else encoder

    @cached_property
    def arms(self) -> dict[str, FittedRecommender | HostArm]:
        """The fitted arms by name; the host's own come on top of the default ones."""
        catalog = self.catalog.aligned(self.feedback.items)
        defaults = _parts.default_arms(
            self.settings.judging.positive, self.base, self.tuned, self.encoder_in_use
        )
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
            "in_use": InUse.of(
                self.ground, self.registry, said=self.settings.judging.serving
            ).to_config(),
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
            previous=self.encoder_in_use,
            warm_start=self.settings.judging.warm_start,
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
        """Measure every arm and what serves, and judge the tuned encoder by the one in use."""
        metric = self.settings.judging.metric
        found = _evaluate.measure(
            self.split,
            {**self._served(), **self.arms},
            self.parts.suite,
            metric,
            progress=lambda share: self._tell("arms", share),
        )
        tuning = _evaluate.encoders_judged(found, metric, not_loaded=self.not_loaded)
        return {"arms": found["arms"], "cold_arms": found["cold_arms"], "tuning": tuning}

    def _served(self) -> dict[str, Served]:
        """Return what serves now, to be measured beside the arms."""
        if self.ground is None or self.in_use.release is None:
            return {}
        try:
            release = loaded_release(self.in_use.release, self.registry)
        except SiamrecError:  # the training of the placement says so
            return {}
        return {"in_use": Served(self.ground.config(_in_use.PLACEMENT), release)}

    def register(self) -> dict[str, Any]:
        """Register base and tuned encoder with their lineage."""
        tuning = self.journal.result("arms")["tuning"]
        base = self._base_version
        card = self.journal.result("tune")["card"]
        tuned = self.registry.register(
            _encoders.NAME,
            self.parts.out / _TUNED,
            lineage=Lineage(
                data=self.journal.result("read")["hash"],
                parents=(base.id,),
                config=card.get("config", {}),
                seed=self.settings.seed,
                metrics={
                    name: tuning[name] for name in ("metric", "before", "after", "difference")
                },
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

        control = _serve.control_of(self.in_use, self.traffic, clock, seed=self.settings.seed)
        found = _serve.run_experiment(
            self.traffic, assigner, treated, control, named=self.in_use.control
        )
        tell_plugins("siamrec_experiment_decided", result=found)
        return found

    def activate(self) -> dict[str, Any]:
        """Activate the tuned encoder, or keep the one in use and say why."""
        ids = self.journal.result("register")
        previous = self.in_use.encoder
        if previous is None:
            self.registry.activate(LIVE, ids["base"], reason="first version")
            previous = ids["base"]
        reason = self.journal.result("arms")["tuning"]["reasons"][0]
        if self._ships():
            self.registry.activate(LIVE, ids["tuned"], reason=reason)
        return {
            "active": self.registry.active(LIVE),
            "previous": previous,
            "reason": reason if self._ships() else f"Kept: {reason}",
        }

    def place(self) -> dict[str, Any]:
        """Train the placement that serves what was improved; `siamrec.load` opens it."""
        if self.ground is None:
            return {"placement": None, "reason": "the store of a host keeps no placements"}
        active = self.journal.result("activate")["active"]
        at_hand = {
            self._base_version.id: self.base,
            self.journal.result("register")["tuned"]: self.tuned,
        }
        encoder = at_hand.get(active) or self.encoder_in_use or self.base
        return _placing.placed(
            self.ground,
            feedback=self.feedback,
            catalog=self.catalog,
            judging=self.settings.judging,
            own=self.parts.arms,
            encoder=(active, encoder),
            chooser=_placing.Chooser(
                control=self.in_use.arm,
                won=self.journal.result("experiment")["decision"] == "ship",
                policy=self.parts.bandit,
            ),
        )

    def _ships(self) -> bool:
        return bool(self.journal.result("arms")["tuning"]["verdict"] == "ship")

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
            return _serve.bandit_with(
                policy, self.traffic, arms=self.traffic.arms, seed=seed, clock=clock
            )
        return _host.new_bandit(given, self.traffic.arms, clock=clock, seed=seed)

    @cached_property
    def _base_version(self) -> StoredVersion:
        """The base as a version."""
        lineage = Lineage(packages=_parts.package_versions())
        return self.registry.register(
            _encoders.NAME, _parts.base_files(self.parts), lineage=lineage
        )

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


def _without_card(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "card"}
