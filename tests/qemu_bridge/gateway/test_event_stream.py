"""Events as Server-Sent Events."""

import asyncio
import contextlib
import json

import pytest

from qemu_bridge.gateway.event_stream import encode_events
from qemu_bridge.wire.event_records import ReadyEvent

pytestmark = pytest.mark.guest


def test_what_happens_is_told_while_it_happens(service, machine):
    with contextlib.closing(service.connection()) as connection:
        path = f"/api/machines/{machine.name}/events"
        connection.request("GET", path, headers={"authorization": f"Bearer {service.token}"})
        with connection.getresponse() as answer:
            assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
            assert next_event(answer)["runstate"] == "running", "the current state comes first"
            with machine.paused():
                assert until(answer, lambda event: event.get("runstate") == "paused")
            assert until(answer, lambda event: event.get("runstate") == "running")


def test_nobody_has_no_events(service):
    assert service.get("/api/machines/nobody/events").status == 404


def test_silence_is_filled_and_the_subscription_lives_on():
    async def run():
        go_on = asyncio.Event()
        is_closed = False

        async def events():
            nonlocal is_closed
            try:
                await go_on.wait()
                yield ReadyEvent("demo", 1.0)
                await asyncio.Event().wait()
            finally:
                is_closed = True

        stream = encode_events(events(), asyncio.Event(), quiet_s=0.01)
        assert (await anext(stream)).startswith(b":")
        assert (await anext(stream)).startswith(b":")
        go_on.set()
        text = await anext(stream)
        while text.startswith(b":"):
            text = await anext(stream)
        assert text == b'event: ready\ndata: {"event":"ready","machine":"demo","time":1.0}\n\n'
        await stream.aclose()
        assert is_closed

    asyncio.run(run())


def next_event(answer):
    kind = None
    while True:
        line = answer.readline().decode().strip()
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            assert event["event"] == kind
            return event


def until(answer, condition):
    while not condition(event := next_event(answer)):
        pass
    return event
