"""Loops of a library as native code that the trace plugin runs in place: a shared library each.

``tcg_plugin/learned_abi.h`` says what a kernel is. It advances the registers by whole rounds, from the loop's head to the loop's head, and
never does the round that leaves the loop: QEMU does, so that flags, temporaries and exits come out as they would anyway.

- **All or nothing.** Stores of a round are logged, and taken back where the round cannot be finished.
- **Look-ups** of pages are kept for each *base*, what addresses have in common but for constants: an access inside of the page of the one
  before it costs a comparison, the same place once more nothing. Places that a loop inside does not change are looked up in front of it.
- **What counts.** Loops are lifted once more, as if everything might be read behind them: what follows them in another program may be other
  code than it was in the trace. What is not needed to go round again is left as it is.

>>> path = build(to_native(loop))
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tcg_plugin.build import FOLDER
from tcg_plugin.layout import LEARNED_REGISTERS as REGISTERS

from ..backends.lane_c.compiler import build as compile_library
from ..backends.lane_c.source import prelude
from ..errors import LiftError
from ..frontends.x86 import LiftedLoop, MachineLoop, lift
from .loop_library import LearnedLoop, read_library
from .rounds_in_place import HELPERS, Needed, RoundEmitter

_NAME_BYTES = 63


@dataclass(frozen=True)
class NativeLoop:
    """A loop in C. `reads` and `writes` are the registers that a kernel takes and changes.

    `is_forward`: the direction flag must be 0. `is_proved`: the library's kernel of it was proved.
    """

    name: str
    lifted: LiftedLoop
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    is_forward: bool = False
    is_proved: bool = False


@dataclass(frozen=True)
class NativeLibrary:
    """The shared libraries of a library's loops.

    Attributes:
        paths: of all loops that have one.
        refused: of the others the names, with the reason.
        unproved: names of loops that have one and are not proved, with the reason. They are compared with QEMU, and do not run in place.
    """

    paths: tuple[Path, ...]
    refused: dict[str, str]
    unproved: dict[str, str]


def build_library(folder: Path) -> NativeLibrary:
    """The loops of a library as shared libraries, compiled where they are not in the cache.

    Raises `UsageError` where the folder is no library, `DeviceError` where nothing can be compiled.
    """
    found: list[NativeLoop] = []
    refused: dict[str, str] = {}
    unproved: dict[str, str] = {}
    for loop in read_library(folder):
        try:
            found.append(to_native(loop))
        except LiftError as error:
            refused[loop.name] = str(error)
            continue
        if not found[-1].is_proved:
            unproved[loop.name] = str(loop.facts.get("why") or "nobody has tried")
    return NativeLibrary(build_all(found), refused, unproved)


def to_native(loop: LearnedLoop) -> NativeLoop:
    """The loop as it can run in place. Raises `LiftError` where it cannot, and says why."""
    code = loop.lifted.machine_loop
    if loop.found.ring != 3:
        raise LiftError("it is of the kernel, and only loops of programs run in place")
    if loop.facts.get("verdict") == "refuted":
        raise LiftError("a proof of it has failed")
    return replace(native_of(loop.name, code), is_proved=loop.facts.get("verdict") == "proved")


def native_of(name: str, code: MachineLoop) -> NativeLoop:
    """As `to_native`, of machine code."""
    lifted = lift(code)
    needed = Needed(lifted.module.functions["loop"])
    is_forward = "df" in needed.reads
    if is_forward:
        lifted = lift(code, assumed={"df": 0})
        needed = Needed(lifted.module.functions["loop"])
    for register in sorted({*needed.reads, *needed.writes} - {*REGISTERS}):
        kind = "the vector register" if register.startswith("xmm") else "the flag"
        raise LiftError(f"its rounds depend on {kind} {register}, which plugins of QEMU do not get")
    return NativeLoop(name, lifted, needed.reads, needed.writes, is_forward)


def source(loop: NativeLoop) -> str:
    """C of a library of one loop."""
    function = loop.lifted.module.functions["loop"]
    emitter = RoundEmitter(function, Needed(function))
    lines = emitter.text()
    runs = list(_runs(loop.lifted.machine_loop))
    for place, (_, code) in enumerate(runs):
        lines.append(f"static const uint8_t code{place}[] = {{{', '.join(map(str, code))}}};")
    codes = ", ".join(f"{{{at}ll, {len(code)}, code{place}}}" for place, (at, code) in enumerate(runs))
    name = ", ".join(map(str, loop.name.encode()[:_NAME_BYTES]))
    return "\n".join(
        [
            *("#define W 1", "#define R 1", prelude(), (FOLDER / "learned_abi.h").read_text(), HELPERS),
            *(*emitter.forms.helpers.values(), *lines),
            f"static const gb_code codes[] = {{{codes}}};",
            "const gb_learned gb_learned_loop = {",
            f"  GB_LEARNED_VERSION, {int(loop.is_forward)}, {int(loop.is_proved)}, 0, {_mask(loop.reads)}ull, {_mask(loop.writes)}ull, {{{name}}},",
            f"  {loop.lifted.machine_loop.head:#x}ull, {len(runs)}, codes, gb_run}};\n",
        ]
    )


def build(loop: NativeLoop) -> Path:
    """The shared library of a loop, compiled if it is not in the cache. Raises `DeviceError` where it cannot be compiled."""
    return compile_library(source(loop), "-O2")


def build_all(loops: Iterable[NativeLoop]) -> tuple[Path, ...]:
    """As `build`, of several loops, for which as many compilers run at once as there are processors."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return tuple(pool.map(build, loops))


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
