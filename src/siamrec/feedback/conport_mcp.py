"""ConPort over the Model Context Protocol: a client on a session, and a server to start."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, final

from typing_extensions import override

from siamrec._core.clock import SECOND, duration
from siamrec._core.lazy import extra
from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidDataError, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

_SECONDS_TO_END = 10.0


class McpSession(Protocol):
    """What is used of an MCP `ClientSession`."""

    def call_tool(self, name: str, arguments: dict[str, Any]) -> Awaitable[Any]:
        """Call a tool of the server."""
        ...


@final
class ConPortSession(Shown):
    """A client for `ConPortFeedback` over an MCP session that a host has open.

    MCP sessions are asynchronous and belong to one event loop; `run` says how a coroutine is run
    on it to its end. From the loop's own thread use `conport_entries` and await it.

    Args:
        session: An initialised session with a ConPort server.
        workspace: The server's workspace.
        run: Runs a coroutine to its end, such as
            `lambda call: asyncio.run_coroutine_threadsafe(call, loop).result()`.

    Examples:
        >>> class Session:
        ...     async def call_tool(self, name, arguments):
        ...         return type("Result", (), {"content": [], "structuredContent": {"result": [
        ...             {"id": 1, "key": "f1", "value": {"rating": 5, "timestamp": 1.0,
        ...                                              "document_ids": ["d1"]}}]}})
        >>> from siamrec.feedback import ConPortFeedback
        >>> client = ConPortSession(Session(), "/work", run=asyncio.run)
        >>> ConPortFeedback(client).load().feedback.value.tolist()
        [5.0]
    """

    def __init__(
        self,
        session: McpSession,
        workspace: str | Path,
        *,
        run: Callable[[Coroutine[Any, Any, Any]], Any],
    ) -> None:
        self._session = session
        self._workspace = workspace
        self._run = run

    @override
    def title(self) -> str:
        return f"ConPort session on {self._workspace}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "workspace": self._workspace,
        }
        return Table.of(self.title(), facts)

    def get_custom_data(self, *, category: str) -> list[Mapping[str, Any]]:
        """Return the entries of a category.

        Raises:
            siamrec.errors.InvalidDataError: If the server answers with something else.
        """
        found: list[Mapping[str, Any]] = self._run(
            conport_entries(self._session, self._workspace, category)
        )
        return found

    def log_custom_data(self, *, category: str, key: str, value: object) -> None:
        """Write an entry, as an application does that collects feedback."""
        given = {"category": category, "key": key, "value": value}
        self._run(_called(self._session, "log_custom_data", self._workspace, given))


async def conport_entries(
    session: McpSession, workspace: str | Path, category: str = "UserFeedback"
) -> list[Mapping[str, Any]]:
    """Return the entries of a category, for `ConPortFeedback(entries)`.

    Raises:
        siamrec.errors.InvalidDataError: If the server answers with something else.
    """
    found = await _called(session, "get_custom_data", workspace, {"category": category})
    entries = found.get("result", found) if isinstance(found, dict) else found
    if not isinstance(entries, list):
        raise InvalidDataError(f"ConPort must answer with a list of entries, got {found!r:.100}.")
    return entries


@contextmanager
def conport_server(
    workspace: str | Path,
    *,
    command: Sequence[str] = ("conport-mcp",),
    env: Mapping[str, str] | None = None,
    timeout: str | timedelta | float = "2m",
) -> Iterator[ConPortSession]:
    """Start a ConPort server over standard input and output, and give a client of it.

    Args:
        workspace: The server's workspace; its database comes to lie in it.
        command: The server's program, with arguments of your own.
        env: Further environment variables.
        timeout: Longest time until the server answers first; it loads a language model.

    Raises:
        siamrec.errors.MissingExtraError: If the package `mcp` is not installed.
        siamrec.errors.StorageError: If the server cannot be started.
    """
    mcp = extra("mcp", extra="conport", purpose="A ConPort server")
    stdio = extra("mcp.client.stdio", extra="conport", purpose="A ConPort server")
    arguments = [*command[1:], "--mode", "stdio", "--workspace_id", str(workspace)]
    server = mcp.StdioServerParameters(
        command=command[0], args=arguments, env=None if env is None else dict(env)
    )
    seconds = duration("timeout", timeout) / SECOND
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="siamrec-conport", daemon=True)
    thread.start()
    opened: Future[McpSession] = Future()
    done = asyncio.Event()

    def run(call: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    async def serve() -> None:
        try:
            async with stdio.stdio_client(server) as ways, mcp.ClientSession(*ways) as session:
                await session.initialize()
                opened.set_result(session)
                await done.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    served = asyncio.run_coroutine_threadsafe(serve(), loop)
    try:
        try:
            session = opened.result(timeout=seconds)
        except Exception as error:
            served.cancel()
            raise StorageError(
                f"ConPort did not start with {list(command)}: {error!r}."
            ) from error
        yield ConPortSession(session, workspace, run=run)
    finally:
        loop.call_soon_threadsafe(done.set)
        with suppress(CancelledError, TimeoutError):
            served.result(timeout=_SECONDS_TO_END)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _called(
    session: McpSession, tool: str, workspace: str | Path, given: Mapping[str, object]
) -> Any:
    answer = await session.call_tool(tool, {"workspace_id": str(workspace), **given})
    said = [text for part in answer.content if (text := getattr(part, "text", None))]
    if getattr(answer, "is_error", False) or getattr(answer, "isError", False):
        raise InvalidDataError(f"ConPort refused {tool}: {' '.join(said)[:200]}")
    for name in ("structured_content", "structuredContent"):  # of mcp 2 and 1
        found = getattr(answer, name, None)
        if found is not None:
            return found
    try:
        return json.loads("".join(said) or "[]")
    except ValueError as error:
        raise InvalidDataError(f"ConPort must answer with JSON, got {said!r:.100}.") from error
