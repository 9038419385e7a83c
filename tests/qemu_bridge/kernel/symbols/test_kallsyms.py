"""kallsyms: what scripts/kallsyms.c compresses is what comes out; what it could not have made is refused."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_samples import Memory, compress_names, vmcoreinfo_note

from qemu_bridge.errors import GuestError
from qemu_bridge.kernel.symbols.kallsyms import (
    RawKallsyms,
    decode_kallsyms,
    decode_offsets,
    expand_names,
    read_kallsyms,
)
from qemu_bridge.kernel.symbols.vmcoreinfo import parse_note
from qemu_bridge.memory.addresses import PhysicalAddress, VirtualAddress
from qemu_bridge.memory.paging import PageTables

STEXT = 0xFFFFFFFF81000000
NAMES = ["A__per_cpu_start", "T_stext", "tstatic_one", "tstatic_one", "D" + "long_name_" * 30, "Dinit_task"]
OFFSETS = [0, -1 - 0, -1 - 16, -1 - 32, -1 - 64, -1 - 64]


def raw_table(names=NAMES, offsets=OFFSETS, stext=STEXT, base=STEXT) -> RawKallsyms:
    packed, table, index = compress_names(names)
    return RawKallsyms(len(names), packed, index, table, np.array(offsets, "<i4").tobytes(), b"", 0, base, stext)


def test_symbols_come_out_in_order_with_type_and_address():
    table = decode_kallsyms(raw_table())
    assert [symbol.symbol_type + symbol.name for symbol in table] == NAMES
    assert [symbol.address for symbol in table] == [0, STEXT, STEXT + 16, STEXT + 32, STEXT + 64, STEXT + 64]
    assert table[5].name == "init_task" and len(table) == 6


def test_static_symbols_may_share_a_name():
    table = decode_kallsyms(raw_table())
    assert [symbol.address - STEXT for symbol in table.lookup("static_one")] == [16, 32]
    assert [table.lookup(name) for name in ("static", "one", "", "T_stext", "a\nb", "no_such")] == [[]] * 6
    assert table.address_of("init_task") == STEXT + 64 and table.address_of("nothing") is None


def test_an_address_belongs_to_the_nearest_symbol_below():
    table = decode_kallsyms(raw_table())
    inside = table.at(VirtualAddress(STEXT + 21))
    assert (inside.name, inside.offset) == ("static_one", 5)
    assert table.at(VirtualAddress(STEXT + 64)).name.startswith("long_name_"), "of aliases the first, as in the kernel"
    outside = (0, 5, STEXT - 1, STEXT + 65, 1 << 64, -1)
    assert [table.at(VirtualAddress(address)) for address in outside] == [None] * 6


def test_offsets_without_absolute_per_cpu_symbols_are_recognised_by_stext():
    names = ["T_stext", "Tlater"]
    table = decode_kallsyms(raw_table(names, [0x1000, 0x1040], STEXT, STEXT - 0x1000))
    assert table.addresses.tolist() == [STEXT, STEXT + 0x40]
    assert decode_offsets(np.array([-1], "<i4"), 0, False).tolist() == [0xFFFFFFFF]


def test_whole_addresses_need_no_base():
    raw = dataclasses.replace(raw_table(["T_stext"]), offsets=b"", absolutes=struct.pack("<Q", STEXT))
    assert decode_kallsyms(raw).addresses.tolist() == [STEXT]


def test_a_table_out_of_order_is_sorted():
    table = decode_kallsyms(raw_table(["Dlater", "T_stext"], [-1 - 0x40, -1]))
    assert [symbol.name for symbol in table] == ["_stext", "later"]
    assert table.lookup("later")[0].address == STEXT + 0x40


def test_moving_spares_per_cpu_symbols():
    moved = decode_kallsyms(raw_table()).moved(-0x1000)
    assert moved.addresses.tolist()[:2] == [0, STEXT - 0x1000]
    assert moved.moved(0x1000).addresses.tolist() == decode_kallsyms(raw_table()).addresses.tolist()


def test_the_digest_is_of_the_build_not_of_the_boot():
    here, there = raw_table(), raw_table(stext=STEXT + 0x2000000, base=STEXT + 0x2000000)
    assert here.digest() == there.digest() != raw_table(offsets=[0, -1, -2, -3, -4, -5]).digest()


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=400), min_size=1, max_size=20
    )
)
def test_any_names_survive_compression(names):
    packed, table, index = compress_names(names)
    tokens = [table[start:].split(b"\0", 1)[0] for start in struct.unpack("<256H", index)]
    starts, text = expand_names(packed + b"rest", len(names), tokens)
    assert text.decode().split("\n")[1:] == names
    assert [text[start : start + 1] for start in starts.tolist()] == [b"\n"] * len(names)


@given(st.binary(max_size=200), st.integers(1, 1000))
def test_random_bytes_are_names_or_refused(packed, count):
    try:
        starts, text = expand_names(packed, count, [b"x"] * 256)
    except GuestError:
        return
    assert len(starts) == count and text.count(b"\n") == count


@pytest.mark.parametrize(
    "change",
    [
        {"names": b"\x05abc"},
        {"names": b""},
        {"stext": STEXT + 1},
        {"token_table": b""},
        {"count": 9},
    ],
)
def test_tables_that_contradict_themselves_are_refused(change):
    with pytest.raises(GuestError):
        decode_kallsyms(dataclasses.replace(raw_table(), **change))


def test_a_token_that_ends_a_line_makes_no_name_more():
    raw = raw_table()
    start = raw.token_table.index(b"o\0")
    lying = raw.token_table[:start] + b"\n" + raw.token_table[start + 1 :]
    table = decode_kallsyms(dataclasses.replace(raw, token_table=lying))
    assert len(table.entries()) == len(table) == len(NAMES)


def test_names_that_expand_beyond_reason_are_refused():
    with pytest.raises(GuestError, match="is implausible"):
        expand_names((b"\xff\x7f" + b"a" * 0x3FFF) * 2, 2, [b"x" * 65535] * 256)


def in_memory(tmp_path, count: int | None = None, **missing: object):
    """The tables of `raw_table` in a guest, and its note."""
    raw, memory, base = raw_table(), Memory(tmp_path), 0xFFFFFFFF82000000
    root = memory.allocate()
    parts = {
        "num_syms": struct.pack("<I", raw.count if count is None else count),
        "names": raw.names,
        "token_table": raw.token_table.ljust(0x1000, b"\0"),
        "token_index": raw.token_index,
        "offsets": raw.offsets,
        "relative_base": struct.pack("<Q", raw.relative_base),
    }
    values: dict[str, object] = {"OSRELEASE": "6.1", "PAGESIZE": 4096, "SYMBOL(_stext)": f"{STEXT:x}"}
    for number, (name, data) in enumerate(parts.items()):
        memory.map_bytes(root, base + number * 0x10000, data)
        values[f"SYMBOL(kallsyms_{name})"] = f"{base + number * 0x10000:x}"
    values |= missing
    return parse_note(vmcoreinfo_note(values), PhysicalAddress(0)), PageTables(memory.open(), root)


def test_the_note_leads_to_the_tables(tmp_path):
    table = decode_kallsyms(read_kallsyms(*in_memory(tmp_path)))
    assert [symbol.symbol_type + symbol.name for symbol in table] == NAMES


def test_offsets_without_a_base_are_relative_to_their_own_places():
    start = STEXT + 0x100000
    addresses = [STEXT, STEXT + 0x40, STEXT + 0x200000]
    offsets = [address - start - 4 * row for row, address in enumerate(addresses)]
    raw = dataclasses.replace(
        raw_table(["T_stext", "tnext", "Dbeyond"], offsets), offsets_start=start, relative_base=None
    )
    assert [symbol.address for symbol in decode_kallsyms(raw)] == addresses


@pytest.mark.parametrize("lost", ["kallsyms_names", "kallsyms_num_syms", "kallsyms_offsets", "_stext"])
def test_a_note_that_does_not_name_a_table_is_refused(tmp_path, lost):
    with pytest.raises(GuestError, match="does not say"):
        read_kallsyms(*in_memory(tmp_path, **{f"SYMBOL({lost})": "?"}))


def test_a_note_without_a_base_of_offsets_that_have_one_is_refused(tmp_path):
    with pytest.raises(GuestError, match="does not put _stext where"):
        decode_kallsyms(read_kallsyms(*in_memory(tmp_path, **{"SYMBOL(kallsyms_relative_base)": "?"})))


@pytest.mark.parametrize("lost", ["kallsyms_names", "kallsyms_token_index", "kallsyms_offsets"])
def test_a_table_that_is_not_mapped_is_refused(tmp_path, lost):
    with pytest.raises(GuestError):
        decode_kallsyms(read_kallsyms(*in_memory(tmp_path, **{f"SYMBOL({lost})": "ffffffff90000000"})))


@pytest.mark.parametrize("count", [0, 1 << 22, 0xFFFFFFFF])
def test_an_absurd_number_of_symbols_is_refused(tmp_path, count):
    with pytest.raises(GuestError, match=f"claims {count} symbols"):
        read_kallsyms(*in_memory(tmp_path, count))


@pytest.mark.guest
def test_every_symbol_equals_proc_kallsyms(machine):
    inside = []
    for address, letter, name, *module in machine.kallsyms():
        if not module:
            inside.append((int(address, 16), letter, name))
    outside = [(symbol.address, symbol.symbol_type, symbol.name) for symbol in machine.kernel.kallsyms]
    assert len(inside) > 10000 and outside == inside
