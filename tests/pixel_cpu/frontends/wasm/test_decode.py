"""Modules are accepted and refused exactly as wasmtime does, with the rule and the byte; hostile files cost no more than their size."""

import random

import pytest
from wasm_texts import INVALID, VALID, assemble, binary, is_valid, one_function, section

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.decode import MAX_FILE_BYTES


@pytest.mark.parametrize("text", VALID)
def test_a_valid_module_is_decoded(text):
    data = assemble(text)
    assert is_valid(data)
    decode(data)


@pytest.mark.parametrize(("text", "words"), INVALID.items())
def test_a_module_that_breaks_a_rule_is_refused_with_the_rule_and_the_byte(text, words):
    data = assemble(text)
    assert not is_valid(data)
    with pytest.raises(WasmError) as caught:
        decode(data, "m.wasm")
    assert words in str(caught.value) and str(caught.value).startswith("m.wasm: byte 0x")
    assert caught.value.offset is not None and 0 <= caught.value.offset <= len(data)


def mutant(rng: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.randrange(8 if rng.random() < 0.95 and len(found) > 8 else 0, max(len(found), 1))
        if place >= len(found):
            break
        match rng.randrange(4):
            case 0:
                found[place] = rng.randrange(256)
            case 1:
                found[place] = (found[place] + rng.choice((-1, 1))) & 255
            case 2:
                del found[place]
            case 3:
                found.insert(place, rng.randrange(256))
    return bytes(found)


def check_mutants(seed: int, count: int) -> None:
    rng = random.Random(seed)
    bases = [assemble(text) for text in VALID]
    accepted = 0
    for number in range(count):
        data = mutant(rng, rng.choice(bases))
        wanted = is_valid(data)
        try:
            decode(data)
            found, why = True, ""
        except WasmError as error:
            found, why = False, str(error)
        assert found == wanted, f"mutant {number} of seed {seed}: {data.hex()}: {why}"
        accepted += found
    assert 0 < accepted < count


def test_changed_bytes_are_judged_as_wasmtime_judges_them():
    check_mutants(1, 6000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_changed_bytes_are_judged_as_wasmtime_judges_them(seed):
    check_mutants(seed, 60_000)


def test_every_beginning_of_a_module_is_refused_or_valid():
    for text in VALID:
        data = assemble(text)
        for size in range(len(data)):
            wanted = is_valid(data[:size])
            try:
                decode(data[:size])
                assert wanted
            except WasmError:
                assert not wanted


def test_lengths_that_the_file_does_not_have_are_no_sizes():
    huge = b"\xff\xff\xff\xff\x0f"
    for number in range(1, 13):
        with pytest.raises(WasmError):
            decode(binary(bytes([number, 5]) + huge))
        with pytest.raises(WasmError):
            decode(binary(bytes([number]) + huge))


def test_a_file_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(WasmError, match="64 MiB"):
        decode(bytes(MAX_FILE_BYTES + 1), "m.wasm")


def test_an_error_names_the_function():
    text = '(module (func $good) (func $bad (export "out") (drop (i32.add (i32.const 1) (f32.const 1)))))'
    with pytest.raises(WasmError, match=r"byte 0x[0-9a-f]+ in out: type mismatch: f32 where i32 is wanted"):
        decode(assemble(text))


def test_sections_that_say_different_numbers_are_refused():
    for data in (
        binary(section(1, b"\x60\0\0"), section(3, b"\0")),
        binary(b"\x0c\1\1"),
        binary(b"\x0c\1\1", section(11)),
        binary(section(3), section(1)),
        one_function(b"\x0b") + section(11) + section(11),
    ):
        assert not is_valid(data)
        with pytest.raises(WasmError, match=r"inconsistent lengths|unexpected content"):
            decode(data)
