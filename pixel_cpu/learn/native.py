"""Loops of a library as native code that the trace plugin runs in place: a shared library each.

``tcg_plugin/learned_abi.h`` says what a kernel is. It advances the registers by whole rounds, from the loop's head to the loop's head, and
never does the round that leaves the loop: QEMU does, so that flags, temporaries and exits come out as they would anyway.

- **All or nothing.** Stores of a round are logged, and taken back where the round cannot be finished.
- **Look-ups** of pages are kept for each *base*, what addresses have in common but for constants: an access inside of the page of the one
  before it costs a comparison.
- **What counts.** Loops are lifted once more, as if everything might be read behind them: what follows them in another program may be other
  code than it was in the trace. What is not needed to go round again is left as it is.

>>> path = build(to_native(loop))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tcg_plugin.build import FOLDER

from ..backends.lane_c.compiler import build as compile_library
from ..backends.lane_c.emit import Emitter
from ..backends.lane_c.forms import SCALAR
from ..backends.lane_c.source import number_sites, prelude
from ..errors import LiftError
from ..frontends.x86 import LiftedLoop, MachineLoop, lift
from ..frontends.x86.registers import GENERAL
from ..ir.model import Function, Kernel, Op, Region, Value, walk
from .loop_library import LearnedLoop, read_library

REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *GENERAL[8:], "fs_base", "gs_base")
"""In the order of the kernel's array."""
_PAGE_BYTES = 4096
_NAME_BYTES = 63


@dataclass(frozen=True)
class NativeLoop:
    """A loop in C. `reads` and `writes` are the registers that a kernel takes and changes."""

    name: str
    lifted: LiftedLoop
    reads: tuple[str, ...]
    writes: tuple[str, ...]


def build_library(folder: Path) -> tuple[tuple[Path, ...], dict[str, str]]:
    """The shared libraries of a library's loops, and of those that have none the names with the reason.

    Raises `UsageError` where the folder is no library, `DeviceError` where nothing can be compiled.
    """
    found: list[Path] = []
    refused: dict[str, str] = {}
    for loop in read_library(folder):
        try:
            found.append(build(to_native(loop)))
        except LiftError as error:
            refused[loop.name] = str(error)
    return tuple(found), refused


def to_native(loop: LearnedLoop) -> NativeLoop:
    """The loop as it can run in place. Raises `LiftError` where it cannot, and says why."""
    code = loop.lifted.machine_loop
    if loop.found.ring != 3:
        raise LiftError("it is of the kernel, and only loops of programs run in place")
    if loop.facts.get("verdict") == "refuted":
        raise LiftError("a proof of it has failed")
    return native_of(loop.name, code)


def native_of(name: str, code: MachineLoop) -> NativeLoop:
    """As `to_native`, of machine code."""
    lifted = lift(code)
    needed = _Needed(lifted.module.functions["loop"])
    for register in sorted({*needed.reads, *needed.writes} - {*REGISTERS}):
        kind = "the vector register" if register.startswith("xmm") else "the flag"
        raise LiftError(f"its rounds depend on {kind} {register}, which plugins of QEMU do not get")
    return NativeLoop(name, lifted, needed.reads, needed.writes)


class _Needed:
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


class _Native(Emitter):
    """The scalar form of lane C with guest memory by pages, and one way out of everything."""

    def __init__(self, function: Function, needed: _Needed) -> None:
        kernel = Kernel("loop", function.parameters, function.memories, function.body)
        super().__init__(kernel, 1, 1, number_sites(kernel))
        self.function, self.needed = function, needed

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
        shift = self.function.parameters[0]
        while (op := self.made.get(address)) is not None and op.name in ("add", "sub"):
            first, second = op.operands
            if self.is_constant(second) or second is shift:
                address = first
            elif op.name == "add" and (self.is_constant(first) or first is shift):
                address = second
            else:
                break
        return address

    def is_constant(self, value: Value) -> bool:
        return value in self.made and self.made[value].name == "const"

    @property
    def is_storing(self) -> bool:
        return bool(self.stored_bases)

    def value(self, op: Op) -> None:
        if op.is_access:
            self.access(op)
        else:
            super().value(op)

    def access(self, op: Op) -> None:
        kind, base = op.moved, self.base_of(op.operands[0])
        number, is_store = self.bases[base], int(base in self.stored_bases)
        last = _PAGE_BYTES - kind.bytes
        if op.results:
            self.declare(op.results)
        self.emit(f"{{ const uint64_t at = {self.scalar(op.operands[0])}; uint64_t in = at - page{number};")
        crosses = f" || in > {last}" if kind.bytes > 1 else ""
        self.emit(f"if (UNLIKELY(in >= room{number}{crosses})) {{ in = at & {_PAGE_BYTES - 1};")
        if kind.bytes > 1:
            self.stop("CROSSES", f"in > {last}")
        self.emit(f"if (!(host{number} = gb_find(P, at - in, {is_store}))) {{ room{number} = 0; goto stop; }}")
        self.emit(f"page{number} = at - in; room{number} = {_PAGE_BYTES}; }}")
        self.emit(f"uint8_t *const to = host{number} + in;")
        if op.name == "load":
            self.emit(f"{self.scalar(op.result)} = gb_at({SCALAR[kind]}, to); }}")
            return
        self.stop("LONG_ROUND", "UNLIKELY(stores == P->most_stores)")
        self.emit(f"log[stores++] = (gb_store){{to, at, gb_at({SCALAR[kind]}, to), {kind.bytes}}};")
        self.emit(f"gb_put({SCALAR[kind]}, to, {self.scalar(op.operands[1])}); }}")

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
        if op.label != self.needed.head.label:
            self.stop("LONG_ROUND", f"UNLIKELY((fuel -= {op.fuel}) < 0)")

    def region(self, region: Region) -> None:
        if region is self.needed.head.regions[0] and self.is_storing:
            self.emit("if (!P->keeps) stores = 0; before = stores;")
        super().region(region)

    def text(self) -> list[str]:
        """The function."""
        shift, head, limit, *registers = self.function.parameters
        self.emit("static uint64_t gb_run(uint64_t *r, gb_pages *P, uint64_t gb_head, uint64_t gb_most) {")
        self.emit(
            "gb_bits b0 = 1; int64_t fuel = P->fuel; uint32_t stores = 0, before = 0; gb_store *const log = P->log;"
        )
        self.emit("(void)b0; (void)log; (void)fuel;")
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
        self.emit("while (stores > before) { const gb_store *const s = &log[--stores]; gb_restore(s); }")
        self.emit("P->stores = stores; P->fuel = fuel;")
        for value in self.needed.kept:
            self.emit(f"r[{REGISTERS.index(value.name)}] = {self.scalar(value)};")
        self.emit(f"return {self.scalar(self.needed.parameters[-1])}; }}")
        return self.lines


_HELPERS = """static inline uint8_t *gb_find(gb_pages *P, uint64_t page, uint32_t is_store) {
  gb_page *found = &P->found[is_store][page >> 12 & (GB_CACHED_PAGES - 1)];
  if (found->address != page) {
    uint8_t *host = P->find(P, page, is_store);
    if (!host) return 0;
    found->address = page, found->host = host;
  }
  return found->host;
}
static inline void gb_restore(const gb_store *s) {
  switch (s->bytes) {
  case 1: gb_put(uint8_t, s->at, (uint8_t)s->old); return;
  case 2: gb_put(uint16_t, s->at, (uint16_t)s->old); return;
  case 4: gb_put(uint32_t, s->at, (uint32_t)s->old); return;
  default: gb_put(uint64_t, s->at, s->old);
  }
}"""


def source(loop: NativeLoop) -> str:
    """C of a library of one loop."""
    function = loop.lifted.module.functions["loop"]
    emitter = _Native(function, _Needed(function))
    lines = emitter.text()
    runs = list(_runs(loop.lifted.machine_loop))
    for place, (_, code) in enumerate(runs):
        lines.append(f"static const uint8_t code{place}[] = {{{', '.join(map(str, code))}}};")
    codes = ", ".join(f"{{{at}ll, {len(code)}, code{place}}}" for place, (at, code) in enumerate(runs))
    name = ", ".join(map(str, loop.name.encode()[:_NAME_BYTES]))
    weight = sum(1 for _ in walk(function.body))
    return "\n".join(
        [
            *("#define W 1", "#define R 1", prelude(), (FOLDER / "learned_abi.h").read_text(), _HELPERS),
            *(*emitter.forms.helpers.values(), *lines),
            f"static const gb_code codes[] = {{{codes}}};",
            "const gb_learned gb_learned_loop = {",
            f"  GB_LEARNED_VERSION, {weight}, {_mask(loop.reads)}, {_mask(loop.writes)}, {{{name}}},",
            f"  {loop.lifted.machine_loop.head:#x}ull, {len(runs)}, codes, gb_run}};\n",
        ]
    )


def build(loop: NativeLoop) -> Path:
    """The shared library of a loop, compiled if it is not in the cache. Raises `DeviceError` where it cannot be compiled."""
    return compile_library(source(loop), "-O2")


def _mask(names: Sequence[str]) -> int:
    return sum(1 << REGISTERS.index(name) for name in names)


def _runs(code: MachineLoop) -> Iterator[tuple[int, bytes]]:
    """Instructions that follow one another, as distance from the head and bytes."""
    start, run = 0, b""
    for at, each in sorted(code.instructions.items()):
        if run and at != start + len(run):
            yield start - code.head, run
            run = b""
        start, run = (start, run + each) if run else (at, each)
    yield start - code.head, run
