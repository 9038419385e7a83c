"""A token has the defaults of a plain word."""

from __future__ import annotations

from qemu_bridge.gateway.understanding.token import Token


def test_a_word_is_neither_negated_nor_a_number():
    token = Token("word", "crond")
    assert not token.is_negated and not token.has_unit and (token.number, token.operator, token.concept) == (0, "", "")
