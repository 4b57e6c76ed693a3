"""The improvement loop: feedback in, a better recommender out, with the evidence."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec._core.table import Shown, Table
from siamrec.data import Feedback
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    RejectedDataError,
)
from siamrec.feedback import FEEDBACK_SOURCES, FileFeedback
from siamrec.lifecycle import _begun, _host, _lines, _parts, _placing
from siamrec.lifecycle._cycle import Cycle
from siamrec.lifecycle._folder_lock import locked
from siamrec.lifecycle._journal import write_whole
from siamrec.lifecycle._settings import Parts, Settings
from siamrec.lifecycle.events import Observers
from siamrec.lifecycle.holdout import hold_out
from siamrec.lifecycle.judging import Host, Judging
from siamrec.lifecycle.report import CycleReport
from siamrec.models.training import STRATEGIES
from siamrec.simulation import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec import protocols
    from siamrec._core.book import Named
    from siamrec.bandits import Policy
    from siamrec.data import Catalog
    from siamrec.feedback import RejectedRow
    from siamrec.metrics.base import AnyMetric
    from siamrec.models.recommenders._book import Arms
    from siamrec.models.training import Strategy
    from siamrec.protocols import (
        BanditFactory,
        ExperimentAssigner,
        FeedbackSource,
        MetricSuite,
        PairGenerator,
        SiameseEncoder,
    )


@final
class ImprovementLoop(Shown):
    """Turns feedback into a better recommender, once, with evidence for every step.

    Reads feedback into the event log, splits it by user and time, tunes the text encoder, builds
    arms and measures them on held-out users (warm items, and cold items hidden from training),
    registers the encoders, replays later feedback as traffic for a bandit and for an A/B test,
    activates what won, trains the placement `"home"` that serves it, and writes `report.html` and
    `summary.json`.

    What is in use is the one to beat: the encoder in use decides about the tuned one, what the
    placement serves is measured beside the arms on the same held-out users, and the bandit is
    tested against whatever chooses there now. The held-out users are chosen by a hash for ever.

    A run that was interrupted goes on from its last finished step when it is called again with
    the same data, settings and folder. The same seed gives the same `summary.json`, times aside.

    A part is given as an object or by its registered name, with settings where there are any:
    `"ratings"`, `"ease:l2=300"`, `{"name": "ease", "l2": 300}`.

    Args:
        source: Events, or where to read them from; without it a simulated world is used.
        catalog: Items with texts; needed with feedback of your own.
        pairs: Makes training pairs.
        encoder: The text encoder to improve: an encoder or its name, a name of the hub, a path.
        strategy: `"adapter"` trains a head on cached vectors in seconds; `"full"` the whole
            encoder, `"top-layers"` its last layers, `"lora:rank=8"` a small change beside each
            matrix.
        arms: Further arms by name, or a list of names; one of a default name takes its place. An
            arm may be of a class of your own, see `siamrec.protocols.RecommenderRecipe`. What
            counts as a like, and `encoder`, are handed to arms given by name.
        bandit: Chooses among the arms: a policy or its name, or a function
            `(arms, *, clock, seed)` that makes a bandit over the arms. Replay and test each begin
            with a fresh one, so a bandit that was made already is refused.
        assigner: Splits users into `"control"` and `"bandit"`.
        suite: Measures the arms: a suite, or a list of metrics.
        judging: What is held out, and how what was learned is judged.
        store: Event log and versions: a store or a database URL; a file in `out` by default.
        host: Observers, blobs and a clock.
        out: Folder of the run.
        seed: Seed of everything that is drawn.

    Raises:
        siamrec.errors.InvalidParameterError: If a number is out of its range, or a part cannot do
            what will be asked of it; all that it lacks is named.
        siamrec.errors.UnknownNameError: If a part's name or setting is not known.
        siamrec.errors.MissingInputError: If feedback comes without a catalogue.
    """

    def __init__(
        self,
        *,
        source: Feedback | FeedbackSource | Named | None = None,
        catalog: Catalog | None = None,
        pairs: PairGenerator | Named | None = None,
        encoder: SiameseEncoder | Named | Path | None = None,
        strategy: Strategy | Named = "adapter",
        arms: Arms | Mapping[str, protocols.RecommenderRecipe] | None = None,
        bandit: BanditFactory | Policy[Any] | Named | None = None,
        assigner: ExperimentAssigner | None = None,
        suite: MetricSuite | Sequence[AnyMetric | Named] | None = None,
        judging: Judging | None = None,
        store: protocols.Store | str | None = None,
        host: Host | None = None,
        out: str | Path = "runs/first",
        seed: int = 7,
    ) -> None:
        terms = check.kind("judging", Judging() if judging is None else judging, Judging)
        around = check.kind("host", Host() if host is None else host, Host)
        _host.require(
            catalog=catalog,
            assigner=assigner,
            store=store,
            blobs=around.blobs,
            clock=around.clock,
            observers=around.observers,
        )
        if catalog is None and source is not None:
            raise MissingInputError("catalog", "ImprovementLoop(catalog=…), items with texts")
        if around.schema is not None and not isinstance(store, str):
            raise InvalidParameterError("schema", around.schema, "given with the URL of a server")
        self._source: Feedback | FeedbackSource | None = (
            source
            if source is None or isinstance(source, Feedback)
            else FEEDBACK_SOURCES.make(source)
        )
        self._catalog = catalog
        self._settings = Settings(seed=seed, strategy=STRATEGIES.make(strategy), judging=terms)
        chosen = _parts.encoder_of(encoder)
        recipes = _host.recipes_of(arms or {}, positive=terms.positive, encoder=chosen)
        names = tuple({**_parts.default_arms(terms.positive, chosen, chosen), **recipes})
        if terms.serving is not None and terms.serving not in names:
            raise InvalidParameterError(
                "serving", terms.serving, f"one of the arms {', '.join(names)}"
            )
        self._parts = Parts(
            pairs=_parts.pairs_of(pairs, terms.positive),
            encoder=chosen,
            suite=_parts.suite_of(suite),
            arms=recipes,
            bandit=_host.bandit_of(bandit, names, seed),
            assigner=assigner,
            store=store,
            schema=around.schema,
            blobs=around.blobs,
            clock=clock_or_system(around.clock),
            observers=Observers(around.observers),
            out=Path(out),
        )
        self._parts.require_metric(terms.metric)

    @override
    def title(self) -> str:
        return f"Improvement loop in {self._parts.out}, seed {self._settings.seed}"

    @override
    def table(self) -> Table:
        """Return its settings and the parts that it is made of."""
        settings, arms = self._settings.as_dict(), list(self._parts.arms)
        return Table.of(self.title(), {"out": self._parts.out, **settings, "arms": arms})

    def run(self) -> CycleReport:
        """Run every step that is not done yet and return the report.

        Raises:
            siamrec.errors.InvalidDataError: If the data cannot carry a cycle; nothing is written.
            siamrec.errors.RejectedDataError: If too many rows are bad; nothing is written.
            siamrec.errors.ModelLoadError: If the encoder cannot be loaded; nothing is written.
            siamrec.errors.StorageError: If folder or database cannot be written, or another run
                is at work in the folder.
        """
        admitted = self._admitted()
        with locked(self._parts.out):
            return self._run(admitted())

    def _run(self, cycle: Cycle) -> CycleReport:
        journal = cycle.journal
        try:
            journal.run("read", cycle.read, _lines.read)
            journal.run("split", cycle.split_summary, _lines.split)
            journal.run("tune", cycle.tune, _lines.tune)
            journal.run("arms", cycle.measure, _lines.arms)
            journal.run("register", cycle.register, _lines.register)
            journal.run("bandit", cycle.serve, _lines.bandit)
            journal.run("experiment", cycle.test, _lines.experiment)
            journal.run("activate", cycle.activate, _lines.activate)
            journal.run("place", cycle.place, _lines.place)
            summary = cycle.summary()
            journal.run("report", lambda: cycle.write(summary), _lines.report)
        finally:
            cycle.close()
        summary["seconds"] = journal.seconds
        text = json.dumps(summary, indent=2, allow_nan=False)
        write_whole(self._parts.out / "summary.json", text + "\n")
        return CycleReport(self._parts.out, summary)

    def _admitted(self) -> Callable[[], Cycle]:
        """Meet everything that can be wrong before the first file is written."""
        feedback, catalog, rejected, simulated = self._material()
        events = b""
        if self._goes_on:
            feedback, events = _begun.told(_begun.begun_with(self._parts.out, feedback))
        if not len(feedback):
            raise InvalidDataError("There is no feedback: no row was read.")
        settings, judging = self._settings, self._settings.judging
        hold_out(
            feedback,
            catalog,
            rng=settings.rng("split"),
            salt=_placing.salt_of(settings.seed),
            share=judging.holdout,
            cold_share=judging.cold_share,
            positive=judging.positive,
        )
        _ = self._parts.encoder.dim  # loads the model, or says how to get it
        return partial(
            Cycle,
            settings,
            self._parts,
            feedback=feedback,
            catalog=catalog,
            rejected=rejected,
            simulated=simulated,
            events=events,
        )

    @property
    def _goes_on(self) -> bool:
        """Whether the source may have more when it is read again, as a log does."""
        return self._source is not None and not isinstance(self._source, Feedback | FileFeedback)

    def _material(self) -> tuple[Feedback, Catalog, Sequence[RejectedRow], bool]:
        if self._catalog is None:
            world = World(n_users=2500, n_items=800).simulate(self._settings.rng("world"))
            return world.feedback, world.catalog, (), True
        if isinstance(self._source, Feedback):
            return self._source, self._catalog, (), False
        if isinstance(self._source, FileFeedback):
            loaded = self._source.load()
            self._require_good(len(loaded.feedback), loaded.rejected)
            return loaded.feedback, self._catalog, loaded.rejected, False
        assert self._source is not None
        return Feedback.concat(self._source.read()), self._catalog, (), False

    def _require_good(self, n_good: int, rejected: Sequence[RejectedRow]) -> None:
        total = n_good + len(rejected)
        share, limit = len(rejected) / max(total, 1), self._settings.judging.max_rejected
        if share > limit:
            first = rejected[0]
            raise RejectedDataError(
                f"{len(rejected)} of {total} rows are bad ({share:.1%}), more than the "
                f"{limit:.1%} that are put up with; the first is row {first.row}: {first.reason}. "
                "Mend the file, or raise --max-rejected (Judging(max_rejected=…) from Python)."
            )
