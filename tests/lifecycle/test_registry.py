"""The registry: content decides the version, aliases go back, nothing unsafe comes in."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from siamrec._core import installed
from siamrec._core.clock import ManualClock
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    ModelLoadError,
    StaleWriteError,
    StorageError,
    UnknownNameError,
)
from siamrec.lifecycle import Lineage, ModelRegistry
from siamrec.lifecycle._files import checked
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.lifecycle import Workspace
    from siamrec.storage import Activation


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(Store("sqlite://"), FolderBlobs(tmp_path / "blobs"))


def test_the_same_content_is_the_same_version(registry: ModelRegistry) -> None:
    one = registry.register("m", {"a.json": b"1", "b.txt": b"2"}, lineage=Lineage(seed=1))
    assert registry.register("m", {"b.txt": b"2", "a.json": b"1"}, lineage=Lineage(seed=1)) == one
    assert registry.register("m", {"a.json": b"1", "b.txt": b"2"}).id != one.id
    assert (
        registry.register("m", {"a.json": b"0", "b.txt": b"2"}, lineage=Lineage(seed=1)).number
        == 3
    )


def test_files_come_back_as_they_were(registry: ModelRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    weights = save({"w": np.zeros(3)})
    (folder / "sub" / "weights.safetensors").write_bytes(weights)
    version = registry.register("m", folder)
    back = registry.fetch(version.id, tmp_path / "back")
    assert (back / "config.json").read_text() == "{}"
    assert (back / "sub" / "weights.safetensors").read_bytes() == weights


def test_changed_or_lost_files_are_noticed(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registry.register("m", {"a.json": b"1"})
    blob = next(path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"2")
    with pytest.raises(ModelLoadError, match=r"a\.json of version .* was changed"):
        registry.fetch(version.id, tmp_path / "back")
    blob.unlink()
    with pytest.raises(ModelLoadError, match=r"a\.json of version .* is gone"):
        registry.fetch(version.id, tmp_path / "back")


@pytest.mark.parametrize(
    "path",
    ["../outside.json", "/etc/outside.json", "a/../../b.json", "a//b.json", "./a.json", "",
     "c:a.json", "a\\b.json", "a\0.json", "a\x1b.json", "x" * 500 + ".json", 7],
)  # fmt: skip
def test_a_path_stays_in_its_folder(registry: ModelRegistry, path: Any) -> None:
    with pytest.raises(InvalidDataError, match="relative and stay in its folder"):
        registry.register("m", {path: b"1"})
    assert registry.versions() == []


def test_two_files_need_two_places(registry: ModelRegistry) -> None:
    for files in ({"a.json": b"1", "A.json": b"2"}, {"a.txt": b"", "a.txt/b.json": b"2"}):
        with pytest.raises(InvalidDataError, match="written to one place"):
            registry.register("m", files)


def test_a_link_that_leaves_its_folder_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("[1]")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.json").write_text("{}")
    (folder / "b.json").symlink_to("a.json")
    assert set(registry.register("m", folder).manifest["files"]) == {"a.json", "b.json"}
    for target in (tmp_path / "secret.json", tmp_path, tmp_path / "nothing"):
        link = folder / "c.json"
        link.symlink_to(target)
        with pytest.raises(InvalidDataError, match="leaves its folder"):
            registry.register("m", folder)
        link.unlink()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def packed(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


FILES = {
    "a.json": b'{"a": 1}',
    "a.jsonl": b'{"a": 1}\n[2]\n',
    "a.txt": "ü".encode(),
    "a.md": b"# a",
    "a.npz": packed(x=np.zeros(3), names=np.array(["a", "b"])),
    "a.safetensors": save({"w": np.arange(6.0).reshape(2, 3), "v": np.zeros(0)}),
}
WRONG = {
    "pickle": b"\x80\x04\x95\x09\0\0\0\0\0\0\0]\x94(K\x01K\x02e.",
    "objects": packed(x=np.array([{}], dtype=object)),
    "torch": b"PK\x03\x04" + b"\0" * 40,
    "binary": bytes(range(256)),
    "cut off": FILES["a.safetensors"][:-1],
    "too long": FILES["a.safetensors"] + b"\0",
    "deep": b"[" * 100_000,
    "member": packed(x=np.zeros(3)).replace(b"\x93NUMPY", b"\x80NUMPY"),
}


def test_files_are_what_their_names_say(registry: ModelRegistry) -> None:
    registry.register("m", FILES)
    for name in FILES:
        for what, data in WRONG.items():
            if name.endswith((".txt", ".md", ".jsonl")) and what == "deep":
                continue  # brackets are text
            with pytest.raises(InvalidDataError, match="is not what its name says"):
                registry.register("m", {name: data})
    assert len(registry.versions()) == 1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_bytes_of_any_kind_raise_nothing_of_others(name: str, data: st.DataObject) -> None:
    good = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidDataError):
        checked({name: bytes(good)[: data.draw(st.integers(0, len(good)))]})


def test_lineage_is_json(registry: ModelRegistry) -> None:
    for odd in (float("nan"), np.float32(1), {1, 2}, object()):
        with pytest.raises(InvalidDataError, match="the lineage in it, must be JSON values"):
            registry.register("m", {"a.json": b"1"}, lineage=Lineage(metrics={"ndcg": odd}))


def test_names_have_bounds(registry: ModelRegistry) -> None:
    version = registry.register("m", {"a.json": b"1"}).id
    for name in ("", "x" * 300, "a\0b", "a\ud800", 7):
        odd: Any = name
        with pytest.raises(InvalidParameterError):
            registry.register(odd, {"a.json": b"1"})
        with pytest.raises(InvalidParameterError):
            registry.activate(odd, version, reason="first")
    for odd in ("a\0b", "x" * 20_000, 7):
        with pytest.raises(InvalidParameterError):
            registry.activate("live", version, reason=odd)
    assert registry.active("live") is None


def test_a_changed_manifest_is_noticed(registry: ModelRegistry, tmp_path: Path) -> None:
    kept: Any = registry._versions
    one = registry.register("m", {"a.json": b"1"})
    other = registry.register("m", {"a.json": b"2"})
    assert registry.verify() == 2
    with kept._engine.begin() as connection:
        text = "UPDATE model_version SET manifest = ? WHERE id = ?"
        manifest = connection.exec_driver_sql(
            "SELECT manifest FROM model_version WHERE id = ?", (other.id,)
        ).scalar()
        connection.exec_driver_sql(text, (manifest, one.id))
    for ask in (registry.get, registry.lineage, lambda id_: registry.fetch(id_, tmp_path / "x")):
        with pytest.raises(ModelLoadError, match="is not what was registered"):
            ask(one.id)
    with pytest.raises(ModelLoadError, match="is not what was registered"):
        registry.verify()
    assert not (tmp_path / "x").exists()


def test_verify_looks_at_every_file(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.register("m", {"a.json": b"1", "b.json": b"2"})
    registry.register("m", {"a.json": b"1", "b.json": b"3"})
    assert registry.verify() == 2
    blobs = _files(tmp_path / "blobs")
    assert len(blobs) == 3
    for blob in blobs:
        before = blob.read_bytes()
        blob.write_bytes(before + b" ")
        with pytest.raises(ModelLoadError, match="was changed"):
            registry.verify()
        blob.write_bytes(before)


def test_a_folder_is_filled_whole_or_not_at_all(registry: ModelRegistry, tmp_path: Path) -> None:
    one = registry.register("m", {"a.json": b"1", "sub/b.json": b"2"}).id
    two = registry.register("m", {"a.json": b"3", "c.json": b"4"}).id
    place = tmp_path / "place"
    place.mkdir()
    assert registry.fetch(one, place) == registry.fetch(one, place) == place  # equal: as it is
    with pytest.raises(InvalidDataError, match=r"must be empty or hold this very version"):
        registry.fetch(two, place)
    assert (place / "a.json").read_bytes() == b"1"
    (place / "mine.txt").write_text("a note")
    with pytest.raises(InvalidDataError, match=r"it holds 'a\.json', 'mine\.txt'"):
        registry.fetch(one, place)
    lost = next(path for path in _files(tmp_path / "blobs") if path.read_bytes() == b"4")
    lost.unlink()
    with pytest.raises(ModelLoadError, match="is gone"):
        registry.fetch(two, tmp_path / "new" / "deep")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", "new", "place"]
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(StorageError, match="cannot be written"):
        registry.fetch(one, place / "a.json")
    assert (place / "a.json").read_bytes() == b"1"


def test_an_empty_folder_that_cannot_be_replaced_is_filled(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.register("m", {"a.json": b"1", "sub/b.json": b"2"}).id
    (tmp_path / "mount").mkdir()

    def busy(*_: object) -> None:
        raise OSError("Device or resource busy")

    monkeypatch.setattr("pathlib.Path.replace", busy)
    place = registry.fetch(version, tmp_path / "mount")
    assert (place / "sub" / "b.json").read_bytes() == b"2"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_many_versions_at_once_are_those_one_by_one(tmp_path: Path) -> None:
    entries: list[Any] = [
        (f"m{n % 3}", {"a.json": str(n % 7).encode()}, Lineage(seed=n % 7)) for n in range(30)
    ]
    many, single = (
        ModelRegistry(Store("sqlite://"), FolderBlobs(tmp_path / name)) for name in ("m", "s")
    )
    together = many.register_many(entries)
    alone = [single.register(name, files, lineage=of) for name, files, of in entries]
    assert [(v.id, v.name, v.number) for v in together] == [
        (v.id, v.name, v.number) for v in alone
    ]
    assert len(many.versions()) == len(single.versions()) == many.verify() == 21
    with pytest.raises(InvalidDataError):
        many.register_many([("m9", {"a.json": b"9"}, None), ("m9", {"a.json": b"{"}, None)])
    assert many.versions("m9") == []


def test_the_order_of_versions_is_that_of_their_numbers(tmp_path: Path) -> None:
    clock = ManualClock(1_000)
    registry = ModelRegistry(Store("sqlite://", clock=clock), FolderBlobs(tmp_path / "blobs"))
    for n in range(12):
        clock.set(1_000 - n)  # a clock that runs back
        registry.register("m", {"a.json": str(n).encode()})
        registry.register("a", {"a.json": str(n).encode()})
    assert [version.number for version in registry.versions("m")] == [*range(1, 13)]
    assert [(v.name, v.number) for v in registry.versions()] == [
        (name, n) for name in ("a", "m") for n in range(1, 13)
    ]


@pytest.mark.parametrize("name", ["model.pkl", "model.pt", "model.bin", "run.py", "x"])
def test_files_that_may_run_code_are_refused(registry: ModelRegistry, name: str) -> None:
    with pytest.raises(InvalidDataError, match="is of no safe kind"):
        registry.register("m", {name: b"1"})
    with pytest.raises(InvalidDataError, match="at least one file"):
        registry.register("m", {})


def test_rollback_walks_back_and_activation_is_compare_and_set(registry: ModelRegistry) -> None:
    one, two, three = (registry.register("m", {"a.json": str(n).encode()}).id for n in range(3))
    assert registry.activate("live", one, reason="first") is not None
    assert registry.activate("live", one, reason="again") is None
    registry.activate("live", two, reason="better", expect=one)
    with pytest.raises(StaleWriteError):
        registry.activate("live", three, reason="raced", expect=one)
    registry.activate("live", three, reason="best")
    assert registry.rollback("live", reason="worse").version == two
    assert registry.rollback("live", reason="worse still").version == one
    with pytest.raises(InvalidDataError, match="no earlier version"):
        registry.rollback("live", reason="and again")
    registry.activate("live", three, reason="fixed")
    assert registry.rollback("live", reason="not fixed").version == one
    assert len(registry.history("live")) == 7
    with pytest.raises(InvalidParameterError, match="expect must be True, None or a version id"):
        registry.activate("live", one, reason="why", expect=False)


def test_lineage_reaches_the_first_parent(registry: ModelRegistry) -> None:
    base = registry.register("m", {"a.json": b"1"})
    child = registry.register("m", {"a.json": b"2"}, lineage=Lineage(parents=(base.id,)))
    grandchild = registry.register("m", {"a.json": b"3"}, lineage=Lineage(parents=(child.id,)))
    assert [v.id for v in registry.lineage(grandchild.id)] == [grandchild.id, child.id, base.id]


def test_every_change_of_an_alias_is_told(tmp_path: Path) -> None:
    told: list[Activation] = []
    registry = ModelRegistry(
        Store("sqlite://"), FolderBlobs(tmp_path / "blobs"), on_change=told.append
    )
    one, two = (registry.register("m", {"a.json": str(n).encode()}).id for n in range(2))
    registry.activate("live", one, reason="first")
    registry.activate("live", one, reason="again")
    registry.activate("live", two, reason="better")
    registry.rollback("live", reason="worse")
    assert [(change.version, change.action, change.reason) for change in told] == [
        (one, "activated", "first"),
        (two, "activated", "better"),
        (one, "rolled_back", "worse"),
    ]
    assert registry.history("live") == told


def test_the_words_of_a_reason_make_no_rollback(registry: ModelRegistry) -> None:
    one, two, three = (registry.register("m", {"a.json": str(n).encode()}).id for n in range(3))
    registry.activate("live", one, reason="first")
    registry.activate("live", two, reason="rollback: of what was measured before")
    registry.activate("live", three, reason="rolled back")
    assert registry.rollback("live", reason="worse").version == two
    assert registry.rollback("live", reason="worse").version == one


class Listener:
    """Plugins that hear what the installed ones would hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def tell(self, hook: str, **news: Any) -> None:
        """Remember the hook and the version."""
        self.heard.append((hook, news["change"]["version"]))


def test_plugins_hear_of_every_change_that_a_host_makes(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    monkeypatch.setattr(installed.INSTALLED, "found", listener)
    one, two = (registry.register("m", {"a.json": str(n).encode()}).id for n in range(2))
    registry.activate("live", one, reason="first")
    registry.activate("live", two, reason="better")
    registry.rollback("live", reason="worse")
    assert listener.heard == [
        ("siamrec_version_activated", one),
        ("siamrec_version_activated", two),
        ("siamrec_rolled_back", one),
    ]


def test_verify_names_what_is_gone_and_what_was_changed(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    registry = ModelRegistry(Store("sqlite://"), FolderBlobs(folder))
    ids = [registry.register("m", {"w.json": f"[{n}]".encode()}).id for n in range(8)]
    files = {path.read_bytes(): path for path in folder.rglob("*") if path.is_file()}
    files[b"[1]"].unlink()
    files[b"[2]"].write_bytes(b"[3]")
    with pytest.raises(ModelLoadError) as told:
        registry.verify()
    assert f"w.json of version {ids[1][:12]} is gone" in str(told.value)
    assert f"w.json of version {ids[2][:12]} was changed" in str(told.value)
    assert "restore them from a backup" in str(told.value)
    for n in range(3, 8):
        files[f"[{n}]".encode()].unlink()
    with pytest.raises(ModelLoadError, match=", and 2 more: restore"):
        registry.verify()


def test_a_workspace_verifies_files_of_versions(shop: Workspace) -> None:
    assert shop.verify().files == len(shop.registry.versions()) > 0
    assert shop.store.file is not None
    folder = shop.store.file.with_name("app.db.models") / "sha256"
    changed = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    changed.write_bytes(changed.read_bytes() + b" ")
    with pytest.raises(ModelLoadError, match="was changed"):
        shop.verify()


@pytest.mark.parametrize(("durability", "waits"), [("power", 4), ("process", 0)])
def test_what_a_blob_survives_is_said(
    durability: Literal["power", "process"],
    waits: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    blobs = FolderBlobs(tmp_path, durability=durability)
    blobs.put("one", b"1")
    blobs.put("one", b"1")
    blobs.put_many({"two": b"2", "three": b"3", "four": b"4"})
    assert len(waited) == waits
    assert list(blobs.keys()) == ["four", "one", "three", "two"]
    with pytest.raises(UnknownNameError, match="power, process"):
        FolderBlobs(tmp_path, durability="disk")  # type: ignore[arg-type]


def test_drafts_of_killed_writers_are_swept_and_no_other(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put("a/one", b"1")
    drafts = tmp_path / ".drafts"
    assert list(drafts.iterdir()) == []
    old, fresh = drafts / "old", drafts / "fresh"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    long_ago = fresh.stat().st_mtime - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    blobs.put("a/one", b"1")  # nothing is written: nothing is swept
    assert old.exists()
    blobs.put("a/two", b"2")
    assert (old.exists(), fresh.exists()) == (False, True)
    assert list(blobs.keys()) == ["a/one", "a/two"]
