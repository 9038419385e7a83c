"""Programs of the IR that call a function of a module."""

import pytest
from wasm_texts import assemble

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.kernels import KERNEL, call_kernel
from pixel_cpu.frontends.wasm.state import State


def kernel(text: str, name: str, scalars: tuple[int, ...] = ()):
    module = decode(assemble(text))
    return call_kernel(module, State(module), module.exports[name].index, scalars)


def test_arguments_are_scalars_or_buffers():
    found = kernel('(module (func (export "f") (param i32 f64) (result f64) (local.get 1)))', "f", (0,)).kernels[KERNEL]
    assert [each for each in found.scalars] == ["argument0"]
    assert found.buffer_names == ("argument1", "result0", "returned")


def test_only_functions_that_are_called_are_lowered():
    text = (
        """(module (func $deep (call $deep)) (func $a) (func $b (call $a)) (func (export "f") (call $b) (call $b)))"""
    )
    assert sorted(kernel(text, "f").functions) == ["f1", "f2", "f3"]


def test_functions_that_call_themselves_become_one_with_frames():
    found = kernel('(module (func $f (export "f") (call $g)) (func $g (call $f)))', "f")
    assert sorted(found.functions) == ["f0", "f1", "machine0"]
    assert found.kernels[KERNEL].buffer_names == ("frames0", "returned")


def test_a_program_that_is_too_large_is_refused():
    doubled = " ".join(f"(func $f{n} (call $f{n - 1}) (call $f{n - 1}))" for n in range(1, 22))
    with pytest.raises(WasmError, match="too large to run"):
        kernel(f'(module (func $f0 nop) {doubled} (export "f" (func $f21)))', "f")


def test_few_bytes_do_not_ask_for_many_operations():
    many = " ".join("(func)" for _ in range(3000))
    calls = "(call_indirect (i32.const 0))" * 3000
    table = f"(table 3000 funcref) (elem (i32.const 0) {' '.join(map(str, range(3000)))})"
    with pytest.raises(WasmError, match="in f: too large to run"):
        kernel(f'(module {many} {table} (func (export "f") {calls}))', "f")
    sets = "".join(f"(local.set {number} (i32.const 1))" for number in range(3000))
    code = "(local " + "i32 " * 3000 + ")(loop " + "(br_if 0 (i32.const 1))" * 3000 + sets + ")"
    with pytest.raises(WasmError, match="in f: too large to run"):
        kernel(f'(module (func (export "f") {code}))', "f")
