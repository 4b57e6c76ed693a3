"""ConPort in its forms: a database of its schema, a folder of JSON, a client."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, StorageError
from siamrec.feedback import ConPortFeedback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENTRIES: dict[str, Any] = {
    "f1": {
        "feedback_id": "f1",
        "timestamp": 1_700_000_000.5,
        "session_id": "s1",
        "rating": 4,
        "query": "boats",
        "document_ids": ["d1", "d2"],
        "detailed_feedback": {"relevance": 5, "comments": "good"},
    },
    "f2": {
        "timestamp": "2023-11-14T22:13:19+00:00",
        "rating": 2,
        "query": "trains",
        "document_ids": ["d1"],
    },
    "bad1": {"rating": 6, "document_ids": ["d1"]},
    "bad2": {"rating": 3, "document_ids": []},
    "bad3": {"rating": 3, "document_ids": ["d"], "timestamp": "yesterday"},
}


def _database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as base:
        base.execute(
            "CREATE TABLE custom_data (id INTEGER PRIMARY KEY, timestamp DATETIME, "
            "category VARCHAR(255), key VARCHAR(255), value TEXT, UNIQUE(category, key))"
        )
        base.executemany(
            "INSERT INTO custom_data (category, key, value) VALUES (?, ?, ?)",
            [
                *(("UserFeedback", key, json.dumps(value)) for key, value in ENTRIES.items()),
                ("Another", "x", "{}"),
                ("UserFeedback", "bad4", "not json"),
            ],
        )
    base.close()
    return path


def _folder(root: Path) -> Path:
    folder = root / ".conport_local" / "UserFeedback"
    folder.mkdir(parents=True)
    for key, value in ENTRIES.items():
        entry = {"key": key, "value": value, "metadata": {}, "timestamp": 0}
        (folder / f"{key}.json").write_text(json.dumps(entry))
    (folder / "bad4.json").write_text("not json")
    return root


class Client:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def get_custom_data(self, *, category: str) -> object:
        assert category == "UserFeedback"
        return self.answer


@pytest.mark.parametrize("form", ["file", "workspace", "folder", "local", "client", "text"])
def test_every_form_gives_the_same(tmp_path: Path, form: str) -> None:
    answer = [{"key": key, "value": value} for key, value in ENTRIES.items()]
    answer.append({"key": "bad4", "value": "not json"})
    make: dict[str, Callable[[], Any]] = {
        "file": lambda: _database(tmp_path / "context.db"),
        "workspace": lambda: _database(tmp_path / "context_portal" / "context.db").parent.parent,
        "folder": lambda: _folder(tmp_path),
        "local": lambda: _folder(tmp_path) / ".conport_local",
        "client": lambda: Client(answer),
        "text": lambda: Client(json.dumps({"result": answer})),
    }
    source = ConPortFeedback(make[form]())
    loaded = source.load()
    assert {row.data["key"] for row in loaded.rejected} == {"bad1", "bad2", "bad3", "bad4"}
    (batch,) = source.read()
    assert batch.users.decode(batch.user) == ["f2", "s1", "s1"]
    assert batch.items.decode(batch.item) == ["d1", "d1", "d2"]
    assert batch.value.tolist() == [2, 4, 4]
    assert batch.time.tolist() == [1_699_999_999 * 10**9] + [1_700_000_000_500_000_000] * 2
    assert batch.query is not None
    assert batch.queries.decode(batch.query) == ["trains", "boats", "boats"]
    assert batch.context["comment"].tolist() == [None, "good", "good"]
    assert np.isnan(batch.context["relevance"][0])
    assert batch.context["relevance"][1] == 5
    assert len(set(loaded.keys)) == 3
    assert all(len(key) == 64 for key in loaded.keys)


def test_keys_follow_the_content() -> None:
    entry = {"key": "f", "value": {"rating": 4, "timestamp": 1, "document_ids": ["d"]}}
    changed = {"key": "f", "value": {**entry["value"], "rating": 5}}  # type: ignore[dict-item]
    one, same, other = (
        ConPortFeedback(Client([each])).load().keys for each in (entry, dict(entry), changed)
    )
    assert one == same != other


def test_what_is_no_conport_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no ConPort at"):
        ConPortFeedback(tmp_path / "nothing").load()
    (tmp_path / "x.db").write_text("this is no database, but some text " * 30)
    with pytest.raises(StorageError, match="cannot be read"):
        ConPortFeedback(tmp_path / "x.db").load()
    with pytest.raises(InvalidDataError, match="must answer with a list of entries"):
        ConPortFeedback(Client(7)).load()
    assert len(ConPortFeedback(Client([])).load().feedback) == 0
