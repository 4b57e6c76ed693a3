"""Encoding each text once: vectors are kept in memory, and on disk where a folder is given."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.hashing import content_hash, hash64
from siamrec._core.table import Shown, Table, counted, line
from siamrec.errors import InvalidDataError, StorageError
from siamrec.models.encoders._book import ENCODERS
from siamrec.models.encoders._identity import identity_of
from siamrec.models.encoders._texts import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array


@final
class CachedEncoder(Shown):
    """Wraps an encoder and reads each text once.

    Vectors are kept under the base's fingerprint, the kind and the text, so that they never
    survive a change of weights, in place or not. Threads may share it: one at a time is served.

    Args:
        base: The encoder that reads new texts.
        folder: Where vectors outlive the process; each call that meets new texts adds one file,
            and processes may share it.

    Examples:
        >>> from siamrec.models import HashingEncoder
        >>> encoder = CachedEncoder(HashingEncoder(dim=8))
        >>> encoder.encode(["Heat", "Heat"]).shape, encoder.misses
        ((2, 8), 1)
        >>> _ = encoder.encode(["Heat"]); encoder.misses
        1
    """

    def __init__(self, base: SiameseEncoder, *, folder: str | Path | None = None) -> None:
        self.base = ENCODERS.require(base)
        self.misses = 0
        self._folder = None if folder is None else Path(folder)
        self._place: dict[str, dict[str, int]] = {}
        self._rows: dict[str, list[Float32Array]] = {}
        self._read_by = ""
        self._turn = RLock()

    @override
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _turn=RLock())

    @override
    def title(self) -> str:
        return f"Cache of {line(self.base)}: {counted(self.misses, 'text')} read"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "base": line(self.base),
            "folder": self._folder,
            "read": self.misses,
            **identity_of(self),
        }
        return Table.of(self.title(), facts)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.base.dim

    @property
    def fingerprint(self) -> str:
        """The base's fingerprint: a cache changes no vector."""
        return self.base.fingerprint

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts; those met before are not read again.
            kind: Whether they are queries or documents.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts, or a file of the folder does
                not hold vectors of this encoder.
            StorageError: If the folder cannot be written.
        """
        unique, place = distinct(texts, kind)
        if not unique:
            return np.empty((0, self.dim), dtype=np.float32)
        with self._turn:
            return self._rows_of(unique, kind)[place]

    def _rows_of(self, unique: list[str], kind: TextKind) -> Float32Array:
        """Return a vector for each text; new ones are read."""
        by = self.base.fingerprint
        if by != self._read_by:  # the weights were changed in place
            self._read_by, self._place, self._rows = by, {}, {}
        known = self._known(kind)
        new = [text for text in unique if text not in known]
        if new:
            self._add(kind, new, self.base.encode(new, kind=kind), store=True)
            self.misses += len(new)
        matrix = self._matrix(kind)
        rows = np.fromiter((known[text] for text in unique), dtype=np.int64, count=len(unique))
        return matrix[rows]

    def _known(self, kind: TextKind) -> dict[str, int]:
        if kind not in self._place:
            self._place[kind] = {}
            self._rows[kind] = []
            for path in self._files(kind):
                self._read(kind, path)
        return self._place[kind]

    def _matrix(self, kind: TextKind) -> Float32Array:
        """Join the pieces once, so that a long series of calls stays linear."""
        pieces = self._rows[kind]
        if len(pieces) > 1:
            pieces[:] = [np.concatenate(pieces)]
        return pieces[0]

    def _add(
        self, kind: TextKind, texts: list[str], vectors: Float32Array, *, store: bool
    ) -> None:
        place = self._place[kind]
        place.update({text: len(place) + offset for offset, text in enumerate(texts)})
        self._rows[kind].append(vectors)
        if store and self._folder is not None:
            self._write(kind, texts, vectors)

    def _files(self, kind: TextKind) -> list[Path]:
        if self._folder is None:
            return []
        return sorted((self._folder / self.fingerprint[:16] / kind).glob("*.npz"))

    def _read(self, kind: TextKind, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as stored:
                texts, vectors = json.loads(stored["texts"].tobytes()), stored["vectors"]
        except (OSError, ValueError, KeyError) as error:
            raise InvalidDataError(f"{path} must hold cached vectors: {error}.") from error
        if vectors.shape != (len(texts), self.dim):
            raise InvalidDataError(f"{path} must hold vectors of length {self.dim}.")
        known = self._place[kind]
        fresh = [row for row, text in enumerate(texts) if text not in known]
        self._add(kind, [texts[row] for row in fresh], vectors[fresh], store=False)

    def _write(self, kind: TextKind, texts: list[str], vectors: Float32Array) -> None:
        """A file appears whole: it is written beside its place and moved there.

        Raises:
            StorageError: If it cannot be written.
        """
        assert self._folder is not None
        home = self._folder / self.fingerprint[:16] / kind
        name = f"{hash64(content_hash(texts)):016x}.npz"
        try:
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home, prefix=".part-") as folder:
                draft = Path(folder) / name
                read = np.frombuffer(json.dumps(texts).encode(), np.uint8)
                np.savez(draft, texts=read, vectors=vectors)
                draft.replace(home / name)
        except OSError as error:
            raise StorageError(f"{home} cannot be written: {error}.") from error
