"""Random modules do on lanes what they do in wasmtime: results, traps, memory and globals of every lane."""

import random

import numpy as np
import pytest
from wasm_programs import TYPES, Generator
from wasm_runs import Here, compare_calls, compare_state, instances_of_wasmtime, program_of
from wasm_texts import assemble

LANES = 5
_NEAR = {
    "i32": (-(2**31), 2**31 - 1, -1, 0, 1, 2),
    "i64": (-(2**63), 2**63 - 1, -1, 0, 1, 2),
    "f32": (float("nan"), float("inf"), -0.0, 1.5, -3.25, 2.0**31),
    "f64": (float("nan"), float("inf"), -0.0, 1.5, -3.25, 2.0**63),
}
_DTYPES = {"i32": np.int32, "i64": np.int64, "f32": np.float32, "f64": np.float64}


def arguments(rng: random.Random, kinds: tuple[str, ...]) -> list[np.ndarray]:
    return [
        np.array(
            [rng.choice(_NEAR[kind]) if rng.random() < 0.5 else rng.randrange(300) for _ in range(LANES)], _DTYPES[kind]
        )
        for kind in kinds
    ]


def check(seeds: range, *, compiled: bool, functions: int = 6, recursion: bool = False) -> dict[str, int]:
    """Compare the modules of seeds; how many calls of a lane ended how."""
    device, made, ends = Here(), [], {}
    for seed in seeds:
        generator = Generator(seed, functions, recursion=recursion)
        text = generator.text()
        data = assemble(text)
        program = program_of(data)
        made.append((seed, generator, text, data, program))
    if compiled:
        device.compile([program.kernel(program.function(name)) for _, g, _, _, program in made for name in g.functions])
    for seed, generator, text, data, program in made:
        rng = random.Random(seed)
        ours, theirs = program.instances(LANES, device=device), instances_of_wasmtime(data, LANES)
        try:
            for name, kinds in generator.functions.items():
                for why in compare_calls(ours, theirs, name, arguments(rng, kinds)):
                    ends[why] = ends.get(why, 0) + 1
                compare_state(ours, theirs, {f"g{kind}": place for place, kind in enumerate(TYPES)})
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{text}") from None
    return ends


def test_random_modules_on_the_reference_are_wasmtime_s():
    ends = check(range(4), compiled=False)
    assert ends[""] > sum(ends.values()) / 3 and len(ends) > 2


def test_random_modules_in_machine_code_are_wasmtime_s():
    check(range(100, 102), compiled=True, functions=2)


def test_random_modules_whose_functions_call_themselves_are_wasmtime_s():
    check(range(6), compiled=False, functions=4, recursion=True)


@pytest.mark.long
@pytest.mark.parametrize("begin", range(1000, 1400, 20))
def test_many_random_modules_on_the_reference_are_wasmtime_s(begin):
    check(range(begin, begin + 20), compiled=False)


@pytest.mark.long
@pytest.mark.parametrize("begin", range(5000, 5100, 5))
def test_many_random_modules_in_machine_code_are_wasmtime_s(begin):
    check(range(begin, begin + 5), compiled=True)


@pytest.mark.long
@pytest.mark.parametrize("begin", range(3000, 3200, 20))
def test_many_random_modules_whose_functions_call_themselves_are_wasmtime_s(begin):
    check(range(begin, begin + 20), compiled=False, recursion=True)


@pytest.mark.long
@pytest.mark.parametrize("begin", range(7000, 7020, 2))
def test_many_random_modules_with_recursion_in_machine_code_are_wasmtime_s(begin):
    check(range(begin, begin + 2), compiled=True, functions=4, recursion=True)
