"""C that runs rounds of a loop in place: guest memory by pages, and stores that can be taken back.

`native` makes libraries of it and says what such a kernel promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from tcg_plugin.layout import LEARNED_REGISTERS as REGISTERS

from ..backends.lane_c.emit import Emitter
from ..backends.lane_c.forms import SCALAR
from ..backends.lane_c.source import number_sites
from ..ir.model import Function, Kernel, Op, Region, Value, walk
from ..ir.types import Type
from .bulk import Bulk, find_bulk
from .trips import MOST_ROUNDS, most_rounds

_PAGE_BYTES = 4096
Place = tuple[Value, int]
"""An address: its base, and a number that is added to it."""


class Needed:
    """What a round needs of registers, and what it changes of that."""

    def __init__(self, function: Function) -> None:
        self.head = next(op for op in function.body.operations if op.name == "loop")
        self.parameters = self.head.regions[0].parameters
        at_limit = next(op for op in self.head.regions[0].operations if op.name == "if").regions[0].operations[-1]
        used: set[Value] = set()
        for op in walk(function.body):
            is_again = op.name == "continue" and op.label == self.head.label
            if op not in (at_limit, self.head) and not is_again:
                used |= {*op.operands}
        again = [op for op in walk(self.head.regions[0]) if op.name == "continue" and op.label == self.head.label]
        is_changed = True
        while is_changed:  # what the next round's needs come from is needed
            count = len(used)
            for op in again:
                used |= {value for into, value in zip(self.parameters, op.operands, strict=True) if into in used}
            is_changed = len(used) > count
        self.kept = tuple(value for value in self.parameters[:-1] if value in used)
        used |= {value for into, value in zip(self.parameters, self.head.operands, strict=True) if into in self.kept}
        self.reads = tuple(value.name for value in function.parameters[3:] if value in used)
        self.writes = tuple(value.name for value in self.kept)


def _certain(operations: Iterable[Op]) -> Iterator[Op]:
    """Loads and stores that run whenever the first of these operations does."""
    for op in operations:
        if op.is_access:
            yield op
        elif op.name == "block":
            yield from _certain(op.regions[0].operations)
            return
        elif op.regions and not all(each.operations[-1].name in ("yield", "trap") for each in op.regions):
            return


class RoundEmitter(Emitter):
    """The scalar form of lane C with guest memory by pages, and one way out of everything."""

    def __init__(self, function: Function, needed: Needed) -> None:
        kernel = Kernel("loop", function.parameters, function.memories, function.body)
        super().__init__(kernel, 1, 1, number_sites(kernel))
        self.function, self.needed = function, needed
        self.pointers: dict[Place, tuple[str, int]] = {}
        """Host addresses that are known here, and of how many bytes."""
        self.wanted: dict[Value, dict[int, int]] = {}
        """Bytes that the open region accesses in any case, by base and by what is added to it."""
        self.logged: dict[Place, int] = {}
        """Bytes that this round has noted already, before it stored to them."""
        self.counted: set[str] = set()
        """Loops whose rounds were paid for in front of them."""
        self.has_room = False
        """Whether the log was seen to have room for what the open region stores."""

    @cached_property
    def made(self) -> dict[Value, Op]:
        return {op.results[0]: op for op in walk(self.function.body) if len(op.results) == 1 and not op.regions}

    @cached_property
    def stored_bases(self) -> set[Value]:
        return {self.base_of(op.operands[0]) for op in walk(self.function.body) if op.name == "store"}

    @cached_property
    def bases(self) -> dict[Value, int]:
        """A number for each base."""
        accesses = [op for op in walk(self.function.body) if op.is_access]
        return {
            base: number for number, base in enumerate(dict.fromkeys(self.base_of(op.operands[0]) for op in accesses))
        }

    def base_of(self, address: Value) -> Value:
        """What an address is but for constants added to it."""
        return self.place_of(address)[0]

    def place_of(self, address: Value) -> Place:
        """An address as its base and what is added to that."""
        numbers, offset = {self.function.parameters[0]: 0, **self.constants}, 0
        while (op := self.made.get(address)) is not None and op.name in ("add", "sub"):
            first, second = op.operands
            if second in numbers:
                address, offset = first, offset + numbers[second] * (1 if op.name == "add" else -1)
            elif op.name == "add" and first in numbers:
                address, offset = second, offset + numbers[first]
            else:
                break
        return address, offset % (1 << 64)

    @cached_property
    def constants(self) -> dict[Value, int]:
        return {
            value: int(op.literal) for value, op in self.made.items() if op.name == "const" and op.literal is not None
        }

    @property
    def is_storing(self) -> bool:
        return bool(self.stored_bases)

    def value(self, op: Op) -> None:
        if op.is_access:
            self.access(op)
        else:
            super().value(op)

    def access(self, op: Op) -> None:
        kind, place = op.moved, self.place_of(op.operands[0])
        pointer = self.pointer(place, kind.bytes)
        if op.name == "load":
            self.declare(op.results)
            self.emit(f"{self.scalar(op.result)} = gb_get({SCALAR[kind]}, {pointer});")
        else:
            self.note(place, pointer, kind)
            self.emit(f"gb_set({SCALAR[kind]}, {pointer}, {self.scalar(op.operands[1])});")

    def pointer(self, place: Place, size: int) -> str:
        """Where a place lies in QEMU's memory, which is looked up if it is not known yet."""
        if self.pointers.get(place, ("", 0))[1] < size:
            self.look_up(place[0], {place[1]: size, **self.wanted.get(place[0], {})})
        return self.pointers[place][0]

    def look_up(self, base: Value, sizes: dict[int, int]) -> None:
        """Pointers to places with the same base, of so many bytes by what is added to it, all of which are accessed for certain."""
        number, is_store = self.bases[base], int(base in self.stored_bases)
        signed = sorted((offset - (offset >> 63 << 64), size) for offset, size in sizes.items())
        first, end = signed[0][0], max(offset + size for offset, size in signed)
        names = [f"q{self.number()}" for _ in signed]
        within = f"in <= {_PAGE_BYTES - end + first}" if end - first <= _PAGE_BYTES else "0"
        self.emit(f"uint8_t *{', *'.join(names)}; {{ const uint64_t at = {self.scalar(base)} + {first % (1 << 64)}ull;")
        self.emit(f"const uint64_t in = at - page{number}; if (LIKELY(in < room{number} && {within})) {{")
        self.emit(
            " ".join(
                f"{name} = host{number} + in + {offset - first};"
                for name, (offset, _) in zip(names, signed, strict=True)
            )
        )
        self.emit("} else {")
        for name, (offset, size) in zip(names, signed, strict=True):
            self.emit(f"if (!({name} = gb_look(P, at + {offset - first}, {size}, {is_store}))) goto stop;")
        # All of them are looked up by themselves where they lie in two pages.
        self.emit(
            f"page{number} = at & ~4095ll; host{number} = {names[0]} - (at & 4095); room{number} = {_PAGE_BYTES}; }} }}"
        )
        for name, (offset, size) in zip(names, signed, strict=True):
            self.pointers[base, offset % (1 << 64)] = name, size

    def note(self, place: Place, pointer: str, kind: Type) -> None:
        """What a store replaces, so that it can be taken back; once in a round."""
        if self.logged.get(place, 0) < kind.bytes:
            if not self.has_room:
                self.stop("LONG_ROUND", "UNLIKELY(next == end)")
            self.emit(
                f"*next++ = (gb_store){{(uint64_t){pointer} | {kind.bytes}ull << GB_STORE_BYTES, gb_at({SCALAR[kind]}, {pointer})}};"
            )
            self.logged[place] = kind.bytes

    def prepare(self, loop: Op) -> None:
        """Look up in front of a loop inside what its first round accesses in any case, at addresses that the loop does not change."""
        inside = {value for op in walk(loop.regions[0]) for value in op.results}
        inside |= {
            value for op in (loop, *walk(loop.regions[0])) for region in op.regions for value in region.parameters
        }
        accesses = [op for op in _certain(loop.regions[0].operations) if self.place_of(op.operands[0])[0] not in inside]
        outer, self.wanted = self.wanted, self.sizes(accesses)
        for op in accesses:
            place = self.place_of(op.operands[0])
            pointer = self.pointer(place, op.moved.bytes)
            if op.name == "store":
                self.note(place, pointer, op.moved)
        self.wanted = outer

    def sizes(self, accesses: Iterable[Op]) -> dict[Value, dict[int, int]]:
        """Bytes that are accessed, by base and by what is added to it."""
        found: dict[Value, dict[int, int]] = {}
        for op in accesses:
            base, offset = self.place_of(op.operands[0])
            of_base = found.setdefault(base, {})
            of_base[offset] = max(of_base.get(offset, 0), op.moved.bytes)
        return found

    def stop(self, reason: str, condition: str = "") -> None:
        code = f"{{ P->reason = GB_REASON_{reason}; goto stop; }}"
        self.emit(f"if ({condition}) {code}" if condition else code)

    def op_return(self, op: Op) -> None:
        del op
        self.stop("LEFT")

    def op_trap(self, op: Op) -> None:
        del op
        self.stop("FAULT")

    def burn(self, op: Op) -> None:
        if op.label != self.needed.head.label and op.label not in self.counted:
            self.stop("LONG_ROUND", f"UNLIKELY((fuel -= {op.fuel}) < 0)")

    def common_loop(self, op: Op) -> None:
        bulk = find_bulk(op, self.function.parameters[0], self.constants)
        if bulk is not None:
            self.bulk(bulk)
        elif op is not self.needed.head:
            self.prepare(op)
            most = most_rounds(op, self.place_of, self.made, self.constants)
            if most is not None:
                self.counted.add(op.label)
                fuel = max((each.fuel for each in walk(op.regions[0]) if each.label == op.label), default=1)
                self.stop("LONG_ROUND", f"UNLIKELY((fuel -= {most * fuel}) < 0)")
                with self.room(op.regions[0], most):
                    super().common_loop(op)
                return
        had_room, self.has_room = self.has_room, False
        super().common_loop(op)
        self.has_room = had_room

    @contextmanager
    def room(self, region: Region, rounds: int = 1) -> Iterator[None]:
        """See once that the log has room for all that a region stores so many times; inside of it nobody looks again."""
        stores = rounds * sum(op.name == "store" for op in walk(region))
        had_room = self.has_room
        if not had_room and 1 < stores <= MOST_ROUNDS and not any(op.name == "loop" for op in walk(region)):
            self.stop("LONG_ROUND", f"UNLIKELY(end - next < {stores})")
            self.has_room = True
        yield
        self.has_room = had_room

    def bulk(self, bulk: Bulk) -> None:
        """As many elements as pages have room for, eight bytes at a time; the loop does the rest."""
        count, target = self.scalar(bulk.count), self.scalar(bulk.target)
        source = self.scalar(bulk.source) if bulk.source else "0"
        value = f"gb_spread({self.scalar(bulk.value)}, {bulk.bytes})" if bulk.source is None else "0"
        self.emit(
            f"for (uint64_t did; {count} >= {8 // bulk.bytes}; {count} -= did, {target} += did * {bulk.bytes}) {{"
        )
        places = f"{target}, {int(bulk.source is not None)}, {source}, {value}, {count}, {bulk.bytes}"
        self.emit(f"did = gb_bulk(P, next, end, {places}); next += did * {bulk.bytes} / 8;")
        self.emit("if (!did) break;")
        if bulk.source:
            self.emit(f"{source} += did * {bulk.bytes};")
        self.stop("LONG_ROUND", "UNLIKELY((fuel -= (int64_t)(did / 16 + 1)) < 0)")
        self.emit("}")

    def region(self, region: Region) -> None:
        if region is self.needed.head.regions[0] and self.is_storing:
            self.emit("if (!keeps) next = log; before = next;")
        known = self.pointers.copy(), self.logged.copy(), self.wanted
        self.wanted = self.sizes(_certain(region.operations))
        with self.room(region):
            super().region(region)
        self.pointers, self.logged, self.wanted = known

    def text(self) -> list[str]:
        """The function."""
        shift, head, limit, *registers = self.function.parameters
        self.emit("static uint64_t gb_run(uint64_t *r, gb_pages *P, uint64_t gb_head, uint64_t gb_most) {")
        self.emit("gb_bits b0 = 1; int64_t fuel = P->fuel; gb_store *const log = P->log, *next = log, *before = log;")
        self.emit("gb_store *const end = log + P->most_stores; const uint32_t keeps = P->keeps;")
        self.emit("(void)b0; (void)log; (void)fuel; (void)end; (void)keeps;")
        for value, code in ((shift, "0"), (head, "gb_head"), (limit, "gb_most")):
            self.emit(f"const uint64_t {self.scalar(value)} = {code}; (void){self.scalar(value)};")
        for value in registers:
            # What is not needed goes nowhere.
            code = f"r[{REGISTERS.index(value.name)}]" if value.name in self.needed.reads else "0"
            self.emit(f"const {SCALAR[value.type]} {self.scalar(value)} = {code}; (void){self.scalar(value)};")
        for number in self.bases.values():
            self.emit(f"uint64_t page{number} = 0, room{number} = 0; uint8_t *host{number} = 0;")
        super().region(self.function.body)
        self.emit("done: stop:;")
        self.emit("while (next > before) gb_restore(--next);")
        self.emit("P->stores = (uint32_t)(next - log); P->fuel = fuel;")
        for value in self.needed.kept:
            self.emit(f"r[{REGISTERS.index(value.name)}] = {self.scalar(value)};")
        self.emit(f"return {self.scalar(self.needed.parameters[-1])}; }}")
        return self.lines


HELPERS = """static inline uint8_t *gb_find(gb_pages *P, uint64_t page, uint32_t is_store) {
  gb_page *found = &P->found[is_store][page >> 12 & (GB_CACHED_PAGES - 1)];
  if (found->address != page) {
    uint8_t *host = P->find(P, page, is_store);
    if (!host) return 0;
    found->address = page, found->host = host;
  }
  return found->host;
}
static inline uint64_t gb_spread(uint64_t value, unsigned bytes) {
  return bytes == 8 ? value : (value & (((uint64_t)1 << 8 * bytes) - 1)) * (~(uint64_t)0 / (((uint64_t)1 << 8 * bytes) - 1));
}
static inline uint64_t gb_least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t gb_bulk(gb_pages *P, gb_store *log, const gb_store *end, uint64_t at, int copies, uint64_t from, uint64_t value,
                               uint64_t count, unsigned bytes) {
  const uint64_t in = at & 4095, out = from & 4095;
  uint64_t length = gb_least(count < 4096 ? count * bytes : 4096, gb_least(4096 - in, copies ? 4096 - out : 4096));
  length = gb_least(length, (uint64_t)(end - log) * 8) & ~(uint64_t)7;
  if (!length) return 0;
  uint8_t *to = gb_find(P, at - in, 1), *of = copies ? gb_find(P, from - out, 0) : to;
  if (!to || !of) return 0;
  to += in, of += out;
  /* Upwards: what is read must not have been written by this copy. */
  if (copies && to > of && (uint64_t)(to - of) < length) return 0;
  for (uint64_t i = 0; i < length; i += 8) {
    *log++ = (gb_store){(uint64_t)(to + i) | 8ull << GB_STORE_BYTES, gb_at(uint64_t, to + i)};
    gb_put(uint64_t, to + i, copies ? gb_at(uint64_t, of + i) : value);
  }
  return length / bytes;
}
static __attribute__((cold, noinline)) uint8_t *gb_look(gb_pages *P, uint64_t at, uint64_t bytes, uint32_t is_store) {
  const uint64_t in = at & 4095;
  if (in > 4096 - bytes) { P->reason = GB_REASON_CROSSES; return 0; }
  uint8_t *page = gb_find(P, at - in, is_store);
  return page ? page + in : 0;
}
static void gb_restore(const gb_store *s) {
  uint8_t *const at = (uint8_t *)(s->at & (((uint64_t)1 << GB_STORE_BYTES) - 1));
  switch (s->at >> GB_STORE_BYTES) {
  case 1: gb_put(uint8_t, at, (uint8_t)s->old); return;
  case 2: gb_put(uint16_t, at, (uint16_t)s->old); return;
  case 4: gb_put(uint32_t, at, (uint32_t)s->old); return;
  default: gb_put(uint64_t, at, s->old);
  }
}"""
