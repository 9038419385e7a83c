"""The dashboard in a terminal of 80×24, driven by Textual's pilot, on real guests."""

import asyncio
import time

import pytest
from support import OUT
from textual.widgets import RichLog, Static

from qemu_bridge.dashboard.app import MACHINE_COLUMNS, Dashboard

pytestmark = pytest.mark.guest


class Screen:
    """The dashboard as somebody sees it who has the keys."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def until(self, condition, timeout_s=90.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "\n".join(map(str, [*self.events(), *self.rows("machines")]))
            await self.pilot.pause(0.05)

    def rows(self, name):
        table = self.app._table(name)
        return [[str(cell).strip() for cell in table.get_row(key)] for key in table.rows]

    def events(self):
        return [line.text for line in self.app.query_one("#events", RichLog).lines]

    def saw(self, words):
        return any(words in line for line in self.events())

    def state(self, name):
        return next((row[1] for row in self.rows("machines") if row[0] == name), None)

    async def select(self, name):
        await self.until(lambda: self.state(name))
        while self.app.selected.name != name:
            await self.pilot.press("down" if self.rows("machines")[0][0] != name else "up")


def show(folder, visit, **options):
    async def run():
        app = Dashboard(folder, period_s=0.2, **options)
        async with app.run_test(size=(80, 24)) as pilot:
            await visit(Screen(app, pilot))
            await pilot.press("q")
        assert app.return_code == 0

    asyncio.run(run())


def test_keys_pause_resume_trace_and_count_heat(machine, tmp_path):
    async def visit(screen):
        await screen.select(machine.name)
        await screen.until(lambda: screen.state(machine.name) == "running")
        await screen.until(lambda: "/sbin/init" in str(screen.rows("processes")))
        await screen.pilot.press("p")
        await screen.until(lambda: screen.state(machine.name) == "paused" and screen.saw("paused"))
        assert machine.client.status().runstate == "paused"
        await screen.pilot.press("r")
        await screen.until(lambda: screen.state(machine.name) == "running")
        await screen.pilot.press("h")
        heat = screen.app.query_one("#heat", Static)
        await screen.until(lambda: "blocks executed" in str(heat.content))
        row = next(row for row in screen.rows("machines") if row[0] == machine.name)
        assert len(row) == len(MACHINE_COLUMNS) and row[4] == f"{machine.ram.size >> 20}M"
        (OUT / "top.svg").write_text(screen.app.export_screenshot(title="glassbox top"))
        await screen.pilot.press("h")
        await screen.pilot.press("t")
        await screen.until(lambda: screen.saw("recorded: "))

    try:
        show(tmp_path, visit, trace_s=0.2)
    finally:
        machine.client.resume()
    assert [path.suffix for path in tmp_path.iterdir()] == [".gbt"]
    assert not machine.client.trace_status().heat and machine.client.trace_status().state == "disarmed"


@pytest.mark.long
def test_a_key_draws_the_machine_and_what_cannot_be_drawn_is_an_event(machine, tmp_path):
    async def visit(screen):
        await screen.select(machine.name)
        await screen.pilot.press("s")
        await screen.until(lambda: screen.saw("drawn: "))
        screen.app._folder = tmp_path / "none"
        await screen.pilot.press("s")
        await screen.until(lambda: screen.saw("No such file") or screen.saw("none"))

    show(tmp_path, visit)
    assert [path.read_bytes()[:8] for path in tmp_path.iterdir()] == [b"\x89PNG\r\n\x1a\n"]


def test_what_the_selected_machine_refuses_is_an_event_and_one_that_ends_goes(victim, machine, tmp_path):
    async def visit(screen):
        await screen.until(lambda: screen.state(machine.name))
        await screen.select(victim.name)
        await screen.until(lambda: "no running Linux kernel" in str(screen.rows("processes")))
        others = [row[0] for row in screen.rows("machines") if row[0] != victim.name]
        await asyncio.to_thread(victim.stop)
        await screen.until(lambda: screen.state(victim.name) is None and screen.saw("ended: it was stopped"))
        assert screen.app.selected.name == machine.name
        await screen.until(lambda: [row[0] for row in screen.rows("machines")] == others)
        count = f"{len(others)} machine{'' if len(others) == 1 else 's'}"
        await screen.until(lambda: count in str(screen.app.query_one("#title", Static).content))

    show(tmp_path, visit)


def test_a_recording_ends_with_the_same_key_and_its_file_stays(machine, tmp_path):
    async def visit(screen):
        await screen.select(machine.name)
        await screen.pilot.press("t")
        await screen.until(lambda: machine.client.trace_status().state in ("armed", "waiting"))
        await screen.pilot.press("t")
        await screen.until(lambda: machine.client.trace_status().state == "disarmed")

    show(tmp_path, visit, trace_s=600.0)
    assert [path.suffix for path in tmp_path.iterdir()] == [".gbt"]
