"""The dashboard itself, in Textual: machines above, processes and heat of the selected one below, events at the bottom.

It fits a terminal of 80×24 and needs nothing but one, so it works over ssh.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Footer, RichLog, Static

from ..errors import GlassBoxError, GuestError, MachineGoneError
from ..host.printable import printable
from ..host.tasks import TaskSet
from ..memory.addresses import PAGE_SIZE, format_size
from ..wire import connection as connections
from ..wire.event_records import RunstateEvent
from ..wire.picture_records import SnapOptions
from ..wire.records import Process, Runstate
from ..wire.trace_records import RecordOptions
from .samples import TIMEOUT_S, HeatSample, WatchedMachine, describe_event

MACHINE_COLUMNS = ("NAME", "STATE", "CPU%", "TOUCHED", "RAM", "UP", "TRACE", "EPOCH/S", "DAEMON")
PROCESS_COLUMNS = ("PID", "S", "RES", "NAME")
_MOST_PROCESSES = 200
_EVENTS_KEPT = 500
_JOB_LIMIT_S = 3600.0


class Dashboard(App[None]):
    """Watches all machines of this user, those that start later too, until ``q``."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    DataTable, RichLog { background: $surface; scrollbar-size: 1 1; }
    #machines { height: auto; min-height: 3; max-height: 11; }
    #middle { height: 1fr; min-height: 4; }
    #processes { width: 1fr; border: round $primary; overflow-x: hidden; }
    #heat { width: 1fr; border: round $primary; padding: 0 1; }
    #events { height: 6; border: round $primary; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause"),
        Binding("r", "resume", "resume"),
        Binding("t", "trace", "trace"),
        Binding("s", "snap", "snap"),
        Binding("h", "heat", "heat"),
        Binding("tab", "app.focus_next", "next panel", show=False),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, folder: Path, period_s: float = 1.0, trace_s: float = 5.0) -> None:
        """Sample every `period_s`; pictures and traces, of `trace_s`, go to `folder`."""
        super().__init__()
        self._folder = folder
        self._period_s = period_s
        self._trace_s = trace_s
        self._machines: dict[str, WatchedMachine] = {}
        self._recordings: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskSet()
        self._shown_of = ""

    # --- the screen ----------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The panels."""
        yield Static(id="title", markup=False)
        yield DataTable(id="machines", cursor_type="row", zebra_stripes=True)
        with Horizontal(id="middle"):
            yield DataTable(id="processes", cursor_type="none", show_cursor=False)
            yield Static(id="heat", markup=False)
        yield RichLog(id="events", max_lines=_EVENTS_KEPT, markup=False, wrap=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to watch."""
        table = self._table("machines")
        for heading in MACHINE_COLUMNS:
            table.add_column(heading, key=heading)
        table.focus()
        self._table("processes").add_columns(*PROCESS_COLUMNS)
        self._table("processes").border_title = "processes"
        self.query_one("#heat", Static).border_title = "heat"
        self.query_one("#events", RichLog).border_title = "events"
        self._tasks.start(self._find_machines(), "machines")
        self._tasks.start(self._follow_selected(), "selected")

    async def on_unmount(self) -> None:
        """End all that still runs, and count heat for nobody."""
        await self._tasks.cancel_all()
        for machine in self._machines.values():
            await machine.close()

    def _table(self, name: str) -> DataTable[Text | str]:
        found: DataTable[Text | str] = self.query_one(f"#{name}", DataTable)
        return found

    def log_event(self, name: str, text: str, when: float | None = None) -> None:
        """Add a line to the panel of events."""
        clock = time.strftime("%H:%M:%S", time.localtime(when))
        self.query_one("#events", RichLog).write(Text(f"{clock} {name} {printable(text)}"))

    @property
    def selected(self) -> WatchedMachine | None:
        """The machine under the cursor."""
        table = self._table("machines")
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        return self._machines.get(key.value or "")

    # --- what is sampled -----------------------------------------------------------------------------------

    async def _find_machines(self) -> None:
        while True:
            for connection in await asyncio.to_thread(connections.iter_connections):
                if connection.name not in self._machines:
                    machine = self._machines[connection.name] = WatchedMachine(connection)
                    self._show_machine(machine)
                    events = self._tasks.start(self._follow_events(machine), f"events of {machine.name}")
                    self._tasks.start(self._sample(machine, events), f"status of {machine.name}")
            self._show_title()
            await asyncio.sleep(self._period_s)

    async def _sample(self, machine: WatchedMachine, events: asyncio.Task[None]) -> None:
        while True:
            try:
                await machine.refresh()
            except MachineGoneError:
                break
            self._show_machine(machine)
            await asyncio.sleep(self._period_s)
        self._machines.pop(machine.name, None)
        table = self._table("machines")
        if machine.name in table.rows:
            table.remove_row(machine.name)
        self._show_title()
        # Its last event says why it ended, and may come after a question that found it gone.
        await asyncio.wait([events], timeout=TIMEOUT_S)
        await machine.close()

    async def _follow_events(self, machine: WatchedMachine) -> None:
        async for event in machine.events():
            self.log_event(machine.name, describe_event(event), event.time)
            if isinstance(event, RunstateEvent) and machine.status is not None:
                with contextlib.suppress(MachineGoneError):
                    await machine.refresh()
                    self._show_machine(machine)

    async def _follow_selected(self) -> None:
        """Processes and heat of the machine under the cursor: RAM of the others is not read."""
        while True:
            machine = self.selected
            if machine is None:
                self._show_processes("", [], "no machine runs; 'glassbox start demo' starts one")
                self._show_heat(None, "")
            else:
                await self._look_into(machine)
            # A cursor that moves is followed at once.
            for _ in range(10):
                await asyncio.sleep(self._period_s / 10)
                if self.selected is not machine:
                    break

    async def _look_into(self, machine: WatchedMachine) -> None:
        try:
            self._show_processes(machine.name, await machine.processes())
            hint = "" if machine.counts_heat else "h counts it; the guest runs slower meanwhile"
            self._show_heat(await machine.heat(self._heat_columns), hint)
        except MachineGoneError:
            return
        except GuestError as error:
            self._show_processes(machine.name, [], str(error))
        except GlassBoxError as error:
            self._show_heat(None, str(error))

    @property
    def _heat_columns(self) -> int:
        return max(8, self.query_one("#heat", Static).content_size.width)

    # --- what is shown -------------------------------------------------------------------------------------

    def _show_title(self) -> None:
        count = len(self._machines)
        machines = "1 machine" if count == 1 else f"{count or 'no'} machines"
        self.query_one("#title", Static).update(f"glassbox top · {machines} · {time.strftime('%H:%M:%S')}")

    def _show_machine(self, machine: WatchedMachine) -> None:
        table = self._table("machines")
        cells = [
            Text(cell if number < 2 else cell.rjust(len(heading)))
            for number, (heading, cell) in enumerate(zip(MACHINE_COLUMNS, _cells(machine), strict=True))
        ]
        if machine.name in table.rows:
            for column, cell in zip(MACHINE_COLUMNS, cells, strict=True):
                table.update_cell(machine.name, column, cell, update_width=True)
        elif machine.name in self._machines:
            table.add_row(*cells, key=machine.name)

    def _show_processes(self, name: str, processes: list[Process], problem: str = "") -> None:
        table = self._table("processes")
        top = table.scroll_y if name == self._shown_of else 0
        self._shown_of = name
        table.clear()
        table.border_title = f"processes of {name}" if name else "processes"
        table.border_subtitle = str(len(processes)) if processes else ""
        for process in processes[:_MOST_PROCESSES]:
            size = format_size(process.resident_pages * PAGE_SIZE) if process.resident_pages else "-"
            name_or_words = printable(process.command_line or f"[{process.name}]")
            table.add_row(f"{process.pid:5}", process.state, f"{size:>7}", Text(name_or_words))
        if problem:
            table.add_row("", "", "", Text(printable(problem)))
        table.scroll_to(y=top, animate=False)

    def _show_heat(self, sample: HeatSample | None, hint: str) -> None:
        panel = self.query_one("#heat", Static)
        if sample is None:
            panel.update(Text(hint))
            return
        text = Text()
        for label, count, strip in (
            ("blocks executed", sample.blocks, sample.executed),
            ("stores", sample.stores, sample.stored),
        ):
            text.append(f"{label} {count:,}\n")
            text.append(f"{strip}\n", style="bright_yellow")
        for owner, share in sample.owners:
            if share >= 0.01:
                text.append(f"{share:4.0%} {printable(owner)}\n")
        panel.update(text)

    # --- keys ----------------------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Pause the selected machine."""
        if machine := self.selected:
            self._do(machine, machine.client.pause(), "")

    def action_resume(self) -> None:
        """Resume the selected machine."""
        if machine := self.selected:
            self._do(machine, machine.client.resume(), "")

    def action_heat(self) -> None:
        """Count heat of the selected machine, or no longer."""
        if machine := self.selected:
            self._do(machine, machine.toggle_heat(), "")

    def action_snap(self) -> None:
        """Draw the selected machine's RAM."""
        if machine := self.selected:
            path = self._new_file(machine, "png")
            self.log_event(machine.name, f"drawing {path.name}")
            self._do(machine, machine.client.snap(SnapOptions(str(path))), f"drawn: {path}")

    def action_trace(self) -> None:
        """Record what the selected machine executes, or end the recording; its file is kept."""
        if (machine := self.selected) is None:
            return
        if (task := self._recordings.pop(machine.name, None)) is not None and not task.done():
            task.cancel()
            self.log_event(machine.name, "the recording ends; its file is kept")
            return
        path = self._new_file(machine, "gbt")
        self.log_event(machine.name, f"recording {self._trace_s:g} s into {path.name}; t ends it")
        recording = machine.client.trace_record(str(path), RecordOptions(seconds=self._trace_s))
        self._recordings[machine.name] = self._do(machine, recording, f"recorded: {path}")

    def _new_file(self, machine: WatchedMachine, suffix: str) -> Path:
        return self._folder / f"{machine.name}-{time.strftime('%Y%m%d-%H%M%S')}.{suffix}"

    def _do(self, machine: WatchedMachine, work: Awaitable[object], done: str) -> asyncio.Task[None]:
        async def report() -> None:
            try:
                async with asyncio.timeout(_JOB_LIMIT_S):
                    await work
            except GlassBoxError as error:
                self.log_event(machine.name, str(error))
                return
            if done:
                self.log_event(machine.name, done)

        return self._tasks.start(report(), f"key for {machine.name}")


def _cells(machine: WatchedMachine) -> list[str]:
    status = machine.status
    if status is None or machine.problem:
        return [machine.name, "no answer" if machine.problem else "…", *["-"] * (len(MACHINE_COLUMNS) - 2)]
    state = "booting" if status.runstate is Runstate.RUNNING and not status.ready else status.runstate.value
    minutes, seconds = divmod(int(status.uptime_s), 60)
    hours, minutes = divmod(minutes, 60)
    return [
        machine.name,
        state,
        "-" if machine.share is None else f"{machine.share:.0%}".removesuffix("%"),
        f"{status.touched_bytes >> 20}M",
        f"{status.ram_bytes >> 20}M",
        f"{hours}h{minutes:02}" if hours else f"{minutes}:{seconds:02}",
        status.trace.value,
        f"{status.epochs_per_s:.1f}",
        f"{status.daemon_bytes >> 20}M",
    ]
