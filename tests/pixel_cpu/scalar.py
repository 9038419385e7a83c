"""A second interpreter of the IR, written from the meanings in the table of operations: one lane at a time, on Python's integers
and fractions. Lanes of a group are generators that run from barrier to barrier. It shares no code with the reference.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Generator
from fractions import Fraction

from pixel_cpu.backends.launch import Counters, Launch, Outcome, PrintedLine, Trap
from pixel_cpu.ir.model import Bounds, Memory, Module, Op, Region, Space, Value
from pixel_cpu.ir.types import Type

Scalar = int | float | bool

_FLOAT = {Type.F32: ("<f", 24, -126, 127), Type.F64: ("<d", 53, -1022, 1023)}
"""Form for `struct`, bits of precision, least and greatest exponent."""


# Values


def wrapped(number: int, kind: Type) -> int:
    """An integer modulo the width of its type."""
    bits = int(kind.value[1:])
    number %= 1 << bits
    return number - (1 << bits) if kind.value[0] == "i" and number >> (bits - 1) else number


def rounded(exact: Fraction, kind: Type) -> float:
    """The float nearest to a number, ties to even; a zero has the sign plus."""
    _, precision, least, greatest = _FLOAT[kind]
    if exact == 0:
        return 0.0
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    step = max(exponent, least) - precision + 1
    count = round(magnitude / Fraction(2) ** step)  # Python rounds halves to even
    if count * Fraction(2) ** step >= Fraction(2) ** (greatest + 1):
        found = math.inf
    else:
        found = math.ldexp(count, step)
    return -found if exact < 0 else found


def is_negative(value: float) -> bool:
    """Whether the sign bit is set."""
    return math.copysign(1.0, value) < 0


def to_bytes(value: Scalar, kind: Type) -> bytes:
    """A value as memory holds it."""
    if kind is Type.BOOL:
        return bytes([bool(value)])
    if kind in _FLOAT:
        return struct.pack(_FLOAT[kind][0], value)
    bits = int(kind.value[1:])
    return (int(value) % (1 << bits)).to_bytes(bits // 8, "little")


def from_bytes(raw: bytes, kind: Type) -> Scalar:
    """What memory holds as a value."""
    if kind is Type.BOOL:
        return raw[0] != 0
    if kind in _FLOAT:
        return float(struct.unpack(_FLOAT[kind][0], raw)[0])
    return wrapped(int.from_bytes(raw, "little"), kind)


# The meaning of each operation


def _add(a: float, b: float, kind: Type) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        if math.isinf(a) and math.isinf(b):
            return a if a == b else math.nan
        return math.nan if math.isnan(a) or math.isnan(b) else a if math.isinf(a) else b
    exact = Fraction(a) + Fraction(b)
    if exact == 0:
        return -0.0 if is_negative(a) and is_negative(b) else 0.0
    return rounded(exact, kind)


def _multiply(a: float, b: float, kind: Type) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    sign = -1.0 if is_negative(a) != is_negative(b) else 1.0
    if math.isinf(a) or math.isinf(b):
        return math.nan if a == 0 or b == 0 else sign * math.inf
    return math.copysign(rounded(abs(Fraction(a) * Fraction(b)), kind), sign)


def _divide(a: float, b: float, kind: Type) -> float:
    if math.isnan(a) or math.isnan(b) or (math.isinf(a) and math.isinf(b)) or (a == 0 and b == 0):
        return math.nan
    sign = -1.0 if is_negative(a) != is_negative(b) else 1.0
    if math.isinf(a) or b == 0:
        return sign * math.inf
    if math.isinf(b) or a == 0:
        return sign * 0.0
    return math.copysign(rounded(abs(Fraction(a) / Fraction(b)), kind), sign)


def _fused(a: float, b: float, c: float, kind: Type) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        product = _multiply(a, b, kind)
        return _add(product, c, kind)
    if not math.isfinite(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        is_minus = is_negative(a) != is_negative(b)
        return -0.0 if is_minus and is_negative(c) and (a == 0 or b == 0) and c == 0 else 0.0
    found = rounded(abs(exact), kind)
    return -found if exact < 0 else found


def _root(a: float, kind: Type) -> float:
    if math.isnan(a) or a == 0:
        return a
    if a < 0:
        return math.nan
    if math.isinf(a):
        return a
    exact = Fraction(a)
    scale = 1 << 1300
    square = exact.numerator * scale * scale // exact.denominator
    root = math.isqrt(square)
    # One more bit says that the root goes on below the ones that are kept.
    goes_on = root * root != square or (exact.numerator * scale * scale) % exact.denominator != 0
    return rounded(Fraction(2 * root + goes_on, 2 * scale), kind)


def _whole(a: float, rule: Callable[[Fraction], int]) -> float:
    if not math.isfinite(a) or a == 0:
        return a
    return math.copysign(float(rule(Fraction(a))), a)


def _least(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b:
        return a if is_negative(a) else b
    return a if a < b else b


def _float_meaning(name: str, kind: Type, operands: list[float]) -> Scalar:
    a = operands[0]
    b = operands[1] if len(operands) > 1 else 0.0
    match name:
        case "add":
            return _add(a, b, kind)
        case "sub":
            return _add(a, -b, kind)
        case "mul":
            return _multiply(a, b, kind)
        case "div":
            return _divide(a, b, kind)
        case "min":
            return _least(a, b)
        case "max":
            return -_least(-a, -b)
        case "neg":
            return -a
        case "abs":
            return math.copysign(a, 1.0)
        case "fma":
            return _fused(a, b, operands[2], kind)
        case "sqrt":
            return _root(a, kind)
        case "floor":
            return _whole(a, math.floor)
        case "ceil":
            return _whole(a, math.ceil)
        case "trunc":
            return _whole(a, math.trunc)
        case "nearest":
            return _whole(a, round)
    raise NotImplementedError(f"{name} of {kind!r}")


def _integer_meaning(name: str, kind: Type, operands: list[int]) -> int:
    bits = int(kind.value[1:])
    a = operands[0]
    b = operands[1] if len(operands) > 1 else 0
    raw, count = a % (1 << bits), b % bits
    match name:
        case "add":
            found = a + b
        case "sub":
            found = a - b
        case "mul":
            found = a * b
        case "div":
            found = a if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        case "rem":
            found = 0 if b == 0 else abs(a) % abs(b) * (-1 if a < 0 else 1)
        case "mulhi":
            found = a * b >> bits
        case "min":
            found = min(a, b)
        case "max":
            found = max(a, b)
        case "neg":
            found = -a
        case "abs":
            found = abs(a)
        case "and":
            found = a & b
        case "or":
            found = a | b
        case "xor":
            found = a ^ b
        case "not":
            found = ~a
        case "shl":
            found = a << count
        case "shr":
            found = a >> count
        case "rotl":
            found = raw << count | raw >> (bits - count)
        case "clz":
            found = bits - raw.bit_length()
        case "ctz":
            found = bits if raw == 0 else (raw & -raw).bit_length() - 1
        case "popcount":
            found = raw.bit_count()
        case _:
            raise NotImplementedError(f"{name} of {kind!r}")
    return wrapped(found, kind)


def converted(a: Scalar, kind: Type) -> Scalar:
    """A value in another type."""
    if kind is Type.BOOL:
        return a != 0
    if kind in _FLOAT:
        if isinstance(a, float) and (not math.isfinite(a) or a == 0):
            return a
        return rounded(Fraction(a), kind)
    if not isinstance(a, float):
        return wrapped(int(a), kind)
    if math.isnan(a):
        return 0
    bits, is_signed = int(kind.value[1:]), kind.value[0] == "i"
    least = -(1 << (bits - 1)) if is_signed else 0
    greatest = (1 << (bits - is_signed)) - 1
    if math.isinf(a):
        return greatest if a > 0 else least
    return min(max(math.trunc(Fraction(a)), least), greatest)


def meaning(name: str, kind: Type, operands: list[Scalar], result: Type) -> Scalar:
    """The result of a row of the table for operands of type `kind`, by its words."""
    a = operands[0]
    match name:
        case "eq":
            return a == operands[1]
        case "ne":
            return a != operands[1]
        case "lt":
            return a < operands[1]
        case "le":
            return a <= operands[1]
        case "gt":
            return a > operands[1]
        case "ge":
            return a >= operands[1]
        case "select":
            return operands[1] if a else operands[2]
        case "convert":
            return converted(a, result)
        case "bitcast":
            return from_bytes(to_bytes(a, kind), result)
    if kind is Type.BOOL:
        b = bool(operands[1]) if len(operands) > 1 else False
        return {"and": bool(a) and b, "or": bool(a) or b, "xor": bool(a) != b, "not": not a}[name]
    if kind in _FLOAT:
        return _float_meaning(name, kind, [float(operand) for operand in operands])
    return _integer_meaning(name, kind, [int(operand) for operand in operands])


# Programs


class _EndError(Exception):
    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


Leaving = tuple[str, str, list[Scalar]]
"""How a region ended: by what, to which label, with which values."""
Steps = Generator[Op, None, Leaving]


class Interpreter:
    """Runs launches of one kernel, lane after lane."""

    backend = "scalar"

    def __init__(self, module: Module, kernel: str) -> None:
        self.module, self.kernel = module, module.kernels[kernel]

    def run(self, launch: Launch) -> Outcome:
        """Run all lanes of a launch to their ends."""
        counters = Counters()
        traps: list[Trap] = []
        printed: list[PrintedLine] = []
        for group in range(launch.groups):
            shared = {
                m: bytearray(m.length * m.element.bytes) for m in self.kernel.memories if m.space is Space.WORKGROUP
            }
            first = group * launch.group
            lanes = [
                _Lane(self, launch, number, shared, counters)
                for number in range(first, min(first + launch.group, launch.lanes))
            ]
            waiting = {lane: lane.steps() for lane in lanes}
            while waiting:
                places: set[Op] = set()
                for lane, steps in list(waiting.items()):
                    try:
                        places.add(next(steps))
                    except StopIteration:
                        del waiting[lane]
                        lane.has_finished = True
                    except _EndError as end:
                        del waiting[lane]
                        traps.append(Trap(lane.number, end.reason, end.line))
                if places:
                    assert len(places) == 1, "lanes of a group wait at different barriers"
                    assert not any(lane.has_finished for lane in lanes), "a lane finished while others wait"
                    counters.barriers += 1
            printed += [PrintedLine(lane.number, text) for lane in lanes for text in lane.printed]
        lowest = min(traps, key=lambda trap: trap.lane, default=None)
        return Outcome(self.backend, lowest, len(traps), counters, tuple(printed))


class _Lane:
    def __init__(
        self, owner: Interpreter, launch: Launch, number: int, shared: dict[Memory, bytearray], counters: Counters
    ) -> None:
        self.owner, self.launch, self.number, self.counters = owner, launch, number, counters
        self.fuel = launch.fuel
        self.printed: list[str] = []
        self.has_finished = False
        self.memory: dict[Memory, bytearray | memoryview] = {**shared}
        for memory in owner.kernel.memories:
            if memory.space is Space.BUFFER:
                self.memory[memory] = memoryview(launch.buffers[memory.name]).cast("B")
            elif memory.space is Space.PRIVATE:
                assert memory.length is not None
                self.memory[memory] = bytearray(memory.length * memory.element.bytes)

    def steps(self) -> Steps:
        values: dict[Value, Scalar] = {}
        for value in self.owner.kernel.parameters:
            given = self.launch.scalars[value.name]
            values[value] = rounded_literal(given, value.type)
        return (yield from self.region(self.owner.kernel.body, values))

    def region(self, region: Region, values: dict[Value, Scalar]) -> Steps:
        for op in region.operations:
            self.counters.instructions += 1
            operands = [values[value] for value in op.operands]
            match op.name:
                case "yield" | "return" | "break":
                    return op.name, op.label, operands
                case "continue":
                    self.fuel -= op.fuel
                    if self.fuel < 0:
                        raise _EndError("out of fuel", op.line)
                    return op.name, op.label, operands
                case "trap":
                    raise _EndError(op.text or "trap", op.line)
                case "if" | "switch" | "block" | "loop":
                    leaving = yield from self.inner(op, operands, values)
                    if leaving[0] != "yield":
                        return leaving
                    results = leaving[2]
                case "call":
                    function = self.owner.module.functions[op.text]
                    own = dict(zip(function.parameters, operands, strict=True))
                    _, _, results = yield from self.region(function.body, own)
                case "barrier":
                    yield op
                    results = []
                case _:
                    results = self.simple(op, operands)
            values.update(zip(op.results, results, strict=True))
        raise AssertionError("a region ends with a terminator")

    def inner(self, op: Op, operands: list[Scalar], values: dict[Value, Scalar]) -> Steps:
        """Run what is in an operation; ends with a yield of its results, or with what leaves more than it."""
        if op.name == "if":
            return (yield from self.region(op.regions[0 if operands[0] else 1], values))
        if op.name == "switch":
            place = op.cases.index(operands[0]) if operands[0] in op.cases else len(op.cases)
            return (yield from self.region(op.regions[place], values))
        while True:
            values.update(zip(op.regions[0].parameters, operands, strict=True))
            how, label, brought = yield from self.region(op.regions[0], values)
            if label == op.label and how == "break":
                return "yield", "", brought
            if label == op.label and how == "continue":
                operands = brought
                continue
            return how, label, brought

    def simple(self, op: Op, operands: list[Scalar]) -> list[Scalar]:
        launch = self.launch
        numbers = {
            "global_id": self.number,
            "local_id": self.number % launch.group,
            "group_id": self.number // launch.group,
            "group_size": launch.group,
            "group_count": launch.groups,
            "lane_count": launch.lanes,
        }
        if op.name in numbers:
            return [numbers[op.name]]
        if op.name == "const":
            assert op.literal is not None
            return [rounded_literal(op.literal, op.result.type)]
        if op.name == "print":
            self.printed.append(" ".join([*([op.text] if op.text else []), *map(repr, operands)]))
            return []
        if op.name == "host_call":
            return list(launch.host_functions[op.text](self.number, *operands))
        if op.memory is not None:
            return self.access(op, op.memory, operands)
        kind = op.operands[1].type if op.name == "select" else op.operands[0].type
        return [meaning(op.name, kind, operands, op.result.type)]

    def access(self, op: Op, memory: Memory, operands: list[Scalar]) -> list[Scalar]:
        raw, element = self.memory[memory], memory.element
        length = len(raw) // element.bytes
        if op.name == "length":
            return [length]
        kind = op.results[0].type if op.results else op.operands[1].type
        count = kind.bytes if element is Type.U8 else 1
        index = int(operands[0])
        is_outside = not 0 <= index <= length - count
        if is_outside and op.bounds is not Bounds.CLAMP:
            assert op.bounds is Bounds.TRAP, "an index was called proved"
            raise _EndError(f"index {index} outside {memory.name}[{length}]", op.line)
        if op.name != "store":
            self.counters.loads += 1
            self.counters.bytes_loaded += kind.bytes
        if op.name != "load":
            self.counters.stores += 1
            self.counters.bytes_stored += kind.bytes
        if is_outside:
            if op.name != "load" or length < count:
                return [] if op.name == "store" else [converted(0, kind)]
            index = 0 if index < 0 else length - count
        start = index * element.bytes
        place = slice(start, start + kind.bytes)
        if op.name == "store":
            raw[place] = to_bytes(operands[1], kind)
            return []
        old = from_bytes(bytes(raw[place]), kind)
        if op.name == "load":
            return [old]
        word = op.name.partition("_")[2]
        if word == "exchange":
            new = operands[1]
        elif word == "cas":
            new = operands[2] if old == operands[1] else old
        else:
            new = meaning(word, kind, [old, operands[1]], kind)
        raw[place] = to_bytes(new, kind)
        return [old]


def rounded_literal(literal: Scalar, kind: Type) -> Scalar:
    """A literal as its type holds it."""
    return converted(float(literal), kind) if kind in _FLOAT else literal
