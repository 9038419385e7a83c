"""A loop of x86-64 machine code as a program of the IR.

A lifted loop is a module with one function and one kernel.

- **Function** ``loop(%shift, %head, %limit, registers) -> (rounds, next, registers)``. It takes what registers hold when the loop's head is
  reached, as `u64` (flags: `bool`), and only those that the loop may read before it writes them. It goes round until it leaves the loop or
  `%limit` rounds are done, and gives the number of whole rounds, the linear address of the next instruction, and the registers that it
  may have changed and that may still be read there. Where `next` is the head, the limit was reached.
- **Memory** of the guest is the buffer ``@memory`` of bytes. An access has its linear address plus `%shift` as index, all its bytes in one
  operation (16 bytes in two), and its `line` is that of its instruction in the module's source. `%head` is where the loop is mapped: addresses
  relative to ``rip`` follow it.
- **Fuel** is burnt by each round, of inner loops too, and by each step of a ``rep``.
- **Traps** are what the guest would see as an exception (outside of the memory that is bound, a division by zero, a misaligned ``movdqa``),
  and divisions of 128 bits. What was stored before in the same round stays.
- **Kernel** ``batch`` runs the function in each lane, over rows of the buffer ``@state``: rounds, next, then the registers of `LiftedLoop.columns`.
  On entry the first is the limit, the second the lane's `%shift`.
- **Exits**: an instruction that the loop does not hold, or that is not lifted, is where the loop is left, in front of it.

Not modelled: ``af`` (what reads it is not lifted), faults of instruction fetch, single steps, interrupts: the loop is one stretch of time.
What p-code says of flags that the manuals leave undefined is as good as any other answer.

>>> lifted = lift(MachineLoop(0x1000, {0x1000: bytes.fromhex("01f8"), 0x1002: bytes.fromhex("ffcf"), 0x1004: bytes.fromhex("75fa")}))
>>> lifted.live_in, lifted.exits
(('rax', 'rdi'), (LoopExit(address=4102, refused=''),))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ...errors import IrError, IrreducibleError, LiftError, LoopPlace
from ...ir.builder import Builder
from ...ir.model import Function, Kernel, Memory, Module, Region, Space, Value, walk
from ...ir.types import Type
from ...ir.verifier import verify
from ...passes.dead import remove_dead
from .emitter import Emitter
from .flow import Exit, Flow
from .liveness import Bytes, live_before, written
from .pcode import Instruction, decode
from .registers import CELLS, Cell
from .semantics import MEMORY, Semantics, refusal
from .state import State
from .structure import Structure

STATE = Memory("state", Space.BUFFER, Type.U64)
FIRST_COLUMN = 2
"""Of a row of ``@state``: where the registers begin."""


@dataclass(frozen=True, slots=True)
class MachineLoop:
    """Instructions of a loop.

    Attributes:
        head: address of the instruction that each round begins with.
        instructions: bytes of each instruction, by linear address.
        indirect: addresses that jumps and returns without a fixed target went to, by address of the jump.
    """

    head: int
    instructions: Mapping[int, bytes]
    indirect: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoopExit:
    """Where a loop is left: the next instruction, and why it is not lifted if it belongs to the loop."""

    address: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class LiftedLoop:
    """A loop as a module of the IR.

    Attributes:
        module: the function ``loop`` and the kernel ``batch``; its source has a line for each instruction.
        lines: address of the instruction of each line of the source.
        live_in: registers that the function takes, after `shift`, `head` and `limit`.
        live_out: registers that it gives, after the rounds and the next address. Back at the head those of `live_in` count, and at an exit
            those that may be read there; the others are any number.
        exits: where it is left, by address. A jump whose target only the run knows may leave it anywhere else.
        refused: instructions that are not lifted, with the reason.
        assumed: registers that are taken to hold a number whenever the head is reached.
    """

    machine_loop: MachineLoop
    module: Module
    lines: tuple[int, ...]
    live_in: tuple[str, ...]
    live_out: tuple[str, ...]
    exits: tuple[LoopExit, ...]
    refused: tuple[tuple[LoopPlace, str], ...]
    assumed: Mapping[str, int]

    @property
    def columns(self) -> tuple[str, ...]:
        """Registers in a row of ``@state``, in order."""
        return tuple(sorted({*self.live_in, *self.live_out}, key=lambda name: CELLS[name]))


def lift(
    loop: MachineLoop,
    live_at: Callable[[int], Iterable[str]] | None = None,
    assumed: Mapping[str, int] | None = None,
) -> LiftedLoop:
    """The loop in the IR, verified.

    `live_at` gives the registers that may be read behind an exit, by its address, or by -1 for any place; without it they all may. `assumed`
    says what registers hold at the head, such as ``{"df": 0}``. Raises `LiftError` where no way round the loop can be lifted.
    """
    return _Lift(loop, live_at or (lambda _: CELLS), dict(assumed or {})).run()


class _Lift:
    def __init__(self, loop: MachineLoop, live_at: Callable[[int], Iterable[str]], assumed: dict[str, int]) -> None:
        self.loop, self.live_at, self.assumed = loop, live_at, assumed
        self.refused: dict[int, tuple[LoopPlace, str]] = {}
        self.instructions = self.decoded()
        self.flow = self.flow_of()
        self.known = Bytes()

    def decoded(self) -> dict[int, Instruction]:
        found: dict[int, Instruction] = {}
        for address, code in sorted(self.loop.instructions.items()):
            try:
                instruction = decode(address, code)
            except LiftError as error:
                self.refused[address] = (error.place or LoopPlace(address, code.hex(" ")), error.text)
                continue
            reason = refusal(instruction)
            if reason:
                self.refused[address] = (LoopPlace(address, instruction.text), reason)
            else:
                found[address] = instruction
        return found

    def flow_of(self) -> Flow:
        try:
            if self.loop.head not in self.instructions:
                raise LiftError("its head is not lifted")
            return Flow(self.loop.head, self.instructions, self.loop.indirect)
        except LiftError as error:
            if not self.refused or isinstance(error, IrreducibleError):
                raise
            place, reason = self.refused[min(self.refused)]
            raise LiftError(f"{reason}; without it {error.text}", place) from None

    def run(self) -> LiftedLoop:
        changed = written(self.flow)
        alive: dict[int, int] = {}

        def at_exit(address: int) -> int:
            if address not in alive:
                alive[address] = self.known.of_cells(changed & {CELLS[name] for name in self.live_at(address)})
            return alive[address]

        live = live_before(self.flow, self.known, at_exit)
        exits = sorted(
            {target.address for node in self.flow.nodes.values() for target in node.targets if isinstance(target, Exit)}
        )
        out = changed & self.known.cells(live[self.flow.head])
        for node in self.flow.nodes.values():
            if node.indirect is not None:
                out |= self.known.cells(at_exit(-1))
        for address in exits:
            out |= self.known.cells(at_exit(address))
        entering = [cell for cell in self.known.cells(live[self.flow.head]) if cell.name not in self.assumed]
        live_in, live_out = sorted(entering), sorted(out)
        function, is_storing = self.function(live_in, live_out, live)
        module = Module(source="\n".join(f"{place.address:x}  {place.text}" for place in self.instructions.values()))
        memory = Memory(MEMORY.name, MEMORY.space, MEMORY.element, is_writable=is_storing)
        module.functions["loop"] = function
        lifted = LiftedLoop(
            machine_loop=self.loop,
            module=module,
            lines=tuple(self.instructions),
            live_in=tuple(cell.name for cell in live_in),
            live_out=tuple(cell.name for cell in live_out),
            exits=tuple(
                LoopExit(address, self.refused[address][1] if address in self.refused else "") for address in exits
            ),
            refused=tuple(self.refused[address] for address in sorted(self.refused)),
            assumed=self.assumed,
        )
        module.kernels["batch"] = _batch(lifted, memory)
        if not is_storing:
            _make_read_only(function, memory)
        try:
            verify(module)
        except IrError as error:
            raise LiftError(f"it is too large or too deep ({error})") from None
        return lifted

    def function(
        self, live_in: list[Cell], live_out: list[Cell], live: Mapping[tuple[int, int], int]
    ) -> tuple[Function, bool]:
        shift, head, limit = (Value(Type.U64, name) for name in ("shift", "head", "limit"))
        registers = [Value(cell.type, cell.name) for cell in live_in]
        body = Region()
        emit = Emitter(body)
        semantics = Semantics(emit, shift, head, self.loop.head)
        values = dict(zip(live_in, registers, strict=True))
        values |= {CELLS[name]: emit.const(CELLS[name].type, number) for name, number in self.assumed.items()}

        def leave(state: State, following: Value, rounds: Value) -> None:
            emit.build.end("return", rounds, following, *(state.get(cell) for cell in live_out))

        lines = {address: number for number, address in enumerate(self.instructions, 1)}
        Structure(self.flow, live, self.known, emit, semantics, lines, leave).run(State(emit, values), limit)
        results = (Type.U64, Type.U64, *(cell.type for cell in live_out))
        body = remove_dead(body)
        return Function("loop", (shift, head, limit, *registers), results, (MEMORY,), body), semantics.is_storing


def _make_read_only(function: Function, memory: Memory) -> None:
    function.memories = (memory,)
    for op in walk(function.body):
        if op.memory is not None:
            op.memory = memory


def _batch(lifted: LiftedLoop, memory: Memory) -> Kernel:
    """The kernel that runs the loop in each lane, from a row of ``@state`` and into it."""
    head = Value(Type.U64, "head")
    body = Region()
    build = Builder(body)
    columns = lifted.columns
    width = build.const(Type.U64, FIRST_COLUMN + len(columns))
    first = build.value("mul", build.value("convert", build.value("global_id"), type=Type.U64), width)

    def place(column: int) -> Value:
        return build.value("add", first, build.const(Type.U64, column))

    def of(name: str) -> Value:
        found = build.load(STATE, place(FIRST_COLUMN + columns.index(name)))
        return build.value("convert", found, type=Type.BOOL) if CELLS[name].is_flag else found

    limit, shift = build.load(STATE, place(0)), build.load(STATE, place(1))
    kinds = lifted.module.functions["loop"].results
    results = build.call("loop", [shift, head, limit, *map(of, lifted.live_in)], kinds)
    for column, value in enumerate(results):
        at = column if column < FIRST_COLUMN else FIRST_COLUMN + columns.index(lifted.live_out[column - FIRST_COLUMN])
        build.store(STATE, place(at), value if value.type is Type.U64 else build.value("convert", value, type=Type.U64))
    build.end("return")
    return Kernel("batch", (head,), (memory, STATE), body)
