"""The state of a bandit as JSON and arrays: to store, to send, to merge."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidDataError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy.typing as npt

FORMAT = 1
"""Version of the layout that this release writes."""

_HEADER = "__header__"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Snapshot(Record):
    """Everything a bandit knows: a JSON-like header and named arrays; no code, no pickle.

    Attributes:
        header: Names, settings and versions.
        arrays: Columns of the ledger and settled sums.

    Examples:
        >>> from siamrec.bandits import BetaThompson, ContextualBandit
        >>> state = ContextualBandit(BetaThompson(), arms=("a", "b")).snapshot()
        >>> Snapshot.from_bytes(state.to_bytes()).header["arms"]
        ['a', 'b']
    """

    header: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    @override
    def title(self) -> str:
        return f"Snapshot of {counted(len(self.arrays), 'array')}"

    def to_bytes(self) -> bytes:
        """Return the snapshot as the bytes of an npz file."""
        text = np.frombuffer(canonical_json(dict(self.header)).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{_HEADER: text, **self.arrays})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the snapshot that `to_bytes` wrote.

        Raises:
            InvalidDataError: If the bytes are no snapshot, or of a newer layout.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(arrays.pop(_HEADER).tobytes())
            layout = int(header["format"])
        except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
            raise InvalidDataError(f"data must be a bandit snapshot: {error}.") from error
        if layout > FORMAT:
            raise InvalidDataError(
                f"The snapshot has layout {layout}, this release reads up to {FORMAT}; "
                "read it with the release that wrote it or a newer one."
            )
        return cls(header, arrays)

    def save(self, path: str | Path) -> None:
        """Write the snapshot to a file; a file that is there is replaced in one step.

        Raises:
            StorageError: If it cannot be written.
        """
        target = Path(path)
        draft = target.with_name(target.name + ".part")
        try:
            draft.write_bytes(self.to_bytes())
            draft.replace(target)
        except OSError as error:
            raise StorageError(
                f"The snapshot could not be written to {target}: {error}."
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the snapshot in a file.

        Raises:
            InvalidDataError: If the file is no snapshot, or of a newer layout.
            StorageError: If it cannot be read.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise StorageError(f"The snapshot {path} could not be read: {error}.") from error
        return cls.from_bytes(data)
