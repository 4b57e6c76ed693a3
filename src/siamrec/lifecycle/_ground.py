"""What everything in a workspace stands on: database, files, clock, salt and kinds of ids."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final
from uuid import uuid4

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    SiamrecError,
    StaleWriteError,
    UnknownNameError,
)
from siamrec.expressions import Expression
from siamrec.lifecycle import _encoders
from siamrec.lifecycle._conflicts import check_conflicts
from siamrec.lifecycle.eligibility import check_expression
from siamrec.lifecycle.placement import Placement
from siamrec.lifecycle.registry import ModelRegistry
from siamrec.lifecycle.rules import check_against
from siamrec.storage import FolderBlobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siamrec._core.book import Named
    from siamrec.bandits import ContextualBandit
    from siamrec.experiments import Experiment
    from siamrec.protocols import BlobStore, Clock, SiameseEncoder
    from siamrec.storage import Store, StoredBandit
    from siamrec.storage.values import Revision
    from siamrec.typing import Id, Instant

_PLACEMENT, _WORKSPACE = "placement", "workspace"


@final
class Ground:
    """What the parts of a workspace share; threads may share it too.

    Args:
        store: The database.
        blobs: Files of versions; None where it is not known where they are.
        clock: Time of what is logged.
        encoder: What `"encoder@live"` is until another takes its place.
        salt: Salt of the workspace, where this makes it; drawn when absent.

    Raises:
        siamrec.errors.InvalidParameterError: If the workspace was made with another salt.

    Attributes:
        store: The database.
        clock: Time of what is logged.
        salt: Salt of every draw in the workspace, made with it.
    """

    def __init__(
        self,
        store: Store,
        blobs: BlobStore | None,
        clock: Clock,
        *,
        encoder: SiameseEncoder | Named | Path | None = None,
        salt: str | None = None,
    ) -> None:
        self.store = store
        self._blobs = blobs
        self._encoder = encoder
        self.clock = clock
        self._kinds: dict[str, str] = {}
        self._read: dict[str, tuple[int, Placement]] = {}
        """Placements by name, with their revision: to make one of its JSON takes milliseconds."""
        self._variants: dict[str, tuple[Placement, ...]] = {}
        self._owners: dict[tuple[str, str], tuple[Placement, Placement | None]] = {}
        self.salt = self._salted(salt)

    def now(self) -> Instant:
        """Return the instant of the workspace's clock."""
        return self.clock.now()

    def list_id(self, placement: str, request: str, user: str | int | None = None) -> str:
        """Return the id of the list that a request gets, which is that of its decision too.

        Args:
            placement: The placement.
            request: Id of the request.
            user: The user, where one request is for many.
        """
        given = check.text("request", request, longest=1_000)
        whom = () if user is None else (user,)
        return content_hash(self.salt, placement, given, *whom)[:32]

    @property
    def registry(self) -> ModelRegistry:
        """Versions of encoders, arms and releases.

        Raises:
            siamrec.errors.MissingInputError: If it is not known where their files are.
        """
        if self._blobs is None:
            raise MissingInputError("blobs", "Workspace(url, blobs='models'), a folder of files")
        return ModelRegistry(self.store, self._blobs)

    def files_verified(self) -> int | None:
        """Hash the files of all versions and count these; None where their place is not known.

        Raises:
            siamrec.errors.ModelLoadError: If some are gone or were changed.
        """
        return None if self._blobs is None else self.registry.verify()

    def encoder(self, alias: str) -> tuple[str, SiameseEncoder]:
        """Return version and encoder behind a reference such as `"encoder@live"`.

        Raises:
            siamrec.errors.UnknownNameError: If there is none.
        """
        return _encoders.behind(alias, self.registry, self._encoder)

    # --- placements ----------------------------------------------------------------------------

    def placements(self) -> list[str]:
        """Return the names of the placements, sorted."""
        return self.store.values.names(_PLACEMENT)

    def config(self, name: str) -> Placement:
        """Return a placement as it is stored now.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that name, or it has a part or a
                setting that is not known here: of a plugin that is missing, or of a newer
                release.
        """
        found = self.store.values.get(_PLACEMENT, name)
        if found is None:
            raise UnknownNameError(_PLACEMENT, name, self.placements())
        held = self._read.get(name)
        if held is not None and held[0] == found.revision:
            return held[1]
        try:
            config = Placement.from_config(found.body)
        except SiamrecError as error:
            error.add_note(
                f"The placement {name!r} was kept by another version, or with a plugin."
            )
            raise
        self._read[name] = (found.revision, config)
        return config

    def revision(self, name: str, number: int) -> Placement | None:
        """Return a placement as it was at a revision; None where there is none.

        Raises:
            siamrec.errors.UnknownNameError: If it has a part that is not known here.
        """
        found = self.store.values.at(_PLACEMENT, name, number)
        return None if found is None else Placement.from_config(found.body)

    def keep(self, placement: Placement, *, expect: int | None = None) -> Revision:
        """Store a placement under its name; see `Workspace.place`.

        What it says of items is checked against the catalogue as it is now.
        """
        self._check_wishes(placement)
        body = json.loads(placement.to_json())
        return self.store.values.put(_PLACEMENT, placement.name, body, expect=expect)

    def _check_wishes(self, placement: Placement) -> None:
        every = self.every(placement)
        if not any(each.where is not None or each.rules for each in every):
            return
        catalog = self.store.catalog.read()
        before = self.store.values.get(_PLACEMENT, placement.name)
        known = () if before is None else Placement.from_config(before.body).rules
        for each in every:
            if each.where is not None:
                check_expression(Expression(each.where), catalog)
            check_against(each.rules, catalog, known=known, now=self.now())
            check_conflicts(each.rules, catalog, each.k, known=known)

    def experiment(self, config: Placement) -> Experiment | None:
        """Return the experiment that runs in a placement; None where none does."""
        if config.experiment is None:
            return None
        found = self.store.experiments().record(config.experiment).experiment
        return found if found.status == "running" else None

    def every(self, config: Placement) -> tuple[Placement, ...]:
        """Return a placement and what each of its variants shows."""
        held = self._variants.get(config.name)
        if held is None or held[0] is not config:
            held = self._variants[config.name] = _every(config)
        return held

    def owner(self, config: Placement, belief: str) -> Placement | None:
        """Return the placement, or the variant or older revision of it, whose belief it is."""
        if config.belief == belief:
            return config
        held = self._owners.get((config.name, belief))
        if held is None or held[0] is not config:
            held = (config, self._owner(config, belief))
            self._owners[config.name, belief] = held
        return held[1]

    def _owner(self, config: Placement, belief: str) -> Placement | None:
        for revision in reversed(self.store.values.history(_PLACEMENT, config.name)):
            try:
                older = Placement.from_config(revision.body)
            except SiamrecError:  # of a plugin that is gone: another revision may have it
                continue
            for each in _every(older):
                if each.belief == belief:
                    return each
        return None

    def bandit(self, config: Placement, arms: Sequence[str] = ()) -> StoredBandit[Any]:
        """Return the bandit of a placement's belief, for one thread; new arms join it.

        Args:
            config: The placement.
            arms: Arms that it has to know; those of the placement when absent.
        """
        arms = tuple(dict.fromkeys(arms or config.arms))
        first, settings = self._bandit_settings(config, arms)
        bandit: StoredBandit[Any] = self.store.bandit(
            config.belief, config.policy, first, **settings
        )
        for arm in arms:
            if arm not in bandit.arms:
                try:
                    bandit.add_arm(arm)
                except InvalidParameterError:
                    if arm not in bandit.arms:  # no other worker has added it meanwhile
                        raise
        return bandit

    def believed(self, config: Placement, arms: Sequence[str]) -> ContextualBandit[Any]:
        """Return a copy in memory of the bandit of a placement's belief; nothing is written."""
        first, settings = self._bandit_settings(config, arms)
        bandit: ContextualBandit[Any] = self.store.believed(
            config.belief, config.policy, first, **settings
        )
        for arm in dict.fromkeys(arms):
            if arm not in bandit.arms:
                bandit.add_arm(arm)
        return bandit

    def _bandit_settings(
        self, config: Placement, arms: Sequence[str]
    ) -> tuple[Sequence[str], dict[str, Any]]:
        """Return the arms that a stored bandit begins with, and its settings."""
        first = self.store.roster(config.belief) or tuple(dict.fromkeys(arms))
        # Arms that are retired stay in the roster: the floor must leave room for them too.
        floor = min(config.limits.floor, 1 / len({*first, *arms}))
        return first, {
            "context": config.context,
            "limits": replace(config.limits, floor=floor),
            "seed": self.salt,
        }

    # --- ids -----------------------------------------------------------------------------------

    def user(self, user: Id | None) -> str | int | None:
        """Return a person's id as the workspace knows it.

        Raises:
            siamrec.errors.InvalidParameterError: If it is of another kind than the others.
        """
        if user is None:
            return None
        (plain,) = _plain([user])
        self._one_kind("users", [plain])
        known: str | int = plain
        return known

    def like_items(self, name: str, ids: Sequence[Id]) -> list[Id]:
        """Return ids that a request names; they decide nothing where no item is known yet.

        Raises:
            siamrec.errors.InvalidParameterError: If they are of another kind than the items.
        """
        listed = _plain(check.many(name, ids))
        self._one_kind("items", listed, name)
        return listed

    def items(self, ids: Iterable[Any]) -> list[Any]:
        """Return ids of items as the workspace knows them; the first that come decide the kind.

        Raises:
            siamrec.errors.InvalidParameterError: If they are of another kind, or of two.
        """
        listed = _plain(ids)
        self.require_kinds(items=listed)
        return listed

    def alike(self, *, users: Iterable[Any] = (), items: Iterable[Any] = ()) -> None:
        """Pass when ids are of the kind of the workspace; they decide nothing.

        Raises:
            siamrec.errors.InvalidParameterError: If they are of another kind, or of two.
        """
        for what, ids in (("users", users), ("items", items)):
            self._one_kind(what, ids)

    def require_kinds(self, *, users: Iterable[Any] = (), items: Iterable[Any] = ()) -> None:
        """Pass when ids are of the kind of the workspace; the first that come decide it.

        Raises:
            siamrec.errors.InvalidParameterError: If they are of another kind, or of two.
        """
        for what, ids in (("users", users), ("items", items)):
            kind = self._one_kind(what, ids)
            if kind is not None and what not in self._kinds:
                try:
                    self.store.values.put(_WORKSPACE, what, {"kind": kind}, expect=0)
                except StaleWriteError:
                    self._one_kind(what, ids)  # another process was first

    def _one_kind(self, what: str, ids: Iterable[Any], name: str = "") -> str | None:
        if what not in self._kinds:
            found = self.store.values.get(_WORKSPACE, what)
            if found is not None:
                self._kinds[what] = str(found.body["kind"])
        wanted = self._kinds.get(what)
        kind = None
        for id_ in _plain(ids):
            if isinstance(id_, bool) or not isinstance(id_, str | int):
                raise InvalidParameterError(name or what, id_, "texts or whole numbers")
            kind = "text" if isinstance(id_, str) else "whole"
            wanted = wanted or kind
            if kind != wanted:
                usual = {"text": "texts", "whole": "whole numbers"}[wanted]
                raise InvalidParameterError(name or what, id_, f"{usual}, like the others")
        return kind

    def _salted(self, wanted: str | None) -> str:
        values = self.store.values
        for _ in range(2):
            found = values.get(_WORKSPACE, "salt")
            if found is not None:
                salt = str(found.body["salt"])
                if wanted not in {None, salt}:
                    raise InvalidParameterError("salt", wanted, "the one it was made with")
                return salt
            made = uuid4().hex if wanted is None else check.text("salt", wanted)
            try:
                values.put(_WORKSPACE, "salt", {"salt": made}, expect=0)
            except StaleWriteError:
                continue  # another process has made it
        raise InvalidDataError("The salt of the workspace cannot be read.")


def _plain(ids: Iterable[Any]) -> list[Any]:
    """Return ids, whole numbers of NumPy and of enumerations as Python's own."""
    whole = (int, np.integer)
    return [
        int(id_) if isinstance(id_, whole) and not isinstance(id_, bool) else id_ for id_ in ids
    ]


def blobs_of(blobs: BlobStore | str | Path | None, store: Store) -> BlobStore | None:
    """Return where files of versions are: as given, or beside a database that is a file."""
    if isinstance(blobs, str | Path):
        return FolderBlobs(blobs)
    if blobs is not None:
        check.methods("blobs", blobs, ["put", "get"], what="a store of files")
        return blobs
    return None if store.file is None else FolderBlobs.beside(store.file, "models")


def _every(config: Placement) -> tuple[Placement, ...]:
    return (config, *(config.of_variant(*one) for one in config.variants.items()))
