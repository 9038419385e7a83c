"""The whole C text of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...ir.model import Kernel, Op, Space, walk
from .access import size_of
from .emit import Emitter
from .forms import SCALAR
from .group import Group
from .plan import Plan

FOLDER = Path(__file__).parent
_OWN = ("gb_kernel", "gb_info", "gb_record")
"""Names in the C of a kernel that get its number."""
_OWN_SIZES = ("WORKGROUP_BYTES", "PRIVATE_BYTES")


@cache
def prelude() -> str:
    """What every kernel begins with."""
    return (FOLDER / "prelude.h").read_text()


def number_sites(kernel: Kernel) -> dict[Op, int]:
    """A number for each operation, by which the C code names it."""
    return {op: number for number, op in enumerate(walk(kernel.body))}


def is_alone(kernel: Kernel) -> bool:
    """Whether a launch runs in one thread, because what it says comes in order of lane."""
    return any(op.name in ("print", "host_call") for op in walk(kernel.body))


@dataclass(frozen=True)
class Part:
    """C of one kernel: what it adds to the prelude of its width and registers, and the helpers that it shares with others."""

    width: int
    registers: int
    helpers: dict[str, str]
    text: str
    head: str = ""
    """What `text` and each of `functions` begin with."""
    functions: tuple[str, ...] = ()
    """Functions that may be compiled apart."""


def source(parts: Sequence[Part]) -> str:
    """C of kernels of one width and number of registers: ``gb_kernel0`` runs groups or chunks of the first, ``gb_info0`` says how it was made."""
    helpers: dict[str, str] = {}
    for each in parts:
        helpers |= each.helpers
    lines = [f"#define W {parts[0].width}", f"#define R {parts[0].registers}", prelude(), *helpers.values()]
    for number, each in enumerate(parts):
        lines += [f"#define {name} {name}{number}" for name in _OWN]
        lines += [each.head, *each.functions, each.text, *(f"#undef {name}" for name in (*_OWN, *_OWN_SIZES))]
    return "\n".join(lines) + "\n"


def sources(part: Part, count: int) -> list[str]:
    """C of one kernel as texts of one library, of which the first holds the kernel, and each some of its functions."""
    head = [f"#define W {part.width}", f"#define R {part.registers}", prelude(), *part.helpers.values(), part.head]
    piles: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for each in part.functions:
        place = sizes.index(min(sizes))
        piles[place].append(each)
        sizes[place] += len(each)
    own = [f"#define {name} {name}0" for name in _OWN]
    return [
        "\n".join([*head, *pile, *([*own, part.text] if place == 0 else ())]) + "\n" for place, pile in enumerate(piles)
    ]


def part(kernel: Kernel, plan: Plan, *, counts: bool = False) -> Part:
    """C of a kernel without calls, for `source`."""
    emitter = Emitter(kernel, plan.width, plan.registers, number_sites(kernel), counts)
    group = Group(emitter) if emitter.has_barriers else None
    _head(emitter)
    if group:
        group.variables()
        _over_groups(emitter)
        emitter.emit("char *const privates = scratch + WORKGROUP_BYTES + sizeof(gb_record);")
        emitter.emit("gb_record *const K = (gb_record *)(scratch + WORKGROUP_BYTES);")
        emitter.emit("__builtin_memset(privates, 0, (uint64_t)PRIVATE_BYTES * ((size + CHUNK - 1) / CHUNK));")
        group.body()
        emitter.emit("}")
    elif plan.is_flat:
        emitter.emit("for (uint64_t unit = first; unit < last; unit++) {")
        emitter.emit("const uint32_t lane0 = (uint32_t)(unit * CHUNK), left = L->lanes - lane0;")
        _chunk(emitter)
        emitter.emit("}")
    else:
        _over_groups(emitter)
        emitter.emit("for (uint32_t local0 = 0; local0 < size; local0 += CHUNK) {")
        emitter.emit("const uint32_t lane0 = group0 + local0, left = size - local0;")
        _chunk(emitter)
        emitter.emit("} }")
    if counts:
        emitter.emit("for (int i = 0; i < COUNTS; i++) __atomic_fetch_add(&L->counts[i], k[i], __ATOMIC_RELAXED);")
    emitter.emit("}")
    chunks = group.chunks if group else 1
    private = size_of(emitter, Space.PRIVATE)
    workgroup = size_of(emitter, Space.WORKGROUP)
    record = "sizeof(gb_record)" if group else "0"
    lines = [
        f"#define WORKGROUP_BYTES {workgroup}",
        f"#define PRIVATE_BYTES {private}",
        f"{group.record()}" if group else "",
        f"const uint64_t gb_info[4] = {{W, R, {int(plan.is_flat)}, WORKGROUP_BYTES + {record} + {chunks}ull * PRIVATE_BYTES}};",
        *emitter.lines,
    ]
    return Part(plan.width, plan.registers, emitter.forms.helpers, "\n".join(lines))


def _head(e: Emitter) -> None:
    e.emit("void gb_kernel(gb_launch *L, char *scratch, uint64_t first, uint64_t last) {")
    e.emit("char *const wg = scratch; (void)wg;")
    if e.counts:
        e.emit("uint64_t k[COUNTS] = {0};")
    for place, value in enumerate(e.kernel.parameters):
        kind = SCALAR[value.type]
        e.emit(f"const {kind} {e.scalar(value)} = *(const {kind} *)&L->scalars[{place}];")
    for place in range(len(e.kernel.buffers)):
        e.emit(f"char *const p{place} = L->buffers[{place}]; const int64_t n{place} = (int64_t)L->lengths[{place}];")
        e.emit(f"const uint64_t w{place} = n{place} >= CHUNK ? (uint64_t)n{place} - (CHUNK - 1) : 0;")
        e.emit(f"(void)p{place}; (void)n{place}; (void)w{place};")


def _over_groups(e: Emitter) -> None:
    e.emit("for (uint64_t group = first; group < last; group++) {")
    e.emit("const uint32_t group0 = (uint32_t)(group * L->group), rest = L->lanes - group0;")
    e.emit("const uint32_t size = rest < L->group ? rest : L->group;")
    e.emit("if (WORKGROUP_BYTES) __builtin_memset(wg, 0, WORKGROUP_BYTES);")


def _chunk(e: Emitter) -> None:
    if is_alone(e.kernel):
        e.emit("if (L->abort) break;")
    e.emit("gb_bits b0 = left >= CHUNK ? ALL : ((gb_bits)1 << left) - 1;")
    e.each("vi m0_# = gb_expand(b0, #);")
    if e.has_parted_fuel:
        e.emit("int64_t spare = L->fuel < 1 << 30 ? L->fuel : 1 << 30, together = 0, burned[CHUNK] = {0};")
        e.each("vu f_# = {0};")
    elif e.has_fuel:
        e.emit("int64_t spare = L->fuel;")
    e.emit("char *const pm = scratch + WORKGROUP_BYTES; (void)pm;")
    e.emit("if (PRIVATE_BYTES) __builtin_memset(pm, 0, PRIVATE_BYTES);")
    e.region(e.kernel.body)
    e.emit("done:;")
