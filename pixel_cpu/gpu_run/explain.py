"""What a program needs, and how it will run: its functions, memory of a lane, lanes of a wave, imports, rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from qemu_bridge.host.printable import printable

from ..frontends.wasm import decode
from ..frontends.wasm.calls import called, components
from ..frontends.wasm.in_place import IN_PLACE
from ..frontends.wasm.module import PAGE_BYTES, Kind
from ..frontends.wasm.resumable import stops
from ..lane_host.glassbox import SERVED
from ..runtime.device import Device
from ..runtime.lane_memory import bytes_of_lane, lanes_of_wave
from ..runtime.wasm import WasmProgram
from ..supervisor import START
from ..wasi.abi import PREFIX
from ..wasi.table import CALLS
from .report import aligned

DIRECT, MACHINE, UNUSED = "direct", "block machine", "not called"
"""How a function runs: as code of its own, as parts of the loop over blocks, or never."""


@dataclass(frozen=True)
class FunctionPlan:
    """How a function will run. `suspends`: it calls the host, itself or through others, so its frame is kept in memory."""

    name: str
    instructions: int
    how: str
    suspends: bool


@dataclass(frozen=True)
class ImportPlan:
    """A function that the program imports, and what calls of it do."""

    name: str
    type: str
    support: str


@dataclass(frozen=True)
class Plan:
    """All that is said of a program; sizes are bytes."""

    functions: tuple[FunctionPlan, ...]
    imports: tuple[ImportPlan, ...]
    memory: dict[str, int]
    pages: tuple[int, int]
    lanes_of_wave: int
    waves: int
    rounds: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def explain(program: WasmProgram, device: Device, lanes: int, memory: int | None = None) -> Plan:
    """How a program will run in `lanes` lanes on a device."""
    most = lanes_of_wave(program, device, memory)
    area = program.state.memory
    pages = (area.minimum, area.stride // PAGE_BYTES) if area else (0, 0)
    imports = tuple(_imports(program))
    return Plan(
        tuple(_functions(program)), imports, bytes_of_lane(program), pages, most, -(-lanes // most), _rounds(imports)
    )


def _functions(given: WasmProgram) -> Iterator[FunctionPlan]:
    # A module that was translated before comes without code.
    program = WasmProgram(decode(given.data), globals_=given.globals) if given.data else given
    module, state = program.module, program.state
    members, direct = stops(module, state, program.function(START))
    suspending: set[int] = set()
    for found in components(module, state, program.function(START)):
        if any(_calls_host(program, each, suspending) for each in found):
            suspending.update(found)
    for number, body in enumerate(module.bodies, module.imported_functions):
        how = MACHINE if number in members else DIRECT if number in direct else UNUSED
        yield FunctionPlan(module.name_of(number), len(body.instructions), how, number in suspending)


def _calls_host(program: WasmProgram, function: int, suspending: set[int]) -> bool:
    """Whether a function calls an import, or one of `suspending`."""
    module, state = program.module, program.state
    code = module.bodies[function - module.imported_functions].instructions
    found = {each for instruction in code for each in called(state, instruction)}
    return any(each < module.imported_functions or each in suspending for each in found)


def _imports(program: WasmProgram) -> Iterator[ImportPlan]:
    for each in program.module.imported(Kind.FUNCTION):
        assert isinstance(each.type, int)
        name = each.full_name
        if f"{each.module}." == PREFIX:
            support = "yes" if each.name in CALLS else "answers ENOSYS"
        elif name in IN_PLACE:
            support = "yes, in the launch"
        else:
            support = "yes" if name in SERVED else "none: a program that calls it ends"
        yield ImportPlan(name, str(program.module.types[each.type]), support)


def _rounds(imports: tuple[ImportPlan, ...]) -> str:
    if not imports:
        return "1, and one for each share of fuel that a lane uses up"
    return "1, one for each call of the host by the lane that calls most, one for each share of fuel that it uses up"


def lines(plan: Plan, lanes: int) -> Iterator[str]:
    """The plan in words and tables."""
    used = [each for each in plan.functions if each.how != UNUSED]
    machine = sum(each.how == MACHINE for each in used)
    suspends = sum(each.suspends for each in used)
    yield (
        f"functions: {len(plan.functions)}, {len(used)} of them may be called: {len(used) - machine} run directly, {machine} in the "
        f"block machine; {suspends} may suspend at a call of the host"
    )
    yield f"memory of a lane: {sum(plan.memory.values()):,} bytes; {plan.pages[0]} pages at the start, {plan.pages[1]} at most"
    yield f"waves: {plan.lanes_of_wave:,} lanes fit at once, so {lanes:,} run in {plan.waves:,}"
    yield f"rounds: {plan.rounds}"
    yield ""
    cells = [["IMPORT", "SUPPORT", "TYPE"], *([each.name, each.support, each.type] for each in plan.imports)]
    yield from aligned(cells, left=("IMPORT", "SUPPORT", "TYPE"))
    yield ""
    cells = [["FUNCTION", "INSTRUCTIONS", "RUNS", "SUSPENDS"]]
    cells += [[printable(f.name), str(f.instructions), f.how, "yes" if f.suspends else "-"] for f in plan.functions]
    yield from aligned(cells, left=("FUNCTION", "RUNS", "SUSPENDS"))
    yield ""
    cells = [["MEMORY OF A LANE", "BYTES"], *([name, str(size)] for name, size in plan.memory.items())]
    yield from aligned(cells, left=("MEMORY OF A LANE",))
