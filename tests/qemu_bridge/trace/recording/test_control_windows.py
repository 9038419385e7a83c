"""What a window leaves out, when it opens and when it closes: filters, triggers, limits, registers."""

import itertools

import pytest
from support import booted, wait_until
from trace_consumer import Consumer, block_ids, items, u64

from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import Event, Feature, Scope, State

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def machine(image):
    with booted("windows", image) as found:
        yield found


@pytest.fixture
def mkdirat(machine):
    """Where the kernel makes a directory."""
    return int(machine.client.sym("do_mkdirat")[0].address)


def record(machine, control, *commands, **options):
    """The consumer of one window in which `commands` ran."""
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions(**options))
        for command in commands:
            machine.exec(command)
        machine.client.trace_disarm()
    return consumer


def executed(consumer):
    """The blocks of vCPU 0, in order."""
    blocks = consumer.blocks()
    return [blocks[number] for number in block_ids(consumer.stream()).tolist()]


@pytest.mark.parametrize(("scope", "rings"), [(Scope.USER, {3}), (Scope.KERNEL, {0}), (Scope(3), {0, 3})])
def test_privilege_decides_at_translation(scope, rings, machine, control):
    assert {block.ring for block in executed(record(machine, control, "true", scope=scope))} == rings


def test_only_blocks_in_the_ranges_are_recorded(machine, control, mkdirat):
    found = executed(record(machine, control, "mkdir /tmp/r", ranges=[(mkdirat, mkdirat + 64)]))
    assert found[0].address == mkdirat and all(mkdirat <= block.address < mkdirat + 64 for block in found)


def test_a_process_is_followed_by_its_page_table(machine, control):
    machine.exec("sh -c 'while :; do :; done' & echo $! > /tmp/pid")
    pid = int(machine.exec("cat /tmp/pid"))
    root = next(process.page_table for process in machine.client.ps() if process.pid == pid)
    other = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; ls /bin >/dev/null"
    consumer = record(machine, control, other, roots=[root])
    machine.exec(f"kill {pid}")
    on, roots, blocks = None, set(), 0
    for kind, *rest in items(consumer.stream()):
        if kind == "event" and rest[0] is Event.FILTER:
            assert (on is None or rest[1] != on) and (u64(rest[2]) & ~0x1FFF == root) == bool(rest[1])
            on = rest[1]
        elif kind == "event" and rest[0] is Event.PAGE_TABLE:
            roots.add(u64(rest[2]) & ~0x1FFF)
        blocks += kind == "block"
    assert roots == {root} and blocks > 10_000


def test_a_window_opens_when_an_address_is_executed_for_the_nth_time(machine, control, mkdirat):
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions(trigger_address=mkdirat, trigger_hits=3))
        machine.exec("mkdir /tmp/t1 /tmp/t2")
        assert control.is_armed and not consumer.words
        machine.exec("mkdir /tmp/t3")
        machine.client.trace_disarm()
    # The window opens behind the block that came for the third time; the rest of the function is in it.
    found = {block.address for block in executed(consumer)}
    assert mkdirat not in found and any(mkdirat < address < mkdirat + 0x200 for address in found)


def test_a_window_of_a_number_of_instructions_closes_by_itself(machine, control):
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions(start_instructions=300_000, limit_instructions=1_000_000))
        machine.exec("ls -l /bin > /dev/null")
        wait_until(lambda: control.state is State.DISARMED)
    counts = sum(block.count for block in executed(consumer))
    assert 1_000_000 <= counts <= 1_000_000 + 4096
    stop = next(iter(items(consumer.stream()[-5:])))
    assert (stop[1], stop[2]) == (Event.WINDOW_STOP, 1)


def test_a_window_of_a_time_closes_by_itself(machine, control):
    with Consumer(control):
        machine.client.trace_arm(ArmOptions(limit_s=0.05, chunk_bytes=1024, chunks=64))
        machine.exec("ls -l /bin > /dev/null; sleep 0.2; true")
        wait_until(lambda: control.state is State.DISARMED)


def test_registers_at_a_function_are_its_arguments(machine, control, mkdirat):
    consumer = record(
        machine,
        control,
        "umask 0; mkdir /tmp/regs",
        features=Feature.BLOCKS | Feature.EVENTS | Feature.REGISTERS,
        points=[mkdirat],
    )
    blocks = consumer.blocks()
    found = list(items(consumer.stream()))
    pairs = [
        (event[3], blocks[block[1]])
        for event, block in itertools.pairwise(found)
        if event[0] == "event" and event[1] is Event.REGISTERS
    ]
    (registers, block), *_ = pairs
    at_fdcwd = u64(registers, 2 * 5) & 0xFFFFFFFF
    assert block.address == mkdirat and at_fdcwd == 2**32 - 100
    assert u64(registers, 2 * 3) & 0o7777 == 0o777
