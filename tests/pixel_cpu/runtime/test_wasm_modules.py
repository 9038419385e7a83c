"""Programs in C, compiled for WebAssembly: every lane gives what wasmtime gives. `wasm_modules/build` makes them of their sources."""

from pathlib import Path

import numpy as np
import pytest
from wasm_runs import Here, compare_calls, compare_state, instances_of_wasmtime

import pixel_cpu as px

MODULES = Path(__file__).resolve().parents[1] / "wasm_modules"
LANES = 24
NUMBERS = np.array([*range(1, 13), *(7**each for each in range(10, 22))], np.int64)
CALLS = {
    "sort": [
        ("sorted_checksum", [NUMBERS[:LANES].astype(np.int32), np.arange(LANES, dtype=np.int32) * 2]),
        ("at", [np.arange(LANES, dtype=np.int32)]),
    ],
    "collatz": [("collatz", [NUMBERS, np.full(LANES, 150, np.int32)])],
    "machine": [("run", [np.linspace(-2, 3, LANES), np.linspace(9, -9, LANES)])],
    "text": [("round_trip", [NUMBERS]), ("hash", [NUMBERS])],
}
"""Functions of each module, and their arguments."""


def compare(name: str, device) -> None:
    path = MODULES / f"{name}.wasm"
    ours, theirs = px.wasm(path).instances(LANES, device=device), instances_of_wasmtime(path.read_bytes(), LANES)
    for function, arguments in CALLS[name]:
        assert not any(compare_calls(ours, theirs, function, arguments))
    compare_state(ours, theirs, {})


def test_every_module_is_called():
    assert sorted(CALLS) == sorted(path.stem for path in MODULES.glob("*.c"))
    written = {path.stem for path in MODULES.glob("*.wat")}  # for the page of documentation
    assert sorted({*CALLS} | written) == sorted(path.stem for path in MODULES.glob("*.wasm"))


@pytest.mark.parametrize("name", CALLS)
def test_a_program_in_c_on_the_reference_is_wasmtime_s(name):
    compare(name, Here())


@pytest.mark.parametrize("name", ["collatz", "machine"])
def test_a_program_in_c_in_machine_code_is_wasmtime_s(name):
    compare(name, "cpu")


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
def test_every_program_in_c_in_machine_code_is_wasmtime_s(name):
    compare(name, "cpu")


def test_what_c_refuses_is_a_trap_of_its_lane():
    instances = px.wasm(MODULES / "sort.wasm").instances(3, device=Here())
    instances.call("sorted_checksum", 5, np.array([3, 300, 4]), raise_traps=False)
    assert instances.returned.tolist() == [True, False, True]
    assert instances.outcome and instances.outcome.trap and instances.outcome.trap.reason == "unreachable"
