"""The two theories agree with each other and with the processor on what an index can be."""

import pytest

from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify
from pixel_cpu.passes.ranges import Ranges
from pixel_cpu.passes.solver import prove


def accesses(body):
    text = (
        f"kernel k(%a: u32, %b: i32) {{\n private @p: i32[64]\n buffer @x: i32\n%z = const 0 : i32\n{body}\nreturn\n}}"
    )
    module = verify(read(text))
    ranges = Ranges(module, module.kernels["k"], group=32)
    return ranges, list(ranges.accesses.values())


@pytest.mark.parametrize(
    ("body", "is_proved"),
    [
        ("%k = const 63 : u32\n%i = and %a, %k : u32\nstore @p %i, %z trap", True),
        ("%k = const 64 : u32\n%i = rem %a, %k : u32\nstore @p %i, %z trap", True),
        ("%k = const 65 : u32\n%i = rem %a, %k : u32\nstore @p %i, %z trap", False),
        ("%k = const 26 : u32\n%i = shr %a, %k : u32\nstore @p %i, %z trap", True),
        ("%k = const 64 : i32\n%i = rem %b, %k : i32\nstore @p %i, %z trap", False),
        ("%k = const 64 : i32\n%r = rem %b, %k : i32\n%i = abs %r : i32\nstore @p %i, %z trap", True),
        # b - b / 64 * 64 is the remainder, which intervals cannot see.
        (
            "%k = const 64 : u32\n%q = div %a, %k : u32\n%m = mul %q, %k : u32\n%i = sub %a, %m : u32\nstore @p %i, %z trap",
            True,
        ),
        ("%n = length @x : u32\n%c = lt %a, %n : bool\n%i = select %c, %a, %n : u32\nstore @x %i, %z trap", False),
    ],
)
def test_a_solver_says_what_holds(body, is_proved):
    ranges, (access,) = accesses(body)
    found = prove(ranges, access)
    assert found.is_proved == is_proved, found.reason


def test_work_is_bounded():
    steps = "\n".join(f"%m{n} = mul %m{n - 1}, %m{n - 1}x : u32\n%m{n}x = xor %m{n}, %a : u32" for n in range(1, 40))
    body = f"%one = const 1 : u32\n%m0 = or %a, %one : u32\n%m0x = rotl %a, %m0 : u32\n{steps}\n%i = mul %m39, %m39x : u32\nstore @p %i, %z trap"
    ranges, (access,) = accesses(body)
    assert not prove(ranges, access).is_proved
