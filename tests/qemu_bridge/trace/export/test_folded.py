"""Exports that follow processes and calls: Perfetto by its own protobuf classes, stacks against a program with known calls."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files
from types import MappingProxyType

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2
from support import booted, glassbox
from trace_producer import Event, event, record, split64, window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.analysis import stacks as trace_stacks
from qemu_bridge.trace.export import Naming, export
from qemu_bridge.trace.export.perfetto import varint
from qemu_bridge.trace.file.reader import TraceReader

BASE = 0xFFFFFFFF81000000
MAIN, INNER, LEAF, HANDLER, THUNK = BASE, BASE + 0x100, BASE + 0x200, BASE + 0x300, BASE + 0x400
NAMES = {MAIN: "main", INNER: "inner", LEAF: "leaf", HANDLER: "handler", THUNK: "thunk"}


def call(at, target):
    return b"\xe8" + (target - at - 5).to_bytes(4, "little", signed=True)


class Calls:
    """main calls inner, which calls leaf; a handler interrupts; a retpoline jumps to leaf."""

    records = b"".join(
        record(number, address, code, lengths)
        for number, address, code, lengths in (
            (1, MAIN, b"\x90" + call(MAIN + 1, INNER), [1, 5]),
            (2, MAIN + 6, b"\x90\xeb\xf7", [1, 2]),
            (3, INNER, call(INNER, LEAF), [5]),
            (4, INNER + 5, b"\xc3", [1]),
            (5, LEAF, b"\x90\x90\x90\xc3", [1, 1, 1, 1]),
            (6, HANDLER, b"\x90\x48\xcf", [1, 2]),
            (7, MAIN + 0x20, call(MAIN + 0x20, THUNK), [5]),
            (8, THUNK, call(THUNK, THUNK + 7), [5]),
            (9, THUNK + 7, b"\x90\xc3", [1, 1]),
            (10, MAIN + 0x25, b"\x90\xeb\xd8", [1, 2]),
        )
    )


def named(address):
    return NAMES.get(address & ~0xFF, "") + (f"+{address & 0xFF:#x}" if address & 0xFF else "")


NAMING = Naming(named, lambda root: f"{root:#x} sh")


def stacks(path, output):
    """The file as any reader of folded stacks takes it: all before the last blank is the stack."""
    export(path, "folded", output, NAMING)
    found = Counter()
    for line in output.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        found[tuple(stack.split(";"))] += int(count)
    return found


def test_stacks_follow_calls_returns_exceptions_and_retpolines(tmp_path):
    interrupt = event(Event.EXCEPTION, *split64(LEAF), 0, small=32)
    # inner returns as leaf does; the second time an interrupt comes before leaf; then leaf by way of a retpoline.
    words = [*window_start(), 1, 3, 5, 4, 2, 1, 3, *interrupt, 6, 5, 4, 2, 7, 8, 9, 5, 10, *window_stop()]
    found = stacks(record_words(tmp_path / "trace", Calls, [words]), tmp_path / "folded")
    top = ("0x1000 sh", "main")
    assert found == {
        top: 2 + 2 + 2 + 2 + 1 + 2,
        (*top, "inner"): 1 + 1 + 1 + 1,
        (*top, "inner", "leaf"): 4 + 4,
        (*top, "inner", "leaf", "handler"): 2,
        (*top, "thunk"): 1 + 2,
        (*top, "leaf"): 4,
    }


class Threads:
    """a and b call wait, which calls the kernel's switch of threads, which returns as the other one."""

    names = MappingProxyType({BASE: "a", BASE + 0x100: "b", BASE + 0x200: "wait", BASE + 0x300: "__switch_to_asm"})
    records = b"".join(
        record(number, BASE + offset, code, lengths)
        for number, offset, code, lengths in (
            (1, 0, call(0, 0x200), [5]),
            (2, 5, b"\x90\xeb\xf8", [1, 2]),
            (3, 0x100, call(0x100, 0x200), [5]),
            (4, 0x105, b"\x90\xeb\xf8", [1, 2]),
            (5, 0x200, call(0x200, 0x300), [5]),
            (6, 0x205, b"\xc3", [1]),
            (7, 0x300, b"\xc3", [1]),
        )
    )


def test_a_thread_goes_on_with_its_own_callers(tmp_path):
    words = [*window_start(), *[1, 5, 7], *[3, 5, 7], *[6, 2, 1, 5, 7], *[6, 4, 3, 5, 7], *[6, 2], *window_stop()]
    path = record_words(tmp_path / "trace", Threads, [words])
    naming = Naming(lambda address: Threads.names.get(address & ~0xFF, ""), lambda root: "p")
    export(path, "folded", tmp_path / "folded", naming)
    found = dict(line.rsplit(" ", 1) for line in (tmp_path / "folded").read_text().splitlines())
    # Until it returns out of wait, nothing tells which thread runs.
    assert found == {
        "p;a": "6",
        "p;a;wait": "2",
        "p;a;wait;__switch_to_asm": "2",
        "p;b": "4",
        "p;b;wait": "2",
        "p;b;wait;__switch_to_asm": "2",
        "p;wait": "3",
    }


def test_a_block_that_was_cut_neither_calls_nor_returns(tmp_path):
    # The fault comes at the first instruction of inner, whose block ends in a call; its handler mends it and goes to main.
    fault = event(Event.EXCEPTION, *split64(INNER), *split64(0), small=14)
    words = [*window_start(), 1, 3, *fault, 6, 3, 5, 4, 2, 1, *fault, 6, 2, *window_stop()]
    found = stacks(record_words(tmp_path / "trace", Calls, [words]), tmp_path / "folded")
    top = ("0x1000 sh", "main")
    assert found == {
        top: 2 + 2 + 2 + 2,
        (*top, "inner"): 1 + 1 + 1,
        (*top, "inner", "handler"): 2 + 2,
        (*top, "inner", "leaf"): 4,
    }


def test_sizes_are_those_of_the_header():
    header = (files("tcg_plugin") / "stacks.h").read_text()
    assert f"GB_STACK_ROOM = {trace_stacks.ROOM}," in header and f"GB_THREADS = {trace_stacks.THREADS}," in header
    # stacks.c asserts these of the structures.
    sizes = (trace_stacks._NODE.itemsize, trace_stacks._ENTRY.itemsize, trace_stacks.EVENT.itemsize)
    assert sizes == (24, 16, 32)


def test_a_full_tree_counts_callees_for_their_callers():
    tree = trace_stacks.StackTree(capacity=3)
    one, two = tree.child(0, 1), tree.child(0, 2)
    assert (one, two, tree.child(one, 7), tree.child(0, 1)) == (1, 2, one, 1)


def packets(path, output):
    export(path, "perfetto", output, NAMING)
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(output.read_bytes())
    return trace.packet


def test_perfetto_reads_processes_and_system_calls(tmp_path):
    switch = event(Event.PAGE_TABLE, *split64(0x5000))
    begin, end = event(Event.SYSCALL, *split64(39)), event(Event.SYSRET, *split64(0))
    fault = event(Event.EXCEPTION, *split64(MAIN), *split64(0), small=14)
    words = [*window_start(), 1, 3, 5, *begin, 4, 2, *end, 1, 3, *switch, 5, *fault, 4, 2, *window_stop()]
    found = packets(record_words(tmp_path / "trace", Calls, [words]), tmp_path / "out.pftrace")
    tracks = {p.track_descriptor.uuid: p.track_descriptor.name for p in found if p.HasField("track_descriptor")}
    assert tracks == {1: "vCPU 0", 2: "system calls"}
    kinds = perfetto_trace_pb2.TrackEvent
    rows = [
        (p.timestamp, p.track_event.track_uuid, p.track_event.type, p.track_event.name)
        for p in found
        if p.HasField("track_event")
    ]
    assert rows == [
        (0, 1, kinds.TYPE_SLICE_BEGIN, "0x1000 sh"),
        (7, 2, kinds.TYPE_SLICE_BEGIN, "system call 39"),
        (10, 2, kinds.TYPE_SLICE_END, ""),
        (13, 1, kinds.TYPE_SLICE_END, ""),
        (13, 1, kinds.TYPE_SLICE_BEGIN, "0x5000 sh"),
        (17, 2, kinds.TYPE_INSTANT, "exception 14"),
        (20, 1, kinds.TYPE_SLICE_END, ""),
    ]


@pytest.mark.parametrize(
    ("value", "data"), [(0, b"\0"), (127, b"\x7f"), (150, b"\x96\x01"), (1 << 63, b"\x80" * 9 + b"\x01")]
)
def test_varints_are_those_of_the_specification(value, data):
    assert varint(value) == data


@pytest.mark.guest
def test_a_real_trace_gives_stacks_of_the_kernel_and_slices_that_nest(image, tmp_path):
    path = tmp_path / "real.gbt"
    with booted("exported", image) as machine:
        answer = glassbox("trace", machine.name, "-o", str(path), "--seconds", "0.5")
        assert answer.returncode == 0 and glassbox("trace", "check", str(path)).returncode == 0
        for form in ("folded", "perfetto"):
            words = ("--format", form, "-o", str(tmp_path / form), "--symbols", machine.name)
            answer = glassbox("trace", "export", str(path), *words)
            assert answer.returncode == 0, answer.stderr
    lines = (tmp_path / "folded").read_text().splitlines()
    with TraceReader(path) as trace:
        assert sum(int(line.rsplit(" ", 1)[1]) for line in lines) == trace.info.instructions
    assert any(re.search(r";__sysvec_apic_timer_interrupt;|;tick_sched_timer|;asm_sysvec", line) for line in lines)
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString((tmp_path / "perfetto").read_bytes())
    depth, last = Counter(), Counter()
    for packet in trace.packet:
        if packet.HasField("track_event"):
            own = packet.track_event
            depth[own.track_uuid] += {1: 1, 2: -1}.get(own.type, 0)
            assert depth[own.track_uuid] in (0, 1) and packet.timestamp >= last[own.track_uuid]
            last[own.track_uuid] = packet.timestamp
    assert set(depth.values()) <= {0} and len(last) == 2
