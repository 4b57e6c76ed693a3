"""Reading a GGUF file with llama.cpp, where llama-cpp-python is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.models.encoders._texts import unit_rows

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.typing import Float32Array


def embed(path: Path, texts: list[str], *, length: int) -> Float32Array:
    """Return the unit vectors that llama.cpp computes; asked where llama-cpp-python is there."""
    import llama_cpp  # no extra brings it: it is built by a compiler; who has it is asked first

    model = llama_cpp.Llama(
        str(path), embedding=True, n_ctx=length, n_batch=length, n_ubatch=length, verbose=False
    )
    try:
        return unit_rows(np.array([model.embed(text, normalize=True) for text in texts]))
    finally:
        model.close()
