"""Instructions by call stack and process, in Brendan Gregg's folded format: ``process;outer;inner COUNT``, a stack a line.

Stacks are rebuilt from calls and returns. A call, a system call and an exception push the address at which they go on; a
return, sysret or iret pops to the nearest entry with the address that it goes to. One that goes to an address on no entry,
as when the kernel switches threads, begins a new stack at the function it goes to. Each page-table root has a stack of its own
on each vCPU; kernel threads, which borrow roots, share those. A function is called by its symbol, or by the address that was
called. Stacks begin where the trace does, so the outermost functions are those seen last.
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
        name = self._named.get(address)
        if name is None:
            name = self._named[address] = _clean(self._naming.symbol(address).partition("+")[0]) or f"{address:#x}"
        return self.child(node, name)

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
        if kind != _RETURN:
            deep = len(self.stack) >= DEEPEST
            self.stack.append((behind, self.node if deep else self._stacks.function(self.node, address)))
            if len(self.stack) > 4 * DEEPEST:
                del self.stack[2 : 2 * DEEPEST]
            return
        for index in range(len(self.stack) - 1, 1, -1):
            if self.stack[index][0] == address:
                del self.stack[index:]
                return
        del self.stack[1:]
        self.stack.append((-1, self._stacks.function(self.node, address)))


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
    steps = heapq.merge(_transfers(blocks.numbers, blocks.addresses, frame), _events(frame, vcpu, blocks.addresses))
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


def _transfers(numbers: npt.NDArray[np.uint32], addresses: U64, frame: Frame) -> Iterator[Step]:
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
    # Where a call's target is the next instruction it is no call, but a way to learn one's address.
    target = addresses[found + 1]
    keep = (kind[found] == _RETURN) | (target != behind)
    columns = (found[keep] + 1, kind[found[keep]], behind[keep], target[keep])
    return zip(*(column.tolist() for column in columns), strict=True)


def _events(frame: Frame, vcpu: int, addresses: U64) -> list[Step]:
    """Switches of the root and exceptions, by the block that they come before."""
    last = len(addresses) - 1
    found: list[Step] = []
    for at, root in zip(*(column.tolist() for column in frame.root_changes(vcpu)), strict=True):
        found.append((at, _SWITCH, root, int(addresses[min(at, last)])))
    events = frame.events(vcpu)
    for index in events.where(Event.EXCEPTION).tolist():
        at = int(events.list.at[index])
        if at <= last:
            found.append((at, _EXCEPTION, events.value(index), int(addresses[at])))
    return sorted(found, key=lambda step: step[:2])
