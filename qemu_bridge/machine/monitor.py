"""QMP, QEMU's control socket: commands with a time limit, and events as they come.

>>> async with Monitor.connect(sock) as monitor:
...     await monitor.execute("query-status")
{'status': 'running', 'running': True}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.message import Message

from ..errors import MachineError, MachineGoneError, UsageError

TIMEOUT_S = 20.0
_END_S = 3.0
COMMAND_LIMIT = 64 << 10
"""Bytes of a command. QEMU takes ten seconds to parse one of a MiB, and the guest stands still meanwhile."""
REPLY_LIMIT = 256 << 20
"""Bytes of a reply; a longer one ends the connection."""

logger = logging.getLogger(__name__)


class _Client(QMPClient):
    """The library's client ends the connection when QEMU cannot parse a command; this one does not.

    QEMU answers such a command in its turn, without an id, and what stands behind the place where it gave up once more, as
    commands of their own.

    Attributes:
        is_behind: whether more answers to a command that QEMU could not parse may come.
    """

    is_behind = False
    _is_catching_up = False

    async def _on_message(self, msg: Message) -> None:
        if "error" in msg and "id" not in msg:
            self.is_behind = True
            if self._is_catching_up or not self._pending:
                logger.warning("QEMU could not parse a command, or the rest of one: %s", msg)
                return
            # One command at a time is under way (`Monitor.execute`).
            msg["id"] = next(iter(self._pending))
        await super()._on_message(msg)

    async def catch_up(self) -> None:
        """Pass over what QEMU still says about a command that it could not parse."""
        self._is_catching_up = True
        try:
            await self.execute("query-status")  # has an id, and is answered after them
            self.is_behind = False
        finally:
            self._is_catching_up = False


class Monitor:
    """One QMP connection. Events queue without bound, so read `events`."""

    def __init__(self, client: _Client, listener: EventListener) -> None:
        self._client = client
        self._listener = listener
        # QEMU runs one command after the other anyway; so an answer without an id belongs to the only one that waits.
        self._turn = asyncio.Lock()

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, sock: socket.socket, name: str, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Monitor]:
        """Negotiate with the QEMU at the other end of `sock`; `MachineError` when it is silent for `timeout_s`."""
        client = _Client(name, readbuflen=REPLY_LIMIT)
        with client.listener() as listener:
            try:
                async with asyncio.timeout(timeout_s):
                    await client.connect(sock)
            except (QMPError, TimeoutError, OSError) as error:
                raise MachineError(f"QEMU does not answer on its QMP socket ({error}); see the daemon's log") from None
            try:
                yield cls(client, listener)
            finally:
                with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                    async with asyncio.timeout(_END_S):
                        await client.disconnect()

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:  # noqa: ANN401  # whatever QEMU returns
        """Run QMP `command` and return what it returns.

        Raises `UsageError` for what JSON cannot say, `MachineError` when QEMU refuses or is silent for `timeout_s`,
        `MachineGoneError` when it ended.
        """
        _check(command, arguments)
        try:
            async with asyncio.timeout(timeout_s), self._turn:
                if self._client.is_behind:
                    await self._client.catch_up()
                return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise MachineError(f"QEMU refuses {command}: {error}") from None
        except TimeoutError:
            raise MachineError(
                f"QEMU did not answer {command} within {timeout_s:g} s; is the host overloaded?"
            ) from None
        except (QMPError, OSError) as error:
            raise MachineGoneError(f"QEMU ended or closed its QMP connection during {command} ({error})") from None

    async def hmp(self, line: str) -> str:
        """Output of human monitor command `line`, such as ``info mtree -f``."""
        text = await self.execute("human-monitor-command", {"command-line": line})
        return str(text)

    async def events(self) -> AsyncIterator[Message]:
        """Yield QMP events until the connection ends."""
        async for event in self._listener:
            yield event

    async def closed(self) -> None:
        """Return when the other end has closed the connection."""
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()


def _check(command: str, arguments: dict[str, Any] | None) -> None:
    """`UsageError` for a command that is not JSON in UTF-8, or larger than `COMMAND_LIMIT`."""
    try:
        size = len(json.dumps([command, arguments], ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError as error:
        place = ascii(str(error.object)[error.start : error.end])
        raise UsageError(f"QMP takes text in UTF-8, and {place} is not; give it as valid text") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"these are not arguments in JSON ({error}); leave out NaN, infinity and deep nesting"
        ) from None
    if size > COMMAND_LIMIT:
        raise UsageError(
            f"a QMP command of {size} bytes is too long for QEMU to parse in time; give at most {COMMAND_LIMIT}"
        )
