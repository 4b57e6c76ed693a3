"""What a workspace does for one person: whole pages, previews, and what is kept from somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec._core.table import Shown
from siamrec.errors import InvalidParameterError
from siamrec.lifecycle._page import page_of
from siamrec.lifecycle.wishes import known
from siamrec.lifecycle.withheld import Withheld, blocked, unblocked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._server import Servers
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.lifecycle.wishes import Wishes
    from siamrec.typing import Id


class People(Shown):
    """What a `Workspace` does for one person at a time; every workspace can do it."""

    _ground: Ground
    _servers: Servers

    def page(
        self,
        user: Id | None,
        rows: Mapping[str, int] | Sequence[tuple[str, int]],
        **wishes: Unpack[Wishes],
    ) -> dict[str, Recommendation]:
        """Return the lists of a page with several rows, by placement, in the order given.

        No item is on the page twice: the first row keeps it, and later rows are filled with
        others. All lists and decisions are stored in one transaction. A later row has the row
        above it as its `parent`: what it shows depends on what is shown there.

        Args:
            user: The person; None for nobody, known or not.
            rows: Lengths of the lists by placement.
            wishes: As in `LivePlacement.recommend`, for all rows; one `request` names the page.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such placement or wish.
            siamrec.errors.InvalidParameterError: If a placement is named twice, or none is; a
                length is below 1; or as for `LivePlacement.recommend`.
            siamrec.errors.StorageError: As for `LivePlacement.recommend`.
        """
        return page_of(self._ground, self._servers, user, rows, known(wishes))

    def preview(
        self, user: Id | None, placement: str, *, k: int | None = None, **wishes: Unpack[Wishes]
    ) -> Recommendation:
        """Return what a person would be served, and let it be nothing that happened.

        Nothing is drawn that counts and nothing is written: the list is marked (`logged` is
        False, its id begins with `preview:`), no event finds it, and it has no next page. Arms
        are drawn by what is believed now; the same `request` served afterwards shows the same.

        Args:
            user: The person; None for nobody, known or not.
            placement: The placement.
            k: Length of the list; the placement's when absent.
            wishes: As in `LivePlacement.recommend`.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such placement or wish.
            siamrec.errors.InvalidParameterError: As for `LivePlacement.recommend`.
            siamrec.errors.StorageError: If the log cannot be read.
        """
        server = self._servers.of(placement)
        return server.preview(server.asked(user, k, known(wishes)))

    def identify(self, alias: Id, person: Id) -> bool:
        """Let an id be a person's from now on, as when a guest logs in.

        Nothing is rewritten: both ids stay in the log, and what either of them did, does or
        blocks counts for both, in every process, for every list that is asked for from now on.
        In an experiment the variant of the id that was exposed first stays. Training has one user
        for each person. An id may be identified as one that is identified in turn.

        Whoever may call it joins two histories: let a server do so, never a browser.

        Args:
            alias: The id, such as that of a visitor.
            person: Whose it is.

        Returns:
            Whether it was not the person's before.

        Raises:
            siamrec.errors.InvalidParameterError: If the two are one id, the person is identified
                as the alias, or the alias as somebody else; or an id is of another kind than the
                users of the workspace.
        """
        self._ground.require_kinds(users=[alias, person])
        return self._ground.store.identities.identify(self._id(alias), self._id(person))

    def unidentify(self, alias: Id) -> bool:
        """Let an id be itself again; return whether it was somebody's."""
        return self._ground.store.identities.unidentify(self._id(alias))

    def block(self, user: Id, *items: Id) -> Withheld:
        """Keep items from a person in every placement and process, from the next request on.

        What is returned names items that the catalogue does not have, which are kept back too.
        """
        return blocked(self._ground, user, items)

    def unblock(self, user: Id, *items: Id) -> int:
        """Let items be shown to a person again; return how many were kept from them."""
        return unblocked(self._ground, user, items)

    def _id(self, user: Id) -> str | int:
        whom = self._ground.user(user)
        if whom is None:
            raise InvalidParameterError("user", user, "the id of a person")
        return whom
