"""When a system call counts as failed."""

import pytest

from qemu_bridge.trace.calls.processes import Pid, Running
from qemu_bridge.trace.calls.system_call import Outcome, SystemCall
from qemu_bridge.trace.calls.table import call_of
from tcg_plugin.layout import Gate


@pytest.mark.parametrize(("result", "is_error"), [(None, False), (0, False), (-1, True), (-4095, True), (-4096, False)])
def test_errors_are_the_largest_results_of_64_bits(result, is_error):
    where = (1, 2, 0, 0x1000, Running(Pid(7), "sh"))
    call = SystemCall(call_of(Gate.SYSCALL, 9), 9, Gate.SYSCALL, (), {}, *where, result, Outcome.RETURNED)
    assert call.is_error is is_error and call.name == "mmap"
