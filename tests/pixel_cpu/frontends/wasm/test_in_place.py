"""Imported functions that are operations of the IR."""

import pytest
from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.in_place import IN_PLACE, in_place, is_of_host
from pixel_cpu.ir.operations import OPERATIONS


def module(imported: str):
    return decode(assemble(f"(module {imported} (func))"))


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_import_with_its_type_is_an_operation(name):
    operation, kind = IN_PLACE[name]
    parameters = "".join(f"(param {each.name.lower()})" for each in kind.parameters)
    results = "".join(f"(result {each.name.lower()})" for each in kind.results)
    found = module(f'(import "glassbox" "{name.partition(".")[2]}" (func {parameters} {results}))')
    assert in_place(found, 0) == operation and operation in OPERATIONS and not is_of_host(found, 0)
    assert in_place(found, 1) is None and not is_of_host(found, 1), "a function of the module itself"


@pytest.mark.parametrize(
    "text",
    [
        '"glassbox" "lane" (func (result i64))',
        '"env" "lane" (func (result i32))',
        '"glassbox" "time" (func (result i64))',
    ],
)
def test_others_are_the_hosts(text):
    found = module(f"(import {text})")
    assert in_place(found, 0) is None and is_of_host(found, 0)
