"""The registry: versions named by their content, with lineage, and aliases that can go back."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json, content_hash
from siamrec._core.installed import tell_plugins
from siamrec._core.table import Record, Shown, Table, counted, day
from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec import protocols
    from siamrec.protocols import BlobStore
    from siamrec.storage import Activation, StoredVersion
    from siamrec.storage.versions import Action

_SAFE = frozenset({".json", ".jsonl", ".safetensors", ".txt", ".md", ".npz"})


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Lineage(Record):
    """Where a version comes from.

    Attributes:
        data: Hash of the data it was made from.
        parents: Ids of the versions it was made from.
        config: Settings it was made with, as JSON values.
        seed: Seed of everything drawn.
        metrics: Measured values, as JSON values.
        packages: Versions of the packages that made it.
    """

    data: str = ""
    parents: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)

    @override
    def title(self) -> str:
        parents = counted(len(self.parents), "parent")
        return f"Lineage of data {self.data[:12] or 'unknown'}, {parents}"

    def as_dict(self) -> dict[str, Any]:
        """Return the lineage as JSON values."""
        return {
            "data": self.data,
            "parents": list(self.parents),
            "config": dict(self.config),
            "seed": self.seed,
            "metrics": dict(self.metrics),
            "packages": dict(self.packages),
        }


@final
class ModelRegistry(Shown):
    """Versions in a store, their files in a blob store.

    A version's id is the hash of its manifest: the hash of every file and the lineage. The same
    content gives the same id, so registering twice changes nothing; files are shared between
    versions. An alias such as `encoder` names the version in use; every change of it is logged,
    and `rollback` returns to the one before.

    Args:
        store: Keeps manifests and aliases.
        blobs: Keeps files by their hash.
        on_change: Called after every change of an alias; installed plugins hear of it besides.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from siamrec.storage import FolderBlobs, Store
        >>> registry = ModelRegistry(Store("sqlite://"), FolderBlobs(mkdtemp()))
        >>> one = registry.register("ranker", {"weights.json": b"[1]"})
        >>> two = registry.register("ranker", {"weights.json": b"[2]"})
        >>> _ = registry.activate("live", one.id, reason="first")
        >>> _ = registry.activate("live", two.id, reason="better")
        >>> registry.rollback("live", reason="worse after all").version == one.id
        True
    """

    def __init__(
        self,
        store: protocols.Store,
        blobs: BlobStore,
        *,
        on_change: Callable[[Activation], object] | None = None,
    ) -> None:
        check.methods("store", store, ["versions"], what="a store")
        check.methods("blobs", blobs, ["put", "get"], what="a store of files")
        self._versions = store.versions
        self._blobs = blobs
        self._on_change = on_change

    @override
    def title(self) -> str:
        title = getattr(self._versions, "title", None)  # a host's own log may have none
        return f"Model registry on {title() if callable(title) else 'a log of versions'}"

    @override
    def table(self) -> Table:
        """Return one row for each version, oldest first."""
        rows = ((v.name, v.number, v.id[:12], day(v.created)) for v in self._versions.all())
        head = ("name", "number", "version", "registered")
        return Table(head=head, rows=tuple(rows), title=self.title())

    def register(
        self,
        name: str,
        files: str | Path | Mapping[str, bytes],
        *,
        lineage: Lineage | None = None,
    ) -> StoredVersion:
        """Store files under `name` and return their version.

        Args:
            name: What the versions of one thing are called together.
            files: A folder, or bytes by relative path. JSON, safetensors, npz and text only: no
                file that runs code when it is loaded.
            lineage: Where it comes from.

        Raises:
            siamrec.errors.InvalidDataError: If there is no file or one of an unsafe kind.
        """
        content = _folder(Path(files)) if isinstance(files, str | Path) else dict(files)
        if not content:
            raise InvalidDataError("A version needs at least one file.")
        unsafe = sorted(path for path in content if Path(path).suffix not in _SAFE)
        if unsafe:
            raise InvalidDataError(
                f"{unsafe[0]} is of no safe kind; a version holds {', '.join(sorted(_SAFE))}."
            )
        listing = {}
        for path, data in sorted(content.items()):
            digest = hashlib.sha256(data).hexdigest()
            self._blobs.put(_blob(digest), data)
            listing[path] = {"sha256": digest, "size": len(data)}
        manifest = {
            "name": name,
            "files": listing,
            "lineage": (lineage or Lineage()).as_dict(),
        }
        id_ = content_hash(canonical_json(manifest))
        added: StoredVersion = self._versions.add(id_, name, manifest)
        return added

    def fetch(self, version: str, folder: str | Path) -> Path:
        """Write the files of a version to a folder and return it; every hash is checked.

        Raises:
            siamrec.errors.ModelLoadError: If a file was changed or is gone.
        """
        target = Path(folder)
        for path, entry in self.get(version).manifest["files"].items():
            digest = entry["sha256"]
            try:
                data = self._blobs.get(_blob(digest))
            except LookupError as error:
                raise ModelLoadError(f"{path} of version {version[:12]} is gone.") from error
            if hashlib.sha256(data).hexdigest() != digest:
                raise ModelLoadError(f"{path} of version {version[:12]} was changed.")
            place = target / path
            if not place.resolve().is_relative_to(target.resolve()):
                raise ModelLoadError(f"{path} of version {version[:12]} leaves its folder.")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return target

    def get(self, version: str) -> StoredVersion:
        """Return a version by its id.

        Raises:
            siamrec.errors.UnknownNameError: If there is none.
        """
        found: StoredVersion = self._versions.get(version)
        return found

    def versions(self, name: str | None = None) -> list[StoredVersion]:
        """Return all versions, or those of one name, oldest first."""
        return self._versions.all(name)

    def lineage(self, version: str) -> list[StoredVersion]:
        """Return a version and all it was made from, itself first."""
        found: dict[str, StoredVersion] = {}
        waiting = [version]
        while waiting:
            id_ = waiting.pop(0)
            if id_ not in found:
                found[id_] = self.get(id_)
                waiting += found[id_].manifest["lineage"]["parents"]
        return list(found.values())

    def active(self, alias: str) -> str | None:
        """Return the id of the version in use, None before the first activation."""
        return self._versions.active(alias)

    def activate(
        self, alias: str, version: str, *, reason: str, expect: str | bool | None = True
    ) -> Activation | None:
        """Point an alias at a version; return the change, or None if it pointed there already.

        Args:
            alias: The alias.
            version: Id of a registered version.
            reason: Why; logged.
            expect: The version that must be in use until now (None for no version); True takes
                whatever is in use.

        Raises:
            siamrec.errors.StaleWriteError: If another version is in use than expected.
        """
        now = self.active(alias)
        previous = now if expect is True else expect
        if isinstance(previous, bool):
            raise InvalidParameterError("expect", expect, "True, None or a version id")
        if now == version and previous == now:
            return None
        return self._point(alias, version, previous, reason)

    def rollback(self, alias: str, *, reason: str) -> Activation:
        """Return to the version that was in use before the present one.

        Raises:
            siamrec.errors.InvalidDataError: If there is none.
        """
        now = self.active(alias)
        path: list[str] = []  # replay the log: a rollback takes the last activation back
        for change in self.history(alias):
            if change.action == "rolled_back" and len(path) > 1:
                path.pop()
            else:
                path.append(change.version)
        if now is None or len(path) < 2:
            raise InvalidDataError(f"Alias {alias!r} has no earlier version to return to.")
        return self._point(alias, path[-2], now, reason, action="rolled_back")

    def history(self, alias: str) -> list[Activation]:
        """Return every change of an alias, oldest first."""
        return self._versions.history(alias)

    def _point(
        self,
        alias: str,
        version: str,
        expect: str | None,
        reason: str,
        *,
        action: Action = "activated",
    ) -> Activation:
        change: Activation = self._versions.point(
            alias, version, expect=expect, reason=reason, action=action
        )
        if self._on_change is not None:
            self._on_change(change)
        back = change.action == "rolled_back"
        hook = "siamrec_rolled_back" if back else "siamrec_version_activated"
        tell_plugins(hook, change=asdict(change))
        return change


def _folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise InvalidDataError(f"{folder} is not a folder.")
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _blob(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest}"
