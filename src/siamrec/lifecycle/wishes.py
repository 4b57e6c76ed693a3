"""What a request may ask for, beside the person and the length of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, final

from siamrec._core import check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.typing import Id, Instant


@final
class Wishes(TypedDict, total=False):
    """Settings of one request; each means what it means in `LivePlacement.recommend`."""

    n_arms: int | None
    diversity: float | None
    query: str | None
    items: Sequence[Id]
    session: Mapping[str, object] | Sequence[Id] | None
    about: Mapping[str, object] | None
    request: str | None
    exclude: Sequence[Id]
    among: Sequence[Id] | None
    where: str | None
    confirm: Literal["on_serve", "on_seen"] | None
    time: Instant | None


def known(wishes: Wishes) -> Wishes:
    """Return wishes of names that are known.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such wish.
    """
    for name in wishes:
        check.one_of("wish", name, Wishes.__annotations__)
    return wishes
