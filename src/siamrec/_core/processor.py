"""What the processor computes in hardware."""

from __future__ import annotations

_SAID_BY = {
    "bfloat16": ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
    "int8": ("_is_vnni_supported", "_is_amx_tile_supported"),
}


def multiplies(kind: str, cpu: object) -> bool:
    """Return whether products of matrices of this kind are faster here than those of float32.

    Args:
        kind: `"bfloat16"` or `"int8"`.
        cpu: `torch.cpu`, which knows; this floor does without torch.
    """
    # Its public table of features is younger than the oldest release that we take.
    return any(bool(getattr(cpu, probe, bool)()) for probe in _SAID_BY[kind])
