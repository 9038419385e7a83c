"""A live picture of one machine or several over a WebSocket: commands from the browser to a process that draws, pictures and messages back.

The process (``python -m viewer live``) belongs to one connection and ends with it. Text frames are commands and messages as
`qemu_bridge.wire.live_records` has them, binary frames are JPEG pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

import anyio
import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import GlassBoxError, UsageError
from ..host.tasks import TaskSet
from ..wire import connection
from ..wire.json_text import encode_json
from ..wire.live_records import FRAME, MAX_SIDE, PICTURE, AnyCommand, Problem
from .access import SUBPROTOCOL
from .pictures import names_beside

MOST_PICTURES, MOST_MACHINES = 4, 8
"""Processes that draw at the same time, and machines in one picture: each takes memory as the guest has, and a share of the processors."""
_MOST_BYTES = 4 * MAX_SIDE * MAX_SIDE
_PATIENCE_S = 1.0
"""How long a process may take to end: less than a service that ends waits for its connections."""


class LivePictures:
    """The pictures that somebody looks at now."""

    def __init__(self) -> None:
        self._count = 0

    async def show(self, websocket: WebSocket, name: str) -> None:
        """Draw machine `name`, and those that the query names ``beside`` it, for the other end of `websocket` until either ends."""
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            names = (name, *names_beside(websocket.query_params.get("beside", "")))
            if len(names) > MOST_MACHINES:
                raise UsageError(
                    f"a live picture has up to {MOST_MACHINES} machines, and these are {len(names)}; name fewer"
                )
            for each in names:
                connection.find_connection(each)
        except GlassBoxError as error:
            await _end(websocket, str(error))
            return
        if self._count >= MOST_PICTURES:
            await _end(websocket, f"{MOST_PICTURES} live pictures are drawn already; close one of them")
            return
        self._count += 1
        try:
            await _relay(websocket, names)
        finally:
            self._count -= 1


async def _relay(websocket: WebSocket, names: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "viewer", "live", *names, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    tasks = TaskSet()
    try:
        ways = [
            tasks.start(_to_process(websocket, process), "commands"),
            tasks.start(_to_browser(websocket, process), "pictures"),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        with anyio.CancelScope(shield=True):
            await tasks.cancel_all()
            await _end_process(process)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close()


async def _end_process(process: Process) -> None:
    """Let the process end by the end of its input; kill it if it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await process.wait()
    except BaseException as error:
        # Also where the service ends meanwhile and waits no longer: nobody draws for nobody.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if not isinstance(error, TimeoutError):
            raise
        await process.wait()


async def _to_process(websocket: WebSocket, process: Process) -> None:
    assert process.stdin is not None
    with contextlib.suppress(WebSocketDisconnect, ConnectionError):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                command = msgspec.json.decode(message.get("text") or b"", type=AnyCommand)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                await websocket.send_text(encode_json(Problem(f"that is no command ({error})")).decode())
                continue
            process.stdin.write(encode_json(command) + b"\n")
            await process.stdin.drain()


async def _to_browser(websocket: WebSocket, process: Process) -> None:
    assert process.stdout is not None
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        try:
            while True:
                kind, size = FRAME.unpack(await process.stdout.readexactly(FRAME.size))
                if size > _MOST_BYTES:
                    return
                content = await process.stdout.readexactly(size)
                if kind == PICTURE:
                    await websocket.send_bytes(content)
                else:
                    await websocket.send_text(content.decode())
        except asyncio.IncompleteReadError:
            await _end(websocket, "the process that draws has ended; see whether 'glassbox snap' works here")


async def _end(websocket: WebSocket, message: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.send_text(encode_json(Problem(message, is_end=True)).decode())
        await websocket.close()
