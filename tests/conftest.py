"""What holds for every test: no network, and one thread for numbers that do not wander."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder named by SIAMREC_DATA."""
    folder = os.environ.get("SIAMREC_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SIAMREC_DATA names no folder.")
    return Path(folder)
