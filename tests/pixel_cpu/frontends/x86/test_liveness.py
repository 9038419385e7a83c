"""Liveness by bytes."""

from __future__ import annotations

from x86_loops import CRC32, flow_of, machine_loop

from pixel_cpu.frontends.x86.liveness import Bytes, live_before, reads, written
from pixel_cpu.frontends.x86.pcode import PcodeOp, Varnode
from pixel_cpu.frontends.x86.registers import CELLS


def live_in(loop, *names):
    flow, known = flow_of(loop), Bytes()
    live = live_before(flow, known, lambda _: known.of_cells(CELLS[name] for name in names))
    return {cell.name for cell in known.cells(live[flow.head])}


def test_a_register_that_is_written_first_is_not_alive():
    # mov eax, [rsi]; add rsi, rax; dec ecx; jnz head
    assert live_in(machine_loop("8b06", "4801c6", "ffc9", "75f7")) == {"rsi", "rcx"}
    # The same with mov al, [rsi]: the rest of rax is read.
    assert live_in(machine_loop("8a06", "4801c6", "ffc9", "75f7")) == {"rax", "rsi", "rcx"}


def test_what_is_alive_behind_the_loop_is_alive_in_it():
    assert live_in(CRC32) == {"rsi", "rdx", "rdi", "rax", "rcx"}
    assert live_in(CRC32, "rbx") == {"rsi", "rdx", "rdi", "rax", "rcx", "rbx"}


def test_clearing_a_register_reads_nothing():
    rax = Varnode("register", 0, 8)
    assert reads(PcodeOp("INT_XOR", rax, (rax, rax))) == () and reads(PcodeOp("INT_ADD", rax, (rax, rax)))
    assert live_in(machine_loop("31c0", "01c6", "ffc9", "75f8")) == {"rsi", "rcx"}


def test_a_set_of_bytes_knows_its_cells():
    known = Bytes()
    low, high = known.of(Varnode("register", 0, 4)), known.of(Varnode("register", 4, 4))
    assert not low & high and low | high == known.of(Varnode("register", 0, 8))
    assert known.cells(low) == {CELLS["rax"]} and known.of(Varnode("const", 0, 8)) == 0


def test_written_registers_are_those_of_all_ways():
    names = {cell.name for cell in written(flow_of(CRC32))}
    assert {"rax", "rsi", "rdi", "zf", "cf"} <= names and "af" not in names and "rcx" not in names
