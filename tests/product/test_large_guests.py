"""Guests whose RAM goes on above the hole below 4 GiB: found, named and translated; several vCPUs; KASLR on.

RAM is sparse, so 4.5 GiB of it cost what the guest touches.
"""

import dataclasses
import subprocess
import time

import numpy as np
import pytest
from foreign_qemu import foreign, shared
from guest_programs import HEADER, compile_program, install
from support import booted, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import GuestError
from qemu_bridge.machine import launch
from qemu_bridge.memory.addresses import GIB, PAGE_SHIFT, RamLayout, format_layout, parse_size
from qemu_bridge.memory.paging import Half
from qemu_bridge.wire.records import PageClass

pytestmark = pytest.mark.guest

SIZE = 4 * GIB + (512 << 20)
FILLED = 12 << 20
PROGRAM = (
    HEADER
    + """
void _start(void) {                       /* mmap private anonymous, one mark a page, then pause for ever */
    char *at = (char *)ask(9, 0x10000000000, SIZE, 3, 0x32, -1, 0);
    for (long page = 0; page < SIZE; page += 4096) *(volatile long *)(at + page) = 0x676c617373626f78 + page;
    for (;;) ask(34, 0, 0, 0, 0, 0, 0);
}
"""
)
START = 0x10000000000


@pytest.fixture(scope="module")
def filler(tmp_path_factory):
    """A static program that owns `FILLED` bytes at `START`."""
    return compile_program(tmp_path_factory.mktemp("filler"), PROGRAM, f"-DSIZE={FILLED}L")


def start(machine, program):
    """Run `program` in the guest and return its pid once it has filled its memory."""
    install(machine, program, "/tmp/filler")
    pid = int(machine.exec("setsid /tmp/filler </dev/null >/dev/null 2>&1 & echo $!"))
    deadline = time.monotonic() + 60
    while int(machine.exec(f"cat /proc/{pid}/statm").split()[1]) < FILLED >> PAGE_SHIFT:
        assert time.monotonic() < deadline
    return pid


def told_frames(machine, pid):
    """Frames of the filler's pages in the guest's own words."""
    raw = machine.exec(f"dd if=/proc/{pid}/pagemap bs=8 skip={START >> 12} count={FILLED >> 12} 2>/dev/null")
    entries = np.frombuffer(raw, "<u8")
    assert (entries >> np.uint64(63)).all()
    return entries & np.uint64((1 << 55) - 1)


@pytest.mark.parametrize(
    "machine_type, smp, kaslr", [("q35", 4, False), pytest.param("pc", 2, True, marks=pytest.mark.long)]
)
def test_a_guest_with_ram_above_4_gib(machine_type, smp, kaslr, image, filler, tmp_path):
    if kaslr and image.bzimage is None:
        pytest.skip("this image has no bzImage")
    kernel = image.bzimage if kaslr else image.kernel
    with booted(
        "large", dataclasses.replace(image, kernel=kernel), machine=machine_type, memory=SIZE, smp=smp
    ) as machine:
        assert int(machine.exec("nproc")) == smp == machine.client.status().vcpus
        assert (machine.kernel.kaslr_offset != 0) == kaslr
        assert machine.ram.layout == RamLayout.from_rule(machine_type, SIZE)
        pid = start(machine, filler)
        with machine.paused():
            pass
        told = told_frames(machine, pid)
        with machine.paused():
            check_processes(machine, pid, told)
            copy = tmp_path / "large.ram"
            subprocess.run(["cp", "--sparse=always", machine.client.connection.ram_path, copy], check=True)
            names = [process.name for process in machine.client.ps()]
            flat = tmp_path / "flat.ram"
            write_flat(machine.ram, flat)
        check_image(copy, machine_type, names)
        copy.unlink()
        check_image(flat, "flat", names)
        flat.unlink()


def check_processes(machine, pid, told):
    """What the filler owns lies above the hole, and is found there by translation, by class and by content."""
    layout = machine.ram.layout
    assert (told >= 4 * GIB >> PAGE_SHIFT).sum() > 1000
    (process,) = (process for process in machine.processes() if process.pid == pid)
    virtual, frame, _ = machine.address_space(process).mappings(Half.USER).pages()
    inside = (virtual >= START) & (virtual < START + FILLED)
    assert frame[inside].tolist() == told.tolist()
    pages = layout.frames_to_pages(told)
    marks = machine.ram.pages()[pages].view(np.uint64)[:, 0]
    assert (marks == np.uint64(0x676C617373626F78) + np.arange(len(pages), dtype=np.uint64) * np.uint64(4096)).all()
    entries = machine.client.page_map().value.entries[pages]
    assert len(set(entries["page_class"].tolist())) == 1 and len(set(entries["owner_id"].tolist())) == 1
    assert any(mapping.start == START for mapping in machine.client.maps(pid))


def check_image(path, machine_type, names):
    """A raw copy of such RAM says by itself how it is laid out, and a hole in it costs no time."""
    launch.attach("large-image", ram=path)
    with Client.connect("large-image") as client:
        try:
            assert client.status().machine == machine_type
            assert [process.name for process in client.ps()] == names
            started = time.monotonic()
            assert client.identify("init_task").value.page_class == "kernel-data"
            assert client.page_map().value.counts()[PageClass.SLAB] and time.monotonic() - started < 20
        finally:
            client.stop()


def write_flat(ram, path):
    """RAM with the hole in it, as ``pmemsave`` writes it: a byte's place is its physical address."""
    with open(path, "wb") as file:
        file.truncate(ram.layout.end)
        for region in ram.layout.regions:
            for start, end in ram.resident_runs():
                first, last = max(start, region.offset), min(end, region.offset + region.size)
                if first < last:
                    file.seek(region.start + first - region.offset)
                    file.write(ram.view[first:last])


@pytest.mark.parametrize(
    "machine_type, size, low",
    [
        ("pc", "3328M", "3G"),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [("pc", "4608M", "2560M"), ("q35", "4608M", "1G"), ("pc", "1G", "600M")]
        ),
    ],
)
def test_a_layout_that_no_rule_foresees_is_found_in_the_image_alone(machine_type, size, low, image, tmp_path):
    """QEMU may be told where RAM below 4 GiB ends, and other hypervisors end it elsewhere."""
    with foreign(
        tmp_path,
        *shared(tmp_path, size, machine_type),
        *("-machine", f"max-ram-below-4g={low}", "-kernel", image.kernel, "-initrd", image.initrd),
        *("-append", image.command_line),
    ) as qemu:
        launch.attach("mine", qmp=qemu.qmp)
        with Client.connect("mine") as client:
            wait_until(lambda: has_booted(client), 120)
            client.pause()
            names, layout = [process.name for process in client.ps()], client.ram.layout
            client.stop()
        assert [region.size for region in layout.regions] == [parse_size(low), parse_size(size) - parse_size(low)]
        check_image(qemu.ram, format_layout(layout), names)


def has_booted(client):
    try:
        return len({"init", "getty"} & {process.name for process in client.ps()}) >= 1
    except GuestError:
        return False


def test_questions_cost_what_the_guest_touched_and_not_its_size(image):
    seconds = {}
    for name, memory in (("small", 256 << 20), ("large", SIZE)):
        with booted(name, image, memory=memory) as machine, machine.paused():
            machine.client.page_map()
            epoch = machine.client.dirty().epoch
            for what, ask in (
                ("page map", lambda machine=machine: machine.client.refresh_page_map()),
                ("resident", lambda machine=machine: machine.ram.resident_pages()),
                ("dirty", lambda machine=machine, epoch=epoch: machine.client.dirty(epoch)),
            ):
                started = time.perf_counter()
                ask()
                seconds[what, name] = time.perf_counter() - started
            touched = machine.client.status().touched_bytes
            assert touched < 512 << 20
    for what in ("page map", "resident", "dirty"):
        # 18 times the RAM, of which 72 MiB more are the kernel's array of struct page.
        assert seconds[what, "large"] < 8 * seconds[what, "small"] + 0.05, (what, seconds)
