"""Modules that are read, and how their functions run."""

import numpy as np
import pytest
import wasmtime
from wasm_texts import assemble, engine

import pixel_cpu as px
from pixel_cpu.errors import TrapError, UsageError, WasmError
from pixel_cpu.runtime.wasm_code import WasmCode

TEXT = '(module (func (export "f") (result i32) (i32.const 3)) (memory (export "m") 1))'


def test_functions_are_found_by_the_names_that_they_are_exported_by(tmp_path):
    file = tmp_path / "a.wasm"
    file.write_bytes(assemble(TEXT))
    code = WasmCode.read(file)
    assert code.function("f") == 0 and code.key
    with pytest.raises(UsageError, match="no exported function 'm'; the module has f"):
        code.function("m")
    with pytest.raises(UsageError, match="No such file"):
        WasmCode.read(tmp_path / "b.wasm")


def test_only_the_software_gpu_without_options_interprets_first():
    code = WasmCode.read(assemble(TEXT))
    assert code.is_tiered(px.Device("cpu"))
    assert not code.is_tiered(px.Device("cpu", level="-O0")) and not code.is_tiered(px.Device("reference"))


IMPORTS = """(module (import "env" "memory" (memory 1 3)) (import "env" "table" (table 4 funcref))
  (import "env" "base" (global $base i32)) (import "env" "count" (global $count (mut i64))) (import "env" "ratio" (global $ratio f64))
  (global $own i32 (i32.add (global.get $base) (i32.const 8))) (data (global.get $base) "abcd") (elem (i32.const 2) $twice)
  (type $t (func (param i32) (result i32))) (func $twice (type $t) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "f") (param i32) (result i32 i64 f64 i32)
    (i32.store8 (global.get $own) (local.get 0))
    (global.set $count (i64.add (global.get $count) (i64.extend_i32_u (memory.grow (i32.const 1)))))
    (call_indirect (type $t) (local.get 0) (i32.const 2)) (global.get $count) (global.get $ratio)
    (i32.load (global.get $base)))
  (func (export "g") (result i32) (i32.add (i32.load8_u (global.get $own)) (call_indirect (type $t) (i32.const 1) (i32.const 0)))))"""


def test_what_a_module_imports_beside_functions_is_each_instance_s_own():
    data = assemble(IMPORTS)
    program = px.wasm(data, pages=3, globals={"env.base": 16, "env.count": -5, "env.ratio": 0.1})
    ours = program.instances(2, device=px.Device("cpu", isolated=False))
    store = wasmtime.Store(engine())
    given = [
        wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, 3))),
        wasmtime.Table(store, wasmtime.TableType(wasmtime.ValType.funcref(), wasmtime.Limits(4, None)), None),
    ]
    for name, value, is_mutable in (("i32", 16, False), ("i64", -5, True), ("f64", 0.1, False)):
        kind = wasmtime.GlobalType(getattr(wasmtime.ValType, name)(), is_mutable)
        given.append(wasmtime.Global(store, kind, getattr(wasmtime.Val, name)(value)))
    theirs = wasmtime.Instance(store, wasmtime.Module(engine(), data), given).exports(store)
    for n in (7, 250, 3):
        wanted = theirs["f"](store, n)
        found = ours.call("f", np.array([n, n]))
        assert [each.tolist() for each in found] == [[each] * 2 for each in wanted]
    with pytest.raises(TrapError, match="uninitialized element"):
        ours.call("g")


def test_an_imported_global_without_a_value_is_refused_by_name():
    with pytest.raises(WasmError, match=r"env\.base has no value; px\.wasm\(path, globals=\{'env\.base': number\}\)"):
        px.wasm(assemble(IMPORTS))
