"""Structures by field name: against memory made byte by byte, and against Volatility's objects of a real kernel."""

import struct
from types import SimpleNamespace

import pytest
from memory_samples import BtfWriter, Memory

from qemu_bridge.errors import AddressError, GuestError, NoTypesError
from qemu_bridge.kernel.budget import Budget, OutOfBudgetError
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.symbols.btf import parse_btf
from qemu_bridge.memory.paging import PageTables

BASE = 0xFFFF888000000000
SIGNED = 1


def make_types():
    w = BtfWriter()
    integer, byte, word = w.integer("int", 4, SIGNED), w.integer("char", 1, SIGNED), w.integer("long", 8)
    node = w.aggregate(
        "rb_node", 24, [("__rb_parent_color", word, 0), ("rb_right", w.pointer(0), 64), ("rb_left", w.pointer(0), 128)]
    )
    links = w.aggregate("list_head", 16, [("next", w.pointer(0), 0), ("prev", w.pointer(0), 64)])
    pair = w.aggregate("pair", 16, [("first", word, 0), ("second", word, 64)])
    members = [
        ("number", integer, 0), ("name", w.array(byte, integer, 8), 32), ("list", links, 128), ("pairs", w.array(pair, integer, 2), 256),
        ("friend", w.pointer(pair), 512), ("words", w.array(word, integer, 3), 576), ("node", node, 768),
    ]  # fmt: skip
    w.aggregate("thing", 128, members)
    w.aggregate("bits", 8, [("low", integer, 3 << 24 | 0), ("high", integer, 15 << 24 | 40)], bits=True)
    return parse_btf(w.section())


def make_space(folder, data):
    """`data` at BASE, in a kernel that has the types above and nothing else."""
    memory = Memory(folder)
    root = memory.allocate()
    memory.map_bytes(root, BASE, data)
    ram = memory.open()
    kallsyms = SimpleNamespace(address_of=lambda name: None)
    return KernelObjects(ram, SimpleNamespace(btf=make_types(), kallsyms=kallsyms, page_tables=PageTables(ram, root)))


def thing(number=-5, name=b"somebody", links=(0, 0), friend=0, node=(0, 0, 0)):
    words = (*links, 11, 12, 21, 22, friend, 7, 8, 9, *node)
    return struct.pack("<i8s4x", number, name) + struct.pack(f"<{len(words)}Q", *words)


def test_fields_have_sign_text_elements_and_targets(tmp_path):
    data = thing(friend=BASE + 0x1000).ljust(0x1000, b"\0") + struct.pack("<QQ", 3, 4)
    space = make_space(tmp_path, data)
    found = space.at("thing", BASE)
    assert found["number"] == -5 and found.text("name") == "somebody"
    assert [pair["second"] for pair in found.elements("pairs")] == [12, 22]
    assert found.numbers("words") == [7, 8, 9] and found.inner("list")["next"] == 0
    friend = found.follow("friend")
    assert (friend.type_name, friend["first"], friend["second"]) == ("pair", 3, 4)
    assert "friend" in found and "enemy" not in found and space.offset("thing", "list.prev") == 24


def test_bit_fields_are_cut_out(tmp_path):
    space = make_space(tmp_path, struct.pack("<II", 0b10101, 0x7FFF << 8 | 0xFF))
    found = space.at("bits", BASE)
    assert found["low"] == 0b101 - 8 and found["high"] == -1


def test_what_is_not_there_is_an_error_in_words(tmp_path):
    space = make_space(tmp_path, thing())
    with pytest.raises(AddressError):
        space.at("thing", BASE + 0x5000)["number"]
    with pytest.raises(AddressError):
        space.at("thing", 0x1000)["number"]
    with pytest.raises(AddressError):
        space.read(BASE, 1 << 40)
    with pytest.raises(NoTypesError):
        space.at("thing", BASE)["enemy"]
    with pytest.raises(NoTypesError):
        space.at("nothing", BASE)["number"]
    with pytest.raises(GuestError):
        space.at("thing", BASE)["pairs"]


def chain(count, close=True):
    """A list head, and `count` things behind it."""
    places = [BASE] + [BASE + 0x100 * number + 16 for number in range(1, count + 1)]
    following = [*places[1:], places[0] if close else places[len(places) // 2]]
    before = [places[-1], *places[:-1]]
    data = bytearray(0x100 * (count + 1))
    data[0:16] = struct.pack("<QQ", following[0], before[0])
    for number in range(1, count + 1):
        record = thing(number, links=(following[number], before[number]))
        data[0x100 * number : 0x100 * number + len(record)] = record
    return bytes(data)


def test_lists_are_walked_in_order(tmp_path):
    space = make_space(tmp_path, chain(20))
    space.budget = Budget()
    assert [one["number"] for one in space.linked(BASE, "thing", "list")] == list(range(1, 21))
    assert space.budget.complete


def test_a_list_that_bends_back_into_itself_is_cut_and_noted(tmp_path):
    space = make_space(tmp_path, chain(20, close=False))
    space.budget = Budget()
    assert len(space.links(BASE)) == 20 and not space.budget.complete


def test_a_list_that_is_too_long_ends_with_the_budget(tmp_path):
    space = make_space(tmp_path, chain(20))
    space.budget = Budget(items=10)
    with pytest.raises(OutOfBudgetError):
        space.links(BASE)
    space.budget = Budget()
    assert len(space.links(BASE, limit=5)) == 5 and not space.budget.complete


def test_chains_and_trees_end_even_in_circles(tmp_path):
    nodes = [struct.pack("<QQQ", 0, BASE + 48, BASE + 24), struct.pack("<QQQ", 0, 0, 0), struct.pack("<QQQ", 0, 0, 0)]
    sound = make_space(tmp_path, b"".join(nodes))
    sound.budget = Budget()
    assert list(sound.tree(BASE)) == [BASE + 24, BASE, BASE + 48] and sound.budget.complete
    bent = make_space(tmp_path, struct.pack("<QQQ", BASE, BASE, BASE))
    bent.budget = Budget()
    assert len(list(bent.tree(BASE))) <= 2 and not bent.budget.complete
    bent.budget = Budget()
    assert list(bent.hashed(BASE)) == [BASE] and not bent.budget.complete
    assert list(bent.hashed(BASE | 1)) == [] and list(bent.hashed(0)) == []


def test_a_page_is_of_one_moment_until_it_is_forgotten(tmp_path):
    space = make_space(tmp_path, thing(1))
    assert space.at("thing", BASE)["number"] == 1
    physical = space.physical(BASE)
    with open(space.ram.path, "r+b") as file:
        file.seek(physical)
        file.write(struct.pack("<i", 2))
    assert space.at("thing", BASE)["number"] == 1
    space.forget()
    assert space.at("thing", BASE)["number"] == 2


@pytest.mark.guest
def test_fields_are_those_that_volatility_reads(each_machine):
    with each_machine.paused():
        each_machine.volatility.forget()
        space = KernelObjects(each_machine.ram, each_machine.kernel)
        address = each_machine.kernel.address_of("init_task")
        ours, theirs = space.at("task_struct", address), each_machine.volatility.object("task_struct", address)
        for field in ("pid", "prio", "static_prio", "flags", "start_boottime", "in_execve", "exit_state"):
            assert ours[field] == int(getattr(theirs, field)), field
        assert ours.text("comm") == "swapper/0" and ours["thread.sp"] == int(theirs.thread.sp)
