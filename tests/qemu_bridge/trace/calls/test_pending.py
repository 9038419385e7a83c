"""What is waited for is found in constant time, in the order in which it began."""

import time

from qemu_bridge.trace.calls.events import NO_END
from qemu_bridge.trace.calls.pending import Child, Children, Open, Starting
from qemu_bridge.trace.calls.processes import Pid, Running
from qemu_bridge.trace.calls.system_call import SystemCall
from qemu_bridge.trace.calls.table import call_of
from tcg_plugin.layout import Gate


def begun(number, root):
    call = call_of(Gate.SYSCALL, number)
    return SystemCall(call, number, Gate.SYSCALL, (), {}, 0, 0, 0, root, Running(Pid(), ""))


def test_children_begin_in_the_order_in_which_they_were_made():
    children, maker = Children(), begun(57, 0x1000)
    anywhere, here, later, elsewhere = (
        Child(maker, stack, end, True) for stack, end in ((None, 2), (0x7000, NO_END), (0x7000, 2), (0x8000, 2))
    )
    for child in (anywhere, here, later, elsewhere):
        children.add(child)
    assert [children.take(0x7000, 0x401002) for _ in range(4)] == [anywhere, here, later, None]
    children.drop(elsewhere)
    children.drop(elsewhere)
    assert children.take(0x8000, 0x401002) is None


def test_a_root_is_loaded_by_the_latest_call_from_the_one_before():
    starting, calls = Starting(), [Open(begun(59, 0x1000), (0x1000, stack), 2) for stack in (1, 2)]
    for made in calls:
        starting.add(made)
    starting.load(0x1000, 0x1000)
    starting.load(0x1000, 0x2000)
    starting.load(0x1000, 0x2000)
    starting.load(0x9000, 0x2000)
    assert [made.loaded for made in calls] == [0, 1] and list(starting) == calls
    starting.drop(calls[1])
    starting.load(0x1000, 0x2000)
    assert starting.take_loaded(0x2000) == [calls[1], calls[0]] and starting.take_loaded(0x2000) == []
    assert calls[0] in starting and calls[1] not in starting and calls[1].loaded == 0


def cost(count):
    children, starting = Children(), Starting()
    opened = [Open(begun(59, root), (root, root), 2) for root in range(count)]
    spent = time.process_time()
    for made in opened:
        children.add(Child(made.call, made.key[1], 2, True))
        starting.add(made)
        starting.load(made.call.root, count)
    for made in opened:
        assert children.take(made.key[1], 2) is not None
        starting.drop(made)
    assert len(starting.take_loaded(count)) == count
    return time.process_time() - spent


def test_many_that_never_end_cost_each_the_same():
    few, many = min(cost(300) for _ in range(5)), min(cost(6000) for _ in range(2))
    assert many < 100 * few, "20 times as many take 20 times as long, not 400 times"
