"""Entries of the tables of system calls and interrupts that lead elsewhere."""

from __future__ import annotations

import pytest

from qemu_bridge.wire.records import FindingKind

pytestmark = [pytest.mark.guest, pytest.mark.every_kernel]
KILL, GETPID = 62, 39


def gate(handler):
    """A gate of the processor that leads to `handler` (``arch/x86/include/asm/desc_defs.h``, struct gate_struct)."""
    address = handler.to_bytes(8, "little")
    return address[:2] + b"\x10\0\0\x8e" + address[2:] + bytes(4)


@pytest.mark.usefixtures("with_modules")
def test_a_system_call_that_leads_into_a_module_is_found(edited):
    table = edited.space.address_of("sys_call_table")
    target = edited.some_module_code()
    edited.word(table + 8 * KILL, target)
    finding = edited.finding()
    assert (finding.kind, finding.address) == (FindingKind.SYSTEM_CALL, table + 8 * KILL)
    assert finding.subject == "system call 62 (kill)" and f"holds {target:#x}" in finding.evidence[0]
    assert "[" in finding.evidence[0]


def test_a_system_call_that_leads_to_another_ones_function_is_found(edited):
    table = edited.space.address_of("sys_call_table")
    edited.word(table + 8 * KILL, edited.space.unsigned(table + 8 * GETPID))
    finding = edited.finding()
    assert finding.subject == "system call 62 (kill)" and "sys_getpid+0x0" in finding.evidence[0]


def test_a_system_call_that_does_not_exist_is_found_when_it_leads_to_one_that_does(edited):
    table, unused = edited.space.address_of("sys_call_table"), 400
    edited.word(table + 8 * unused, edited.space.unsigned(table + 8 * KILL))
    assert edited.finding().subject == "system call 400"


def test_a_gate_that_leads_into_memory_of_nobody_is_found(edited):
    table = edited.space.address_of("idt_table")
    edited.write(table + 16 * 14, gate(0xFFFFC90000001000))
    finding = edited.finding()
    assert (finding.kind, finding.subject) == (FindingKind.INTERRUPT_GATE, "interrupt vector 14")
    assert "0xffffc90000001000: in no module" in finding.evidence[0]


def test_a_gate_that_leads_to_other_code_of_the_kernel_is_found(edited):
    edited.write(edited.space.address_of("idt_table") + 16 * 128, gate(edited.space.address_of("schedule")))
    assert edited.finding().subject == "interrupt vector 128" and "schedule+0x0" in edited.finding().evidence[0]


def test_another_table_of_interrupts_is_found(edited):
    edited.word(edited.space.address_of("idt_descr") + 2, edited.space.address_of("init_task"))
    assert edited.finding().subject == "table of interrupts"
