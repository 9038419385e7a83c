"""Fields of many structures at once: against reading them one by one, and where pointers lead nowhere."""

import numpy as np
import pytest

from qemu_bridge.kernel.columns import IMAGE_BASE, KernelColumns
from qemu_bridge.memory.addresses import PAGE_SIZE

U64 = (1 << 64) - 1


@pytest.fixture(scope="module")
def read(machine):
    return KernelColumns(machine.ram, machine.kernel)


@pytest.mark.guest
def test_values_are_those_that_page_tables_lead_to(machine, read):
    kernel, random = machine.kernel, np.random.default_rng(1)
    names = [kernel.kallsyms[int(row)].address for row in random.integers(len(kernel.kallsyms), size=200)]
    addresses = [address & ~7 for address in names if address >= IMAGE_BASE]
    addresses += [
        read.page_offset + int(page) * PAGE_SIZE
        for page in random.choice(np.flatnonzero(read.resident), 200)
        # The kernel maps neither the memory of screen and firmware here nor, again, the code it has mapped elsewhere.
        if kernel.page_tables.translate(read.page_offset + int(page) * PAGE_SIZE) is not None
    ]
    addresses += [read.vmemmap + 64 * int(page) for page in random.integers(machine.ram.page_count, size=50)]
    with machine.paused():
        expected = [int.from_bytes(kernel.page_tables.read_some(a, 8).ljust(8, b"\0"), "little") for a in addresses]
        assert read.u64(np.array(addresses, np.uint64)).tolist() == expected
        assert [read.word(address) for address in addresses] == expected
        assert read.u32(np.array(addresses, np.uint64)).tolist() == [value & 0xFFFFFFFF for value in expected]


@pytest.mark.guest
def test_pointers_into_nowhere_read_as_zero(machine, read):
    if read.resident.all():
        pytest.skip("the tests before have touched every page of this guest")
    hole = int(np.flatnonzero(~read.resident)[0])
    nowhere = [0, 1, 0x1000, U64, U64 - 7, 1 << 63, read.page_offset + machine.ram.size, 0x800000000000]
    nowhere += [read.page_offset + hole * PAGE_SIZE, read.page_offset + 1, IMAGE_BASE]
    assert read.u64(np.array(nowhere, np.uint64)).tolist() == [0] * len(nowhere)
    assert [read.word(address) for address in nowhere] == [0] * len(nowhere)
    assert read.string(0) == read.string(U64) == ""
    assert read.links(0, 10) == [] and read.links(read.page_offset + hole * PAGE_SIZE, 10) == []
    assert not machine.ram.resident_pages()[hole]


@pytest.mark.guest
@pytest.mark.parametrize("count", [1, 5, 300])
def test_several_fields_at_once_are_those_one_by_one(machine, read, count):
    dice = np.random.default_rng(count)
    pages = dice.choice(np.flatnonzero(read.resident), count).astype(np.uint64)
    addresses = np.uint64(read.page_offset) + pages * np.uint64(PAGE_SIZE) + np.uint64(128)
    addresses[0] = U64 - 7
    wanted = ((0, 8), (12, 4), (20, 2), (31, 1), (-8 & U64, 8))
    with machine.paused():
        columns = read.fields(addresses, *wanted)
        for (offset, size), column in zip(wanted, columns, strict=True):
            assert column.tolist() == read.gather(addresses + np.uint64(offset), size).tolist()


@pytest.mark.guest
def test_pages_touched_since_are_found_with_and_without_a_suspicion(machine):
    read = KernelColumns(machine.ram, machine.kernel)
    for suspects in (slice(None), np.flatnonzero(~read.resident), np.flatnonzero(~read.resident)[:3]):
        before = read.resident.copy()
        machine.exec("dd if=/dev/zero of=/tmp/touched bs=64k count=40 2>/dev/null; rm /tmp/touched")
        with machine.paused():
            touched = read.refresh(suspects)
            assert (read.resident == machine.ram.resident_pages()).all()
        assert np.array_equal(touched, np.flatnonzero(read.resident & ~before))


@pytest.mark.guest
def test_names_and_lists_are_followed(machine, read):
    kernel = machine.kernel
    banner = read.string(kernel.address_of("linux_banner"), 512)
    assert banner.startswith(f"Linux version {kernel.release}") and banner.endswith("\n")
    assert read.name_at(kernel.address_of("init_task") + 8) == "init_task" and read.name_at(5) == read.name_at(5)
    tasks = kernel.btf.member_offset("task_struct", "tasks")
    found = read.links(kernel.address_of("init_task") + tasks, 1000)
    comm = kernel.btf.member_offset("task_struct", "comm")
    assert read.string(found[0] - tasks + comm, 16) == "init" and len(found) > 20
    assert len(read.links(kernel.address_of("init_task") + tasks, 7)) == 7
    assert read.symbol("no_such_variable") == 0
