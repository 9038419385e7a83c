"""Memory as a log of guarded writes."""

from __future__ import annotations

import pytest
import z3

from pixel_cpu.ir.model import Memory, Space
from pixel_cpu.ir.types import Type
from pixel_cpu.verify.memory import MemoryLog, Write, differ, wide_index
from pixel_cpu.verify.world import World

I, J = z3.BitVecs("i j", 32)  # noqa: E741
BASE = z3.BitVec("base", 64)


def at(index, kind=Type.U32, offset=0):
    return wide_index(index, kind, offset)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (at(I), at(I), False),
        (at(I + 1), at(1 + I), False),
        (at(I), at(I + 1), True),
        (at(I + 5), at(I + 4, offset=1), False),
        (at(I - 1), at(I), True),
        (at(I), at(J), None),
        (at(I), at(J + 1), None),
        (at(z3.BitVecVal(3, 32)), at(z3.BitVecVal(4, 32)), True),
        (at(BASE, Type.U64), at(BASE + 8, Type.U64), True),
        (at(2 * I), at(I + I), False),
        (at(I, Type.I32), at(I + 1, Type.I32), True),
    ],
)
def test_indexes_that_differ_whatever_the_inputs_are(a, b, wanted):
    assert differ(a, b) is wanted


@pytest.mark.parametrize("bits", [3, 4])
def test_what_differs_or_not_does_so_for_all_values(bits):
    # Indexes of a few bits, by every value: the constants in them may wrap.
    i = z3.BitVec("i", bits)
    terms = [i + offset for offset in range(1 << bits)] + [2 * i + 1, 3 * i, z3.BitVecVal(1, bits)]
    for a in terms:
        for b in terms:
            found = differ(z3.simplify(a), z3.simplify(b))
            values = {
                z3.is_true(z3.simplify(z3.substitute(a == b, (i, z3.BitVecVal(value, bits)))))
                for value in range(1 << bits)
            }
            assert found is None or values == {not found}, (a, b)


def test_sums_of_different_widths():
    # Of 3 bits that are extended, and of 64: the same constant wraps in one and not in the other.
    i = z3.BitVec("i", 3)
    for extend in (z3.ZeroExt, z3.SignExt):
        terms = [extend(61, z3.simplify(i + offset)) for offset in range(8)]
        # The constant first, as the simplifier writes it.
        terms += [z3.BitVecVal(offset, 64) + extend(61, i) for offset in (-1, 1, 7)]
        for a in terms:
            for b in terms:
                found = differ(a, b)
                equal = {
                    z3.is_true(z3.simplify(z3.substitute(a == b, (i, z3.BitVecVal(value, 3))))) for value in range(8)
                }
                assert found is None or equal == {not found}, (a, b)


def test_a_read_sees_the_last_write_that_was_made():
    log = MemoryLog(World(), Memory("x", Space.BUFFER, Type.U32))
    before = log.read(at(I), ())
    assert log.read(at(I), ()).eq(before)
    chosen, one, two = z3.Bool("chosen"), z3.BitVecVal(1, 32), z3.BitVecVal(2, 32)
    log.writes.append(Write((), at(I), one))
    log.writes.append(Write((chosen,), at(I + 1), two))
    assert log.read(at(I), ()).eq(one)
    assert log.read(at(I + 1), (chosen,)).eq(two)
    assert z3.simplify(log.read(at(I + 1), (z3.Not(chosen),))).decl().kind() == z3.Z3_OP_ITE
