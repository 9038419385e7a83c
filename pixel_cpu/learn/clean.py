"""A cheaper program for a lifted loop: each value and each load once, parts of registers by themselves, nothing that nobody reads.

Nothing here is taken on trust: `prove` compares what comes out with what went in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..frontends.x86.emitter import Emitter
from ..ir.model import Function, Memory, Op, Region, Value, walk
from ..ir.operations import OPERATIONS
from ..ir.types import Type
from ..passes.dead import remove_dead
from .affine import Form, Forms

_FOLDED = frozenset("add sub mul and or xor eq ne lt le gt ge shl shr mulhi clz ctz popcount min max".split())


def clean(function: Function) -> tuple[Function, Mapping[int, tuple[int, ...]]]:
    """The function without what is done twice or for nothing, and by each loop's number the places of the parameters that stayed."""
    copied = _Cleaner(function).run()
    kept = _needed(copied.body)
    body = remove_dead(_Shorter(kept).region(remove_dead(copied.body)))
    return replace(copied, body=body), {number: tuple(places) for number, places in enumerate(kept.values())}


@dataclass(frozen=True)
class _Known:
    """What memory holds at an index."""

    memory: Memory
    form: Form
    type: Type
    value: Value


class _Cleaner:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.forms = Forms(function)
        self.body = Region()
        self.emit = Emitter(self.body)
        self.values: dict[Value, Value] = {}
        self.seen: set[Value] = set()
        self.made: dict[Value, tuple[str, tuple[Value, ...]]] = {}
        self.read = {value for op in walk(function.body) for value in op.operands}

    def run(self) -> Function:
        parameters = self.fresh(self.function.parameters)
        self.operations(self.function.body, [])
        return replace(self.function, parameters=parameters, body=self.body)

    def fresh(self, values: Sequence[Value]) -> tuple[Value, ...]:
        news = tuple(Value(value.type, value.name.partition(".")[0]) for value in values)
        self.values.update(zip(values, news, strict=True))
        self.seen |= {*news}
        return news

    def region(self, region: Region, known: list[_Known]) -> Region:
        made = Region(parameters=self.fresh(region.parameters))
        with self.emit.inside(made):
            self.operations(region, list(known))
        return made

    def operations(self, region: Region, known: list[_Known]) -> None:
        for op in region.operations:
            self.emit.build.line = op.line
            operands = tuple(self.values[value] for value in op.operands)
            if op.regions:
                changes = any(each.name in ("store", "call") for each in walk(Region([op])))
                if changes and op.name == "loop":
                    known.clear()
                regions = tuple(self.region(inner, known) for inner in op.regions)
                if changes:
                    known.clear()
                copied = replace(op, operands=operands, regions=regions, results=self.fresh(op.results))
                self.emit.build.append(copied)
            elif op.name == "load":
                self.load(op, operands, known)
            elif op.name == "store":
                self.store(op, operands, known)
            elif op.results and OPERATIONS[op.name].effect == "value" and op.name != "length":
                self.values[op.result] = self.value(op, operands)
            else:
                self.emit.build.append(replace(op, operands=operands, results=self.fresh(op.results)))

    # --- values ---------------------------------------------------------------------------------------------

    def value(self, op: Op, operands: tuple[Value, ...]) -> Value:
        kind = op.result.type
        if kind.is_float or any(operand.type.is_float for operand in operands):
            found = self.emit.build.append(replace(op, operands=operands, results=(Value(kind),))).result
        elif op.name == "const":
            return self.emit.const(kind, int(op.literal or 0))
        elif op.name == "convert":
            found = self.converted(operands[0], kind)
        elif op.name == "bitcast":
            found = self.emit.signed(operands[0]) if kind.is_signed else self.emit.unsigned(operands[0])
        elif op.name == "select":
            found = self.emit.select(*operands)
        elif op.name == "not" and kind is Type.BOOL:
            found = self.emit.negated(operands[0])
        elif op.name in _FOLDED:
            found = self.emit.op(op.name, *operands)
        else:
            found = self.emit.build.append(replace(op, operands=operands, results=(Value(kind),))).result
        # What folds to an older value is not made of it anew: who follows `made` would go round in circles.
        if found not in self.seen and self.emit.literal(found) is None:
            self.made[found] = op.name, operands
            self.seen.add(found)
        return found

    def converted(self, value: Value, kind: Type) -> Value:
        is_narrower = kind.bits < value.type.bits and not value.type.is_signed and not kind.is_signed
        return (
            self.cut(value, kind)
            if is_narrower and Type.BOOL not in (kind, value.type)
            else self.emit.convert(value, kind)
        )

    def cut(self, value: Value, kind: Type) -> Value:
        """The lowest bits, taken where they come from if something falls away by that."""
        emit = self.emit
        plain = emit.convert(value, kind)
        name, operands = self.made.get(value, ("", ()))
        if name == "convert" and not operands[0].type.is_signed and operands[0].type is not Type.BOOL:
            return self.converted(operands[0], kind)
        if name == "and" and (mask := emit.literal(operands[1])) is not None:
            low = mask & kind.greatest
            return emit.const(kind, 0) if not low else self.cut(operands[0], kind) if low == kind.greatest else plain
        if name in ("add", "sub", "xor", "and", "mul"):
            cuts = [self.cut(operand, kind) for operand in operands]
            if any(one is not emit.convert(operand, kind) for one, operand in zip(cuts, operands, strict=True)) or all(
                self.is_cut(operand, kind) for operand in operands
            ):
                return emit.op(name, *cuts)
        if name == "or":
            one, other = (self.cut(operand, kind) for operand in operands)
            return other if emit.literal(one) == 0 else one if emit.literal(other) == 0 else plain
        if name == "select":
            one, other = (self.cut(operand, kind) for operand in operands[1:])
            if (one, other) != tuple(emit.convert(operand, kind) for operand in operands[1:]):
                return emit.select(operands[0], one, other)
        return plain

    def is_cut(self, value: Value, kind: Type) -> bool:
        """Whether its lowest bits are there already."""
        name, operands = self.made.get(value, ("", ()))
        is_wider = name == "convert" and operands[0].type is kind
        return is_wider or self.emit.literal(value) is not None

    # --- memory ---------------------------------------------------------------------------------------------

    def load(self, op: Op, operands: tuple[Value, ...], known: list[_Known]) -> None:
        assert op.memory is not None
        form, kind = self.forms.of[op.operands[0]], op.result.type
        for each in known:
            if each.memory.name == op.memory.name and each.type is kind and each.form == form:
                self.values[op.result] = each.value
                return
        if op.result not in self.read and any(_covers(each, op, form) for each in known):
            return
        copied = replace(op, operands=operands, results=self.fresh(op.results))
        self.emit.build.append(copied)
        known.append(_Known(op.memory, form, kind, copied.result))

    def store(self, op: Op, operands: tuple[Value, ...], known: list[_Known]) -> None:
        assert op.memory is not None
        form, kind = self.forms.of[op.operands[0]], op.moved
        self.emit.build.append(replace(op, operands=operands))
        known[:] = [each for each in known if each.memory.name != op.memory.name or _is_apart(each, form, kind)]
        known.append(_Known(op.memory, form, kind, operands[1]))


def _distance(each: _Known, form: Form) -> int | None:
    """How far `form` is behind it; None where that depends on more than constants."""
    if form.bits != each.form.bits or dict(form.terms) != dict(each.form.terms):
        return None
    return (form.constant - each.form.constant) % (1 << form.bits)


def _is_apart(each: _Known, form: Form, kind: Type) -> bool:
    distance = _distance(each, form)
    return distance is not None and each.type.bytes <= distance <= (1 << form.bits) - kind.bytes


def _covers(each: _Known, op: Op, form: Form) -> bool:
    """Whether an access to it shows that this load does not trap."""
    distance = _distance(each, form)
    is_same = op.memory is not None and each.memory.name == op.memory.name
    return is_same and distance is not None and distance + op.result.type.bytes <= each.type.bytes


def _needed(body: Region) -> dict[Op, list[int]]:
    """For each loop the places of the parameters that something reads but the same place of its next round."""
    loops = {op: op.regions[0].parameters for op in walk(body) if op.name == "loop"}
    labels = {op.label: op for op in loops}
    owners = {value: (op, place) for op, values in loops.items() for place, value in enumerate(values)}
    made = {value: op for op in walk(body) for value in op.results}
    nexts = [(labels[op.label], op.operands) for op in walk(body) if op.name == "continue"]
    waiting = [
        value for op in walk(body) if op.name not in ("loop", "continue") and not _is_value(op) for value in op.operands
    ]
    used: set[Value] = set()
    while waiting:
        value = waiting.pop()
        if value in used:
            continue
        used.add(value)
        if value in owners:
            loop, place = owners[value]
            waiting.append(loop.operands[place])
            waiting.extend(operands[place] for target, operands in nexts if target is loop)
        elif value in made and _is_value(made[value]):
            waiting.extend(made[value].operands)
    return {op: [place for place, value in enumerate(values) if value in used] for op, values in loops.items()}


def _is_value(op: Op) -> bool:
    return OPERATIONS[op.name].effect in ("value", "id")


class _Shorter:
    """Copies a body with those parameters of loops alone that are needed."""

    def __init__(self, kept: Mapping[Op, Sequence[int]]) -> None:
        self.kept = {op.label: places for op, places in kept.items()}

    def region(self, region: Region) -> Region:
        return Region([self.op(op) for op in region.operations], region.parameters)

    def op(self, op: Op) -> Op:
        if op.name == "continue":
            return replace(op, operands=tuple(op.operands[place] for place in self.kept[op.label]))
        regions = tuple(map(self.region, op.regions))
        if op.name != "loop":
            return replace(op, regions=regions) if regions else op
        places = self.kept[op.label]
        (inner,) = regions
        inner.parameters = tuple(inner.parameters[place] for place in places)
        return replace(op, operands=tuple(op.operands[place] for place in places), regions=regions)
