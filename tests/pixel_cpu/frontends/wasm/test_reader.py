"""Numbers, names and vectors of a file."""

import pytest

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm.reader import Reader


@pytest.mark.parametrize("number", [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, (1 << 32) - 1])
def test_unsigned_numbers(number):
    digits = [number >> shift & 0x7F for shift in range(0, 35, 7)]
    padded = bytes([*(digit | 0x80 for digit in digits[:4]), digits[4]])
    assert Reader(padded).u32() == number


@pytest.mark.parametrize("bits", [32, 33, 64])
def test_signed_numbers_to_their_ends(bits):
    for number in (0, 1, -1, 63, 64, -64, -65, (1 << (bits - 1)) - 1, -(1 << (bits - 1))):
        found, rest = bytearray(), number
        while not -64 <= rest < 64:
            found.append(rest & 0x7F | 0x80)
            rest >>= 7
        assert Reader(bytes([*found, rest & 0x7F])).signed(bits) == number


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ("8080808000", "fits"),
        ("808080808000", "integer representation too long"),
        ("8080808010", "integer too large"),
        ("80", "unexpected end"),
    ],
)
def test_numbers_that_are_too_long_or_too_large(data, rule):
    reader = Reader(bytes.fromhex(data), 100)
    if rule == "fits":
        assert reader.u32() == 0
        return
    with pytest.raises(WasmError, match=rule):
        reader.u32()


def test_signed_numbers_have_no_stray_bits():
    for data in ("ffffffff0f", "8080808008", "ffffffff4f"):
        with pytest.raises(WasmError, match="integer too large"):
            Reader(bytes.fromhex(data)).signed(32)


def test_a_vector_is_no_longer_than_what_is_left():
    with pytest.raises(WasmError, match="length out of bounds") as caught:
        Reader(b"\x05abcd", 16).vector(lambda: 0)
    assert caught.value.offset == 16


def test_names_are_utf_8():
    assert Reader("\x03äx".encode()).name() == "äx"
    with pytest.raises(WasmError, match="UTF-8"):
        Reader(b"\x02\xc3\x28").name()


def test_a_part_knows_its_place_in_the_file():
    reader = Reader(b"abcdef", 10)
    reader.take(2)
    part = reader.part(3)
    assert (part.offset, part.data, reader.offset, reader.left) == (12, b"cde", 15, 1)
    with pytest.raises(WasmError, match="left over"):
        part.at_end("left over")
