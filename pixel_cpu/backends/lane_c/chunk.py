"""What a chunk of lanes is in C: how values, masks and variables are called, and how lanes become an array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from ...ir.model import Kernel, Memory, Op, Space, Value, walk
from ...ir.types import Type
from ...ir.uniformity import Shape
from .forms import SCALAR, Forms, lanes_of
from .shapes import Shapes


@dataclass
class Chunk:
    """The state of emission for one kernel without calls. `width` lanes times `registers` are a chunk; width 1 is scalar C."""

    kernel: Kernel
    width: int
    registers: int
    sites: dict[Op, int]
    counts: bool = False
    """Whether the code counts what it does."""
    lines: list[str] = field(default_factory=list)
    forms: Forms = field(default_factory=Forms)

    def __post_init__(self) -> None:
        self.is_scalar = self.width == 1
        self.ids: dict[Value, int] = {}
        self.mask, self.guard = 0, "done"
        self.counter = 0
        self.shared_scalars: set[Value] = set()
        """Uniform values that are declared outside of the chunk."""
        self.kept: dict[Value, str] = {}
        """Where values of a chunk lie that live across a barrier, by value; see `group`."""
        self.blocked = set() if self.is_scalar else has_wide_accesses(self.kernel)

    @cached_property
    def shapes(self) -> Shapes:
        """How the kernel's values differ between lanes."""
        return Shapes(self.kernel)

    # Names

    def emit(self, line: str) -> None:
        """Append a line of C."""
        self.lines.append(line)

    def number(self) -> int:
        """A number that no other mask or label has."""
        self.counter += 1
        return self.counter

    def id(self, value: Value) -> int:
        """The number in a value's names."""
        return self.ids.setdefault(value, len(self.ids))

    def shape(self, value: Value) -> Shape:
        """How the lanes of a chunk differ; the only lane of scalar C does not."""
        return Shape.UNIFORM if self.is_scalar else self.shapes.shape(value)

    def is_varying(self, value: Value) -> bool:
        return self.shape(value) is Shape.VARYING

    def units(self, kind: Type) -> int:
        """Vectors that hold a value of a kind."""
        return self.registers * (2 if kind.bits == 64 else 1)

    def scalar(self, value: Value) -> str:
        """The value where it is uniform; of a linear one that of the chunk's first lane."""
        return f"s{self.id(value)}"

    def part(self, value: Value, unit: int) -> str:
        """The vector of a value in one unit."""
        lanes = lanes_of(value.type)
        if self.shape(value) is Shape.VARYING:
            return f"v{self.id(value)}_{unit}"
        name = self.scalar(value) if value.type is not Type.BOOL else f"-(int32_t){self.scalar(value)}"
        if self.shape(value) is Shape.UNIFORM:
            return f"gb_splat_{lanes}({name})"
        return f"(gb_splat_{lanes}({name}) + ({lanes})(gb_lane_numbers + {unit * self.width}))"

    def half(self, value: Value, unit: int, *, as_mask: bool) -> str:
        """Half a register of a 32-bit value, as wide as 64-bit lanes where it is a mask beside them."""
        if self.shape(value) is Shape.UNIFORM and not as_mask and value.type is not Type.BOOL:
            return f"gb_splat_{lanes_of(value.type, half=True)}({self.scalar(value)})"
        found = f"gb_{'high' if unit % 2 else 'low'}({self.part(value, unit // 2)})"
        return f"gb_widen({found})" if as_mask else found

    def name(self, value: Value, unit: int) -> str:
        return f"v{self.id(value)}_{unit}" if self.is_varying(value) else self.scalar(value)

    # Masks

    def each(self, text: str) -> None:
        """Emit a line for each register: ``#`` is its number."""
        if not self.is_scalar:
            self.emit(" ".join(text.replace("#", str(r)) for r in range(self.registers)))

    def bits_of(self, text: str) -> str:
        """Bits of a chunk's mask, ``#`` the register."""
        return " | ".join(
            f"(gb_movemask({text.replace('#', str(r))}) << {r * self.width})" for r in range(self.registers)
        )

    def clear(self) -> None:
        """No lane of the mask goes on here."""
        self.each(f"m{self.mask}_# = (vi){{0}};")
        self.emit(f"b{self.mask} = 0;")

    def leave(self) -> None:
        """The lanes of the mask are gone from here."""
        self.clear()
        self.emit(f"goto {self.guard};")

    def keep_bits(self, bits: str) -> None:
        """The mask is what `bits` says, some of the lanes that it was."""
        self.emit(f"b{self.mask} = {bits};")
        self.each(f"m{self.mask}_# = gb_expand(b{self.mask}, #);")
        self.emit(f"if (!b{self.mask}) goto {self.guard};")

    def count(self, what: str, number: str) -> None:
        """Add to a counter, where the kernel counts."""
        if self.counts:
            self.emit(f"k[{what}] += {number};")

    def count_instructions(self, number: int = 1) -> None:
        """Operations that the lanes of the mask come to."""
        if self.counts and number:
            self.emit(f"k[INSTRUCTIONS] += {number} * gb_count(b{self.mask}); k[SLOTS] += {number} * CHUNK;")

    @contextmanager
    def under(self, mask: int, guard: str) -> Iterator[None]:
        """Emit under another mask, whose lanes meet again at `guard`."""
        outer = self.mask, self.guard
        self.mask, self.guard = mask, guard
        yield
        self.mask, self.guard = outer

    # Variables

    def declare(self, values: Iterable[Value], prefix: str = "") -> None:
        """Variables that several places assign."""
        for value in values:
            if self.is_varying(value):
                names = ", ".join(f"{prefix}v{self.id(value)}_{unit} = {{0}}" for unit in range(self.units(value.type)))
                self.emit(f"{lanes_of(value.type)} {names};")
            elif prefix or value not in self.shared_scalars:
                self.emit(f"{SCALAR[value.type]} {prefix}{self.scalar(value)} = 0;")

    def assign(self, onto: Sequence[Value], values: Sequence[Value], mask: int | None, prefix: str = "") -> None:
        """Give variables new values: in the lanes of a mask, or whatever the others then have."""
        for target, value in zip(onto, values, strict=True):
            if not self.is_varying(target):
                self.emit(f"{prefix}{self.scalar(target)} = {self.scalar(value)};")
                continue
            for unit in range(self.units(target.type)):
                name, new = f"{prefix}v{self.id(target)}_{unit}", self.part(value, unit)
                self.emit(f"{name} = {new if mask is None else self.choose(f'm{mask}', target.type, unit, new, name)};")

    def choose(self, mask: str, kind: Type, unit: int, new: str, old: str) -> str:
        """`new` in the lanes of a mask, else `old`."""
        if kind.bits == 64:
            mask = f"gb_widen(gb_{'high' if unit % 2 else 'low'}({mask}_{unit // 2}))"
        else:
            mask = f"{mask}_{unit}"
        return f"gb_select({mask}, {new}, {old})"

    def copy_next(self, parameters: Sequence[Value]) -> None:
        """A loop's parameters become what was brought for its next way round."""
        for value in parameters:
            if self.is_varying(value):
                for unit in range(self.units(value.type)):
                    self.emit(f"v{self.id(value)}_{unit} = nv{self.id(value)}_{unit};")
            else:
                self.emit(f"{self.scalar(value)} = n{self.scalar(value)};")

    def define_scalar(self, value: Value, expression: str) -> None:
        """Define a uniform or linear value."""
        kind = "" if value in self.shared_scalars else f"const {SCALAR[value.type]} "
        self.emit(f"{kind}{self.scalar(value)} = {expression};")

    def define_unit(self, value: Value, unit: int, expression: str) -> None:
        lanes = lanes_of(value.type)
        self.emit(f"const {lanes} v{self.id(value)}_{unit} = ({lanes})({expression});")

    def keep(self, value: Value) -> None:
        """Store a value that lives across a barrier."""
        self.keep_as(value, value)

    def keep_as(self, target: Value, value: Value, *, masked: bool = False) -> None:
        """Store a value in the place of `target`; `masked`: lanes that are not there keep what they have there."""
        name = self.kept[target]
        if not self.is_varying(target):
            self.emit(f"K->{name}[c] = {self.scalar(value)};")
            return
        for unit in range(self.units(target.type)):
            place, part = f"K->{name}[c][{unit}]", self.part(value, unit)
            if masked:
                part = self.choose(f"m{self.mask}", target.type, unit, part, place)
            self.emit(f"{place} = {part};")

    # Lanes as arrays

    def slots(self, values: Sequence[Value]) -> list[str]:
        """Expressions, in terms of ``lane``, that give values as 64 bits; varying ones are stored to arrays first."""
        found = []
        for place, value in enumerate(values):
            kind = value.type
            if self.shape(value) is Shape.UNIFORM:
                self.emit(f"const {SCALAR[kind]} o{place} = {self.scalar(value)};")
                name = f"o{place}"
            else:
                self.spill(value, f"o{place}")
                name = f"o{place}[lane]"
            bits = {Type.F32: Type.U32, Type.F64: Type.U64}.get(kind)
            if bits:
                name = self.forms.scalar("bitcast", [name], kind, bits)
            found.append(f"(uint64_t)(int64_t){name}" if kind.is_signed else f"(uint64_t){name}")
        return found

    def spill(self, value: Value, name: str) -> None:
        """Declare an array of a chunk's lanes."""
        element = "uint8_t" if value.type is Type.BOOL else SCALAR[value.type]
        self.emit(f"{element} {name}[CHUNK] __attribute__((aligned(64)));")
        self.put(value, f"(char *){name}")

    def put(self, value: Value, to: str, *, masked: bool = False, shared: bool = False) -> None:
        """Store a chunk's lanes one after another.

        `masked`: lanes that are not there keep what they have there. `shared`: others may change the memory meanwhile.
        """
        kind, word = value.type, "gb_set" if shared else "gb_put"
        if self.is_scalar:
            element = "uint8_t" if kind is Type.BOOL else SCALAR[kind]
            self.emit(f"{word}({element}, {to}, {self.scalar(value)});")
            return
        for unit, old in self.fetched(value, to):
            lanes, part = lanes_of(kind), self.part(value, unit)
            if masked:
                part = self.choose(f"m{self.mask}", kind, unit, part, old)
            if kind is Type.BOOL:
                lanes, part = "b_u8", f"__builtin_convertvector({part} & 1, b_u8)"
            elif kind.bits < 32:
                lanes, part = f"b_{kind.value}", f"__builtin_convertvector({part}, b_{kind.value})"
            self.emit(f"{word}({lanes}, {to} + {unit * self.unit_bytes(kind)}, {part});")

    def unit_bytes(self, kind: Type) -> int:
        """Bytes of a unit's elements in memory."""
        return self.width * kind.bytes // (2 if kind.bits == 64 and not self.is_scalar else 1)

    def fetched(self, value: Value, at: str, *, shared: bool = False) -> Iterator[tuple[int, str]]:
        """Expressions that read a chunk's lanes, one after another in memory, for each unit of a value; `shared` as for `put`."""
        kind, word = value.type, "gb_get" if shared else "gb_at"
        if self.is_scalar:
            element = "uint8_t" if kind is Type.BOOL else SCALAR[kind]
            yield 0, f"{word}({element}, (const char *){at}){' != 0' if kind is Type.BOOL else ''}"
            return
        for unit in range(self.units(kind)):
            where = f"(const char *){at} + {unit * self.unit_bytes(kind)}"
            if kind is Type.BOOL:
                yield unit, f"(vi)(__builtin_convertvector({word}(b_u8, {where}), vi) != 0)"
            elif kind.bits < 32:
                yield unit, f"__builtin_convertvector({word}(b_{kind.value}, {where}), {lanes_of(kind)})"
            else:
                yield unit, f"{word}({lanes_of(kind)}, {where})"


def has_wide_accesses(kernel: Kernel) -> set[Memory]:
    """Byte memories of a lane that wider types are moved through: their lanes lie one after another, not interleaved."""
    found = set()
    for op in walk(kernel.body):
        if op.memory is not None and op.memory.space is Space.PRIVATE and op.name in ("load", "store"):
            kind = op.moved
            if kind.bytes > op.memory.element.bytes:
                found.add(op.memory)
    return found
