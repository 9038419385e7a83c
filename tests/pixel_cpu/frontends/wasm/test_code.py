"""Function bodies that are made to cost more than their bytes."""

import pytest
from wasm_texts import assemble, binary, function, is_valid, leb, one_function, section

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.code import MAX_BODY_BYTES, MAX_LOCALS, MAX_STACK


def test_locals_are_counted_and_not_laid_out():
    declare = b"\1" + leb(MAX_LOCALS) + b"\x7f"
    assert is_valid(one_function(b"\x0b", locals_=declare))
    bodies = [function(b"\x20" + leb(MAX_LOCALS - 1) + b"\x1a\x0b", declare)] * 20_000
    module = decode(binary(section(1, b"\x60\0\0"), section(3, *[b"\0"] * len(bodies)), section(10, *bodies)))
    assert module.bodies[0].runs[0][0] == MAX_LOCALS
    with pytest.raises(WasmError, match="too many locals"):
        decode(one_function(b"\x0b", locals_=b"\2" + leb(MAX_LOCALS) + b"\x7f\1\x7e"))
    with pytest.raises(WasmError, match="too many locals"):
        decode(one_function(b"\x0b", locals_=b"\2" + leb((1 << 32) - 1) + b"\x7f" + leb((1 << 32) - 1) + b"\x7f"))


def test_locals_of_long_runs_have_their_types():
    declare = b"\3" + leb(3000) + b"\x7f" + leb(3000) + b"\x7e\1\x7d"
    for number, kind in ((2999, b"\x7f"), (3000, b"\x7e"), (5999, b"\x7e"), (6000, b"\x7d")):
        decode(one_function(b"\x20" + leb(number) + b"\x0b", results=kind, locals_=declare))
    with pytest.raises(WasmError, match="unknown local 6001"):
        decode(one_function(b"\x20" + leb(6001) + b"\x0b", results=b"\x7d", locals_=declare))


def test_blocks_nest_as_deep_as_the_file_has_bytes():
    decode(one_function(b"\x02\x40" * 50_000 + b"\x0b" * 50_001))


def test_few_bytes_do_not_fill_the_stack():
    kind = b"\x60\0" + leb(1000) + b"\x7f" * 1000
    data = binary(
        section(1, kind), section(3, b"\0"), section(10, function(b"\x10\0" * (MAX_STACK // 1000 + 1) + b"\x0b"))
    )
    with pytest.raises(WasmError, match="values on the stack"):
        decode(data)


def test_code_that_is_not_reached_costs_no_more_than_its_bytes():
    # Each call takes a thousand values, of which one has no known type.
    kind = b"\x60" + leb(1000) + b"\x7f" * 1000 + b"\0"
    code = b"\0" + b"\0\x1b\x10\0" * 100_000 + b"\x0b"
    data = binary(section(1, kind), section(3, b"\0"), section(10, function(code)))
    with pytest.raises(WasmError, match="not reached"):
        decode(data)
    assert decode(binary(section(1, kind), section(3, b"\0"), section(10, function(b"\0\x1b\x10\0\x0b")))).bodies


def test_a_long_function_is_refused():
    with pytest.raises(WasmError, match="a function has more than"):
        decode(one_function(b"\1" * MAX_BODY_BYTES + b"\x0b"))


def test_blocks_know_their_ends():
    text = "(module (func (param i32) (block (if (local.get 0) (then nop) (else (loop nop)))) nop))"
    body = decode(assemble(text)).bodies[0]
    names = [each.op.name for each in body.instructions]
    assert {names[begin]: names[end] for begin, end in body.ends.items() if begin >= 0} == dict.fromkeys(
        ("block", "if", "loop"), "end"
    )
    assert [(names[begin], names[place]) for begin, place in body.elses.items()] == [("if", "else")]
    assert body.ends[-1] == len(names) - 1
