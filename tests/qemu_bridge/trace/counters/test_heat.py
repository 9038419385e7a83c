"""The heat arrays of a running guest: what runs is hot, what is stored to is counted, and nobody is left armed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from guest_programs import HEADER, compile_program, install
from support import booted, wait_until
from trace_consumer import Consumer, begun_instructions, items, u64

from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError, MachineError
from qemu_bridge.memory.dirty import Comparison, choose_strategy
from qemu_bridge.trace.counters.heat import Heat
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import Event, Feature

pytestmark = pytest.mark.guest

PLACE = 0x10000000000
LOOP = (
    HEADER
    + f"""
void _start(void) {{
    volatile long *data = (volatile long *)ask(9 /* mmap */, {PLACE:#x}, 4096, 3, 2 | 16 | 32, -1, 0);
    for (;;) data[0]++;
}}
"""
)
WATCHER = """
import sys, time
from qemu_bridge.client import Client
heat = Client.connect(sys.argv[1]).heat()
print("armed", flush=True)
time.sleep(100)
"""


@pytest.fixture(scope="module")
def machine(image):
    with booted("hot", image) as found:
        yield found


@pytest.fixture
def loop(machine, tmp_path):
    """(page of the code, page of the data) of a program that stores in a loop, as the guest's own pagemap has them."""
    install(machine, compile_program(tmp_path, LOOP), "/tmp/loop")
    pid = int(machine.exec("/tmp/loop >/dev/null 2>&1 & echo $!"))
    code = int(machine.exec(f"grep r-xp /proc/{pid}/maps | grep loop | cut -d- -f1"), 16)
    yield frame(machine, pid, code), frame(machine, pid, PLACE)
    machine.exec(f"kill {pid}")


def frame(machine, pid, address):
    raw = machine.exec(f"dd if=/proc/{pid}/pagemap bs=8 count=1 skip={address >> 12} 2>/dev/null | od -An -tx8")
    return int(raw, 16) & (1 << 55) - 1


def test_a_tight_loop_has_the_hottest_page_of_code_and_of_data(machine, loop):
    with machine.client.heat() as heat:
        blocks, stores = heat.blocks.copy(), heat.stores.copy()
        time.sleep(1)
        blocks, stores = heat.blocks - blocks, heat.stores - stores
        assert heat.is_armed
    assert (int(blocks.argmax()), int(stores.argmax())) == loop
    assert blocks[loop[0]] > 10 * np.partition(blocks, -2)[-2]


def test_the_arrays_are_read_in_place_and_read_only(machine):
    with machine.client.heat() as heat:
        assert not heat.blocks.flags.owndata and not heat.blocks.flags.writeable
        assert heat.blocks.dtype == heat.stores.dtype == np.uint32
        assert len(heat.blocks) == len(heat.stores) == machine.ram.page_count
    assert not heat.is_armed and not machine.client.trace_status().heat
    heat.close()
    assert heat.stores.sum() > 0


def test_what_comparison_finds_was_stored_to(machine):
    with machine.client.heat() as heat:
        exact, counted = Comparison(machine.ram), choose_strategy(machine.ram, None, heat.stores)
        assert counted.name == "stores"
        with machine.paused():
            assert exact.collect().tolist() == counted.collect().tolist()
        machine.exec("for i in 1 2 3; do dd if=/dev/zero of=/tmp/dirt bs=4096 count=64 2>/dev/null; done; rm /tmp/dirt")
        with machine.paused():
            changed, stored = exact.collect(), counted.collect()
    assert len(changed) > 64
    # The guest has no device here that writes into RAM while a shell runs: its disk is RAM, its agent's line a port.
    assert np.setdiff1d(changed, stored).tolist() == []


def test_two_may_watch_and_the_last_ends_it(machine):
    first, second = machine.client.heat(), machine.client.heat()
    first.close()
    assert second.is_armed and not first.is_armed
    second.close()
    assert not machine.client.trace_status().heat


@pytest.mark.long
def test_heat_goes_on_and_off_while_a_trace_is_recorded_and_the_trace_stays_exact(machine, loop):
    control = TraceControl(Path(machine.client.connection.trace_path))
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions(features=Feature.BLOCKS | Feature.EVENTS | Feature.VERIFY))
        with machine.client.heat() as heat:
            before = heat.stores.copy()
            machine.exec("true")
            assert heat.is_armed and control.is_armed
            assert int((heat.stores - before).argmax()) == loop[1]
        assert control.is_armed and not machine.client.trace_status().heat
        with machine.client.heat() as heat:
            machine.client.trace_disarm()
            assert heat.is_armed and not control.is_armed
    words = np.concatenate([chunk.words for chunk in consumer.chunks[0]])
    first, *_, last = items(words)
    assert first[1] is Event.WINDOW_START and last[1] is Event.WINDOW_STOP
    assert begun_instructions(words, consumer.blocks()) == u64(last[3], 2) - u64(first[3], 4) > 1_000_000


def test_the_last_writer_of_a_page_is_the_loop_that_stores_to_it(machine, loop):
    with machine.client.heat() as heat:
        wait_until(lambda: heat.writers["code"][loop[1]] >> 12 == loop[0])
        with machine.paused():
            found = machine.client.name_writer(heat.writers[loop[1]])
            kernel = np.flatnonzero(heat.writers["code"] >> np.uint64(63))
            names = {machine.client.name_writer(heat.writers[page]).place for page in kernel[:20]}
    assert found.name == "loop" and found.place.endswith("in /tmp/loop")
    assert heat.writers["code"][loop[1]] >> 12 == loop[0]
    assert names and all("+0x" in name for name in names)


def test_a_watcher_that_is_killed_leaves_nothing_armed(machine):
    words = [sys.executable, "-c", WATCHER, machine.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ) as watcher:
        assert watcher.stdout.readline() == b"armed\n"
        assert machine.client.trace_status().heat
        watcher.send_signal(signal.SIGKILL)
        watcher.wait()
    wait_until(lambda: not machine.client.trace_status().heat, 5)


def test_a_capture_has_no_heat(machine, tmp_path):
    machine.client.capture(str(tmp_path / "kept"))
    with Client.connect(str(tmp_path / "kept")) as kept:
        with pytest.raises(GlassBoxError, match=r"capture|start"):
            kept.heat()
        kept.stop()


def test_what_is_no_shared_file_is_refused(tmp_path):
    (tmp_path / "other").write_bytes(bytes(8192))
    for name in ("other", "missing"):
        with pytest.raises(MachineError, match=r"start|use"):
            Heat(tmp_path / name, lambda: None)
