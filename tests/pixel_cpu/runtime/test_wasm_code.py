"""Modules that are read, and how their functions run."""

import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import UsageError
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
