"""Memory of a guest's process, read from outside while it runs: what is read is what was there at one time, or an error."""

import numpy as np
import pytest
from guest_programs import HEADER, compile_program, install

from gpu_hypervisor.channel.messages import Element, Virtual
from gpu_hypervisor.channel.processes import TRIES, GuestProcesses
from qemu_bridge.errors import AddressError

pytestmark = pytest.mark.guest

PLACE, SIZE = 0x10000000000, 1 << 20
MOVING = (
    HEADER
    + """
enum { READ = 0, WRITE = 1, MMAP = 9, MUNMAP = 11 };
enum { PLACE = 0x10000000000L, SIZE = 1 << 20 };
void _start(void) {
    char byte;
    for (long generation = 0;; generation++) {
        volatile unsigned *words = (volatile unsigned *)ask(MMAP, PLACE, SIZE, 3, 2 | 16 | 32, -1, 0);
        for (long i = 0; i < SIZE / 4; i++) words[i] = (unsigned)(i * 2654435761u + generation);
        ask(WRITE, 1, (long)"ready", 5, 0, 0, 0);
        if (ask(READ, 0, (long)&byte, 1, 0, 0, 0) != 1) break;
        /* Other pages are taken before these are given back: the memory is elsewhere in RAM afterwards. */
        volatile char *other = (volatile char *)ask(MMAP, PLACE + 0x10000000000L, SIZE, 3, 2 | 16 | 32, -1, 0);
        for (long i = 0; i < SIZE; i += 4096) other[i] = 1;
        ask(MUNMAP, PLACE, SIZE, 0, 0, 0, 0);
    }
    for (;;) ask(34 /* PAUSE */, 0, 0, 0, 0, 0, 0);
}
"""
)
"""Fills a megabyte at 1 << 40, and moves it, filled anew, whenever it reads a byte."""


def content(generation):
    return (np.arange(SIZE // 4, dtype=np.uint64) * 2654435761 + generation).astype(np.uint32).view(np.uint8)


@pytest.fixture(scope="module")
def process(gpu_machine, tmp_path_factory):
    """The number of a process with memory that moves when `move` is called, and that function."""
    install(gpu_machine, compile_program(tmp_path_factory.mktemp("moving"), MOVING), "/tmp/moving")
    gpu_machine.exec("mkfifo /tmp/move; /tmp/moving <>/tmp/move >/tmp/moved 2>/dev/null & echo $! >/tmp/moving.pid")
    generation = 0

    def move():
        nonlocal generation
        generation += 1
        gpu_machine.exec("printf x >/tmp/move")
        wait()
        return generation

    def wait():
        wanted = 5 * (generation + 1)
        gpu_machine.exec(f"while [ $(wc -c </tmp/moved) -lt {wanted} ]; do sleep 0.02; done")

    wait()
    pid = int(gpu_machine.exec("cat /tmp/moving.pid"))
    yield pid, move
    gpu_machine.exec(f"kill {pid}; rm /tmp/move")


@pytest.fixture
def processes(gpu_machine):
    return GuestProcesses(gpu_machine.client)


def read(processes, pid, address, size, on_put=lambda: None):
    found = np.zeros(size, np.uint8)

    def put(offset, view):
        found[offset : offset + len(view)] = view
        on_put()

    processes.read(Virtual(pid, address, size, Element.U8), put)
    return found


@pytest.mark.parametrize(("first", "size"), [(0, SIZE), (100, 1), (4095, 2), (4096, 4096), (77, SIZE - 200)])
def test_what_is_read_is_what_the_process_has(processes, process, first, size):
    pid, move = process
    generation = move()
    found = read(processes, pid, PLACE + first, size)
    np.testing.assert_array_equal(found, content(generation)[first : first + size])


def test_runs_are_views_of_ram_and_not_copies(processes, process, gpu_machine):
    seen = []
    processes.read(Virtual(process[0], PLACE, 8192, Element.U8), lambda offset, view: seen.append(view))
    assert all(np.shares_memory(view, gpu_machine.client.ram.view) and not view.flags.writeable for view in seen)


def test_memory_that_moved_meanwhile_is_read_again(processes, process):
    pid, move = process
    moved = []
    found = read(processes, pid, PLACE, SIZE, on_put=lambda: moved or moved.append(move()))
    np.testing.assert_array_equal(found, content(moved[0]))


def test_memory_that_moves_each_time_is_an_error(processes, process):
    pid, move = process
    with pytest.raises(AddressError, match=f"moved each of {TRIES} times"):
        processes.read(Virtual(pid, PLACE, 4096, Element.U8), lambda offset, view: move())


@pytest.mark.parametrize(
    ("address", "size"),
    [
        (PLACE - 4096, 4096),
        (PLACE + SIZE - 10, 20),
        (0xFFFFFFFF81000000, 16),
        ((1 << 47) - 8, 16),
        ((1 << 64) - 8, 16),
        (PLACE, 0),
        (PLACE, 1 << 40),
        (0, 16),
    ],
)
def test_what_is_no_memory_of_the_process_is_told(processes, process, address, size):
    with pytest.raises(AddressError):
        read(processes, process[0], address, min(size, 1 << 20)) if size < 1 << 30 else processes.read(
            Virtual(process[0], address, size, Element.U8), lambda offset, view: None
        )


@pytest.mark.parametrize("pid", [0, 2, 99999, (1 << 32) - 1])
def test_what_is_no_process_with_memory_is_told(processes, process, pid):
    with pytest.raises(AddressError, match="no process"):
        read(processes, pid, PLACE, 16)
