"""From the tree to the IR: names, types, single assignment over structured control flow.

A variable's type is that of its first assignment. Where ways meet, a variable that was assigned on one of them becomes a result of the
`if` or `loop`; one that has no value on some way cannot be read behind it. After an error a variable is *spoilt*: what reads it is
passed over, so that one fault is one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...errors import SourceError
from ...ir.model import Bounds, Function, Kernel, Memory, Region, Space, Value
from ...ir.types import Type
from . import patterns, tree
from .conversion import Constant, promoted
from .expressions import Lowered, SpoiltError, Values, place_of, type_name
from .lexer import Source, Token

_SPACES = {"parameter": Space.BUFFER, "shared": Space.WORKGROUP, "private": Space.PRIVATE}


@dataclass
class _Loop:
    """A loop that is open: where it starts again, and what it carries."""

    label: str
    names: list[str]
    step: Callable[[], list[Value]]


class Unit(Values):
    """The body of a kernel or function on its way to the IR."""

    def __init__(
        self, source: Source, functions: dict[str, tree.FunctionSource], note: Callable[[SourceError], None]
    ) -> None:
        super().__init__(source, functions)
        self.note = note
        self.result: Type | None = None
        self.loops: list[_Loop] = []

    # Statements

    def block(self, statements: Iterable[tree.Statement]) -> None:
        """Lower statements; errors are noted, one each."""
        for statement in statements:
            if self.build.is_ended:
                self.note(self.source.at(statement.at, "nothing comes here: the statement before always leaves"))
                return
            self.build.line = statement.at.line
            try:
                getattr(self, f"_do_{type(statement).__name__.lower()}")(statement)
                continue
            except SourceError as error:
                self.note(error)
            except SpoiltError:
                pass
            for name in assigned((statement,)):
                self.values.pop(name, None)
                self.spoilt.add(name)

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

    def assign(self, name: Token, value: Lowered) -> None:
        """Give a variable a value; the first one gives it its type."""
        text = name.text
        if text in self.memories:
            raise self.source.at(name, f"{text} is an array; write {text}[i]")
        if text in self.parameters:
            raise self.source.at(
                name, f"{text} is a parameter (line {self.kinds[text][1]}); give the result another name"
            )
        if text in self.counters:
            raise self.source.at(name, f"{text} is the variable of a FOR, which alone changes it")
        if text in self.kinds:
            kind, line = self.kinds[text]
            value = self.coerce(value, kind, name, f"{text} is {type_name(kind)} since line {line}")
        else:
            value = self.settle(value)
            self.kinds[text] = (value.type, name.line)
        if not value.name:
            value.name = text
        self.values[text] = value
        self.partial.pop(text, None)
        self.spoilt.discard(text)

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

    def _do_if(self, statement: tree.If) -> None:
        self._arms(statement, 0)

    def _arms(self, statement: tree.If, place: int) -> None:
        at, condition, body = statement.arms[place]
        self.build.line = at.line
        chosen = self.condition(condition)
        is_last = place + 1 == len(statement.arms)
        rest = [arm[2] for arm in statement.arms[place + 1 :]] + [statement.otherwise]
        names = assigned(body, *rest)
        before, partial = self.values, self.partial
        regions, ends = (Region(), Region()), []
        for region, is_then in zip(regions, (True, False), strict=True):
            self.values, self.partial = dict(before), dict(partial)
            with self.build.inside(region):
                if is_then:
                    self.block(body)
                elif is_last:
                    self.block(statement.otherwise)
                else:
                    self._arms(statement, place + 1)
                ends.append(None if self.build.is_ended else self.values)
            partial = partial | self.partial
        self.build.line = at.line
        falling = [values for values in ends if values is not None]
        self.values, self.partial = before, partial
        merged = [name for name in names if falling and all(name in values for values in falling)]
        merged = [name for name in merged if any(values[name] is not before.get(name) for values in falling)]
        for region, values in zip(regions, ends, strict=True):
            if values is not None:
                with self.build.inside(region):
                    self.build.end("yield", *(values[name] for name in merged))
        results = self.build.branch("if", [chosen], regions, [self.kinds[name][0] for name in merged])
        self._define(merged, results)
        for name in names:
            if name in merged or not falling or all(values.get(name) is before.get(name) for values in falling):
                continue
            self.values.pop(name, None)
            self.partial[name] = at.line
        if not falling:
            # No way leads on from here.
            self.build.end("trap", text="unreachable")

    def _define(self, names: Sequence[str], values: Sequence[Value]) -> None:
        for name, value in zip(names, values, strict=True):
            value.name = name
            self.values[name] = value
            self.partial.pop(name, None)

    def _do_while(self, statement: tree.While) -> None:
        self.loop(
            statement.at,
            assigned(statement.body),
            [],
            lambda _: self.condition(statement.condition),
            lambda _: self.block(statement.body),
            lambda _: [],
        )

    def loop(
        self,
        at: Token,
        names: Iterable[str],
        starts: list[Value],
        condition: Callable[[tuple[Value, ...]], Value],
        body: Callable[[tuple[Value, ...]], None],
        step: Callable[[tuple[Value, ...]], list[Value]],
    ) -> None:
        """Append a loop that carries `names` and values of its own, which begin as `starts` and go on by `step`."""
        names = list(names)
        carried = [name for name in names if name in self.values]
        before, partial = self.values, self.partial
        own = tuple(Value(start.type) for start in starts)
        copies = tuple(Value(before[name].type, name) for name in carried)
        region, label = Region(parameters=own + copies), self.build.new_label()
        self.values = before | dict(zip(carried, copies, strict=True))
        self.partial = dict(partial)
        with self.build.inside(region):
            goes_on, leaves = Region(), Region()
            chosen = condition(own)
            with self.build.inside(goes_on):
                self.build.end("yield")
            with self.build.inside(leaves):
                self.build.end("break", *copies, label=label)
            self.build.branch("if", [chosen], [goes_on, leaves])
            self.loops.append(_Loop(label, carried, lambda: step(own)))
            body(own)
            if not self.build.is_ended:
                self.build.line = at.line
                self._leave("continue")
            self.loops.pop()
        self.build.line = at.line
        self.values, self.partial = before, partial
        operands = [*starts, *(before[name] for name in carried)]
        results = self.build.branch("loop", operands, [region], [value.type for value in copies], label=label)
        self._define(carried, results)
        for name in names:
            if name not in carried:
                self.partial[name] = at.line

    def _leave(self, word: str) -> None:
        loop = self.loops[-1]
        if any(name not in self.values for name in loop.names):
            raise SpoiltError
        # The steps come first: they are computed here, the values are there already.
        own = loop.step() if word == "continue" else []
        self.build.end(word, *own, *(self.values[name] for name in loop.names), label=loop.label)

    def _do_jump(self, statement: tree.Jump) -> None:
        self._leave("break" if statement.at.text.upper() == "BREAK" else "continue")

    def _do_for(self, statement: tree.For) -> None:
        first, last = self.expression(statement.first), self.expression(statement.last)
        kind = self.meet([first, last], statement.at)
        if not kind.is_integer:
            raise self.source.at(place_of(statement.first), f"FOR counts in integers, not in {type_name(kind)}")
        start = self.coerce(first, kind, place_of(statement.first), "the range")
        end = self.coerce(last, kind, place_of(statement.last), "the range")
        step, is_down = self._step(statement, kind)
        self.counted(
            statement.at,
            statement.variable,
            statement.body,
            start,
            lambda i: self.build.value("gt" if is_down else "lt", i, end),
            lambda i: self.build.value("add", i, step),
        )

    def _step(self, statement: tree.For, kind: Type) -> tuple[Value, bool]:
        """The step and whether it goes down, which only a literal does; the lane of another one traps where it does not go up."""
        if statement.step is None:
            return self.build.const(kind, 1), False
        lowered, at = self.expression(statement.step), place_of(statement.step)
        step = self.coerce(lowered, kind, at, f"the range is {type_name(kind)}")
        if isinstance(lowered, Constant):
            if lowered.value == 0:
                raise self.source.at(at, "a STEP of 0 goes nowhere")
            return step, lowered.value < 0
        self.require(self.build.value("gt", step, self.build.const(kind, 0)), "STEP is not above 0")
        return step, False

    def counted(
        self,
        at: Token,
        variable: Token,
        body: tree.Block,
        start: Value,
        condition: Callable[[Value], Value],
        step: Callable[[Value], Value],
        shown: Callable[[Value], Value] = lambda i: i,
    ) -> None:
        """Append a loop with a variable of its own, which the body sees as `shown`."""
        self.fresh(variable)
        name = variable.text

        def inside(own: tuple[Value, ...]) -> None:
            value = shown(own[0])
            value.name = name
            self.values[name], self.kinds[name] = value, (value.type, variable.line)
            self.counters.add(name)
            self.block(body)
            self.counters.discard(name)
            del self.kinds[name]
            self.values.pop(name, None)

        self.loop(at, assigned(body), [start], lambda own: condition(own[0]), inside, lambda own: [step(own[0])])

    def fresh(self, name: Token) -> None:
        """Raise where a loop's variable has a name that is taken."""
        if name.text in self.kinds:
            raise self.source.at(
                name, f"{name.text} is a variable since line {self.kinds[name.text][1]}; a loop has one of its own"
            )
        if name.text in self.memories:
            raise self.source.at(name, f"{name.text} is an array; a loop has a variable of its own")

    def _do_parallelfor(self, statement: tree.ParallelFor) -> None:
        if statement.first is None or statement.last is None:
            self._each(statement.at, statement.variable, assigned(statement.body), lambda: self.block(statement.body))
            return
        first = self.coerce(self.expression(statement.first), Type.I32, place_of(statement.first), "the range is int")
        last = self.coerce(self.expression(statement.last), Type.I32, place_of(statement.last), "the range is int")
        span = self.build.value("bitcast", self.build.value("sub", last, first), type=Type.U32)
        is_empty = self.build.value("ge", first, last)
        count = self.build.value("select", is_empty, self.build.const(Type.U32, 0), span)
        lanes = self.build.value("lane_count")

        def shown(k: Value) -> Value:
            return self.build.value("add", first, self.build.value("convert", k, type=Type.I32))

        self.counted(
            statement.at,
            statement.variable,
            statement.body,
            self.build.value("global_id"),
            lambda k: self.build.value("lt", k, count),
            lambda k: self.build.value("add", k, lanes),
            shown,
        )

    def _each(self, at: Token, array: Token, names: Iterable[str], body: Callable[[], None]) -> None:
        """Append a loop of all lanes over the elements of an array."""
        memory = self.memory(array)
        if memory.space is not Space.BUFFER:
            raise self.source.at(array, f"{array.text} is no parameter: each block or thread has its own")
        if self.elements:
            raise self.source.at(at, "PARALLEL FOR stands inside no other one; all threads share one already")
        count, lanes = self.build.length(memory), self.build.value("lane_count")

        def inside(own: tuple[Value, ...]) -> None:
            self.index = self.build.value("convert", own[0], type=Type.I32)
            self.elements[array.text] = self.build.load(memory, own[0], hint=array.text)
            body()
            self.elements.clear()
            self.index = None

        self.loop(
            at,
            names,
            [self.build.value("global_id")],
            lambda own: self.build.value("lt", own[0], count),
            inside,
            lambda own: [self.build.value("add", own[0], lanes)],
        )

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
        return self.memories.setdefault(name, Memory(name, Space.WORKGROUP, kind, patterns.MAX_GROUP))

    def _do_trap(self, statement: tree.Trap) -> None:
        self.build.end("trap", text=statement.reason or "trap")

    def _do_print(self, statement: tree.Print) -> None:
        self.build.print(statement.text, *[self.settle(self.expression(value)) for value in statement.values])


def statements_inside(*blocks: tree.Block) -> Iterable[tree.Statement]:
    """Each statement of blocks and of the blocks inside, in order."""
    stack = [iter(block) for block in reversed(blocks)]
    while stack:
        statement = next(stack[-1], None)
        if statement is None:
            stack.pop()
            continue
        yield statement
        match statement:
            case tree.If(arms=arms, otherwise=otherwise):
                stack += [iter(block) for block in reversed((*(arm[2] for arm in arms), otherwise))]
            case tree.While(body=body) | tree.For(body=body) | tree.ParallelFor(body=body):
                stack.append(iter(body))


def assigned(*blocks: tree.Block) -> list[str]:
    """Names of the variables that blocks assign, in order of their first assignment."""
    found: dict[str, None] = {}
    for statement in statements_inside(*blocks):
        target = getattr(statement, "target", None)
        if isinstance(target, tree.Name):
            found[target.at.text] = None
    return list(found)


def written(block: tree.Block) -> set[str]:
    """Names of the arrays that a block stores to."""
    found: set[str] = set()
    for statement in statements_inside(block):
        match statement:
            case tree.Assign(target=tree.Element(at=at)) | tree.Pixel(target=tree.Element(at=at)):
                found.add(at.text)
            case tree.Atomic(element=tree.Element(at=at)):
                found.add(at.text)
            case tree.Transform(target=at) | tree.Matmul(target=at):
                found.add(at.text)
    return found


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
