"""The mirror of RAM elsewhere, of an image with a hole between its regions, larger than one read."""

import numpy as np
import pytest
from listening import attached, own_keys, trust

from qemu_bridge.client import Client
from qemu_bridge.errors import AddressError, MachineGoneError
from qemu_bridge.memory.addresses import PAGE_SIZE, PhysicalAddress, RamOffset
from qemu_bridge.wire.operations import MAX_READ_BYTES

MIB = 1 << 20
LOW, HIGH = 5 * MIB, 7 * MIB
LAYOUT = f"0-{LOW:#x},4G-{(4 << 30) + HIGH:#x}"


@pytest.fixture(scope="module")
def content():
    pages = np.random.default_rng(1).integers(0, 256, (LOW + HIGH) // PAGE_SIZE * PAGE_SIZE, np.uint8)
    pages[8 * MIB : 9 * MIB] = 0
    return pages


@pytest.fixture(scope="module")
def client(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image"
    with path.open("wb") as file:
        file.truncate(len(content))
        for start in range(0, len(content), MIB):
            if content[start : start + MIB].any():
                file.seek(start)
                file.write(content[start : start + MIB])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        own_keys("read")
        with attached("holed", ram=path, layout=LAYOUT) as found, Client.connect(trust(found)) as client:
            yield client


@pytest.fixture
def ram(client):
    vars(client).pop("ram", None)
    with client.ram as ram:
        yield ram


def test_all_of_it_arrives_and_holes_stay_holes(ram, content):
    assert np.array_equal(ram.view, content)
    assert not ram.resident_pages()[8 * MIB // PAGE_SIZE : 9 * MIB // PAGE_SIZE].any()
    assert ram.resident_pages().sum() == 11 * MIB // PAGE_SIZE
    assert not ram.view.flags.writeable


def test_a_read_fetches_the_pages_that_it_needs_alone(client, ram, content, monkeypatch):
    asked, call = [], client.call

    def note(row, arguments):
        asked.append((row.name, sum(size for _, size in arguments.get("ranges", ()))))
        return call(row, arguments)

    monkeypatch.setattr(client, "call", note)
    assert ram.read(PhysicalAddress(PAGE_SIZE + 5), PAGE_SIZE) == content[PAGE_SIZE + 5 : 2 * PAGE_SIZE + 5].tobytes()
    assert asked == [("dirty", 0), ("read_memory", 2 * PAGE_SIZE)]
    assert ram.read(PhysicalAddress((4 << 30) + 1), 3) == content[LOW + 1 : LOW + 4].tobytes()
    assert ram.read_at(RamOffset(LOW - 2), 4) == content[LOW - 2 : LOW + 2].tobytes()
    assert ram.read(PhysicalAddress((4 << 30) + 3 * MIB), 8) == bytes(8) and asked[-1][0] == "dirty"
    with pytest.raises(AddressError):
        ram.read(PhysicalAddress(LOW - 2), 4)


def test_a_pattern_is_found_where_it_is(ram, content):
    needle = content[10 * MIB + 77 : 10 * MIB + 97].tobytes()
    assert list(ram.find(needle)) == [10 * MIB + 77]


def test_a_mirror_whose_machine_has_ended_says_so(content, tmp_path, monkeypatch):
    path = tmp_path / "image"
    path.write_bytes(content[:PAGE_SIZE].tobytes())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own_keys("read")
    with attached("gone", ram=path) as found:
        client = Client.connect(trust(found))
        before = client.ram.view.copy()
    with client, pytest.raises(MachineGoneError):
        while True:
            client.ram.refresh()
    assert np.array_equal(client.ram.view, before)


def test_what_is_to_be_fetched_later_comes_a_part_at_a_time_and_nobody_waits_for_all_of_it(
    client, ram, content, monkeypatch
):
    sizes, call = [], client.call

    def note(row, arguments):
        sizes.extend([sum(size for _, size in arguments["ranges"])] if row.name == "read_memory" else [])
        return call(row, arguments)

    monkeypatch.setattr(client, "call", note)
    ram.fetch_later()
    assert not ram.view.any() and ram.resident_pages().sum() == 11 * MIB // PAGE_SIZE and not sizes
    ram.fetch(0, 64)
    assert len(sizes) == 1 and np.array_equal(ram.view[: sizes[0]], content[: sizes[0]])
    assert not ram.view[sizes[0] :].any()
    for first in range(0, ram.page_count, 64):
        ram.fetch(first, first + 64)
    assert np.array_equal(ram.view, content)
    assert sum(sizes) == 11 * MIB and max(sizes) <= MAX_READ_BYTES and len(sizes) <= 5


def test_only_what_is_wanted_comes_and_how_much_is_told(client, ram, content, monkeypatch):
    sizes, told, call = [], [], client.call

    def note(row, arguments):
        sizes.extend([sum(size for _, size in arguments["ranges"])] if row.name == "read_memory" else [])
        return call(row, arguments)

    monkeypatch.setattr(client, "call", note)
    ram.fetch_later()
    ram.tell(lambda *now: told.append(now))
    wanted = np.zeros(ram.page_count, np.bool_)
    wanted[10:20] = wanted[9 * MIB // PAGE_SIZE - 1] = True
    assert ram.want(wanted).tolist() == list(range(10, 20)) and sizes == [10 * PAGE_SIZE] and not told
    ram.fetch(0, ram.page_count)
    assert np.flatnonzero(ram.pages().any(axis=1)).tolist() == list(range(10, 20))
    assert len(ram.take_unwanted_changes()) == 11 * MIB // PAGE_SIZE - 10 and not len(ram.take_unwanted_changes())
    ram.want(np.ones(ram.page_count, np.bool_))
    total = 11 * MIB - 10 * PAGE_SIZE
    assert np.array_equal(ram.view, content) and told[-1] == (total, total) and 1 < len(told) == len(sizes) - 1
