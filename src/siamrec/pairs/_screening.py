"""Inner products in low precision, to find the few that are worth float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import numpy as np

from siamrec._core.processor import multiplies

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

    from siamrec.typing import Float32Array

_LARGEST = 127


class Screen(Protocol):
    """Products of queries with all texts, in a precision that the processor likes."""

    def products(self, queries: Float32Array) -> npt.NDArray[np.number]:
        """Return what orders the texts of each query, `(n, m)`; good until the next call."""
        ...

    def unit(self, queries: Float32Array) -> Float32Array:
        """Return what one of `products` stands for, `(n, 1)`."""
        ...


@final
class Bfloat16Screen:
    """Products of bfloat16: 8 bits of every number.

    Args:
        texts: Vectors, `(m, dim)`.
    """

    def __init__(self, texts: Float32Array) -> None:
        import torch

        self._texts = torch.from_numpy(texts).to(torch.bfloat16).T

    def products(self, queries: Float32Array) -> npt.NDArray[np.number]:
        """Return inner products as far as bfloat16 tells."""
        import torch

        low = torch.mm(torch.from_numpy(queries).to(torch.bfloat16), self._texts)
        found: Float32Array = low.float().numpy()
        return found

    def unit(self, queries: Float32Array) -> Float32Array:
        """Return ones: the products stand for themselves."""
        return np.ones((queries.shape[0], 1), dtype=np.float32)


@final
class Int8Screen:
    """Products of whole numbers up to 127: one step for all texts, and one of each query.

    Args:
        texts: Vectors, `(m, dim)`.
    """

    def __init__(self, texts: Float32Array) -> None:
        import torch

        step = max(float(texts.max(initial=0.0)), -float(texts.min(initial=0.0))) / _LARGEST
        whole = np.empty(texts.shape, dtype=np.int8)
        for begin in range(0, texts.shape[0], 1_024):  # drafts that stay in the cache
            part = slice(begin, begin + 1_024)
            np.rint(texts[part] / (step or 1.0), out=whole[part], casting="unsafe")
        self._texts = torch.from_numpy(whole).T
        self._step = step
        self._found: torch.Tensor | None = None

    def products(self, queries: Float32Array) -> npt.NDArray[np.number]:
        """Return products of whole numbers."""
        import torch

        steps = self._steps(queries)
        whole = np.rint(queries / np.where(steps > 0, steps, 1.0)).astype(np.int8)
        shape = (queries.shape[0], self._texts.shape[1])
        if self._found is None or self._found.shape != shape:
            # One buffer for all: new memory would cost a fifth of the time of the product.
            self._found = torch.empty(shape, dtype=torch.int32)
        torch._int_mm(torch.from_numpy(whole), self._texts, out=self._found)  # noqa: SLF001  (it has no other name)
        found: npt.NDArray[np.int32] = self._found.numpy()
        return found

    def unit(self, queries: Float32Array) -> Float32Array:
        """Return the step of each query times the step of the texts."""
        found: Float32Array = self._steps(queries) * np.float32(self._step)
        return found

    def _steps(self, queries: Float32Array) -> Float32Array:
        largest: Float32Array = np.abs(queries).max(axis=1, keepdims=True, initial=0.0)
        return largest / np.float32(_LARGEST)


def screen() -> Callable[[Float32Array], Screen] | None:
    """Return the screen that this processor is fast at, or None where it has none."""
    import torch

    if multiplies("bfloat16", torch.cpu):
        return Bfloat16Screen
    return Int8Screen if multiplies("int8", torch.cpu) and hasattr(torch, "_int_mm") else None
