"""The heat arrays of a running guest: what runs is hot, what is stored to is counted, and nobody is left armed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from guest_programs import HEADER, compile_program, install
from support import booted, wait_until

from qemu_bridge.capture import write_capture
from qemu_bridge.client import Client
from qemu_bridge.dirty import Comparison, choose_strategy
from qemu_bridge.errors import GlassBoxError, MachineError
from qemu_bridge.trace.heat import Heat

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
    assert not heat.is_armed and machine.client.trace_status()["state"] == "disarmed"
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


def test_a_window_of_somebody_else_is_left_alone(machine):
    first = machine.client.heat()
    with pytest.raises(MachineError, match="disarm it first"):
        machine.client.heat()
    machine.client.trace_disarm()
    with machine.client.heat() as second:
        first.close()
        assert second.is_armed and not first.is_armed


def test_a_watcher_that_is_killed_leaves_nothing_armed(machine):
    words = [sys.executable, "-c", WATCHER, machine.name]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ) as watcher:
        assert watcher.stdout.readline() == b"armed\n"
        assert machine.client.trace_status()["state"] == "armed"
        watcher.send_signal(signal.SIGKILL)
        watcher.wait()
    wait_until(lambda: machine.client.trace_status()["state"] == "disarmed", 5)


def test_a_capture_has_no_heat(machine, tmp_path):
    write_capture(machine.client, tmp_path / "kept")
    with Client.connect(str(tmp_path / "kept")) as kept:
        with pytest.raises(GlassBoxError, match=r"capture|start"):
            kept.heat()
        kept.stop()


def test_what_is_no_shared_file_is_refused(tmp_path):
    (tmp_path / "other").write_bytes(bytes(8192))
    for name in ("other", "missing"):
        with pytest.raises(MachineError, match=r"start|use"):
            Heat(tmp_path / name, lambda: None)
