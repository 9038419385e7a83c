"""Numbers of system calls are those of the host's own headers; which arguments are texts follows from their kinds."""

import re
from pathlib import Path

import pytest

from qemu_bridge.trace.calls.table import ARGUMENTS, X32, _calls, call_of, text_arguments
from tcg_plugin.layout import MAX_CALLS, TEXT_OF_LENGTH, Gate

HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")


@pytest.mark.parametrize(("gate", "header"), [(Gate.SYSCALL, "unistd_64.h"), (Gate.INT_80, "unistd_32.h")])
def test_numbers_are_the_headers(gate, header):
    if not (HEADERS / header).exists():
        pytest.skip("the kernel's headers are not installed")
    stated = re.findall(r"#define __NR_(\w+) (\d+)", (HEADERS / header).read_text())
    # A later kernel's headers have later numbers, and an earlier one's lack some.
    last = max(_calls(gate is Gate.SYSCALL))
    known = [(name, number) for name, number in stated if int(number) <= last]
    assert len(known) > 300
    assert [(call_of(gate, int(number)).name, number) for _, number in known] == known


def test_a_number_that_is_not_known_is_shown_with_all_arguments():
    assert call_of(Gate.SYSCALL, 4000).name == "syscall_0xfa0" and len(call_of(Gate.SYSCALL, 4000).kinds) == ARGUMENTS
    assert call_of(Gate.SYSCALL, 0 | X32) == call_of(Gate.SYSCALL, 0)
    assert call_of(Gate.INT_80, 0 | X32).name.startswith("syscall_")


def test_texts_are_what_the_kinds_say():
    table = text_arguments(True)
    assert len(table) == len(text_arguments(False)) == MAX_CALLS
    assert (table[257], table[82], table[1], table[0]) == (0b10, 0b11, TEXT_OF_LENGTH, 0)
    assert text_arguments(False)[5] == 0b1
