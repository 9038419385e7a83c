"""Programs that are interpreted, against wasmtime."""

import pytest
from wasm_rounds import compare
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.runtime import wasm_translation
from pixel_cpu.runtime.wasm_interpreter import interpreted


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(wasm_translation, "SECONDS_PER_PART", 1e9)
    with px.Device("cpu", isolated=False) as found:
        yield found


@pytest.mark.parametrize("seed", range(6))
def test_random_modules_give_what_wasmtime_gives_however_often_they_are_stopped(seed, device):
    compare(seed, device, (1, 7, 1 << 16)[seed % 3])


@pytest.mark.long
def test_many_random_modules_give_what_wasmtime_gives(device):
    assert sum(compare(seed, device, (1, 7, 1 << 16)[seed % 3]) for seed in range(1000, 1060))


@pytest.mark.parametrize(
    "text",
    [
        """(module (import "glassbox" "lane" (func $lane (result i32))) (table 1 funcref) (elem (i32.const 0) $lane)
          (func (export "f") (drop (call_indirect (result i32) (i32.const 0)))))""",
        f'(module (func (export "f") {"(local i64)" * 40_000}))',
    ],
)
def test_what_tables_cannot_say_is_left_to_translation(text):
    program = px.wasm(assemble(text))
    assert interpreted(program.module, program.state, program.function("f")) is None
