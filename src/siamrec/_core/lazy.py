"""Optional packages, imported on use with a message that holds the pip line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from siamrec.errors import MissingExtraError


def extra(module: str, *, extra: str, purpose: str) -> Any:
    """Return an optional module.

    Args:
        module: Full module name, such as `plotly.graph_objects`.
        extra: The extra of siamrec that installs it.
        purpose: What needs it; begins the error message.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(extra, purpose) from error
