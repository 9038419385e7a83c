"""Programs that know of their lanes run as others do: what they record comes on standard error."""

from __future__ import annotations

import json

import pytest
import wasmtime

from pixel_cpu.errors import UsageError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.gpu_run import main
from pixel_cpu.gpu_run.glassbox_host import check_one_wave, uses_glassbox

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "glassbox" "lane" (func $lane (result i32)))
  (import "glassbox" "atomic" (func $atomic (param i32 i32 i64) (result i64)))
  (import "glassbox" "barrier" (func $barrier))
  (import "glassbox" "record" (func $record (param i32 i32 i32 i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00") (data (i32.const 16) "hello\\n") (data (i32.const 32) "sum")
  (func (export "_start")
    (drop (call $atomic (i32.const 0) (i32.const 0) (i64.extend_i32_u (call $lane))))
    (call $barrier)
    (call $record (i32.const 1) (i32.const 32) (i32.const 3) (call $atomic (i32.const 0) (i32.const 0) (i64.const 0)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "sum.wasm"
    file.write_bytes(wasmtime.wat2wasm(PROGRAM))
    return file


def test_lanes_share_what_they_add_and_print_beside_it(program, capfdbinary):
    assert main(["--device", "cpu", "--lanes", "5", "--quiet", str(program)]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"hello\n" * 5 and err == b"sum = 10\n" * 5


def test_lanes_that_do_not_fit_at_once_are_refused(program, capfd):
    assert main(["--device", "cpu", "--lanes", "300", "--memory", "4M", str(program)]) == 2
    assert "all of its lanes must run at once" in capfd.readouterr().err
    with pytest.raises(UsageError, match="3 of 4 fit"):
        check_one_wave(4, 3)


def test_the_plan_knows_the_module(program, capfd):
    assert main(["--explain", "--json", str(program)]) == 0
    plan = json.loads(capfd.readouterr().out)
    support = {each["name"]: each["support"] for each in plan["imports"]}
    assert support["glassbox.lane"] == "yes, in the launch" and support["glassbox.barrier"] == "yes"
    assert uses_glassbox(decode(program.read_bytes()))
