"""What came of keeping items back, and which of them the catalogue does not have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core.table import Record, counted
from siamrec.errors import InvalidParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.storage import CatalogLog
    from siamrec.storage.catalog import Item
    from siamrec.typing import Id


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Withheld(Record):
    """Items that are kept back from now on.

    An item that the catalogue does not have is kept back too, and stays so when it arrives; it
    is told, since it may be a slip.

    Attributes:
        n: Items that were not kept back before.
        unknown: Items that the catalogue does not have.
        near: Items of the catalogue whose ids are like those, by unknown item.
    """

    n: int
    unknown: tuple[Item, ...] = ()
    near: Mapping[Item, tuple[Item, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, n: int, unknown: Sequence[Item], catalog: CatalogLog) -> Withheld:
        """Return how many items were kept back, with the ids that unknown ones may be slips of."""
        if not unknown:
            return cls(n=n)
        there: dict[str, Any] = {
            str(item): item for item in catalog.read().items.ids if item not in unknown
        }
        near = {item: tuple(there[each] for each in nearest(item, there)) for item in unknown}
        return cls(n=n, unknown=tuple(unknown), near=near)

    @override
    def title(self) -> str:
        said = f"{counted(self.n, 'item')} kept back"
        if self.unknown:
            listed = ", ".join(map(repr, self.unknown[:5])) + ", …" * (len(self.unknown) > 5)
            said += f"; not in the catalogue yet: {listed}"
        return said


def blocked(ground: Ground, user: Id, items: Sequence[Id]) -> Withheld:
    """Keep items from a person; see `Workspace.block`."""
    whom, listed = _checked(ground, user, items)
    log = ground.store.catalog
    return Withheld.of(ground.store.blocks.add(whom, *listed), log.lacks(*listed), log)


def unblocked(ground: Ground, user: Id, items: Sequence[Id]) -> int:
    """Let items be shown to a person again; see `Workspace.unblock`."""
    whom, listed = _checked(ground, user, items)
    return ground.store.blocks.remove(whom, *listed)


def _checked(ground: Ground, user: Id, items: Sequence[Id]) -> tuple[Item, list[Item]]:
    listed = ground.items(items)
    whom = ground.user(user)
    if whom is None:
        raise InvalidParameterError("user", user, "the id of a person")
    return whom, listed
