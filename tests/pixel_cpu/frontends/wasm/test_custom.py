"""The sections ``name`` and ``producers``."""

from wasm_texts import assemble, leb

from pixel_cpu.frontends.wasm import decode


def custom(name: str, content: bytes) -> bytes:
    body = leb(len(name)) + name.encode() + content
    return b"\0" + leb(len(body)) + body


def test_functions_have_their_names():
    module = decode(assemble('(module (func $in) (func (export "out")) (func))'))
    assert [module.name_of(number) for number in range(3)] == ["in", "out", "function 2"]


def test_producers_are_read():
    field = b"\x0cprocessed-by\1\5rustc\x061.63.0"
    module = decode(assemble("(module)") + custom("producers", b"\1" + field))
    assert module.producers == {"processed-by": {"rustc": "1.63.0"}}


def test_malformed_custom_sections_break_nothing():
    for content in (b"\xff\xff\xff\xff\x0f", b"\1\xff\1", b"\1\5\xff\xff\xff\xff\x0f", b""):
        for name in ("name", "producers", "other"):
            assert decode(assemble("(module (func))") + custom(name, content)).function_names == {}
