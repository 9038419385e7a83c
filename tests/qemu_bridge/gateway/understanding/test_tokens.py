"""A question becomes tokens."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.tokens import read_tokens
from qemu_bridge.gateway.understanding.words import stem


def kinds(text, names):
    return [(token.concept or token.kind, token.number or token.text) for token in read_tokens(text, names)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the PAGE tables!", [("page_table", "PAGE tables")]),
        ("pid 97", [("pid", 97)]),
        ("port 80", [("port", "port"), ("port_number", 80)]),
        ("top 5 processes", [("most", "top"), ("limit", 5), ("process", "processes")]),
        ("64 bytes", [("length", 64), ("read", "bytes")]),
        ("0x1F000", [("address", 0x1F000)]),
        ("/bin/busybox?", [("path", "/bin/busybox")]),
        ('"root:x"', [("quoted", "root:x")]),
        ("pid:1/heap + kernel.text", [("target", "pid:1/heap + kernel.text")]),
        ("crond's", [("name", "crond")]),
        ("xyzzy", [("unknown", "xyzzy")]),
        ("please tell me the", []),
        ("stop", [("stop", "stop")]),
        ("stopped", [("stopped", "stopped")]),
    ],
)
def test_words_have_these_meanings(text, expected, names):
    assert kinds(text, names) == expected


def test_a_word_beside_its_kind_is_a_name(names):
    (kind, name) = read_tokens("slab pid", names)
    assert kind.concept == "slab" and name.kind == "name" and name.matches[0].names == ("pid",)


def test_forms_of_a_word_have_one_stem():
    for forms in (
        ("map", "maps", "mapped", "mapping"),
        ("cache", "caches", "cached"),
        ("library", "libraries"),
        ("use", "uses", "used", "using"),
    ):
        assert len(set(map(stem, forms))) == 1
    assert stem("address") == "address" and stem("status") == "status"
