"""Stacks of a program with known calls, as a reader of folded stacks takes them."""

from collections import Counter
from types import MappingProxyType

from trace_calls import BASE, INNER, LEAF, NAMING, Calls, call
from trace_producer import Event, event, record, split64, window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.analysis.naming import Naming
from qemu_bridge.trace.export import export


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
