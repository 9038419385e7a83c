"""What p-code's operations become: one instruction at a time on random states, against Unicorn.

The forms are some of each kind that a boot and Alpine's own tools execute; `tests/pixel_cpu/learn/test_forms_of_a_guest.py` takes all of them from a trace.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from x86_states import HEAD, Case

from pixel_cpu.backends import reference
from pixel_cpu.errors import LiftError
from pixel_cpu.frontends.x86 import MachineLoop, lift
from pixel_cpu.frontends.x86.pcode import decode
from pixel_cpu.frontends.x86.semantics import refusal

FORMS = """
01f8 4801d8 11c8 4829d8 19d9 0fb6c4 0fbec0 480fbe06 4863c7 8a26 8826 66890e 0000 803e41 48833c1e05 6683c801
21d8 09d9 31c0 31d8 4c31e0 f7d0 48f7d8 ffc0 fec9 48ffcf 84c0 4885f6 38e0 3b06 483b3c24
480fafc3 0fafc1 6bc00d f7e1 48f7e1 f7e9 48f7e9 f6e1 f7f1 48f7f1 f7f9 48f7f9 f6f1 f6f9 66f7f1 4899 99 98 4898
c1e005 48c1e83f c1f807 d1e8 d3e0 48d3e8 48d3f8 d2e8 c1c00d 48d3c0 d3c8 c1c810 0fa4d805 480facd805 d1d8 d1d0
0fc8 480fc9 0fbcc3 480fbdc3 f30fbcc3 f3480fbdc3 f30fb8c3 0fbae305 480fa3d8 480fabd8 0fbb06
0f44c3 480f42c3 0f4fc3 0f94c0 0f9cc4 488d441e08 8d0478 488d0500100000 480305aa000000
50 5b 6a05 68ffffff7f c9 c3 e8aabbccdd eb05 7410 7f10 0f8610000000 ff2411 ffe0 e310 e2f0
f3a4 48a5 f348ab aa ac f3a6 f2ae ae 65488b0425a0000000 648b0411
660fefc1 660fd4c1 660ffec1 660ff8c1 660f6fc8 660f6f06 f30f6f06 660f7f06 f30f7f06 660f6ec0 66480f7ec0 f30f7ec1 660fd606
660f62c1 660f6cc1 660f60c1 660f70c11b 660f73d904 660f73f904 660f73d103 660f72f105 660f74c1 660f76c1 660fd7c1
660fdac1 660fdec1 660febc1 660fdbc1 660fdfc1 0f28c1 0f11060f570f16c1 0fc6c14e 90 f30f1efa 660f1f440000 86c4 4887d8 fc fd f8 f9 f5
""".split()
FORMS = [form for word in FORMS for form in ({"0f11060f570f16c1": ("0f1106", "0f57c1", "0f16c1")}.get(word, (word,)))]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form} {decode(HEAD, bytes.fromhex(form)).text}")
def test_an_instruction_leaves_behind_what_unicorn_leaves(form):
    case = Case(bytes.fromhex(form))
    assert list(case.differences(case.lifted(), reference.compile_kernel)) == []


def test_a_wrong_meaning_would_be_found():
    case = Case(bytes.fromhex("4801d8"))
    other = Case(bytes.fromhex("4811d8"))
    assert list(case.differences(other.lifted(), reference.compile_kernel))


def test_a_write_of_half_a_register_that_keeps_the_upper_half_is_refused():
    # xadd is said wrongly by pypcode 3 and rightly by 4; mov of 32 bits without the extension that both have stands for all.
    right = decode(HEAD, bytes.fromhex("89d8"))
    wrong = replace(right, ops=tuple(op for op in right.ops if not (op.output and op.output.size == 8)))
    assert refusal(right) is None and len(wrong.ops) < len(right.ops)
    assert refusal(wrong) == "p-code keeps the upper half of a register"


def test_a_division_of_128_bits_is_left_to_the_guest():
    from x86_loops import run

    lifted = lift(MachineLoop(HEAD, {HEAD: bytes.fromhex("48f7f1"), HEAD + 3: bytes.fromhex("75fb")}))
    (row,), _, outcome = run(lifted, [{"rax": 100, "rdx": 0, "rcx": 7}], limit=1)
    assert outcome.trap is None and (row["rax"], row["rdx"]) == (14, 2)
    _, _, outcome = run(lifted, [{"rax": 100, "rdx": 1, "rcx": 7}], limit=1)
    assert outcome.trap.reason == "division of 128 bits"


def test_an_instruction_without_a_meaning_is_an_error():
    with pytest.raises(LiftError, match="no instruction"):
        decode(HEAD, b"\x0f\x04")
