"""The rules that a kernel or a function keeps for itself: declarations, types, dominance, terminators, labels, fuel, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import IrError
from .bits import rounded
from .limits import (
    MAX_BURNT,
    MAX_DECLARED,
    MAX_DEPTH,
    MAX_GROUP,
    MAX_OPERATIONS,
    MAX_PRIVATE_BYTES,
    MAX_WORKGROUP_BYTES,
)
from .model import Bounds, Function, Kernel, Memory, Module, Op, Region, Space, Value
from .operations import OPERATIONS, TERMINATORS
from .signatures import result_type
from .text.grammar import HAS_LABEL, HAS_TEXT, NAMES
from .types import INDEXES, Type

_ATOMIC_TYPES = (Type.I32, Type.U32, Type.I64, Type.U64)


@dataclass
class _Label:
    op: Op
    results: tuple[Type, ...]
    parameters: tuple[Type, ...] | None


class UnitRules:
    """Checks one kernel or function of a module; `run` raises `IrError` with the first rule that it breaks."""

    def __init__(self, module: Module, unit: Function | Kernel) -> None:
        self.module, self.unit = module, unit
        self.memories: set[Memory] = set(unit.memories)
        self.visible: set[Value] = set(unit.parameters)
        self.defined: set[Value] = set(unit.parameters)
        self.labels: list[_Label] = []
        self.callees: dict[str, int] = {}
        """Functions that it calls, and how many regions inside each other the deepest call is in."""
        self.size = 0
        self.depth = 0
        self.call_sites: dict[str, int] = {}

    def fail(self, op: Op | None, rule: str, text: str) -> IrError:
        kind = "kernel" if isinstance(self.unit, Kernel) else "function"
        return IrError(
            text,
            unit=f"{kind} {self.unit.name}",
            op=op.name if op else "",
            line=op.line if op else None,
            rule=rule,
        )

    def run(self) -> None:
        """Check everything but what calls bring with them."""
        self.check_declarations()
        self.region(self.unit.body, None, None, 1)

    def inline(self, sizes: Mapping[str, UnitRules]) -> None:
        """Add what the functions that it calls have, which are complete."""
        for name, depth in self.callees.items():
            self.size += self.call_sites[name] * sizes[name].size
            self.depth = max(self.depth, depth + sizes[name].depth)
        if self.size > MAX_OPERATIONS:
            raise self.fail(None, "size", f"more than {MAX_OPERATIONS} operations, counted again at each call")
        if self.depth > MAX_DEPTH:
            raise self.fail(None, "size", f"more than {MAX_DEPTH} regions inside each other, through calls")

    def check_declarations(self) -> None:
        names = [memory.name for memory in self.unit.memories]
        if len(set(names)) != len(names):
            raise self.fail(None, "memory", "two objects have one name")
        for memory in self.unit.memories:
            if not NAMES["memory"].fullmatch(memory.name):
                raise self.fail(None, "name", f"memory cannot be called {memory.name!r}")
        if isinstance(self.unit, Kernel):
            own = [value.name for value in self.unit.parameters]
            if len(set(own)) != len(own) or not all(map(NAMES["value"].fullmatch, own)):
                raise self.fail(
                    None, "name", f"parameters need identifiers of their own, not {', '.join(map(repr, own))}"
                )
        if len(self.defined) != len(self.unit.parameters):
            raise self.fail(None, "dominance", "two parameters are one value")
        sums = {Space.WORKGROUP: 0, Space.PRIVATE: 0}
        for memory in self.unit.memories:
            if memory.space is Space.BUFFER:
                if memory.length is not None:
                    raise self.fail(None, "memory", f"buffer @{memory.name} has the length of what is bound")
                continue
            if memory.length is None or not 0 < memory.length <= MAX_DECLARED:
                raise self.fail(None, "memory", f"@{memory.name} needs a length of 1 to {MAX_DECLARED}")
            sums[memory.space] += memory.length * memory.element.bytes
        for space, most in ((Space.WORKGROUP, MAX_WORKGROUP_BYTES), (Space.PRIVATE, MAX_PRIVATE_BYTES)):
            if sums[space] > most:
                raise self.fail(None, "memory", f"{sums[space]} bytes of {space.value} memory, more than {most}")
        if isinstance(self.unit, Kernel) and not 1 <= self.unit.group <= MAX_GROUP:
            raise self.fail(None, "type", f"a group has 1 to {MAX_GROUP} lanes, not {self.unit.group}")

    def region(self, region: Region, owner: Op | None, yields: Sequence[Type] | None, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.fail(owner, "size", f"more than {MAX_DEPTH} regions inside each other")
        self.depth = max(self.depth, depth)
        self.size += len(region.operations)
        if not region.operations or region.operations[-1].name not in TERMINATORS:
            raise self.fail(owner, "terminator", "a region ends without one")
        inside: list[Value] = []
        for value in region.parameters:
            self.define(value, owner, inside)
        for place, op in enumerate(region.operations):
            if op.name not in OPERATIONS:
                raise self.fail(op, "type", "no such operation")
            if op.name in TERMINATORS and place != len(region.operations) - 1:
                raise self.fail(op, "terminator", "operations follow it")
            for operand in op.operands:
                if operand not in self.visible:
                    raise self.fail(op, "dominance", f"%{operand.name or '?'} is not defined before it, or not here")
            self.op(op, yields)
            if op.regions:
                self.nested(op, depth)
            if op.name == "call":
                self.call_sites[op.text] = self.call_sites.get(op.text, 0) + 1
                self.callees[op.text] = max(self.callees.get(op.text, 0), depth)
            for value in op.results:
                self.define(value, op, inside)
        self.visible.difference_update(inside)

    def define(self, value: Value, op: Op | None, inside: list[Value]) -> None:
        if value in self.defined:
            raise self.fail(op, "dominance", f"%{value.name or '?'} is defined twice")
        self.defined.add(value)
        self.visible.add(value)
        inside.append(value)

    def op(self, op: Op, yields: Sequence[Type] | None) -> None:
        self.check_fields(op)
        check = getattr(self, f"check_{op.name}", None)
        if check:
            check(op)
        elif op.name == "yield":
            if yields is None:
                raise self.fail(op, "terminator", "nothing here takes what it yields")
            self.fit(op, op.operands, yields)
        elif "@memory" in OPERATIONS[op.name].signature:
            self.access(op)
        else:
            self.row(op, op.results[0].type if op.results else None)

    def check_fields(self, op: Op) -> None:
        """Fields that belong to other rows are empty, as the text form has no place for them."""
        row = OPERATIONS[op.name]
        stray = {
            "regions": op.regions and op.name not in ("if", "switch", "block", "loop"),
            "memory": op.memory is not None and "@memory" not in row.signature,
            "literal": op.literal is not None and op.name != "const",
            "label": op.label and op.name not in HAS_LABEL,
            "text": op.text and op.name not in (*HAS_TEXT, "call"),
            "cases": op.cases and op.name != "switch",
            "fuel": op.fuel != 1 and op.name != "continue",
        }
        for name, is_there in stray.items():
            if is_there:
                raise self.fail(op, "type", f"has no {name}")

    def row(self, op: Op, stated: Type | None) -> None:
        try:
            kind = result_type(op.name, [value.type for value in op.operands], stated)
        except IrError as error:
            raise self.fail(op, "type", error.text) from None
        given = tuple(value.type for value in op.results)
        if given != ((kind,) if kind else ()):
            raise self.fail(op, "type", f"gives {kind!r}, not {given!r}")

    def fit(self, op: Op, values: Sequence[Value], kinds: Sequence[Type]) -> None:
        if tuple(value.type for value in values) != tuple(kinds):
            raise self.fail(op, "type", f"{[value.type for value in values]!r} where {list(kinds)!r} is wanted")

    def check_const(self, op: Op) -> None:
        if len(op.results) != 1 or op.literal is None:
            raise self.fail(op, "type", "needs a literal and one result")
        kind = op.result.type
        if kind.is_integer and (
            not isinstance(op.literal, int)
            or isinstance(op.literal, bool)
            or not kind.least <= op.literal <= kind.greatest
        ):
            raise self.fail(op, "type", f"{op.literal} is no {kind!r}")
        if kind is Type.BOOL and not isinstance(op.literal, bool):
            raise self.fail(op, "type", f"{op.literal} is no bool")
        if kind.is_float and not (
            isinstance(op.literal, float) and (op.literal != op.literal or rounded(op.literal, kind) == op.literal)
        ):
            raise self.fail(op, "type", f"{op.literal!r} is no {kind!r}")

    def access(self, op: Op) -> None:
        memory = op.memory
        if memory is None or memory not in self.memories:
            raise self.fail(op, "memory", "names no object that is declared here")
        if op.name == "length":
            self.row(op, Type.U32)
            return
        if not isinstance(op.bounds, Bounds):
            raise self.fail(op, "memory", "needs trap, clamp or proved")
        if op.name != "load" and not memory.is_writable:
            raise self.fail(op, "memory", f"@{memory.name} is read only")
        if not op.operands or op.operands[0].type not in INDEXES:
            raise self.fail(op, "type", "an index is i32, u32, i64 or u64")
        moved = (
            op.results[0].type
            if op.name == "load" and op.results
            else op.operands[1].type
            if len(op.operands) > 1
            else None
        )
        if op.name.startswith("atomic_"):
            if memory.element not in _ATOMIC_TYPES or memory.space is Space.PRIVATE:
                raise self.fail(op, "memory", "atomics are of i32, u32, i64, u64 in buffers and workgroup memory")
            self.fit(op, op.operands[1:], [memory.element] * (2 if op.name == "atomic_cas" else 1))
            self.fit(op, op.results, [memory.element])
            return
        if len(op.operands) != (1 if op.name == "load" else 2) or len(op.results) != (op.name == "load"):
            raise self.fail(op, "type", "has one index and one value")
        if moved is not memory.element and not (memory.element is Type.U8 and moved is not Type.BOOL):
            raise self.fail(op, "type", f"moves {moved!r} where @{memory.name} holds {memory.element!r}")

    def check_if(self, op: Op) -> None:
        if len(op.regions) != 2 or [value.type for value in op.operands] != [Type.BOOL]:
            raise self.fail(op, "type", "takes one bool and two regions")
        self.check_branch(op)

    def check_switch(self, op: Op) -> None:
        if len(op.operands) != 1 or op.operands[0].type not in OPERATIONS["switch"].over:
            raise self.fail(op, "type", "takes one i32, u32, i64 or u64")
        kind = op.operands[0].type
        if len(op.regions) != len(op.cases) + 1 or len(set(op.cases)) != len(op.cases):
            raise self.fail(op, "type", "needs a region for each case, which differ, and one for the default")
        if any(not kind.least <= case <= kind.greatest for case in op.cases):
            raise self.fail(op, "type", f"a case is no {kind!r}")
        self.check_branch(op)

    def check_branch(self, op: Op) -> None:
        if any(region.parameters for region in op.regions):
            raise self.fail(op, "type", "regions of a branch have no parameters")

    def check_block(self, op: Op) -> None:
        if op.operands or len(op.regions) != 1 or op.regions[0].parameters:
            raise self.fail(op, "type", "takes one region and no operands")
        self.check_label(op)

    def check_loop(self, op: Op) -> None:
        if len(op.regions) != 1:
            raise self.fail(op, "type", "takes one region")
        kinds = tuple(value.type for value in op.regions[0].parameters)
        self.fit(op, op.operands, kinds)
        self.check_label(op)

    def check_label(self, op: Op) -> None:
        if not NAMES["label"].fullmatch(op.label) or any(label.op.label == op.label for label in self.labels):
            raise self.fail(op, "label", f"^{op.label} is missing or stands for something around it")

    def nested(self, op: Op, depth: int) -> None:
        """Check the regions of an operation whose own fields are right."""
        results = tuple(value.type for value in op.results)
        if op.name in ("block", "loop"):
            is_loop = op.name == "loop"
            parameters = tuple(value.type for value in op.regions[0].parameters) if is_loop else None
            self.labels.append(_Label(op, results, parameters))
        for region in op.regions:
            # A loop's region has no end of its own: it says where it goes on.
            self.region(region, op, None if op.name == "loop" else results, depth + 1)
        if op.name in ("block", "loop"):
            self.labels.pop()

    def target(self, op: Op) -> _Label:
        found = next((label for label in self.labels if label.op.label == op.label), None)
        if not found:
            raise self.fail(op, "label", f"^{op.label} is around nothing here")
        return found

    def check_break(self, op: Op) -> None:
        self.fit(op, op.operands, self.target(op).results)

    def check_continue(self, op: Op) -> None:
        parameters = self.target(op).parameters
        if parameters is None:
            raise self.fail(op, "label", f"^{op.label} is a block, not a loop")
        self.fit(op, op.operands, parameters)
        if not 1 <= op.fuel <= MAX_BURNT:
            raise self.fail(op, "fuel", f"each way round a loop burns 1 to {MAX_BURNT}")

    def check_return(self, op: Op) -> None:
        self.fit(op, op.operands, self.unit.results if isinstance(self.unit, Function) else ())

    def check_call(self, op: Op) -> None:
        function = self.module.functions.get(op.text)
        if not function:
            raise self.fail(op, "type", f"there is no function {op.text}")
        self.fit(op, op.operands, [value.type for value in function.parameters])
        self.fit(op, op.results, function.results)

    def check_trap(self, op: Op) -> None:
        if op.operands or op.results:
            raise self.fail(op, "type", "has neither operands nor results")

    def check_barrier(self, op: Op) -> None:
        if op.operands or op.results:
            raise self.fail(op, "type", "has neither operands nor results")
        if isinstance(self.unit, Function):
            raise self.fail(op, "uniformity", "barriers stand in kernels, not in functions")

    def check_print(self, op: Op) -> None:
        if op.results:
            raise self.fail(op, "type", "has no results")

    def check_host_call(self, op: Op) -> None:
        if not op.text:
            raise self.fail(op, "type", "needs the name of the host's function")
