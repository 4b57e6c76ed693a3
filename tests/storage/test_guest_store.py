"""A store of somebody else keeps the promises that ours keep."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from siamrec.testing.stores import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = Path(__file__).parents[1] / "guest_plugin" / "src" / "siamrec_guest" / "store.py"


@pytest.fixture(autouse=True, scope="module")
def guest() -> Iterator[Any]:
    """Give the module as it stands here, whether or not the plugin is installed."""
    name = "siamrec_guest_store"
    spec = importlib.util.spec_from_file_location(name, _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


class TestGuestStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, guest: Any) -> None:
        self.folder = tmp_path
        self.guest = guest
        self.n = 0

    @override
    def empty(self) -> Any:
        self.n += 1
        return self.guest.JsonLinesStore(self.folder / f"{self.n}.jsonl")

    @override
    def reopened(self, store: Any) -> Any:
        return self.guest.JsonLinesStore(store.path)
