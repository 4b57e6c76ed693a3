"""What `siamrec improve` shipped, opened again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import MissingInputError
from siamrec.lifecycle._in_use import PLACEMENT
from siamrec.lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from siamrec.lifecycle.live import LivePlacement
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.typing import Id


@final
class Shipped(Shown):
    """The workspace of a run, and the placement that it left behind; made by `siamrec.load`.

    Args:
        workspace: The workspace.

    Attributes:
        workspace: The workspace.
        placement: The placement.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.placement: LivePlacement = workspace.placement(PLACEMENT)

    @override
    def title(self) -> str:
        return f"Shipped: {self.placement.title()}"

    @override
    def table(self) -> Table:
        """Return what serves."""
        return self.placement.table()

    def recommend(self, users: Sequence[Id], *, k: int | None = None) -> list[Recommendation]:
        """Return a list for each user; see `LivePlacement.recommend_many`."""
        return self.placement.recommend_many(users, k=k)

    def close(self) -> None:
        """Close the workspace."""
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def load(folder: str | Path) -> Shipped:
    """Open what `siamrec improve` left in the folder of a run, in any process.

    Args:
        folder: The folder, such as `"runs/first"`.

    Raises:
        siamrec.errors.MissingInputError: If there is no database in it, as of a run with a store
            of its own: open that with `Workspace`.
        siamrec.errors.UnknownNameError: If the run did not get as far as a placement.
    """
    path = Path(folder)
    if not (path / "siamrec.db").is_file():
        raise MissingInputError(
            f"siamrec.db in {path}",
            "the folder of a run; of a run with a database of its own, siamrec.Workspace(url)",
        )
    return Shipped(Workspace(f"sqlite:///{path / 'siamrec.db'}", blobs=path / "registry"))
