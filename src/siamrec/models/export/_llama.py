"""Reading a GGUF file with llama.cpp, where llama-cpp-python is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.lazy import extra
from siamrec.models.encoders._texts import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.typing import Float32Array


def embed(path: Path, texts: list[str], *, length: int) -> Float32Array:
    """Return the unit vectors that llama.cpp computes.

    Raises:
        MissingExtraError: If llama-cpp-python is not installed.
    """
    llama = extra("llama_cpp", extra="gguf", purpose="Checking with llama.cpp")
    model = llama.Llama(
        str(path), embedding=True, n_ctx=length, n_batch=length, n_ubatch=length, verbose=False
    )
    try:
        return unit_rows(np.array([model.embed(text, normalize=True) for text in texts]))
    finally:
        model.close()
