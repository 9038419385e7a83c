"""Function bodies: instructions decoded and checked in one pass, by the algorithm of the specification's appendix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .immediates import read_immediate, read_opcode
from .module import Body, FunctionType, Instruction, Module
from .opcodes import VALUE_TYPES, Opcode, ValueType
from .reader import Reader
from .stack import Frame, Stacks
from .types import read_value_type

MAX_LOCALS = 50_000
"""Locals of a function with its parameters."""
MAX_BODY_BYTES = 7_654_321
MAX_STACK = 1 << 20
"""Values that a function has on its stack at once."""
_I32, _UNKNOWN, _FUNCREF = ValueType.I32, ValueType.UNKNOWN, ValueType.FUNCREF
_EXPANDED = 1000


def read_body(part: Reader, module: Module, number: int, declared: set[int], data_count: int | None) -> Body:
    """The body of function `number`; `declared` are the functions that ``ref.func`` may name, `data_count` the segments of data."""
    if len(part.data) > MAX_BODY_BYTES:
        raise part.malformed(f"a function has more than {MAX_BODY_BYTES} bytes, which is not supported")
    begin = part.offset
    kind = module.type_of(number)
    runs: list[tuple[int, ValueType]] = []
    total = len(kind.parameters)
    for _ in range(part.count()):
        place = part.offset
        count = part.u32()
        total += count
        if total > MAX_LOCALS:
            raise part.malformed(f"too many locals: more than {MAX_LOCALS}", place)
        runs.append((count, read_value_type(part)))
    checker = _Checker(part, module, kind, runs, declared, data_count)
    checker.run()
    part.at_end("END opcode expected: code after the end")
    return Body(tuple(runs), tuple(checker.instructions), checker.ends, checker.elses, begin, checker.height)


class _Checker(Stacks):
    def __init__(
        self,
        part: Reader,
        module: Module,
        kind: FunctionType,
        runs: Sequence[tuple[int, ValueType]],
        declared: set[int],
        data_count: int | None,
    ) -> None:
        super().__init__(part, kind.results)
        self.module, self.declared, self.data_count = module, declared, data_count
        self.runs = [*((1, each) for each in kind.parameters), *runs]
        # Locals are expanded once, and up to a bound: a few bytes can declare thousands, in each of thousands of functions.
        self.locals: list[ValueType] = []
        for count, each in self.runs:
            if len(self.locals) + count > _EXPANDED:
                break
            self.locals += [each] * count
        self.total = sum(count for count, _ in self.runs)
        self.height = 0
        self.ends: dict[int, int] = {}
        self.elses: dict[int, int] = {}

    def run(self) -> None:
        part, append = self.part, self.instructions.append
        while self.frames:
            self.offset = part.offset
            op = read_opcode(part)
            immediate = self.block_type() if op.immediate == "block type" else read_immediate(part, op)
            append(Instruction(op, immediate, self.offset))
            if op.operands is not None:
                if op.immediate:
                    self.check_immediate(op, immediate)
                for wanted in reversed(op.operands):
                    self.pop(wanted)
                self.stack.extend(op.results)
            else:
                _SPECIAL[op.name](self, immediate)
            if len(self.stack) > self.height:
                self.height = len(self.stack)
            if self.height > MAX_STACK:
                raise self.fail(f"more than {MAX_STACK} values on the stack, which is not supported")

    def block_type(self) -> FunctionType:
        part = self.part
        byte = part.data[part.place] if part.left else part.byte()
        if byte == 0x40 or byte in VALUE_TYPES:
            part.place += 1
            return FunctionType((), () if byte == 0x40 else (VALUE_TYPES[byte],))
        if byte == 0x7B:
            raise self.fail("SIMD is not supported: v128")
        begin = part.offset
        number = part.signed(33)
        if not 0 <= number < len(self.module.types):
            raise part.malformed(f"unknown type {number}", begin)
        return self.module.types[number]

    # Instructions whose operands depend on more than their code

    def check_immediate(self, op: Opcode, immediate: Any) -> None:  # noqa: ANN401  # as the row says
        if op.immediate == "access":
            self.memory()
            if 1 << immediate[0] > op.access_bytes:
                raise self.fail("alignment must not be larger than natural")
        elif op.immediate in ("memory", "two memories"):
            self.memory()
        elif op.immediate in ("data", "data and memory"):
            if op.immediate != "data":
                self.memory()
            number = immediate if op.immediate == "data" else immediate[0]
            if self.data_count is None:
                raise self.fail("data count section required")
            if number >= self.data_count:
                raise self.fail(f"unknown data segment {number}")

    def memory(self) -> None:
        if not self.module.memories:
            raise self.fail("unknown memory 0")

    def local(self, number: int) -> ValueType:
        if number < len(self.locals):
            return self.locals[number]
        if number >= self.total:
            raise self.fail(f"unknown local {number}")
        for count, each in self.runs:
            if number < count:
                return each
            number -= count
        raise AssertionError

    def table(self, number: int) -> ValueType:
        if number >= len(self.module.tables):
            raise self.fail(f"unknown table {number}")
        return self.module.tables[number].element

    def element(self, number: int) -> ValueType:
        if number >= len(self.module.elements):
            raise self.fail(f"unknown elem segment {number}")
        return self.module.elements[number].type

    def unreachable(self, _: None) -> None:
        self.leave()

    def block(self, kind: FunctionType) -> None:
        self.open("block", kind)

    def loop(self, kind: FunctionType) -> None:
        self.open("loop", kind)

    def if_(self, kind: FunctionType) -> None:
        self.pop(_I32)
        self.open("if", kind)

    def else_(self, _: None) -> None:
        if self.frames[-1].name != "if":
            raise self.fail("else without an if: END opcode expected")
        frame = self.close()
        self.elses[frame.begin] = len(self.instructions) - 1
        again = Frame("else", frame.type, len(self.stack), frame.begin)
        self.frames.append(again)
        self.stack.extend(frame.type.parameters)

    def end(self, _: None) -> None:
        if self.frames[-1].name == "if" and self.frames[-1].type.parameters != self.frames[-1].type.results:
            raise self.fail("type mismatch: an if without else gives what it takes")
        frame = self.close()
        self.ends[frame.begin] = len(self.instructions) - 1
        self.stack.extend(frame.type.results)

    def br(self, depth: int) -> None:
        self.pop_all(self.frame(depth).label)
        self.leave()

    def br_if(self, depth: int) -> None:
        self.pop(_I32)
        self.check_branch(self.frame(depth).label)

    def br_table(self, depths: tuple[int, ...]) -> None:
        self.pop(_I32)
        wanted = self.frame(depths[-1]).label
        for depth in dict.fromkeys(depths):
            other = self.frame(depth).label
            if len(other) != len(wanted):
                raise self.fail("type mismatch: labels of a br_table take different numbers of values")
            if other != wanted:
                held = self.stack[max(len(self.stack) - len(other), self.frames[-1].height) :]
                self.pop_all(other)
                self.stack.extend(held)
        self.pop_all(wanted)
        self.leave()

    def return_(self, _: None) -> None:
        self.pop_all(self.frames[0].type.results)
        self.leave()

    def call(self, number: int) -> None:
        if number >= len(self.module.functions):
            raise self.fail(f"unknown function {number}")
        self.call_type(self.module.type_of(number))

    def call_indirect(self, numbers: tuple[int, int]) -> None:
        kind, table = numbers
        if self.table(table) is not _FUNCREF:
            raise self.fail("type mismatch: call_indirect through a table that holds no functions")
        if kind >= len(self.module.types):
            raise self.fail(f"unknown type {kind}")
        self.pop(_I32)
        self.call_type(self.module.types[kind])

    def call_type(self, kind: FunctionType) -> None:
        self.pop_all(kind.parameters)
        self.stack.extend(kind.results)

    def drop(self, _: None) -> None:
        self.pop()

    def select(self, _: None) -> None:
        self.pop(_I32)
        first = self.pop()
        second = self.pop()
        if first.is_reference or second.is_reference:
            raise self.fail("type mismatch: select of references without a type")
        if first is not second and _UNKNOWN not in (first, second):
            raise self.fail(f"type mismatch: select of {second!r} and {first!r}")
        self.stack.append(second if first is _UNKNOWN else first)

    def select_typed(self, kinds: tuple[ValueType, ...]) -> None:
        if len(kinds) != 1:
            raise self.fail("invalid result arity: select of one type")
        self.pop_all((kinds[0], kinds[0], _I32))
        self.stack.append(kinds[0])

    def local_get(self, number: int) -> None:
        self.stack.append(self.local(number))

    def local_set(self, number: int) -> None:
        self.pop(self.local(number))

    def local_tee(self, number: int) -> None:
        kind = self.local(number)
        self.pop(kind)
        self.stack.append(kind)

    def global_get(self, number: int) -> None:
        if number >= len(self.module.globals):
            raise self.fail(f"unknown global {number}")
        self.stack.append(self.module.globals[number].type)

    def global_set(self, number: int) -> None:
        if number >= len(self.module.globals):
            raise self.fail(f"unknown global {number}")
        if not self.module.globals[number].is_mutable:
            raise self.fail(f"global is immutable: {number}")
        self.pop(self.module.globals[number].type)

    def table_get(self, number: int) -> None:
        kind = self.table(number)
        self.pop(_I32)
        self.stack.append(kind)

    def table_set(self, number: int) -> None:
        self.pop_all((_I32, self.table(number)))

    def table_grow(self, number: int) -> None:
        self.pop_all((self.table(number), _I32))
        self.stack.append(_I32)

    def table_size(self, number: int) -> None:
        self.table(number)
        self.stack.append(_I32)

    def table_fill(self, number: int) -> None:
        self.pop_all((_I32, self.table(number), _I32))

    def table_copy(self, numbers: tuple[int, int]) -> None:
        if self.table(numbers[0]) is not self.table(numbers[1]):
            raise self.fail("type mismatch: tables of different types")
        self.pop_all((_I32, _I32, _I32))

    def table_init(self, numbers: tuple[int, int]) -> None:
        if self.table(numbers[1]) is not self.element(numbers[0]):
            raise self.fail("type mismatch: a segment of another type than the table")
        self.pop_all((_I32, _I32, _I32))

    def elem_drop(self, number: int) -> None:
        self.element(number)

    def ref_null(self, kind: ValueType) -> None:
        self.stack.append(kind)

    def ref_is_null(self, _: None) -> None:
        found = self.pop()
        if not found.is_reference and found is not _UNKNOWN:
            raise self.fail(f"type mismatch: {found!r} where a reference is wanted")
        self.stack.append(_I32)

    def ref_func(self, number: int) -> None:
        if number >= len(self.module.functions):
            raise self.fail(f"unknown function {number}")
        if number not in self.declared:
            raise self.fail(f"undeclared function reference {number}")
        self.stack.append(_FUNCREF)


_SPECIAL: dict[str, Any] = {
    name: getattr(_Checker, {"if": "if_", "else": "else_", "return": "return_"}.get(name, name.replace(".", "_")))
    for name in (
        "unreachable block loop if else end br br_if br_table return call call_indirect drop select select_typed "
        "local.get local.set local.tee global.get global.set table.get table.set table.grow table.size table.fill "
        "table.copy table.init elem.drop ref.null ref.is_null ref.func"
    ).split()
}
