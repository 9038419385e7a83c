"""System calls of a trace, each with its result: `iter_calls`.

A call ends where the kernel returns to the same stack of the same address space, behind the instruction that made it. That holds for
threads, which have stacks of their own, and whichever vCPU they return on. Calls that are special:

- ``fork`` and its like return twice; the second time, with 0, is the child's.
- ``execve`` that succeeds returns to another program, with all registers zero, under the page table that it loaded in place of its own.
- ``exit`` and ``rt_sigreturn`` do not return.
- A call that a signal interrupts returns when the handler has; one that is made again ends as `RESTARTED`.
- What comes after a gap says nothing of the calls before.

>>> with TraceReader(Path("demo.gbt")) as trace:
...     for call in iter_calls(trace):
...         print(call.process, call.name, call.result)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Event, Feature, Gate

from ...errors import TraceError
from ..analysis.naming import Naming
from ..file.guest_note import read_note
from ..file.reader import TraceReader
from .events import NO_END, ROOT_MASK, Rows, has_arguments, has_known_gates, iter_rows
from .pending import Child, Children, Lent, Open, Starting
from .processes import Pid, Processes, Running, learn
from .system_call import Outcome, SystemCall
from .table import call_of

_ROWS_AT_ONCE = 4096
_INSTRUCTION_BYTES = 2
"""Of syscall, sysenter and int 0x80."""
_END = "exit_group"
_ENDLESS = frozenset(("exit", _END, "rt_sigreturn", "sigreturn"))
_MAKERS = frozenset(("fork", "vfork", "clone", "clone3"))
_STARTERS = {"execve": 0, "execveat": 1}
"""Which argument is the path."""
_CLONE_THREAD = 0x10000
_PROGRAM_STARTS = 1
"""`small` of an IRET."""
_OF_32_BITS = (1 << 32) - 1


def iter_calls(trace: TraceReader, naming: Naming | None = None) -> Iterator[SystemCall]:
    """The system calls of `trace`, each when it has ended; last those that did not.

    `naming` names processes that neither the trace's header nor its calls do. `TraceError` if the trace holds no arguments: it was
    recorded without events, or by an older release.
    """
    if trace.info.frames and not trace.info.features & Feature.EVENTS:
        raise TraceError(f"{trace.info.path} was recorded without events, so without system calls; record it with them")
    note = read_note(trace.info.about)
    known = (
        [(root & ROOT_MASK, pid, name) for (root, pid), name in zip(note.processes, note.names, strict=False)]
        if note
        else []
    )
    naming = (naming or Naming()).during(trace.info.about)
    matcher = _Matcher(Processes(known, naming.process))
    for rows in iter_rows(trace):
        if not has_arguments(rows.columns):
            raise TraceError(
                f"{trace.info.path} was recorded by an older release, which kept neither arguments nor stacks of system calls; record it again"
            )
        if not has_known_gates(rows.columns):
            raise TraceError(f"{trace.info.path} is damaged: a system call entered the kernel in no way that there is")
        yield from matcher.feed(rows)
    yield from matcher.finish()


class _Matcher:
    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._open: dict[tuple[int, int], list[Open]] = {}
        self._children = Children()
        self._fresh: dict[int, tuple[int, int]] = {}
        """Roots of children that have made no call yet: where each began, for an exception there returns once more."""
        self._lent = Lent()
        self._starting = Starting()

    def feed(self, rows: Rows) -> Iterator[SystemCall]:
        """Continue with `rows`; the calls that end in them."""
        for number, row in enumerate(_tuples(rows.columns)):
            kind, gate, end, vcpu, time_ns, root, before, instruction, values = row
            if kind == Event.SYSCALL:
                call = _begun(rows.texts.get(number, {}), gate, values, time_ns, instruction, vcpu, root)
                call.process = self._who(call, values[7])
                self._fresh.pop(root, None)
                self._starting.take_loaded(root)
                yield from self._begin(call, values, end)
            elif kind in (Event.SYSRET, Event.IRET):
                yield from self._return(kind, gate, values, time_ns, instruction, vcpu, root)
            elif kind == Event.PAGE_TABLE:
                self._starting.load(before, root)
                if root != before:
                    self._processes.load(root)
            else:
                yield from self.finish()

    def _who(self, call: SystemCall, stack_pointer: int) -> Running:
        """Who makes `call`: perhaps a child that shares its maker's memory, as that of vfork, for as long as its maker waits."""
        running, child = self._processes.at(call.root), self._lent.find(call.root, stack_pointer)
        if child is None:
            if call.name == _END:
                self._processes.end(call.root)
            return running
        # What does this while its maker waits is no thread.
        child.is_process |= call.name == _END or call.name in _STARTERS
        return Running(child.pid, running.name)

    def finish(self) -> Iterator[SystemCall]:
        """What is open, and is not known any more."""
        waiting = itertools.chain(*self._open.values(), self._starting)
        calls = {id(each): each.call for each in waiting}.values()
        self._open, self._children, self._starting = {}, Children(), Starting()
        self._fresh, self._lent = {}, Lent()
        return iter(sorted(calls, key=lambda call: call.time_ns))

    def _begin(self, call: SystemCall, values: list[int], end: int) -> Iterator[SystemCall]:
        key = (call.root, values[7])
        stack = self._open.setdefault(key, [])
        # Only who has made a child that shares its stack can wait there; else the stack was left, as by longjmp.
        while stack and stack[-1].child is None:
            left = stack.pop()
            # A new program's old page table is free for others before the call returns.
            if not left.loaded:
                self._starting.drop(left)
                yield left.call
        if call.name in _ENDLESS:
            call.outcome = Outcome.NO_RETURN
            yield call
            return
        made = Open(call, key, end)
        stack.append(made)
        if call.name in _MAKERS:
            # Of clone3 the flags are not recorded.
            made.child = Child(call, _stack_of_child(call, key[1]), end, call.name != "clone3")
            self._children.add(made.child)
        elif call.name in _STARTERS:
            self._starting.add(made)

    def _return(
        self, kind: int, gate: int, values: list[int], time_ns: int, instruction: int, vcpu: int, root: int
    ) -> Iterator[SystemCall]:
        result, stack_pointer, address = values[:3]
        loaded = self._starting.take_loaded(root)
        made = self._waiting(root, stack_pointer, result)
        if kind == Event.IRET and gate == _PROGRAM_STARTS:
            for started in loaded:
                if started in self._starting:
                    self._enter(started, root)
                    yield self._end(started, result, address, time_ns, instruction, vcpu)
                    return
            return
        if made is not None and made.child is not None and result == 0:
            self._is_child(stack_pointer, address, root)
            return
        if made is not None and _comes_back(made, address):
            yield self._end(made, result, address, time_ns, instruction, vcpu)
            return
        if result == 0 and self._is_child(stack_pointer, address, root):
            return
        if kind == Event.SYSRET:
            yield SystemCall(
                *(None, 0, Gate(gate), (), {}, time_ns, instruction, vcpu, root, self._processes.at(root)),
                *(_signed(result, gate), Outcome.BEGAN_BEFORE, None, None, address),
            )

    def _waiting(self, root: int, stack_pointer: int, result: int) -> Open | None:
        """The latest call with this stack that may return `result`: one that begins a program comes back with errors only."""
        for made in reversed(self._open.get((root, stack_pointer), ())):
            if made.call.name not in _STARTERS or _signed(result, made.call.gate) < 0:
                return made
        return None

    def _end(self, made: Open, result: int, address: int, time_ns: int, instruction: int, vcpu: int) -> SystemCall:
        call = made.call
        stack = self._open.get(made.key, [])
        # Only calls that make a child have others above them, and of those at most one.
        for place in range(1, min(len(stack), 2) + 1):
            if stack[-place] is made:
                del stack[-place]
                break
        if not stack:
            self._open.pop(made.key, None)
        call.address, call.duration_ns = address, time_ns - call.time_ns
        call.instructions = instruction - call.instruction if vcpu == call.vcpu else None
        if (
            made.end != NO_END
            and _has_exact_return(call.gate)
            and address & 0xFFF != made.end
            and made not in self._starting
        ):
            call.outcome = Outcome.RESTARTED
        else:
            call.outcome, call.result = Outcome.RETURNED, _signed(result, call.gate)
            learn(call.process, call.name, call.result)
        if made.child is not None:
            is_thread = self._lent.drop(made.child) and not made.child.is_process
            number = call.result if call.result and call.result > 0 else None
            if number is None:
                self._children.drop(made.child)
            if not made.child.pid.is_own:
                made.child.pid.value = call.process.pid.value if is_thread else number
        self._starting.drop(made)
        return call

    def _is_child(self, stack_pointer: int, address: int, root: int) -> bool:
        """Whether this is how a child that was made begins."""
        if self._fresh.get(root) == (stack_pointer, address):
            return True
        child = self._children.take(stack_pointer, address)
        if child is None:
            return False
        self._fresh[root] = stack_pointer, address
        if root != child.maker.root:
            self._processes.begin(root, child.maker.process.name, child.pid)
        elif child.maker.result is None and not _makes_thread(child.maker):
            child.began = stack_pointer
            self._lent.add(root, child)
        return True

    def _enter(self, made: Open, root: int) -> None:
        """A new program runs under `root`, in the process that started it."""
        path = made.call.texts.get(_STARTERS[made.call.name], (b"", False))[0]
        self._processes.execute(root, made.call.process.pid, path)


def _tuples(columns: npt.NDArray[np.void]) -> Iterator[tuple[Any, ...]]:
    """The columns of each row. As Python's numbers a row takes ten times the memory, so few are made at a time."""
    names = ("kind", "gate", "end", "vcpu", "time_ns", "root", "before", "instruction", "values")
    for start in range(0, len(columns), _ROWS_AT_ONCE):
        part = columns[start : start + _ROWS_AT_ONCE]
        yield from zip(*(part[name].tolist() for name in names), strict=True)


def _begun(
    texts: dict[int, tuple[bytes, bool]],
    gate: int,
    values: list[int],
    time_ns: int,
    instruction: int,
    vcpu: int,
    root: int,
) -> SystemCall:
    number = values[0] & _OF_32_BITS
    call = call_of(gate, number)
    nobody = Running(Pid(), "")
    arguments = tuple(values[1 : 1 + len(call.kinds)])
    return SystemCall(call, number, Gate(gate), arguments, texts, time_ns, instruction, vcpu, root, nobody)


def _stack_of_child(call: SystemCall, stack_pointer: int) -> int | None:
    if call.name == "clone3":
        return None
    return call.arguments[1] or stack_pointer if call.name == "clone" else stack_pointer


def _makes_thread(call: SystemCall) -> bool:
    return call.name == "clone" and call.arguments[0] & _CLONE_THREAD != 0


def _has_exact_return(gate: Gate) -> bool:
    """Whether a call returns behind its instruction; those from the vDSO of 32-bit programs return to a place of its own."""
    return gate in (Gate.SYSCALL, Gate.INT_80)


def _comes_back(made: Open, address: int) -> bool:
    """Whether a return to `address` is that of a call, or to make it again, and not that of an interrupt of who shares the stack."""
    if made.end == NO_END or not _has_exact_return(made.call.gate):
        return True
    return (address - made.end) & 0xFFF == 0 or (made.end - address) & 0xFFF == _INSTRUCTION_BYTES


def _signed(result: int, gate: int) -> int:
    bits = 64 if gate == Gate.SYSCALL else 32
    value = result & ((1 << bits) - 1)
    return value - (1 << bits) if value >> (bits - 1) else value
