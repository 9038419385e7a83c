"""Places in the guest's code: what each spelling stands for, and what is refused."""

import pytest
from trace_kernel import FakeKernel

from qemu_bridge.errors import UsageError
from qemu_bridge.trace.recording.places import find_address, find_range, find_roots, find_trigger

KERNEL = FakeKernel()


def test_a_place_is_a_symbol_or_an_address():
    assert find_address(KERNEL, "sym:schedule") == find_address(KERNEL, "schedule") == 0x1000
    assert find_address(KERNEL, "0xffffffff81000000") == 0xFFFFFFFF81000000 and find_address(KERNEL, "64") == 64


def test_a_trigger_counts_from_one():
    assert find_trigger(KERNEL, None) == (0, 0)
    assert find_trigger(KERNEL, "sym:schedule") == (0x1000, 1) == find_trigger(KERNEL, "sym:schedule:1")
    assert find_trigger(KERNEL, "0x401000:12") == (0x401000, 12)


def test_a_range_has_an_end_or_a_length():
    assert find_range(KERNEL, "sym:schedule-sym:do_exit") == (0x1000, 0x2000)
    assert find_range(KERNEL, "sym:schedule+0x40") == (0x1000, 0x1040)
    assert find_range(KERNEL, "0xffffffffffff0000+65536") == (0xFFFFFFFFFFFF0000, (1 << 64) - 1)


def test_a_process_has_a_root():
    assert find_roots(KERNEL, (7, 7)) == (0x5000, 0x5000)


@pytest.mark.parametrize(
    ("find", "text", "says"),
    [
        (find_address, "sym:none", "no symbol"),
        (find_address, "12monkeys", "is no address"),
        (find_address, hex(1 << 64), "64 bits"),
        (find_trigger, "sym:schedule:0", "counts from 1"),
        (find_range, "sym:schedule", "is no range"),
        (find_range, "sym:schedule+x", "no number of bytes"),
        (find_range, "sym:do_exit-sym:schedule", "holds nothing"),
        (find_roots, (2,), "kernel thread"),
        (find_roots, (7, 99), "no process 99"),
        (find_roots, (8,), "no process 8 any more"),
    ],
)
def test_what_is_not_there_is_refused_with_what_to_try(find, text, says):
    with pytest.raises(UsageError, match=says):
        find(KERNEL, text)
