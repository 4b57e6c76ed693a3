"""The events that a run began with, kept in its folder: a log that goes on is read once."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, SiamrecError

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = "events.arrow"
_ROLES = ("kind", "value", "weight", "time", "decision", "position", "propensity", "query")


def told(feedback: Feedback) -> tuple[Feedback, bytes]:
    """Return events as their file gives them back, and the file."""
    import pyarrow as pa

    table = feedback.to_arrow()
    sink = BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return _feedback(table), sink.getvalue()


def begun_with(folder: Path, found: Feedback) -> Feedback:
    """Return the events that an unfinished run began with, where all of them are still there.

    What a source has beyond them came later, and is left for the next run. Where one of them is
    missing or was changed, what was found is returned, which the run is not bound to: it says so.

    Raises:
        InvalidDataError: If the file of the run's events is damaged.
    """
    path = folder / EVENTS
    if (folder / "summary.json").exists() or not path.exists():
        return found
    import pyarrow as pa

    try:
        with pa.OSFile(str(path)) as file:
            began = _feedback(pa.ipc.open_file(file).read_all())
    except (pa.ArrowException, OSError, SiamrecError) as error:
        raise InvalidDataError(
            f"{path} is damaged; remove it and progress.json to begin anew, or choose another "
            "folder."
        ) from error
    return began if _rows(began) <= _rows(found) else found


def _feedback(table: Any) -> Feedback:
    roles = {name: name for name in _ROLES if name in table.column_names}
    context = [name for name in table.column_names if name not in {"user", "item", *roles}]
    return Feedback.from_frame(table, **roles, context=context)


def _rows(feedback: Feedback) -> Counter[tuple[Any, ...]]:
    """Count the rows that are alike; a column that only one side has makes them differ."""
    table = feedback.to_arrow()
    table = table.select(sorted(table.column_names))
    head = tuple(table.column_names)
    return Counter((head, *row) for row in zip(*(c.to_pylist() for c in table), strict=True))
