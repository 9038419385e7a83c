"""Text that a guest wrote must not change a panel."""

from __future__ import annotations

import pytest

from viewer.app.panels.theme import packed, plain
from viewer.picture.fonts import find_wide_font


def test_labels_of_a_guest_are_plain_and_end():
    assert plain("a##b\0c") == "a# #bc"
    assert len(plain("x" * 1000)) == 300


def test_a_colour_is_packed_as_draw_lists_take_it():
    assert packed((255, 0, 0)) & 0xFFFFFFFF == 0xFF0000FF


@pytest.mark.skipif(find_wide_font() is None, reason="no font with Han is installed; bootstrap installs one")
def test_names_may_be_in_han(ui, paint):
    from imgui_bundle import imgui

    def show(words):
        return paint(lambda: imgui.get_background_draw_list().add_text((20, 20), 0xFFFFFFFF, words))[10:60, 10:80]

    one, other = show("中"), show("文")
    assert one.max() > 200 and (one != other).any()
