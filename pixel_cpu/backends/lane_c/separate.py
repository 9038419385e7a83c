"""Kernels whose functions stay functions of C, for one lane after another: what is too large to have its calls in place.

A *machine* is a loop over a ``switch`` with many regions, each of which ends with a jump. Each region is a C function of its own
then, which gives whether the lane goes round again (`_AGAIN`), leaves the loop (`_LEFT`) or has ended (0): so that a compiler's time
grows as the text does, and not with its square.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ...ir.model import Function, Kernel, Memory, Module, Op, Region, Space, Value, reachable, walk
from .emit import Emitter
from .forms import SCALAR, Forms, literal
from .source import Part

LEAST_REGIONS = 16
"""Regions of a machine, at least."""
_AGAIN, _LEFT = 1, 2
_HIDDEN = '__attribute__((visibility("hidden")))'
_UNKNOWN = frozenset({"barrier", "print", "host_call", "local_id", "group_id", "group_size", "group_count"})
_CALL = """typedef struct gb_call { gb_launch *L; char *const *p; const uint64_t *n; int64_t spare; uint32_t lane; } gb_call;"""


def is_separate(module: Module, kernel: Kernel) -> bool:
    """Whether a kernel has a machine, and nothing that needs its calls in place."""
    if any(memory.space is not Space.BUFFER for memory in kernel.memories):
        return False
    has_machine = False
    for body in _bodies(module, kernel):
        for op in walk(body):
            if op.name in _UNKNOWN or op.name.startswith("atomic_"):
                return False
            has_machine |= is_machine(op)
    return has_machine


def _bodies(module: Module, kernel: Kernel) -> list[Region]:
    return [*(function.body for function in reachable(module, kernel)), kernel.body]


def is_machine(op: Op) -> bool:
    """Whether an operation is the ``switch`` of a machine."""
    return (
        op.name == "switch"
        and len(op.regions) >= LEAST_REGIONS
        and op.cases == tuple(range(len(op.cases)))
        and all(
            region.operations[-1].name in ("continue", "break", "trap", "return", "switch") for region in op.regions
        )
    )


def separate_sites(module: Module, kernel: Kernel) -> list[Op]:
    """The operations that may end a lane, in the order of the numbers by which the C code names them."""
    return [
        op
        for body in _bodies(module, kernel)
        for op in walk(body)
        if op.name in ("trap", "continue") or op.memory is not None
    ]


def separate_part(
    module: Module,
    kernel: Kernel,
    sites: Sequence[Op],
    only: Collection[int] | None = None,
    *,
    is_addition: bool = False,
    first_site: int = 0,
) -> Part:
    """C of a kernel and its functions, for `source`.

    `only` are the regions that are compiled, by number, of its machine: that of the kernel, or of a function that it calls itself. A lane that
    comes to another one ends by the site behind the last of `sites`, before it does anything there. An addition has such regions alone, and its
    ``gb_table`` says where; machines of other functions are whole wherever they are called. Sites are numbered from `first_site` on.
    """
    numbers = {op: number for number, op in enumerate(sites, first_site)}
    functions = {function.name: place for place, function in enumerate(reachable(module, kernel))}
    forms = Forms()
    called = {op.text for op in walk(kernel.body) if op.name == "call"}
    head, lines, apart = [_CALL], ["const uint64_t gb_info[4] = {1, 1, 1, 0};"], list[str]()
    for name, place in functions.items():
        function = module.functions[name]
        unit = _unit(kernel, function, numbers, forms, functions)
        unit.only = only if name in called else None
        is_large = any(map(is_machine, walk(function.body)))
        # What has no machine is small, and may come into the place of its calls.
        body = unit.text(f"{_HIDDEN if is_large else 'static'} int gb_f{place}", function.parameters, function.results)
        if is_large:
            head += [*unit.head, f"{body[0].removesuffix(' {')};"]
            lines += unit.before if is_addition and name in called else [*unit.before, *body]
            apart += unit.apart
        else:
            head += body
    unit = _unit(kernel, kernel, numbers, forms, functions)
    unit.only = only
    body = unit.text("static int gb_lane", kernel.parameters, ())
    head += unit.head
    lines += unit.before if is_addition else [*unit.before, *body]
    apart += unit.apart
    if is_addition:
        return Part(1, 1, forms.helpers, "\n".join(lines), "\n".join(head), tuple(apart))
    given = [f"*(const {SCALAR[each.type]} *)&L->scalars[{place}]" for place, each in enumerate(kernel.parameters)]
    lines += [
        "void gb_kernel(gb_launch *L, char *scratch, uint64_t first, uint64_t last) { (void)scratch;",
        "for (uint64_t unit = first; unit < last; unit++) {",
        "gb_call call = {L, L->buffers, L->lengths, L->fuel, (uint32_t)unit};",
        f"gb_lane({', '.join(['&call', *given])}); }} }}",
    ]
    return Part(1, 1, forms.helpers, "\n".join(lines), "\n".join(head), tuple(apart))


def _unit(
    kernel: Kernel, unit: Function | Kernel, sites: dict[Op, int], forms: Forms, functions: dict[str, int]
) -> Unit:
    own = Kernel(unit.name, (), kernel.memories, unit.body)
    return Unit(own, 1, 1, sites, lines=[], forms=forms, functions=functions)


@dataclass
class Unit(Emitter):
    """Emits one function, and functions for the regions of its machine."""

    functions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.places = {memory: place for place, memory in enumerate(self.kernel.buffers)}
        self.used: dict[Memory, set[int]] = {}
        self.before: list[str] = []
        self.head: list[str] = []
        self.only: Collection[int] | None = None
        self.apart: list[str] = []
        """Functions of the machine's regions."""
        self.machine = ""
        """The label of the machine whose region is emitted."""
        self.texts: dict[Value, str] = {}
        """Values that are written where they are used: literals, and casts of others."""
        self.literals: set[Value] = set()
        self.has_out = False
        self.has_spare = False
        """Whether fuel is in a variable."""

    def text(self, name: str, parameters: Sequence[Value], results: Sequence[object]) -> list[str]:
        """The function's C; `before`, `head` and `apart` have what it needs."""
        taken = [f"{SCALAR[value.type]} {self.scalar(value)}" for value in parameters]
        taken += [f"{SCALAR[kind]} *r{place}" for place, kind in enumerate(results)]  # type: ignore[index]
        return self.function(name, taken, self.kernel.body)

    def function(self, name: str, taken: Sequence[str], region: Region) -> list[str]:
        """C of one function; `name` with what stands before it."""
        outer = self.lines, self.used, self.has_spare, self.has_out
        self.lines, self.used, self.has_out = [], {}, False
        self.has_spare = any(op.name == "continue" and op.label != self.machine for op in walk(region))
        self.region(region)
        head = [f"{name}({', '.join(['gb_call *const X', *taken])}) {{"]
        if self.has_spare:
            head.append("int64_t spare = X->spare;")
        for memory, widths in self.used.items():
            place = self.places[memory]
            head.append(f"char *const p{place} = X->p[{place}]; const uint64_t n{place} = X->n[{place}];")
            head += [
                f"const uint64_t n{place}_{width} = n{place} >= {width} ? n{place} - {width - 1} : 0;"
                for width in sorted(widths - {1})
            ]
        if self.has_out:
            head.append("uint32_t site; uint64_t at;")
            self.emit("out: gb_trap(X->L, X->lane, site, at);")
            self.leave()
        found = [*head, *self.lines, "}"]
        self.lines, self.used, self.has_spare, self.has_out = outer
        return found

    def scalar(self, value: Value) -> str:
        return self.texts.get(value) or super().scalar(value)

    def op_const(self, op: Op) -> None:
        assert op.literal is not None
        self.texts[op.result] = literal(op.literal, op.result.type)
        self.literals.add(op.result)

    def out(self, site: int, at: str) -> str:
        """C that ends the lane by a trap."""
        self.has_out = True
        return f"{{ site = {site}; at = {at}; goto out; }}"

    # Ways out

    def give(self, code: int) -> None:
        """Return from the function of C."""
        self.emit(f"{'X->spare = spare; ' if self.has_spare else ''}return {code};")

    def leave(self) -> None:
        self.give(0)

    def op_return(self, op: Op) -> None:
        for place, value in enumerate(op.operands):
            self.emit(f"*r{place} = {self.scalar(value)};")
        self.give(1)

    def op_trap(self, op: Op) -> None:
        self.emit(self.out(self.sites[op], "0"))

    def burn(self, op: Op) -> None:
        spare = "spare" if self.has_spare else "X->spare"
        self.emit(f"if (UNLIKELY(({spare} -= {op.fuel}) < 0)) {self.out(self.sites[op], '0')}")

    def op_continue(self, op: Op) -> None:
        if op.label == self.machine:
            self.burn(op)
            for place, value in enumerate(op.operands):
                self.emit(f"N->n{place} = {self.scalar(value)};")
            self.give(_AGAIN)
        else:
            super().op_continue(op)

    def op_break(self, op: Op) -> None:
        if op.label == self.machine:
            for place, value in enumerate(op.operands):
                self.emit(f"N->r{place} = {self.scalar(value)};")
            self.give(_LEFT)
        else:
            super().op_break(op)

    # Operations

    def value(self, op: Op) -> None:
        if op.name in ("convert", "bitcast") and op.result.type.is_integer and op.operands[0].type.is_integer:
            self.texts[op.result] = f"(({SCALAR[op.result.type]}){self.scalar(op.operands[0])})"
            return
        if not op.is_access:
            super().value(op)
            return
        assert op.memory is not None
        memory, index, site = op.memory, op.operands[0], self.sites[op]
        place, kind = self.places[memory], op.moved
        self.used.setdefault(memory, set()).add(op.width)
        limit = f"n{place}" if op.width == 1 else f"n{place}_{op.width}"
        at = f"(uint64_t){'(int64_t)' if index.type.is_signed else ''}{self.scalar(index)}"
        if op.bounds.value != "proved":
            self.emit(f"if (UNLIKELY({at} >= {limit})) {self.out(site, at)}")
        element = "uint8_t" if kind.value == "bool" else SCALAR[kind]
        where = f"p{place} + {at} * {memory.element.bytes}"
        if op.results:
            self.define_scalar(op.result, f"gb_get({element}, {where}){' != 0' if kind.value == 'bool' else ''}")
        else:
            self.emit(f"gb_set({element}, {where}, {self.scalar(op.operands[1])});")

    def op_length(self, op: Op) -> None:
        assert op.memory is not None
        self.define_scalar(op.result, f"(uint32_t)X->n[{self.places[op.memory]}]")

    def op_global_id(self, op: Op) -> None:
        self.define_scalar(op.result, "X->lane")

    def op_lane_count(self, op: Op) -> None:
        self.define_scalar(op.result, "X->L->lanes")

    def op_call(self, op: Op) -> None:
        self.declare(op.results)
        operands = [self.scalar(value) for value in op.operands] + [f"&{self.scalar(value)}" for value in op.results]
        if self.has_spare:
            self.emit("X->spare = spare;")
        self.emit(f"if (!gb_f{self.functions[op.text]}({', '.join(['X', *operands])})) return 0;")
        if self.has_spare:
            self.emit("spare = X->spare;")

    def common_loop(self, op: Op) -> None:
        number = self.number()
        self.targets[op.label] = self.target(op, number)
        self.emit("for (;;) {")
        self.region(op.regions[0])
        self.emit(f"again{number}:;")
        self.copy_next(op.regions[0].parameters)
        self.emit(f"}} end{number}:;")
        del self.targets[op.label]

    def op_switch(self, op: Op) -> None:
        loop = next(reversed(self.targets.values()), None)
        if self.machine or loop is None or loop.op.name != "loop" or not is_machine(op):
            super().op_switch(op)
            return
        # Functions of C have names of their own in the whole library.
        number, target = f"{self.functions.get(self.kernel.name, 'k')}_{self.number()}", loop
        carried, left = target.op.regions[0].parameters, target.op.results
        fields = [f"{SCALAR[value.type]} n{place};" for place, value in enumerate(carried)]
        fields += [f"{SCALAR[value.type]} r{place};" for place, value in enumerate(left)]
        # Functions that are compiled apart, by themselves, take the same, whatever they use.
        around = _from_outside(op.regions) if self.only is None else _before(op, target.op.regions[0])
        shared = [value for value in around if value not in self.literals]
        given = ", ".join(["X", "&next", *map(self.scalar, shared)])
        hidden = {value: self.texts.pop(value) for value in shared if value in self.texts}
        taken = [f"gb_next{number} *const N", *(f"const {SCALAR[each.type]} {self.scalar(each)}" for each in shared)]
        self.head.append(f"typedef struct {{ {' '.join(fields)} }} gb_next{number};")
        self.machine = op_label = target.op.label
        count = len(op.cases)
        names = ["0"] * (count + 1)
        for place, region in enumerate(op.regions):
            if self.only is not None and place < count and place not in self.only:
                continue
            names[place] = f"gb_part{number}_{place}"
            name = f"{_HIDDEN} int {names[place]}"
            self.apart.append("\n".join(self.function(name, taken, region)))
        self.machine = ""
        self.texts |= hidden
        types = ", ".join(["gb_call *", f"gb_next{number} *", *(SCALAR[each.type] for each in shared)])
        self.head += [f"{_HIDDEN} int {each}({types});" for each in names if each != "0"]
        if self.only is None:
            table = f"gb_parts{number}"
            self.before.append(f"static int (*const {table}[])({types}) = {{{', '.join(names)}}};")
        else:
            table = "gb_table"
            self.before.append(f"int (*{table}[{count + 1}])({types}) = {{{', '.join(names)}}};")
            self.before.append(f"const uint64_t gb_table_size = {count + 1};")
        chosen = self.scalar(op.operands[0])
        self.emit(f"gb_next{number} next; const uint64_t part = (uint64_t)(int64_t){chosen};")
        if self.has_spare:
            self.emit("X->spare = spare;")
        entry = f"{table}[part < {count} ? part : {count}]"
        if self.only is not None:
            self.emit(f"if (UNLIKELY(!{entry})) {self.out(len(self.sites), '0')}")
        self.emit(f"const int how = {entry}({given});")
        if self.has_spare:
            self.emit("spare = X->spare;")
        self.emit(f"if (how == {_AGAIN}) {{")
        for place, value in enumerate(carried):
            self.emit(f"n{self.scalar(value)} = next.n{place};")
        self.emit(f"goto again{self.targets[op_label].number}; }}")
        self.emit(f"if (how == {_LEFT}) {{")
        for place, value in enumerate(left):
            self.emit(f"{self.scalar(value)} = next.r{place};")
        self.emit(f"goto end{self.targets[op_label].number}; }}")
        self.leave()


def _before(op: Op, region: Region) -> list[Value]:
    """Values that a region defines before one of its operations."""
    found = list(region.parameters)
    for each in region.operations:
        if each is op:
            break
        found += each.results
    return found


def _from_outside(regions: Iterable[Region]) -> list[Value]:
    """Values that regions use and do not define."""
    found: dict[Value, None] = {}
    defined: set[Value] = set()
    for region in regions:
        for op in walk(region):
            found.update(dict.fromkeys(value for value in op.operands if value not in defined))
            defined.update(op.results)
            for inner in op.regions:
                defined.update(inner.parameters)
    return [value for value in found if value not in defined]
