"""What a placement serves: fitted arms by version, and what is known of their items."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, counted
from siamrec.data import Catalog, FeedbackKind, Vocabulary
from siamrec.errors import InvalidParameterError, ModelLoadError
from siamrec.lifecycle._recipes import is_reference
from siamrec.lifecycle.registry import Lineage
from siamrec.models.recommenders import (
    Capability,
    FittedRecommender,
    FittedTextProfile,
    PureSVD,
    load_recommender,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data import Feedback
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.typing import Float32Array, FloatArray, Id, IntArray

_MANIFEST, _ITEMS = "release.json", "items.npz"
_RANK = 32


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Release(Record):
    """Fitted arms that serve together; a release is taken, and taken back, as a whole.

    Attributes:
        id: Version of the release; empty before it is registered.
        arms: Fitted arms by name.
        fallback: Fills what the arms leave empty.
        versions: Version of each arm.
        items: Items that can be ranked.
        vectors: Vector of each item, for re-ranking by unlikeness.
        popularity: Number of events of each item.
        quality: Mean rating of each item; 0 where it has none.
        encoders: Version, or recipe, of the encoder that an arm was made with, by arm.
    """

    id: str
    arms: Mapping[str, FittedRecommender]
    fallback: FittedRecommender
    versions: Mapping[str, str]
    items: Vocabulary
    vectors: Float32Array
    popularity: FloatArray
    quality: FloatArray
    encoders: Mapping[str, Any] = field(default_factory=dict)

    @override
    def title(self) -> str:
        arms = counted(len(self.arms), "arm")
        return f"Release {self.id[:12] or 'of nothing yet'}: {arms}, {len(self.items):,} items"


def fitted_release(
    recipes: Mapping[str, Any], fallback: Any, *, feedback: Feedback, catalog: Catalog
) -> Release:  # fmt: skip
    """Return a release of recipes that are fitted now; it has no version yet.

    Items of the catalogue without an event are part of it: arms that rank by texts show them.

    Args:
        recipes: Recipe of each arm.
        fallback: Recipe of the fallback.
        feedback: Events to learn from.
        catalog: Items with texts and attributes.

    Raises:
        siamrec.errors.InvalidParameterError: If an arm ranks for training users only.
    """
    items = feedback.items.extend(catalog.items.ids)
    known = catalog.aligned(items)
    arms = {name: recipe.fit(feedback, catalog=known) for name, recipe in recipes.items()}
    for name, arm in arms.items():
        if Capability.COLD_USER not in arm.capabilities:
            what = type(arm).__name__
            raise InvalidParameterError(
                f"arms[{name!r}]", what, "an arm that ranks for new people too, as EASE does"
            )
    rating = feedback.where(feedback.kind == FeedbackKind.RATING)
    # The items of the events come first: their codes are the same.
    counts = np.bincount(feedback.item, minlength=len(items))
    sums = np.bincount(rating.item, rating.value, minlength=len(items))
    rated = np.bincount(rating.item, minlength=len(items))
    return Release(
        id="",
        arms=arms,
        fallback=fallback.fit(feedback, catalog=known),
        versions={},
        items=items,
        vectors=_vectors(arms, feedback, items),
        popularity=counts.astype(np.float64),
        quality=sums / np.maximum(rated, 1),
    )


def _vectors(
    arms: Mapping[str, FittedRecommender], feedback: Feedback, items: Vocabulary
) -> Float32Array:
    """Return vectors of texts where an arm has them, else of who met what; 0 where none is known.

    An item that is known by neither is as unlike every other as can be told.
    """
    for arm in arms.values():
        if isinstance(arm, FittedTextProfile) and arm.items == items:
            return arm.vectors
    rank = min(_RANK, len(feedback.users), len(feedback.items))
    found = PureSVD(factors=rank).fit(feedback).vectors
    vectors = np.zeros((len(items), max(found.shape[1], 1)), dtype=np.float32)
    vectors[: found.shape[0]] = found if found.size else 1.0
    return vectors


def registered(
    release: Release, placement: Placement, registry: ModelRegistry, *, data: str,
    metrics: Mapping[str, Any], encoders: Mapping[str, str],
) -> Release:  # fmt: skip
    """Return the release with every part as a version of the registry.

    Args:
        release: What was fitted.
        placement: What it was fitted for.
        registry: Where versions are kept.
        data: Name of what it was made from.
        metrics: What was measured, by arm.
        encoders: Versions of encoders that arms were made with, by reference.
    """
    versions = {}
    parents = tuple(encoders.values())
    parts = {**release.arms, "fallback:": release.fallback}
    with tempfile.TemporaryDirectory(prefix="siamrec-") as folder:
        for name, arm in parts.items():
            place = Path(folder) / "arm"
            shutil.rmtree(place, ignore_errors=True)
            arm.save(place)
            config = placement.fallback if name == "fallback:" else placement.arms[name]
            lineage = Lineage(
                data=data,
                parents=parents,
                config={"arm": dict(config)},
                metrics=metrics.get(name, {}),
            )
            version = registry.register(f"{placement.name}.{name}", place, lineage=lineage)
            versions[name] = version.id
    buffer = io.BytesIO()
    np.savez(
        buffer, vectors=release.vectors, popularity=release.popularity, quality=release.quality
    )
    body = {
        "placement": placement.name,
        "parts": versions,
        "recipes": {**placement.arms, "fallback:": placement.fallback},
        "items": list(release.items.ids),
        "encoders": dict(encoders),
    }
    whole = registry.register(
        placement.alias,
        {_MANIFEST: json.dumps(body, sort_keys=True).encode(), _ITEMS: buffer.getvalue()},
        lineage=Lineage(
            data=data,
            parents=tuple(sorted(set(versions.values()))),
            config={"recipe": placement.recipe},
            metrics=metrics.get("placement", {}),
        ),
    )
    return Release(
        id=whole.id,
        arms=release.arms,
        fallback=release.fallback,
        versions={name: id_ for name, id_ in versions.items() if name in release.arms},
        items=release.items,
        vectors=release.vectors,
        popularity=release.popularity,
        quality=release.quality,
    )


def loaded_release(version: str, registry: ModelRegistry) -> Release:
    """Return a registered release with its arms.

    Raises:
        siamrec.errors.ModelLoadError: If a file of it is gone, or was changed.
        siamrec.errors.UnknownNameError: If an arm is of a plugin that is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="siamrec-") as folder:
        place = registry.fetch(version, Path(folder) / "release")
        body = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
        try:
            with np.load(place / _ITEMS, allow_pickle=False) as arrays:
                facts = {name: arrays[name] for name in ("vectors", "popularity", "quality")}
        except (OSError, ValueError, KeyError) as error:
            raise ModelLoadError(f"{_ITEMS} of release {version[:12]}: {error}.") from error
        arms = {}
        encoders: dict[str, Any] = {}
        for name, id_ in body["parts"].items():
            files = registry.fetch(id_, Path(folder) / id_)
            recipe = body["recipes"][name]
            arms[name] = load_recommender(files, name=recipe["name"])
            wanted = recipe.get("encoder")
            read_by = body.get("encoders", {}).get(wanted) if is_reference(wanted) else wanted
            encoders |= {} if read_by is None else {name: read_by}
    fallback = arms.pop("fallback:")
    return Release(
        id=version,
        arms=arms,
        fallback=fallback,
        versions={name: id_ for name, id_ in body["parts"].items() if name in arms},
        items=Vocabulary(tuple(body["items"])),
        encoders=encoders,
        **facts,
    )


def places_of(arm: FittedRecommender, items: Vocabulary) -> IntArray | None:
    """Return the code among `items` of each item of an arm; None where they are the first ones.

    So they are for every arm that was fitted with the release and knows no item without an event.
    """
    if arm.items.ids == items.ids[: len(arm.items)]:
        return None
    return arm.items.translate(items).astype(np.int64)


def genres_of(catalog: Catalog) -> dict[Id, tuple[str, ...]]:
    """Return the genres of the items that have any, from the attribute `genres`."""
    column = catalog.attributes.get("genres", ())
    listed = zip(catalog.items.ids, column, strict=False)
    found = {item: _texts(value) for item, value in listed}
    return {item: names for item, names in found.items() if names}


def memberships(items: Vocabulary, genres: Mapping[Any, Sequence[str]]) -> FloatArray:
    """Return which genres each item has, as zeros and ones, shape `(n_items, n_genres)`."""
    names = sorted({genre for item in items.ids for genre in genres[item]})
    place = {genre: column for column, genre in enumerate(names)}
    table = np.zeros((len(items), len(names)))
    for row, item in enumerate(items.ids):
        table[row, [place[genre] for genre in genres[item]]] = 1.0
    return table


def _texts(value: Any) -> tuple[str, ...]:
    """Return the texts in a value, which may be one; anything else is no genre."""
    if isinstance(value, str):
        return (value,)
    return (
        tuple(each for each in value if isinstance(each, str)) if isinstance(value, tuple) else ()
    )
