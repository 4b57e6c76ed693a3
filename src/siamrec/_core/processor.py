"""What the processor computes in hardware."""

from __future__ import annotations

_SAID_BY = {
    "bfloat16": ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
    "int8": ("_is_vnni_supported", "_is_amx_tile_supported"),
}


def multiplies(kind: str) -> bool:
    """Return whether products of matrices of this kind are faster here than those of float32.

    Args:
        kind: `"bfloat16"` or `"int8"`. Only processors that PyTorch knows are said to.
    """
    import torch  # noqa: PLC0415  (heavy; only callers that compute need it)

    # Its public table of features is younger than the oldest release that we take.
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in _SAID_BY[kind])
