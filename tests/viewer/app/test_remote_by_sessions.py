"""Two windows on one machine: models over HTTP and programs by REST move the one whose session they name, or both."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from serving import Service, serving, serving_models
from support import wait_until

from viewer.sources.machine import MachineSource

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("no_errors")]


@pytest.fixture(scope="module")
def windows(machine, open_screen):
    """Two windows of the session's guest by session, and a function that draws both while another thread asks."""
    screens = {}
    with MachineSource(machine.name) as one, MachineSource(machine.name) as other:
        for source in (one, other):
            screen = open_screen(source)
            screen.draw_until(lambda: len(machine.client.viewers()) > len(screens))
            screens[machine.client.viewers()[-1].session] = screen

        def draw_while(ask):
            answers = []
            asking = threading.Thread(target=lambda: answers.append(ask()))
            asking.start()
            first, second = screens.values()
            first.draw_until(lambda: second.draw() is not None and not asking.is_alive())
            return answers[0]

        yield screens, draw_while
        for screen in screens.values():
            screen.window.stop()
    wait_until(lambda: not machine.client.viewers())


@pytest.fixture(scope="module")
def call_tool(machine):
    """Calls a tool of ``glassbox mcp`` over HTTP; what it answers."""
    with serving_models(machine.name) as (url, token):

        def call(tool, **arguments):
            async def talk():
                async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
                    async with Client(streamable_http_client(url, http_client=http)) as client:
                        return await client.call_tool(tool, arguments)

            return asyncio.run(talk())

        yield call


@pytest.fixture(scope="module")
def service():
    with serving() as (process, told):
        yield Service(process, told)


def shown(screen):
    """What a window shows that others may have told it: target, selected byte, where the camera flies."""
    state = screen.state
    return state.highlight and state.highlight.target, state.pin, state.controller.goal


def test_a_model_over_http_moves_the_window_that_it_names(windows, call_tool, machine):
    screens, draw_while = windows
    (first, one), (second, other) = screens.items()
    before = shown(other)
    answer = draw_while(lambda: call_tool("highlight", target="comm:crond", session=first))
    told = json.loads(answer.content[0].text)
    assert not answer.is_error and told["value"]["sessions"] == [first] and told["viewers"][0]["has_arrived"]
    assert one.state.highlight.target == "comm:crond" and shown(other) == before
    before = shown(one)
    answer = draw_while(lambda: call_tool("fly_to", place="init_task", session=second))
    assert not answer.is_error and other.state.pin == machine.client.identify("init_task").value.ram_offset
    assert shown(one) == before
    answer = draw_while(lambda: call_tool("fly_to", view="yaw=61"))
    assert [row["session"] for row in json.loads(answer.content[0].text)["viewers"]] == [first, second]
    assert [round(screen.state.controller.goal.yaw) for screen in (one, other)] == [61, 61]
    assert "open are" in draw_while(lambda: call_tool("highlight", target="kernel", session=99)).content[0].text


def test_a_program_moves_it_by_rest_and_sees_when_it_has(windows, service, machine):
    screens, draw_while = windows
    (first, one), (second, other) = screens.items()

    def post(operation, **arguments):
        return draw_while(lambda: service.post(f"/api/machines/{machine.name}/{operation}", arguments))

    def arrive(answer):
        number = answer.json()["value"]["number"]

        def has_arrived():
            rows = service.get(f"/api/machines/{machine.name}/viewers").json()
            return all(row["done"] >= number for row in rows if row["session"] in answer.json()["value"]["sessions"])

        one.draw_until(lambda: other.draw() is not None and has_arrived())

    before = shown(one)
    arrive(post("highlight", target="comm:crond/pagetables", session=second))
    assert other.state.highlight.target == "comm:crond/pagetables" and shown(one) == before
    before = shown(other)
    arrive(post("fly_to", view="yaw=17,mode=entropy", session=first))
    assert round(one.state.controller.goal.yaw) == 17 and shown(other) == before
    arrive(post("highlight", target=""))
    assert one.state.highlight is None and other.state.highlight is None
    refused = post("fly_to", place="init_task", session=99)
    assert refused.status == 400 and "open are" in refused.error["message"]
