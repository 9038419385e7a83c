"""Random valid modules of WebAssembly, over all instructions, that end soon.

A module has a memory, globals of each type, a table and functions; a function calls those before it, through the table the first ones
only; with `asks` also an imported one. With `recursion` it calls any, to a depth that a global counts. Loops count their rounds. The bits of a NaN, which the specification leaves open, never reach an integer or the memory.
"""

from __future__ import annotations

import random

from pixel_cpu.frontends.wasm.numeric import NUMERIC
from pixel_cpu.frontends.wasm.opcodes import BY_NAME, OPCODES

TYPES = ("i32", "i64", "f32", "f64")
_TRAPPING = [
    name for name in NUMERIC if name.startswith(("i32.trunc_f", "i64.trunc_f")) or ".div_" in name or ".rem_" in name
]
_FLOATS = ("0", "-0", "1", "-1.5", "inf", "-inf", "nan", "0.1")
_EDGES = {
    "i32": ("0", "1", "-1", "2", "7", "31", "0x7fffffff", "-0x80000000", "255", "65535", "-129"),
    "i64": ("0", "1", "-1", "63", "0x7fffffffffffffff", "-0x8000000000000000", "0xffffffff", "-0x80000001"),
    "f32": (*_FLOATS, "0x1p31", "-0x1p63", "0x1p-149", "0x1.fffffep127", "2.5"),
    "f64": (*_FLOATS, "0x1p32", "-0x1p31", "0x1p-1074", "0x1.fffffffffffffp1023", "3.5"),
}
_NUMERIC_TO: dict[str, list[str]] = {kind: [] for kind in TYPES}
for _name in NUMERIC:
    _NUMERIC_TO[BY_NAME[_name].results[0].value].append(_name)
ASK = "(param i32 i64) (result i64)"
"""The type of the function that modules import which ask."""
_LOADS = {
    kind: [op.name for op in OPCODES.values() if op.access_bytes and op.results and op.name[:3] == kind]
    for kind in TYPES
}
_STORES = [op.name for op in OPCODES.values() if op.access_bytes and not op.results]


class Generator:
    """Makes the text of a module from a seed; `functions` says what is exported: names and types of parameters.

    A `plain` one changes no tables and drops no segments.
    """

    def __init__(
        self, seed: int, functions: int = 6, *, recursion: bool = False, asks: bool = False, plain: bool = False
    ) -> None:
        self.rng = random.Random(seed)
        self.types = [(self._kinds(0, 3), self._kinds(0, 2)) for _ in range(functions)]
        self.recursion, self.asks, self.plain = recursion, asks, plain
        self.functions: dict[str, tuple[str, ...]] = {}
        self.leaves = min(2, functions)
        """Functions that the table holds: they call nothing through it."""

    def _kinds(self, least: int, most: int) -> tuple[str, ...]:
        return tuple(self.rng.choices(TYPES, (4, 2, 2, 2), k=self.rng.randint(least, most)))

    def text(self) -> str:
        """The module."""
        parts = [self.function(number) for number in range(len(self.types))]
        held = " ".join(f"$f{number}" for number in range(self.leaves))
        data = "".join(f"\\{self.rng.randrange(256):02x}" for _ in range(64))
        parts += [
            '(memory (export "memory") 1 3)',
            f'(data (i32.const {self.rng.randrange(200)}) "{data}")',
            f'(data $passive "{data[:60]}")',
            "(table $table 6 8 funcref)",
            f"(elem (i32.const 1) {held} {held}{' $ask' if self.asks else ''})",
            f"(elem $items func {held})",
            *(
                f'(global $g{kind} (export "g{kind}") (mut {kind}) ({kind}.const {self.rng.choice(_EDGES[kind])}))'
                for kind in TYPES
            ),
            "(global $depth (mut i32) (i32.const 0))",
        ]
        if self.asks:
            parts.insert(0, f'(import "env" "ask" (func $ask {ASK}))')
        return "(module\n" + "\n".join(parts) + ")"

    def function(self, number: int) -> str:
        """A function, which calls those with smaller numbers."""
        self.number = number
        parameters, results = self.types[number]
        own = self._kinds(2, 4)
        self.locals = [*parameters, *own]
        self.counters: list[int] = []
        self.loops: list[tuple[str, int]] = []
        self.blocks: list[tuple[str, tuple[str, ...]]] = []
        self.names = 0
        self.budget = self.rng.choice((12, 30, 60))
        body = self.statements(0)
        body += [self.expression(kind, 2) for kind in results]
        self.functions[f"f{number}"] = parameters
        declared = "".join(f"(local {kind})" for kind in own) + "(local i32)" * len(self.counters)
        head = "".join(f"(param {kind})" for kind in parameters) + "".join(f"(result {kind})" for kind in results)
        return f'(func $f{number} (export "f{number}") {head} {declared}\n  ' + "\n  ".join(body) + ")"

    def name(self) -> str:
        self.names += 1
        return f"$b{self.names}"

    def counter(self) -> int:
        self.counters.append(len(self.locals) + len(self.counters))
        return self.counters[-1]

    # Statements

    def statements(self, depth: int) -> list[str]:
        return [self.statement(depth) for _ in range(self.rng.randint(1, 5))]

    def statement(self, depth: int) -> str:
        self.budget -= 1
        choices = [self.set_local, self.set_local, self.set_global, self.store, self.drop]
        if self.asks and self.local_of("i64") is not None:
            choices += [self.ask]
        if self.budget > 0 and depth < 5:
            choices += [self.recur, self.recur] if self.recursion else []
            choices += [self.if_, self.loop, self.block, self.switch, self.call, self.bulk, self.several, self.leave]
        return self.rng.choice(choices)(depth)

    def set_local(self, depth: int) -> str:
        place = self.rng.randrange(len(self.locals))
        return f"(local.set {place} {self.expression(self.locals[place], 3)})"

    def set_global(self, depth: int) -> str:
        kind = self.rng.choice(TYPES)
        return f"(global.set $g{kind} {self.expression(kind, 3)})"

    def ask(self, depth: int) -> str:
        """A call of the imported function, sometimes through the table, where another one may be by then."""
        operands = f"{self.expression('i32', 2)} {self.expression('i64', 2)}"
        target = f"call_indirect $table {ASK}" if self.rng.random() < 0.2 else "call $ask"
        through = "(i32.const 5)" if "indirect" in target else ""
        return f"(local.set {self.local_of('i64')} ({target} {operands} {through}))"

    def drop(self, depth: int) -> str:
        return f"(drop {self.expression(self.rng.choice(TYPES), 3)})"

    def address(self) -> str:
        found = self.expression("i32", 2)
        return (
            found
            if self.rng.random() < 0.03
            else f"(i32.and {found} (i32.const {self.rng.choice((255, 1023, 0xFFF8))}))"
        )

    def offset(self) -> str:
        return self.rng.choice(("", "", "offset=1", "offset=8", "offset=300"))

    def store(self, depth: int) -> str:
        name = self.rng.choice(_STORES)
        kind = name[:3]
        return f"({name} {self.offset()} {self.address()} {self.number_of(kind, 2)})"

    def number_of(self, kind: str, depth: int) -> str:
        """An expression that is no NaN."""
        found = self.expression(kind, depth)
        if kind[0] == "i":
            return found
        place = self.local_of(kind)
        if place is None:
            return f"({kind}.convert_i32_s {self.expression('i32', depth)})"
        return f"(select (local.tee {place} {found}) ({kind}.const 1.5) ({kind}.eq (local.get {place}) (local.get {place})))"

    def local_of(self, kind: str) -> int | None:
        found = [place for place, each in enumerate(self.locals) if each == kind]
        return self.rng.choice(found) if found else None

    def condition(self) -> str:
        return self.expression("i32", 2)

    def if_(self, depth: int) -> str:
        name = self.name()
        self.blocks.append((name, ()))
        then, other = (" ".join(self.statements(depth + 1)) for _ in range(2))
        self.blocks.pop()
        return f"(if {name} {self.condition()} (then {then})" + (
            f" (else {other}))" if self.rng.random() < 0.6 else ")"
        )

    def block(self, depth: int) -> str:
        name = self.name()
        self.blocks.append((name, ()))
        body = " ".join(self.statements(depth + 1))
        self.blocks.pop()
        return f"(block {name} {body})"

    def loop(self, depth: int) -> str:
        name, place = self.name(), self.counter()
        self.loops.append((name, place))
        body = " ".join(self.statements(depth + 1))
        self.loops.pop()
        again = self.again(name, place)
        start = f"(local.set {place} (i32.const 0))" if len(self.loops) < 2 else ""
        return f"{start} (loop {name} {body} {again})"

    def again(self, name: str, place: int) -> str:
        count = f"(local.tee {place} (i32.add (local.get {place}) (i32.const 1)))"
        return f"(br_if {name} (i32.lt_u {count} (i32.const {self.rng.randint(1, 4)})))"

    def leave(self, depth: int) -> str:
        ways = []
        if self.blocks:
            ways.append(lambda: f"(br_if {self.rng.choice(self.blocks)[0]} {self.condition()})")
            ways.append(lambda: f"(if {self.condition()} (then (br {self.rng.choice(self.blocks)[0]})))")
        if self.loops:
            ways.append(lambda: self.again(*self.rng.choice(self.loops)))
        results = self.types[self.number][1]
        ways.append(
            lambda: f"(if {self.condition()} (then (return {' '.join(self.expression(each, 1) for each in results)})))"
        )
        if self.rng.random() < 0.1:
            ways.append(lambda: f"(if (i32.eqz {self.condition()}) (then unreachable))")
        return self.rng.choice(ways)()

    def switch(self, depth: int) -> str:
        names = [self.name() for _ in range(self.rng.randint(1, 4))]
        order = self.rng.choices(range(len(names)), k=self.rng.randint(1, 6))
        chosen = f"(i32.and {self.condition()} (i32.const 7))" if self.rng.random() < 0.8 else self.condition()
        text = f"(br_table {' '.join(names[each] for each in order)} {chosen})"
        for name in reversed(names):
            text = f"(block {name} {text} )"
            inner = self.statement(depth + 1)
            text = f"{text} {inner}"
        return f"(block {text})"

    def several(self, depth: int) -> str:
        """A block that takes and gives several values."""
        kinds = [kind for kind in self.rng.choices(TYPES, k=2) if self.local_of(kind) is not None]
        if len(kinds) < 2:
            return self.drop(depth)
        first, second = kinds
        name = self.name()
        body = f"(local.set {self.local_of(second)})"
        body += f"(br_if {name} {self.expression(second, 1)} {self.condition()})"
        if self.rng.random() < 0.5:
            body += f"(local.set {self.local_of(second)}) {self.expression(second, 1)}"
        word = self.rng.choice(("block", "block", "loop"))
        if word == "loop":
            body = f"(local.set {self.local_of(second)}) {self.expression(second, 1)}"
        kind = f"(param {first} {second}) (result {first} {second})"
        start = f"{self.expression(first, 2)} {self.expression(second, 2)}"
        end = f"(local.set {self.local_of(second)}) (local.set {self.local_of(first)})"
        return f"{start} ({word} {name} {kind} {body}) {end}"

    def call(self, depth: int) -> str:
        found = self.call_of(None)
        if found is None:
            return self.drop(depth)
        text, results = found
        return text + " drop" * len(results)

    def recur(self, depth: int) -> str:
        """A call of any function, unless calls are deep already."""
        if self.loops:
            return self.call(depth)
        chosen = self.rng.randrange(len(self.types))
        parameters, results = self.types[chosen]
        operands = " ".join(self.expression(each, 1) for each in parameters)
        # Inside a function of the table a call through it may come back as well.
        through = chosen < self.leaves and self.rng.random() < 0.5
        head = "".join(f"(param {each})" for each in parameters) + "".join(f"(result {each})" for each in results)
        text = (
            f"(call_indirect $table {head} {operands} (i32.const {chosen + 1}))"
            if through
            else f"(call $f{chosen} {operands})"
        )
        for kind in reversed(results):
            place = self.local_of(kind)
            text += " drop" if place is None else f" (local.set {place})"
        deeper, back = (
            f"(global.set $depth (i32.{word} (global.get $depth) (i32.const 1)))" for word in ("add", "sub")
        )
        return f"(if (i32.lt_u (global.get $depth) (i32.const 2)) (then {deeper} {text} {back}))"

    def call_of(self, kind: str | None) -> tuple[str, tuple[str, ...]] | None:
        """A call of an earlier function, whose only result is of a kind where that is stated."""
        if len(self.loops) > 1:
            return None
        those = [each for each in range(self.number) if kind is None or self.types[each][1] == (kind,)]
        if not those:
            return None
        chosen = self.rng.choice(those)
        parameters, results = self.types[chosen]
        operands = " ".join(self.expression(each, 1) for each in parameters)
        if chosen < self.leaves <= self.number and self.rng.random() < 0.6:
            index = self.rng.choice((f"(i32.const {chosen + 1})", f"(i32.const {chosen + 3})", self.slot()))
            head = "".join(f"(param {each})" for each in parameters) + "".join(f"(result {each})" for each in results)
            return f"(call_indirect $table {head} {operands} {index})", results
        return f"(call $f{chosen} {operands})", results

    def slot(self) -> str:
        return f"(i32.and {self.condition()} (i32.const 7))"

    def bulk(self, depth: int) -> str:
        def small(most: int) -> str:
            return f"(i32.and {self.expression('i32', 1)} (i32.const {most}))"

        table = lambda name, most=1: f"({name} {small(3)} {small(3)} {small(most)})"  # noqa: E731
        ways = [
            lambda: f"(memory.fill {small(1023)} {self.expression('i32', 1)} {small(31)})",
            lambda: f"(memory.copy {small(63)} {small(63)} {small(63)})",
            lambda: f"(memory.init $passive {small(1023)} {small(15)} {small(3)})",
            lambda: "(data.drop $passive)" if self.rng.random() < 0.2 else "(nop)",
            lambda: table("table.copy"),
            lambda: table("table.init $items"),
            lambda: f"(table.fill {small(3)} {self.reference()} {small(3)})",
            lambda: f"(table.set {small(3)} {self.reference()})",
            lambda: "(elem.drop $items)" if self.rng.random() < 0.2 else "(nop)",
        ]
        return self.rng.choice(ways[:2] if self.plain else ways)()

    def reference(self) -> str:
        return self.rng.choice(
            ("(ref.null func)", f"(ref.func $f{self.rng.randrange(self.leaves)})", f"(table.get {self.slot()})")
        )

    # Expressions

    def expression(self, kind: str, depth: int) -> str:
        if depth <= 0 or self.rng.random() < 0.2:
            return self.leaf(kind)
        ways = [self.numeric] * 6 + [self.load, self.select, self.tee, self.value_block, self.called]
        if kind == "i32":
            ways.append(self.of_state)
        return self.rng.choice(ways)(kind, depth)

    def leaf(self, kind: str) -> str:
        place = self.local_of(kind)
        if place is not None and self.rng.random() < 0.6:
            return f"(local.get {place})"
        if self.rng.random() < 0.2:
            return f"(global.get $g{kind})"
        if kind[0] == "i" and self.rng.random() < 0.4:
            return f"({kind}.const {self.rng.randint(-20, 300)})"
        return f"({kind}.const {self.rng.choice(_EDGES[kind])})"

    def numeric(self, kind: str, depth: int) -> str:
        name = self.rng.choice(_NUMERIC_TO[kind])
        if name in _TRAPPING and self.rng.random() < 0.6:
            name = self.rng.choice([each for each in _NUMERIC_TO[kind] if each not in _TRAPPING])
        kinds = [each.value for each in BY_NAME[name].operands or ()]
        operands = [self.expression(each, depth - 1) for each in kinds]
        if "reinterpret_f" in name or "copysign" in name:
            operands[-1] = self.number_of(kinds[-1], depth - 1)
        if name in _TRAPPING and len(operands) == 2 and self.rng.random() < 0.9:
            operands[1] = f"({kind}.or {operands[1]} ({kind}.const 1))"
        return f"({name} {' '.join(operands)})"

    def load(self, kind: str, depth: int) -> str:
        return f"({self.rng.choice(_LOADS[kind])} {self.offset()} {self.address()})"

    def select(self, kind: str, depth: int) -> str:
        typed = self.rng.choice(("", f"(result {kind})"))
        first, second = (self.expression(kind, depth - 1) for _ in range(2))
        return f"(select {typed} {first} {second} {self.expression('i32', depth - 1)})"

    def tee(self, kind: str, depth: int) -> str:
        place = self.local_of(kind)
        value = self.expression(kind, depth - 1)
        return value if place is None else f"(local.tee {place} {value})"

    def value_block(self, kind: str, depth: int) -> str:
        first, second = (self.expression(kind, depth - 1) for _ in range(2))
        name = self.name()
        if self.rng.random() < 0.5:
            return f"(if {name} (result {kind}) {self.expression('i32', 1)} (then {first}) (else {second}))"
        branch = f"(drop (br_if {name} {first} {self.expression('i32', 1)}))"
        if self.rng.random() < 0.3:
            branch = f"(if {self.expression('i32', 1)} (then (br {name} {first})))"
        return f"(block {name} (result {kind}) {branch} {second})"

    def called(self, kind: str, depth: int) -> str:
        found = self.call_of(kind) if self.rng.random() < 0.3 else None
        return found[0] if found else self.leaf(kind)

    def of_state(self, kind: str, depth: int) -> str:
        ways = (
            "(memory.size)",
            f"(memory.grow (i32.and {self.expression('i32', 1)} (i32.const 1)))",
            "(table.size)",
            f"(ref.is_null (table.get {self.slot()}))",
            f"(table.grow {self.reference()} (i32.and {self.expression('i32', 1)} (i32.const 1)))",
        )
        count = 2 if self.plain else len(ways)
        return self.rng.choices(ways[:count], (3, 1, 2, 1, 1)[:count])[0]
