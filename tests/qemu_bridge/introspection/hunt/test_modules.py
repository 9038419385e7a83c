"""Modules taken out of where they should be, and code of nobody."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.code import KernelCode
from qemu_bridge.kernel.modules import module_base
from qemu_bridge.memory.page_entries import NO_EXECUTE, PTE_NO_EXECUTE
from qemu_bridge.memory.paging import Half
from qemu_bridge.wire.records import FindingKind

pytestmark = [pytest.mark.guest, pytest.mark.every_kernel]
NAME = "vfat"


@pytest.fixture
def module(edited, with_modules):
    return edited.module(NAME)


def hide_from_sysfs(edited, module):
    edited.unlink(module.at("mkobj.kobj.entry"))


def test_a_module_that_is_unlinked_is_found(edited, module):
    edited.unlink(module.at("list"))
    finding = edited.finding()
    assert (finding.kind, finding.subject, finding.address) == (FindingKind.HIDDEN_MODULE, NAME, module.address)
    assert "list of modules" in finding.verdict and "is in /sys/module" in finding.evidence
    assert f"at {module_base(module):#x}" in finding.evidence[-1]


def test_a_module_that_is_not_in_sys_module_is_found(edited, module):
    hide_from_sysfs(edited, module)
    finding = edited.finding()
    assert finding.subject == NAME and finding.evidence[:2] == ("is not in /sys/module", "is in the list of modules")


def test_a_module_in_no_list_is_found_in_its_memory(edited, module):
    edited.unlink(module.at("list"))
    hide_from_sysfs(edited, module)
    finding = edited.finding()
    assert (finding.kind, finding.subject) == (FindingKind.HIDDEN_MODULE, NAME)
    assert "the list of modules and of /sys/module" in finding.verdict
    assert any("in the memory of modules" in line for line in finding.evidence)


def test_a_module_that_goes_is_no_finding(edited, module):
    edited.unlink(module.at("list"))
    edited.write(module.at("state"), (2).to_bytes(4, "little"))
    assert not edited.hunt().value


def test_code_without_its_module_is_found(edited, module):
    base = module_base(module)
    edited.unlink(module.at("list"))
    hide_from_sysfs(edited, module)
    edited.word(module.at("mkobj.mod"), 0)
    answer = edited.hunt()
    if not answer.value:
        pytest.skip("this kernel keeps modules and other code together in large pages, so their owners cannot be told")
    (finding,) = answer.value
    assert finding.kind is FindingKind.UNOWNED_CODE and finding.address == base
    assert "load_module asked for it" in finding.evidence[0]


def test_a_list_of_modules_that_does_not_close_is_said(edited, module):
    edited.word(module.at("list"), 8)
    answer = edited.hunt()
    assert not answer.value and any("list of modules does not close" in note for note in answer.skipped)


def make_executable(edited, address):
    """Clear the bit of the page of 4 KiB at `address` that forbids it."""
    tables = edited.space.kernel.page_tables
    table = tables.root
    for level in (4, 3, 2):
        entry = edited.ram.read_u64(table + 8 * (address >> 12 + 9 * (level - 1) & 511))
        table = entry & 0xFFFFFFFFFF000
    place = table + 8 * (address >> 12 & 511)
    entry = edited.ram.read_u64(place)
    assert entry & PTE_NO_EXECUTE
    edited.physical_word(place, entry & ~PTE_NO_EXECUTE)


def test_memory_that_was_made_executable_is_found(edited, sleeper):
    stack = edited.task(sleeper)["stack"]
    make_executable(edited, stack)
    finding = edited.finding()
    assert (finding.kind, finding.address) == (FindingKind.UNOWNED_CODE, stack)
    assert finding.subject == f"4 KiB at {stack:#x}"


def test_the_page_of_code_of_a_loaded_crash_kernel_is_no_finding(edited, sleeper):
    space, read = edited.space, KernelCode(edited.questions._context).read
    place = space.address_of("kexec_crash_image")
    if not place or not space.has("kimage", "control_code_page"):
        pytest.skip("this kernel cannot start another")
    mapped = space.kernel.page_tables.mappings(Half.KERNEL)
    end = read.page_offset + edited.ram.layout.end
    rows = (mapped.virtual >= read.page_offset) & (mapped.virtual < end) & (mapped.level == 1)
    address = int(mapped.virtual[rows & (mapped.flags & NO_EXECUTE != 0)][-1])
    make_executable(edited, address)
    assert edited.finding().address == address
    image = edited.task(sleeper)["stack"] + 64  # nobody uses that end of it
    record = read.vmemmap + (address - read.page_offset >> 12) * space.size("page")
    edited.word(space.at("kimage", image).at("control_code_page"), record)
    edited.word(place, image)
    assert not edited.hunt().value
