"""A placement in use: what it shows to whom, its switch and its experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.lifecycle._facts import due_now
from siamrec.lifecycle._rereading import reread
from siamrec.lifecycle._trying import begun, ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.experiments import Experiment
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._server import Server
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.lifecycle.release import Release
    from siamrec.lifecycle.retraining import Due
    from siamrec.lifecycle.wishes import Wishes
    from siamrec.typing import Id, Instant


@final
class LivePlacement(Shown):
    """A placement of a workspace; made by `Workspace.place` and `Workspace.placement`.

    Threads may share it. A newly activated release, a changed configuration and a changed
    catalogue are taken over between two requests, in every process.

    Args:
        ground: The workspace that it belongs to.
        server: What makes its lists.
    """

    def __init__(self, ground: Ground, server: Server) -> None:
        self._ground = ground
        self._server = server
        self.name = server.name

    @override
    def title(self) -> str:
        return f"Placement {self.name} at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return what serves now."""
        state = self._server.states.current()
        release = state.release
        facts = {
            "revision": state.heads.placement,
            "release": "none serves yet" if release is None else release.id[:12],
            "arms": list(state.config.arms),
            "mode": state.config.mode,
            "fallback": state.config.fallback["name"],
        }
        return Table.of(self.title(), facts)

    @property
    def config(self) -> Placement:
        """The placement as it is stored now."""
        return self._server.states.current().config

    @property
    def release(self) -> Release | None:
        """The release that serves; None before the first training."""
        return self._server.states.current().release

    def switch(self, mode: Literal["bandit", "static"]) -> Placement:
        """Turn the bandit on, or off for a draw by the static weights; return the placement.

        The draw is random in both modes and its propensities are logged, so that what the other
        mode would have done can be told from the log.
        """
        check.one_of("mode", mode, ("bandit", "static"))
        state = self._server.states.current()
        changed = state.config.switched(mode)
        self._ground.keep(changed, expect=state.heads.placement)
        self._ground.store.diary.write(self.name, "switched", {"mode": mode})
        return changed

    def due(self, now: Instant | None = None) -> Due:
        """Return whether a training is due by `Placement.retraining`, and why; nothing is begun.

        Args:
            now: The instant that is asked about; the clock's when absent.
        """
        now = self._ground.now() if now is None else check.instant("now", now)
        return due_now(self._ground, self._ground.config(self.name), now)[0]

    def reread(self) -> int:
        """Let the belief of now learn from older lists, by the meaning of now; return how many.

        A placement with another meaning (or policy) begins a belief that knows nothing of what
        was served before: each list is settled by the meaning of its time. This settles the lists
        of the older beliefs once more, into the belief of now; the older ones stay as they are.
        Lists that nobody has seen, whose window is not over, or whose context had other factors
        are left out. Called again it learns what has come since, and nothing twice.
        """
        return reread(self._ground, self.config)

    def test(self, experiment: Experiment, variants: Mapping[str, Mapping[str, Any]]) -> Placement:
        """Start an experiment here; return the placement with it.

        Every user gets a variant by hash, for as long as it runs. A variant whose arms, policy
        or context differ has a release and a belief of its own; its arms are trained now.

        Args:
            experiment: The experiment; its first variant shows the placement as it is.
            variants: Settings of the others by dotted path, such as
                `{"new": {"arms.text.encoder": "encoder@candidate"}}`.

        Raises:
            siamrec.errors.InvalidParameterError: If an experiment runs here already, the key was
                used before, or a variant is without settings.
            siamrec.errors.UnknownNameError: If a variant or a path is not known.
        """
        state = self._server.states.current()
        return begun(self._ground, state.config, experiment, variants, at=state.heads.placement)

    def end_test(self, *, keep: str | None = None, reason: str) -> Placement:
        """Stop the experiment and return the placement, as one of its variants if told.

        Args:
            keep: The variant that serves everybody from now on, with its release; the placement
                goes on as it was when absent.
            reason: Why; kept with the experiment.

        Raises:
            siamrec.errors.InvalidParameterError: If no experiment runs here.
            siamrec.errors.UnknownNameError: If there is no such variant.
        """
        state = self._server.states.current()
        return ended(
            self._ground, state.config, keep=keep, reason=reason, at=state.heads.placement
        )

    def recommend(
        self,
        user: Id | None = None,
        *,
        k: int | None = None,
        n_arms: int | None = None,
        diversity: float | None = None,
        query: str | None = None,
        items: Sequence[Id] = (),
        session: Mapping[str, object] | Sequence[Id] | None = None,
        about: Mapping[str, object] | None = None,
        request: str | None = None,
        exclude: Sequence[Id] = (),
        among: Sequence[Id] | None = None,
        where: str | None = None,
        confirm: Literal["on_serve", "on_seen"] | None = None,
        time: Instant | None = None,
    ) -> Recommendation:
        """Return a list for a person, stored with its decision before it is returned.

        What the person has seen (see `Placement.seen`) is left out, as the log knows it now. What
        the chosen arms leave empty is filled by the fallback, and `fallback` of the result says
        so; `filtered` says how many items were kept back, and why.

        Args:
            user: The person; None for nobody, known or not.
            k: Length of the list; the placement's when absent.
            n_arms: Arms that share the list; the placement's when absent.
            diversity: How much unlikeness counts, in [0, 1]; the placement's re-ranking when
                absent.
            query: What the person searches for: arms that answer queries rank by it alone. What
                was seen is found again, unless `Placement.seen` is set.
            items: Items on the screen, in the place of a history: what goes with them, for
                nobody or for a person who has seen some of it. Expressions read the first of
                them as `current.genre` and so on.
            session: What the application knows of this visit, such as `{"seen": 4}`; or the items
                of it, such as a basket, which arms take as the newest of the history.
            about: What is known of the person, which expressions read as `user.country` and so on.
            request: Id of the request: one that comes again gets the same list, without what was
                hidden or blocked since, and there is one decision. A new one when absent.
            exclude: Items not to show.
            among: The only items to show; all when absent.
            where: A filter beside that of the placement, such as `"language == 'en'"`.
            confirm: As in the placement.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: If a number is out of range, or the user is of
                another kind than the users of the workspace.
            siamrec.errors.UnknownNameError: If `among` has an item that nobody knows, or `where`
                reads a column that the catalogue does not have.
            siamrec.errors.MissingCapabilityError: If there is a query and no arm answers one.
            siamrec.errors.StorageError: If the log cannot be read and nothing was served before,
                or it cannot be written and the placement refuses to serve then.
        """
        wishes: Wishes = {
            "n_arms": n_arms, "diversity": diversity, "query": query, "items": items,
            "session": session, "about": about, "request": request, "exclude": exclude,
            "among": among, "where": where, "confirm": confirm, "time": time,
        }  # fmt: skip
        return self._server.serve(self._server.asked(user, k, wishes))

    def next(
        self,
        shown: Recommendation | str,
        k: int | None = None,
        *,
        request: str | None = None,
        time: Instant | None = None,
    ) -> Recommendation:
        """Return the next page of a list: new items, by what made the first page.

        Nothing comes again that was shown on an earlier page or beside it, whatever was promoted
        or changed meanwhile: variant, release and settings are those of the first page, and what
        it asked for is inherited. What was hidden, blocked or seen since is left out, and the
        filter and the rules are those of now. Past the last item the page is short or empty, and
        says so. The same next page asked for again is the same page.

        Args:
            shown: The list, or its id.
            k: Length of the page; that of the list when absent.
            request: Id of the request, where there shall be several pages after one list.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.UnknownNameError: If the list is none of this workspace.
            siamrec.errors.InvalidParameterError: If it is of another placement, or a number is
                out of range.
            siamrec.errors.StorageError: If the log cannot be read.
        """
        return self._server.next(shown, k, request=request, time=time)

    def recommend_many(
        self,
        users: Sequence[Id],
        *,
        k: int | None = None,
        n_arms: int | None = None,
        diversity: float | None = None,
        request: str | None = None,
        exclude: Sequence[Id] = (),
        among: Sequence[Id] | None = None,
        where: str | None = None,
        confirm: Literal["on_serve", "on_seen"] = "on_seen",
        time: Instant | None = None,
    ) -> list[Recommendation]:
        """Return lists for many people, stored in one transaction; for mails and the like.

        A list counts as seen when somebody says so, with `feedback.seen` or by an event on it:
        one that nobody opens is no trial.

        Args:
            users: Different people.
            k: Length of the lists; the placement's when absent.
            n_arms: As for `recommend`; so are `diversity`, `exclude`, `among` and `where`, the
                same for everybody.
            diversity: See there.
            request: Id of the batch; the ids of its lists are made of it and of the person.
            exclude: See there.
            among: See there.
            where: See there.
            confirm: When a list counts as seen.
            time: Instant of the request; the clock's when absent.

        Raises:
            siamrec.errors.InvalidParameterError: As for `recommend`, or if a user repeats.
            siamrec.errors.StorageError: If the log cannot be read or written.
        """
        wishes: Wishes = {
            "n_arms": n_arms, "diversity": diversity, "exclude": exclude, "among": among,
            "where": where, "confirm": confirm, "time": time,
            "request": None if request is None else check.text("request", request),
        }  # fmt: skip
        return self._server.serve_many(check.many("users", users), k, wishes)
