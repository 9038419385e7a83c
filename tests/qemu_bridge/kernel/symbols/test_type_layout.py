"""Layouts of types, by BTF written here and by the kernel's own."""

from __future__ import annotations

import pytest
from memory_samples import BtfWriter

from qemu_bridge.client import Client
from qemu_bridge.errors import UsageError
from qemu_bridge.kernel.symbols.btf import parse_btf
from qemu_bridge.kernel.symbols.type_layout import describe_type, find_type_names
from viewer.view.inspector import decode_struct


def sample():
    w = BtfWriter()
    integer = w.integer("int", 4, 1)
    character = w.integer("char", 1, 1)
    name = w.array(character, integer, 16)
    either = w.aggregate("", 8, [("low", integer, 0), ("high", integer, 32)])
    task = w.aggregate("task", 40, [("state", integer, 0), ("", either, 64), ("comm", name, 128)])
    w.aggregate("holder", 48, [("count", integer, 0), ("task", task, 64), ("next", w.pointer(task), 320)])
    return parse_btf(w.section())


def test_small_and_anonymous_members_are_opened_and_others_by_depth():
    closed = describe_type(sample(), "holder", 0)
    assert [(field.path, field.offset) for field in closed.fields] == [("count", 0), ("task", 8), ("next", 40)]
    opened = describe_type(sample(), "struct holder", 1)
    paths = {field.path: field for field in opened.fields}
    assert paths["task.high"].offset == 20 and paths["task.comm"].count == 16 and paths["task.comm"].kind == "char"
    assert paths["next"].type_name == "struct task *" and paths["next"].kind == "pointer"
    assert opened.size == 48 and opened.name == "struct holder"


def test_what_is_no_struct_is_refused_and_names_are_found():
    with pytest.raises(UsageError, match="no struct"):
        describe_type(sample(), "int")
    assert find_type_names(sample(), "o") == ["holder"]


@pytest.mark.guest
def test_a_real_task_says_its_name_and_size(machine):
    with Client.connect(machine.name) as client:
        layout = client.type_layout("task_struct").value
        place = client.identify("init_task").value
        fields = {field.path: field for field in decode_struct(layout, client.ram.read(place.physical, layout.size))}
        assert fields["comm"].text.startswith("'swapper") and fields["pid"].text == "0"
        assert "task_struct" in client.type_names("task_str")
        with pytest.raises(UsageError, match="no struct"):
            client.type_layout("no_such_type")
