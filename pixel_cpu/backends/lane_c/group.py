"""Kernels with barriers: a group's chunks go from barrier to barrier, one chunk after another.

What stands between barriers is a *segment*, a loop over the group's chunks. An operation that holds a barrier is uniform, and so
scalar control flow around segments. What lives from one segment to another is kept in a record of the group: uniform values as
C variables, others in an array with a place for each chunk, and each chunk's mask and fuel beside them. Lanes that leave a block
around segments alone, which may happen after its last barrier, are *parked* in a mask of that block until the others are at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...ir.limits import MAX_GROUP
from ...ir.model import Module, Op, Region, Value, walk
from ...ir.types import Type
from ...ir.uniformity import Shape, Uniformity
from .emit import Emitter
from .forms import SCALAR, lanes_of, literal

NO_LINE, GROUP_END = 0, -1
"""In place of a line where a timeline is told of a barrier without one, and of the end of a group."""


@dataclass
class Segment:
    """Operations between barriers, and what their end brings where."""

    operations: list[Op] = field(default_factory=list)
    onto: tuple[Value, ...] = ()
    brings: tuple[Value, ...] = ()
    burns: Op | None = None
    """A ``continue``, whose fuel is taken here."""
    leaves: str = ""
    """The C label that follows."""
    counted: int = 0
    """Operations at its end that belong to no segment."""
    barrier: Op | None = None
    """What it ends at."""


@dataclass
class Around:
    """An operation that holds segments."""

    op: Op
    number: int
    inside: list[list[Segment | Around]] = field(default_factory=list)


Items = list[Segment | Around]


class Group:
    """Emits a kernel with barriers."""

    def __init__(self, emitter: Emitter) -> None:
        self.e = emitter
        self.chunks = -(-MAX_GROUP // (emitter.width * emitter.registers))
        self.around: set[Op] = set()
        self.labels: dict[str, Around] = {}
        self.constants = [op for op in walk(emitter.kernel.body) if op.name == "const"]
        self._find_around()
        self.items = self.divide(emitter.kernel.body, ())
        self.parking = self._find_parking(self.items)
        emitter.parking = {label: (around.number, around.op.results) for label, around in self.parking.items()}
        self.ways_out = ["group_done"]
        """Where to go when no lane runs: ends of blocks that lanes wait for, from outside in."""
        self.crossing = self._find_crossing()
        for value in self.crossing:
            emitter.id(value)  # numbered in this order
        emitter.shared_scalars = {value for value in self.crossing if self.is_uniform(value)}
        emitter.kept = {value: f"x{emitter.id(value)}" for value in self.crossing if not self.is_uniform(value)}

    def is_uniform(self, value: Value) -> bool:
        """Whether a value is the same in the whole group."""
        return self.e.shapes.shape(value) is Shape.UNIFORM

    def _find_around(self) -> None:
        kernel = self.e.kernel
        outer = [op for op in walk(kernel.body) if op.regions]
        uniformity = Uniformity(Module({kernel.name: kernel}), kernel, has_functions=False)
        size = -1
        while size != len(self.around):
            size = len(self.around)
            labels = {op.label for op in self.around if op.label}
            for op in outer:
                if any(
                    inner.name == "barrier"
                    or (
                        inner.name in ("break", "continue")
                        and inner.label in labels
                        and uniformity.is_uniform_at(inner)
                    )
                    for region in op.regions
                    for inner in walk(region)
                ):
                    self.around.add(op)

    def _find_parking(self, items: Items) -> dict[str, Around]:
        found: dict[str, Around] = {}
        for item in items:
            if isinstance(item, Segment):
                leaving = {op.label for op in walk(Region(item.operations)) if op.name == "break"}
                found.update((label, self.labels[label]) for label in sorted(leaving & set(self.labels)))
                continue
            for inside in item.inside:
                found |= self._find_parking(inside)
        return found

    def divide(self, region: Region, results: tuple[Value, ...]) -> Items:
        """Segments of a region and what stands around further ones."""
        items: Items = []
        segment = Segment()
        for op in region.operations:
            outside = op.name in ("barrier", "yield", "break", "continue") or op in self.around
            segment.counted += outside
            if op.name == "barrier":
                segment.barrier = op
                items.append(segment)
                segment = Segment()
            elif op in self.around:
                around = Around(op, self.e.number())
                if op.name == "loop":
                    segment.onto, segment.brings = op.regions[0].parameters, op.operands
                items += [segment, around]
                segment = Segment()
                self.labels[op.label or f"#{around.number}"] = around
                inner = () if op.name == "loop" else op.results
                around.inside = [self.divide(found, inner) for found in op.regions]
            elif op.name == "yield":
                segment.onto, segment.brings = results, op.operands
            elif op.name in ("break", "continue"):
                target = self.labels[op.label]
                goes_on = op.name == "continue"
                segment.onto = target.op.regions[0].parameters if goes_on else target.op.results
                segment.brings = op.operands
                segment.burns = op if goes_on else None
                segment.leaves = f"{'again' if goes_on else 'end'}{target.number}"
            else:
                segment.operations.append(op)
        items.append(segment)
        return items

    def _find_crossing(self) -> dict[Value, None]:
        home: dict[Value, Segment | None] = dict.fromkeys(op.result for op in self.constants)
        found: set[Value] = set()
        self._find_homes(self.items, home, found)
        self._find_uses(self.items, home, found)
        found -= {op.result for op in self.constants}
        found -= set(self.e.kernel.parameters)
        # In the program's order, so that a program makes one text.
        return dict.fromkeys(value for value in in_order(self.e.kernel.body) if value in found)

    def _find_homes(self, items: Items, home: dict[Value, Segment | None], found: set[Value]) -> None:
        for item in items:
            if isinstance(item, Segment):
                home.update((value, item) for value in defined(item.operations))
                continue
            found.update(item.op.results)
            found.update(value for region in item.op.regions for value in region.parameters)
            for inside in item.inside:
                self._find_homes(inside, home, found)

    def _find_uses(self, items: Items, home: dict[Value, Segment | None], found: set[Value]) -> None:
        for item in items:
            if isinstance(item, Segment):
                found.update(value for value in used(item) if home.get(value) is not item)
                found.update(value for value in item.brings if self.is_uniform(value))
                continue
            found.update(item.op.operands)
            for inside in item.inside:
                self._find_uses(inside, home, found)

    # Emission

    def variables(self) -> None:
        """Emit what all segments see."""
        for op in self.constants:
            assert op.literal is not None
            kind = op.result.type
            self.e.emit(f"const {SCALAR[kind]} {self.e.scalar(op.result)} = {literal(op.literal, kind)};")
        for value in sorted(self.e.shared_scalars, key=self.e.id):
            self.e.emit(f"{SCALAR[value.type]} {self.e.scalar(value)} = 0;")

    def record(self) -> str:
        """The type of what is kept for a group."""
        e, lines = self.e, [f"gb_bits b[{self.chunks}];"]
        lines += [f"gb_bits parked{around.number}[{self.chunks}];" for around in self.parking.values()]
        if e.has_fuel:
            lines.append(f"int64_t spare[{self.chunks}];")
        if e.has_parted_fuel:
            lines.append(f"int64_t together[{self.chunks}], burned[{self.chunks}][CHUNK]; vu f[{self.chunks}][R];")
        for value, name in e.kept.items():
            if e.is_varying(value):
                lines.append(f"{lanes_of(value.type)} {name}[{self.chunks}][{e.units(value.type)}];")
            else:
                lines.append(f"{_stored(value.type)} {name}[{self.chunks}];")
        return "typedef struct { " + " ".join(lines) + " } gb_record;"

    def body(self) -> None:
        """Emit a group's way through the kernel."""
        e = self.e
        e.emit("for (uint32_t c = 0, local0 = 0; local0 < size; c++, local0 += CHUNK) {")
        e.emit("const uint32_t left = size - local0;")
        e.emit("K->b[c] = left >= CHUNK ? ALL : ((gb_bits)1 << left) - 1;")
        for around in self.parking.values():
            e.emit(f"K->parked{around.number}[c] = 0;")
        if e.has_parted_fuel:
            e.emit("K->spare[c] = L->fuel < 1 << 30 ? L->fuel : 1 << 30; K->together[c] = 0;")
            e.emit(
                "__builtin_memset(K->burned[c], 0, sizeof K->burned[c]); __builtin_memset(K->f[c], 0, sizeof K->f[c]);"
            )
        elif e.has_fuel:
            e.emit("K->spare[c] = L->fuel;")
        e.emit("}")
        self.sequence(self.items)
        e.emit("group_done:;")
        self.phase(GROUP_END)

    def phase(self, line: int) -> None:
        """Tell a timeline that a group has come to a barrier of a line of the source, or to its end."""
        if self.e.counts:
            self.e.emit(f"if (UNLIKELY(L->phase != 0)) L->phase(group, {line});")

    def sequence(self, items: Items) -> None:
        for item in items:
            if isinstance(item, Segment):
                self.segment(item)
            else:
                getattr(self, f"around_{item.op.name}")(item)

    def around_if(self, item: Around) -> None:
        self.e.emit(f"if ({self.e.scalar(item.op.operands[0])}) {{")
        self.sequence(item.inside[0])
        self.e.emit("} else {")
        self.sequence(item.inside[1])
        self.e.emit("}")

    def around_switch(self, item: Around) -> None:
        (chosen,) = item.op.operands
        self.e.emit(f"switch ({self.e.scalar(chosen)}) {{")
        for place, inside in enumerate(item.inside):
            cases = item.op.cases
            self.e.emit(f"case {literal(cases[place], chosen.type)}: {{" if place < len(cases) else "default: {")
            self.sequence(inside)
            self.e.emit("} break;")
        self.e.emit("}")

    def around_block(self, item: Around) -> None:
        is_waited_for = item.op.label in self.parking
        if is_waited_for:
            self.ways_out.append(f"end{item.number}")
        self.sequence(item.inside[0])
        self.e.emit(f"end{item.number}:;")
        if is_waited_for:
            self.ways_out.pop()
            self.e.emit("{ gb_bits any = 0; for (uint32_t c = 0; c * CHUNK < size; c++) {")
            self.e.emit(f"any |= K->b[c] |= K->parked{item.number}[c]; K->parked{item.number}[c] = 0;")
            self.e.emit(f"}} if (!any) goto {self.ways_out[-1]}; }}")

    def around_loop(self, item: Around) -> None:
        self.e.emit("for (;;) {")
        self.sequence(item.inside[0])
        self.e.emit(f"again{item.number}:; }}")
        self.e.emit(f"end{item.number}:;")

    def segment(self, segment: Segment) -> None:
        e = self.e
        moves = list(zip(segment.onto, segment.brings, strict=True))
        lasting = [move for move in moves if not self.is_uniform(move[0])]
        if segment.operations or lasting or segment.burns or (e.counts and segment.counted):
            self.chunk_loop(segment, lasting)
        if segment.barrier:
            e.count("BARRIERS", "1")
            self.phase(segment.barrier.line or NO_LINE)
        e.emit("{")
        uniform = [move for move in moves if self.is_uniform(move[0])]
        for place, (target, value) in enumerate(uniform):
            e.emit(f"const {SCALAR[target.type]} t{place} = {e.scalar(value)};")
        for place, (target, _) in enumerate(uniform):
            e.emit(f"{e.scalar(target)} = t{place};")
        e.emit("}")
        if segment.leaves:
            e.emit(f"goto {segment.leaves};")

    def chunk_loop(self, segment: Segment, moves: Sequence[tuple[Value, Value]]) -> None:
        e, number = self.e, self.e.number()
        e.emit("{ gb_bits any = 0;")
        e.emit("for (uint32_t c = 0, local0 = 0; local0 < size; c++, local0 += CHUNK) {")
        e.emit("const uint32_t lane0 = group0 + local0; gb_bits b0 = K->b[c]; if (!b0) continue;")
        e.emit("char *const pm = privates + c * PRIVATE_BYTES; (void)pm; (void)lane0;")
        e.each("vi m0_# = gb_expand(b0, #);")
        if e.has_fuel:
            e.emit("int64_t spare = K->spare[c];")
        if e.has_parted_fuel:
            e.emit("int64_t together = K->together[c], *const burned = K->burned[c];")
            e.each("vu f_# = K->f[c][#];")
        own = set(defined(segment.operations))
        for value in sorted(used(segment) - own, key=e.id):
            if value in e.kept:
                self.bring(value)
        with e.under(0, f"segment{number}"):
            e.region(Region(segment.operations))
            e.count_instructions(segment.counted)
            if segment.burns:
                e.burn(segment.burns)
            for target, value in moves:
                self.store(target, value)
        e.emit(f"segment{number}:; K->b[c] = b0; any |= b0;")
        if e.has_fuel:
            e.emit("K->spare[c] = spare;")
        if e.has_parted_fuel:
            e.emit("K->together[c] = together;")
            e.each("K->f[c][#] = f_#;")
        e.emit(f"}} if (!any) goto {self.ways_out[-1]}; }}")

    def bring(self, value: Value) -> None:
        """Read a value that another segment kept."""
        e, name = self.e, self.e.kept[value]
        if not e.is_varying(value):
            e.emit(f"const {SCALAR[value.type]} {e.scalar(value)} = K->{name}[c];")
            return
        for unit in range(e.units(value.type)):
            e.emit(f"const {lanes_of(value.type)} {e.name(value, unit)} = K->{name}[c][{unit}];")

    def store(self, target: Value, value: Value) -> None:
        """Keep a value in the place of `target`."""
        is_waited_for = any(target in around.op.results for around in self.parking.values())
        self.e.keep_as(target, value, masked=is_waited_for)


def _stored(kind: Type) -> str:
    return "uint8_t" if kind is Type.BOOL else SCALAR[kind]


def in_order(region: Region) -> Iterator[Value]:
    """Values that a region defines, with the regions inside."""
    for op in walk(region):
        yield from op.results
        for inner in op.regions:
            yield from inner.parameters


def defined(operations: Sequence[Op]) -> set[Value]:
    """Values that operations define, with their regions."""
    return set(in_order(Region(list(operations))))


def used(segment: Segment) -> set[Value]:
    """Values that a segment reads."""
    found = set(segment.brings)
    for op in walk(Region(segment.operations)):
        found.update(op.operands)
    return found
