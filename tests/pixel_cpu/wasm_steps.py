"""Functions as tables of steps."""

from __future__ import annotations

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.resumable import stops
from pixel_cpu.frontends.wasm.state import State
from pixel_cpu.frontends.wasm.steps import STEPS
from pixel_cpu.frontends.wasm.tables import Tables, tables


def tables_of(text: str, name: str = "f") -> Tables | None:
    """Tables for a call of an exported function of a module."""
    module = decode(assemble(text), "")
    state, number = State(module), module.exports[name].index
    return tables(module, state, number, *stops(module, state, number))


def steps_of(body: str, head: str = "(param i32 i32) (result i32)") -> list[tuple[str, int, int, int, int]]:
    """The steps of one function: name, cell that it sets, operands, constant."""
    found = tables_of(f'(module (func (export "f") {head} {body}))')
    assert found
    return [(STEPS[row["step"]], *(int(row[name]) for name in ("to", "a", "b", "more"))) for row in found.code]
