"""QMP, QEMU's control socket: commands with a time limit, and events as they come.

>>> async with Monitor.connect(sock) as monitor:
...     await monitor.execute("query-status")
{'status': 'running', 'running': True}
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

from qemu.qmp import EventListener, ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.message import Message

from ..errors import MachineError, MachineGoneError

TIMEOUT_S = 20.0


class Monitor:
    """One QMP connection. Events queue without bound, so read `events`."""

    def __init__(self, client: QMPClient, listener: EventListener) -> None:
        self._client = client
        self._listener = listener

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, sock: socket.socket, name: str, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Monitor]:
        """Negotiate with the QEMU at the other end of `sock`; `MachineError` when it is silent for `timeout_s`."""
        client = QMPClient(name)
        with client.listener() as listener:
            try:
                await asyncio.wait_for(client.connect(sock), timeout_s)
            except (QMPError, TimeoutError, OSError) as error:
                raise MachineError(f"QEMU does not answer on its QMP socket ({error}); see the daemon's log") from None
            try:
                yield cls(client, listener)
            finally:
                with contextlib.suppress(QMPError, EOFError, OSError):
                    await client.disconnect()

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:  # noqa: ANN401  # whatever QEMU returns
        """Run QMP `command` and return what it returns.

        Raises `MachineError` when QEMU refuses or is silent for `timeout_s`, `MachineGoneError` when it ended.
        """
        try:
            return await asyncio.wait_for(self._client.execute(command, arguments), timeout_s)
        except ExecuteError as error:
            raise MachineError(f"QEMU refuses {command}: {error}") from None
        except TimeoutError:
            raise MachineError(
                f"QEMU did not answer {command} within {timeout_s:g} s; is the host overloaded?"
            ) from None
        except (QMPError, OSError) as error:
            raise MachineGoneError(f"QEMU ended during {command} ({error})") from None

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
