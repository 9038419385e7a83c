"""The processor itself as oracle: a static program, one instruction at a time, and what each did to its memory operand."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from pathlib import Path
from typing import NamedTuple

import capstone
from capstone import x86

# x86-64's <sys/ptrace.h> and struct user_regs_struct.
_TRACEME, _SINGLESTEP, _GETREGS = 0, 9, 12
_REGISTERS = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs"
).split()
_NO_RANDOM_ADDRESSES = 0x0040000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
_decoder.detail = True


class Step(NamedTuple):
    """One instruction: its address and text; of its memory operand, the address and the bytes before and after."""

    address: int
    text: str
    at: int
    before: bytes
    after: bytes


def single_step(program: Path) -> list[Step]:
    """Run `program` to its end on this machine's processor; the instructions with an explicit memory operand."""
    child = os.fork()
    if child == 0:
        _libc.personality(_NO_RANDOM_ADDRESSES)
        _libc.ptrace(_TRACEME, 0, None, None)
        os.execv(program, [os.fspath(program)])
    _, status = os.waitpid(child, 0)
    memory = os.open(f"/proc/{child}/mem", os.O_RDONLY)
    steps = []
    try:
        while os.WIFSTOPPED(status):
            assert os.WSTOPSIG(status) == signal.SIGTRAP, os.WSTOPSIG(status)
            registers = _registers(child)
            instruction = next(_decoder.disasm(os.pread(memory, 15, registers["rip"]), registers["rip"]))
            operand = _operand(instruction, registers)
            before = os.pread(memory, operand[1], operand[0]) if operand else b""
            assert _libc.ptrace(_SINGLESTEP, child, None, None) == 0
            _, status = os.waitpid(child, 0)
            if operand:
                after = os.pread(memory, operand[1], operand[0])
                text = f"{instruction.mnemonic} {instruction.op_str}"
                steps.append(Step(instruction.address, text, operand[0], before, after))
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    finally:
        os.close(memory)
    return steps


def _registers(child: int) -> dict[str, int]:
    buffer = ctypes.create_string_buffer(8 * len(_REGISTERS))
    assert _libc.ptrace(_GETREGS, child, None, ctypes.addressof(buffer)) == 0
    return dict(zip(_REGISTERS, struct.unpack(f"<{len(_REGISTERS)}Q", buffer.raw), strict=True))


def _operand(instruction: capstone.CsInsn, registers: dict[str, int]) -> tuple[int, int] | None:
    """Address and bytes of the memory operand; bits beyond it, which a bit instruction with a register reaches, included."""
    for operand in instruction.operands:
        if operand.type == x86.X86_OP_MEM and instruction.mnemonic != "lea":
            place = operand.mem
            address = place.disp
            if place.base:
                name = instruction.reg_name(place.base)
                address += instruction.address + instruction.size if name == "rip" else registers[name]
            if place.index:
                address += registers[instruction.reg_name(place.index)] * place.scale
            other = instruction.operands[-1]
            if instruction.mnemonic.split()[-1] in ("bts", "btr", "btc") and other.type == x86.X86_OP_REG:
                name = instruction.reg_name(other.reg)
                full = name if name in registers else f"r{name[-2:]}"
                bit = registers[full] & (1 << 8 * operand.size) - 1
                bit -= (bit >> 8 * operand.size - 1) << 8 * operand.size
                address += bit // (8 * operand.size) * operand.size
            return address & (1 << 64) - 1, operand.size
    return None
