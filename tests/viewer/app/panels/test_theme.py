"""Text that a guest wrote must not change a panel."""

from __future__ import annotations

from viewer.app.panels.theme import packed, plain


def test_labels_of_a_guest_are_plain_and_end():
    assert plain("a##b\0c") == "a# #bc"
    assert len(plain("x" * 1000)) == 300


def test_a_colour_is_packed_as_draw_lists_take_it():
    assert packed((255, 0, 0)) & 0xFFFFFFFF == 0xFF0000FF
