"""Each rule of a kernel or a function, broken."""

from __future__ import annotations

import pytest

from pixel_cpu.errors import IrError
from pixel_cpu.ir.model import Function, Kernel, Memory, Module, Op, Region, Space, Value
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify

HEAD = """kernel k(%a: u32, %b: i32, %f: f32, %t: bool) group 8 {
  buffer @x: u32
  buffer @r: u32 read
  buffer @h: u16
  buffer @u: u8
  private @p: u32[4]
"""

BROKEN = [
    # The body, the operation that the error names, the rule.
    ("%c = add %a, %b : u32", "add", "type"),
    ("%c = add %a : u32", "add", "type"),
    ("%c = add %a, %a : i32", "add", "type"),
    ("%c = add %t, %t : bool", "add", "type"),
    ("%c = mulhi %f, %f : f32", "mulhi", "type"),
    ("%c = select %a, %a, %a : u32", "select", "type"),
    ("%c = bitcast %a : u64", "bitcast", "type"),
    ("%c = const 256 : u8", "const", "type"),
    ("%c = const -1 : u32", "const", "type"),
    ("%c = const 0x1.0000001p+0 : f32", "const", "type"),
    ("%c = const 0x1p+200 : f32", "const", "type"),
    ("if %a {\nyield\n} else {\nyield\n}", "if", "type"),
    ("%c = if %t : u32 {\nyield %a\n} else {\nyield\n}", "yield", "type"),
    ("switch %t case 0 {\nyield\n} default {\nyield\n}", "switch", "type"),
    ("switch %a case 1 {\nyield\n} case 1 {\nyield\n} default {\nyield\n}", "switch", "type"),
    ("switch %a case -1 {\nyield\n} default {\nyield\n}", "switch", "type"),
    ("block ^l {\nbreak ^l %a\n}", "break", "type"),
    ("loop ^l (%i: i32 = %a) {\nbreak ^l\n}", "loop", "type"),
    ("loop ^l (%i: u32 = %a) {\ncontinue ^l %t\n}", "continue", "type"),
    ("return %a", "return", "type"),
    ("call @g", "call", "type"),
    ("call @f %b", "call", "type"),
    ("%c = barrier : u32", "barrier", "type"),
    ('host_call ""', "host_call", "type"),
    ("block ^l {\nreturn\nyield\n}", "return", "terminator"),
    ("block ^l {\n%c = add %a, %a : u32\n}", "block", "terminator"),
    ("block ^l {\n}", "block", "terminator"),
    ("yield", "yield", "terminator"),
    ("loop ^l () {\nyield\n}", "yield", "terminator"),
    ("break ^l", "break", "label"),
    ("block ^l {\nbreak ^m\n}", "break", "label"),
    ("block ^l {\ncontinue ^l\n}", "continue", "label"),
    ("block ^l {\nblock ^l {\nyield\n}\nyield\n}", "block", "label"),
    ("store @r %a, %a trap", "store", "memory"),
    ("%c = atomic_add @h %a, %a trap : u16", "atomic_add", "memory"),
    ("%c = atomic_add @p %a, %a trap : u32", "atomic_add", "memory"),
    ("%c = atomic_add @r %a, %a trap : u32", "atomic_add", "memory"),
    ("%c = load @x %f trap : u32", "load", "type"),
    ("%c = load @x %a trap : i32", "load", "type"),
    ("%c = load @u %a trap : bool", "load", "type"),
    ("store @x %a trap", "store", "type"),
    ("%c = atomic_cas @x %a, %a trap : u32", "atomic_cas", "type"),
    ("loop ^l () {\ncontinue ^l fuel 0\n}", "continue", "fuel"),
    (
        "%l = local_id : u32\n%c = lt %l, %a : bool\nif %c {\nbarrier\nyield\n} else {\nyield\n}",
        "barrier",
        "uniformity",
    ),
    ("call @waits", "barrier", "uniformity"),
]


@pytest.mark.parametrize(("body", "name", "rule"), BROKEN)
def test_an_error_names_the_operation_and_the_rule(body, name, rule):
    end = "" if name in ("yield", "return", "break") and "{" not in body else "\nreturn"
    text = f"{HEAD}{body}{end}\n}}\nfunction f(%v: u32) {{\nreturn\n}}\n"
    if "@waits" in body:
        text += "function waits() {\nbarrier\nreturn\n}\n"
    with pytest.raises(IrError, match=rf"{name}( \(line \d+\))?: {rule}: "):
        verify(read(text))


def test_an_error_says_the_line_of_the_source():
    with pytest.raises(IrError, match=r"kernel k: add \(line 12\): type: operand 2 is i32 where u32 stands before it"):
        verify(read(HEAD + "%c = add %a, %b : u32 !12\nreturn\n}"))


def kernel(body: Region, *memories: Memory, parameters=(), name: str = "k", group: int = 8) -> Module:
    return Module({"k": Kernel(name, tuple(parameters), tuple(memories), body, group)})


def made(*operations: Op) -> Region:
    return Region([*operations, Op("return")])


U32 = Type.U32


def test_values_are_defined_before_and_outside():
    value = Value(U32, "v")
    use = Op("not", (value,), (Value(U32),))
    definition = Op("const", (), (value,), literal=1)
    with pytest.raises(IrError, match="not: dominance: %v is not defined before it"):
        verify(kernel(made(use, definition)))
    inside = Op("block", regions=(Region([definition, Op("yield")]),), label="l")
    with pytest.raises(IrError, match="not: dominance: %v is not defined before it, or not here"):
        verify(kernel(made(inside, use)))
    with pytest.raises(IrError, match="const: dominance: %v is defined twice"):
        verify(kernel(made(definition, definition)))


@pytest.mark.parametrize(
    "op",
    [
        Op("barrier", label="l"),
        Op("barrier", literal=1),
        Op("barrier", text="x"),
        Op("barrier", cases=(1,)),
        Op("barrier", fuel=2),
        Op("barrier", regions=(made(),)),
        Op("barrier", memory=Memory("x", Space.BUFFER, U32)),
    ],
    ids=["label", "literal", "text", "cases", "fuel", "regions", "memory"],
)
def test_fields_of_other_operations_are_refused(op):
    with pytest.raises(IrError, match="barrier: type: has no "):
        verify(kernel(made(op), Memory("x", Space.BUFFER, U32)))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (kernel(made(), name="other"), "kernel 'k': name"),
        (Module({"a b": Kernel("a b", (), (), made())}), "kernel 'a b': name"),
        (Module({"k": Kernel("k", (), (), made())}, {"k": Function("k", (), (), (), made())}), "'k': name"),
        (kernel(made(), Memory('x"; system("', Space.BUFFER, U32)), "name: memory cannot be called"),
        (kernel(made(), parameters=[Value(U32)]), "name: parameters need identifiers"),
        (kernel(made(), parameters=[Value(U32, "a"), Value(U32, "a")]), "name: parameters need identifiers"),
        (kernel(made(Op("block", regions=(Region([Op("yield")]),), label="a b"))), "block: label"),
        (kernel(made(Op("frob"))), "frob: type: no such operation"),
        (kernel(made(), group=0), "type: a group has 1 to 1024 lanes"),
        (kernel(made(), Memory("x", Space.PRIVATE, U32)), "memory: @x needs a length"),
        (kernel(made(), Memory("x", Space.BUFFER, U32, 4)), "memory: buffer @x has the length of what is bound"),
        (kernel(made(), Memory("x", Space.WORKGROUP, U32, 9000)), "memory: 36000 bytes of workgroup memory"),
        (kernel(made(), Memory("x", Space.BUFFER, U32), Memory("x", Space.PRIVATE, U32, 1)), "memory: two objects"),
    ],
)
def test_declarations_are_checked(module, message):
    with pytest.raises(IrError, match=message):
        verify(module)
