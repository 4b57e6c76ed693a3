"""ConPort in its forms: a database of its schema, a folder of JSON, a client."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, MissingExtraError, StorageError
from siamrec.feedback import (
    ConPortDocuments,
    ConPortFeedback,
    ConPortSession,
    conport_entries,
    conport_server,
)

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


class Session:
    """What a ConPort server answers, as version 1 or 2 of the MCP package tells it."""

    def __init__(self, answer: object, version: int = 2) -> None:
        self.answer = answer
        self.version = version
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> object:
        self.calls.append((name, arguments))
        part = SimpleNamespace(type="text", text=json.dumps(self.answer))
        if self.version == 2:
            found = {"result": self.answer}
            return SimpleNamespace(content=[part], structured_content=found, is_error=False)
        if self.version == 1:
            return SimpleNamespace(content=[part], structuredContent=None, isError=False)
        return SimpleNamespace(content=[part], isError=True)


FORMS = ["file", "workspace", "folder", "local", "client", "text", "entries", "mcp1", "mcp2"]


@pytest.mark.parametrize("form", FORMS)
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
        "entries": lambda: answer,
        "mcp1": lambda: ConPortSession(Session(answer, 1), tmp_path, run=asyncio.run),
        "mcp2": lambda: ConPortSession(Session(answer, 2), tmp_path, run=asyncio.run),
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


def test_new_and_changed_entries_come_after_the_last(tmp_path: Path) -> None:
    path = _database(tmp_path / "context.db")
    source = ConPortFeedback(path)
    first = source.load()
    assert (len(first.feedback), first.last) == (3, 7)
    assert source.load(after=first.last).last == first.last
    assert len(source.load(after=first.last).feedback) == 0
    changed = json.dumps({**ENTRIES["f2"], "rating": 5})
    with sqlite3.connect(path) as base:  # as the server writes: a changed entry is a new row
        base.execute(
            "INSERT OR REPLACE INTO custom_data (category, key, value) VALUES (?, ?, ?)",
            ("UserFeedback", "f2", changed),
        )
    base.close()
    second = source.load(after=first.last)
    assert second.feedback.value.tolist() == [5.0]
    assert second.last == 8
    answer = [{"id": 3, "key": "a", "value": ENTRIES["f1"]}, {"id": 4, "key": "b", "value": "{}"}]
    assert len(ConPortFeedback(answer).load(after=3).feedback) == 0
    assert ConPortFeedback(answer).load(after=2).last == 4


def test_what_was_said_beside_the_rating_is_kept() -> None:
    value = {
        **ENTRIES["f1"],
        "response": "They float.",
        "metadata": {"sentiment": "positive"},
        "conversation_context": {"is_follow_up": True, "history_length": 2},
    }
    feedback = ConPortFeedback([{"key": "f1", "value": value}]).load().feedback
    assert feedback.context["response"].tolist() == ["They float."] * 2
    assert feedback.context["sentiment"].tolist() == ["positive"] * 2
    assert feedback.context["is_follow_up"].tolist() == [True] * 2
    plain = ConPortFeedback([{"key": "f1", "value": ENTRIES["f1"]}]).load().feedback
    assert "sentiment" not in plain.context


def test_documents_are_resolved(tmp_path: Path) -> None:
    path = _database(tmp_path / "context.db")
    with sqlite3.connect(path) as base:
        base.executemany(
            "INSERT INTO custom_data (category, key, value) VALUES ('Documents', ?, ?)",
            [("d1", json.dumps({"content": "Boats float."})), ("d3", json.dumps("Plain."))],
        )
    base.close()
    documents = ConPortDocuments(path)
    assert documents.texts(["d3", "d1", "nothing"]) == ["Plain.", "Boats float.", None]
    catalog = ConPortFeedback(path).load().catalog(documents)
    assert catalog.items.ids == ("d1", "d2")
    assert catalog.text == ("Boats float.", None)
    assert ConPortDocuments([{"key": "d", "value": {"content": 7}}]).texts(["d"]) == [None]


def test_a_session_calls_the_tools_of_the_server() -> None:
    session = Session([])
    client = ConPortSession(session, "/work", run=asyncio.run)
    client.log_custom_data(category="UserFeedback", key="f", value={"rating": 3})
    assert client.get_custom_data(category="UserFeedback") == []
    assert asyncio.run(conport_entries(session, "/work")) == []
    named = {"workspace_id": "/work", "category": "UserFeedback"}
    assert session.calls == [
        ("log_custom_data", {**named, "key": "f", "value": {"rating": 3}}),
        ("get_custom_data", named),
        ("get_custom_data", named),
    ]
    with pytest.raises(InvalidDataError, match="ConPort refused get_custom_data"):
        asyncio.run(conport_entries(Session("no such workspace", 0), "/work"))
    with pytest.raises(InvalidDataError, match="must answer with a list of entries, got 7"):
        asyncio.run(conport_entries(Session(7, 1), "/work"))


def test_a_server_needs_its_client() -> None:
    if "mcp" in sys.modules or os.environ.get("SIAMREC_TEST_CONPORT"):
        pytest.skip("it is installed")
    with pytest.raises(MissingExtraError, match=r"siamrec\[conport\]"), conport_server("/work"):
        pass


@pytest.mark.conport
def test_the_real_server_takes_and_gives_feedback(tmp_path: Path) -> None:
    command = os.environ.get("SIAMREC_TEST_CONPORT")
    if not command:
        pytest.skip("SIAMREC_TEST_CONPORT names no server")
    offline = {"HF_HUB_OFFLINE": "1"}  # the server embeds what it stores, where it can
    with conport_server(tmp_path, command=[command], env=offline) as client:
        for key, value in ENTRIES.items():
            client.log_custom_data(category="UserFeedback", key=key, value=value)
        client.log_custom_data(category="Documents", key="d1", value={"content": "Boats float."})
        by_session = ConPortFeedback(client).load()
        by_file = ConPortFeedback(tmp_path).load()
        assert by_session.keys == by_file.keys
        assert by_session.last == by_file.last == 5
        assert len(by_session.feedback) == 3
        assert {row.data["key"] for row in by_file.rejected} == {"bad1", "bad2", "bad3"}
        catalog = by_file.catalog(ConPortDocuments(tmp_path))
        assert catalog.text == ("Boats float.", None)
        changed = {**ENTRIES["f1"], "rating": 1}
        client.log_custom_data(category="UserFeedback", key="f1", value=changed)
        for place in (client, tmp_path):
            later = ConPortFeedback(place).load(after=by_file.last)
            assert later.feedback.value.tolist() == [1.0, 1.0]
            assert set(later.keys).isdisjoint(by_file.keys)
    with (
        pytest.raises(StorageError, match="ConPort did not start with"),
        conport_server(tmp_path, command=["/bin/false"], timeout="20s"),
    ):
        pass
