"""The builder."""

from __future__ import annotations

import pytest

from pixel_cpu.errors import IrError
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Bounds, Kernel, Memory, Module, Region, Space, Value
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

SAXPY = """kernel saxpy(%a: f32) group 32 {
  buffer @x: f32 read
  buffer @y: f32
  %i = global_id : u32 !1
  %2 = load @x %i trap : f32 !1
  %3 = mul %a, %2 : f32 !2
  %4 = load @y %i clamp : f32 !2
  %5 = add %3, %4 : f32 !2
  store @y %i, %5 clamp !2
  return !2
}
"""


def test_a_program_is_built_as_its_text_says():
    x, y = Memory("x", Space.BUFFER, Type.F32, is_writable=False), Memory("y", Space.BUFFER, Type.F32)
    a, body = Value(Type.F32, "a"), Region()
    build = Builder(body)
    build.line = 1
    i = build.value("global_id", hint="i")
    loaded = build.load(x, i)
    build.line, build.bounds = 2, Bounds.CLAMP
    product = build.value("mul", a, loaded)
    build.store(y, i, build.value("add", product, build.load(y, i)))
    assert not build.is_ended
    build.end("return")
    assert build.is_ended
    module = verify(Module({"saxpy": Kernel("saxpy", (a,), (x, y), body)}))
    assert write(module) == SAXPY == write(read(SAXPY))


@pytest.mark.parametrize(
    ("kind", "given", "literal"),
    [
        (Type.U8, 257, 1),
        (Type.I8, 128, -128),
        (Type.U64, -1, (1 << 64) - 1),
        (Type.F32, 0.1, 0.10000000149011612),
        (Type.F32, 1e300, float("inf")),
        (Type.F64, 1, 1.0),
    ],
)
def test_literals_are_of_their_type(kind, given, literal):
    body = Region()
    Builder(body).const(kind, given)
    (op,) = body.operations
    assert (op.literal, type(op.literal)) == (literal, type(literal))


def test_an_operation_that_does_not_fit_is_refused_when_it_is_built():
    build = Builder(Region())
    with pytest.raises(IrError, match="add: operand 2 is i32"):
        build.value("add", build.const(Type.U32, 1), build.const(Type.I32, 1))


def test_labels_differ():
    build = Builder(Region())
    assert len({build.new_label() for _ in range(10)}) == 10


COUNT = """kernel count(%n: u32) group 32 {
  buffer @out: u32
  %1 = const 0 : u32
  %2 = const 1 : u32
  %3 = loop ^L1 (%4: u32 = %1, %5: u32 = %2) : u32 {
    %6 = lt %4, %n : bool
    if %6 {
      yield
    } else {
      break ^L1 %5
    }
    %7 = rem %4, %5 : u32
    %8 = eq %7, %1 : bool
    %9 = if %8 : u32 {
      %10 = add %5, %2 : u32
      yield %10
    } else {
      yield %5
    }
    %11 = add %4, %2 : u32
    continue ^L1 %11, %9
  }
  %12 = eq %3, %1 : bool
  if %12 {
    trap "none"
  } else {
    yield
  }
  store @out %1, %3 trap
  return
}
"""


def test_branches_and_loops_are_built_from_what_they_do():
    out, n, body = Memory("out", Space.BUFFER, Type.U32), Value(Type.U32, "n"), Region()
    build = Builder(body)
    zero, one = build.const(Type.U32, 0), build.const(Type.U32, 1)

    def round_(values):
        k, total = values
        fits = build.value("eq", build.value("rem", k, total), zero)
        (following,) = build.if_(fits, lambda: [build.value("add", total, one)], lambda: [total])
        return [build.value("add", k, one), following]

    def fail():
        build.end("trap", text="none")
        return ()

    (total,) = build.while_([zero, one], lambda values: build.value("lt", values[0], n), round_, local=1)
    build.if_(build.value("eq", total, zero), fail)
    build.store(out, zero, total)
    build.end("return")
    assert write(verify(Module({"count": Kernel("count", (n,), (out,), body)}))) == COUNT


def test_a_builder_moves_to_another_region():
    first, second = Region(), Region()
    build = Builder(first)
    build.const(Type.I32, 1)
    build.move_to(second)
    build.const(Type.I32, 2)
    assert [[op.literal for op in each.operations] for each in (first, second)] == [[1], [2]]
