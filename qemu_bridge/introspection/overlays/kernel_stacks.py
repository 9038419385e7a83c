"""Kernel stacks of sleeping threads, as ``/proc/PID/stack`` shows them.

A thread that does not run has left its registers on its kernel stack, at ``thread.sp`` (``struct inactive_task_frame``).
From there the stack is unwound by the kernel's own tables (`qemu_bridge.kernel.orc`, ``arch/x86/kernel/unwind_orc.c``), so this
finds exactly the frames that the kernel would.

Where there is no table, or it does not know an address, what is left of the stack is searched for addresses that come
right behind a call instruction. Such frames may be left over from earlier calls; they are marked with a question mark, as
the kernel does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.modules import GuestSymbols
from ...kernel.objects import KernelObjects, Object
from ...kernel.orc import OrcEntry, OrcKind, OrcRegister, OrcTables
from .overlay import BuiltOverlay, OverlayContext
from .processes import task_name, tasks, threads_of

MAX_FRAMES = 64
"""As ``/proc/PID/stack`` (``fs/proc/base.c``, MAX_STACK_TRACE_DEPTH)."""
_STACK_SIZE = 16 << 10
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


@dataclass(frozen=True, slots=True)
class _State:
    """The unwinder's registers; `interrupted` if `ip` is where an exception came, not where a call returns to."""

    ip: int
    sp: int
    bp: int
    interrupted: bool


class Unwinder:
    """Unwinds kernel stacks by the kernel's own ORC tables."""

    def __init__(self, space: KernelObjects, symbols: GuestSymbols) -> None:
        self._space, self._symbols = space, symbols
        self._stack_size = space.size("thread_union") if space.has("thread_union") else _STACK_SIZE
        self._scheduler = (space.address_of("__sched_text_start"), space.address_of("__sched_text_end"))
        self._tables = OrcTables(space, symbols.modules)

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
            if self._tables.table_of(state.ip) is None:
                # Generated code, unless it is where user mode continues.
                if state.ip >> 63:
                    yield state.ip, True
                    yield from self._search(stack, state.sp)
                return
            yield state.ip, True
            entry = self._tables.find(state.ip if state.interrupted else state.ip - 1)
            if entry is None or entry.kind is OrcKind.UNDEFINED:
                yield from self._search(stack, state.sp)
                return
            if entry.kind is OrcKind.END:
                return
            following = _step(stack, state, entry)
            if following is None or following.sp <= state.sp:
                return
            state = following

    def _search(self, stack: _StackView, sp: int) -> Iterator[tuple[int, bool]]:
        """Yield what may be return addresses from `sp` up: into the text of kernel or modules, right behind a call."""
        for address in stack.words(sp):
            if self._tables.table_of(address) is not None and self._follows_call(address):
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


def _step(stack: _StackView, state: _State, entry: OrcEntry) -> _State | None:
    """The caller's registers, None where the stack contradicts the entry (unwind_next_frame)."""
    sp = _caller_stack(stack, state, entry)
    if sp is None:
        return None
    if entry.kind is OrcKind.CALL:
        ip, above = stack.word(sp - 8), sp
    else:
        # struct pt_regs: ip is its 17th word, sp its 20th; partial ones begin at ip.
        start = sp if entry.kind is OrcKind.REGS_PARTIAL else sp + 16 * 8
        ip, saved = stack.word(start), stack.word(start + 3 * 8)
        above = saved if saved is not None else 0
    bp = state.bp
    if entry.bp_register in (OrcRegister.PREVIOUS_SP, OrcRegister.BP):
        found = stack.word((sp if entry.bp_register is OrcRegister.PREVIOUS_SP else state.bp) + entry.bp_offset)
        bp = bp if found is None else found
    elif entry.kind is OrcKind.REGS:
        bp = stack.word(sp + 4 * 8) or 0
    return None if ip is None else _State(ip, above & _U64, bp, entry.interrupts)


def _caller_stack(stack: _StackView, state: _State, entry: OrcEntry) -> int | None:
    """Where the caller's frame ends; other registers are known only in the frame of an exception, which this does not read."""
    match entry.sp_register:
        case OrcRegister.SP:
            return state.sp + entry.sp_offset
        case OrcRegister.BP:
            return state.bp + entry.sp_offset
        case OrcRegister.SP_INDIRECT:
            found = stack.word(state.sp)
            return None if found is None else found + entry.sp_offset
        case OrcRegister.BP_INDIRECT:
            return stack.word(state.bp + entry.sp_offset)
    return None


KERNEL_STACKS = BuiltOverlay(
    "kernel-stacks",
    "Where sleeping threads are in the kernel, by the return addresses on their stacks.",
    ("pid", "thread_id", "name", "depth", "address:#x", "symbol"),
    read_kernel_stacks,
    is_never_empty=True,
)
