"""A kernel as C: a function that runs groups, with the lanes of a chunk in vectors.

Uniform values are C scalars and uniform branches C branches. Others run under a mask: variables ``m3_0 m3_1 ...`` of lanes, one
for each register, and ``b3``, the same as bits. Code runs only where some lane of its mask is there; a place where lanes may have
left is followed by a jump to the end of the region in which they meet again, if none is left.

=========================  ==============================================================================
in the program             here
=========================  ==============================================================================
``if`` that parts lanes    both sides, each under its part of the mask, or both unmasked and a select
``loop`` that parts them   a mask of its own; lanes that break are collected; until no lane goes round again
other branches and loops   the same in C
``barrier``                the end of a loop over the group's chunks (see `group`)
=========================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ...ir.model import Bounds, Op, Region, Value, walk
from ...ir.operations import OPERATIONS
from ...ir.types import Type
from ...ir.uniformity import Shape
from . import access
from .chunk import Chunk
from .forms import SCALAR, is_wide, lanes_of, literal, wrapped
from .shapes import continues_of, is_left_inside

SELECT_COST = 12
"""Operations of both sides of a branch, at most, for both to be computed without one."""


@dataclass
class Target:
    """A block or loop that is open."""

    op: Op
    number: int
    is_split: bool
    mask: int
    """Mask of what stands around it."""
    inner: int
    """Mask of the region."""
    is_masked: bool = False
    """Whether lanes go round again from more than one place, or one after another from a loop inside."""


@dataclass
class Yields:
    """Where a region's ``yield`` goes."""

    results: tuple[Value, ...] = ()
    mask: int | None = None
    """Mask under which the results are changed; None: whatever."""


@dataclass
class Emitter(Chunk):
    """Emits operations of one kernel, without calls."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.targets: dict[str, Target] = {}
        self.yields = Yields()
        self.parking: dict[str, tuple[int, tuple[Value, ...]]] = {}
        """Number and results of blocks around segments, by label, for whose ends lanes leave a segment."""
        self.has_barriers = any(op.name == "barrier" for op in walk(self.kernel.body))
        continues = [op for op in walk(self.kernel.body) if op.name == "continue"]
        self.has_fuel = bool(continues)
        self.has_parted_fuel = not self.is_scalar and any(map(self.shapes.is_parted, continues))

    @contextmanager
    def yielding(self, results: tuple[Value, ...], mask: int | None) -> Iterator[None]:
        outer = self.yields
        self.yields = Yields(results, mask)
        yield
        self.yields = outer

    # Operations

    def region(self, region: Region) -> None:
        """Emit a region; where its lanes go is what `yields` and `targets` say."""
        for op in region.operations:
            self.count_instructions()
            getattr(self, f"op_{op.name}", self.value)(op)
            for result in op.results:
                if result in self.kept:
                    self.keep(result)

    def value(self, op: Op) -> None:
        """An operation that depends on its operands alone."""
        if op.is_access:
            access.emit(self, op)
            return
        kinds = [operand.type for operand in op.operands]
        kind = kinds[0] if op.name != "select" else kinds[1]
        result = op.result
        # Floats of buffers are read as often as the compiler likes; an index that is made of them is made once.
        is_made = not result.type.is_float and any(each.is_float for each in kinds)
        if not self.is_varying(result):
            operands = [self.scalar(operand) for operand in op.operands]
            expression = self.forms.scalar(op.name, operands, kind, result.type)
            self.define_scalar(result, f"gb_once_{SCALAR[result.type]}({expression})" if is_made else expression)
            return
        wide = is_wide([*kinds, result.type])
        found: list[str] = []
        for unit in range(self.registers * (2 if wide else 1)):
            operands = [self.operand(operand, unit, wide) for operand in op.operands]
            expression = self.forms.vector(op.name, operands, kinds, kind, result.type)
            if not wide or result.type.bits == 64:
                self.define_unit(result, unit, self.computed(result, wrapped(expression, result.type), once=is_made))
            else:
                name = f"h{self.id(result)}_{unit}"
                mask = f"gb_narrow({expression})" if result.type is Type.BOOL else expression
                self.emit(f"const {lanes_of(result.type, half=True)} {name} = {mask};")
                found.append(name)
        for unit in range(len(found) // 2):
            joined = f"gb_cat({found[2 * unit]}, {found[2 * unit + 1]})"
            self.define_unit(result, unit, self.computed(result, wrapped(joined, result.type), once=is_made))

    @staticmethod
    def computed(result: Value, expression: str, *, once: bool) -> str:
        """An expression of one unit; `once`: it is never computed again."""
        lanes = lanes_of(result.type)
        return f"gb_once_{lanes}(({lanes})({expression}))" if once else expression

    def operand(self, value: Value, unit: int, wide: bool) -> str:
        if not wide or value.type.bits == 64:
            return self.part(value, unit)
        return self.half(value, unit, as_mask=value.type is Type.BOOL)

    def op_const(self, op: Op) -> None:
        assert op.literal is not None
        if self.has_barriers:
            return  # defined for all segments already
        self.define_scalar(op.result, literal(op.literal, op.result.type))

    def op_length(self, op: Op) -> None:
        assert op.memory is not None
        self.define_scalar(op.result, f"(uint32_t){access.length(self, op.memory)}")

    def identity(self, op: Op) -> None:
        """Lane, local and group numbers; of the first lane of the chunk."""
        names = {
            "global_id": "lane0",
            "local_id": "local0",
            "group_id": "(uint32_t)group",
            "group_size": "L->group",
            "group_count": "(uint32_t)L->groups",
            "lane_count": "L->lanes",
        }
        self.define_scalar(op.result, names[op.name])

    op_global_id = op_local_id = op_group_id = op_group_size = op_group_count = op_lane_count = identity

    # Control

    def op_yield(self, op: Op) -> None:
        self.assign(self.yields.results, op.operands, self.yields.mask)

    def op_if(self, op: Op) -> None:
        (condition,) = op.operands
        if self.is_varying(condition):
            masks = [f"m{self.mask}_# & {self.part_of(condition)}", f"m{self.mask}_# & ~{self.part_of(condition)}"]
            if self.is_cheap(op):
                self.both_sides(op, condition)
            else:
                self.part_lanes(op, masks)
            return
        self.declare(op.results)
        self.count("BRANCHES", "1")
        self.emit(f"if ({self.scalar(condition)}) {{")
        for place, region in enumerate(op.regions):
            with self.yielding(op.results, None):
                self.region(region)
            self.emit("} else {" if place == 0 else "}")

    def part_of(self, value: Value) -> str:
        """A varying 32-bit value, ``#`` for the register."""
        return f"v{self.id(value)}_#"

    def op_switch(self, op: Op) -> None:
        (chosen,) = op.operands
        if self.shape(chosen) is Shape.UNIFORM:
            self.declare(op.results)
            self.count("BRANCHES", "1")
            self.emit(f"switch ({self.scalar(chosen)}) {{")
            for place, region in enumerate(op.regions):
                word = f"case {literal(op.cases[place], chosen.type)}" if place < len(op.cases) else "default"
                self.emit(f"{word}: {{")
                with self.yielding(op.results, None):
                    self.region(region)
                self.emit("} break;")
            self.emit("}")
            return
        number = self.number()
        masks: list[str] = []
        rest = f"m{self.mask}_#"
        for place, case in enumerate(op.cases):
            for r in range(self.registers):
                self.emit(f"const vi c{number}_{place}_{r} = {self.equals(chosen, r, literal(case, chosen.type))};")
            masks.append(f"m{self.mask}_# & c{number}_{place}_#")
            rest += f" & ~c{number}_{place}_#"
        self.part_lanes(op, [*masks, rest])

    def equals(self, value: Value, register: int, number: str) -> str:
        if value.type.bits == 32:
            return f"(vi)({self.part(value, register)} == {number})"
        low, high = (self.part(value, 2 * register + side) for side in range(2))
        return f"gb_cat(gb_narrow({low} == {number}), gb_narrow({high} == {number}))"

    def is_cheap(self, op: Op) -> bool:
        """Whether both sides of a branch do nothing but compute a little."""
        inside = [inner for region in op.regions for inner in region.operations]
        return (
            not self.counts
            and len(inside) <= SELECT_COST
            and all(
                inner.name in ("yield", "const", "length")
                or (OPERATIONS[inner.name].effect in ("value", "id") and not OPERATIONS[inner.name].is_costly)
                for inner in inside
            )
        )

    def both_sides(self, op: Op, condition: Value) -> None:
        for region in op.regions:
            for inner in region.operations[:-1]:
                getattr(self, f"op_{inner.name}", self.value)(inner)
        ends = [region.operations[-1].operands for region in op.regions]
        if any(region.operations[-1].name != "yield" for region in op.regions):
            raise AssertionError("a cheap branch yields")
        for result, one, other in zip(op.results, *ends, strict=True):
            for unit in range(self.units(result.type)):
                new, old = self.part(one, unit), self.part(other, unit)
                chosen = self.choose(f"v{self.id(condition)}", result.type, unit, new, old)
                self.define_unit(result, unit, chosen)

    def part_lanes(self, op: Op, masks: Sequence[str]) -> None:
        """Run each region of a branch under its part of the mask."""
        self.declare(op.results)
        numbers = []
        for text in masks:
            number = self.number()
            numbers.append(number)
            self.each(f"vi m{number}_# = {text};")
            self.emit(f"gb_bits b{number} = {self.bits_of(f'm{number}_#')};")
        self.count("BRANCHES", "1")
        self.count("DIVERGENT", f"{' + '.join(f'!!b{number}' for number in numbers)} > 1")
        for place, (region, number) in enumerate(zip(op.regions, numbers, strict=True)):
            self.emit(f"if (b{number}) {{")
            with self.under(number, f"end{number}"), self.yielding(op.results, number if place else None):
                self.region(region)
            self.emit(f"}} end{number}:;")
        if any(may_leave(region) for region in op.regions):
            self.each(f"m{self.mask}_# = {' | '.join(f'm{number}_#' for number in numbers)};")
            self.emit(f"b{self.mask} = {' | '.join(f'b{number}' for number in numbers)};")
            self.emit(f"if (!b{self.mask}) goto {self.guard};")

    def op_block(self, op: Op) -> None:
        number, is_split = self.number(), not self.is_scalar and self.shapes.is_split(op)
        self.declare(op.results)
        if is_split:
            self.each(f"vi m{number}_# = {{0}};")
            self.emit(f"gb_bits b{number} = 0;")
        self.targets[op.label] = Target(op, number, is_split, self.mask, self.mask)
        self.emit("{")
        guard = f"end{number}" if is_split else self.guard
        with self.under(self.mask, guard), self.yielding(op.results, self.mask if is_split else None):
            self.region(op.regions[0])
        self.emit(f"}} end{number}:;")
        del self.targets[op.label]
        if is_split:
            self.each(f"m{self.mask}_# |= m{number}_#;")
            self.emit(f"b{self.mask} |= b{number};")
        if not self.is_scalar and may_leave(op.regions[0]):
            self.emit(f"if (!b{self.mask}) goto {self.guard};")

    def op_loop(self, op: Op) -> None:
        parameters = op.regions[0].parameters
        self.declare([*op.results, *parameters])
        self.declare(parameters, "n")
        self.assign(parameters, op.operands, None)
        if self.is_scalar or not self.shapes.is_split(op):
            self.common_loop(op)
        else:
            self.split_loop(op)

    def target(self, op: Op, number: int) -> Target:
        """A block or loop that lanes leave together."""
        return Target(op, number, False, self.mask, self.mask)

    def common_loop(self, op: Op) -> None:
        """A loop that the lanes of the mask go round together, and leave together."""
        number = self.number()
        self.targets[op.label] = self.target(op, number)
        self.emit(f"for (;;) {{ const gb_bits came{number} = b{self.mask}; (void)came{number};")
        self.count("BRANCHES", "1")
        self.region(op.regions[0])
        self.emit(f"again{number}:;")
        self.count("DIVERGENT", f"came{number} != b{self.mask}")
        self.copy_next(op.regions[0].parameters)
        self.emit(f"}} end{number}:;")
        del self.targets[op.label]

    def split_loop(self, op: Op) -> None:
        left, inner = self.number(), self.number()
        is_masked = len(continues_of(op, op.regions[0])) > 1 or is_left_inside(op)
        self.each(f"vi m{left}_# = {{0}}; vi m{inner}_# = m{self.mask}_#; vi a{inner}_# = {{0}};")
        self.emit(f"gb_bits b{left} = 0, b{inner} = b{self.mask}, ab{inner} = 0;")
        self.targets[op.label] = Target(op, left, True, self.mask, inner, is_masked)
        self.emit(f"for (;;) {{ const gb_bits came{left} = b{inner}; (void)came{left};")
        self.count("BRANCHES", "1")
        with self.under(inner, f"again{left}"):
            self.region(op.regions[0])
        self.emit(f"again{left}:;")
        self.each(f"m{inner}_# |= a{inner}_#; a{inner}_# = (vi){{0}};")
        self.emit(f"b{inner} |= ab{inner}; ab{inner} = 0;")
        self.emit(f"if (!b{inner}) break;")
        self.count("DIVERGENT", f"came{left} != b{inner}")
        self.copy_next(op.regions[0].parameters)
        self.emit("}")
        del self.targets[op.label]
        self.each(f"m{self.mask}_# = m{left}_#;")
        self.emit(f"b{self.mask} = b{left};")
        self.emit(f"if (!b{self.mask}) goto {self.guard};")

    def op_break(self, op: Op) -> None:
        if op.label in self.parking:
            number, results = self.parking[op.label]
            for place, value in zip(results, op.operands, strict=True):
                if place in self.kept:
                    self.keep_as(place, value, masked=True)
                else:
                    self.emit(f"{self.scalar(place)} = {self.scalar(value)};")
            self.emit(f"K->parked{number}[c] |= b{self.mask};")
            self.leave()
            return
        target = self.targets[op.label]
        self.assign(target.op.results, op.operands, self.mask if target.is_split else None)
        if not target.is_split:
            self.emit(f"goto end{target.number};")
            return
        self.each(f"m{target.number}_# |= m{self.mask}_#;")
        self.emit(f"b{target.number} |= b{self.mask};")
        self.leave()

    def op_continue(self, op: Op) -> None:
        target = self.targets[op.label]
        self.burn(op)
        parameters = target.op.regions[0].parameters
        self.assign(parameters, op.operands, self.mask if target.is_masked else None, "n")
        if not target.is_split or self.mask == target.inner:
            self.emit(f"goto again{target.number};")
            return
        self.each(f"a{target.inner}_# |= m{self.mask}_#;")
        self.emit(f"ab{target.inner} |= b{self.mask};")
        self.leave()

    def burn(self, op: Op) -> None:
        """Take a lane's fuel; lanes that have none left end here."""
        site = self.sites[op]
        self.emit(f"spare -= {op.fuel};")
        if not self.has_parted_fuel:
            self.emit(f"if (UNLIKELY(spare < 0)) {{ gb_trap_all(L, lane0, b{self.mask}, {site}, 0);")
            self.leave()
            self.emit("}")
            return
        if not self.shapes.is_parted(op):
            self.emit(f"together += {op.fuel};")
        elif op.fuel == 1:
            self.each(f"f_# -= (vu)m{self.mask}_#;")
        else:
            self.each(f"f_# += (vu)m{self.mask}_# & {op.fuel}u;")
        self.emit("if (UNLIKELY(spare < 0)) { uint32_t f_all[CHUNK]; int64_t spare_now;")
        self.each(f"gb_put(vu, f_all + # * {self.width}, f_#); f_# = (vu){{0}};")
        self.emit(
            f"gb_bits spent = gb_refuel(L, lane0, b{self.mask}, {site}, together, burned, f_all, &spare_now);"
            " spare = spare_now; if (spent) {"
        )
        self.keep_bits(f"b{self.mask} & ~spent")
        self.emit("} }")

    def op_return(self, op: Op) -> None:
        del op
        self.leave()

    def op_trap(self, op: Op) -> None:
        self.emit(f"gb_trap_all(L, lane0, b{self.mask}, {self.sites[op]}, 0);")
        self.leave()

    def op_barrier(self, op: Op) -> None:
        """Lanes of one chunk are always together; `group` sees to the others."""

    def op_print(self, op: Op) -> None:
        self.emit("{")
        slots = self.slots(op.operands)
        count = max(len(slots), 1)
        self.emit(f"EACH(lane, b{self.mask}) {{ uint64_t slots[{count}] = {{{', '.join(slots) or '0'}}};")
        self.emit(f"gb_print(L, {self.sites[op]}, lane0 + (uint32_t)lane, {len(slots)}, slots); }} }}")

    def op_host_call(self, op: Op) -> None:
        self.declare(op.results)
        self.emit("{")
        slots = self.slots(op.operands)
        count = max(len(slots), len(op.results), 1)
        for place, result in enumerate(op.results):
            self.emit(f"{SCALAR[result.type]} r{place}[CHUNK];")
            self.emit(f"__builtin_memset(r{place}, 0, sizeof r{place});")
        self.emit(f"EACH(lane, b{self.mask}) {{ uint64_t slots[{count}] = {{{', '.join(slots) or '0'}}};")
        self.emit(f"if (L->host({self.sites[op]}, lane0 + (uint32_t)lane, slots)) {{ L->abort = 1; break; }}")
        for place in range(len(op.results)):
            self.emit(f"__builtin_memcpy(&r{place}[lane], &slots[{place}], sizeof r{place}[0]);")
        self.emit("}")
        self.emit("if (L->abort) {")
        self.leave()
        self.emit("}")
        for place, result in enumerate(op.results):
            for unit, expression in self.fetched(result, f"r{place}"):
                self.emit(f"{self.name(result, unit)} = {expression};")
        self.emit("}")


def may_leave(region: Region) -> bool:
    """Whether lanes that enter a region may not come to its end."""
    return any(
        op.name in ("trap", "break", "continue", "return", "host_call") or (op.is_access and op.bounds is Bounds.TRAP)
        for op in walk(region)
    )
