"""Proofs that kernels do the same; the reference executor says whether they really do."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import z3
from lane_kernels import module
from mutants import mutant
from programs import NO_FLOATS, copy_of, random_case

from pixel_cpu.ir.text import write
from pixel_cpu.ir.types import Type
from pixel_cpu.verify.equivalence import Contract, prove_equal
from pixel_cpu.verify.examples import differ, random_examples
from pixel_cpu.verify.findings import Example, Verdict

MODELLED = replace(NO_FLOATS, barriers=False, atomics=False, prints=False, host_calls=False, statements=8, lanes=8)

EIGHT_TIMES = """
kernel main(%n: u32) group 32 {
  buffer @x: u32 read
  buffer @y: u32
  %i = global_id : u32
  %inside = lt %i, %n : bool
  if %inside {
    %v = load @x %i trap : u32
    %eight = const 8 : u32
    %product = mul %v, %eight : u32
    store @y %i, %product trap
    yield
  } else {
    yield
  }
  return
}
"""
SHIFTED = """
kernel main(%n: u32) group 32 {
  buffer @x: u32 read
  buffer @y: u32
  %i = global_id : u32
  %outside = ge %i, %n : bool
  if %outside {
    return
  } else {
    yield
  }
  %v = load @x %i trap : u32
  %three = const 3 : u32
  %product = shl %v, %three : u32
  store @y %i, %product trap
  return
}
"""
HASH = """
kernel main(%n: u32, %h: u32) group 1 {{
  buffer @x: u8 read
  buffer @y: u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %p = const {factor} : u32
  %r = loop ^l (%i: u32 = %zero, %a: u32 = %h) : u32 {{
    %c = lt %i, %n : bool
    if %c {{
      yield
    }} else {{
      break ^l %a
    }}
    %b = load @x %i trap : u8
    %w = convert %b : u32
    %e = xor %a, %w : u32
    {step}
    %j = add %i, %one : u32
    continue ^l %j, %f
  }}
  store @y %zero, %r trap
  return
}}
"""
FNV = HASH.format(factor=0x01000193, step="%f = mul %e, %p : u32")
FNV_BY_SHIFTS = HASH.format(
    factor=0x93,
    step="""%s24 = const 24 : u32
    %s8 = const 8 : u32
    %f1 = mul %e, %p : u32
    %f2 = shl %e, %s8 : u32
    %f3 = shl %e, %s24 : u32
    %f4 = add %f1, %f2 : u32
    %f = add %f4, %f3 : u32""",
)
BACKWARDS = """
kernel main(%n: u32, %h: u32) group 1 {
  buffer @x: u8 read
  buffer @y: u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %p = const 16777619 : u32
  %r = loop ^l (%left: u32 = %n, %a: u32 = %h) : u32 {
    %c = ne %left, %zero : bool
    if %c {
      yield
    } else {
      break ^l %a
    }
    %i = sub %n, %left : u32
    %b = load @x %i trap : u8
    %w = convert %b : u32
    %e = xor %a, %w : u32
    %f = mul %e, %p : u32
    %j = sub %left, %one : u32
    continue ^l %j, %f
  }
  store @y %zero, %r trap
  return
}
"""


def prove(first: str, second: str, contract: Contract | None = None):
    """The finding on two texts; what is refuted really differs."""
    programs = (module(first), "main"), (module(second), "main")
    found = prove_equal(*programs, contract)
    assert (found.example is not None) == (found.verdict is Verdict.REFUTED)
    assert found.example is None or differ(*programs, found.example)
    return found


def test_two_ways_to_write_one_kernel():
    assert prove(EIGHT_TIMES, SHIFTED).verdict is Verdict.PROVED


def test_a_kernel_that_goes_one_further_is_refuted_by_inputs():
    found = prove(EIGHT_TIMES, SHIFTED.replace("ge %i, %n", "gt %i, %n"))
    assert found.verdict is Verdict.REFUTED and found.example.lanes > found.example.scalars["n"]


def test_a_contract_excludes_inputs():
    further = SHIFTED.replace("ge %i, %n", "gt %i, %n")
    apart = Contract(assume=lambda inputs: [inputs["global_id"] != inputs["n"]])
    assert prove(EIGHT_TIMES, further, apart).verdict is Verdict.PROVED


def test_a_multiplication_as_shifts_in_a_loop():
    assert prove(FNV, FNV_BY_SHIFTS).verdict is Verdict.PROVED


def test_a_loop_with_another_factor_is_refuted():
    assert prove(FNV, FNV.replace(str(0x01000193), str(0x01000195))).verdict is Verdict.REFUTED


def test_a_relation_between_loops_that_count_up_and_down():
    assert prove(FNV, BACKWARDS).verdict is Verdict.UNKNOWN
    n = z3.BitVec("input n", 32)
    contract = Contract(
        relations={0: lambda state: (n - state[0], state[1])}, invariants={0: lambda state: z3.ULE(state[0], n)}
    )
    assert prove(FNV, BACKWARDS, contract).verdict is Verdict.PROVED


def test_an_invariant_that_does_not_hold_proves_nothing():
    n = z3.BitVec("input n", 32)
    wrong = Contract(
        relations={0: lambda state: (n - state[0], state[1])}, invariants={0: lambda state: z3.ULT(state[0], n)}
    )
    assert prove(FNV, BACKWARDS, wrong).verdict is Verdict.UNKNOWN


def test_an_invariant_says_nothing_of_inputs_outside_of_its_loop():
    # It fails for n = 0, where no iteration begins in a state that it allows.
    n = z3.BitVec("input n", 32)
    other = FNV.replace(
        "store @y %zero, %r trap", "%no = eq %n, %zero : bool\n%w = select %no, %one, %r : u32\nstore @y %zero, %w trap"
    )
    contract = Contract(invariants={0: lambda state: z3.And(z3.ULE(state[0], n), n != 0)})
    assert prove(FNV, other, contract).verdict is not Verdict.PROVED
    never = Contract(invariants={0: lambda state: z3.BoolVal(False)})
    assert prove(FNV, other, never).verdict is not Verdict.PROVED


def test_a_contract_that_no_inputs_fulfil_proves_nothing():
    impossible = Contract(assume=lambda inputs: [inputs["n"] != inputs["n"]])
    assert prove(EIGHT_TIMES, SHIFTED, impossible).verdict is Verdict.UNKNOWN


def test_rounds_that_burn_more_fuel_are_no_difference():
    costly = FNV.replace("continue ^l %j, %f", "continue ^l %j, %f fuel 200")
    assert prove(FNV, costly).verdict is Verdict.PROVED
    programs = (module(FNV), "main"), (module(costly), "main")
    assert not any(differ(*programs, example) for example in random_examples(programs[0][0].kernels["main"]))


PASSED_BY = """
kernel main(%n: u32) group 1 {{
  buffer @y: u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %none = eq %n, %zero : bool
  {head} {{
    if %none {{
      {store}
      {leave}
    }} else {{
      yield
    }}
    loop ^l (%i: u32 = %zero) {{
      %c = lt %i, %n : bool
      if %c {{
        yield
      }} else {{
        break ^l
      }}
      store @y %i, %i trap
      %j = add %i, %one : u32
      continue ^l %j
    }}
    yield
  }}
  return
}}
"""


@pytest.mark.parametrize("leave", ["break ^out", "return", "trap"])
def test_what_a_way_past_a_loop_wrote(leave):
    texts = [
        PASSED_BY.format(head="block ^out", store=f"store @y %zero, %{value} trap", leave=leave)
        for value in ("zero", "one")
    ]
    assert prove(texts[0], texts[0]).verdict is Verdict.PROVED
    wanted = Verdict.PROVED if leave == "trap" else Verdict.REFUTED
    assert prove(*texts).verdict is wanted


BYTES = """
kernel main(%at: u64) group 1 {{
  buffer @x: u8
  buffer @y: u32
  %zero = const 0 : u64
  {body}
  store @y %zero, %r trap
  return
}}
"""
WIDE = BYTES.format(body="%r = load @x %at trap : u32")
SINGLE = BYTES.format(
    body="%three = const 3 : u64\n%last = add %at, %three : u64\n%b3 = load @x %last trap : u8\n%b0 = load @x %at trap : u8\n"
    + "".join(
        f"%c{n} = const {n} : u64\n%a{n} = add %at, %c{n} : u64\n%b{n} = load @x %a{n} trap : u8\n" for n in (1, 2)
    )
    + "".join(
        f"%w{n} = convert %b{n} : u32\n%s{n} = const {8 * n} : u32\n%h{n} = shl %w{n}, %s{n} : u32\n" for n in range(4)
    )
    + "%o1 = or %h0, %h1 : u32\n%o2 = or %h2, %h3 : u32\n%r = or %o1, %o2 : u32"
)


def test_a_wide_load_is_its_bytes():
    low = Contract(assume=lambda inputs: [z3.ULT(inputs["at"], z3.BitVecVal(1 << 32, 64))])
    assert prove(WIDE, SINGLE, low).verdict is Verdict.PROVED
    # Bytes at the end of the address space and at its begin are no four in a row.
    assert prove(WIDE, SINGLE.replace("const 16 : u32", "const 17 : u32"), low).verdict is Verdict.REFUTED


ALIASES = """
kernel main(%i: u32, %j: u32) group 1 {{
  buffer @x: u32
  %one = const 1 : u32
  %two = const 2 : u32
  store @x %i, %one trap
  store @x %j, %two trap
  {value}
  store @x %i, %v trap
  return
}}
"""


def test_indexes_that_may_be_equal():
    read, known = ALIASES.format(value="%v = load @x %i trap : u32"), ALIASES.format(value="%v = const 1 : u32")
    assert prove(read, known).verdict is Verdict.REFUTED
    apart = Contract(assume=lambda inputs: [inputs["i"] != inputs["j"]])
    assert prove(read, known, apart).verdict is Verdict.PROVED


def test_what_is_not_modelled_is_said():
    barrier = "kernel main() group 32 {\nbarrier\nreturn\n}"
    found = prove(barrier, barrier)
    assert found.verdict is Verdict.UNKNOWN and "barrier" in found.reason


def test_kernels_with_other_buffers_are_not_compared():
    with pytest.raises(ValueError, match="different scalars or buffers"):
        prove(EIGHT_TIMES, FNV)


def check_mutants(seed: int, count: int) -> int:
    """Plant faults in the program of a seed: none that shows is called proved. How many were refuted."""
    kinds = random.Random(seed).sample([kind for kind in Type if not kind.is_float], 2)
    case = random_case(seed, replace(MODELLED, kinds=tuple(kinds)))
    original = (case.module, "main")
    assert prove_equal(original, original, is_thorough=False).verdict is Verdict.PROVED, case.text
    refuted = 0
    for number in range(count):
        changed, what = mutant(case.module, random.Random(count * seed + number))
        found = prove_equal(original, (changed, "main"), is_thorough=False)
        refuted += found.verdict is Verdict.REFUTED
        if found.verdict is Verdict.PROVED:
            own = copy_of(case.launch)
            launches = [
                Example(own.lanes, own.group, own.scalars, own.buffers),
                *random_examples(case.module.kernels["main"]),
            ]
            shown = [example for example in launches if differ(original, (changed, "main"), example)]
            assert not shown, f"{what}\n{case.text}\n{write(changed)}\n{shown[0]}"
    return refuted


def test_no_planted_fault_is_called_proved():
    assert sum(check_mutants(seed, 2) for seed in range(12)) > 2


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(5))
def test_no_planted_fault_of_many_is_called_proved(part):
    assert sum(check_mutants(seed, 4) for seed in range(100 + 100 * part, 200 + 100 * part)) > 50


def test_a_proof_that_takes_too_long_is_given_up():
    program = module(FNV), "main"
    assert prove_equal(program, program, limit_s=60).verdict is Verdict.PROVED
    found = prove_equal(program, program, limit_s=-1)
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, "it takes more than -1 s")


SWAPPED = """
kernel main(%a: u64, %b: u64) group 1 {{
  buffer @m: u8
  %one = const 1 : u8
  %two = const 2 : u8
  store @m {first}
  store @m {second}
  %v = load @m %a trap : u8
  store @m %b, %v trap
  return
}}
"""


def test_writes_that_may_be_to_one_place_are_in_order():
    """Reads that may be of several writes are first taken for any values, which never proves what only looks alike."""
    stores = ["%a, %one trap", "%b, %two trap"]
    one = module(SWAPPED.format(first=stores[0], second=stores[1])), "main"
    other = module(SWAPPED.format(first=stores[1], second=stores[0])), "main"
    assert prove_equal(one, one).verdict is Verdict.PROVED
    found = prove_equal(one, other)
    assert found.verdict is Verdict.REFUTED and found.example.scalars["a"] == found.example.scalars["b"]
    apart = Contract(assume=lambda inputs: [inputs["a"] != inputs["b"]])
    assert prove_equal(one, other, apart).verdict is Verdict.PROVED
