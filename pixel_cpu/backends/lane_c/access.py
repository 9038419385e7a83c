"""Loads, stores and atomics in C: by how the index differs between lanes.

An index that is uniform costs one scalar access, a linear one contiguous vectors, any other a gather or a loop over lanes. A check
of bounds is one comparison an access; what fails it is dealt with out of line.

Others may write to buffers at any time, so that each value is read from them once: see ``gb_get`` in prelude.h.

Private memory of a chunk is interleaved: an element of all lanes, then the next. Byte memory that wider types are moved through is
not: there the bytes of a lane lie together.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.model import Bounds, Memory, Op, Space, Value
from ...ir.operations import OPERATIONS
from ...ir.types import Type
from ...ir.uniformity import Shape
from .chunk import Chunk
from .forms import SCALAR, lanes_of

_BUILT_IN = {
    **{
        word: f"old[lane] = __atomic_fetch_{word}(e, a[lane], __ATOMIC_RELAXED);"
        for word in ("add", "and", "or", "xor")
    },
    "exchange": "old[lane] = __atomic_exchange_n(e, a[lane], __ATOMIC_RELAXED);",
    "cas": "old[lane] = a[lane]; "
    "__atomic_compare_exchange_n(e, &old[lane], c[lane], 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);",
}
"""Atomics that the compiler has itself; the others swap until nobody came between."""


@dataclass(frozen=True)
class _Access:
    """One access: `base` and `length` are C, `step` bytes of an element, `kind` what is moved, `limit` the valid indices' end."""

    op: Op
    memory: Memory
    index: Value
    kind: Type
    base: str
    length: str
    limit: str
    site: int

    @property
    def step(self) -> int:
        return self.memory.element.bytes

    @property
    def width(self) -> int:
        return self.kind.bytes // self.step

    @property
    def bounds(self) -> Bounds:
        return self.op.bounds

    @property
    def is_private(self) -> bool:
        return self.memory.space is Space.PRIVATE

    @property
    def is_shared(self) -> bool:
        """Whether others may change the memory while the kernel runs."""
        return self.memory.space is Space.BUFFER

    @property
    def get(self) -> str:
        """The word of C that reads the memory."""
        return "gb_get" if self.is_shared else "gb_at"

    @property
    def put(self) -> str:
        """The word of C that writes to it."""
        return "gb_set" if self.is_shared else "gb_put"

    @property
    def element(self) -> str:
        """C type of what is moved, in memory."""
        return "uint8_t" if self.kind is Type.BOOL else SCALAR[self.kind]


def length(e: Chunk, memory: Memory) -> str:
    """Elements of a memory object, an `int64_t`."""
    if memory.space is Space.BUFFER:
        return f"n{e.kernel.buffers.index(memory)}"
    return f"(int64_t){memory.length}"


def offsets(e: Chunk, space: Space) -> dict[Memory, int]:
    """Where the objects of a space begin, in bytes, and under None where they end; private ones of a whole chunk."""
    found: dict[Memory, int] = {}
    at = 0
    for memory in e.kernel.memories:
        if memory.space is space:
            assert memory.length is not None
            found[memory] = at
            lanes = e.width * e.registers if space is Space.PRIVATE else 1
            at += -(-memory.length * memory.element.bytes * lanes // 64) * 64
    return found


def size_of(e: Chunk, space: Space) -> int:
    """Bytes of all objects of a space, of a group or of a chunk."""
    lanes = e.width * e.registers if space is Space.PRIVATE else 1
    return sum(
        -(-(memory.length or 0) * memory.element.bytes * lanes // 64) * 64
        for memory in e.kernel.memories
        if memory.space is space
    )


def emit(e: Chunk, op: Op) -> None:
    """Emit a load, a store or an atomic."""
    memory = op.memory
    assert memory is not None
    kind = op.moved
    total = length(e, memory)
    width = kind.bytes // memory.element.bytes
    limit = f"(uint64_t){total}" if width == 1 else f"(uint64_t)({total} >= {width} ? {total} - {width - 1} : 0)"
    if memory.space is Space.BUFFER:
        base = f"p{e.kernel.buffers.index(memory)}"
    else:
        base = f"({'wg' if memory.space is Space.WORKGROUP else 'pm'} + {offsets(e, memory.space)[memory]})"
    access = _Access(op, memory, op.operands[0], kind, base, total, limit, e.sites[op])
    if op.name.startswith("atomic_"):
        _atomic(e, access)
        _count(e, access)
        return
    if op.results:
        e.declare(op.results)
    e.emit("{")
    shape = e.shape(access.index)
    interleaved = access.is_private and not e.is_scalar and memory not in e.blocked
    if shape is Shape.UNIFORM and not (access.is_private and memory in e.blocked and not e.is_scalar):
        _uniform(e, access, interleaved=interleaved)
    elif shape is Shape.LINEAR and not access.is_private and access.width == 1:
        _linear(e, access)
    else:
        _varying(e, access, interleaved=interleaved)
    e.emit("}")
    _count(e, access)


def _count(e: Chunk, a: _Access) -> None:
    """Count the access for the lanes that it did not end."""
    lanes = f"gb_count(b{e.mask})"
    if a.op.results:
        e.count("LOADS", lanes)
        e.count("BYTES_LOADED", f"{a.kind.bytes} * {lanes}")
    if a.op.name != "load":
        e.count("STORES", lanes)
        e.count("BYTES_STORED", f"{a.kind.bytes} * {lanes}")


def _assign_fetched(e: Chunk, value: Value, at: str, *, shared: bool = False) -> None:
    for unit, expression in e.fetched(value, at, shared=shared):
        e.emit(f"{e.name(value, unit)} = {expression};")


def _uniform(e: Chunk, a: _Access, *, interleaved: bool) -> None:
    """One index for all lanes: one element, or of interleaved memory one for each lane, side by side."""
    kind = a.index.type
    index = e.scalar(a.index)
    e.emit(f"uint64_t at = (uint64_t)({'int64_t' if kind.is_signed else 'uint64_t'}){index};")
    scale = a.step * (e.width * e.registers if interleaved else 1)
    if a.bounds is Bounds.TRAP:
        e.emit(f"if (UNLIKELY(at >= {a.limit})) {{ gb_trap_all(L, lane0, b{e.mask}, {a.site}, at);")
        e.leave()
        e.emit("}")
    elif a.bounds is Bounds.CLAMP and a.op.results:
        below = f"{index} < 0 ? 0 : " if kind.is_signed else ""
        e.emit(f"if (UNLIKELY(at >= {a.limit})) at = {below}{a.limit} - 1;")
        # Of an empty memory this reads 0.
        e.emit(f"if (LIKELY({a.limit})) {{")
    elif a.bounds is Bounds.CLAMP:
        e.emit(f"if (LIKELY(at < {a.limit})) {{")
    where = f"({a.base} + at * {scale})"
    if a.op.results:
        if interleaved:
            _assign_fetched(e, a.op.result, where)
        else:
            truth = " != 0" if a.kind is Type.BOOL else ""
            e.emit(f"const {SCALAR[a.kind]} x = {a.get}({a.element}, {where}){truth};")
            _assign_same(e, a.op.result, "x")
    else:
        value = a.op.operands[1]
        if interleaved:
            # Nobody else's memory: what is written back to lanes that are not there is what they have.
            e.put(value, where, masked=True)
        elif e.shape(value) is Shape.UNIFORM:
            e.emit(f"{a.put}({a.element}, {where}, {e.scalar(value)});")
        else:
            e.spill(value, "x")
            e.emit(f"{a.put}({a.element}, {where}, x[gb_top(b{e.mask})]);")
    if a.bounds is Bounds.CLAMP:
        e.emit("}")


def _assign_same(e: Chunk, value: Value, scalar: str) -> None:
    """One scalar for all lanes."""
    if not e.is_varying(value):
        e.emit(f"{e.scalar(value)} = {scalar};")
        return
    lanes = lanes_of(value.type)
    word = f"-(int32_t){scalar}" if value.type is Type.BOOL else scalar
    for unit in range(e.units(value.type)):
        e.emit(f"{e.name(value, unit)} = gb_splat_{lanes}({word});")


def _linear(e: Chunk, a: _Access) -> None:
    """Neighbours for neighbours: whole vectors, unless a lane is missing or outside."""
    is_full, store = f"b{e.mask} == ALL", not a.op.results
    sign = "int64_t" if a.index.type.is_signed else "uint64_t"
    fits = f"(uint64_t)({sign}){e.scalar(a.index)} < {_whole(e, a.memory)}"
    if a.bounds is Bounds.PROVED:
        fast = is_full if store else f"{is_full} || {fits}"
    else:
        fast = f"{is_full} && {fits}" if store else fits
    size = a.kind.bytes
    # Masked only in the slow case: a read inside the memory harms nobody, whichever lanes are there.
    e.emit(f"char t[CHUNK * {size}] __attribute__((aligned(64)));")
    e.emit(f"char *q = (char *){a.base} + (int64_t){e.scalar(a.index)} * {a.step};")
    e.emit(f"const int slow = !({fast});")
    word = "store" if store else "load"
    call = (
        f"gb_slow_{word}(L, {a.base}, {a.length}, {e.scalar(a.index)}, b{e.mask}, lane0, {a.site}, "
        f"{a.bounds.name}, {int(a.index.type.is_signed)}, {a.step}, {size}, t)"
    )
    if store:
        e.emit("if (UNLIKELY(slow)) q = t;")
        e.put(a.op.operands[1], "q", shared=a.is_shared)
    e.emit("if (UNLIKELY(slow)) {")
    e.emit(f"gb_bits stay = {call};")
    e.emit(f"if (stay != b{e.mask}) {{")
    e.keep_bits("stay")
    e.emit("}")
    if not store:
        e.emit("q = t;")
    e.emit("}")
    if not store:
        _assign_fetched(e, a.op.result, "q", shared=a.is_shared)


def _whole(e: Chunk, memory: Memory) -> str:
    """How many first indices of a chunk's contiguous access are valid."""
    if memory.space is Space.BUFFER:
        return f"w{e.kernel.buffers.index(memory)}"
    assert memory.length is not None
    return f"{max(memory.length - e.width * e.registers + 1, 0)}u"


def _varying(e: Chunk, a: _Access, *, interleaved: bool) -> None:
    """An index of its own for each lane."""
    registers = range(e.registers)
    chunk = e.width * e.registers
    # g: lanes whose index is valid; o: the offset in elements.
    e.emit(f"const uint64_t limit = {a.limit};")
    for r in registers:
        e.emit(f"vi o{r} = {_narrowed(e, a.index, r)};")
        if a.bounds is not Bounds.PROVED:
            e.emit(f"const vi g{r} = {_below(e, a.index, r)};")
    mask = f"m{e.mask}_#"
    bits = f"b{e.mask}"
    if a.bounds is Bounds.TRAP:
        e.emit(f"const gb_bits good = {e.bits_of('g#')};")
        e.emit(f"if (UNLIKELY({bits} & ~good)) {{")
        e.spill(a.index, "x")
        sign = "" if a.index.type.is_signed else "(uint64_t)"
        e.emit(f"int64_t y[CHUNK]; for (int i = 0; i < CHUNK; i++) y[i] = (int64_t){sign}x[i];")
        e.emit(f"gb_trap_each(L, lane0, {bits} & ~good, {a.site}, y);")
        e.each(f"{mask} &= g#;")
        e.emit(f"{bits} &= good; if (!{bits}) goto {e.guard}; }}")
    elif a.bounds is Bounds.CLAMP and a.op.results:
        e.emit("if (LIKELY(limit)) {")
        for r in registers:
            last = "gb_splat_vi((int32_t)(limit - 1))"
            if a.index.type.is_signed:
                last = f"({_negative(e, a.index, r)} & gb_splat_vi(0)) | (~{_negative(e, a.index, r)} & {last})"
            e.emit(f"o{r} = gb_select(g{r}, o{r}, (vi)({last}));")
    elif a.bounds is Bounds.CLAMP:
        e.emit(f"const gb_bits good = {e.bits_of('g#')};")
        bits = f"(b{e.mask} & good)"
    for r in registers:
        lane = f"(gb_lane_numbers + {r * e.width})"
        if interleaved:
            e.emit(f"o{r} = o{r} * {chunk} + {lane};")
        elif a.is_private:
            e.emit(f"o{r} += {lane} * {a.memory.length};")
    if a.op.results:
        _gather(e, a)
        if a.bounds is Bounds.CLAMP:
            e.emit("}")
        return
    e.spill(a.op.operands[1], "x")
    e.emit("int32_t o[CHUNK] __attribute__((aligned(64)));")
    for r in registers:
        e.emit(f"gb_put(vi, o + {r * e.width}, o{r});")
    put = f"{a.put}({a.element}, {a.base} + (int64_t)o[lane] * {a.step}, x[lane]);"
    e.emit(f"if (LIKELY({bits} == ALL)) {{ for (int lane = 0; lane < CHUNK; lane++) {put} }}")
    e.emit(f"else EACH(lane, {bits}) {put}")


def _narrowed(e: Chunk, index: Value, r: int) -> str:
    """The index as 32-bit lanes; of a valid one nothing is lost."""
    if index.type.bits == 32:
        return f"(vi){e.part(index, r)}"
    low, high = (e.part(index, 2 * r + side) for side in range(2))
    return f"gb_cat(__builtin_convertvector({low}, hi), __builtin_convertvector({high}, hi))"


def _below(e: Chunk, index: Value, r: int) -> str:
    """Whether the index is valid: as an unsigned number below the limit."""
    if index.type.bits == 32:
        return f"(vi)((vu){e.part(index, r)} < gb_splat_vu((uint32_t)limit))"
    low, high = (f"gb_narrow((wu){e.part(index, 2 * r + side)} < gb_splat_wu(limit))" for side in range(2))
    return f"gb_cat({low}, {high})"


def _negative(e: Chunk, index: Value, r: int) -> str:
    if index.type.bits == 32:
        return f"((vi){e.part(index, r)} < 0)"
    low, high = (f"gb_narrow({e.part(index, 2 * r + side)} < 0)" for side in range(2))
    return f"gb_cat({low}, {high})"


def _gather(e: Chunk, a: _Access) -> None:
    result, kind = a.op.result, a.kind
    mask = f"m{e.mask}"
    for unit in range(e.units(kind)):
        r = unit // 2 if kind.bits == 64 else unit
        if kind.bits == 64:
            half = "high" if unit % 2 else "low"
            found = f"gb_gather_8({a.base}, gb_{half}(o{r}), gb_{half}({mask}_{r}), {a.step})"
        elif kind.bits == 32:
            found = f"gb_gather_4({a.base}, o{r}, {mask}_{r}, {a.step})"
        elif a.width == 2:
            one, other = (f"gb_gather_u8({a.base}, o{r} + {offset}, {mask}_{r})" for offset in range(2))
            found = f"({one} | ({other} << 8))"
            if kind.is_signed:
                found = f"((vi){found} << 16 >> 16)"
        else:
            found = f"gb_gather_{kind.value}({a.base}, o{r}, {mask}_{r})"
        e.emit(f"{e.name(result, unit)} = ({lanes_of(kind)}){found};")


def _atomic(e: Chunk, a: _Access) -> None:
    """Lane after lane, in their order."""
    word = a.op.name.removeprefix("atomic_")
    e.declare(a.op.results)
    e.emit("{")
    e.spill(a.index, "i")
    sign = "" if a.index.type.is_signed else "(uint64_t)"
    e.emit(f"int64_t y[CHUNK]; for (int k = 0; k < CHUNK; k++) y[k] = (int64_t){sign}i[k];")
    for place, value in enumerate(a.op.operands[1:]):
        e.spill(value, f"x{place}")
    e.emit(f"{SCALAR[a.kind]} old[CHUNK] = {{0}};")
    function = _atomic_function(e, word, a.kind, is_shared=a.memory.space is Space.BUFFER)
    second = "x1" if len(a.op.operands) == 3 else "x0"
    e.emit(
        f"gb_bits stay = {function}(L, {a.base}, {a.length}, y, b{e.mask}, lane0, {a.site}, {a.bounds.name}, x0, {second}, old);"
    )
    if a.bounds is Bounds.TRAP:
        e.emit(f"if (UNLIKELY(stay != b{e.mask})) {{")
        e.keep_bits("stay")
        e.emit("}")
    else:
        e.emit("(void)stay;")
    _assign_fetched(e, a.op.result, "old")
    e.emit("}")


def _atomic_function(e: Chunk, word: str, kind: Type, *, is_shared: bool) -> str:
    """A function of one atomic operation; memory of a group belongs to one thread, buffers to all."""
    name = f"gb_atomic_{word}_{kind.value}_{'shared' if is_shared else 'own'}"
    t = SCALAR[kind]
    becomes = OPERATIONS[f"atomic_{word}"].c
    assert isinstance(becomes, str)
    new = f"({t})({becomes.format(a='was', b='a[lane]', c='c[lane]')})"
    if not is_shared:
        body = f"{t} was = *e; *e = {new}; old[lane] = was;"
    elif word in _BUILT_IN:
        body = _BUILT_IN[word]
    else:
        swap = f"__atomic_compare_exchange_n(e, &was, {new}, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)"
        body = f"{t} was = __atomic_load_n(e, __ATOMIC_RELAXED); while (!{swap}) {{}} old[lane] = was;"
    e.forms.helpers[name] = (
        f"INLINE gb_bits {name}(gb_launch *L, char *p, int64_t n, const int64_t *x, gb_bits bits, uint32_t lane0, "
        f"uint32_t site, int bounds, const {t} *a, const {t} *c, {t} *old) {{\n"
        "EACH(lane, bits) {\n"
        "if (bounds != PROVED && (uint64_t)x[lane] >= (uint64_t)n) {\n"
        "if (bounds == TRAP) { gb_trap(L, lane0 + (uint32_t)lane, site, (uint64_t)x[lane]); bits &= ~((gb_bits)1 << lane); }\n"
        "continue; }\n"
        f"{t} *e = ({t} *)p + x[lane];\n{body}\n}}\n(void)c; return bits; }}"
    )
    return name
