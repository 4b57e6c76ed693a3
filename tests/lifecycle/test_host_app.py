"""The example of a whole application serves lists and takes clicks."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

APPS = Path(__file__).parents[2] / "examples" / "host_app"


def ask(application: Callable[..., Any], path: str, query: str) -> tuple[str, str]:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": query}
    said: list[str] = []
    body = application(environ, lambda status, _headers: said.append(status))
    return said[0], b"".join(body).decode()


@pytest.mark.parametrize("name", ["app.py", "wsgi.py"])
def test_it_fits_a_page(name: str) -> None:
    assert len((APPS / name).read_text(encoding="utf-8").splitlines()) <= 40


def test_it_serves_takes_clicks_and_answers_bad_requests(tmp_path: Path) -> None:
    made = runpy.run_path(str(APPS / "wsgi.py"))["application"](tmp_path / "app.db")
    status, body = ask(made, "/home", "user=person-0007&request=r1")
    assert status == "200 OK"
    shown = json.loads(body)
    assert len(shown["items"]) == 10
    assert ask(made, "/home", "user=person-0007&request=r1") == (status, body)
    status, receipt = ask(made, "/click", f"list={shown['id']}&item={shown['items'][0]}")
    assert (status, "1 accepted" in receipt) == ("200 OK", True)
    status, again = ask(made, "/home", "user=person-0007")
    assert shown["items"][0] not in json.loads(again)["items"]
    status, said = ask(made, "/click", "list=unknown&item=x")
    assert (status, "recommendation of this workspace" in said) == ("400 Bad Request", True)


def test_it_does_so_under_fastapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.setenv("APP_DB", str(tmp_path / "app.db"))
    client = testclient.TestClient(runpy.run_path(str(APPS / "app.py"))["application"]())
    shown = client.get("/home", params={"user": "person-0007", "request": "r1"}).json()
    assert len(shown["items"]) == 10
    assert client.get("/home", params={"user": "person-0007", "request": "r1"}).json() == shown
    clicked = {"shown": shown["id"], "item": shown["items"][0]}
    assert "1 accepted" in client.post("/click", params=clicked).text
    again = client.get("/home", params={"user": "person-0007"}).json()
    assert shown["items"][0] not in again["items"]
    refused = client.post("/click", params={"shown": "unknown", "item": "x"})
    assert (refused.status_code, "recommendation of this workspace" in refused.text) == (400, True)
