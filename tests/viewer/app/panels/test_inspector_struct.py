"""The inspector's struct."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from qemu_bridge.wire.records import SlabObject, TypeField, TypeLayout
from viewer.app import selection
from viewer.app.panels.inspector_struct import draw_struct, follow, struct_fields
from viewer.view.inspector import decode_struct

LAYOUT = TypeLayout("struct x", 8, (TypeField("a", "int", 0, 4, kind="int"),))

pytestmark = pytest.mark.usefixtures("no_errors")


def test_a_struct_can_be_shown(paint, state, put):
    def body():
        imgui.set_next_window_size(imgui.ImVec2(430, 400))
        imgui.begin("struct")
        draw_struct(state, selection.pinned(state), None, bytes(4096))
        imgui.end()

    selection.select(state, 0x45010)
    untyped = paint(body)
    state.type_name = "x"
    put("type", LAYOUT, (("x",), 0))
    assert np.abs(paint(body) - untyped).max() > 60
    assert decode_struct(LAYOUT, b"\1\0\0\0")[0].text == "1"


def test_fields_are_read_from_where_the_object_begins(state):
    selection.select(state, 0x45010)
    picked = selection.pinned(state)
    inside = SlabObject(cache="cache", start=0x4500C, size=8, index=0, offset=4)
    for slab, start in ((None, 0x45010), (inside, 0x4500C)):
        [field] = struct_fields(state, picked, slab, b"", LAYOUT)
        expected = int.from_bytes(bytes(state.source.ram.view[start : start + 4]), "little", signed=True)
        assert field.text == str(expected)


def test_a_pointer_is_followed_by_asking_the_daemon(state):
    asked = []
    state.queries.ask = lambda topic, query, key=None: asked.append((topic, key))
    follow(state, 0xFFFF888000001000)
    assert asked == [("follow", 0xFFFF888000001000)]
