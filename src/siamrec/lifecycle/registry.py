"""The registry: versions named by their content, with lineage, and aliases that can go back."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.installed import tell_plugins
from siamrec._core.table import Record, Shown, Table, counted, day
from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError
from siamrec.lifecycle._files import checked, of_folder, written
from siamrec.storage.versions import version_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from siamrec import protocols
    from siamrec.protocols import BlobStore
    from siamrec.storage import Activation, StoredVersion
    from siamrec.storage.versions import Action

_LONGEST_NAME = 200
_LONGEST_REASON = 10_000


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
        """Return one row for each version, by name and the oldest first."""
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
            files: A folder, or bytes by relative path. JSON, safetensors, npz and text only, by
                content as well as by name: no file that runs code when it is loaded.
            lineage: Where it comes from.

        Raises:
            siamrec.errors.InvalidDataError: If there is no file, one of an unsafe kind, or one
                whose path or link leaves the folder.
        """
        (added,) = self.register_many([(name, files, lineage)])
        return added

    def register_many(
        self,
        versions: Iterable[tuple[str, str | Path | Mapping[str, bytes], Lineage | None]],
    ) -> list[StoredVersion]:
        """Store many versions in one transaction and return them; all of them, or none.

        Args:
            versions: Name, files and lineage of each, as for `register`.

        Raises:
            siamrec.errors.InvalidDataError: As `register` does.
        """
        blobs: dict[str, bytes] = {}
        entries = []
        for name, given, lineage in versions:
            files = of_folder(Path(given)) if isinstance(given, str | Path) else given
            listing = {}
            for path, data in sorted(checked(files).items()):
                digest = hashlib.sha256(data).hexdigest()
                blobs[_blob(digest)] = data
                listing[path] = {"sha256": digest, "size": len(data)}
            manifest = {
                "name": check.text("name", name, longest=_LONGEST_NAME),
                "files": listing,
                "lineage": (lineage or Lineage()).as_dict(),
            }
            entries.append((version_id(manifest), name, manifest))
        self._put(blobs)
        add_many = getattr(self._versions, "add_many", None)
        if add_many is None:  # a host's own log need not have it
            return [self._versions.add(*entry) for entry in entries]
        added: list[StoredVersion] = add_many(entries)
        return added

    def _put(self, blobs: Mapping[str, bytes]) -> None:
        put_many = getattr(self._blobs, "put_many", None)
        if put_many is not None:
            put_many(blobs)
            return
        for key, data in blobs.items():
            self._blobs.put(key, data)

    def fetch(self, version: str, folder: str | Path) -> Path:
        """Write the files of a version to a folder and return it; every hash is checked.

        The folder is new or empty, or holds this version already. All files are written, or none.

        Raises:
            siamrec.errors.ModelLoadError: If a file or the manifest was changed, or is gone.
            siamrec.errors.InvalidDataError: If the folder holds something else.
            siamrec.errors.StorageError: If the folder cannot be written.
        """
        target = Path(folder)
        listing = self.get(version).manifest["files"]
        written(target, lambda: self._read(version, listing), set(listing))
        return target

    def verify(self) -> int:
        """Check every manifest and every file against its hash; return the number of versions.

        Raises:
            siamrec.errors.ModelLoadError: If one was changed, or is gone; the first are named.
        """
        found = self.versions()
        known: dict[str, str] = {}
        amiss = []
        for version in found:
            try:
                listing = self._sound(version).manifest["files"]
            except ModelLoadError as error:
                amiss.append(str(error).removesuffix("."))
                continue
            for path, entry in listing.items():
                digest = entry["sha256"]
                if digest not in known:
                    known[digest] = self._fault(digest)[1]
                if known[digest]:
                    amiss.append(f"{path} of version {version.id[:12]} {known[digest]}")
        if amiss:
            more = f", and {len(amiss) - 5:,} more" if len(amiss) > 5 else ""
            raise ModelLoadError(f"{'; '.join(amiss[:5])}{more}: restore them from a backup.")
        return len(found)

    def _fault(self, digest: str) -> tuple[bytes, str]:
        """Return the bytes of a file, and what is wrong with them; empty where nothing is."""
        try:
            data = self._blobs.get(_blob(digest))
        except LookupError:
            return b"", "is gone"
        return data, "" if hashlib.sha256(data).hexdigest() == digest else "was changed"

    def _read(self, version: str, listing: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        """Yield files by their path, each as it was registered."""
        for path, entry in listing.items():
            data, fault = self._fault(entry["sha256"])
            if fault:
                raise ModelLoadError(f"{path} of version {version[:12]} {fault}.")
            yield path, data

    def _sound(self, version: StoredVersion) -> StoredVersion:
        if version_id(version.manifest) != version.id:
            raise ModelLoadError(
                f"The manifest of version {version.id[:12]} was changed: it is not what was "
                "registered under that id."
            )
        return version

    def get(self, version: str) -> StoredVersion:
        """Return a version by its id.

        Raises:
            siamrec.errors.UnknownNameError: If there is none.
            siamrec.errors.ModelLoadError: If its manifest is not what was registered.
        """
        return self._sound(self._versions.get(version))

    def versions(self, name: str | None = None) -> list[StoredVersion]:
        """Return all versions by name, or those of one name, oldest first."""
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
        check.text("alias", alias, longest=_LONGEST_NAME)
        check.reason(reason, longest=_LONGEST_REASON)
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
        check.text("alias", alias, longest=_LONGEST_NAME)
        check.reason(reason, longest=_LONGEST_REASON)
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
            alias,
            version,
            expect=expect,
            reason=reason,
            action=action,
        )
        if self._on_change is not None:
            self._on_change(change)
        back = change.action == "rolled_back"
        hook = "siamrec_rolled_back" if back else "siamrec_version_activated"
        tell_plugins(hook, change=asdict(change))
        return change


def _blob(digest: str) -> str:
    return f"sha256/{digest[:2]}/{digest}"
