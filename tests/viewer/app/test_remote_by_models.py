"""A language model moves the viewer: its client asks, the server tells the daemon, the window goes there."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import numpy as np
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from PIL import Image
from support import OUT, wait_until

from viewer.app import navigation
from viewer.sources.machine import MachineSource

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("no_errors")]


def ask(name, tool, arguments, answers):
    async def talk():
        command = ["-m", "qemu_bridge.cli", "mcp", name]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(server) as client:
            answers.append(await client.call_tool(tool, arguments))

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("tool", "arguments", "target"),
    [
        ("highlight", {"target": "comm:crond"}, "comm:crond"),
        ("ask", {"question": "show me the cron daemon's page tables"}, "comm:crond/pagetables"),
    ],
)
def test_the_memory_that_a_model_asks_for_stands_in_the_middle_of_the_picture(
    tool, arguments, target, machine, open_screen
):
    with MachineSource(machine.name) as source:
        screen = open_screen(source)
        screen.draw_until(machine.client.viewers)
        answers = []
        asking = threading.Thread(target=ask, args=(machine.name, tool, arguments, answers))
        asking.start()
        screen.draw_until(lambda: not asking.is_alive())
        asking.join()
        (answer,) = answers
        assert not answer.is_error and '"has_arrived":true' in answer.content[0].text
        shown = screen.draw()
        Image.fromarray(shown).save(OUT / f"model-{tool}.png")
        state = screen.state
        assert state.highlight.target == target
        low, high = navigation.box_of(state, state.highlight.pages)
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        places = navigation.project(state, corners)
        assert (places[:, 2] > 0).all() and (np.abs(places[:, :2]) < 1).all()
        screen.window.stop()
    wait_until(lambda: not machine.client.viewers())
