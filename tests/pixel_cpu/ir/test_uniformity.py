"""Uniformity: hand-made programs, and random ones watched while the reference runs them."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from programs import Options, copy_of, random_case

from pixel_cpu.backends.reference import Executor, _Run
from pixel_cpu.errors import IrError
from pixel_cpu.ir.model import walk
from pixel_cpu.ir.text import read
from pixel_cpu.ir.uniformity import Shape, Uniformity
from pixel_cpu.ir.verifier import verify

HEAD = """
kernel main(%s: u32) group 8 {
  buffer @x: u32 read
  buffer @y: u32
  workgroup @w: u32[8]
  %zero = const 0 : u32
  %one = const 1 : u32
  %three = const 3 : u32
  %l = local_id : u32
  %g = global_id : u32
  %n = group_id : u32
  %few = lt %l, %three : bool
  %first = lt %n, %three : bool
"""


def program(body: str):
    return verify(read(HEAD + body + "\n}\n"))


def shapes(body: str) -> dict[str, Shape]:
    module = program(body)
    kernel = module.kernels["main"]
    found = Uniformity(module, kernel)
    values = [value for op in walk(kernel.body) for value in op.results]
    values += [value for op in walk(kernel.body) for region in op.regions for value in region.parameters]
    return {value.name: found.shape(value) for value in values if value.name}


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        ("add %l, %s : u32", Shape.LINEAR),
        ("add %s, %g : u32", Shape.LINEAR),
        ("add %l, %l : u32", Shape.VARYING),
        ("sub %g, %s : u32", Shape.LINEAR),
        ("sub %s, %g : u32", Shape.VARYING),
        ("mul %g, %one : u32", Shape.VARYING),
        ("convert %g : i32", Shape.LINEAR),
        ("convert %g : i64", Shape.VARYING),
        ("convert %g : f32", Shape.VARYING),
        ("bitcast %g : i32", Shape.LINEAR),
        ("bitcast %g : f32", Shape.VARYING),
        ("mul %n, %s : u32", Shape.UNIFORM),
        ("group_size : u32", Shape.UNIFORM),
        ("group_count : u32", Shape.UNIFORM),
        ("length @x : u32", Shape.UNIFORM),
        ("load @x %n trap : u32", Shape.UNIFORM),
        ("load @x %l trap : u32", Shape.VARYING),
        ("load @y %n trap : u32", Shape.VARYING),
        ("load @w %n clamp : u32", Shape.UNIFORM),
        ("atomic_add @y %n, %one trap : u32", Shape.VARYING),
        ('host_call "f" %s : u32', Shape.VARYING),
        ("if %first {\n yield %l\n } else {\n yield %g\n }", Shape.LINEAR),
    ],
)
def test_shapes_of_operations(operation, shape):
    if operation.startswith("if"):
        operation = operation.replace("%first {", "%first : u32 {")
    assert shapes(f"%v = {operation}\n return")["v"] is shape


@pytest.mark.parametrize(
    "body",
    [
        "%v = if %first : u32 {\n yield %l\n } else {\n yield %zero\n }",
        "%v = switch %n : u32 case 0 {\n yield %zero\n } default {\n yield %l\n }",
        "%v = block ^b : u32 {\n if %first {\n break ^b %l\n } else {\n yield\n }\n yield %s\n }",
    ],
)
def test_what_is_uniform_in_one_group_and_linear_in_another_is_neither(body):
    assert shapes(body + "\n return")["v"] is Shape.VARYING


def test_a_loop_that_begins_uniform_and_goes_on_linear_is_neither():
    body = """
    loop ^a (%p: u32 = %zero, %count: u32 = %zero) {
      %more = lt %count, %three : bool
      if %more {
        yield
      } else {
        break ^a
      }
      %next = add %count, %one : u32
      continue ^a %l, %next
    }
    return"""
    found = shapes(body)
    assert found["p"] is Shape.VARYING
    assert found["count"] is found["next"] is found["more"] is Shape.UNIFORM


def test_a_loop_over_a_linear_start_stays_linear():
    body = """
    loop ^a (%p: u32 = %g) {
      %more = lt %n, %three : bool
      if %more {
        yield
      } else {
        break ^a
      }
      %next = add %p, %s : u32
      continue ^a %next
    }
    return"""
    assert shapes(body)["p"] is Shape.LINEAR


def test_lanes_that_leave_a_loop_at_different_turns_bring_different_values():
    body = """
    %last = loop ^a (%i: u32 = %zero) : u32 {
      %done = ge %i, %l : bool
      if %done {
        break ^a %i
      } else {
        yield
      }
      %next = add %i, %one : u32
      continue ^a %next
    }
    return"""
    assert shapes(body)["last"] is Shape.VARYING


PASSES = {
    "plain": "barrier",
    "uniform branch": "if %first {\n barrier\n yield\n } else {\n yield\n }",
    "after a varying branch": "if %few {\n yield\n } else {\n yield\n }\n barrier",
    "after a varying exit of a block": "block ^b {\n if %few {\n break ^b\n } else {\n yield\n }\n yield\n }\n barrier",
    "after a varying loop": """loop ^a (%i: u32 = %zero) {
        %more = lt %i, %l : bool
        if %more {
          yield
        } else {
          break ^a
        }
        %next = add %i, %one : u32
        continue ^a %next
      }
      barrier""",
    "uniform loop": """loop ^a (%i: u32 = %zero) {
        barrier
        %more = lt %i, %s : bool
        if %more {
          yield
        } else {
          break ^a
        }
        %next = add %i, %one : u32
        continue ^a %next
      }""",
    "before a varying return": "barrier\n if %few {\n return\n } else {\n yield\n }",
    "after a varying trap": 'if %few {\n trap "no"\n } else {\n yield\n }\n barrier',
    "beside a varying exit": """block ^b {
        if %first {
          if %few {
            break ^b
          } else {
            yield
          }
          yield
        } else {
          barrier
          yield
        }
        yield
      }""",
    "uniform return": "if %first {\n return\n } else {\n yield\n }\n barrier",
}

REFUSED = {
    "varying branch": "if %few {\n barrier\n yield\n } else {\n yield\n }",
    "varying switch": "switch %l case 0 {\n barrier\n yield\n } default {\n yield\n }",
    "after a varying return": "if %few {\n return\n } else {\n yield\n }\n barrier",
    "in a block that some lanes left": "block ^b {\n if %few {\n break ^b\n } else {\n yield\n }\n barrier\n yield\n }",
    "varying loop": """loop ^a (%i: u32 = %zero) {
        barrier
        %more = lt %i, %l : bool
        if %more {
          yield
        } else {
          break ^a
        }
        %next = add %i, %one : u32
        continue ^a %next
      }""",
    "start of a loop that some lanes return from": """loop ^a (%i: u32 = %zero) {
        barrier
        if %few {
          return
        } else {
          yield
        }
        continue ^a %i
      }""",
    "outer loop that an inner one leaves for some lanes": """loop ^a () {
        barrier
        loop ^c (%i: u32 = %zero) {
          %more = lt %i, %l : bool
          if %more {
            yield
          } else {
            break ^a
          }
          if %first {
            break ^c
          } else {
            yield
          }
          %next = add %i, %one : u32
          continue ^c %next
        }
        continue ^a
      }""",
    "loop whose count some lanes changed": """%last = loop ^a (%i: u32 = %zero) : u32 {
        %more = lt %i, %l : bool
        if %more {
          yield
        } else {
          break ^a %i
        }
        %next = add %i, %one : u32
        continue ^a %next
      }
      %late = lt %last, %three : bool
      if %late {
        barrier
        yield
      } else {
        yield
      }""",
    "condition from memory that lanes write": """%v = load @y %n trap : u32
      %c = lt %v, %three : bool
      if %c {
        barrier
        yield
      } else {
        yield
      }""",
}


@pytest.mark.parametrize("name", PASSES)
def test_a_barrier_passes(name):
    program(PASSES[name] + "\nreturn")


@pytest.mark.parametrize("name", REFUSED)
def test_a_barrier_is_refused(name):
    with pytest.raises(IrError, match=r"barrier.*uniformity.*may part"):
        program(REFUSED[name] + "\nreturn")


@pytest.mark.parametrize("kind", ["loop", "block"])
def test_nested_divergent_regions_are_analysed_in_time(kind):
    depth = 90
    opening = f"{kind} ^{{0}} {'()' if kind == 'loop' else ''} {{\n if %few {{ break ^{{0}} }} else {{ yield }}\n"
    closing = ("continue ^{0}" if kind == "loop" else "yield") + "\n}\n"
    body = "".join(opening.replace("{0}", f"a{level}").replace("{{", "{").replace("}}", "}") for level in range(depth))
    body += "".join(closing.replace("{0}", f"a{level}") for level in reversed(range(depth)))
    start = time.process_time()
    program(body + "barrier\nreturn")
    assert time.process_time() - start < 5


def test_a_long_chain_of_loop_values_is_given_up_in_time():
    count = 300
    parameters = ", ".join(f"%p{place}: u32 = %zero" for place in range(count))
    rotated = ", ".join([*(f"%p{place}" for place in range(1, count)), "%l"])
    body = f"loop ^a ({parameters}) {{\n if %first {{ break ^a }} else {{ yield }}\n continue ^a {rotated}\n}}\nreturn"
    start = time.process_time()
    found = shapes(body)
    assert {found[f"p{place}"] for place in range(count)} == {Shape.VARYING}
    assert time.process_time() - start < 5


# Random programs, watched


class WatchedRun(_Run):
    """A run that checks each claim of the analysis whenever an operation is reached."""

    def __init__(self, *arguments):
        super().__init__(*arguments, Counter(), is_recorded=False)
        self.frames = []
        self.found = Uniformity(self.module, self.kernel)
        self.claims = {Shape.UNIFORM: 0, Shape.LINEAR: 0, Shape.VARYING: 0}
        self.together = 0

    def region(self, frame, region, mask):
        self.frames.append(frame)
        try:
            return super().region(frame, region, mask)
        finally:
            self.frames.pop()

    def count(self, op, mask):
        super().count(op, mask)
        groups = range(self.launch.groups)
        if self.found.is_uniform_at(op):
            self.together += 1
            for group in groups:
                own = self.groups == group
                reached = mask & own
                assert not reached.any() or (reached == (self.alive & own)).all(), f"{op.name} at line {op.line}"
        for operand in op.operands:
            shape = self.found.shape(operand)
            self.claims[shape] += 1
            if shape is Shape.VARYING:
                continue
            values = self.frames[-1].values[operand]
            if shape is Shape.LINEAR:
                values = values - self.local.astype(values.dtype)
            bits = np.ascontiguousarray(values).view(np.uint8).reshape(self.lanes, -1)
            for group in groups:
                own = bits[mask & (self.groups == group)]
                assert not len(own) or (own == own[0]).all(), (
                    f"%{operand.name} of {op.name} at line {op.line}: {shape!r}"
                )


def watch(seeds):
    claims, together = {shape: 0 for shape in Shape}, 0
    for seed in seeds:
        case = random_case(seed, Options(lanes=40, statements=60))
        run = WatchedRun(case.module, case.module.kernels[case.kernel], copy_of(case.launch))
        try:
            run.run()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{case.text}") from error
        together += run.together
        claims = {shape: count + run.claims[shape] for shape, count in claims.items()}
    return claims, together


def test_claims_hold_while_random_programs_run():
    claims, together = watch(range(25))
    assert together > 500
    assert all(count > 200 for count in claims.values())


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_claims_hold_while_many_random_programs_run():
    watch(range(100_000, 103_000))


def test_the_watch_sees_a_false_claim(monkeypatch):
    monkeypatch.setattr(Uniformity, "shape", lambda self, value: Shape.UNIFORM)
    with pytest.raises(AssertionError, match="UNIFORM"):
        watch(range(20))


def test_watched_runs_are_the_reference_s():
    case = random_case(1)
    ours, theirs = copy_of(case.launch), copy_of(case.launch)
    Executor(case.module, case.kernel).run(ours)
    WatchedRun(case.module, case.module.kernels[case.kernel], theirs).run()
    for name, array in ours.buffers.items():
        assert array.tobytes() == theirs.buffers[name].tobytes()
