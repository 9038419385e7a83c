"""From the tree to the IR: what statements do. A variable's type is that of its first assignment."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...errors import SourceError
from ...ir.limits import MAX_GROUP
from ...ir.model import Bounds, Function, Kernel, Memory, Space, Value
from ...ir.types import Type
from . import patterns, tree
from .conversion import promoted
from .expressions import Lowered, place_of, type_name
from .flow import Flow
from .lexer import Source, Token
from .scan import written

_SPACES = {"parameter": Space.BUFFER, "shared": Space.WORKGROUP, "private": Space.PRIVATE}


class Unit(Flow):
    """The body of a kernel or function on its way to the IR."""

    def __init__(
        self, source: Source, functions: dict[str, tree.FunctionSource], note: Callable[[SourceError], None]
    ) -> None:
        super().__init__(source, functions, note)
        self.result: Type | None = None

    def _do_assign(self, statement: tree.Assign) -> None:
        target = statement.target
        if isinstance(target, tree.Name):
            self.assign(target.at, self.expression(statement.value))
            return
        value = self.expression(statement.value)
        self.store(target, value)

    def store(self, target: tree.Target, value: Lowered) -> None:
        """Store to an element, or assign to a variable."""
        if isinstance(target, tree.Name):
            self.assign(target.at, value)
            return
        memory = self.memory(target.at)
        kind = self.moved(target, memory)
        index = self.position(target.index)
        self.build.store(
            memory, index, self.coerce(value, kind, target.at, f"{target.at.text} holds {type_name(kind)}")
        )

    def _do_identity(self, statement: tree.Identity) -> None:
        self.assign(statement.target.at, self.identity(statement.operation))

    def identity(self, operation: str) -> Value:
        """A number of the thread or the launch, as `int`."""
        return self.build.value("convert", self.build.value(operation), type=Type.I32)

    def _do_index(self, statement: tree.Index) -> None:
        if self.index is None:
            raise self.source.at(statement.at, "INDEX stands inside PARALLEL FOR d: of an array")
        # A value of its own, so that the variable's name is not the loop's.
        self.assign(statement.target.at, self.index)

    def _do_pixel(self, statement: tree.Pixel) -> None:
        packed: Value | None = None
        for place, part in enumerate(statement.parts):
            byte = self._pixel_part(self.settle(self.expression(part)), place_of(part))
            if place:
                byte = self.build.value("shl", byte, self.build.const(Type.U32, 8 * place))
            packed = byte if packed is None else self.build.value("or", packed, byte)
        assert packed is not None
        if len(statement.parts) == 3:
            packed = self.build.value("or", packed, self.build.const(Type.U32, 0xFF000000))
        self.store(statement.target, packed)

    def _pixel_part(self, value: Value, at: Token) -> Value:
        if value.type is Type.BOOL:
            raise self.source.at(at, "a part of a pixel is a number, not a bool")
        if value.type.is_integer and value.type.bits < 32:
            value = self.convert(value, Type.I32)
        kind = value.type
        low, high = self.build.const(kind, 0), self.build.const(kind, 1 if kind.is_float else 255)
        value = self.build.value("min", self.build.value("max", value, low), high)
        if kind.is_float:
            value = self.build.value("nearest", self.build.value("mul", value, self.build.const(kind, 255)))
        return self.convert(value, Type.U32)

    def _do_transform(self, statement: tree.Transform) -> None:
        def store() -> None:
            self.memory(statement.target)
            value = self.expression(statement.value)
            memory = self.memory(statement.target)
            given = self.coerce(
                value, memory.element, statement.target, f"{memory.name} holds {type_name(memory.element)}"
            )
            assert self.index is not None
            self.build.store(memory, self.index, given)

        if statement.source.text in self.elements:
            store()
        else:
            self._each(statement.at, statement.source, (), store)

    def _do_matmul(self, statement: tree.Matmul) -> None:
        left, right, target = (self.memory(name) for name in (statement.left, statement.right, statement.target))
        kind = target.element
        if (
            any(memory.element is not kind for memory in (left, right))
            or promoted(kind) is not kind
            or kind is Type.BOOL
        ):
            raise self.source.at(
                statement.at, "PARALLEL_MATMUL takes three arrays of one type: float, f64, int, u32, i64, u64"
            )
        sizes = [
            self.coerce(self.expression(size), Type.I32, place_of(size), "a size is int") for size in statement.size
        ]
        patterns.matmul(self, left, right, target, sizes)

    def _do_return(self, statement: tree.Return) -> None:
        if self.result is None:
            if statement.value is not None:
                raise self.source.at(
                    place_of(statement.value), "RETURN in a kernel has no value; STORE results in an array"
                )
            self.build.end("return")
            return
        if statement.value is None:
            raise self.source.at(statement.at, f"RETURN has no value; the function gives {type_name(self.result)}")
        value = self.expression(statement.value)
        at = place_of(statement.value)
        self.build.end("return", self.coerce(value, self.result, at, f"the function gives {type_name(self.result)}"))

    def _do_sync(self, statement: tree.Sync) -> None:
        self.in_kernel(statement.at)
        self.build.barrier()

    def in_kernel(self, at: Token) -> None:
        """Raise where a function does what only a kernel may."""
        if self.result is not None:
            raise self.source.at(at, f"{at.text.upper()} stands in kernels, not in functions")

    def _do_atomic(self, statement: tree.Atomic) -> None:
        at = statement.element.at
        memory = self.memory(at)
        kind = memory.element
        if kind not in (Type.I32, Type.U32, Type.I64, Type.U64):
            raise self.source.at(at, f"atomics work on int, u32, i64 and u64; {memory.name} holds {type_name(kind)}")
        if memory.space is Space.PRIVATE:
            raise self.source.at(
                at, f"{memory.name} is each thread's own; atomics work on parameters and shared arrays"
            )
        index = self.position(statement.element.index)
        what = f"{memory.name} holds {type_name(kind)}"
        values = [self.coerce(self.expression(value), kind, place_of(value), what) for value in statement.values]
        old = self.build.atomic(statement.operation, memory, index, *values)
        if statement.target:
            self.assign(statement.target.at, old)

    def _do_reduce(self, statement: tree.Reduce) -> None:
        self.in_kernel(statement.at)
        value = self.settle(self.expression(statement.value))
        if value.type is Type.BOOL:
            raise self.source.at(
                place_of(statement.value), "a reduction is over numbers; write int(x) or select(x, 1, 0)"
            )
        value = self.convert(value, promoted(value.type))
        if value.type.is_float and statement.operation in ("and", "or", "xor"):
            raise self.source.at(
                place_of(statement.value), f"AND, OR and XOR are of integers, not of {type_name(value.type)}"
            )
        reduce = patterns.warp_reduce if statement.is_warp else patterns.block_reduce
        self.assign(statement.target.at, reduce(self, self.reduction_memory(value.type), statement.operation, value))

    def reduction_memory(self, kind: Type) -> Memory:
        """The shared array that reductions of a type work in: an element for each thread of the largest block."""
        # No array of a text has a dot in its name.
        name = f"reduce.{kind.value}"
        return self.memories.setdefault(name, Memory(name, Space.WORKGROUP, kind, MAX_GROUP))

    def _do_trap(self, statement: tree.Trap) -> None:
        self.build.end("trap", text=statement.reason or "trap")

    def _do_print(self, statement: tree.Print) -> None:
        self.build.print(statement.text, *[self.settle(self.expression(value)) for value in statement.values])


def lower_function(unit: Unit, function: tree.FunctionSource) -> Function:
    """A function of the program as one of the IR."""
    parameters = _parameters(unit, function.parameters)
    unit.result = function.result
    unit.block(function.body)
    if not unit.build.is_ended:
        unit.note(unit.source.at(function.at, f"FUNC {function.at.text} comes to its end without RETURN on some way"))
    return Function(function.at.text, parameters, (function.result,), (), unit.region)


def _parameters(unit: Unit, scalars: Iterable[tree.Scalar]) -> tuple[Value, ...]:
    found = []
    for scalar in scalars:
        value = Value(scalar.kind, scalar.at.text)
        unit.values[value.name], unit.kinds[value.name] = value, (value.type, scalar.at.line)
        unit.parameters.add(value.name)
        found.append(value)
    return tuple(found)


def lower_kernel(unit: Unit, kernel: tree.KernelSource) -> Kernel:
    """A kernel of the program as one of the IR; arrays that it never stores to are read only."""
    stored = written(kernel.body)
    parameters = _parameters(unit, [each for each in kernel.parameters if isinstance(each, tree.Scalar)])
    for array in (*kernel.parameters, *kernel.arrays):
        if isinstance(array, tree.Array):
            name, space = array.at.text, _SPACES[array.space]
            is_writable = space is not Space.BUFFER or name in stored
            unit.memories[name] = Memory(name, space, array.kind, array.length, is_writable)
    unit.build.bounds = Bounds.CLAMP if kernel.is_clamped else Bounds.TRAP
    unit.block(kernel.body)
    if not unit.build.is_ended:
        unit.build.line = None
        unit.build.end("return")
    return Kernel(kernel.at.text, parameters, tuple(unit.memories.values()), unit.region, kernel.threads or 32)
