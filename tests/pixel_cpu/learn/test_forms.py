"""Forms of instructions, alone and counted in a trace."""

from __future__ import annotations

from collections import Counter

import pytest
from trace_program import Program, pieces_of, record_words

from pixel_cpu.learn.forms import count_forms, form_of, forms_of, why_refused
from qemu_bridge.trace.analysis.mining import mine


@pytest.mark.parametrize(
    ("code", "form"),
    [
        ("4801d8", "add r64, r64"),
        ("8a26", "mov r8h, m8"),
        ("65488b0425a0000000", "mov r64, gs:m64"),
        ("480305aa000000", "add r64, rip:m64"),
        ("f3a4", "rep movsb m8, m8"),
        ("660f70c11b", "pshufd xmm, xmm, imm"),
        ("c3", "ret"),
        ("0f04", ""),
    ],
)
def test_a_form_has_the_kinds_of_operands(code, form):
    assert form_of(bytes.fromhex(code)) == form


def test_an_instruction_of_a_form_says_why_it_is_refused():
    assert why_refused(bytes.fromhex("f00106")) == "atomic" and why_refused(bytes.fromhex("0106")) == ""
    assert why_refused(b"\x0f\x04") == "is no instruction of 64-bit mode"


def test_forms_add_up_their_instructions():
    codes = Counter({bytes.fromhex("01d8"): 3, bytes.fromhex("01f8"): 5, bytes.fromhex("0fa2"): 4})
    one, other = forms_of(codes)
    assert (one.text, one.executed, one.code, one.refused) == ("add r32, r32", 8, bytes.fromhex("01f8"), "")
    assert other.text == "cpuid" and other.refused


def test_a_trace_is_counted_by_form(tmp_path):
    program = Program(20)
    path = record_words(tmp_path, program, pieces_of(program.walk(700)))
    with mine(path, workers=1) as found:
        forms = {form.text: form.executed for form in count_forms(found)}
    assert forms == {"nop": 7000, "je imm": 700}
