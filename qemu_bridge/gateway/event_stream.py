"""Events of a machine as Server-Sent Events, which browsers and ``curl -N`` read.

Each event is ``event: KIND`` and ``data:`` with its JSON, as in docs/protocol.md. The current state comes first, the machine's end
last. A comment every 15 s shows that the connection lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
from starlette.responses import Response, StreamingResponse

from ..host.tasks import TaskSet
from ..wire.event_records import AnyEvent
from ..wire.json_text import encode_json
from .machines import Machines

QUIET_S = 15.0
_STILL_HERE = b": still here\n\n"


def stream_events(machines: Machines, name: str) -> Response:
    """The events of machine `name` from now on; ends with it. `UnknownMachineError` if there is none."""
    events = machines.client(name).events()
    return StreamingResponse(encode_events(events, machines.ending), media_type="text/event-stream")


async def encode_events(
    events: AsyncGenerator[AnyEvent, None], ending: asyncio.Event, quiet_s: float = QUIET_S
) -> AsyncIterator[bytes]:
    """Yield the text of each event, and a comment after `quiet_s` without one, until there are none or the service is `ending`."""
    tasks = TaskSet()
    end = tasks.start(ending.wait(), "end")
    try:
        while True:
            # Never cancelled by the clock: that would end the subscription.
            coming = tasks.start(_next(events), "event")
            while not (await asyncio.wait([coming, end], timeout=quiet_s, return_when=asyncio.FIRST_COMPLETED))[0]:
                yield _STILL_HERE
            event = coming.result() if coming.done() else None
            if event is None:
                return
            kind = str(event.__struct_config__.tag)
            yield b"event: %b\ndata: %b\n\n" % (kind.encode(), encode_json(event))
    finally:
        # The client's going cancels this again and again; the subscription is to end in any case.
        with anyio.CancelScope(shield=True):
            await tasks.cancel_all()
            await events.aclose()


async def _next(events: AsyncGenerator[AnyEvent, None]) -> AnyEvent | None:
    try:
        return await anext(events)
    except StopAsyncIteration:
        return None
