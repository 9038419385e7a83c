"""Records of a module."""

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.module import Kind


def test_functions_are_numbered_with_the_imported_ones_first():
    text = '(module (import "a" "f" (func (param i32))) (func (export "g") (result f64) (f64.const 1)))'
    module = decode(assemble(text))
    assert str(module.type_of(0)) == "(i32) -> ()" and str(module.type_of(1)) == "() -> (f64)"
    assert [module.name_of(number) for number in (0, 1)] == ["a.f", "g"]
    assert [each.name for each in module.imported(Kind.FUNCTION)] == ["f"] and module.imported(Kind.MEMORY) == []
