"""Where functions are cut."""

from wasm_texts import assemble

from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.cuts import MAX_PART_BLOCKS, Role, cut
from pixel_cpu.frontends.wasm.state import State


def cuts_of(text):
    module = decode(assemble(text), "")
    return cut(module, State(module), module.imported_functions, lambda number: number == 0)


def test_blocks_around_calls_are_split_and_others_are_not():
    found = cuts_of("""(module (import "a" "b" (func $ask)) (func
      (block (drop (i32.const 1))) (loop (if (i32.const 1) (then (call $ask)) (else (nop)))) (call $ask)))""")
    roles = [role for role, _ in found.places]
    # The entry, the loop, both sides of the branch, what follows the first call, the branch, and the other call.
    wanted = [Role.ENTRY, Role.AGAIN, Role.THEN, Role.ELSE, Role.AFTER, Role.AFTER, Role.AFTER]
    assert sorted(role.value for role in roles) == sorted(role.value for role in wanted)
    assert list(found.places.values()) == list(range(7)) and len(found.blocks) == 2 and len(found.calls) == 2


def test_deep_blocks_are_split_though_nothing_is_called():
    depth = MAX_PART_BLOCKS + 1
    found = cuts_of(f'(module (import "a" "b" (func)) (func {"(block" * depth} {")" * depth}))')
    assert len(found.blocks) == depth and not found.calls
