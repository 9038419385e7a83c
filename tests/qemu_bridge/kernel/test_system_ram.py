"""Memory of the guest that is not in the RAM file, because it is swapped out or was plugged later: it is said, never left out."""

import random
import re
import struct

import pytest
from guest_programs import SWAPPED, compile_program, install
from open_captures import let_go
from support import booted, glassbox, wait_until

from qemu_bridge.errors import AddressError, UsageError
from qemu_bridge.introspection.overlays import find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.system_ram import SystemRam, missing_from, read_system_ram
from qemu_bridge.memory.addresses import PAGE_SIZE, RamLayout
from qemu_bridge.wire.records import MemorySpace

MIB = 1 << 20
START = 1 << 40
PAGES, OUT = 64, 48


def test_what_is_missing_from_a_layout_is_what_no_region_holds():
    draw = random.Random(5)
    for _ in range(200):
        borders = sorted(draw.sample(range(200), 8))
        layout = RamLayout.from_ranges(zip(borders[0:4:2], borders[1:4:2], strict=True))
        cuts = sorted(draw.sample(range(220), 6))
        ranges = list(zip(cuts[::2], cuts[1::2], strict=True))
        held = {byte for region in layout.regions for byte in range(region.start, region.start + region.size)}
        wanted = {byte for start, end in ranges for byte in range(start, end)} - held
        missing = missing_from(layout, ranges)
        assert [byte for start, end in missing for byte in range(start, end)] == sorted(wanted)


@pytest.mark.guest
def test_the_ranges_of_ram_are_those_of_the_guests_iomem(each_machine):
    inside = re.findall(
        r"^\s*([0-9a-f]+)-([0-9a-f]+) : System RAM", each_machine.exec("cat /proc/iomem").decode(), re.M
    )
    each_machine.context.forget()
    assert read_system_ram(each_machine.context.objects, Budget()) == [(int(a, 16), int(b, 16) + 1) for a, b in inside]


@pytest.fixture(scope="module")
def grown(image):
    """A guest that was given 128 MiB more while it ran."""
    with booted("grown", image, qemu_args=("-m", "128M,slots=2,maxmem=1G")) as machine:
        before = machine.client.ps()
        monitor = machine.client.qmp
        monitor("object-add", {"qom-type": "memory-backend-ram", "id": "more", "size": 128 * MIB})
        monitor("device_add", {"driver": "pc-dimm", "id": "dimm", "memdev": "more"})
        wait_until(lambda: machine.exec("grep -c RAM /proc/iomem").strip() == b"3")
        machine.exec(
            "cd /sys/devices/system/memory; for m in memory*/state; do echo online >$m; done 2>/dev/null; true"
        )
        yield machine, before


@pytest.mark.guest
def test_ram_that_was_plugged_is_said_in_each_answer_and_error(grown):
    machine, before = grown
    client = machine.client
    sentence = "128 MiB of the guest's RAM at 0x100000000-0x107ffffff is not in the RAM file"
    assert before.is_complete
    for answer in (
        client.ps(),
        client.modules(),
        client.overlay("page-cache"),
        client.page_map(),
        client.identify("0x1000"),
    ):
        assert any(sentence in note for note in answer.skipped)
    for ask in (lambda: client.resolve("file:/tmp/missing"), lambda: client.identify("0x100000000")):
        with pytest.raises(UsageError, match=re.escape(sentence)):
            ask()


@pytest.mark.guest
def test_a_budget_that_an_earlier_question_used_up_hides_nothing(grown):
    machine, _ = grown
    objects = machine.context.objects
    with objects.charged_to(Budget(time_s=0.0)):
        assert SystemRam(objects).describe_missing()
    assert read_overlay(find_overlays().find("processes"), machine.context, Budget(time_s=0.0)).rows == ()
    assert SystemRam(objects).describe_missing() and list(
        objects.linked(objects.address_of("init_task") + objects.offset("task_struct", "tasks"), "task_struct", "tasks")
    )


@pytest.mark.guest
def test_a_capture_of_a_guest_that_grew_says_so(grown, tmp_path):
    machine, _ = grown
    folder = tmp_path / "capture"
    try:
        for words in (("capture", machine.name, "-o", str(folder)), ("ps", str(folder))):
            found = glassbox(*words)
            assert found.returncode == 0
            assert "not in the RAM file" in found.stderr
    finally:
        let_go(folder)


@pytest.fixture(scope="module")
def swapped(machine, tmp_path_factory):
    """A process of which 48 pages are swapped out: its number."""
    install(machine, compile_program(tmp_path_factory.mktemp("swapped"), SWAPPED), "/tmp/swapped")
    machine.exec("dd if=/dev/zero of=/tmp/swap bs=1M count=4 2>/dev/null; losetup /dev/loop0 /tmp/swap")
    machine.exec("mkswap /dev/loop0 >/dev/null && swapon /dev/loop0")
    machine.exec("setsid /tmp/swapped </dev/null >/tmp/swapped.ready 2>/dev/null &")
    try:
        wait_until(lambda: machine.exec("cat /tmp/swapped.ready") == b"ready")
        pid = int(machine.exec("pidof swapped"))
        wait_until(lambda: machine.exec(f"grep VmSwap /proc/{pid}/status").split()[1] == b"192")
        yield pid
    finally:
        machine.exec("killall -9 swapped; swapoff /dev/loop0; losetup -d /dev/loop0; rm -f /tmp/swap /tmp/swapped*")


@pytest.mark.guest
def test_a_swapped_page_names_its_slot_as_the_guests_pagemap_does(machine, swapped):
    pagemap = machine.exec(f"dd if=/proc/{swapped}/pagemap bs=8 skip={START >> 12} count={PAGES} 2>/dev/null")
    entries = struct.unpack(f"<{PAGES}Q", pagemap)
    assert sum(entry >> 62 & 1 for entry in entries) == OUT
    for page, entry in enumerate(entries):
        place = f"va:{START + page * PAGE_SIZE:#x}@pid:{swapped}"
        if entry >> 62 & 1:
            with pytest.raises(AddressError, match=rf"slot {entry >> 5 & (1 << 50) - 1} of swap device {entry & 31}\b"):
                machine.client.identify(place)
        else:
            assert machine.client.identify(place).value.mappings


@pytest.mark.guest
def test_targets_and_reads_of_a_process_say_how_much_of_it_is_swapped_out(machine, swapped):
    client = machine.client
    assert next(process for process in client.ps() if process.pid == swapped).swapped_pages == OUT
    for target, count in {
        f"pid:{swapped}": OUT,
        f"pid:{swapped}/anonymous": OUT,
        f"pid:{swapped}/text": 0,
        f"va:{START:#x}+{10 * PAGE_SIZE:#x}@pid:{swapped}": 10,
        f"va:{START + 40 * PAGE_SIZE:#x}+2M@pid:{swapped}": 8,
    }.items():
        notes = [note for note in client.resolve(target).skipped if "swapped out" in note]
        assert [int(re.search(r"has (\d+)", note)[1]) for note in notes] == ([count] if count else []), target
    answer = client.read_memory([(START, 8), (START + OUT * PAGE_SIZE, 8)], MemorySpace.VIRTUAL, swapped)
    assert answer.value[0] is None and bytes(answer.value[1]) == struct.pack("<Q", 0x5A5A0000 + OUT)
    assert any("swapped out" in note for note in answer.skipped), answer.skipped
