"""Calls and costs of programs whose counts are known: of made traces, and of a program in a guest."""

import subprocess

import pytest
from guest_programs import install
from support import recording
from trace_calls import BASE, LEAF, NAMING, Calls, call
from trace_producer import Event, event, record, split64, window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.analysis.functions import count_functions
from qemu_bridge.trace.analysis.naming import Naming
from qemu_bridge.trace.calls.matching import iter_calls
from qemu_bridge.trace.file.reader import TraceReader


def counted(path, naming=NAMING, **options):
    with TraceReader(path) as trace:
        return count_functions(trace, naming, **options)


def brief(found):
    return {row.name: (row.calls, row.own, row.inclusive) for row in found.rows}


def edges(found, name, is_caller):
    (row,) = (row for row in found.rows if row.name == name)
    return {edge.name: (edge.calls, edge.inclusive) for edge in row.edges(is_caller)}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """main calls inner twice, which calls leaf; once a handler interrupts; then main calls leaf by way of a retpoline. Then another process."""
    interrupt = event(Event.EXCEPTION, *split64(LEAF), 0, small=32)
    words = [*window_start(), 1, 3, 5, 4, 2, 1, 3, *interrupt, 6, 5, 4, 2, 7, 8, 9, 5, 10]
    switch = event(Event.PAGE_TABLE, *split64(0x4000))
    return record_words(tmp_path_factory.mktemp("functions"), Calls, [[*words, *switch, 1, 3, 5, 4, 2, *window_stop()]])


def test_own_and_inclusive_instructions_and_calls(path):
    found = counted(path)
    assert brief(found) == {
        "leaf": (4, 16, 18),
        "main": (0, 15, 42),
        "inner": (3, 6, 20),
        "handler": (1, 2, 2),
        "thunk": (1, 3, 3),
    }
    assert found.instructions == sum(row.own for row in found.rows) == 42


def test_who_called_whom(path):
    found = counted(path)
    assert edges(found, "leaf", True) == {"inner": (3, 14), "main": (1, 4)}
    assert edges(found, "main", False) == {"inner": (3, 20), "leaf": (1, 4), "thunk": (1, 3)}
    assert edges(found, "leaf", False) == {"handler": (1, 2)} and edges(found, "handler", False) == {}


def test_a_row_for_each_process_and_one_process_alone(path):
    rows = {(row.process, row.name): (row.calls, row.own) for row in counted(path, by_process=True).rows}
    assert rows["0x1000 sh", "inner"] == (2, 4) and rows["0x4000 sh", "inner"] == (1, 2)
    alone = counted(path, processes=("0x4000 sh",))
    assert brief(alone) == {"main": (0, 4, 10), "inner": (1, 2, 6), "leaf": (1, 4, 4)} and alone.instructions == 10


class Recursion:
    """deep calls itself, and returns."""

    records = b"".join(
        record(number, BASE + offset, code, lengths)
        for number, offset, code, lengths in (
            (1, 0, call(0, 0x100), [5]),
            (2, 5, b"\x90\xeb\xf8", [1, 2]),
            (3, 0x100, b"\x90" * 11 + call(0x10B, 0x100), [1] * 11 + [5]),
            (4, 0x110, b"\xc3", [1]),
            (5, 0x120, b"\xc3", [1]),
        )
    )


def test_what_calls_itself_counts_once(tmp_path):
    words = [*window_start(), 1, 3, 3, 3, 5, 4, 4, 2, *window_stop()]
    naming = Naming(lambda address: ("top", "deep")[address >= BASE + 0x100], lambda root: "p")
    # The third call goes to a part of deep that returns at once.
    found = counted(record_words(tmp_path / "trace", Recursion, [words]), naming)
    assert brief(found) == {"deep": (4, 39, 39), "top": (0, 3, 42)}
    assert edges(found, "deep", False) == {"deep": (3, 0)}


PROGRAM = """
.globl _start
_start: mov $70, %ebx
1:      call outer
        dec %ebx
        jnz 1b
        mov $60, %eax
        xor %edi, %edi
        syscall
        .balign 256
outer:  mov $3, %ecx
2:      call inner
        call inner
        dec %ecx
        jnz 2b
        ret
        .balign 256
inner:  nop
        nop
        ret
"""
"""outer is called 70 times, with 1 + 3 * 4 + 1 instructions, and calls inner 6 times, with 3."""


@pytest.mark.guest
@pytest.mark.long
def test_functions_of_a_program_in_a_guest_have_their_counts(machine, tmp_path):
    source, program, path = tmp_path / "program.S", tmp_path / "program", tmp_path / "program.gbt"
    source.write_text(PROGRAM)
    words = ["gcc", "-static", "-nostdlib", "-Wl,--build-id=none,-Ttext=0x401000", "-o", program, source]
    subprocess.run(words, check=True)
    install(machine, program.read_bytes(), "/tmp/program")
    with recording(machine, path):
        machine.exec("/tmp/program && rm /tmp/program")
    with TraceReader(path) as trace:
        (root,) = {call.root for call in iter_calls(trace) if call.process.name == "program"}
    found = counted(path, Naming(), processes=(f"root {root:#x}",))
    assert brief(found)["0x401100"] == (70, 70 * 14, 70 * (14 + 6 * 3))
    assert brief(found)["0x401200"] == (420, 420 * 3, 420 * 3)
    assert edges(found, "0x401200", True) == {"0x401100": (420, 1260)}
