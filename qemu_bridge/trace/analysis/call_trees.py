"""The tree of a trace's call stacks, under the processes: `grow_tree`.

Stacks are rebuilt from calls and returns. A call, a system call and an exception push the address at which they continue; a
return, sysret or iret pops to the nearest entry with the address that it goes to; to an address on no entry it begins a new
stack, at the function there. Without symbols, each page-table root has a stack of its own on each vCPU.

A trace holds no stack pointer. Where the kernel switches threads (`THREAD_SWITCH`, known by its symbol), the stack is put aside,
and what follows has no callers until a return leads out of what is known: then it is the thread, the latest that was put
aside, whose stack that return fits. Threads that wait at the same place with the same callers are alike in a flame graph too.
A thread's stack stands under the process whose root is loaded, so a kernel thread has one under each that it borrowed.

A call that continues a few bytes further is none: code learns its address so, fills the return predictor, or makes an indirect
jump out of the next return (Turner, "Retpoline", 2018). A function is called by its symbol, or by the address that was called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import NO_OFFSET, Event

from ..file.block_table import BlockTable
from ..file.frame import Frame
from ..file.native import U8, U64
from ..file.reader import TraceReader
from .naming import Naming
from .stacks import CALL, EVENT, EXCEPTION, IRET, NAMED, RETURN, SWITCH, Stacks, StackTree

THREAD_SWITCH = "__switch_to_asm"
"""Linux on x86 since 4.9, arch/x86/entry/entry_64.S: it returns as another thread."""

_CALLS = (0xE8, 0x9A, 0x0F05, 0x0F34)
_RETURNS = (0xC2, 0xC3, 0xCA, 0xCB, 0x0F07, 0x0F35)
_IRET = 0xCF
_INDIRECT = 0xFF


class Names:
    """Keys of functions and processes, and what they are called."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._keys: dict[str, int] = {}
        self._names: list[str] = []
        self._of_address: dict[int, int] = {}

    def key(self, name: str) -> int:
        """The key of a name."""
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = NAMED | len(self._names)
            self._names.append(name)
        return found

    def function(self, address: int) -> int:
        """The key of the function that holds `address`: the address itself if it has no name."""
        found = self._of_address.get(address)
        if found is None:
            name = _clean(self._naming.symbol(address).partition("+")[0])
            found = self._of_address[address] = self.key(name) if name else address
        return found

    def process(self, root: int) -> int:
        """The key of what runs under a page-table root."""
        return self.key(name_process(self._naming, root))

    def name(self, key: int) -> str:
        """What a key is called."""
        return self._names[key & ~NAMED] if key >> 62 == 1 else f"{key:#x}"


def name_process(naming: Naming, root: int) -> str:
    """What runs under a page-table root is called."""
    return _clean(naming.process(root)) or f"root {root:#x}"


def _clean(name: str) -> str:
    return "".join(letter if letter.isprintable() and letter != ";" else "_" for letter in name)


class _Walker:
    """The stacks of one vCPU."""

    def __init__(self, names: Names, tree: StackTree) -> None:
        self._names, self._tree = names, tree
        self._stacks = Stacks(tree)
        self._of_root: dict[int, int] = {}

    def walk(self, frame: Frame, vcpu: int, steps: U8, keys: U64) -> None:
        """Continue with what the vCPU did in `frame`."""
        switch = self._names.key(THREAD_SWITCH)
        # Without its name, each page-table root has a stack: better than one for all threads.
        if switch in keys:
            self._stacks.follow_threads(switch)
        self._stacks.walk(frame.blocks(vcpu), steps, keys, self._events(frame, vcpu))

    def _events(self, frame: Frame, vcpu: int) -> npt.NDArray[Any]:
        """Switches of the root and exceptions, by the block that they come before."""
        events = frame.events(vcpu)
        # Of several roots at one place the last counts.
        roots = dict(zip(*(column.tolist() for column in frame.root_changes(vcpu)), strict=True))
        found = [(at, 0, 0, SWITCH, self._stack(root)) for at, root in roots.items()]
        for index in events.where(Event.EXCEPTION).tolist():
            came_from = events.value(index)
            found.append((int(events.list.at[index]), came_from, self._names.function(came_from), EXCEPTION, 0))
        rows = np.array(found, EVENT)
        return rows[np.lexsort((rows["kind"], rows["at"]))]

    def _stack(self, root: int) -> int:
        if root not in self._of_root:
            self._of_root[root] = self._stacks.add(self._tree.child(0, self._names.process(root)))
        return self._of_root[root]


def grow_tree(trace: TraceReader, naming: Naming) -> tuple[Names, StackTree]:
    """The stacks of all of `trace`, and what their keys are called. Below the tree's root are processes, below these functions."""
    names, tree = Names(naming), StackTree()
    walkers = [_Walker(names, tree) for _ in range(trace.vcpus)]
    for frame in trace.frames():
        steps, keys = _steps(frame.dictionary), _keys(frame.dictionary, names)
        for vcpu, walker in enumerate(walkers):
            if len(frame.numbers(vcpu)):
                walker.walk(frame, vcpu, steps, keys)
    return names, tree


def _keys(table: BlockTable, names: Names) -> U64:
    """The function of each block; 0 for user code, which may run elsewhere."""
    movable = ((table.rings == 3) & (table.offsets != NO_OFFSET)).tolist()
    pairs = zip(table.addresses.tolist(), movable, strict=True)
    return np.array([0 if moves else names.function(address) for address, moves in pairs], np.uint64)


def _steps(table: BlockTable) -> U8:
    """How each block ends: with a call, with a return, or with neither."""
    opcode = table.endings["opcode"]
    steps = np.zeros(len(table), np.uint8)
    steps[np.isin(opcode, _CALLS)] = CALL
    steps[np.isin(opcode, _RETURNS)] = RETURN
    steps[opcode == _IRET] = IRET
    # An indirect call and an indirect jump have the same opcode: the register field of the next byte says which.
    for number in np.flatnonzero(opcode == _INDIRECT).tolist():
        last = table.code(number)[-int(table.lengths(number)[-1]) :]
        place = last.find(_INDIRECT)
        if 0 <= place < len(last) - 1 and last[place + 1] >> 3 & 7 in (2, 3):
            steps[number] = CALL
    return steps
