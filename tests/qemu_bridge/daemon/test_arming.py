"""Arming and disarming the trace of a running guest, with good readers and with bad ones."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from guest_programs import HEADER, compile_program, install
from support import booted, wait_until
from trace_consumer import Consumer, begun_instructions, items, u64

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.machine.launch import attach
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.trace.recording.ring import RingReader
from qemu_bridge.wire import connection
from qemu_bridge.wire.event_records import RunstateEvent
from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.trace_records import ArmOptions, TraceState, VcpuRing
from tcg_plugin.layout import ChunkFlag, Event, Feature, Mode, State

pytestmark = pytest.mark.guest

EXACT = Feature.BLOCKS | Feature.EVENTS | Feature.VERIFY
LOAD = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo done"
SMALL = {"chunk_bytes": 1024, "chunks": 4}


@pytest.fixture(scope="module")
def machine(image):
    with booted("traced", image, smp=2) as found:
        yield found


@pytest.fixture
def sleeper():
    """A process that calls itself a reader and reads nothing."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def windows(consumer, vcpu):
    """The words of each window on `vcpu`, by number."""
    found = {}
    for chunk in consumer.chunks[vcpu]:
        found.setdefault(chunk.header.window, []).append(chunk)
    return found


def counted(chunks):
    """Instructions that QEMU counted one by one in a window, from its first and its last event."""
    start = next(items(chunks[0].words[:9]))
    stop = next(items(chunks[-1].words[-5:]))
    assert start[1] is Event.WINDOW_START and stop[1] is Event.WINDOW_STOP
    assert chunks[0].header.flags & ChunkFlag.FIRST and chunks[-1].header.flags & ChunkFlag.LAST
    return u64(stop[3], 2) - u64(start[3], 4)


def check_exact(consumer):
    """Every window on every vCPU holds exactly the instructions that QEMU counted; returns how many in all."""
    blocks, total = consumer.blocks(), 0
    for vcpu in range(len(consumer.chunks)):
        consumer.stream(vcpu)
        for chunks in windows(consumer, vcpu).values():
            begun = begun_instructions(np.concatenate([chunk.words for chunk in chunks]), blocks)
            assert begun == counted(chunks)
            total += begun
    return total


@pytest.mark.parametrize("smp", [pytest.param(1, marks=pytest.mark.long), 4])
def test_a_window_holds_every_instruction_that_began_in_it(smp, image):
    with booted(f"exact-{smp}", image, smp=smp) as machine:
        control = TraceControl(Path(machine.client.connection.trace_path))
        with Consumer(control) as consumer:
            assert machine.client.trace_arm(ArmOptions(features=EXACT)).state == "armed"
            machine.exec("; ".join(f"({LOAD}) & true" for _ in range(smp)) + "; wait")
            assert machine.client.trace_disarm().state == "disarmed"
        assert check_exact(consumer) > 10_000_000
        assert sum(bool(chunks) for chunks in consumer.chunks) == smp


@pytest.mark.parametrize(
    "ring", [SMALL, {"chunk_bytes": 4096, "chunks": 2}, {"chunk_bytes": 4 << 20, "chunks": 16}], ids=str
)
def test_a_ring_of_any_size_loses_nothing(ring, machine, control):
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions(features=EXACT, **ring))
        machine.exec("ls -l /bin >/dev/null")
        machine.client.trace_disarm()
    assert check_exact(consumer) > 100_000


def test_a_hundred_windows_under_load_are_all_exact(machine, control):
    stop = threading.Event()

    def work():
        with Client.connect(machine.name) as other:
            while not stop.is_set():
                other.exec(f"({LOAD}) & {LOAD}; wait")

    worker = threading.Thread(target=work)
    worker.start()
    before = control.block.window
    try:
        with Consumer(control) as consumer:
            for _ in range(100):
                machine.client.trace_arm(ArmOptions(features=EXACT))
                time.sleep(0.003)
                machine.client.trace_disarm()
                wait_until(lambda: all(vcpu.head == vcpu.tail for vcpu in control.vcpus))
    finally:
        stop.set()
        worker.join()
    assert control.block.window == before + 100
    check_exact(consumer)
    assert {number for vcpu in (0, 1) for number in windows(consumer, vcpu)} == set(range(before + 1, before + 101))


FAULTING = (
    HEADER
    + """
enum { MMAP = 9, MADVISE = 28, EXIT = 60, PAGES = 64 };
void _start(void) {
    volatile long *place = (volatile long *)ask(MMAP, 0, PAGES * 4096, 3, 2 | 32, -1, 0);
    for (;;) {
        for (long page = 0; page < PAGES; page++) {
            place[page * 512] = page;
            place[page * 512 + 1] = page + 1;
        }
        ask(MADVISE, (long)place, PAGES * 4096, 4 /* MADV_DONTNEED */, 0, 0, 0);
    }
}
"""
)


def test_a_window_that_closes_between_a_fault_and_its_handler_is_exact(tmp_path, machine, control):
    install(machine, compile_program(tmp_path, FAULTING), "/tmp/faulting")
    machine.exec("/tmp/faulting > /dev/null 2>&1 & echo $! > /tmp/faulting.pid")
    handler = machine.kernel.address_of("asm_exc_page_fault")

    def stands_at_handler():
        machine.client.pause()
        registers = machine.client.qmp("human-monitor-command", {"command-line": "info registers -a"})
        found = f"RIP={handler:016x}" in registers
        if not found:
            machine.client.resume()
        return found

    try:
        with Consumer(control) as consumer:
            machine.client.trace_arm(ArmOptions(features=EXACT))
            wait_until(lambda: consumer.words > 10_000)
            wait_until(stands_at_handler)
            machine.client.trace_disarm()
            # The window of a paused guest closes before its vCPUs go on.
            machine.client.resume()
            wait_until(lambda: control.state is State.DISARMED)
    finally:
        machine.client.resume()
        machine.exec("kill $(cat /tmp/faulting.pid)")
    check_exact(consumer)


def test_a_reader_that_stands_still_makes_the_guest_wait_but_not_the_daemon(machine, control, sleeper):
    machine.client.trace_arm(ArmOptions(**SMALL), reader_pid=sleeper.pid)
    wait_until(lambda: control.state is State.WAITING)
    started = time.monotonic()
    machine.client.pause()
    assert time.monotonic() - started < 60
    assert machine.client.status().runstate == "paused"
    machine.client.resume()
    machine.client.trace_disarm()
    assert sum(vcpu.waits for vcpu in control.vcpus) and sum(vcpu.lost_words for vcpu in control.vcpus)
    last = {header.vcpu: (header, words.copy()) for header, words in RingReader(control).take()}
    for header, words in last.values():
        assert header.flags & ChunkFlag.LAST
        *_, stop = items(words)
        assert stop[1] is Event.WINDOW_STOP
    # Nothing was read of a full ring, and still it ends with what it lost and with its end.
    assert any(header.lost_words and next(items(words))[1] is Event.GAP for header, words in last.values())
    assert machine.exec("echo alive") == b"alive\n"


def test_a_raw_stop_does_not_wait_for_a_reader_that_stands_still(machine, control, sleeper):
    machine.client.trace_arm(ArmOptions(**SMALL), reader_pid=sleeper.pid)
    wait_until(lambda: control.state is State.WAITING)
    started = time.monotonic()
    machine.client.qmp("stop")
    assert time.monotonic() - started < 60
    assert machine.client.status().runstate == "paused" and not control.block.abandon
    machine.client.qmp("cont")
    machine.client.trace_disarm()
    assert machine.exec("echo alive") == b"alive\n"


def test_a_reader_that_dies_disarms_the_trace_and_the_guest_goes_on(machine, control, sleeper):
    machine.client.trace_arm(ArmOptions(**SMALL), reader_pid=sleeper.pid)
    wait_until(lambda: control.state is State.WAITING)
    sleeper.send_signal(signal.SIGKILL)
    wait_until(lambda: control.state is State.FAILED)
    status = machine.client.trace_status()
    assert status.state == "failed" and "reader of the trace died" in status.error
    assert machine.exec("echo alive") == b"alive\n"
    assert machine.client.trace_arm(ArmOptions(mode=Mode.LOSSY)).error == ""


def test_lossy_drops_whole_chunks_and_says_in_band_how_much(machine, control):
    lost_before = sum(vcpu.lost_words for vcpu in control.vcpus)
    with Consumer(control, pause_s=0.02) as consumer:
        machine.client.trace_arm(ArmOptions(features=EXACT, mode=Mode.LOSSY, **SMALL))
        machine.exec("ls /bin >/dev/null")
        machine.client.trace_disarm()
    lost = sum(vcpu.lost_words for vcpu in control.vcpus) - lost_before
    in_band = in_headers = 0
    for vcpu in (0, 1):
        in_headers += sum(chunk.header.lost_words for chunk in consumer.chunks[vcpu])
        for kind, *rest in items(consumer.stream(vcpu)):
            if kind == "event" and rest[0] is Event.GAP:
                in_band += u64(rest[2])
    assert 0 < in_band == in_headers == lost
    assert control.state is State.DISARMED


def test_a_paused_machine_is_armed_when_it_goes_on_and_nobody_hears_of_the_doorbell(machine, control):
    with Client.connect(machine.name) as listener:
        events = listener.events()
        next(events)
        machine.client.trace_arm(ArmOptions(mode=Mode.LOSSY))
        machine.client.trace_disarm()
        machine.client.pause()
        status = machine.client.trace_arm(ArmOptions(mode=Mode.LOSSY))
        assert (status.state, status.acknowledged) == ("disarmed", False)
        machine.client.resume()
        wait_until(lambda: control.state is State.ARMED)
        heard = [next(events) for _ in range(4)]
    assert [event.runstate for event in heard if isinstance(event, RunstateEvent)] == ["paused", "running"]


def test_heat_counts_blocks_and_stores_of_each_page(machine, control):
    block = control.block
    heat = [
        np.frombuffer(control.mapping, "<u4", block.heat_pages, offset)
        for offset in (block.heat_blocks_offset, block.heat_stores_offset)
    ]
    assert not heat[0].any() and not heat[1].any()
    machine.client.trace_arm(ArmOptions(features=Feature.HEAT))
    before = machine.client.dirty().value
    first = machine.client.dirty().epoch
    machine.exec("dd if=/dev/zero of=/tmp/x bs=1M count=4 2>/dev/null; rm /tmp/x")
    runs = machine.client.dirty(first).value
    machine.client.trace_disarm()
    executed, stored = heat[0].copy(), heat[1].copy()
    del heat
    assert executed.sum() > 100_000 and stored.sum() > 100_000
    changed = np.concatenate([np.arange(start, end) for start, end in runs])
    # Every page that changed was stored to, but for what devices wrote.
    assert (stored[changed] > 0).mean() > 0.98
    assert before is not None


def test_what_cannot_be_is_refused_in_words(machine, control):
    with pytest.raises(UsageError, match="multiple of 64"):
        machine.client.trace_arm(ArmOptions(chunk_bytes=100))
    with pytest.raises(UsageError, match="64 MiB"):
        machine.client.trace_arm(ArmOptions(chunks=1))
    with pytest.raises(UsageError, match=r"options\.chunks: expected integer, got string"):
        machine.client.call(Operations.trace_arm, {"options": {"chunks": "many"}, "reader_pid": 1})
    machine.client.trace_arm(ArmOptions(mode=Mode.LOSSY))
    with pytest.raises(MachineError, match="recorded already"):
        machine.client.trace_arm(ArmOptions())


def test_an_attached_machine_has_no_plugin(machine):
    attach("untraced", ram=Path(machine.client.connection.ram_path), layout="pc")
    with Client.connect("untraced") as client:
        with pytest.raises(MachineError, match="no plugin that traces"):
            client.trace_status()
        client.stop()


def test_the_shared_file_goes_with_the_machine_and_after_a_killed_daemon(victim):
    path = Path(victim.connection.trace_path)
    assert path.exists()
    os.kill(victim.connection.daemon_pid, signal.SIGKILL)
    wait_until(lambda: not connection.is_alive("victim"))
    connection.prune()
    assert not path.exists()


def test_the_status_is_a_record_with_a_row_for_each_vcpu(machine, control):
    status = machine.client.trace_status()
    assert status.state is TraceState.DISARMED and status.acknowledged and status.path == str(control.path)
    assert len(status.vcpus) == len(control.vcpus) == 2 and all(isinstance(ring, VcpuRing) for ring in status.vcpus)
    assert status.vcpus[0].read_chunks == control.vcpus[0].tail <= status.vcpus[0].published_chunks
