"""Instructions by call stack and process, in Brendan Gregg's folded format: ``process;outer;inner COUNT``, a stack a line.

Stacks are rebuilt from calls and returns. A call, a system call and an exception push the address at which they go on; a
return, sysret or iret pops to the nearest entry with the address that it goes to; to an address on no entry it begins a new
stack, at the function there. Each page-table root has a stack of its own on each vCPU. A trace holds no stack pointer, so where
the kernel switches threads (`THREAD_SWITCH`, known by its symbol) a new stack begins too, and callers from before are missing.

A call that goes on a few bytes further is none: code learns its address so, fills the return predictor, or makes an indirect
jump out of the next return (Turner, "Retpoline", 2018). A function is called by its symbol, or by the address that was called.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import Event

from ..codec import U64
from ..reader import Frame, TraceReader
from . import Naming

DEEPEST = 200
"""Entries of a stack; what is called deeper counts for the last one."""
MOST_NODES = 1 << 20
"""Different stacks; beyond, new callees count for their callers."""

THREAD_SWITCH = "__switch_to_asm"
"""Linux on x86 since 4.9, arch/x86/entry/entry_64.S: it returns as another thread."""
NEAR = 16
"""Bytes behind a call that are no function of their own."""

_CALLS = (0xE8, 0x9A, 0x0F05, 0x0F34)
_RETURNS = (0xC2, 0xC3, 0xCA, 0xCB, 0xCF, 0x0F07, 0x0F35)
_CALL, _RETURN, _SWITCH, _EXCEPTION = range(4)
_INDIRECT = 0xFF

Step = tuple[int, int, int, int]
"""(blocks before it, kind, address it goes on at, address it goes to; for a switch the root)."""


class Stacks:
    """A tree of functions, with instructions counted at its nodes."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._parent: list[int] = [-1]
        self._name: list[str] = [""]
        self._child: dict[tuple[int, str], int] = {}
        self._named: dict[int, str] = {}
        self._count: list[int] = [0]

    def child(self, node: int, name: str) -> int:
        """The node for `name` called from `node`."""
        found = self._child.get((node, name))
        if found is None:
            if len(self._parent) >= MOST_NODES:
                return node
            found = self._child[node, name] = len(self._parent)
            self._parent.append(node)
            self._name.append(name)
            self._count.append(0)
        return found

    def process(self, root: int) -> int:
        """The outermost node of what runs under a page-table root."""
        return self.child(0, _clean(self._naming.process(root)) or f"root {root:#x}")

    def function(self, node: int, address: int) -> int:
        """The node for the code at `address` entered from `node`."""
        return self.child(node, self.name(address))

    def name(self, address: int) -> str:
        """What the function that holds `address` is called."""
        name = self._named.get(address)
        if name is None:
            name = self._named[address] = _clean(self._naming.symbol(address).partition("+")[0]) or f"{address:#x}"
        return name

    def add(self, node: int, instructions: int) -> None:
        """Count what was executed in `node` itself."""
        self._count[node] += instructions

    def lines(self) -> Iterator[str]:
        """The tree, a line for each stack that something was executed in."""
        for node, count in enumerate(self._count):
            if count and node:
                names, at = [], node
                while at:
                    names.append(self._name[at])
                    at = self._parent[at]
                yield f"{';'.join(reversed(names))} {count}"


def _clean(name: str) -> str:
    return "".join(letter if letter.isprintable() and letter != ";" else "_" for letter in name)


class _Walker:
    """The stacks of one vCPU, as its steps are walked: entries are (address that a return goes to, node)."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks
        self._of_root: dict[int, list[tuple[int, int]]] = {}
        self.stack: list[tuple[int, int]] = []
        self._is_thunk = self._is_switch = False

    @property
    def node(self) -> int:
        """Where what is executed now counts."""
        return self.stack[-1][1]

    def switch(self, root: int, address: int) -> None:
        """Go on with the stack of a root; a new one begins at the code at `address`."""
        if root not in self._of_root:
            base = self._stacks.process(root)
            self._of_root[root] = [(-1, base), (-1, self._stacks.function(base, address))]
        self.stack = self._of_root[root]

    def step(self, kind: int, behind: int, address: int) -> None:
        """A call or exception that goes on at `behind`, or a return; execution is now at `address`."""
        if kind == _CALL and 0 <= address - behind < NEAR:
            self._is_thunk = True
            return
        if kind != _RETURN:
            self._is_thunk = False
            self._is_switch = self._is_switch or self._stacks.name(address) == THREAD_SWITCH
            deep = len(self.stack) >= DEEPEST
            self.stack.append((behind, self.node if deep else self._stacks.function(self.node, address)))
            if len(self.stack) > 4 * DEEPEST:
                del self.stack[2 : 2 * DEEPEST]
            return
        is_thunk, is_switch = self._is_thunk, self._is_switch
        self._is_thunk = self._is_switch = False
        for index in range(len(self.stack) - 1, 1, -1):
            if self.stack[index][0] == address and not is_switch:
                del self.stack[index:]
                return
        # A return that was made into a jump leaves for another function; any other is the end of what was known.
        behind = self.stack[-1][0] if is_thunk and not is_switch else -1
        del self.stack[-1 if behind >= 0 else 1 :]
        self.stack.append((behind, self._stacks.function(self.node, address)))


def write(trace: TraceReader, output: Path, naming: Naming) -> None:
    """Write the stacks of `trace` into the new file `output`."""
    with open(output, "x") as file:
        stacks = Stacks(naming)
        for vcpu in range(trace.vcpus):
            walker = _Walker(stacks)
            for frame in trace.frames():
                if len(frame.numbers(vcpu)):
                    _walk(frame, vcpu, walker, stacks.add)
        file.writelines(f"{line}\n" for line in stacks.lines())


def _walk(frame: Frame, vcpu: int, walker: _Walker, add: Callable[[int, int], None]) -> None:
    blocks = frame.blocks(vcpu)
    before = np.concatenate(([0], np.cumsum(blocks.instructions, dtype=np.int64)))
    events = _events(frame, vcpu, blocks.addresses)
    steps = heapq.merge(_transfers(blocks.numbers, blocks.addresses, frame, events), events)
    done = 0
    for at, kind, behind, address in steps:
        now = int(before[at])
        if now > done:
            add(walker.node, now - done)
            done = now
        if kind == _SWITCH:
            walker.switch(behind, address)
        else:
            walker.step(kind, behind, address)
    add(walker.node, int(before[-1]) - done)


def _transfers(numbers: npt.NDArray[np.uint32], addresses: U64, frame: Frame, events: list[Step]) -> Iterator[Step]:
    """Calls and returns, by the block they go to."""
    table = frame.dictionary
    opcode = table.endings["opcode"]
    kinds = np.full(len(table), -1, np.int8)
    kinds[np.isin(opcode, _CALLS)] = _CALL
    kinds[np.isin(opcode, _RETURNS)] = _RETURN
    # An indirect call and an indirect jump have the same opcode: the register field of the next byte says which.
    for number in np.flatnonzero(opcode == _INDIRECT).tolist():
        last = table.code(number)[-int(table.lengths(number)[-1]) :]
        place = last.find(_INDIRECT)
        if 0 <= place < len(last) - 1 and last[place + 1] >> 3 & 7 in (2, 3):
            kinds[number] = _CALL
    kind = kinds[numbers]
    found = np.flatnonzero(kind[:-1] >= 0)
    behind = addresses[found] + table.bytes[numbers[found]]
    # Where an exception comes at once, the next block is its handler: the call went to where the exception came from.
    targets = addresses.copy()
    for at, what, came_from, _ in reversed(events):
        if what == _EXCEPTION:
            targets[at] = came_from
    columns = (found + 1, kind[found], behind, targets[found + 1])
    return zip(*(column.tolist() for column in columns), strict=True)


def _events(frame: Frame, vcpu: int, addresses: U64) -> list[Step]:
    """Switches of the root and exceptions, by the block that they come before."""
    last = len(addresses) - 1
    found: list[Step] = []
    # Of several at one place the last counts.
    roots = dict(zip(*(column.tolist() for column in frame.root_changes(vcpu)), strict=True))
    for at, root in roots.items():
        found.append((at, _SWITCH, root, int(addresses[min(at, last)])))
    events = frame.events(vcpu)
    for index in events.where(Event.EXCEPTION).tolist():
        at = int(events.list.at[index])
        if at <= last:
            found.append((at, _EXCEPTION, events.value(index), int(addresses[at])))
    return sorted(found, key=lambda step: step[:2])
