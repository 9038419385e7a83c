"""Volatility on running memory: its own plugins agree with our readers, leave nothing behind, and end in time."""

from __future__ import annotations

import pytest
from support import bytes_left_by

from qemu_bridge.errors import GuestError, UsageError
from qemu_bridge.introspection.overlays.open_files import read_open_files
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.volatility_adapter import VolatilityAdapter

pytestmark = pytest.mark.guest


def test_processes_are_those_that_volatility_finds(each_machine):
    with each_machine.paused():
        ours = each_machine.processes()
        each_machine.volatility.forget()
        theirs = each_machine.volatility.run("linux.pslist.PsList")
        words = {row["PID"]: row["ARGS"] for row in each_machine.volatility.run("linux.psaux.PsAux")}
    # Volatility passes over zombies.
    alive = [(p.pid, p.parent_pid, p.uid) for p in ours if p.state not in ("Z", "X")]
    assert alive == sorted((row["PID"], row["PPID"], row["UID"]) for row in theirs), ours
    ours = [p for p in ours if p.pid in words]
    said = {p.pid: p.command_line for p in ours if p.page_table is not None}
    assert {pid: str(words[pid]).strip() for pid in said} == {pid: text.strip() for pid, text in said.items()}


def test_memory_areas_are_those_that_volatility_finds(each_machine):
    with each_machine.paused():
        ours = [
            (process.pid, area.start, area.end, area.permissions[:3], area.file_offset, area.inode)
            for process in each_machine.processes()
            for area in each_machine.mappings(process.pid)
            if area.path != "[vsyscall]"
        ]
        each_machine.volatility.forget()
        rows = each_machine.volatility.run("linux.proc.Maps")
    theirs = [
        (row["PID"], row["Start"], row["End"], row["Flags"], row["PgOff"] if row["Inode"] else 0, row["Inode"])
        for row in rows
    ]
    assert len(ours) > 50 and ours == theirs


def test_open_files_are_those_that_volatility_finds(each_machine):
    with each_machine.paused():
        each_machine.context.forget()
        ours = {(row.pid, row.descriptor): row.inode for row in read_open_files(each_machine.context, Budget())}
        each_machine.volatility.forget()
        rows = each_machine.volatility.run("linux.lsof.Lsof")
    theirs = {(row["PID"], row["FD"]): row["Inode"] for row in rows}
    # It gives up on a process at the first file that it does not understand.
    assert len(theirs) > 5 and {key: ours.get(key) for key in theirs} == theirs


def test_one_process_can_be_asked_for(machine):
    assert [row["PID"] for row in machine.volatility.run("linux.pslist.PsList", pid=[2])] == [2]
    assert len(machine.volatility.run("linux.pslist.PsList")) > 10, "an option holds for one question"


def test_what_is_no_plugin_is_refused_in_words(machine):
    for name in ("linux.nothing.Nothing", "linux.pslist.Nothing", "PsList", "windows.pslist.PsList", "", "os.path"):
        with pytest.raises(UsageError, match="no plugin"):
            machine.volatility.run(name)


def test_a_query_out_of_time_says_so(machine):
    with pytest.raises(GuestError, match="exceeded its time budget of 0 s"):
        VolatilityAdapter(machine.ram, machine.kernel, query_time_s=0.0).run("linux.pslist.PsList")


@pytest.mark.long
def test_many_queries_leave_nothing_behind(machine):
    """Volatility itself keeps a layer and configuration for every process that it looks into."""
    volatility = machine.volatility

    def ask(times):
        for _ in range(times):
            volatility.forget()
            volatility.run("linux.psaux.PsAux")

    ask(4)
    layers, settings = set(volatility.context.layers), set(volatility.context.config)
    grown = bytes_left_by(lambda: ask(2), lambda: ask(8))
    assert (set(volatility.context.layers), set(volatility.context.config)) == (layers, settings)
    assert grown < 200_000
