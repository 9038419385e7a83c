"""The table of instructions has what WebAssembly has, each code once."""

from pixel_cpu.frontends.wasm.opcodes import BY_NAME, OPCODES, ValueType


def test_codes_and_names_are_each_one_row():
    assert len(BY_NAME) == len(OPCODES)
    # WebAssembly 1.0 has 172; 5 are sign extensions, 8 saturating conversions, 7 of bulk memory, 9 of references.
    assert len(OPCODES) == 172 + 5 + 8 + 7 + 9


def test_known_codes_have_their_names():
    known = {
        0x6A: "i32.add",
        0xA6: "f64.copysign",
        0xBF: "f64.reinterpret_i64",
        0xC4: "i64.extend32_s",
        0x8A: "i64.rotr",
    }
    known |= {
        0xFC07: "i64.trunc_sat_f64_u",
        0x3E: "i64.store32",
        0x35: "i64.load32_u",
        0x66: "f64.ge",
        0x5A: "i64.ge_u",
    }
    assert {code: OPCODES[code].name for code in known} == known


def test_accesses_have_their_width_and_types():
    assert [BY_NAME[name].access_bytes for name in ("i64.load8_s", "i32.store16", "i64.load32_u", "f64.load")] == [
        1,
        2,
        4,
        8,
    ]
    assert BY_NAME["f32.store"].operands == (ValueType.I32, ValueType.F32)
