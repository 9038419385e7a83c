"""Accesses that are proved in bounds really are; what cannot be proved says why, and stays checked."""

import time

import numpy as np
import pytest
from programs import check_seeds

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.model import Bounds
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.bounds import prove_bounds

HEAD = """
kernel k(%n: u32, %m: i32) group 32 {
  buffer @x: f32
  buffer @b: u8
  private @p: i32[16]
  %i = global_id : u32
  %l = local_id : u32
  %zero = const 0 : i32
  %z = const 0 : u32
  %one = const 1 : u32
  %f = const 0x0p+0 : f32
  %len = length @x : u32
"""
GUARD = """
  %c = lt %i, %len : bool
  if %c {
    yield
  } else {
    return
  }
  store @x %i, %f trap
"""
LOOP = """
  loop ^L (%j: u32 = %z) {
    %most = const 16 : u32
    %c = lt %j, %most : bool
    if %c {
      yield
    } else {
      break ^L
    }
    store @p %j, %zero trap
    %next = add %j, %one : u32
    continue ^L %next
  }
"""
DIFFERENCE = """
  %signed = convert %i : i32
  %d = sub %signed, %m : i32
  %limit = convert %len : i32
  %c1 = ge %d, %zero : bool
  %c2 = ge %m, %zero : bool
  %c3 = lt %signed, %limit : bool
  %c4 = and %c1, %c2 : bool
  %c5 = and %c3, %c4 : bool
  if %c5 {
    store @x %d, %f trap
    yield
  } else {
    yield
  }
"""
WIDE = """
  %bytes = length @b : u32
  %four = const 4 : u32
  %c = ge %bytes, %four : bool
  if %c {
    %last = sub %bytes, %four : u32
    %c1 = le %i, %last : bool
    if %c1 {
      store @b %i, %i trap
      yield
    } else {
      yield
    }
    yield
  } else {
    yield
  }
"""


def prove(body, **options):
    module = verify(read(HEAD + body + "  return\n}"))
    proved, reports = prove_bounds(module, "k", group=32, **options)
    return verify(proved), reports


@pytest.mark.parametrize("body", [GUARD, LOOP, "  store @p %l, %zero clamp\n"])
def test_intervals_prove_guards_and_counted_loops(body):
    _, (report,) = prove(body)
    assert (report.verdict is Bounds.PROVED) == ("@p %l" not in body)
    if "@p %l" in body:
        assert report.verdict is Bounds.CLAMP and "31 of 16" in report.reason


@pytest.mark.parametrize("body", [DIFFERENCE, WIDE])
def test_a_solver_proves_what_relates_two_values(body):
    _, (report,) = prove(body)
    assert report.verdict is Bounds.TRAP
    _, (report,) = prove(body, solver=True)
    assert report.verdict is Bounds.PROVED and "Z3" in report.reason


def test_an_index_that_wraps_is_not_proved():
    body = GUARD.replace(
        "store @x %i", "%up = add %i, %n : u32\n  %c9 = lt %up, %len : bool\n  %d = sub %up, %n : u32\n  store @x %d"
    )
    _, (report,) = prove(body, solver=True)
    assert report.verdict is Bounds.PROVED  # it is %i again, whatever wraps
    wrapping = GUARD.replace("store @x %i", "%up = add %i, %one : u32\n  store @x %up")
    _, (report,) = prove(wrapping, solver=True)
    assert report.verdict is Bounds.TRAP and "Z3 finds the index" in report.reason


def test_a_mark_in_the_source_is_nobodys_proof():
    _, (report,) = prove("  store @x %n, %f proved\n")
    assert report.verdict is Bounds.TRAP


def nested(depth, n=0):
    inner = nested(depth, n + 1) if n < depth else "store @x %j0, %f trap"
    return f"""
    loop ^L{n} (%j{n}: u32 = %z) {{
      {inner}
      %c{n} = lt %j{n}, %n : bool
      if %c{n} {{
        yield
      }} else {{
        break ^L{n}
      }}
      %k{n} = add %j{n}, %one : u32
      continue ^L{n} %k{n}
    }}
    """


def test_loops_in_loops_are_analysed_in_bounded_time():
    module = verify(read(HEAD + nested(60) + "return\n}"))
    began = time.process_time()
    _, (report,) = prove_bounds(module, "k")
    assert report.verdict is Bounds.TRAP and time.process_time() - began < 20


@pytest.mark.parametrize("body", [GUARD, LOOP, DIFFERENCE, WIDE])
def test_a_proved_program_does_what_it_did(body):
    module = verify(read(HEAD + body + "  return\n}"))
    proved, _ = prove(body, solver=True)
    ends = []
    for each in (module, proved):
        buffers = {"x": np.ones(70, "f4"), "b": np.ones(67, "u1")}
        outcome = Executor(each, "k").run(Launch(100, 32, {"n": 3, "m": 2}, buffers))
        assert outcome.trap is None
        ends.append([array.tobytes() for array in buffers.values()])
    assert ends[0] == ends[1]


def test_random_programs_do_what_they_did():
    def proved(module, name):
        return Executor(prove_bounds(module, name)[0], name)

    check_seeds(proved, range(60), shrink=False)
