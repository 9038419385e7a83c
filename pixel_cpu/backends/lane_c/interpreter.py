"""An interpreter of tables of steps, compiled once for a machine: programs run on it until their own code is compiled.

The steps' names, what they compute and why they end a lane are the front end's; ``interpreter.c`` moves the lanes through the tables.
What a step computes is the C of its operations in the IR, as in compiled kernels.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...ir.model import Function, Kernel, Memory, Module, Region, Space, walk
from ...ir.types import Type
from ..launch import Array, Launch, Outcome, Trap
from .compiler import build, open_library, processor_features
from .forms import SCALAR, Forms
from .kernel import LaneKernel
from .plan import Plan
from .separate import Unit
from .source import FOLDER, prelude

LEVEL = "-O1"
"""More takes five times as long to compile, and runs no faster."""
HEAD = (
    "memory pages frames part frame status wanted spent code offsets parts functions branches elements segments "
    "stack_cells stride minimum posting posts posted posted_bytes"
).split()
"""The fields of ``gb_head`` in interpreter.c."""
TABLES = ("code", "offsets", "parts", "functions", "branches", "elements", "segments")
"""Tables of a program, as arrays of the front end's types."""
_RAN = 1
"""What a computation gives that came to its end; others give the number of the reason behind it."""


@dataclass(frozen=True)
class Steps:
    """What an interpreter knows: names of the steps in their order, a function of the IR for each on numbers, what loads and stores move,
    reasons that end a lane."""

    names: Sequence[str]
    computations: Module
    accesses: Mapping[str, tuple[Type, Type | None]]
    reasons: Mapping[str, str]


@dataclass
class _Computation(Unit):
    """Emits one computation; a trap gives its reason."""

    def out(self, site: int, at: str) -> str:
        return f"return {site};"


def _label(name: str) -> str:
    return f"L_{name.replace('.', '_')}"


def _computation(place: int, function: Function, forms: Forms, reasons: Sequence[str]) -> str:
    sites = {op: _RAN + 1 + reasons.index(op.text) for op in walk(function.body) if op.name == "trap"}
    kernel = Kernel(function.name, (), (), function.body)
    unit = _Computation(kernel, 1, 1, sites, lines=[], forms=forms)
    return (
        "\n".join(unit.text(f"INLINE int gb_s{place}", function.parameters, function.results))
        .replace("gb_call *const X, ", "")
        .replace("gb_call *const X", "void")
    )


def _steps(place: int, function: Function, names: Sequence[str]) -> list[str]:
    """The step of a computation, and those that are made of it."""
    kinds = [each.type.value for each in function.parameters]
    (result,) = function.results
    put = f"PUT_{result.value}"
    found = []
    for suffix, second in (("", "fp[at->b]"), (".const", "at->more")):
        if suffix and len(kinds) < 2:
            break
        operands = ", ".join(f"GET_{kind}({cell})" for kind, cell in zip(kinds, ("fp[at->a]", second), strict=False))
        run = f"{SCALAR[result]} r; int how = gb_s{place}({operands}, &r); if (UNLIKELY(how != {_RAN})) FAIL(how - {_RAN + 1});"
        found.append(f"{_label(function.name + suffix)}: {{ {run} fp[at->to] = {put}(r); NEXT; }}")
        short = "(uint64_t)((int64_t)at->more >> 32)"
        run = run.replace("at->more", short)
        for way, sign in ((".if", ""), (".unless", "!")):
            if f"{function.name}{way}{suffix}" in names:
                found.append(f"{_label(function.name + way + suffix)}: {{ {run} if ({sign}r) JUMP(at->more); NEXT; }}")
    return found


def source(steps: Steps) -> str:
    """The interpreter's C."""
    forms = Forms()
    reasons = list(steps.reasons.values())
    functions = steps.computations.functions
    computations = [_computation(place, each, forms, reasons) for place, each in enumerate(functions.values())]
    own = [line for place, each in enumerate(functions.values()) for line in _steps(place, each, steps.names)]
    for name, (stored, wanted) in steps.accesses.items():
        if wanted is None:
            own.append(f"{_label(name)}: STORE({SCALAR[stored]});")
        else:
            wide = "uint64_t" if wanted.is_float else SCALAR[wanted]
            put = "(uint64_t)" if wanted.is_float else f"PUT_{wanted.value}"
            own.append(f"{_label(name)}: LOAD({SCALAR[stored]}, {wide}, {put});")
    text = (FOLDER / "interpreter.c").read_text()
    text = text.replace("/* LABELS */", ", ".join(f"&&{_label(name)}" for name in steps.names))
    text = text.replace("/* STEPS */", "\n".join(own)).replace("/* COMPUTATIONS */", "\n".join(computations))
    return "\n".join(
        [
            "#define W 1\n#define R 1",
            prelude(),
            *forms.helpers.values(),
            f"enum {{ {', '.join(steps.reasons)} }};",
            text,
        ]
    )


def build_interpreter(steps: Steps) -> Path:
    """The interpreter's shared library, compiled if it is not in the cache; errors are those of `compiler.build`."""
    return build(source(steps), LEVEL)


def prepare(
    path: Path,
    kernel: Kernel,
    head: Mapping[str, int],
    tables: Mapping[str, Array],
    scratch: int,
    reasons: Sequence[str],
) -> bytes:
    """What `load_prepared` takes: a kernel with the buffers of its launches, whose `tables` the library at `path` interprets.

    `head` are the fields of `HEAD` but places of tables; a buffer is given by its place among the kernel's, or -1. `scratch` are cells.
    """
    buffers = len(kernel.buffers)
    values = dict(head) | {name: buffers + place for place, name in enumerate(TABLES)}
    first = np.array([values[name] for name in HEAD], np.int64)
    unit = Kernel(kernel.name, kernel.parameters, kernel.memories, Region(), kernel.group)
    found = (
        unit,
        [str(path)],
        processor_features(),
        first,
        {name: tables[name] for name in TABLES},
        scratch,
        list(reasons),
    )
    return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)


class Interpreted(LaneKernel):
    """A kernel that is interpreted; its launches are those of the kernel that it is compiled to later."""

    def __init__(
        self, kernel: Kernel, path: str, head: Array, tables: Mapping[str, Array], scratch: int, reasons: Sequence[str]
    ) -> None:
        self._reasons = reasons
        self._tables: dict[str, Array] = {f"interpreter.{name}": each.view(np.uint8) for name, each in tables.items()}
        self._tables["interpreter.head"] = head
        names = ("head", *TABLES)
        first, *others = (Memory(f"interpreter.{name}", Space.BUFFER, Type.U8, is_writable=False) for name in names)
        held = Kernel(kernel.name, kernel.parameters, (first, *kernel.memories, *others), Region(), kernel.group)
        super().__init__(held, Plan(1, 1, True), "", open_library(Path(path)), 0, (), counts=False, timeline=False)
        self.backend = "lane-c interpreter"
        self._scratch_bytes = 8 * scratch

    def run(self, launch: Launch) -> Outcome:
        """Run lanes until they stop."""
        return super().run(replace(launch, buffers={**launch.buffers, **self._tables}))

    def _trap(self, launch: Launch, lane: int, site: int, index: int) -> Trap:
        return Trap(lane, self._reasons[site], index)
