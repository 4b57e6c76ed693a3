"""The registry: content decides the version, aliases go back, nothing unsafe comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core import installed
from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError, StaleWriteError
from siamrec.lifecycle import Lineage, ModelRegistry
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from pathlib import Path

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
    (folder / "sub" / "weights.safetensors").write_bytes(b"\x00\x01")
    version = registry.register("m", folder)
    back = registry.fetch(version.id, tmp_path / "back")
    assert (back / "config.json").read_text() == "{}"
    assert (back / "sub" / "weights.safetensors").read_bytes() == b"\x00\x01"


def test_changed_or_lost_files_are_noticed(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registry.register("m", {"a.json": b"1"})
    blob = next(path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    blob.write_bytes(b"2")
    with pytest.raises(ModelLoadError, match=r"a\.json of version .* was changed"):
        registry.fetch(version.id, tmp_path / "back")
    blob.unlink()
    with pytest.raises(ModelLoadError, match=r"a\.json of version .* is gone"):
        registry.fetch(version.id, tmp_path / "back")


def test_a_path_cannot_leave_its_folder(registry: ModelRegistry, tmp_path: Path) -> None:
    version = registry.register("m", {"../outside.json": b"1"})
    with pytest.raises(ModelLoadError, match="leaves its folder"):
        registry.fetch(version.id, tmp_path / "back")
    assert not (tmp_path / "outside.json").exists()


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
        registry.activate("live", one, reason="", expect=False)


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
