"""Inputs out of a solver's model, and whether two kernels really differ when they are run with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import z3

from ..backends.launch import OUT_OF_FUEL, Array, Launch, Outcome
from ..backends.reference import Executor
from ..ir.bits import from_bits
from ..ir.model import Kernel, Module
from ..ir.symbolic import Term, constant
from ..ir.types import Type
from .execution import Loop
from .findings import Example
from .solvers import Model
from .world import World

_LANES, _LENGTH = 64, 4096
_FUEL = 300
_TRIES = 20


def is_small(world: World, kernel: Kernel) -> list[Term]:
    """That a launch is small enough to be run."""
    inputs = world.named_inputs(kernel)
    limits = {"lane_count": _LANES} | {f"len {memory.name}": _LENGTH for memory in kernel.buffers}
    return [z3.ULE(inputs[name], constant(limit, Type.U32)) for name, limit in limits.items()]


def read_examples(world: World, kernel: Kernel, model: Model, loops: Sequence[Loop]) -> Iterator[Example]:
    """Launches that a model may be about: its inputs, and for each loop that starts with inputs the state that it has there."""
    inputs = world.named_inputs(kernel)
    lanes = int(evaluate(inputs["lane_count"], model))
    group = int(evaluate(inputs["group_size"], model))
    scalars = {name: from_bits(int(evaluate(inputs[name], model)), kind) for name, kind in kernel.scalars.items()}
    yield Example(lanes, group, scalars, _buffers(world, kernel, model, ""))
    names = {inputs[name].get_id(): name for name in kernel.scalars}
    for loop in loops:
        started = {
            name: from_bits(int(evaluate(value, model)), kernel.scalars[name])
            for start, value in zip(loop.starts, loop.state, strict=True)
            if (name := names.get(start.get_id()))
        }
        yield Example(lanes, group, scalars | started, _buffers(world, kernel, model, loop.name))


def random_examples(kernel: Kernel) -> Iterator[Example]:
    """Small launches with numbers at random, the same ones each time: small ones, ends of the range, any."""
    chance = np.random.default_rng(0)
    for _ in range(_TRIES):
        lanes, group = (int(chance.integers(1, limit)) for limit in (9, 5))
        scalars = {name: _numbers(chance, kind, 1)[0].item() for name, kind in kernel.scalars.items()}
        lengths = [memory.length or int(chance.integers(0, 40)) for memory in kernel.buffers]
        buffers = {
            memory.name: _numbers(chance, memory.element, count)
            for memory, count in zip(kernel.buffers, lengths, strict=True)
        }
        yield Example(lanes, group, scalars, buffers)


def _numbers(chance: np.random.Generator, kind: Type, count: int) -> Array:
    if kind is Type.BOOL:
        return chance.integers(0, 2, count).astype(np.bool_)
    small = chance.integers(0, 20, count).astype(kind.dtype)
    wild = np.frombuffer(chance.bytes(count * kind.bytes), kind.dtype)
    return np.asarray(np.where(chance.integers(0, 2, count) == 0, small, wild), kind.dtype)


def _buffers(world: World, kernel: Kernel, model: Model, segment: str) -> dict[str, Array]:
    found = {}
    for memory in kernel.buffers:
        array = np.zeros(int(evaluate(world.length(memory), model)), memory.element.dtype)
        for index, value in world.cells(segment, memory.name):
            place = int(evaluate(index, model))
            if place < len(array):
                array[place] = from_bits(int(evaluate(value, model)), memory.element)
        found[memory.name] = array
    return found


def evaluate(term: Term, model: Model) -> int | bool:
    """The value of a term in a model, the bits of a float; variables that the model does not say are zero."""
    if z3.is_fp(term):
        term = z3.fpToIEEEBV(term)
    pairs = []
    for name in _variables(term):
        value = model.get(str(name), 0)
        pairs.append((name, z3.BoolVal(bool(value)) if z3.is_bool(name) else z3.BitVecVal(value, name.size())))
    found = z3.simplify(z3.substitute(term, *pairs))
    return bool(z3.is_true(found)) if z3.is_bool(found) else int(found.as_long())


def _variables(term: Term) -> list[Term]:
    found, seen, stack = [], set[int](), [term]
    while stack:
        top = stack.pop()
        if top.get_id() in seen:
            continue
        seen.add(top.get_id())
        if z3.is_const(top) and top.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            found.append(top)
        stack.extend(top.children())
    return found


def differ(first: tuple[Module, str], second: tuple[Module, str], example: Example) -> bool:
    """Whether two kernels do something else for these inputs: other traps, or none and other memory; False where fuel runs out."""
    (one, outcome), (other, twin) = (_run(program, example, _FUEL) for program in (first, second))
    if outcome.traps or twin.traps:
        if any(each.trap and each.trap.reason == OUT_OF_FUEL for each in (outcome, twin)):
            return False
        more = [_run(program, example, 4 * _FUEL)[1].traps for program in (first, second)]
        return outcome.traps != twin.traps and more == [outcome.traps, twin.traps]
    return any(
        not np.array_equal(one.buffers[name], array, equal_nan=array.dtype.kind == "f")
        for name, array in other.buffers.items()
    )


def _run(program: tuple[Module, str], example: Example, fuel: int) -> tuple[Launch, Outcome]:
    launch = example.launch(fuel)
    return launch, Executor(*program).run(launch)
