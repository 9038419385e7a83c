"""What is said of a program before it runs."""

from __future__ import annotations

from gpu_lanes import MANY

import pixel_cpu as px
from pixel_cpu.gpu_run.explain import DIRECT, MACHINE, UNUSED, explain, lines


def test_every_function_import_and_buffer_is_there():
    program = px.wasm(MANY, pages=2)
    with px.Device("cpu") as device:
        plan = explain(program, device, 100, memory=1 << 20)
    assert all(each.instructions > 0 for each in plan.functions)
    assert len(plan.functions) == len(program.module.bodies) and len(plan.imports) == 11
    assert {each.how for each in plan.functions} <= {DIRECT, MACHINE, UNUSED}
    assert all(each.how == MACHINE for each in plan.functions if each.suspends)
    assert plan.pages == (1, 2) and plan.waves == -(-100 // plan.lanes_of_wave)
    text = "\n".join(lines(plan, 100))
    assert all(each.name in text for each in (*plan.functions, *plan.imports))


def test_an_import_that_nobody_serves_is_named():
    wat = '(module (import "env" "log" (func)) (import "wasi_snapshot_preview1" "sock_recv" (func)) (func (export "_start") call 0 call 1) (func unreachable))'
    import wasmtime

    program = px.wasm(bytes(wasmtime.wat2wasm(wat)))
    with px.Device("cpu") as device:
        plan = explain(program, device, 1)
    assert [each.support for each in plan.imports] == ["none: a program that calls it ends", "answers ENOSYS"]
    assert [each.how for each in plan.functions] == [MACHINE, UNUSED]
