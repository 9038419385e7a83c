"""A loop's flow as nested regions: the dominator tree says what lies inside what (Ramsey: Beyond Relooper, 2022).

A node that is entered from several places stands behind a ``block`` that ends there, and what registers hold there are the block's results. A node
that a jump goes back to is a ``loop``, whose parameters are the registers that the loop changes. All others stand where they are entered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...ir.model import Region, Value
from ...ir.types import Type
from .emitter import Emitter
from .flow import Exit, Flow, Node, Position
from .liveness import Bytes, written_by
from .pcode import Instruction, PcodeOp
from .registers import Cell
from .semantics import Semantics
from .state import State

Leave = Callable[[State, Value, Value], None]
"""Ends the open region by leaving the loop: with what registers hold, the address of the next instruction, and the rounds that were done."""


class Structure:
    """Appends a flow to the region that is open."""

    def __init__(
        self,
        flow: Flow,
        live: Mapping[Position, int],
        known: Bytes,
        emit: Emitter,
        semantics: Semantics,
        lines: Mapping[int, int],
        leave: Leave,
    ) -> None:
        """`lines` numbers instructions by address, for what they become."""
        self._flow, self._live, self._known = flow, live, known
        self._emit, self._semantics, self._lines, self._leave = emit, semantics, lines, leave
        self._written = {place: written_by(node) for place, node in flow.nodes.items()}
        self._carried: dict[Position, list[Cell]] = {}
        self._labels = {place: f"at_{place[0]:x}_{place[1]}" for place in flow.order}

    def run(self, state: State, limit: Value) -> None:
        """The whole loop, which is left at the latest when `limit` rounds are done and it is at its head again."""
        rounds = self._emit.const(Type.U64, 0)
        self._tree(self._flow.head, state, rounds, limit)

    def _tree(self, place: Position, state: State, rounds: Value, limit: Value | None = None) -> None:
        """`place` and all that it dominates, entered with `state`."""
        if place not in self._flow.headers:
            self._within(place, self._flow.merges(place), state, rounds)
            return
        emit = self._emit
        carried = self._carried_by(place, self._of_loop(place))
        self._carried[place] = carried
        own = [Value(cell.type, cell.name) for cell in carried]
        inside = state.copy()
        starts = [state.get(cell) for cell in carried]
        for cell, value in zip(carried, own, strict=True):
            inside.set(cell, value)
        is_head = place == self._flow.head
        counter = Value(Type.U64, "rounds")
        region = Region(parameters=(*own, counter) if is_head else tuple(own))
        with emit.inside(region):
            if limit is not None:
                self._stop_at(limit, counter, inside)
            self._within(place, self._flow.merges(place), inside, counter if is_head else rounds)
        emit.build.branch("loop", [*starts, rounds] if is_head else starts, [region], label=self._labels[place])
        emit.build.end("trap", text="unreachable")

    def _stop_at(self, limit: Value, rounds: Value, state: State) -> None:
        emit = self._emit
        stop, go_on = Region(), Region()
        with emit.inside(stop):
            self._leave(state.copy(), self._semantics.address(self._flow.head[0]), rounds)
        with emit.inside(go_on):
            emit.build.end("yield")
        emit.build.branch("if", [emit.op("ge", rounds, limit)], [stop, go_on])

    def _within(self, place: Position, merges: Sequence[Position], state: State, rounds: Value) -> None:
        """`place` in blocks that end where `merges`, latest first, begin."""
        if not merges:
            self._node(self._flow.nodes[place], state, rounds)
            return
        emit, last = self._emit, merges[0]
        # Results hold whole cells, so those written in parts are put together outside.
        carried = self._carried_by(last, self._dominated(place, last))
        self._carried[last] = carried
        region = Region()
        with emit.inside(region):
            self._within(place, merges[1:], state.copy(), rounds)
        results = emit.build.branch("block", (), [region], [cell.type for cell in carried], label=self._labels[last])
        after = state.copy()
        for cell, value in zip(carried, results, strict=True):
            value.name = cell.name
            after.set(cell, value)
        self._tree(last, after, rounds)

    def _node(self, node: Node, state: State, rounds: Value) -> None:
        emit = self._emit
        for instruction, op in node.ops:
            self._at(state, instruction, op)
        if node.selected:
            self._select(node, state)
            self._go(node, node.targets[0], state, rounds)
        elif node.condition is not None:
            (condition,) = state.read(node.condition)
            then, otherwise = node.targets
            self._if(emit.convert(condition, Type.BOOL), lambda: self._go(node, then, state.copy(), rounds))
            self._go(node, otherwise, state, rounds)
        elif node.indirect is not None and node.last is not None:
            emit.build.line = self._lines[node.last.address]
            (target,) = self._semantics.value(state, node.last, node.indirect)
            for address, place in zip(node.addresses, node.targets, strict=True):
                is_there = emit.op("eq", target, self._semantics.address(address))
                self._if(is_there, lambda place=place: self._go(node, place, state.copy(), rounds))  # type: ignore[misc]
            self._leave(state, target, rounds)
        else:
            self._go(node, node.targets[0], state, rounds)

    def _at(self, state: State, instruction: Instruction, op: PcodeOp) -> None:
        self._emit.build.line = self._lines[instruction.address]
        self._semantics.run(state, instruction, op)

    def _if(self, condition: Value, then: Callable[[], None]) -> None:
        """What `then` appends, which does not come back, runs where the condition is true."""
        region, other = Region(), Region()
        with self._emit.inside(region):
            then()
        with self._emit.inside(other):
            self._emit.build.end("yield")
        self._emit.build.branch("if", [condition], [region, other])

    def _select(self, node: Node, state: State) -> None:
        assert node.condition is not None
        (condition,) = state.read(node.condition)
        condition = self._emit.convert(condition, Type.BOOL)
        other = state.copy()
        for instruction, op in node.selected:
            self._at(other, instruction, op)
        cells = {cell for cell in written_by(Node(node.place, list(node.selected))) if cell.space == "register"}
        for cell in sorted(cells):
            state.set(cell, self._emit.select(condition, state.get(cell), other.get(cell)))

    def _go(self, node: Node, target: Position | Exit, state: State, rounds: Value) -> None:
        emit = self._emit
        if isinstance(target, Exit):
            self._leave(state, self._semantics.address(target.address), rounds)
            return
        if self._flow.is_backward(node.place, target):
            values = [state.get(cell) for cell in self._carried[target]]
            if target == self._flow.head:
                values.append(emit.op("add", rounds, emit.const(Type.U64, 1)))
            emit.build.end("continue", *values, label=self._labels[target])
        elif sum(not self._flow.is_backward(source, target) for source in self._flow.before[target]) > 1:
            values = [state.get(cell) for cell in self._carried[target]]
            emit.build.end("break", *values, label=self._labels[target])
        else:
            self._tree(target, state, rounds)

    def _carried_by(self, place: Position, nodes: set[Position]) -> list[Cell]:
        """Cells that are alive at `place` and written in `nodes`, in order."""
        alive = self._known.cells(self._live[place])
        return sorted(alive & {cell for other in nodes for cell in self._written[other]})

    def _dominated(self, place: Position, last: Position) -> set[Position]:
        """What may run between `place` and `last`."""
        flow = self._flow
        return {other for other in flow.order if flow.dominates(place, other) and not flow.dominates(last, other)}

    def _of_loop(self, header: Position) -> set[Position]:
        """The nodes of the loop that begins at `header`."""
        found = {header}
        waiting = [source for source in self._flow.before[header] if self._flow.is_backward(source, header)]
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting.extend(self._flow.before[place])
        return found
