"""BTF: every kind, against sections written here and against the offsets the kernel states of itself."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_samples import BtfWriter, every_kind_of_type

from qemu_bridge.errors import NoTypesError
from qemu_bridge.kernel.symbols.btf import Btf, parse_btf
from qemu_bridge.kernel.symbols.btf_format import Kind

SIGNED, CHAR, BOOL = 1, 2, 4


def sample() -> Btf:
    """One type of every kind."""
    return parse_btf(every_kind_of_type())


def test_every_kind_is_told_from_the_others():
    btf = sample()
    assert {btf.kind(type_id) for type_id in range(len(btf))} == set(Kind)
    assert btf.ids(Kind.FWD) == [type_id for type_id in range(len(btf)) if btf.name(type_id) == "elsewhere"]
    assert dict(btf.names(Kind.TYPEDEF)).keys() == {"task_t"}


def test_members_are_found_through_anonymous_ones_and_along_paths():
    btf = sample()
    assert [btf.member_offset("task", name) for name in ("state", "low", "high", "whole", "comm")] == [0, 8, 12, 8, 16]
    assert btf.member_offset("holder", "task.high") == 20
    assert btf.member_offset("task_t", "comm") == 16
    assert btf.find_member("task", "nothing") is None and btf.find_member("holder", "count.low") is None


def test_sizes_count_arrays_pointers_and_typedefs():
    btf = sample()
    assert [btf.sizeof(name) for name in ("task", "task_t", "holder")] == [40, 40, 48]
    assert btf.size(btf.find_member("task", "comm").type_id) == 16
    assert [btf.size(type_id) for type_id in btf.ids(Kind.PTR)] == [8]
    assert btf.size(btf.find("double", Kind.FLOAT)) == 8 and btf.size(btf.find("wide", Kind.ENUM64)) == 8
    assert [btf.size(type_id) for type_id in (0, *btf.ids(Kind.FWD, Kind.FUNC, Kind.FUNC_PROTO))] == [0] * 4


def test_bit_fields_have_a_place_and_a_width():
    members = {member.name: member for member in sample().members(sample().find("flags"))}
    assert (members["mode"].bit_offset, members["mode"].bit_size) == (1, 5)
    assert members["plain"].bit_size == 0


def test_enumerations_keep_their_sign():
    btf = sample()
    assert btf.enumerators(btf.find("state", Kind.ENUM)) == {"DEAD": -1, "LIVE": 1}
    assert btf.enumerators(btf.find("wide", Kind.ENUM64)) == {"TOP": 1 << 40, "LOW": -2}
    assert btf.enumerators(btf.find("task")) == {}


def test_what_is_missing_is_said():
    with pytest.raises(NoTypesError, match="no type nothing"):
        sample().sizeof("nothing")
    with pytest.raises(NoTypesError, match="task has no member nothing"):
        sample().member_offset("task", "nothing")


def test_types_that_go_in_a_circle_resolve_to_void():
    w = BtfWriter()
    w.add(8, "a", 2)
    w.add(8, "b", 1)
    w.aggregate("loop", 8, [("", 3, 0)])
    w.array(4, 4, 0xFFFFFFFF)
    btf = parse_btf(w.section())
    assert btf.resolve(1) == 0 and btf.sizeof("a") == 0 and btf.size(4) == 0
    assert btf.find_member("loop", "x") is None


def test_a_forest_of_anonymous_members_is_searched_in_bounded_time():
    """Each level names the next many times: without bounds, 8 to the power of 32 visits."""
    w = BtfWriter()
    for level in range(40):
        w.aggregate("" if level else "top", 8, [("", level + 2, 0)] * 8)
    w.integer("int", 4)
    btf = parse_btf(w.section())
    started = time.process_time()
    assert btf.find_member("top", "x") is None
    assert time.process_time() - started < 2


@settings(max_examples=200)
@given(st.data())
def test_damaged_types_never_raise_anything_else(data):
    section = bytearray(sample_section())
    for _ in range(data.draw(st.integers(1, 6))):
        section[data.draw(st.integers(24, len(section) - 1))] = data.draw(st.integers(0, 255))
    try:
        btf = parse_btf(bytes(section))
    except NoTypesError:
        return
    for type_id in range(len(btf) + 3):
        btf.kind(type_id), btf.name(type_id), btf.size(type_id), btf.members(type_id), btf.enumerators(type_id)
        btf.target(type_id), btf.count(type_id), btf.encoding(type_id)
    for name in ("task", "holder", "flags"):
        if btf.find(name) is not None:
            btf.find_member(name, "comm"), btf.find_member(name, "task.high")


def sample_section() -> bytes:
    w = BtfWriter()
    integer = w.integer("int", 4, SIGNED)
    inner = w.aggregate("", 8, [("low", integer, 0), ("high", integer, 32)])
    task = w.aggregate("task", 16, [("", inner, 0), ("comm", w.count + 2, 64)])
    w.array(integer, integer, 2)
    w.aggregate("holder", 24, [("task", task, 64)])
    w.enumeration("state", {"DEAD": -1})
    w.add(8, "task_t", task)
    return w.section()


@pytest.mark.guest
def test_offsets_and_sizes_are_those_the_compiler_put_into_the_note(machine):
    """VMCOREINFO states offsets and sizes with offsetof and sizeof; BTF comes from debug information."""
    btf, values = machine.kernel.btf, machine.kernel.info.values
    checked = 0
    for key, value in values.items():
        what, _, name = key.rstrip(")").partition("(")
        if what == "SIZE" and btf.find(name, Kind.STRUCT, Kind.UNION, Kind.TYPEDEF) is not None:
            assert btf.sizeof(name) == int(value), name
            checked += 1
        elif what == "OFFSET":
            struct_name, _, member = name.partition(".")
            assert btf.member_offset(struct_name, member) == int(value), name
            checked += 1
    assert checked > 20
