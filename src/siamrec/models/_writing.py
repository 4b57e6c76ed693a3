"""Writing files of models: whatever keeps them from being written is a `StorageError`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from siamrec.errors import SiamrecError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def writing(place: Path, *, archives: bool = False) -> Iterator[None]:
    """Tell what goes wrong with writing, and leave errors of our own as they are.

    Args:
        place: What is written, for the message.
        archives: Whether torch writes archives here, whose errors are bare `RuntimeError`.

    Raises:
        StorageError: If the disk, safetensors or torch cannot write.
    """
    from safetensors import SafetensorError

    kinds = (OSError, SafetensorError, *([RuntimeError] if archives else []))
    try:
        yield
    except SiamrecError:
        raise
    except kinds as error:
        raise StorageError(f"{place} cannot be written: {error}.") from error
