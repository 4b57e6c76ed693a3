"""Encoders as versions: registered by what they are, and found behind an alias."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamrec.errors import UnknownNameError
from siamrec.lifecycle._parts import encoder_of, package_versions
from siamrec.lifecycle.placement import LIVE
from siamrec.lifecycle.registry import Lineage
from siamrec.models import AdapterEncoder, SentenceEncoder
from siamrec.models.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.protocols import SiameseEncoder
    from siamrec.storage import StoredVersion

NAME = "encoder"
_FILE, _ADAPTER = "encoder.json", "adapter.json"


def behind(alias: str, registry: ModelRegistry, usual: Any) -> tuple[str, SiameseEncoder]:
    """Return version and encoder behind a reference such as `"encoder@live"`.

    Args:
        alias: The reference.
        registry: Where versions are kept.
        usual: What the live one is until another takes its place; see `Workspace`.

    Raises:
        siamrec.errors.UnknownNameError: If there is none.
    """
    active = registry.active(alias)
    if active is not None:
        return active, loaded(active, registry)
    if alias != LIVE:
        error = UnknownNameError(NAME, alias, [LIVE])
        error.add_note(f"Workspace.keep_encoder(encoder, alias={alias!r}) gives it a version.")
        raise error
    encoder = encoder_of(usual)
    version = registered(encoder, registry)
    registry.activate(LIVE, version.id, reason="first version", expect=None)
    return version.id, encoder


def registered(encoder: SiameseEncoder, registry: ModelRegistry) -> StoredVersion:
    """Register an encoder and return its version.

    Raises:
        siamrec.errors.InvalidParameterError: If it cannot be written down.
    """
    lineage = Lineage(packages=package_versions())
    if isinstance(encoder, AdapterEncoder):
        lineage = replace(lineage, parents=(registered(encoder.base, registry).id,))
    if not isinstance(encoder, AdapterEncoder | SentenceEncoder):
        config = json.dumps(ENCODERS.to_config(encoder), sort_keys=True).encode()
        return registry.register(NAME, {_FILE: config}, lineage=lineage)
    with tempfile.TemporaryDirectory(prefix="siamrec-") as folder:
        encoder.save(Path(folder) / NAME)
        return registry.register(NAME, Path(folder) / NAME, lineage=lineage)


def loaded(
    version: str, registry: ModelRegistry, *, known: Mapping[str, SiameseEncoder] | None = None
) -> SiameseEncoder:
    """Return a registered encoder.

    Args:
        version: Its version.
        registry: Where versions are kept.
        known: Encoders that are at hand, by version.

    Raises:
        siamrec.errors.ModelLoadError: If a file of it is gone, or was changed.
    """
    if known is not None and version in known:
        return known[version]
    with tempfile.TemporaryDirectory(prefix="siamrec-") as folder:
        place = registry.fetch(version, Path(folder) / NAME)
        if (place / _FILE).is_file():
            return ENCODERS.make(json.loads((place / _FILE).read_text(encoding="utf-8")))
        if (place / _ADAPTER).is_file():
            (base,) = registry.get(version).manifest["lineage"]["parents"]
            return AdapterEncoder.load(place, loaded(base, registry, known=known))
        encoder = SentenceEncoder(place)
        _ = encoder.dim  # loads it, while its files are there
        return encoder
