"""Literals and names as text."""

from __future__ import annotations

import pytest
from programs import edges

from pixel_cpu.ir.text import literal_text, read, write
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify


@pytest.mark.parametrize("kind", Type, ids=lambda kind: kind.value)
def test_literals_keep_every_bit(kind):
    lines = [f"%v{place} = const {literal_text(value, kind)} : {kind.value}" for place, value in enumerate(edges(kind))]
    module = verify(read("kernel main() group 1 {\n" + "\n".join(lines) + "\nreturn\n}"))
    literals = [op.literal for op in module.kernels["main"].body.operations if op.name == "const"]
    assert [literal_text(value, kind) for value in literals] == [literal_text(value, kind) for value in edges(kind)]
    assert literal_text(-0.0, Type.F32) != literal_text(0.0, Type.F32)


def test_values_of_one_name_are_told_apart_and_keep_it():
    text = "kernel k(%a: u32) group 1 {\n  if %c {\n    yield\n  } else {\n    yield\n  }\n  return\n}\n"
    text = text.replace("  if", "  %c = const true : bool\n  %b = const 1 : u32\n  if", 1)
    module = read(text)
    for op in module.kernels["k"].body.operations[:2]:
        op.result.name = "a"
    again = write(module)
    assert "%a.1 = const true" in again
    assert write(read(again)) == again
    assert read(again).kernels["k"].body.operations[0].result.name == "a"
