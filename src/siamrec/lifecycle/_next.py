"""The next page of a list, as a request: new items under what was asked for the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.lifecycle._following import Following, Served, revived
from siamrec.lifecycle._making import Asked
from siamrec.lifecycle.recommendation import Recommendation

if TYPE_CHECKING:
    from siamrec.lifecycle._ground import Ground
    from siamrec.typing import Instant


def next_page(
    ground: Ground, placement: str, id_: str, *, k: int | None, request: str | None, time: Instant
) -> Asked:
    """Return the request for the page after a list; see `LivePlacement.next`.

    Args:
        ground: The workspace.
        placement: The placement.
        id_: The list.
        k: Length of the page.
        request: Id of the request, where it has one of its own.
        time: The instant.
    """
    log = ground.store.recommendations
    found = log.get(check.text("shown", id_))
    if found is None:
        raise UnknownNameError("recommendation of this workspace", id_, [])
    before = Recommendation.of(found)
    if before.placement != placement:
        raise InvalidParameterError(
            "shown", id_, f"a list of {placement}, not of {before.placement}"
        )
    page = before.page + 1
    own = "" if request is None else check.text("request", request, longest=1_000)
    settings = revived(before.asked)
    if k is not None:
        settings["k"] = check.count("k", k)
    served = Served(before.revision, before.release, before.variant, before.allocation)
    return Asked(
        **{
            **settings,
            "user": before.user,
            "id": content_hash(ground.salt, "next", id_, page, own)[:32],
            "time": time,
            "following": Following(id_, page, log.shown_with(id_), served),
        }
    )
