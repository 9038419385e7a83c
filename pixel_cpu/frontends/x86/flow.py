"""A loop's control flow: stretches of p-code without a branch, where they go on, and in which order they can be structured.

A position is an instruction's address and the number of a p-code operation in it: ``rep`` prefixes and conditional moves branch inside of an
instruction. What the loop does not hold, or cannot be lifted, is an exit in front of that instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...errors import IrreducibleError, LiftError, LoopPlace
from .pcode import Instruction, PcodeOp, Varnode

Position = tuple[int, int]
_BRANCHES = ("BRANCH", "CBRANCH", "BRANCHIND", "CALL", "CALLIND", "RETURN")
_MAY_FAULT = ("LOAD", "STORE", "INT_DIV", "INT_SDIV", "INT_REM", "INT_SREM", "CALLOTHER")
"""What must not run where the program does not come: it may fault."""
_MOST_SPECULATED = 8


@dataclass(frozen=True, slots=True)
class Exit:
    """Out of the loop, to the instruction at `address`."""

    address: int


Target = Position | Exit


@dataclass
class Node:
    """Operations that run one behind the other, each with its instruction, and where they go on.

    Attributes:
        condition: of two targets, goes to the first where it is true. None: there is one target.
        selected: operations that run only where `condition` is false, and then go on to the one target; without effects, so that
            values are selected instead.
        indirect: where the address of the next instruction stands; then `targets` are those that were observed, `addresses` theirs.
    """

    place: Position
    ops: list[tuple[Instruction, PcodeOp]] = field(default_factory=list)
    targets: tuple[Target, ...] = ()
    condition: Varnode | None = None
    selected: tuple[tuple[Instruction, PcodeOp], ...] = ()
    indirect: Varnode | None = None
    addresses: tuple[int, ...] = ()
    last: Instruction | None = None
    """The instruction whose branch ends it, if one does."""

    @property
    def inner(self) -> tuple[Position, ...]:
        """The targets inside of the loop, each once."""
        return tuple(dict.fromkeys(target for target in self.targets if not isinstance(target, Exit)))


class Flow:
    """The nodes of a loop by position, in reverse postorder, with immediate dominators."""

    def __init__(
        self, head: int, instructions: Mapping[int, Instruction], indirect: Mapping[int, tuple[int, ...]]
    ) -> None:
        """`instructions` by address; `indirect` has the observed targets of indirect jumps and returns, by address."""
        self._instructions, self._indirect = instructions, indirect
        self.head: Position = (head, 0)
        self.nodes: dict[Position, Node] = {}
        leaders = self._leaders()
        waiting = [self.head]
        while waiting:
            place = waiting.pop()
            if place not in self.nodes:
                self.nodes[place] = self._node(place, leaders)
                waiting.extend(self.nodes[place].inner)
        for node in list(self.nodes.values()):
            self._select(node)
        self.order = self._reverse_postorder()
        self.number = {place: number for number, place in enumerate(self.order)}
        self.nodes = {place: self.nodes[place] for place in self.order}
        self.before: dict[Position, list[Position]] = {place: [] for place in self.order}
        for node in self.nodes.values():
            for target in node.inner:
                self.before[target].append(node.place)
        self.dominator = self._dominators()
        self.headers = {
            target for node in self.nodes.values() for target in node.inner if self.is_backward(node.place, target)
        }
        self._check()

    def is_backward(self, place: Position, target: Position) -> bool:
        """Whether the way from `place` to `target` goes round a loop."""
        return self.number[target] <= self.number[place]

    def dominates(self, one: Position, other: Position) -> bool:
        """Whether each way from the head to `other` goes through `one`."""
        while self.number[other] > self.number[one]:
            other = self.dominator[other]
        return one == other

    def merges(self, place: Position) -> list[Position]:
        """What `place` dominates at once and is entered from more than one node, latest first."""
        found = [
            other
            for other in self.order[1:]
            if self.dominator[other] == place
            and sum(not self.is_backward(source, other) for source in self.before[other]) > 1
        ]
        return found[::-1]

    def _check(self) -> None:
        for node in self.nodes.values():
            for target in node.inner:
                if self.is_backward(node.place, target) and not self.dominates(target, node.place):
                    place = LoopPlace(target[0], self._instructions[target[0]].text)
                    raise IrreducibleError("irreducible: a loop inside is entered here and elsewhere", place)
        if self.head not in self.headers:
            raise LiftError("no way leads back to its head")

    def _position(self, address: int, number: int = 0) -> Target:
        here = self._instructions.get(address)
        if here is None:
            return Exit(address)
        return self._position(here.end) if number == len(here.ops) and (number or here.ops) else (address, number)

    def _target(self, instruction: Instruction, number: int, varnode: Varnode) -> Target:
        if varnode.space == "const":
            distance = varnode.offset - (1 << 8 * varnode.size if varnode.offset >> (8 * varnode.size - 1) else 0)
            return self._position(instruction.address, number + distance)
        return self._position(varnode.offset)

    def _leaders(self) -> set[Position]:
        found: set[Target] = {self.head}
        for instruction in self._instructions.values():
            for number, op in enumerate(instruction.ops):
                if op.name in ("BRANCH", "CBRANCH", "CALL"):
                    found.add(self._target(instruction, number, op.inputs[0]))
                    found.add(self._position(instruction.address, number + 1))
        found |= {self._position(target) for targets in self._indirect.values() for target in targets}
        return {place for place in found if not isinstance(place, Exit)}

    def _node(self, place: Position, leaders: set[Position]) -> Node:
        node, at = Node(place), place
        while True:
            instruction = self._instructions[at[0]]
            number = at[1]
            following: Target = self._position(instruction.end)
            if number < len(instruction.ops):
                op = instruction.ops[number]
                following = self._position(instruction.address, number + 1)
                if op.name in _BRANCHES:
                    self._end(node, instruction, number, following)
                    return node
                node.ops.append((instruction, op))
            if isinstance(following, Exit) or following in leaders:
                node.targets = (following,)
                return node
            at = following

    def _end(self, node: Node, instruction: Instruction, number: int, following: Target) -> None:
        op, node.last = instruction.ops[number], instruction
        if op.name in ("BRANCH", "CALL"):
            node.targets = (self._target(instruction, number, op.inputs[0]),)
        elif op.name == "CBRANCH":
            node.targets, node.condition = (self._target(instruction, number, op.inputs[0]), following), op.inputs[1]
            if node.targets[0] == node.targets[1]:
                node.targets, node.condition = (following,), None
        else:
            node.indirect = op.inputs[0]
            known = self._indirect.get(instruction.address, ())
            node.addresses = tuple(target for target in known if target in self._instructions)
            node.targets = tuple(map(self._position, node.addresses))

    def _select(self, node: Node) -> None:
        """Make selections of a branch over a few operations of the same instruction, as conditional moves have it."""
        if node.condition is None or isinstance(node.targets[1], Exit) or not node.ops:
            return
        over = self.nodes[node.targets[1]]
        entries = sum(over.place in other.inner for other in self.nodes.values())
        if (
            over.targets == node.targets[:1]
            and over.condition is None
            and over.indirect is None
            and entries == 1
            and len(over.ops) <= _MOST_SPECULATED
            and over.place[0] == node.ops[-1][0].address
            and all(op.name not in _MAY_FAULT and not _is_memory(op) for _, op in over.ops)
            and len({instruction.address for instruction, _ in over.ops}) == 1
        ):
            node.selected, node.targets = tuple(over.ops), over.targets

    def _reverse_postorder(self) -> list[Position]:
        order: list[Position] = []
        seen = {self.head}
        stack: list[tuple[Position, Iterator[Position]]] = [(self.head, iter(self.nodes[self.head].inner))]
        while stack:
            place, rest = stack[-1]
            following = next((target for target in rest if target not in seen), None)
            if following is None:
                order.append(place)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(self.nodes[following].inner)))
        return order[::-1]

    def _dominators(self) -> dict[Position, Position]:
        """Cooper, Harvey and Kennedy: A Simple, Fast Dominance Algorithm, 2001."""
        found = {self.head: self.head}
        is_changed = True
        while is_changed:
            is_changed = False
            for place in self.order[1:]:
                known = [source for source in self.before[place] if source in found]
                one = known[0]
                for other in known[1:]:
                    while one != other:
                        if self.number[one] > self.number[other]:
                            one = found[one]
                        else:
                            other = found[other]
                if found.get(place) != one:
                    found[place], is_changed = one, True
        return found


def _is_memory(op: PcodeOp) -> bool:
    return any(varnode.space == "ram" for varnode in (*op.inputs, *([op.output] if op.output else [])))
