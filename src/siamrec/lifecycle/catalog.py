"""The catalogue of a workspace: what can be shown, and what may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.data import Catalog
from siamrec.lifecycle.withheld import Withheld

if TYPE_CHECKING:
    from siamrec.lifecycle._ground import Ground
    from siamrec.storage.catalog import Item


@final
class WorkspaceCatalog(Shown):
    """The catalogue of a workspace; see `siamrec.storage.CatalogLog`."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @override
    def title(self) -> str:
        return f"Catalogue at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return the first items."""
        return self.read().table()

    def write(self, catalog: Catalog) -> int:
        """Store items; return how many are new or changed.

        Besides any attributes of the host's own, which filters and rules read, `genres` is read
        by the context, and these tell what may be shown: `hidden` (a reason), `available_from`
        and `available_until` (instants), `stock` (not at 0) and `owner` (not to that person).

        Raises:
            siamrec.errors.InvalidParameterError: If ids are of another kind than the workspace's.
            siamrec.errors.InvalidDataError: If an attribute cannot be written as JSON.
        """
        self._ground.require_kinds(items=check.kind("catalog", catalog, Catalog).items.ids)
        return self._ground.store.catalog.write(catalog)

    def read(self) -> Catalog:
        """Return every item that is in the catalogue now."""
        return self._ground.store.catalog.read()

    def hide(self, *items: Item, reason: str) -> Withheld:
        """Keep items from every list that is asked for from now on.

        Every process obeys at its next request. Training may still use the items. One that the
        catalogue does not have yet is hidden when it arrives; what is returned names it.

        Raises:
            siamrec.errors.InvalidParameterError: If ids are of another kind than the workspace's,
                or the reason says nothing.
        """
        named = self._ground.items(items)
        log = self._ground.store.catalog
        unknown = log.lacks(*named)
        return Withheld.of(log.hide(*named, reason=reason), unknown, log)

    def unhide(self, *items: Item) -> int:
        """Let items be shown again; return how many were hidden."""
        return self._ground.store.catalog.unhide(*self._ground.items(items))

    def remove(self, *items: Item) -> int:
        """Take items out of the catalogue and of every list; return how many changed."""
        return self._ground.store.catalog.remove(*self._ground.items(items))
