"""Names, statements and operations without regions: what every way of writing a body shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...errors import DeviceError
from ...ir.bits import to_bits
from ...ir.model import Bounds, Function, Kernel, Memory, Module, Op, Value
from ...ir.operations import OPERATIONS
from ...ir.types import Type
from ..launch import OUT_OF_FUEL
from .prelude import WIDE, held, zero
from .survey import survey


@dataclass(frozen=True)
class Site:
    """A place that ends a lane, with why, or prints; an access outside of `memory` words its reason when it is known by what."""

    op: Op
    reason: str
    memory: Memory | None = None


@dataclass
class Unit:
    """The function that is being written."""

    lines: list[str] = field(default_factory=list)
    indent: int = 1

    def add(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)


@dataclass(frozen=True)
class Place:
    """Where an access goes, as expressions."""

    kind: Type
    index: str
    """For a clamped load the nearest one that is inside."""
    outside: str
    """Whether the index that was asked for is outside."""
    is_there: str
    """Whether the memory has room for a value of that kind at all."""


class Writer:
    """Writes statements of one kernel into `unit`. Raises `DeviceError` where an operation has no form, and says which."""

    def __init__(
        self, module: Module, kernel: Kernel, group: int, pairs: bool, is_machine: bool, shared: frozenset[Value] | None
    ) -> None:
        self.module, self.kernel, self.group, self.pairs = module, kernel, group, pairs
        self.found = survey(module, kernel, pairs)
        self.is_machine = is_machine
        self.sites: list[Site] = []
        self.privates: dict[str, str] = {}
        """Declarations of module variables by name."""
        self.names: dict[Value, str] = {}
        self.finished: list[str] = []
        self.codes = 0
        self.unit = Unit()
        self.shared, self.crossing = shared, frozenset[Value]()
        """Values that blocks of a machine share, None where that is not known yet; those that pieces share."""
        self.block = 0
        self.defined_in: dict[Value, int] = {}
        self.crossed: set[Value] = set()
        self.function: Function | None = None

    # Names and statements

    def held(self, kind: Type) -> str:
        """The WGSL type of a type's values."""
        if kind is Type.F64 and self.pairs:
            raise DeviceError(f"kernel {self.kernel.name}: f64, which this device has not")
        return held(kind, self.pairs)

    def private(self, name: str, kind: str) -> str:
        """Declare a module variable; gives its name."""
        self.privates[name] = f"var<private> {name}: {kind};"
        return name

    def variable(self, value: Value) -> str:
        """The module variable that holds a value."""
        if value not in self.names:
            self.names[value] = self.private(f"x{len(self.names)}", self.held(value.type))
        return self.names[value]

    def define(self, value: Value, expression: str) -> None:
        """Give a value, which is seen in this unit only unless it has a variable already."""
        self.defined_in[value] = self.block
        is_shared = value in (self.crossing if self.shared is None else self.crossing | self.shared)
        if (self.is_machine and self.shared is None) or value in self.names or is_shared:
            self.unit.add(f"{self.variable(value)} = {expression};")
            return
        self.names[value] = f"v{len(self.names)}"
        self.unit.add(f"let {self.names[value]} = {expression};")

    def use(self, value: Value) -> str:
        """The expression of a value."""
        if self.defined_in.get(value, self.block) != self.block:
            self.crossed.add(value)
        return self.names[value]

    def constant(self, literal: int | float | bool, kind: Type) -> str:
        """An expression for a literal; a variable holds its bits, as naga would fold what it sees and refuse the result.

        No driver sees a float: a quotient by zero would be undefined, and the sign of a product with zero lost. What is hidden twice is
        seen, so that the operations of the table hide their results alone.
        """
        if kind is Type.BOOL:
            return "true" if literal else "false"
        bits = to_bits(literal, kind, 32)
        words = [self._bits(bits & 0xFFFFFFFF)] + ([self._bits(bits >> 32)] if kind.bits == 64 else [])
        self.held(kind)
        if kind is Type.F32:
            return f"gb_bits_f32({words[0]})"
        if kind is Type.F64:
            return f"gb_bits_f64(gb_pack_u64({words[0]}, {words[1]}))"
        if len(words) == 2:
            return f"gb_pack_{kind.value}({words[0]}, {words[1]})"
        return words[0] if held(kind, self.pairs) == "u32" else f"bitcast<{held(kind, self.pairs)}>({words[0]})"

    def _bits(self, word: int) -> str:
        name = f"gb_k{word:x}"
        self.privates[name] = f"var<private> {name}: u32 = {word}u;"
        return name

    def site(self, op: Op, reason: str, memory: Memory | None = None) -> int:
        """Number of a place."""
        self.sites.append(Site(op, reason, memory))
        return len(self.sites) - 1

    def assign(self, targets: Sequence[Value], values: Sequence[Value]) -> None:
        """Set variables at once: a value may be one of them."""
        names = [self.variable(target) for target in targets]
        given = [self.use(value) for value in values]
        if set(names) & set(given) - {n for n, g in zip(names, given, strict=True) if n == g} and len(names) > 1:
            with self.braces(""):
                for place, expression in enumerate(given):
                    self.unit.add(f"let t{place} = {expression};")
                for place, name in enumerate(names):
                    self.unit.add(f"{name} = t{place};")
            return
        for name, expression in zip(names, given, strict=True):
            if name != expression:
                self.unit.add(f"{name} = {expression};")

    @contextmanager
    def braces(self, head: str) -> Iterator[None]:
        """A block of statements."""
        self.unit.add(f"{head} {{".lstrip())
        self.unit.indent += 1
        yield
        self.unit.indent -= 1
        self.unit.add("}")

    def code(self) -> int:
        """A new number for `gb_to`, `gb_at`."""
        self.codes += 1
        return self.codes

    def result(self, function: Function, place: int) -> str:
        """The variable of a function's result."""
        return f"r{self.found.functions.index(function)}_{place}"

    def called(self, function: Function) -> str:
        """The name of a function; its own never becomes text."""
        return f"f{self.found.functions.index(function)}"

    def choice(self, op: Op) -> str:
        """The number of the region that a ``switch`` takes."""
        kind, value = op.operands[0].type, self.use(op.operands[0])
        if kind not in WIDE and tuple(op.cases) == tuple(range(len(op.cases))):
            return f"min(u32({value}), {len(op.cases)}u)"
        expression = f"{len(op.cases)}u"
        for place, case in enumerate(op.cases):
            literal = self.constant(case, kind)
            equal = self.formed("eq", kind, [value, literal], Type.BOOL)
            expression = f"select({expression}, {place}u, {equal})"
        return expression

    def tree(self, chosen: str, low: int, high: int, leaf: Callable[[int], None]) -> None:
        """A binary tree of branches on a number from `low` to below `high`."""
        if high - low == 1:
            leaf(low)
            return
        middle = (low + high) // 2
        with self.braces(f"if {chosen} < {middle}u"):
            self.tree(chosen, low, middle, leaf)
        with self.braces("else"):
            self.tree(chosen, middle, high, leaf)

    # The end of a lane

    def burn(self, op: Op) -> None:
        with self.braces(f"if gb_burn({op.fuel}u)"):
            self.end(self.site(op, OUT_OF_FUEL))

    def end(self, site: int, words: str = "vec2<u32>(0u, 0u)") -> None:
        """End the lane."""
        self.unit.add(f"gb_trap({site}u, {words});")
        self.unit.add("return;")

    def write_return(self, op: Op) -> None:
        if self.function:
            for place, value in enumerate(op.operands):
                self.unit.add(f"{self.result(self.function, place)} = {self.use(value)};")
        elif self.found.has_barriers:
            self.unit.add("gb_at = GB_GONE;")
        self.unit.add("return;")

    # Operations without regions

    def step(self, op: Op) -> None:
        """An operation that is no control flow."""
        name = op.name
        if name == "const":
            assert op.literal is not None
            self.names[op.result] = self.constant(op.literal, op.result.type)
        elif name == "length":
            assert op.memory is not None
            self.names[op.result] = f"({self.length(op.memory)})"
        elif OPERATIONS[name].effect == "id":
            text = {
                "global_id": "gb_lane",
                "local_id": "gb_local" if self.group > 1 else "gb_p.zero",
                "group_id": "gb_group",
                "group_size": f"({self.group}u + gb_p.zero)",
                "group_count": "gb_p.groups",
                "lane_count": "gb_p.lanes",
            }
            self.names[op.result] = text[name]
        elif op.memory is not None:
            self.access(op)
        elif name == "call":
            self.call(op)
        elif name == "print":
            self.print(op)
        else:
            kind = op.operands[1 if name == "select" else 0].type
            self.define(op.result, self.formed(name, kind, [self.use(value) for value in op.operands], op.result.type))

    def formed(self, name: str, kind: Type, operands: Sequence[str], result: Type) -> str:
        """The expression of a row of the table."""
        self.held(kind), self.held(result)
        form = OPERATIONS[name].form("pair" if self.pairs and kind in WIDE else "wgsl", kind)
        if form is None:
            raise DeviceError(f"kernel {self.kernel.name}: {name} of {kind.value} is nothing that WGSL can do")
        text = form.format(**dict(zip("abc", operands, strict=False)), t=kind.value, r=result.value)
        if result.is_integer and result.bits < 32:
            return f"gb_wrap_{result.value}({text})"
        return text

    def length(self, memory: Memory) -> str:
        """Number of elements, as ``u32``."""
        if memory.length is not None:
            return f"{memory.length}u + gb_p.zero"
        place = self.kernel.buffers.index(memory)
        return f"gb_p.rest[{place // 4}].{'xyzw'[place % 4]}"

    def place(self, op: Op) -> Place:
        """Where an access goes; what is trapped ends the lane here, outside."""
        memory = op.memory
        assert memory is not None
        kind = op.moved
        self.held(kind)
        width = kind.bytes // memory.element.bytes if kind is not memory.element else 1
        given, t = self.use(op.operands[0]), op.operands[0].type.value
        size = f"({self.length(memory)})"
        outside = f"gb_outside(gb_index_{t}({given}), {size}, {width}u)"
        index = f"gb_index_{t}({given})"
        if op.bounds is Bounds.TRAP:
            with self.braces(f"if {outside}"):
                self.end(self.site(op, "", memory), f"gb_words_{t}({given})")
        elif op.bounds is Bounds.CLAMP and op.name == "load":
            index = f"gb_nearest_{t}({given}, max({size}, {width}u) - {width}u)"
        return Place(kind, index, outside, f"{size} >= {width}u")

    def or_zero(self, at: Place, expression: str) -> str:
        """What a clamped load gives: zero from a memory with no element."""
        return f"select({zero(at.kind, self.pairs)}, {expression}, {at.is_there})"

    def access(self, op: Op) -> None:
        """A load, store or atomic with its check."""
        at = self.place(op)
        if op.bounds is not Bounds.CLAMP:
            self.touch(op, at)
        elif op.name == "load":
            self.touch(op, at)
            self.replace(op.result, self.or_zero(at, self.use(op.result)))
        else:
            if op.name != "store":
                self.unit.add(f"{self.variable(op.result)} = {zero(at.kind, self.pairs)};")
            with self.braces(f"if !{at.outside}"):
                self.touch(op, at)

    def replace(self, value: Value, expression: str) -> None:
        """Define a value anew."""
        if self.names[value].startswith("x"):
            self.unit.add(f"{self.names[value]} = {expression};")
            return
        self.names[value] = f"v{self.code()}_"
        self.unit.add(f"let {self.names[value]} = {expression};")

    def touch(self, op: Op, at: Place) -> None:
        """The access itself, at a place that is inside."""
        assert op.memory is not None
        text = self.found.texts[op.memory]
        if op.name == "load":
            self.define(op.result, f"{text.load(at.kind)}({at.index})")
        elif op.name == "store":
            self.unit.add(f"{text.store(at.kind)}({at.index}, {self.use(op.operands[1])});")
        else:
            name = text.atomic(op.name.removeprefix("atomic_"), at.kind)
            given = ", ".join(self.use(value) for value in op.operands[1:])
            self.define(op.result, f"{name}({at.index}, {given})")

    def call(self, op: Op) -> None:
        function = self.module.functions[op.text]
        self.unit.add(f"{self.called(function)}({', '.join(self.use(value) for value in op.operands)});")
        if self.found.may_end[function.name]:
            self.unit.add("if gb_dead { return; }")
        for place, value in enumerate(op.results):
            self.define(value, self.result(function, place))

    def print(self, op: Op) -> None:
        words: list[str] = []
        for value in op.operands:
            name, t = self.use(value), value.type.value
            if value.type.bits == 64:
                words += [f"gb_{t}_low({name})", f"gb_{t}_high({name})"]
            elif value.type is Type.BOOL:
                words.append(f"select(0u, 1u, {name})")
            else:
                words.append(f"bitcast<u32>({name})")
        site = self.site(op, op.text)
        with self.braces(""):
            self.unit.add(f"let at = gb_print({site}u, {3 + len(words)}u);")
            if words:
                with self.braces("if at != 0u"):
                    for place, word in enumerate(words):
                        self.unit.add(f"atomicStore(&gb_prints[at + {3 + place}u], {word});")
