"""Kernel stacks of sleeping threads, as ``/proc/PID/stack`` shows them.

A thread that does not run has left its registers on its kernel stack, at ``thread.sp`` (``struct inactive_task_frame``).
From there the stack is unwound by ORC (``Documentation/arch/x86/orc-unwinder.rst``, ``arch/x86/kernel/unwind_orc.c``): a
sorted table of code addresses, and for each an entry of six bytes that says where the caller's stack pointer was. Both are
in the kernel's memory, so this finds exactly the frames that the kernel would.

A module brings a table of its own (``struct mod_arch_specific``).

Where there is no table, or it does not know an address, what is left of the stack is searched for addresses that come
right behind a call instruction. Such frames may be left over from earlier calls; they are marked with a question mark, as
the kernel does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.modules import GuestSymbols, ModuleSymbols
from ...kernel.objects import KernelObjects, Object
from .overlay import BuiltOverlay, OverlayContext
from .processes import task_name, tasks, threads_of

MAX_FRAMES = 64
"""As ``/proc/PID/stack`` (``fs/proc/base.c``, MAX_STACK_TRACE_DEPTH)."""
_STACK_SIZE = 16 << 10
_MAX_TABLE = 16 << 20
_ENTRY_SIZE = 6
_CALL, _REGS, _REGS_PARTIAL, _END, _UNDEFINED = range(5)
_U64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One return address on a thread's kernel stack; `depth` 0 is the innermost call outside the scheduler."""

    pid: int
    thread_id: int
    name: str
    depth: int
    address: int
    certain: bool
    symbol: str


def read_kernel_stacks(context: OverlayContext, budget: Budget) -> Iterator[Frame]:
    """Yield the frames of every thread that does not run, the innermost first."""
    unwinder = Unwinder(context.objects, context.symbols)
    for leader in tasks(context.objects):
        for thread in threads_of(leader):
            budget.spend()
            try:
                if thread["on_cpu"]:
                    continue
                pid, number, name = thread["tgid"], thread["pid"], task_name(thread)
                found = unwinder.frames(thread, budget)
            except GlassBoxError as error:
                budget.skip_unread("the stack of a thread", error)
                continue
            for depth, (address, certain) in enumerate(found):
                text = ("" if certain else "? ") + unwinder.symbolise(address)
                yield Frame(pid, number, name, depth, address, certain, text)


class _Register(Enum):
    """What an entry counts an offset from (``arch/x86/include/asm/orc_types.h``); the others occur where this cannot unwind."""

    PREVIOUS_SP = auto()
    BP = auto()
    SP = auto()
    BP_INDIRECT = auto()
    SP_INDIRECT = auto()
    OTHER = auto()


_REGISTERS = {
    1: _Register.PREVIOUS_SP, 4: _Register.BP, 5: _Register.SP, 8: _Register.BP_INDIRECT, 9: _Register.SP_INDIRECT,
}  # fmt: skip
_REGISTERS_RENUMBERED = {
    3: _Register.SP, 4: _Register.BP, 8: _Register.PREVIOUS_SP, 9: _Register.SP_INDIRECT, 10: _Register.BP_INDIRECT,
}  # fmt: skip
"""Since release 7.1."""


@dataclass(frozen=True, slots=True)
class _State:
    """The unwinder's registers; `interrupted` if `ip` is where an exception came, not where a call returns to."""

    ip: int
    sp: int
    bp: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class _Orc:
    """One entry of the table."""

    sp_offset: int
    bp_offset: int
    sp_register: _Register
    bp_register: _Register
    kind: int
    interrupts: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """The unwind table of the code from `start` to `end`: addresses relative to `base`, ascending, and its entries."""

    start: int
    end: int
    base: int
    addresses: npt.NDArray[np.int64]
    entries: int


class Unwinder:
    """Unwinds kernel stacks by the kernel's own ORC tables."""

    def __init__(self, space: KernelObjects, symbols: GuestSymbols) -> None:
        self._space, self._symbols = space, symbols
        self._stack_size = space.size("thread_union") if space.has("thread_union") else _STACK_SIZE
        self._scheduler = (space.address_of("__sched_text_start"), space.address_of("__sched_text_end"))
        # Until release 6.3 an entry had a bit for the end of the stack, since then (fb799447ae29) that is a type.
        self._has_end_bit = space.has("orc_entry", "end")
        self._has_signal_bit = space.has("orc_entry", "signal")
        self._registers = _REGISTERS_RENUMBERED if space.kernel.has("orc_registers") else _REGISTERS
        self._tables = [self._image_table(), *map(self._module_table, symbols.modules)]

    def frames(self, thread: Object, budget: Budget) -> list[tuple[int, bool]]:
        """(return address, whether that is certain) of each call, scheduler functions left out."""
        bottom = thread["stack"]
        top = bottom + min(self._stack_size, 1 << 17)
        frame = self._space.at("inactive_task_frame", thread["thread.sp"])
        if not bottom <= frame.address <= top - self._space.size("inactive_task_frame"):
            return []
        stack = self._space.read(frame.address, top - frame.address)
        view = _StackView(frame.address, stack)
        behind = frame.address + self._space.size("inactive_task_frame")
        state = _State(frame["ret_addr"], behind, frame["bp"], interrupted=False)
        state = _State(state.ip, state.sp, state.bp, state.ip == self._space.address_of("ret_from_fork"))
        found = list(self._unwind(view, state, budget))
        shown = [(ip, certain) for ip, certain in found if not self._scheduler[0] <= ip < self._scheduler[1]]
        return shown[:MAX_FRAMES]

    def symbolise(self, address: int) -> str:
        """``do_wait+0x16a/0x2f0``: function, offset of the return address, size of the function."""
        # A call may be the last instruction of a function: what it returns to then belongs to the next.
        symbol = self._symbols.at(address - 1)
        if symbol is None:
            return f"{address:#x}"
        size = self._symbols.end_of(symbol) - symbol.address
        text = f"{symbol.name}+{symbol.offset + 1:#x}/{size:#x}"
        return f"{text} [{symbol.module}]" if symbol.module else text

    def _unwind(self, stack: _StackView, state: _State, budget: Budget) -> Iterator[tuple[int, bool]]:
        for _ in range(4 * MAX_FRAMES):
            budget.spend()
            if self._table_of(state.ip) is None:
                # Generated code, unless it is where user mode continues.
                if state.ip >> 63:
                    yield state.ip, True
                    yield from self._search(stack, state.sp)
                return
            yield state.ip, True
            entry = self._find(state.ip if state.interrupted else state.ip - 1)
            if entry is None or entry.kind == _UNDEFINED:
                yield from self._search(stack, state.sp)
                return
            if entry.kind == _END:
                return
            following = _step(stack, state, entry)
            if following is None or following.sp <= state.sp:
                return
            state = following

    def _search(self, stack: _StackView, sp: int) -> Iterator[tuple[int, bool]]:
        """Yield what may be return addresses from `sp` up: into the text of kernel or modules, right behind a call."""
        for address in stack.words(sp):
            if self._table_of(address) is not None and self._follows_call(address):
                yield address, False

    def _follows_call(self, address: int) -> bool:
        try:
            code = self._space.read(address - 7, 7)
        except GlassBoxError:
            return False
        # call rel32, or FF /2 with no, a byte's or four bytes' displacement, with and without SIB.
        if code[2] == 0xE8:
            return True
        return any(code[-length] == 0xFF and code[1 - length] >> 3 & 7 == 2 for length in (2, 3, 4, 6, 7))

    def _image_table(self) -> _Table:
        space = self._space
        start, entries = space.address_of("__start_orc_unwind_ip"), space.address_of("__start_orc_unwind")
        stop, last = space.address_of("__stop_orc_unwind_ip"), space.address_of("__stop_orc_unwind")
        size = stop - start if stop else (last - entries) // _ENTRY_SIZE * 4
        addresses = self._read_addresses(start, size if start and entries else 0)
        return _Table(space.address_of("_stext"), space.address_of("_etext"), start, addresses, entries)

    def _module_table(self, module: ModuleSymbols) -> _Table:
        """The table of a module, whose text is its first part; an empty one where modules carry none."""
        found = self._space.at("module", module.address)
        start, size = module.parts[0] if module.parts else (0, 0)
        if "arch.orc_unwind_ip" not in found:
            return _Table(start, start + size, 0, np.zeros(0, np.int64), 0)
        try:
            base, entries = found["arch.orc_unwind_ip"], found["arch.orc_unwind"]
            addresses = self._read_addresses(base, 4 * found["arch.num_orcs"])
        except GlassBoxError:
            base, entries, addresses = 0, 0, np.zeros(0, np.int64)
        return _Table(start, start + size, base, addresses, entries)

    def _read_addresses(self, start: int, size: int) -> npt.NDArray[np.int64]:
        """The code addresses of a table, relative to its start; each is stored relative to its own place."""
        if not start or not 0 < size <= _MAX_TABLE:
            return np.zeros(0, np.int64)
        offsets = np.frombuffer(self._space.read(start, size & ~3), "<i4").astype(np.int64)
        return offsets + np.arange(0, 4 * len(offsets), 4, dtype=np.int64)

    def _table_of(self, ip: int) -> _Table | None:
        return next((table for table in self._tables if table.start <= ip < table.end), None)

    def _find(self, ip: int) -> _Orc | None:
        """The entry that covers code address `ip`."""
        table = self._table_of(ip)
        if table is None or not len(table.addresses):
            return None
        row = int(np.searchsorted(table.addresses, ip - table.base, side="right")) - 1
        if row < 0:
            return None
        try:
            data = self._space.read(table.entries + row * _ENTRY_SIZE, _ENTRY_SIZE)
        except GlassBoxError:
            return None
        sp_offset, bp_offset = (int.from_bytes(data[at : at + 2], "little", signed=True) for at in (0, 2))
        kind, interrupts = self._kind(data[5], data[4] & 15)
        sp_register, bp_register = (
            self._registers.get(number, _Register.OTHER) for number in (data[4] & 15, data[4] >> 4)
        )
        return _Orc(sp_offset, bp_offset, sp_register, bp_register, kind, interrupts)

    def _kind(self, bits: int, sp_register: int) -> tuple[int, bool]:
        """What an entry says of its frame, and whether the frame above was interrupted.

        ``arch/x86/include/asm/orc_types.h``: type in bits 0-1, end in 2 (6.1), signal in 2 and end in 3 (6.3); type in 0-2,
        signal in 3 (6.4).
        """
        if not self._has_end_bit:
            kind = (_UNDEFINED, _END, _CALL, _REGS, _REGS_PARTIAL)[bits & 7] if bits & 7 < 5 else _UNDEFINED
            return kind, bool(bits >> 3 & 1)
        if bits >> (3 if self._has_signal_bit else 2) & 1:
            return _END, False
        kind = (_CALL, _REGS, _REGS_PARTIAL, _UNDEFINED)[bits & 3] if sp_register else _UNDEFINED
        signal = bool(bits >> 2 & 1) if self._has_signal_bit else kind in (_REGS, _REGS_PARTIAL)
        return kind, signal


class _StackView:
    """A copy of a stack, from `start` to its top."""

    def __init__(self, start: int, data: bytes) -> None:
        self._start, self._data = start, data

    def word(self, address: int) -> int | None:
        """The word at an address, None outside the stack."""
        at = address - self._start
        return int.from_bytes(self._data[at : at + 8], "little") if 0 <= at <= len(self._data) - 8 else None

    def words(self, address: int) -> list[int]:
        """All words from an address up."""
        at = max(address - self._start, 0) & ~7
        return [int.from_bytes(self._data[i : i + 8], "little") for i in range(at, len(self._data) - 7, 8)]


def _step(stack: _StackView, state: _State, entry: _Orc) -> _State | None:
    """The caller's registers, None where the stack contradicts the entry (unwind_next_frame)."""
    sp = _caller_stack(stack, state, entry)
    if sp is None:
        return None
    if entry.kind == _CALL:
        ip, above = stack.word(sp - 8), sp
    else:
        # struct pt_regs: ip is its 17th word, sp its 20th; partial ones begin at ip.
        start = sp if entry.kind == _REGS_PARTIAL else sp + 16 * 8
        ip, saved = stack.word(start), stack.word(start + 3 * 8)
        above = saved if saved is not None else 0
    bp = state.bp
    if entry.bp_register in (_Register.PREVIOUS_SP, _Register.BP):
        found = stack.word((sp if entry.bp_register is _Register.PREVIOUS_SP else state.bp) + entry.bp_offset)
        bp = bp if found is None else found
    elif entry.kind == _REGS:
        bp = stack.word(sp + 4 * 8) or 0
    return None if ip is None else _State(ip, above & _U64, bp, entry.interrupts)


def _caller_stack(stack: _StackView, state: _State, entry: _Orc) -> int | None:
    """Where the caller's frame ends; other registers are known only in the frame of an exception, which this does not read."""
    match entry.sp_register:
        case _Register.SP:
            return state.sp + entry.sp_offset
        case _Register.BP:
            return state.bp + entry.sp_offset
        case _Register.SP_INDIRECT:
            found = stack.word(state.sp)
            return None if found is None else found + entry.sp_offset
        case _Register.BP_INDIRECT:
            return stack.word(state.bp + entry.sp_offset)
    return None


KERNEL_STACKS = BuiltOverlay(
    "kernel-stacks",
    "Where sleeping threads are in the kernel, by the return addresses on their stacks.",
    ("pid", "thread_id", "name", "depth", "address:#x", "symbol"),
    read_kernel_stacks,
    is_never_empty=True,
)
