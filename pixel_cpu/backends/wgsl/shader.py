"""The IR as WGSL: one shader for a kernel and a size of group.

Values become ``let``; results of regions, parameters of loops and what crosses a boundary become private variables of the module.
WGSL has no labelled break: a way out of more than one level sets `gb_to` and leaves level by level (`structured`). A lane ends by
returning from every function: `gb_dead` says so to the callers. Kernels with barriers are cut in pieces (`group`); deep nesting
and many accesses go through a machine (`machine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...ir.model import Function, Kernel, Memory, Module, Space
from ...ir.types import Type
from .group import Group
from .machine import write_body
from .memory import MemoryText
from .prelude import functions, held
from .state import PRINT, STATE, VOTE
from .structured import Structured
from .survey import survey
from .writer import Site

MAX_DEPTH = 60
"""Regions inside each other, calls included, that are written as they are; deeper programs become a machine."""
MAX_ACCESSES = 60
"""Accesses to memory, calls included, that are written where they stand; more are sent through one place each."""

PARAMETERS = ("lanes", "base", "first", "groups", "fuel_low", "fuel_high", "zero", "stride")
"""Words at the start of a launch's uniform block; lengths of buffers follow, then scalars."""


@dataclass
class Shader:
    """The text, and what the host must know to bind, launch and read it."""

    text: str
    bindings: tuple[str, ...]
    """Kinds of the bindings: the launch's words, status, records, buffers, then lines and private memory where there are any."""
    sites: list[Site]
    buffers: tuple[Memory, ...]
    written: frozenset[Memory]
    lengths: dict[str, int]
    """Word of the uniform block that holds a buffer's length."""
    scalars: dict[str, tuple[int, Type]]
    """First word of each scalar, and its type."""
    words: int
    scratch_words: int
    """Words of private memory of a lane that live in a buffer."""
    has_prints: bool
    features: frozenset[str]
    strategy: str


def write_shader(module: Module, kernel: Kernel, group: int, pairs: bool, machine: bool | None = None) -> Shader:
    """The shader of a kernel for a size of group.

    `pairs` holds 64-bit integers as pairs of words; `machine` says whether it is a machine, None: where it must be. Raises
    `DeviceError` where an operation has no form.
    """
    if machine is None:
        found = survey(module, kernel, pairs)
        machine = found.depth > MAX_DEPTH or found.accesses > MAX_ACCESSES
    writer = Structured(module, kernel, group, pairs, machine, None)
    shader = _write(writer)
    if machine:  # written again: now it is known which values more than one block uses
        shader = _write(Structured(module, kernel, group, pairs, machine, frozenset(writer.crossed)))
    return shader


def _write(writer: Structured) -> Shader:
    for value in writer.kernel.parameters:
        writer.variable(value)
    for function in writer.found.functions:
        _write_function(writer, function)
    writer.function = None
    if writer.found.has_barriers:
        group = Group(writer)
        group.run()
        writer.finished.append(VOTE)
        main = group.lines
    else:
        write_body(writer, "gb_body", "", writer.kernel.body)
        main = ["  if gb_lane < gb_p.lanes { gb_body(); }"]
    return _assemble(writer, main)


def _write_function(writer: Structured, function: Function) -> None:
    writer.function = function
    writer.labels, writer.inner = {}, []
    heads, copies = [], []
    for place, value in enumerate(function.parameters):
        heads.append(f"p{place}: {writer.held(value.type)}")
        if writer.is_machine:
            copies.append(f"  {writer.variable(value)} = p{place};")
        else:
            writer.names[value] = f"p{place}"
    for place, kind in enumerate(function.results):
        writer.private(writer.result(function, place), writer.held(kind))
    write_body(writer, writer.called(function), ", ".join(heads), function.body, before=copies)


def _assemble(writer: Structured, main: list[str]) -> Shader:
    words = len(PARAMETERS)
    lengths, scalars = {}, {}
    for memory in writer.kernel.buffers:
        lengths[memory.name] = words
        words += 1
    enter = []
    for value in writer.kernel.parameters:
        scalars[value.name] = words, value.type
        enter.append(f"  {writer.names[value]} = {_scalar(writer.pairs, value.type, words)};")
        words += 1 + (value.type.bits == 64)
    rows = -(-words // 4)
    declared = [text.declaration(binding) for binding, text in _bindings(writer)]
    kinds = ["uniform", "storage", "storage"]
    kinds += ["storage" if text.is_written else "read-only-storage" for place, text in _bindings(writer) if place]
    if writer.found.has_prints:
        declared.append(
            f"@group(0) @binding({len(kinds)}) var<storage, read_write> gb_prints: array<atomic<u32>>;\n{PRINT}"
        )
        kinds.append("storage")
    if writer.found.scratch_words:
        declared.append(f"@group(0) @binding({len(kinds)}) var<storage, read_write> gb_scratch: array<u32>;")
        kinds.append("storage")
    body = "\n".join([*(f for text in writer.found.texts.values() for f in text.functions.values()), *writer.finished])
    text = "\n".join(
        [
            f"struct Parameters {{ {', '.join(f'{name}: u32' for name in PARAMETERS)},",
            f"  rest: array<vec4<u32>, {max(rows - 2, 1)}> }}",
            "@group(0) @binding(0) var<uniform> gb_p: Parameters;",
            "@group(0) @binding(1) var<storage, read_write> gb_out: array<atomic<u32>, 4>;",
            "@group(0) @binding(2) var<storage, read_write> gb_records: array<u32>;",
            *declared,
            STATE,
            *writer.privates.values(),
            body,
            *_main(writer, enter, main),
        ]
    )
    text = functions(text, writer.pairs) + "\n" + text
    return Shader(
        text,
        tuple(kinds),
        writer.sites,
        writer.kernel.buffers,
        writer.found.written,
        lengths,
        scalars,
        max(rows, 3) * 4,
        writer.found.scratch_words,
        writer.found.has_prints,
        _features(writer, text),
        "machine" if writer.is_machine else "structured",
    )


def _features(writer: Structured, text: str) -> frozenset[str]:
    """What the shader asks of a device."""
    found = set()
    if not writer.pairs and any(word in text for word in ("i64", "u64")):
        found.add("shader-int64")
    if "f64" in text:
        found |= {"shader-f64", "shader-int64"}
    if writer.found.has_wide_atomics:
        found.add("shader-int64-atomic-all-ops")
    return frozenset(found)


def _bindings(writer: Structured) -> Iterator[tuple[int | None, MemoryText]]:
    binding = 3
    for text in writer.found.texts.values():
        if text.memory.space is Space.BUFFER:
            yield binding, text
            binding += 1
        else:
            yield None, text


def _scalar(pairs: bool, kind: Type, word: int) -> str:
    def at(place: int) -> str:
        place -= len(PARAMETERS)
        return f"gb_p.rest[{place // 4}].{'xyzw'[place % 4]}"

    if kind is Type.BOOL:
        return f"{at(word)} != 0u"
    if kind.bits == 64:
        return f"gb_pack_{kind.value}({at(word)}, {at(word + 1)})"
    return f"bitcast<{held(kind, pairs)}>({at(word)})"


def _main(writer: Structured, enter: list[str], body: list[str]) -> Iterable[str]:
    yield f"@compute @workgroup_size({writer.group})"
    yield "fn main(@builtin(workgroup_id) w: vec3<u32>, @builtin(local_invocation_id) l: vec3<u32>) {"
    yield "  gb_group = gb_p.first + w.x; gb_local = l.x;"
    yield f"  gb_slot = w.x * {writer.group}u + l.x; gb_lane = gb_group * {writer.group}u + l.x;"
    yield "  gb_fuel_low = gb_p.fuel_low; gb_fuel_high = gb_p.fuel_high;"
    yield from enter
    shared = [text for text in writer.found.texts.values() if text.memory.space is Space.WORKGROUP]
    for text in shared:
        # WGSL promises zeros; Mesa's driver leaves what was there in atomic words.
        nought = "0lu" if text.is_double else "0u"
        write = f"atomicStore(&{text.name}[i], {nought})" if text.is_atomic else f"{text.name}[i] = {nought}"
        yield f"  for (var i = l.x; i < {text.words}u; i += {writer.group}u) {{ {write}; }}"
    if shared:
        yield "  workgroupBarrier();"
    if writer.found.scratch_words:
        yield (
            f"  for (var i = 0u; i < {writer.found.scratch_words}u; i++) {{ gb_scratch[i * gb_p.stride + gb_slot] = 0u; }}"
        )
    if writer.found.has_barriers:
        yield "  if l.x == 0u { atomicStore(&gb_votes[0], 0u); atomicStore(&gb_votes[1], 0u); }"
        yield "  workgroupBarrier();"
    yield from body
    yield "  if gb_dead { gb_record(); }"
    yield "}"
