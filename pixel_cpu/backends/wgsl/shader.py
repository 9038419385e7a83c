"""The IR as WGSL: one shader for a kernel and a size of group.

Values become ``let``; results of regions, parameters of loops and what crosses a boundary become private variables of the module.
WGSL has no labelled break: a way out of more than one level sets `gb_to` and leaves level by level. A lane ends by returning from
every function: `gb_dead` says so to the callers.

**Barriers** must be reached by every invocation, also by one whose lane has ended or never was. A kernel with barriers is cut in
*pieces*, functions without barriers, and what holds pieces together runs for all invocations of a group: `gb_at` says where an
invocation is heading (0: here), and the group votes which regions to enter.

**Deep nesting and many accesses** go through a *machine*: straight blocks, a variable that says which is next, and a binary tree
of ``if`` around them, with one place for each kind of access. Mesa's compiler counts only 80 levels of branches, naga reads 127
braces, and compile time grows with the square of the number of accesses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ...errors import DeviceError
from ...ir.model import Bounds, Function, Kernel, Memory, Module, Op, Region, Space, Value, reachable, walk
from ...ir.operations import OPERATIONS
from ...ir.types import Type
from .memory import PRIVATE_WORDS, MemoryText, needs_atomics
from .prelude import WIDE, functions, held, zero

MAX_DEPTH = 60
"""Regions inside each other, calls included, that are written as they are; deeper programs become a machine."""
MAX_ACCESSES = 60
"""Accesses to memory, calls included, that are written where they stand; more are sent through one place each."""
MAX_BLOCKS = 6000
"""Blocks of a machine; beyond it no driver compiles in sensible time."""

PARAMETERS = ("lanes", "base", "first", "groups", "fuel_low", "fuel_high", "zero", "stride")
"""Words at the start of a launch's uniform block; lengths of buffers follow, then scalars."""


@dataclass(frozen=True)
class Site:
    """A place that ends a lane or prints. `size` is the length of a memory that is bound at launch: None."""

    op: Op
    reason: str
    memory: Memory | None = None


@dataclass
class Shader:
    """The text, and what the host must know to bind, launch and read it."""

    text: str
    bindings: tuple[str, ...]
    """Kinds of the bindings: the launch's words, status, records, buffers, then lines and private memory where there are any."""
    sites: list[Site]
    buffers: tuple[Memory, ...]
    written: frozenset[Memory]
    lengths: dict[str, int]
    """Word of the uniform block that holds a buffer's length."""
    scalars: dict[str, tuple[int, Type]]
    """First word of each scalar, and its type."""
    words: int
    scratch_words: int
    """Words of private memory of a lane that live in a buffer."""
    has_prints: bool
    features: frozenset[str]
    strategy: str


@dataclass
class _Label:
    """Where a ``break`` or ``continue`` goes: variables, and the statement or code that gets there."""

    op: Op
    leave: int
    again: int


@dataclass
class _Unit:
    """The function that is being written."""

    lines: list[str] = field(default_factory=list)
    indent: int = 1

    def add(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)


class Writer:
    """Writes the shader of one kernel. Raises `DeviceError` where an operation has no form, and says which."""

    def __init__(
        self,
        module: Module,
        kernel: Kernel,
        group: int,
        pairs: bool,
        machine: bool | None = None,
        shared: frozenset[Value] | None = None,
    ) -> None:
        self.module, self.kernel, self.group, self.pairs = module, kernel, group, pairs
        self.functions = reachable(module, kernel)
        self.bodies = [function.body for function in self.functions] + [kernel.body]
        self.has_barriers = any(op.name == "barrier" for op in walk(kernel.body))
        self.sites: list[Site] = []
        self.privates: dict[str, str] = {}
        """Declarations of module variables by name."""
        self.names: dict[Value, str] = {}
        self.finished: list[str] = []
        self.codes = 0
        self.labels: dict[str, _Label] = {}
        self.inner: list[str] = []
        """Labels of the WGSL loops around, innermost last."""
        self.depths, self.accesses = self._measure()
        is_large = max(self.depths.values()) > MAX_DEPTH or self.accesses[""] > MAX_ACCESSES
        self.is_machine = is_large if machine is None else machine
        self.texts = self._memories()
        self.unit = _Unit()
        self.shared, self.crossing = shared, frozenset[Value]()
        """Values that blocks of a machine share, None where that is not known yet; those that pieces share."""
        self.block = 0
        self.defined_in: dict[Value, int] = {}
        self.crossed: set[Value] = set()
        self.function: Function | None = None
        self.may_end = {function.name: self._may_end(function) for function in self.functions}

    # What a program holds

    def _measure(self) -> tuple[dict[str, int], dict[str, int]]:
        """Depth and number of accesses of each function, calls included; the kernel's under ""."""
        depths: dict[str, int] = {}
        accesses: dict[str, int] = {}
        for name, body in [*((f.name, f.body) for f in self.functions), ("", self.kernel.body)]:
            deepest = count = 0
            stack = [(body, 1)]
            while stack:
                region, depth = stack.pop()
                deepest = max(deepest, depth)
                for op in region.operations:
                    if op.is_access:
                        count += 1
                    if op.name == "call":
                        deepest = max(deepest, depth + depths[op.text])
                        count += accesses[op.text]
                    stack += [(inner, depth + 1) for inner in op.regions]
            depths[name], accesses[name] = deepest, count
        return depths, accesses

    def _memories(self) -> dict[Memory, MemoryText]:
        stored: dict[Memory, set[Type]] = {}
        atomics: set[Memory] = set()
        for body in self.bodies:
            for op in walk(body):
                if op.memory is None:
                    continue
                if op.name == "store":
                    stored.setdefault(op.memory, set()).add(op.operands[1].type)
                if op.name.startswith("atomic_"):
                    atomics.add(op.memory)
        self.written = frozenset(memory for memory in (*stored, *atomics) if memory.space is Space.BUFFER)
        found: dict[Memory, MemoryText] = {}
        self.scratch_words = 0
        for place, memory in enumerate(self.kernel.memories):
            if memory.element is Type.F64 and self.pairs:
                raise DeviceError(f"kernel {self.kernel.name}: @{memory.name} holds f64, which this device has not")
            if memory in atomics and memory.element in WIDE and self.pairs:
                raise DeviceError(
                    f"kernel {self.kernel.name}: 64-bit atomics on @{memory.name}, which this device has not"
                )
            text = MemoryText(
                memory, place, self.pairs, needs_atomics(memory, stored.get(memory, set()), memory in atomics)
            )
            if memory.space is Space.PRIVATE and text.words > PRIVATE_WORDS:
                text.scratch = self.scratch_words
                self.scratch_words += text.words
            found[memory] = text
        self.has_wide_atomics = any(memory.element in WIDE for memory in atomics) or any(
            text.is_atomic and text.is_double for text in found.values()
        )
        return found

    def _may_end(self, function: Function) -> bool:
        return any(
            op.name in ("trap", "continue")
            or (op.is_access and op.bounds is Bounds.TRAP)
            or (op.name == "call" and self._may_end(self.module.functions[op.text]))
            for op in walk(function.body)
        )

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
        """An expression for a literal; a variable holds its bits, as naga would fold what it sees and refuse the result."""
        if kind is Type.BOOL:
            return "true" if literal else "false"
        if kind.is_float:
            bits = int.from_bytes(struct.pack("<f" if kind is Type.F32 else "<d", _float(literal, kind)), "little")
        else:
            bits = int(literal) & ((1 << max(kind.bits, 32)) - 1)
        words = [self._bits(bits & 0xFFFFFFFF)] + ([self._bits(bits >> 32)] if kind.bits == 64 else [])
        self.held(kind)
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

    # The whole

    def write(self) -> Shader:
        """The shader."""
        for op in (op for body in self.bodies for op in walk(body)):
            if op.name == "host_call":
                raise DeviceError(f"kernel {self.kernel.name}: host_call {op.text!r}: a GPU calls no host function")
        for value in self.kernel.parameters:
            self.variable(value)
        for function in self.functions:
            self.write_function(function)
        self.function = None
        if self.has_barriers:
            main = self.write_group()
        else:
            self.write_unit("gb_body", "", self.kernel.body)
            main = ["  if gb_lane < gb_p.lanes { gb_body(); }"]
        return self.assemble(main)

    def write_function(self, function: Function) -> None:
        self.function = function
        self.labels, self.inner = {}, []
        heads, copies = [], []
        for place, value in enumerate(function.parameters):
            heads.append(f"p{place}: {self.held(value.type)}")
            if self.is_machine:
                copies.append(f"  {self.variable(value)} = p{place};")
            else:
                self.names[value] = f"p{place}"
        for place, kind in enumerate(function.results):
            self.private(self.result(function, place), self.held(kind))
        self.write_unit(self.called(function), ", ".join(heads), function.body, copies)

    def result(self, function: Function, place: int) -> str:
        """The variable of a function's result."""
        return f"r{self.functions.index(function)}_{place}"

    def called(self, function: Function) -> str:
        """The name of a function; its own never becomes text."""
        return f"f{self.functions.index(function)}"

    def write_unit(self, name: str, heads: str, body: Region, before: Sequence[str] = ()) -> None:
        self.unit = _Unit()
        self.unit.lines += before
        if self.is_machine:
            _Machine(self).run(body)
        else:
            self.region(body, ())
        self.finished.append(f"fn {name}({heads}) {{\n" + "\n".join(self.unit.lines) + "\n}\n")

    def assemble(self, main: list[str]) -> Shader:
        words = len(PARAMETERS)
        lengths, scalars = {}, {}
        for memory in self.kernel.buffers:
            lengths[memory.name] = words
            words += 1
        enter = []
        for value in self.kernel.parameters:
            scalars[value.name] = words, value.type
            enter.append(f"  {self.names[value]} = {self.scalar(value.type, words)};")
            words += 1 + (value.type.bits == 64)
        rows = -(-words // 4)
        declared = [text.declaration(binding) for binding, text in self._bindings()]
        has_prints = any(op.name == "print" for body in self.bodies for op in walk(body))
        kinds = ["uniform", "storage", "storage"]
        kinds += ["storage" if text.is_written else "read-only-storage" for place, text in self._bindings() if place]
        if has_prints:
            declared.append(
                f"@group(0) @binding({len(kinds)}) var<storage, read_write> gb_prints: array<atomic<u32>>;\n{_PRINT}"
            )
            kinds.append("storage")
        if self.scratch_words:
            declared.append(f"@group(0) @binding({len(kinds)}) var<storage, read_write> gb_scratch: array<u32>;")
            kinds.append("storage")
        body = "\n".join([*(f for text in self.texts.values() for f in text.functions.values()), *self.finished])
        text = "\n".join(
            [
                f"struct Parameters {{ {', '.join(f'{name}: u32' for name in PARAMETERS)},",
                f"  rest: array<vec4<u32>, {max(rows - 2, 1)}> }}",
                "@group(0) @binding(0) var<uniform> gb_p: Parameters;",
                "@group(0) @binding(1) var<storage, read_write> gb_out: array<atomic<u32>, 4>;",
                "@group(0) @binding(2) var<storage, read_write> gb_records: array<u32>;",
                *declared,
                _STATE,
                *self.privates.values(),
                body,
                *self.main(enter, main),
            ]
        )
        text = functions(text, self.pairs) + "\n" + text
        return Shader(
            text,
            tuple(kinds),
            self.sites,
            self.kernel.buffers,
            self.written,
            lengths,
            scalars,
            max(rows, 3) * 4,
            self.scratch_words,
            has_prints,
            self.features(text),
            "machine" if self.is_machine else "structured",
        )

    def features(self, text: str) -> frozenset[str]:
        """What the shader asks of a device."""
        found = set()
        if not self.pairs and any(word in text for word in ("i64", "u64")):
            found.add("shader-int64")
        if "f64" in text:
            found |= {"shader-f64", "shader-int64"}
        if self.has_wide_atomics:
            found.add("shader-int64-atomic-all-ops")
        return frozenset(found)

    def _bindings(self) -> Iterator[tuple[int | None, MemoryText]]:
        binding = 3
        for text in self.texts.values():
            if text.memory.space is Space.BUFFER:
                yield binding, text
                binding += 1
            else:
                yield None, text

    def scalar(self, kind: Type, word: int) -> str:
        def at(place: int) -> str:
            place -= len(PARAMETERS)
            return f"gb_p.rest[{place // 4}].{'xyzw'[place % 4]}"

        if kind is Type.BOOL:
            return f"{at(word)} != 0u"
        if kind.bits == 64:
            return f"gb_pack_{kind.value}({at(word)}, {at(word + 1)})"
        return f"bitcast<{held(kind, self.pairs)}>({at(word)})"

    def main(self, enter: list[str], body: list[str]) -> Iterable[str]:
        yield f"@compute @workgroup_size({self.group})"
        yield "fn main(@builtin(workgroup_id) w: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {"
        yield "  gb_group = gb_p.first + w.x; gb_local = l.x;"
        yield f"  gb_slot = w.x * {self.group}u + l.x; gb_lane = gb_group * {self.group}u + l.x;"
        yield "  gb_fuel_low = gb_p.fuel_low; gb_fuel_high = gb_p.fuel_high;"
        yield from enter
        shared = [text for text in self.texts.values() if text.memory.space is Space.WORKGROUP]
        for text in shared:
            # WGSL promises zeros; Mesa's driver leaves what was there in atomic words.
            nought = "0lu" if text.is_double else "0u"
            write = f"atomicStore(&{text.name}[i], {nought})" if text.is_atomic else f"{text.name}[i] = {nought}"
            yield f"  for (var i = l.x; i < {text.words}u; i += {self.group}u) {{ {write}; }}"
        if shared:
            yield "  workgroupBarrier();"
        if self.scratch_words:
            yield (
                f"  for (var i = 0u; i < {self.scratch_words}u; i++) {{ gb_scratch[i * gb_p.stride + gb_slot] = 0u; }}"
            )
        if self.has_barriers:
            yield "  if l.x == 0u { atomicStore(&gb_votes[0], 0u); atomicStore(&gb_votes[1], 0u); }"
            yield "  workgroupBarrier();"
        yield from body
        yield "  if gb_dead { gb_record(); }"
        yield "}"

    # Regions, structured

    def region(self, region: Region, results: Sequence[Value]) -> None:
        """Write a region; `results` are what its ``yield`` defines."""
        for op in region.operations:
            if op.name == "yield":
                self.assign(results, op.operands)
            else:
                self.op(op)

    def op(self, op: Op) -> None:
        """Write one operation."""
        match op.name:
            case "if":
                self.write_if(op)
            case "switch":
                self.write_switch(op)
            case "block":
                self.write_labelled(op)
            case "loop":
                self.assign(op.regions[0].parameters, op.operands)
                self.write_labelled(op)
            case "break" | "continue":
                self.leave(op)
            case "trap":
                self.end(self.site(op, op.text or "trap"))
            case "return":
                self.write_return(op)
            case _:
                self.step(op)

    def write_if(self, op: Op) -> None:
        for value in op.results:
            self.variable(value)
        with self.braces(f"if {self.use(op.operands[0])}"):
            self.region(op.regions[0], op.results)
        if len(op.regions[1].operations) > 1 or op.results or op.regions[1].operations[0].name != "yield":
            with self.braces("else"):
                self.region(op.regions[1], op.results)

    def write_switch(self, op: Op) -> None:
        for value in op.results:
            self.variable(value)
        chosen = self.private(f"c{self.code()}", "u32")
        self.unit.add(f"{chosen} = {self.choice(op)};")
        self.tree(chosen, 0, len(op.regions), lambda place: self.region(op.regions[place], op.results))

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

    def write_labelled(self, op: Op) -> None:
        """A ``block`` or ``loop`` as a WGSL loop."""
        for value in op.results:
            self.variable(value)
        body = op.regions[0]
        exits = {(inner.name, inner.label) for inner in walk(body) if inner.name in ("break", "continue")}
        self.labels[op.label] = _Label(op, self.code(), self.code())
        self.inner.append(op.label)
        with self.braces("loop"):
            self.region(body, op.results)
            if body.operations[-1].name == "yield":
                self.unit.add("break;")
        self.inner.pop()
        del self.labels[op.label]
        self.pass_on({(name, label) for name, label in exits if label in self.inner})

    def pass_on(self, exits: set[tuple[str, str]]) -> None:
        """After a WGSL loop: go on leaving where somebody is on the way to a label further out."""
        if not exits or not self.inner:
            return
        label = self.labels[self.inner[-1]]
        if ("continue", label.op.label) in exits:
            with self.braces(f"if gb_to == {label.again}u"):
                self.unit.add("gb_to = 0u;")
                self.unit.add("continue;")
        if ("break", label.op.label) in exits:
            with self.braces(f"if gb_to == {label.leave}u"):
                self.unit.add("gb_to = 0u;")
                self.unit.add("break;")
        if any(target != label.op.label for _, target in exits):
            self.unit.add("if gb_to != 0u { break; }")

    def leave(self, op: Op) -> None:
        label = self.labels[op.label]
        if op.name == "continue":
            self.burn(op)
        self.assign(label.op.results if op.name == "break" else label.op.regions[0].parameters, op.operands)
        code = label.leave if op.name == "break" else label.again
        if op.label not in self.inner:  # a label of the group: this piece ends
            self.unit.add(f"gb_at = {code}u;")
            self.unit.add("return;")
        elif self.inner[-1] == op.label:
            self.unit.add(f"{op.name};")
        else:
            self.unit.add(f"gb_to = {code}u;")
            self.unit.add("break;")

    def burn(self, op: Op) -> None:
        with self.braces(f"if gb_burn({op.fuel}u)"):
            self.end(self.site(op, "out of fuel"))

    def end(self, site: int, words: str = "vec2<u32>(0u, 0u)") -> None:
        """End the lane."""
        self.unit.add(f"gb_trap({site}u, {words});")
        self.unit.add("return;")

    def write_return(self, op: Op) -> None:
        if self.function:
            for place, value in enumerate(op.operands):
                self.unit.add(f"{self.result(self.function, place)} = {self.use(value)};")
        elif self.has_barriers:
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
                "local_id": "gb_local",
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

    def access(self, op: Op) -> None:
        """A load, store or atomic with its check."""
        memory = op.memory
        assert memory is not None
        kind = op.moved
        self.held(kind)
        width = kind.bytes // memory.element.bytes if kind is not memory.element else 1
        index, t = self.use(op.operands[0]), op.operands[0].type.value
        size = f"({self.length(memory)})"
        outside = f"gb_outside(gb_index_{t}({index}), {size}, {width}u)"
        place = f"gb_index_{t}({index})"
        if op.bounds is Bounds.TRAP:
            with self.braces(f"if {outside}"):
                self.end(self.site(op, "", memory), f"gb_words_{t}({index})")
        elif op.bounds is Bounds.CLAMP and op.name == "load":
            place = f"gb_nearest_{t}({index}, max({size}, {width}u) - {width}u)"
        if op.bounds is not Bounds.CLAMP:
            self.touch(op, kind, place)
        elif op.name == "load":
            self.touch(op, kind, place)
            value = op.result
            self.replace(value, f"select({zero(kind, self.pairs)}, {self.use(value)}, {size} >= {width}u)")
        elif op.name == "store":
            with self.braces(f"if !{outside}"):
                self.touch(op, kind, place)
        else:
            variable = self.variable(op.result)
            self.unit.add(f"{variable} = {zero(kind, self.pairs)};")
            with self.braces(f"if !{outside}"):
                self.touch(op, kind, place)

    def replace(self, value: Value, expression: str) -> None:
        """Define a value anew."""
        if self.names[value].startswith("x"):
            self.unit.add(f"{self.names[value]} = {expression};")
            return
        self.names[value] = f"v{self.code()}_"
        self.unit.add(f"let {self.names[value]} = {expression};")

    def touch(self, op: Op, kind: Type, place: str) -> None:
        """The access itself, at a place that is inside."""
        assert op.memory is not None
        text = self.texts[op.memory]
        if op.name == "load":
            self.define(op.result, f"{text.load(kind)}({place})")
        elif op.name == "store":
            self.unit.add(f"{text.store(kind)}({place}, {self.use(op.operands[1])});")
        else:
            name = text.atomic(op.name.removeprefix("atomic_"), kind)
            given = ", ".join(self.use(value) for value in op.operands[1:])
            self.define(op.result, f"{name}({place}, {given})")

    def call(self, op: Op) -> None:
        function = self.module.functions[op.text]
        self.unit.add(f"{self.called(function)}({', '.join(self.use(value) for value in op.operands)});")
        if self.may_end[function.name]:
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

    # Kernels with barriers

    def write_group(self) -> list[str]:
        """Cut the kernel in pieces; gives the statements of ``main`` that run them."""
        self.crossing = frozenset(_crossing(self.kernel.body))
        group = _Group(self)
        group.region(self.kernel.body, ())
        self.finished.append(_VOTE)
        return ["  gb_at = select(GB_GONE, 0u, gb_lane < gb_p.lanes);", *group.lines]


def write_shader(module: Module, kernel: Kernel, group: int, pairs: bool, machine: bool | None = None) -> Shader:
    """The shader of a kernel for a size of group.

    `pairs` holds 64-bit integers as pairs of words; `machine` says whether it is a machine, None: where it must be. Raises
    `DeviceError` where an operation has no form.
    """
    writer = Writer(module, kernel, group, pairs, machine)
    shader = writer.write()
    if writer.is_machine:  # written again: now it is known which values more than one block uses
        shader = Writer(module, kernel, group, pairs, machine, frozenset(writer.crossed)).write()
    return shader


class _Group:
    """What all invocations of a group run: pieces, barriers, and votes on the way."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.lines: list[str] = []
        self.indent = 1
        self.pieces = 0

    def add(self, line: str) -> None:
        self.lines.append("  " * self.indent + line)

    def region(self, region: Region, results: Sequence[Value]) -> None:
        piece: list[Op] = []
        for op in region.operations:
            if op.name != "barrier" and not _has_barrier(op):
                piece.append(op)
                continue
            self.piece(piece, ())
            piece = []
            if op.name == "barrier":
                self.add("storageBarrier(); workgroupBarrier();")
            else:
                self.branch(op)
        self.piece(piece, results)

    def piece(self, operations: list[Op], results: Sequence[Value]) -> None:
        """Straight to a function: a return in it ends the piece."""
        if not operations or (len(operations) == 1 and operations[0].name == "yield" and not results):
            return
        self.pieces += 1
        name = f"gb_piece{self.pieces}"
        body = Region(operations)
        for value in results:
            self.writer.variable(value)
        writer = self.writer
        writer.unit = _Unit()
        writer.inner = []
        if writer.is_machine:
            _Machine(writer).run(body, results)
        else:
            writer.region(body, results)
        writer.finished.append(f"fn {name}() {{\n" + "\n".join(writer.unit.lines) + "\n}\n")
        self.add(f"if gb_at == 0u {{ {name}(); if gb_dead {{ gb_at = GB_GONE; }} }}")

    def branch(self, op: Op) -> None:
        if op.name in ("if", "switch"):
            self.cases(op)
        else:
            self.labelled(op)

    def cases(self, op: Op) -> None:
        """Each region for those that take it, where somebody does."""
        writer = self.writer
        waits, joins = writer.code(), writer.code()
        chosen = writer.private(f"c{writer.code()}", "u32")
        for value in op.results:
            writer.variable(value)
        way = f"select(1u, 0u, {writer.use(op.operands[0])})" if op.name == "if" else writer.choice(op)
        self.add(f"if gb_at == 0u {{ {chosen} = {way}; }}")
        for place, region in enumerate(op.regions):
            self.add(f"if gb_at == 0u && {chosen} != {place}u {{ gb_at = {waits}u; }}")
            self.add("if gb_anyone(gb_at == 0u) {")
            self.indent += 1
            self.region(region, op.results)
            self.indent -= 1
            self.add("}")
            self.add(f"if gb_at == 0u {{ gb_at = {joins}u; }}")
            self.add(f"if gb_at == {waits}u {{ gb_at = 0u; }}")
        self.add(f"if gb_at == {joins}u {{ gb_at = 0u; }}")

    def labelled(self, op: Op) -> None:
        writer = self.writer
        label = writer.labels[op.label] = _Label(op, writer.code(), writer.code())
        for value in op.results:
            writer.variable(value)
        if op.name == "block":
            self.region(op.regions[0], op.results)
        else:
            writer.unit = _Unit()
            writer.assign(op.regions[0].parameters, op.operands)
            self.add("if gb_at == 0u {")
            self.lines += [f"{'  ' * self.indent}{line}" for line in writer.unit.lines]
            self.add("}")
            self.add("loop {")
            self.indent += 1
            self.add("if !gb_anyone(gb_at == 0u) { break; }")
            self.region(op.regions[0], ())
            self.add(f"if gb_at == {label.again}u {{ gb_at = 0u; }}")
            self.indent -= 1
            self.add("}")
        self.add(f"if gb_at == {label.leave}u {{ gb_at = 0u; }}")
        del writer.labels[op.label]


class _Machine:
    """A body as straight blocks with a tree of branches around them."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.blocks: list[list[str]] = []
        self.labels: dict[str, tuple[Op, int, int]] = {}
        self.state = writer.private(f"s{writer.code()}", "u32")
        self.requests: dict[str, int] = {}
        """Accesses by their statement, in order of number, from 1."""

    def run(self, body: Region, results: Sequence[Value] = ()) -> None:
        """Write the body into the writer's unit; its ``yield`` sets `results` and returns."""
        writer, outer = self.writer, self.writer.unit
        self.start(self.new())
        self.region(body, results, None)
        self.finish()
        if len(self.blocks) > MAX_BLOCKS:
            raise DeviceError(
                f"kernel {writer.kernel.name}: {len(self.blocks)} blocks, more than the {MAX_BLOCKS} that a driver compiles"
            )
        writer.unit = outer
        outer.add(f"{self.state} = 0u;")
        with writer.braces("loop"):
            writer.tree(self.state, 0, len(self.blocks), self.leaf)
            if self.requests:
                outer.add("let request = gb_request;")
                outer.add("gb_request = 0u;")
                for statement, number in self.requests.items():
                    outer.add(f"if request == {number}u {{ {statement} }}")

    def leaf(self, place: int) -> None:
        for line in self.blocks[place]:
            self.writer.unit.add(line)

    def new(self) -> int:
        """Number of a new block."""
        self.blocks.append([])
        return len(self.blocks) - 1

    def start(self, block: int) -> None:
        """Write into a block from here on."""
        self.current = block
        self.writer.block += 1
        self.writer.unit = _Unit(indent=0)

    def finish(self) -> None:
        """Keep what was written into the block."""
        self.blocks[self.current] = self.writer.unit.lines

    def go(self, block: int) -> None:
        """End the block: another is next."""
        self.writer.unit.add(f"{self.state} = {block}u;")
        self.finish()

    def region(self, region: Region, results: Sequence[Value], after: int | None) -> None:
        writer = self.writer
        for op in region.operations:
            match op.name:
                case "yield":
                    writer.assign(results, op.operands)
                    if after is None:
                        writer.unit.add("return;")
                    else:
                        writer.unit.add(f"{self.state} = {after}u;")
                case "break" | "continue":
                    self.leave(op)
                case "if" | "switch":
                    self.branch(op)
                case "block" | "loop":
                    self.labelled(op)
                case "load" | "store":
                    self.access(op)
                case _:
                    writer.op(op)
        if region.operations[-1].name not in ("yield", "break", "continue", "return", "trap"):
            writer.unit.add("return;")

    def leave(self, op: Op) -> None:
        writer = self.writer
        if op.label not in self.labels:  # a label of the group
            writer.leave(op)
            return
        target, head, after = self.labels[op.label]
        if op.name == "continue":
            writer.burn(op)
        writer.assign(target.results if op.name == "break" else target.regions[0].parameters, op.operands)
        writer.unit.add(f"{self.state} = {after if op.name == 'break' else head}u;")

    def branch(self, op: Op) -> None:
        writer = self.writer
        blocks = [self.new() for _ in op.regions]
        after = self.new()
        for value in op.results:
            writer.variable(value)
        if op.name == "if":
            writer.unit.add(f"{self.state} = select({blocks[1]}u, {blocks[0]}u, {writer.use(op.operands[0])});")
        else:
            writer.unit.add(f"{self.state} = {blocks[0]}u + {writer.choice(op)};")
        self.finish()
        for block, region in zip(blocks, op.regions, strict=True):
            self.start(block)
            self.region(region, op.results, after)
            self.finish()
        self.start(after)

    def labelled(self, op: Op) -> None:
        writer = self.writer
        head, after = self.new(), self.new()
        for value in op.results:
            writer.variable(value)
        if op.name == "loop":
            writer.assign(op.regions[0].parameters, op.operands)
        self.go(head)
        self.labels[op.label] = (op, head, after)
        self.start(head)
        self.region(op.regions[0], op.results, after)
        self.finish()
        del self.labels[op.label]
        self.start(after)

    def access(self, op: Op) -> None:
        """Check here, and leave the access itself to the one place for its kind."""
        writer, memory = self.writer, op.memory
        assert memory is not None
        kind = op.moved
        writer.held(kind)
        width = kind.bytes // memory.element.bytes if kind is not memory.element else 1
        index, t = writer.use(op.operands[0]), op.operands[0].type.value
        size, text = f"({writer.length(memory)})", writer.texts[memory]
        outside = f"gb_outside(gb_index_{t}({index}), {size}, {width}u)"
        value = writer.private(f"q_{held(kind, writer.pairs).replace('<', '_').replace('>', '')}", writer.held(kind))
        place = f"gb_index_{t}({index})"
        if op.bounds is Bounds.TRAP:
            with writer.braces(f"if {outside}"):
                writer.end(writer.site(op, "", memory), f"gb_words_{t}({index})")
        elif op.bounds is Bounds.CLAMP and op.name == "load":
            place = f"gb_nearest_{t}({index}, max({size}, {width}u) - {width}u)"
        if op.name == "load":
            number = self.request(f"{value} = {text.load(kind)}(gb_index);")
        else:
            number = self.request(f"{text.store(kind)}(gb_index, {value});")
            writer.unit.add(f"{value} = {writer.use(op.operands[1])};")
        writer.unit.add(f"gb_index = {place};")
        if op.bounds is Bounds.CLAMP and op.name == "store":
            writer.unit.add(f"gb_request = select({number}u, 0u, {outside});")
        else:
            writer.unit.add(f"gb_request = {number}u;")
        after = self.new()
        self.go(after)
        self.start(after)
        if op.name == "load":
            if op.bounds is Bounds.CLAMP:
                value = f"select({zero(kind, writer.pairs)}, {value}, {size} >= {width}u)"
            writer.define(op.result, value)

    def request(self, statement: str) -> int:
        self.writer.private("gb_index", "u32")
        self.writer.private("gb_request", "u32")
        return self.requests.setdefault(statement, len(self.requests) + 1)


def _has_barrier(op: Op) -> bool:
    return any(inner.name == "barrier" for region in op.regions for inner in walk(region))


def _crossing(region: Region) -> Iterator[Value]:
    """Values that a region with barriers defines itself: its pieces share them."""
    for op in region.operations:
        yield from op.results
        if _has_barrier(op):
            for inner in op.regions:
                yield from _crossing(inner)


def _float(literal: int | float | bool, kind: Type) -> float:
    """The literal rounded to its type; what is too large for it is infinite."""
    with np.errstate(over="ignore"):
        return float(kind.dtype.type(literal))


_STATE = """const GB_GONE = 0xffffffffu;
var<private> gb_lane: u32;
var<private> gb_local: u32;
var<private> gb_group: u32;
var<private> gb_slot: u32;
var<private> gb_fuel_low: u32;
var<private> gb_fuel_high: u32;
var<private> gb_dead: bool;
var<private> gb_site: u32;
var<private> gb_index_words: vec2<u32>;
var<private> gb_at: u32;
var<private> gb_to: u32;
var<private> gb_printed: u32;

fn gb_outside(index: u32, size: u32, width: u32) -> bool { return size < width || index > size - width; }

fn gb_burn(amount: u32) -> bool {
  if gb_fuel_low < amount {
    if gb_fuel_high == 0u { return true; }
    gb_fuel_high -= 1u;
  }
  gb_fuel_low -= amount;
  return false;
}

fn gb_trap(site: u32, words: vec2<u32>) {
  gb_dead = true;
  gb_site = site;
  gb_index_words = words;
}

// At the lane's end, so that the driver compiles it once. Launches run in parts, the lowest lanes first: a record counts only
// where no part before has one.
fn gb_record() {
  atomicAdd(&gb_out[1], 1u);
  if atomicMin(&gb_out[0], gb_lane) >= gb_p.base {
    let at = (gb_lane - gb_p.base) * 3u;
    gb_records[at] = gb_site; gb_records[at + 1u] = gb_index_words.x; gb_records[at + 2u] = gb_index_words.y;
  }
}
"""

_PRINT = """fn gb_print(site: u32, words: u32) -> u32 {
  let most = arrayLength(&gb_prints);
  gb_printed += 1u;
  if atomicLoad(&gb_prints[0]) < most {
    let at = 2u + atomicAdd(&gb_prints[0], words);
    if at + words <= most {
      atomicStore(&gb_prints[at], gb_lane); atomicStore(&gb_prints[at + 1u], gb_printed);
      atomicStore(&gb_prints[at + 2u], site);
      return at;
    }
  }
  atomicAdd(&gb_prints[1], 1u);
  return 0u;
}
"""

_VOTE = """var<workgroup> gb_votes: array<atomic<u32>, 2>;
var<private> gb_ballot: u32;

// Two words take turns: the one is cleared while nobody reads it.
fn gb_anyone(here: bool) -> bool {
  let other = 1u - gb_ballot;
  if here { atomicStore(&gb_votes[gb_ballot], 1u); }
  workgroupBarrier();
  let found = atomicLoad(&gb_votes[gb_ballot]) == 1u;
  if gb_local == 0u { atomicStore(&gb_votes[other], 0u); }
  workgroupBarrier();
  gb_ballot = other;
  return found;
}
"""
