"""Overlays against what the guest itself prints: read both, compare what did not change in between."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from guest_programs import make_elf

from qemu_bridge.introspection.overlays import find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.wire.records import MemoryMapping, Process


def read(context, name):
    """The rows of an overlay, which must be complete."""
    context.forget()
    table = read_overlay(find_overlays().find(name), context, Budget())
    assert table.complete, table.skipped
    return table.rows


def asking_shell(machine):
    """Process number of the shell that runs our commands: its heap is larger while it runs one than when we look from outside."""
    return next(process.pid for process in machine.client.ps() if "ttyS1" in process.command_line)


def look(machine, context, name, command, parse):
    """(what the guest says twice alike as a dict, the overlay's rows)."""
    before = parse(machine.exec(command).decode())
    with machine.paused():
        rows = read(context, name)
    after = parse(machine.exec(command).decode())
    steady = {key: value for key, value in before.items() if after.get(key, ()) == value}
    return steady, rows


# clone(VM | FS | FILES | SIGHAND | THREAD, rsp - 4096) twice makes four threads; each then waits in pause().
_CLONE = "bf000f0100 488db42400f0ffff 31d2 4d31d2 4d31c0 b838000000 0f05"
THREADED = make_elf(bytes.fromhex(_CLONE + _CLONE + "b822000000 0f05 ebf7"))


EACH_THREAD = (
    'cd /proc; for t in [0-9]*/task/[0-9]*; do echo "== ${t##*/}"; cat $t/%s $t/status; done 2>/dev/null; true'
)


def parse_threads(text, parse):
    """By thread: how often it was switched to and away from, and what `parse` makes of the rest.

    A thread whose switches did not change has not run in between, so nothing about it may differ.
    """
    found = {}
    for block in text.split("== ")[1:]:
        thread, _, rest = block.partition("\n")
        switches = tuple(re.findall(r"^\w*voluntary_ctxt_switches:\s*(\d+)", rest, re.MULTILINE))
        if len(switches) == 2:
            found[int(thread)] = (*switches, parse(rest))
    return found


def maps_line(mapping: MemoryMapping) -> str:
    """The record as ``/proc/PID/maps`` prints it."""
    place = f"{mapping.start:08x}-{mapping.end:08x} {mapping.permissions} {mapping.file_offset:08x}"
    return f"{place} {mapping.device} {mapping.inode} ".ljust(73 if mapping.path else 0) + mapping.path


@contextlib.contextmanager
def running(machine, command: str, name: str) -> Iterator[int]:
    """A process of the guest that runs `command` in the background; yields its pid."""
    pid = int(machine.exec(f"{command} >/dev/null 2>&1 </dev/null & echo $!").decode().split()[-1])
    try:
        for _ in range(100):
            if machine.exec(f"cat /proc/{pid}/comm").decode().strip() == name:
                break
        yield pid
    finally:
        machine.exec(f"kill -9 {pid}; true")


def check_maps(machine, pid: int) -> list[MemoryMapping]:
    """Read inside, pause, read outside: they must be equal."""
    inside = machine.exec(f"cat /proc/{pid}/maps").decode().splitlines()
    with machine.paused():
        outside = machine.mappings(pid)
    assert [maps_line(mapping).rstrip() for mapping in outside] == [line.rstrip() for line in inside]
    return outside


_PROC = """read -r s </proc/self/stat; echo "asked in ${s##*) }"; for p in /proc/[0-9]*; do
  grep -q . $p/stat 2>/dev/null && { echo "== ${p#/proc/}"; cat $p/stat; grep -E '^(PPid|Uid|Threads|State|VmSwap):' $p/status; tr '\\0' ' ' <$p/cmdline; echo; }
done 2>/dev/null; true"""


def processes_inside(machine) -> dict[int, Process]:
    """What /proc says of every process but those that ask."""
    found = {}
    parts = re.split(r"^== (\d+)\n", machine.exec(_PROC).decode(), flags=re.MULTILINE)
    # Who asks: the session of the command (state, parent, group, session), and the watch of `timeout`, which left it.
    session = parts[0].split()[5]
    for pid, block in zip(parts[1::2], parts[2::2], strict=True):
        stat, *rest = block.split("\n")
        fields = dict(line.split(":", 1) for line in rest if ":\t" in line)
        if not stat or stat[stat.rindex(")") + 2 :].split()[3] == session or "for p in /proc" in block:
            continue
        found[int(pid)] = Process(
            pid=int(pid),
            parent_pid=int(fields["PPid"]),
            uid=int(fields["Uid"].split()[0]),
            state=fields["State"].split()[0],
            name=stat[stat.index("(") + 1 : stat.rindex(")")],
            command_line=rest[len(fields)].strip(),
            page_table=None,
            thread_count=int(fields["Threads"]),
            resident_pages=int(stat[stat.rindex(")") + 2 :].split()[21]),
            swapped_pages=int(fields.get("VmSwap", "0").split()[0]) // 4,
        )
    return found
