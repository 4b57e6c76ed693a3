"""A workspace: all that belongs to one application, opened by any number of processes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import clock_or_system, duration
from siamrec._core.table import Table
from siamrec.errors import InvalidParameterError, MissingInputError, SiamrecError
from siamrec.experiments import Mean, Plan, analyze
from siamrec.experiments.analysis import Check
from siamrec.lifecycle import _encoders
from siamrec.lifecycle._facts import told_due
from siamrec.lifecycle._ground import Ground, blobs_of
from siamrec.lifecycle._server import Servers
from siamrec.lifecycle._settlement import settled
from siamrec.lifecycle.catalog import WorkspaceCatalog
from siamrec.lifecycle.comments import Comments
from siamrec.lifecycle.feedback import WorkspaceFeedback
from siamrec.lifecycle.jobs import Jobs
from siamrec.lifecycle.live import LivePlacement
from siamrec.lifecycle.measuring import (
    Measured,
    events_of,
    measured,
    outcomes_of,
)
from siamrec.lifecycle.placement import LIVE, Placement
from siamrec.lifecycle.release import loaded_release
from siamrec.lifecycle.tracking import Tracker
from siamrec.lifecycle.training import Trained, TrainingData, train, train_variants
from siamrec.lifecycle.unattended import Unattended
from siamrec.lifecycle.what_if import what_if
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from sqlalchemy import Engine

    from siamrec._core.book import Named
    from siamrec.bandits import Policy
    from siamrec.bandits.ope import Evaluation
    from siamrec.experiments import ExperimentReport
    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.metrics.online import Events
    from siamrec.protocols import BlobStore, Clock, SiameseEncoder
    from siamrec.storage import Activation, DiaryEntry, StoredVersion, Verification
    from siamrec.typing import Id, Instant

_PORTION = 500


@final
class Workspace(Unattended):
    """Event log, catalogue, versions, placements and what was served, in one database.

    Opening it needs nothing but the URL. Threads and processes may share it; each process opens
    its own.

    Args:
        url: A SQLAlchemy URL such as `"sqlite:///app.db"` or
            `"postgresql+psycopg://user@host/name"`, or an engine that the host has already.
        blobs: Folder (or store) of the files of versions; beside a SQLite file when absent.
        encoder: The text encoder that `"encoder@live"` means until another takes its place: an
            encoder or its name, a name of the hub, a path.
        clock: Time of what is logged; the system's when absent.
        salt: Ground of every draw, and of who tests; drawn when the workspace is made, if absent.
        schema: Schema of PostgreSQL for the tables, as of `Store`.

    Raises:
        siamrec.errors.InvalidParameterError: If the URL cannot be read.
        siamrec.errors.StorageError: If the database cannot be opened or is of a newer version.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from siamrec.data import Feedback
        >>> from siamrec.lifecycle import Placement
        >>> ws = Workspace(f"sqlite:///{mkdtemp()}/app.db", salt="example")
        >>> likes = Feedback.of(user=["a", "a", "b"], item=["x", "y", "x"], kind="click", time=9)
        >>> ws.feedback.write(likes).accepted
        3
        >>> home = ws.place(Placement(name="home", arms={"top": "popularity"}, k=2))
        >>> ws.train("home").verdict
        'promoted'
        >>> home.recommend("b").items
        ('y',)
        >>> ws.close()
    """

    def __init__(
        self,
        url: str | Engine,
        *,
        blobs: BlobStore | str | Path | None = None,
        encoder: SiameseEncoder | Named | Path | None = None,
        clock: Clock | None = None,
        salt: str | None = None,
        schema: str | None = None,
    ) -> None:
        self.store = Store(url, clock=clock, schema=schema)
        files = blobs_of(blobs, self.store)
        self._ground = Ground(
            self.store, files, clock_or_system(clock), encoder=encoder, salt=salt
        )
        self._servers = Servers(self._ground)
        self.feedback = WorkspaceFeedback(self._ground)
        self.catalog = WorkspaceCatalog(self._ground)
        self.comments = Comments(self._ground)
        self.jobs = Jobs(self._ground)
        self.tracker = Tracker(
            self._ground, lambda version: loaded_release(version, self.registry)
        )

    @override
    def title(self) -> str:
        return f"Workspace at {self.store.url}"

    @override
    def table(self) -> Table:
        """Return one row for each placement."""
        rows: list[tuple[Any, ...]] = []
        for name in self.placements():
            try:
                config = self._ground.config(name)
            except SiamrecError as error:  # of a plugin that is gone, or of a newer release
                rows.append((name, None, f"cannot be read: {error}", None, None))
                continue
            active = self.store.versions.active(config.alias)
            serves, due = active and active[:12], told_due(self._ground, config)
            rows.append((name, len(config.arms), config.mode, serves, due))
        head = ("placement", "arms", "mode", "release", "retraining")
        return Table(head=head, rows=tuple(rows), title=self.title())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what this workspace opened; a host's engine is left alone.

        What is asked of it, and of its placements, from then on is refused.
        """
        self.store.close()

    # --- placements ----------------------------------------------------------------------------

    def place(self, placement: Placement, *, expect: int | None = None) -> LivePlacement:
        """Keep a placement under its name and return it in use; every process takes it over.

        An experiment that runs there and the switch of the bandit stay as they are, so that a
        host may place at every start: `LivePlacement.end_test` and `switch` change them.

        Args:
            placement: The placement.
            expect: Revision that must be the newest until now; any when absent.

        Raises:
            siamrec.errors.StaleWriteError: If another revision is the newest.
        """
        check.kind("placement", placement, Placement)
        if placement.name in self.placements():
            kept = self._ground.config(placement.name)
            kept_on = {"experiment": kept.experiment, "variants": kept.variants, "mode": kept.mode}
            placement = replace(placement, **kept_on)  # type: ignore[arg-type]  # fields of it
        self._ground.keep(placement, expect=expect)
        return self.placement(placement.name)

    def placement(self, name: str) -> LivePlacement:
        """Return a placement in use.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that name.
        """
        return LivePlacement(self._ground, self._servers.of(name))

    def placements(self) -> list[str]:
        """Return the names of the placements, sorted."""
        return self._ground.placements()

    # --- training and versions -----------------------------------------------------------------

    @property
    def registry(self) -> ModelRegistry:
        """Versions of encoders, arms and releases.

        Raises:
            siamrec.errors.MissingInputError: If it is not known where their files are.
        """
        return self._ground.registry

    def train(self, placement: str) -> Trained:
        """Fit the arms of a placement, measure them beside what serves, and promote on evidence.

        A fifth of the users, chosen by a hash for ever, train no version: on them the candidate
        is compared with what serves and with popularity. What is read is one state of the log,
        which the diary names first; every training is a row of it.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such placement, or no encoder of an
                arm.
            siamrec.errors.InvalidDataError: If the log is empty, or an arm cannot learn from it.
        """
        config = self._ground.config(placement)
        data = TrainingData.of(self._ground)
        trained = train(self._ground, config, data=data)
        train_variants(
            config,
            trained,
            lambda each, always: train(self._ground, each, data=data, always=always),
        )
        return trained

    def activate(self, placement: str, version: str, *, reason: str) -> Activation | None:
        """Let a registered release serve; one that was waiting for approval, for example."""
        config = self._ground.config(placement)
        name = self.registry.get(version).name
        if name != config.alias:
            raise InvalidParameterError(
                "version", version, f"a release of {placement}, not {name}"
            )
        change = self.registry.activate(config.alias, version, reason=reason)
        self.store.diary.write(placement, "promoted", {"release": version, "reason": reason})
        return change

    def rollback(self, placement: str, *, reason: str) -> Activation:
        """Return to the release that served before; every process does so at its next request.

        Raises:
            siamrec.errors.InvalidDataError: If there is none.
        """
        config = self._ground.config(placement)
        change = self.registry.rollback(config.alias, reason=reason)
        told = {"release": change.version, "reason": reason}
        self.store.diary.write(placement, "rolled_back", told)
        return change

    def active(self, placement: str) -> str | None:
        """Return the release that serves; None before the first."""
        return self.store.versions.active(self._ground.config(placement).alias)

    def user(self, user: Id | None) -> str | int | None:
        """Return a person's id as the workspace knows it.

        Raises:
            siamrec.errors.InvalidParameterError: If it is of another kind than the others.
        """
        return self._ground.user(user)

    def versions(self, placement: str) -> list[StoredVersion]:
        """Return the releases of a placement, oldest first."""
        return self.registry.versions(self._ground.config(placement).alias)

    def diary(self, placement: str) -> list[DiaryEntry]:
        """Return every training and change of a placement, oldest first."""
        self._ground.config(placement)
        return self.store.diary.read(placement)

    def keep_encoder(self, encoder: SiameseEncoder, *, alias: str = LIVE) -> StoredVersion:
        """Register an encoder and let an alias such as `"encoder@candidate"` name it.

        Raises:
            siamrec.errors.InvalidParameterError: If it cannot be written down.
        """
        version = _encoders.registered(encoder, self.registry)
        self.registry.activate(check.text("alias", alias), version.id, reason="kept by the host")
        return version

    # --- what came of it -----------------------------------------------------------------------

    def settle(self, placement: str | None = None, *, n: int = _PORTION) -> int:
        """Let the bandits learn from lists whose windows are over; return how many lists.

        What was settled before and has changed since (a late click, a late *seen*) is corrected.

        Args:
            placement: Whose lists; of all placements when absent.
            n: Most lists of one placement.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such placement, or one of them has a
                part that is not known here; the others are settled before.
        """
        check.count("n", n)
        done, unread = 0, None
        for name in self.placements() if placement is None else [placement]:
            try:
                config = self._ground.config(name)
            except SiamrecError as error:
                unread = unread or error
                continue
            done += settled(self._ground, config, n=n)
        if unread is not None:
            raise unread
        return done

    def events(
        self,
        *,
        placement: str | None = None,
        since: str | timedelta | float | None = None,
    ) -> Events:
        """Return what was seen of lists and done on them, for `siamrec.metrics.online`.

        Columns beside user, item, kind, time, value, impression and position: `arm`, `model`
        (its version), `confidence`, `placement`, `experiment`, `variant`, `allocation` (version
        of the shares of variants), `version` (the release), `day`, `list`, and each factor of the
        context as `context.segment`, and so on. A list that nobody has seen is not part of it.

        Args:
            placement: Whose lists; of all placements when absent.
            since: How far back to look, such as `"7d"`; everything when absent.
        """
        self._known(placement)
        return events_of(self._ground, placement, self._since(since), None)[0]

    def measure(
        self,
        metrics: Sequence[str],
        *,
        by: Sequence[str] = (),
        placement: str | None = None,
        since: str | timedelta | float | None = None,
    ) -> Measured:
        """Return metrics of what was seen, whole or by slice.

        Args:
            metrics: Metrics of events such as `"ctr"`, `"thumbs_ratio"`, `"revenue"`, and of
                lists as `siamrec.metrics.Suite` knows them, such as `"coverage"`, `"gini"`,
                `"long_tail_share"`, `"ild"` (of the longest list, or `"gini@10"`). And, of all
                lists that were served, `"starved_share"` (too few items were left, see
                `Recommendation.too_few`) and `"fallback_share"` (the fallback filled places).
            by: Columns of `events` to slice by, such as `("arm", "variant", "day")`; and groups
                of items: `"item.popularity"` (head or tail, as in `long_tail_share`) or `item.`
                and an attribute of the catalogue. An item of several genres counts in each.
            placement: Whose lists; of all placements when absent.
            since: How far back to look, such as `"7d"`; everything when absent.

        Raises:
            siamrec.errors.UnknownNameError: If a metric or a column is not known.
        """
        self._known(placement)
        return measured(
            self._ground,
            metrics,
            by=by,
            placement=placement,
            since=self._since(since),
            until=None,
            release=lambda version: loaded_release(version, self.registry),
            age=lambda version: self.store.versions.get(version).created,
        )

    def what_if(
        self,
        policy: Policy[Any] | Named | Mapping[str, float],
        *,
        placement: str | None = None,
        since: str | timedelta | float | None = None,
    ) -> Evaluation:
        """Return what another policy would have earned on the lists that were seen.

        Off-policy estimates of the reward of the first arm of a list, from the logged
        propensities; withheld where the log does not support them. Lists count when their window
        is over; one whose first arm had nothing to show earned nothing. Where a placement blends
        by weights, they are of the reward of whole lists, the mean over their seen items, were
        their arms drawn by other weights.

        Args:
            policy: Weights of the arms, such as `{"svd": 1.0}`; or a policy, which learns from
                the earlier half of the lists and is judged on the later one.
            placement: Whose lists; not needed where there is one placement.
            since: How far back to look, such as `"7d"`; everything when absent.

        Raises:
            siamrec.errors.InvalidDataError: If no seen list with a decision is in the log.
            siamrec.errors.MissingInputError: If there are several placements and none is named.
            siamrec.errors.UnknownNameError: If an arm or a policy is not known.
        """
        names = self.placements()
        if placement is None and len(names) != 1:
            raise MissingInputError("placement", f"placement=..., one of {', '.join(names)}")
        config = self._ground.config(names[0] if placement is None else placement)
        return what_if(self._ground, config, policy, since=self._since(since), until=None)

    def results(self, experiment: str, *, plan: Plan | None = None) -> ExperimentReport:
        """Return what an experiment of a placement has shown so far.

        One row for each list that was seen; units are users, or queries where `Placement.unit`
        says so. Columns: `success` (1 where any
        item of the list earned a reward), `reward` (the mean over its seen items), `clicks`.

        A person of several ids (see `identify`) is one unit, the id that was exposed first. What
        such a person saw in another variant is left out, and counted in a note.

        Args:
            experiment: Its key.
            plan: How to analyse; the mean of `success`, looked at once, when absent.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such experiment.
            siamrec.errors.InvalidDataError: If a variant has no seen list yet.
        """
        control = self.store.experiments().record(experiment).experiment.control
        planned = Plan(metrics=[Mean("success")]) if plan is None else plan
        frame, left_out = outcomes_of(self._ground, experiment)
        report = analyze(frame, planned, unit="unit", control=control)
        if not left_out:
            return report
        lists = ", ".join(f"{n:,} of {variant}" for variant, n in left_out.items())
        message = f"Lists that a person saw in another variant under another id: {lists}."
        note = Check("identity", "note", f"{message} They are left out.")
        return replace(report, checks=(*report.checks, note))

    def verify(self) -> Verification:
        """Check that every belief is the fold of the log, sealed files, and files of versions.

        Raises:
            siamrec.errors.ModelLoadError: If files of versions are gone or were changed.
            siamrec.errors.StorageError: If sums differ from the log.
        """
        for name in self.placements():
            config = self._ground.config(name)
            for each in self._ground.every(config):
                self._ground.bandit(each)
        return replace(self.store.verify(), files=self._ground.files_verified())

    def _known(self, placement: str | None) -> None:
        if placement is not None:
            check.one_of("placement", placement, self.placements())

    def _since(self, since: str | timedelta | float | None) -> Instant | None:
        return None if since is None else self._ground.now() - duration("since", since)
