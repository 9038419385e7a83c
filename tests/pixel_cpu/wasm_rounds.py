"""Runs in rounds beside wasmtime, which calls the same host in place."""

from __future__ import annotations

import random

import numpy as np
import wasmtime
from wasm_programs import TYPES, Generator
from wasm_runs import REASONS, is_same
from wasm_texts import assemble, engine

import pixel_cpu as px
from pixel_cpu.runtime.rounds import LaneState, Reply, Request, Rounds

DTYPES = {"i32": "i4", "i64": "i8", "f32": "f4", "f64": "f8"}
LANES = 6


def answer(memory: np.ndarray, first: int, second: int) -> int:
    """What `ask` gives: it also counts in the memory."""
    place = first & 255
    memory[place] = (int(memory[place]) + 1) & 255
    return (3 * second + first + int(memory[place])) % (1 << 64)


class Asked:
    """A host with the function `ask`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def serve(self, request: Request) -> Reply:
        self.requests.append(request)
        assert request.name == "env.ask" and (np.diff(request.lanes) > 0).all()
        rows = zip(request.lanes, *request.operands, strict=True)
        found = [answer(request.memory[lane], int(first), int(second)) for lane, first, second in rows]
        return Reply((np.array(found, np.uint64),))


def instance_of_wasmtime(data: bytes) -> tuple[wasmtime.Store, wasmtime.Instance]:
    store = wasmtime.Store(engine())

    def ask(caller: wasmtime.Caller, first: int, second: int) -> int:
        memory = caller["memory"]
        held = np.frombuffer(memory.get_buffer_ptr(caller), np.uint8)
        found = answer(held, first, second)
        return found - (1 << 64) if found >> 63 else found

    kind = wasmtime.FuncType([wasmtime.ValType.i32(), wasmtime.ValType.i64()], [wasmtime.ValType.i64()])
    function = wasmtime.Func(store, kind, ask, access_caller=True)
    module = wasmtime.Module(engine(), data)
    return store, wasmtime.Instance(store, module, [function] if module.imports else [])


def cut_over(rounds: Rounds, rng: random.Random, most: int) -> None:
    """Run to the end, and meanwhile let machine code of some functions take over, up to `most` times."""
    while rounds.step():
        if most and rng.random() < 0.4:
            most -= 1
            members = sorted(rounds.found.sizes)
            rounds.translation.make(rng.sample(members, rng.randint(1, len(members))))


def compare(seed: int, device: object, share: int, *, plain: bool = False, cuts: int = 0) -> int:
    """Run every function of a random module in rounds and in wasmtime; gives how many lanes ended by a trap.

    Up to `cuts` times in each function machine code takes over from an interpreter.
    """
    generator = Generator(seed, 4, recursion=bool(seed % 2), asks=True, plain=plain)
    data = assemble(generator.text())
    rng = np.random.default_rng(seed)
    trapped = 0
    instances = px.wasm(data).instances(LANES, device=device, fuel=10_000_000)
    theirs = [instance_of_wasmtime(data) for _ in range(LANES)]
    for name, kinds in generator.functions.items():
        arguments = [rng.integers(-9, 300, LANES).astype(DTYPES[kind]) for kind in kinds]
        rounds = Rounds(instances, name, arguments, host=Asked(), share=share)
        cut_over(rounds, random.Random(seed), cuts)
        for lane, (store, instance) in enumerate(theirs):
            try:
                found = instance.exports(store)[name](store, *(each[lane].item() for each in arguments))
            except wasmtime.Trap as trap:
                reason = REASONS[trap.trap_code]
                mine = rounds.trap(lane)
                assert mine and mine.reason in reason, f"{seed} {name} lane {lane}: {reason}, {mine}"
                trapped += 1
                continue
            assert rounds.states[lane] == LaneState.RETURNED, f"{seed} {name} lane {lane}: {rounds.trap(lane)}"
            wanted = found if isinstance(found, list) else [] if found is None else [found]
            assert all(is_same(each[lane], one) for each, one in zip(rounds.results, wanted, strict=True)), (seed, name)
    for lane, (store, instance) in enumerate(theirs):
        memory = bytes(instance.exports(store)["memory"].read(store))
        assert bytes(instances.memory[lane][: len(memory)]) == memory, f"{seed}: memory of lane {lane}"
        for kind in TYPES:
            value = instance.exports(store)[f"g{kind}"].value(store)
            held = instances.buffers[instances.program.state.globals[TYPES.index(kind)].name]
            assert is_same(held[lane], value), f"{seed}: g{kind} of lane {lane}"
    return trapped
