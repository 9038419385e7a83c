"""Tables of a program."""

import numpy as np
from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.resumable import resumable, stops
from pixel_cpu.frontends.wasm.state import State
from pixel_cpu.frontends.wasm.steps import NUMBER
from pixel_cpu.frontends.wasm.tables import DIRECT, HOST, MEMBER, tables

TEXT = """(module (import "a" "ask" (func $ask)) (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "f") (result i32) (loop (call $ask) (br_if 0 (call $leaf (i32.const 2)))) (i32.const 3)))"""


def test_parts_are_those_of_translated_programs():
    module = decode(assemble(TEXT), "")
    state = State(module)
    found = tables(module, state, 2, *stops(module, state, 2))
    translated = resumable(module, state, 2, is_apart=True)
    assert (found.owners, found.entry, found.sizes) == (translated.owners, translated.entry, translated.sizes)
    assert found.functions["kind"].tolist() == [HOST, DIRECT, MEMBER]
    assert (found.code["step"][found.parts] == NUMBER["part"]).all()
    assert found.code["more"][found.parts].tolist() == list(range(len(found.parts)))
    # Members come first; each step is from a byte of its function, in their order.
    leaf = int(found.functions["place"][1])
    for offsets, body in ((found.offsets[:leaf], module.bodies[1]), (found.offsets[leaf:], module.bodies[0])):
        assert offsets[0] >= body.offset and (np.diff(offsets.astype(int)) >= 0).all()
    assert leaf and found.offsets[leaf - 1] == module.bodies[1].instructions[-1].offset
    assert found.scratch >= found.functions["size"][1]
