"""Modules of WebAssembly as text, valid ones and such as break one rule each, and wasmtime as the judge of both."""

from __future__ import annotations

from functools import cache

import wasmtime

VALID = [
    "(module)",
    '(module (func (export "f") (param i32 i64 f32 f64) (result i32) local.get 0))',
    '(module (func (export "two") (result i32 i64) i32.const -1 i64.const -0x8000000000000000))',
    "(module (func (param i32) (result i32) (block (result i32) (br_if 0 (i32.const 1) (local.get 0)) drop i32.const 2)))",
    "(module (func (param i32) (local i64 f32 f64) (loop (br_if 0 (local.get 0)))))",
    "(module (func (param i32) (result i32) (if (result i32) (local.get 0) (then i32.const 1) (else i32.const 2))))",
    "(module (func (param i32) (block (block (block (br_table 0 1 2 (local.get 0)))))))",
    "(module (func unreachable i32.add drop) (func (result i32) unreachable (select (i32.const 1))))",
    "(module (func (result f32) (block (result f32) unreachable (br 0))))",
    "(module (func (result i32) unreachable (br_table 0 0)) (func (block unreachable (br_if 0 (i32.const 1)))))",
    "(module (func (block (result i32) (block (result f32) unreachable (br_table 0 1 (i32.const 0))) drop i32.const 1) drop))",
    "(module (memory 1 2) (func (i64.store offset=8 align=4 (i32.const 0) (i64.load32_u (i32.const 4)))))",
    "(module (memory 1) (func (drop (memory.grow (memory.size))) (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))))",
    '(module (memory 1) (data "abc") (data (i32.const 5) "d\\00e") (func (memory.init 0 (i32.const 0) (i32.const 1) (i32.const 2)) (data.drop 0)))',
    "(module (table 3 funcref) (elem (i32.const 1) 0 0) (func (call_indirect (type 0) (i32.const 1))) (type (func)))",
    "(module (table 3 10 funcref) (table 1 externref) (func (param externref) (table.set 1 (i32.const 0) (local.get 0)) (drop (table.grow 0 (ref.null func) (i32.const 1))) (drop (table.get 0 (i32.const 1)))))",
    "(module (table $t 5 funcref) (elem $e func 0 1) (elem declare func 1) (func (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2)) (elem.drop $e) (table.copy (i32.const 0) (i32.const 1) (i32.const 2)) (table.fill $t (i32.const 0) (ref.func 1) (i32.const 3))) (func))",
    "(module (table 2 funcref) (elem (table 0) (i32.const 0) funcref (ref.func 0) (ref.null func)) (func))",
    "(module (global $g (mut i32) (i32.const 5)) (global f64 (f64.const nan:0x123)) (func (global.set $g (i32.add (global.get $g) (i32.const 1)))))",
    '(module (import "a" "g" (global $g i32)) (import "a" "f" (func (param i32))) (import "a" "m" (memory 1)) (import "a" "t" (table 1 funcref)) (global i32 (global.get $g)) (data (global.get $g) "x") (elem (global.get $g) 0))',
    "(module (global i32 (i32.mul (i32.add (i32.const 2) (i32.const 3)) (i32.const 7))) (global i64 (i64.sub (i64.const 1) (i64.const 2))))",
    "(module (start 0) (func))",
    "(module (func (param i32 i32) (result i32 i32) local.get 0 local.get 1 (block (param i32 i32) (result i32 i32))))",
    "(module (func (param i32) (result i32) local.get 0 (loop (param i32) (result i32) i32.const 1 i32.sub local.tee 0 local.get 0 br_if 0)))",
    "(module (func (param i32) (result i32) local.get 0 i32.const 1 (if (param i32) (result i32) (then i32.eqz))))",
    "(module (func (param f64) (result i64) (i64.trunc_sat_f64_u (local.get 0))) (func (param i64) (result i64) (i64.extend8_s (local.get 0))))",
    "(module (func (param i32 funcref funcref) (result funcref) (select (result funcref) (local.get 1) (local.get 2) (local.get 0))))",
    "(module (func (param externref) (result i32) (ref.is_null (local.get 0))) (func (result funcref) (ref.null func)))",
    '(module (func $a (export "a") (export "b") (drop (ref.func $a)) (call $a)))',
    '(module (func $outer (export "x y") (result i32) (call $inner (i32.const 3))) (func $inner (param $n i32) (result i32) (local.get $n)))',
]
"""Valid modules, over all kinds of sections and instructions with operands of more than one type."""

INVALID = {
    "(module (func (result i32)))": "type mismatch",
    "(module (func (result i32) i64.const 1))": "type mismatch",
    "(module (func i32.const 1))": "type mismatch",
    "(module (func i32.add drop))": "type mismatch",
    "(module (func (drop (i32.add (i32.const 1) (f32.const 1)))))": "type mismatch",
    "(module (func (drop (f64.promote_f32 (i32.const 1)))))": "type mismatch",
    "(module (func local.get 0 drop))": "unknown local 0",
    "(module (func (param i32) (local.set 0 (i64.const 1))))": "type mismatch",
    "(module (func (param i32) (result i32) (local.tee 0 (f32.const 1))))": "type mismatch",
    "(module (func (br 1)))": "unknown label 1",
    "(module (func (block (br_if 2 (i32.const 1)))))": "unknown label 2",
    "(module (func (block (result i32) (br 0)) drop))": "type mismatch",
    "(module (func (block (block (result i32) (br_table 0 1 (i32.const 1) (i32.const 1))) drop)))": "br_table",
    "(module (func (block (result f32) (block (result i32) (br_table 0 1 (i32.const 1) (i32.const 1))) drop f32.const 1) drop))": "type mismatch",
    "(module (func (if (result i32) (i32.const 1) (then i32.const 1)) drop))": "if without else",
    "(module (func (if (i64.const 1) (then))))": "type mismatch",
    "(module (func (if (result i32) (i32.const 1) (then i32.const 1) (else f32.const 1)) drop))": "type mismatch",
    "(module (func (loop (param i32))))": "type mismatch",
    "(module (func i32.const 1 (block drop)))": "type mismatch",
    "(module (func (block i32.const 1 i32.const 2)))": "type mismatch",
    "(module (func (result i32) unreachable f32.const 1))": "type mismatch",
    "(module (func unreachable i32.const 1 i64.const 1 i32.add drop))": "type mismatch",
    "(module (func (drop (select (i32.const 1) (i64.const 1) (i32.const 1)))))": "select",
    "(module (func (param funcref) (drop (select (local.get 0) (local.get 0) (i32.const 1)))))": "select of references",
    "(module (func (drop (select (result i32 i32) (i32.const 1) (i32.const 1) (i32.const 1)))))": "invalid result arity",
    "(module (func (call 1)))": "unknown function 1",
    "(module (func (call 0 (i32.const 1))))": "type mismatch",
    "(module (func (param i32) (call 0)))": "type mismatch",
    "(module (type (func)) (func (call_indirect (type 0) (i32.const 1))))": "unknown table 0",
    "(module (table 1 funcref) (func (call_indirect (type 9) (i32.const 1))))": "unknown type 9",
    "(module (type (func)) (table 1 externref) (func (call_indirect (type 0) (i32.const 1))))": "call_indirect",
    "(module (func (drop (i32.load (i32.const 1)))))": "unknown memory 0",
    "(module (memory 1) (func (drop (i32.load align=8 (i32.const 1)))))": "alignment",
    "(module (memory 1) (func (drop (i64.load8_u align=2 (i32.const 1)))))": "alignment",
    "(module (memory 1) (func (i32.store (i32.const 1) (i64.const 1))))": "type mismatch",
    "(module (func (drop (memory.grow (i32.const 1)))))": "unknown memory 0",
    '(module (memory 1) (data "a") (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 0))))': "unknown data segment 1",
    "(module (memory 1) (memory 1))": "multiple memories",
    "(module (memory 2 1))": "minimum must not be greater",
    "(module (memory 65537))": "at most 65536 pages",
    "(module (memory 0 65537))": "at most 65536 pages",
    "(module (table 2 1 funcref))": "minimum must not be greater",
    "(module (global i32 (i64.const 1)))": "type mismatch",
    "(module (global i32))": "type mismatch",
    "(module (global i32 (i32.const 1) (i32.const 2)))": "type mismatch",
    "(module (global i32 (i32.add (i32.const 1) (i64.const 2))))": "type mismatch",
    "(module (global i32 (i32.clz (i32.const 1))))": "constant expression required",
    "(module (global i32 (global.get 0)))": "unknown global",
    "(module (global i32 (i32.const 1)) (func (global.set 0 (i32.const 1))))": "global is immutable",
    "(module (global (mut i32) (i32.const 1)) (func (global.set 0 (f32.const 1))))": "type mismatch",
    "(module (func (drop (global.get 3))))": "unknown global 3",
    '(module (import "a" "g" (global (mut i32))) (global i32 (global.get 0)))': "constant expression required",
    '(module (func (export "a")) (func (export "a")))': "duplicate export name",
    '(module (export "a" (func 0)))': "unknown function 0",
    '(module (export "a" (memory 0)))': "unknown memory 0",
    '(module (export "a" (table 0)))': "unknown table 0",
    '(module (export "a" (global 0)))': "unknown global 0",
    "(module (start 0))": "unknown function 0",
    "(module (start 0) (func (param i32)))": "start function",
    "(module (func (type 3)))": "unknown type 3",
    '(module (data (i32.const 0) "a"))': "unknown memory 0",
    '(module (memory 1) (data (i64.const 0) "a"))': "type mismatch",
    "(module (elem (i32.const 0) 0) (func))": "unknown table 0",
    "(module (table 1 funcref) (elem (i32.const 0) 7))": "unknown function 7",
    "(module (table 1 externref) (elem (i32.const 0) 0) (func))": "type mismatch",
    "(module (func (drop (ref.func 0))))": "undeclared function reference 0",
    "(module (func (drop (ref.is_null (i32.const 1)))))": "type mismatch",
    "(module (table 1 funcref) (table 1 externref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0))))": "type mismatch",
    "(module (table 1 externref) (elem func) (func (table.init 0 0 (i32.const 0) (i32.const 0) (i32.const 0))))": "type mismatch",
    "(module (func (elem.drop 0)))": "unknown elem segment 0",
    "(module (table 1 funcref) (func (table.set 0 (i32.const 0) (ref.null extern))))": "type mismatch",
    "(module (func (param v128)))": "SIMD is not supported",
    "(module (func (drop (v128.const i64x2 0 0))))": "SIMD is not supported",
    "(module (memory 1 1 shared))": "threads is not supported",
    "(module (memory i64 1))": "memory64 is not supported",
    "(module (func $f (return_call $f)))": "tail calls is not supported",
    "(module (tag))": "malformed section id",
    "(module (type (struct)))": "garbage collection is not supported",
    "(component)": "a component, which is not supported",
}
"""Modules that break a rule or need what is not supported, and words of the error."""


@cache
def engine() -> wasmtime.Engine:
    """wasmtime with what is supported here and no more."""
    config = wasmtime.Config()
    for extension in (
        "relaxed_simd simd threads tail_call memory64 multi_memory function_references gc exceptions "
        "custom_page_sizes wide_arithmetic stack_switching"
    ).split():
        setattr(config, f"wasm_{extension}", False)
    return wasmtime.Engine(config)


def assemble(text: str) -> bytes:
    """The binary of a text, valid or not."""
    return bytes(wasmtime.wat2wasm(text))


def is_valid(data: bytes) -> bool:
    """What wasmtime says of a binary."""
    try:
        wasmtime.Module.validate(engine(), data)
    except wasmtime.WasmtimeError:
        return False
    return True


def leb(number: int) -> bytes:
    """An unsigned number in LEB128."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def section(number: int, *items: bytes) -> bytes:
    """A section that is a vector of items."""
    content = leb(len(items)) + b"".join(items)
    return bytes([number]) + leb(len(content)) + content


def binary(*sections: bytes) -> bytes:
    """A module of sections."""
    return b"\0asm\1\0\0\0" + b"".join(sections)


def function(code: bytes, locals_: bytes = b"\0") -> bytes:
    """An item of the code section; the code has its ``end``."""
    return leb(len(locals_) + len(code)) + locals_ + code


def one_function(code: bytes, parameters: bytes = b"", results: bytes = b"", locals_: bytes = b"\0") -> bytes:
    """A module of one function, whose types are bytes."""
    kind = b"\x60" + leb(len(parameters)) + parameters + leb(len(results)) + results
    return binary(section(1, kind), section(3, b"\0"), section(10, function(code, locals_)))
