"""Names of a chunk in C."""

from lane_kernels import COLLATZ, module

from pixel_cpu.backends.lane_c.chunk import Chunk, has_wide_accesses
from pixel_cpu.backends.lane_c.source import number_sites
from pixel_cpu.ir.model import Value, walk
from pixel_cpu.ir.types import Type


def make_chunk(width: int) -> Chunk:
    kernel = module(COLLATZ).kernels["main"]
    return Chunk(kernel, width, 2, number_sites(kernel))


def test_values_are_called_by_their_shape():
    chunk = make_chunk(8)
    found = {value.name: value for op in walk(chunk.kernel.body) for value in op.results}
    assert chunk.part(found["one"], 1) == f"gb_splat_vu({chunk.scalar(found['one'])})"
    assert "gb_lane_numbers + 8" in chunk.part(found["i"], 1)
    assert chunk.part(found["w"], 1) == f"v{chunk.id(found['w'])}_1"


def test_wide_types_have_two_vectors_a_register():
    assert [make_chunk(8).units(kind) for kind in (Type.I8, Type.F32, Type.F64)] == [2, 2, 4]
    chunk = make_chunk(8)
    assert chunk.choose("m3", Type.U64, 3, "new", "old") == "gb_select(gb_widen(gb_high(m3_1)), new, old)"


def test_scalar_c_has_no_vectors():
    chunk = make_chunk(1)
    value = Value(Type.U32)
    assert not chunk.is_varying(value)
    chunk.clear()
    assert chunk.lines == ["b0 = 0;"]


def test_bytes_of_one_lane_lie_together_where_wider_types_are_moved():
    text = """
kernel main() group 8 {
  private @p: u8[32]
  private @q: u8[32]
  %zero = const 0 : u32
  %a = load @p %zero trap : u32
  %b = load @q %zero trap : i8
  return
}
"""
    assert {memory.name for memory in has_wide_accesses(module(text).kernels["main"])} == {"p"}
