"""One instruction on random registers and memory, by Unicorn and by what it is lifted to: both must leave the same behind.

Unicorn is QEMU's older translator. It is wrong on some instructions, and what the manuals leave undefined is masked: see `UNDEFINED` and `UNICORN_IS_WRONG`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import capstone
import numpy as np
import unicorn
from capstone import x86
from unicorn import x86_const

from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.frontends.x86 import LiftedLoop, MachineLoop, lift
from pixel_cpu.frontends.x86.lift import FIRST_COLUMN
from pixel_cpu.frontends.x86.registers import CELLS, FLAGS, GENERAL

HEAD, WINDOW, WINDOW_BYTES = 0x10000000, 0x20000000, 4096
CODE = HEAD + 1
"""Where the instruction stands, behind a ``nop``: so that a ``rep`` is a loop in the loop."""
MIDDLE = WINDOW + WINDOW_BYTES // 2
VECTORS = tuple(f"xmm{number}" for number in range(16))
FLAG_BITS = {"cf": 0, "pf": 2, "zf": 6, "sf": 7, "df": 10, "of": 11}
EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)

AHEAD = 0x20
"""Bytes between a jump and its target."""

_ALL = ("cf", "pf", "zf", "sf", "of")
_SHIFT = ("shl", "sal", "shr", "sar", "shld", "shrd", "rol", "ror", "rcl", "rcr")
UNDEFINED = {
    **dict.fromkeys(("mul", "imul"), ("pf", "zf", "sf")),
    **dict.fromkeys(("div", "idiv"), _ALL),
    **dict.fromkeys(("bsf", "bsr"), ("cf", "pf", "sf", "of")),
    **dict.fromkeys(("bt", "bts", "btr", "btc"), ("pf", "sf", "of")),
    **dict.fromkeys(("tzcnt", "lzcnt"), ("pf", "sf", "of")),
    **dict.fromkeys(("andn", "blsi", "blsr", "blsmsk"), ("pf",)),
    **dict.fromkeys(_SHIFT, ("of",)),
    **dict.fromkeys(("shld", "shrd"), ("of", "cf")),
}
"""Flags that an instruction leaves undefined, by mnemonic; of a shift it depends on the count."""
UNICORN_IS_WRONG = ("blsi", "bzhi", "bextr", "adcx", "adox")


@dataclass
class StateOf:
    """What a machine holds: registers by name (vectors are numbers of 128 bits), the window, where it goes on."""

    registers: dict[str, int]
    memory: bytes
    following: int = 0
    fault: str = ""


@cache
def _decoder() -> capstone.Cs:
    found = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    found.detail = True
    return found


class Case:
    """One instruction, states for it, and both ways to run them."""

    def __init__(self, code: bytes, seed: int = 1, states: int = 16) -> None:
        self.random = random.Random(f"{code.hex()} {seed}")
        self.code = self._aimed(code)
        self.instruction = next(_decoder().disasm(self.code, CODE))
        self.words = self.instruction.mnemonic.split()
        self.mnemonic = self.words[-1]
        self.text = f"{self.instruction.mnemonic} {self.instruction.op_str}".rstrip()
        self.states = [self._state() for _ in range(states)]

    def _aimed(self, code: bytes) -> bytes:
        """An operand relative to ``rip`` points into the window, and a jump a few bytes ahead."""
        instruction = next(_decoder().disasm(code, CODE))
        if _is_jump(instruction) and any(operand.type == x86.X86_OP_IMM for operand in instruction.operands[:1]):
            size = 1 if len(code) == 2 else 4
            return code[:-size] + AHEAD.to_bytes(size, "little")
        for operand in instruction.operands:
            if operand.type == x86.X86_OP_MEM and operand.mem.base == x86.X86_REG_RIP:
                place, distance = instruction.disp_offset, MIDDLE - (CODE + len(code))
                return code[:place] + distance.to_bytes(4, "little", signed=True) + code[place + 4 :]
        return code

    def _number(self) -> int:
        kind = self.random.random()
        if kind < 0.3:
            return self.random.choice(EDGES)
        if kind < 0.5:
            return self.random.getrandbits(self.random.choice((3, 6, 8, 16, 32)))
        return self.random.getrandbits(64)

    def _state(self) -> StateOf:
        registers = {name: self._number() for name in GENERAL}
        registers |= {name: self.random.getrandbits(1) for name in FLAGS} | {
            "df": 0,
            "fs_base": MIDDLE,
            "gs_base": MIDDLE,
        }
        for name in VECTORS:
            registers[name] = self._number() | self._number() << 64
        if self.random.random() < 0.3:
            # Elements that are equal, for what compares them.
            registers["xmm1"] = registers["xmm0"] ^ (self.random.getrandbits(8) << 8 * self.random.randrange(16))
        memory = self.random.randbytes(WINDOW_BYTES)
        # Unicorn lets misaligned vectors pass.
        registers["rsp"] = MIDDLE + 16 * self.random.randrange(-20, 20)
        if self.mnemonic in ("bt", "bts", "btr", "btc") and "[" in self.text:
            registers[_whole(self.text.split(", ")[-1])] = self.random.randrange(-2000, 2000) % (1 << 64)
        if self.words[0] in ("rep", "repe", "repne") or self.mnemonic in ("jrcxz", "loop"):
            registers["rcx"] = self.random.randrange(0, 9)
        if self.mnemonic.startswith(("movs", "stos", "lods", "scas", "cmps")) and "xmm" not in self.instruction.op_str:
            registers["rsi"] = MIDDLE + self.random.randrange(-300, 300)
            registers["rdi"] = MIDDLE + self.random.randrange(-300, 300)
            registers["df"] = self.random.getrandbits(1)
            if self.random.random() < 0.5:
                memory = bytes(WINDOW_BYTES)
        if self.mnemonic in ("div", "idiv") and self.random.random() < 0.8:
            self._divisible(registers)
        if self.mnemonic == "leave":
            registers["rbp"] = MIDDLE
        self._point(registers)
        return StateOf(registers, memory)

    def _divisible(self, registers: dict[str, int]) -> None:
        is_negative = self.mnemonic == "idiv" and registers["rax"] >> 63
        registers["rdx"] = (1 << 64) - 1 if is_negative else 0
        for operand in self.instruction.operands:
            size = operand.size
            if size == 4:
                registers["rdx"] = 0xFFFFFFFF if self.mnemonic == "idiv" and registers["rax"] >> 31 & 1 else 0
            elif size == 2:
                registers["rdx"] = 0xFFFF if self.mnemonic == "idiv" and registers["rax"] >> 15 & 1 else 0
            elif size == 1:
                registers["rax"] &= 0x7F

    def _point(self, registers: dict[str, int]) -> None:
        """Give address registers values that point into the window."""
        for operand in self.instruction.operands:
            if operand.type != x86.X86_OP_MEM or self.mnemonic in ("lea", "nop"):
                continue
            memory = operand.mem
            names = [
                self.instruction.reg_name(part) if part else "" for part in (memory.base, memory.index, memory.segment)
            ]
            base, index, segment = (_whole(name) for name in names)
            if base in ("rsp", "rip") or (base in ("rsi", "rdi") and not names[1] and "rep" in self.words[0]):
                continue
            where = MIDDLE + (
                16 * self.random.randrange(-40, 40) if operand.size >= 16 else self.random.randrange(-900, 900)
            )
            if index:
                registers[index] = self.random.randrange(0, 64)
            steps = registers[index] * memory.scale if index else 0
            if segment in ("fs", "gs"):
                registers[f"{segment}_base"] = MIDDLE if base else (where - memory.disp - steps) % (1 << 64)
                where, index = 0, index if base else ""
            if base and base == index:
                registers[base] = (where - memory.disp) // (memory.scale + 1)
            elif base:
                registers[base] = (where - memory.disp - steps) % (1 << 64)
            elif index:
                registers[index] = (where - memory.disp) // memory.scale

    def by_unicorn(self, state: StateOf) -> StateOf:
        """What Unicorn leaves behind."""
        machine = _unicorn()
        machine.mem_write(CODE, self.code + b"\xf4")
        machine.mem_write(WINDOW, state.memory)
        flags = 2 | sum(state.registers[name] << bit for name, bit in FLAG_BITS.items())
        for name in (*GENERAL, *VECTORS, "fs_base", "gs_base"):
            machine.reg_write(getattr(x86_const, f"UC_X86_REG_{name.upper()}"), state.registers[name])
        machine.reg_write(x86_const.UC_X86_REG_EFLAGS, flags)
        try:
            machine.emu_start(CODE, CODE + len(self.code), count=1 if "rep" not in self.words[0] else 0)
        except unicorn.UcError as error:
            if error.errno not in (unicorn.UC_ERR_FETCH_UNMAPPED, unicorn.UC_ERR_FETCH_PROT):
                return StateOf({}, b"", 0, str(error))
        if machine.reg_read(x86_const.UC_X86_REG_RIP) == CODE and "rep" not in self.words[0]:
            return StateOf({}, b"", 0, "an exception")
        found = {
            name: machine.reg_read(getattr(x86_const, f"UC_X86_REG_{name.upper()}"))
            for name in (*GENERAL, *VECTORS, "fs_base", "gs_base")
        }
        flags = machine.reg_read(x86_const.UC_X86_REG_EFLAGS)
        found |= {name: flags >> bit & 1 for name, bit in FLAG_BITS.items()}
        return StateOf(found, bytes(machine.mem_read(WINDOW, WINDOW_BYTES)), machine.reg_read(x86_const.UC_X86_REG_RIP))

    def lifted(self) -> LiftedLoop:
        """The instruction in a loop: behind it ``jrcxz`` leads back, which changes nothing else."""
        end = CODE + len(self.code)
        instructions = {HEAD: b"\x90", CODE: self.code}
        for place in (end, end + AHEAD) if _is_jump(self.instruction) else (end,):
            instructions[place] = b"\xe3" + (HEAD - place - 2).to_bytes(1, "little", signed=True)
        return lift(MachineLoop(HEAD, instructions, {CODE: (end,)} if _is_jump(self.instruction) else {}))

    def by_lift(self, lifted: LiftedLoop, make: Callable) -> list[StateOf]:
        """What the lifted instruction leaves behind, on a back end."""
        states, columns = self.states, lifted.columns
        rows = np.zeros((len(states), FIRST_COLUMN + len(columns)), np.uint64)
        for lane, state in enumerate(states):
            row = [1, (lane * WINDOW_BYTES - WINDOW) % (1 << 64), *(_column(state.registers, name) for name in columns)]
            rows[lane] = np.array(row, np.uint64)
        memory = np.frombuffer(b"".join(state.memory for state in states), np.uint8).copy()
        flat = rows.reshape(-1).copy()
        module = lifted.module
        launch = Launch(len(states), 32, {"head": HEAD}, {"memory": memory, "state": flat})
        outcome = make(module, "batch").run(check(module.kernels["batch"], launch))
        found = flat.reshape(rows.shape)
        after = []
        for lane, state in enumerate(states):
            if outcome.traps and (found[lane] == rows[lane]).all():
                after.append(StateOf({}, b"", 0, "trap"))
                continue
            registers = dict(state.registers)
            for column, name in enumerate(columns):
                _set(registers, name, int(found[lane, FIRST_COLUMN + column]))
            window = memory[lane * WINDOW_BYTES : (lane + 1) * WINDOW_BYTES].tobytes()
            end, following = CODE + len(self.code), int(found[lane, 1])
            # Behind the instruction, and where it jumps, stands the loop's own jump.
            places = {end + 2: end, end + AHEAD + 2: end + AHEAD, HEAD: HEAD}
            after.append(StateOf(registers, window, places.get(following, following)))
        return after

    def differences(self, lifted: LiftedLoop, make: Callable) -> Iterator[str]:
        """How the lifted instruction differs from Unicorn, state by state."""
        for state, found in zip(self.states, self.by_lift(lifted, make), strict=True):
            wanted = self.by_unicorn(state)
            if wanted.fault or found.fault:
                if bool(wanted.fault) != bool(found.fault) and not self._may_trap(state):
                    yield f"{self.text}: {wanted.fault or 'no fault'} by Unicorn, {found.fault or 'no trap'} here"
                continue
            masked = self._undefined(state)
            at_head = found.following == HEAD
            for name in (*GENERAL, *FLAGS, *(f"{vector}_{part}" for vector in VECTORS for part in range(2))):
                is_dead = name in masked or (at_head and name in lifted.live_out and name not in lifted.live_in)
                given, right = _column(found.registers, name), _column(wanted.registers, name)
                if given != right and not is_dead:
                    yield f"{self.text}: {name} is {given:#x}, not {right:#x}, from {state.registers}"
            if wanted.memory != found.memory:
                yield f"{self.text}: memory differs"
            if wanted.following != found.following and not at_head:
                yield f"{self.text}: goes on at {found.following:#x}, not {wanted.following:#x}"

    def _may_trap(self, state: StateOf) -> bool:
        # Dividends of 128 bits are left to the guest.
        return self.mnemonic in ("div", "idiv") and self.instruction.operands[0].size == 8

    def _undefined(self, state: StateOf) -> tuple[str, ...]:
        found = UNDEFINED.get(self.mnemonic, ())
        if self.mnemonic in ("bsf", "bsr"):
            # Of zero the destination is undefined.
            found = (*found, _whole(self.instruction.reg_name(self.instruction.operands[0].reg)))
        if self.mnemonic in _SHIFT:
            found = (
                (*found, "cf")
                if any(operand.size < 4 for operand in self.instruction.operands) and "cl" in self.text
                else found
            )
        return found


def _is_jump(instruction: capstone.CsInsn) -> bool:
    return any(instruction.group(kind) for kind in (x86.X86_GRP_JUMP, x86.X86_GRP_CALL, x86.X86_GRP_RET))


def _whole(name: str) -> str:
    """The register of 64 bits that a name is a part of."""
    if name in ("", "rip", "fs", "gs") or name in GENERAL:
        return name
    if name[0] == "r" and name[1].isdigit():
        return name.rstrip("dwb")
    for whole in GENERAL[:8]:
        if name in (f"e{whole[1:]}", whole[1:], whole[1:] + "l", whole[1] + "l", whole[1] + "h"):
            return whole
    return name


def _column(registers: dict[str, int], name: str) -> int:
    if name in registers:
        return registers[name]
    if not name.startswith("xmm"):
        return 0
    vector, _, part = name.partition("_")
    return registers[vector] >> 64 * int(part) & ((1 << 64) - 1)


def _set(registers: dict[str, int], name: str, value: int) -> None:
    if not name.startswith("xmm"):
        registers[name] = value
        return
    vector, _, part = name.partition("_")
    if int(part) < 2:
        mask = ((1 << 64) - 1) << 64 * int(part)
        registers[vector] = (registers[vector] & ~mask) | value << 64 * int(part)


@cache
def _unicorn() -> unicorn.Uc:
    machine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    machine.mem_map(HEAD, 0x1000)
    machine.mem_map(WINDOW, WINDOW_BYTES)
    return machine


assert set(FLAG_BITS) == set(FLAGS) and all(name in CELLS for name in FLAGS)
