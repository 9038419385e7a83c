"""GuestRam on files made here: reading, searching, holes, and RAM that goes away."""

import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from qemu_bridge.errors import AddressError, MachineGoneError, UsageError
from qemu_bridge.memory.addresses import GIB, PAGE_SIZE, PhysicalAddress, RamLayout
from qemu_bridge.memory.ram import GuestRam

SIZE = 1 << 20


@pytest.fixture
def ram(tmp_path):
    # In shared memory, as a machine's is: other file systems treat holes differently.
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="glassbox-test-") as folder:
        yield from make_ram(Path(folder, "ram"))


def make_ram(path):
    content = np.random.default_rng(7).integers(1, 256, 8 * PAGE_SIZE, np.uint8).tobytes()
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(16 * PAGE_SIZE)
        file.write(content)
    with GuestRam(path, RamLayout.from_rule("pc", SIZE)) as found:
        yield found


def test_reads_equal_the_file(ram):
    content = ram.path.read_bytes()
    assert ram.read(PhysicalAddress(16 * PAGE_SIZE + 5), 100) == content[16 * PAGE_SIZE + 5 :][:100]
    assert ram.read_u64(PhysicalAddress(16 * PAGE_SIZE)) == int.from_bytes(content[16 * PAGE_SIZE :][:8], "little")
    assert ram.read_u32(PhysicalAddress(16 * PAGE_SIZE)) == int.from_bytes(content[16 * PAGE_SIZE :][:4], "little")


def test_the_view_is_the_file_itself_and_cannot_be_written(ram):
    with ram.path.open("r+b") as file:
        file.write(b"changed")
    assert ram.view[:7].tobytes() == b"changed"
    with pytest.raises(ValueError, match="read-only"):
        ram.view[0] = 1
    assert np.shares_memory(ram.pages(), ram.view)


@pytest.mark.parametrize(("physical", "length"), [(SIZE, 1), (SIZE - 1, 2), (-1, 1), (1 << 63, 8), (0, SIZE + 1)])
def test_reads_outside_ram_are_refused(ram, physical, length):
    with pytest.raises(AddressError, match="outside guest RAM"):
        ram.read(PhysicalAddress(physical), length)


def test_a_negative_length_is_refused_and_nothing_is_nothing(ram):
    assert ram.read(PhysicalAddress(0), 0) == b""
    with pytest.raises(UsageError):
        ram.read(PhysicalAddress(0), -1)


def test_a_read_across_the_hole_is_refused(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(5 * GIB)
    with GuestRam(path, RamLayout.from_rule("q35", 5 * GIB)) as ram:
        assert ram.read(PhysicalAddress(4 * GIB), 8) == bytes(8)
        with pytest.raises(AddressError):
            ram.read(PhysicalAddress(2 * GIB - 4), 8)


def test_resident_pages_are_those_that_were_written(ram):
    assert np.flatnonzero(ram.resident_pages()).tolist() == list(range(16, 24))


def test_cached_pages_are_those_that_were_written_and_cost_as_much_as_was_asked_for():
    # As RAM is: of a file on a disk also holes that were read are in memory.
    with tempfile.NamedTemporaryFile(dir=os.environ["GLASSBOX_RAM_DIR"]) as file:
        file.truncate(GIB)
        for first, count in ((3, 2), (100, 60_000)):
            file.seek(first * PAGE_SIZE)
            file.write(b"x" * count * PAGE_SIZE)
        file.flush()
        with GuestRam(Path(file.name), RamLayout.from_rule("pc", GIB)) as ram:
            resident = ram.resident_pages()
            for first, end in ((0, 120), (4, 5), (99, 101), (60_000, ram.page_count)):
                assert np.array_equal(ram.cached_pages(first, end), resident[first:end])
            few = min(processor_time(lambda: ram.cached_pages(98, 102)) for _ in range(20))
            all_data = min(
                processor_time(lambda: list(ram.resident_runs(98 * PAGE_SIZE, 102 * PAGE_SIZE))) for _ in range(20)
            )
            assert few * 4 < all_data


def processor_time(action):
    begun = time.thread_time()
    action()
    return time.thread_time() - begun


def test_a_copy_has_the_same_bytes_and_the_same_holes(ram):
    with GuestRam(ram.copy_to(ram.path.with_name("copy")), ram.layout) as copy:
        assert (copy.view == ram.view).all() and list(copy.resident_runs()) == list(ram.resident_runs())


def test_bytes_are_found_with_overlaps_and_across_pages(ram):
    with ram.path.open("r+b") as file:
        file.seek(17 * PAGE_SIZE - 2)
        file.write(b"\0\0\0\0")
    assert list(ram.find(b"\0\0\0")) == [17 * PAGE_SIZE - 2, 17 * PAGE_SIZE - 1]
    assert list(ram.find(b"\0\0\0", limit=1)) == [17 * PAGE_SIZE - 2]


def test_every_occurrence_that_a_plain_search_finds_is_found(ram):
    content = ram.path.read_bytes()
    needle = content[18 * PAGE_SIZE : 18 * PAGE_SIZE + 2]
    expected = [match.start() for match in re.finditer(b"(?=" + re.escape(needle) + b")", content, re.DOTALL)]
    assert list(ram.find(needle)) == expected


def test_a_regular_expression_is_found(ram):
    with ram.path.open("r+b") as file:
        file.seek(20 * PAGE_SIZE + 9)
        file.write(b"Linux version 6.1.0")
    assert list(ram.find(re.compile(rb"Linux version [\d.]+"))) == [20 * PAGE_SIZE + 9]


@pytest.mark.parametrize("pattern", [b"", re.compile(b""), re.compile(b"x*")])
def test_a_pattern_of_nothing_is_refused(ram, pattern):
    with pytest.raises(UsageError, match="at least one byte"):
        list(ram.find(pattern))


def test_ram_that_is_gone_or_cut_short_is_an_error_in_words(tmp_path, ram):
    with pytest.raises(MachineGoneError, match="still running"):
        GuestRam(tmp_path / "nowhere", RamLayout.from_rule("pc", SIZE))
    with pytest.raises(MachineGoneError, match="cut short"):
        GuestRam(ram.path, RamLayout.from_rule("pc", 2 * SIZE))


def test_reading_a_hole_does_not_fill_it(ram):
    before = ram.path.stat().st_blocks
    assert ram.read(PhysicalAddress(0), 16 * PAGE_SIZE) == bytes(16 * PAGE_SIZE)
    assert ram.path.stat().st_blocks == before


def test_a_file_cut_short_while_open_is_an_error_not_a_signal(ram):
    os.truncate(ram.path, PAGE_SIZE)
    with pytest.raises(MachineGoneError, match="cut short"):
        ram.read(PhysicalAddress(16 * PAGE_SIZE), 8)


def test_views_outlive_the_machine_that_gave_them(ram):
    view = ram.pages()[16]
    ram.path.unlink()
    ram.close()
    assert view.any()
