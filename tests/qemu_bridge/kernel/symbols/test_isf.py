"""Volatility's symbol file: what goes in from BTF comes out of Volatility's own types."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from memory_samples import BtfWriter
from volatility3.framework import contexts
from volatility3.framework.layers import physical
from volatility3.framework.symbols import intermed

from qemu_bridge.kernel.symbols.btf import Btf, parse_btf
from qemu_bridge.kernel.symbols.btf_format import Kind
from qemu_bridge.kernel.symbols.isf import to_isf
from qemu_bridge.kernel.symbols.kallsyms import KallsymsTable

BANNER = b"Linux version 6.1 (someone@somewhere) #1 SMP\n"
BASE = 0xFFFFFFFF81000000


def symbols(*entries: tuple[int, str]) -> KallsymsTable:
    text = "".join(f"\n{entry}" for _, entry in entries).encode()
    starts, at = [], 0
    for _, entry in entries:
        starts.append(at)
        at += len(entry) + 1
    return KallsymsTable(np.array([address for address, _ in entries], np.uint64), np.array(starts, np.int64), text)


TABLE = symbols(
    (0x20, "Aper_cpu_task"), (BASE, "T_stext"), (BASE + 8, "Dinit_task"), (BASE + 16, "Dmodules"), (BASE + 24, "Rlinux_banner"),
    (BASE + 32, "tstatic"), (BASE + 40, "tstatic"),
)  # fmt: skip


def sample() -> Btf:
    w = BtfWriter()
    integer, unsigned = w.integer("int", 4, 1), w.integer("unsigned int", 4)
    w.integer("char", 1, 1), w.integer("_Bool", 1, 4), w.integer("long unsigned int", 8), w.add(16, "double", 8)
    lists = w.aggregate("list_head", 16, [("next", w.count + 2, 0), ("prev", w.count + 2, 64)])
    w.pointer(lists)
    state = w.enumeration("task_state", {"DEAD": -1, "LIVE": 1})
    typed = w.aggregate("", 4, [("counter", integer, 0)])
    atomic = w.add(8, "atomic_t", typed)
    inner = w.aggregate("", 8, [("low", integer, 0), ("high", integer, 32)], union=True)
    proto = w.add(13, "", 0)
    function = w.pointer(proto)
    elsewhere = w.pointer(w.add(7, "elsewhere", 0))
    void_pointer = w.pointer(w.add(10, "", 0))
    comm = w.array(w.add(10, "", 3), integer, 16)
    w.aggregate(
        "task_struct",
        112,
        [
            ("tasks", lists, 0), ("state", state, 128), ("", inner, 192), ("usage", atomic, 256), ("comm", comm, 320),
            ("run", function, 448), ("gone", elsewhere, 512), ("any", void_pointer, 576),
            ("bit", unsigned, 640 | 1 << 24), ("bits", unsigned, 641 | 7 << 24), ("", unsigned, 648 | 4 << 24),
            ("far", unsigned, 700 | 3 << 24),
        ],
        bits=True,
    )  # fmt: skip
    task = w.count
    w.add(14, "per_cpu_task", w.pointer(task), extra=b"\1\0\0\0")
    w.aggregate("unrelated", 4, [("value", integer, 0)])
    w.aggregate("unrelated", 8, [("value", integer, 32)])
    return parse_btf(w.section())


@pytest.fixture
def document() -> dict:
    return to_isf(sample(), TABLE, "6.1", "ab" * 20, BANNER)


def test_fields_keep_names_offsets_and_types(document):
    fields = document["user_types"]["task_struct"]["fields"]
    assert {name: fields[name]["offset"] for name in ("tasks", "state", "usage", "comm", "run")} == {
        "tasks": 0, "state": 16, "usage": 32, "comm": 40, "run": 56,
    }  # fmt: skip
    assert fields["comm"]["type"] == {"kind": "array", "count": 16, "subtype": {"kind": "base", "name": "char"}}
    assert fields["run"]["type"] == {"kind": "pointer", "subtype": {"kind": "function"}}
    assert fields["gone"]["type"] == {"kind": "pointer", "subtype": {"kind": "struct", "name": "elsewhere"}}
    assert fields["any"]["type"] == {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}
    assert fields["state"]["type"] == {"kind": "enum", "name": "task_state"}
    assert document["enums"]["task_state"] == {"size": 4, "base": "int", "constants": {"DEAD": -1, "LIVE": 1}}


def test_bit_fields_count_from_their_storage_unit(document):
    fields = document["user_types"]["task_struct"]["fields"]
    places = {
        n: (fields[n]["offset"], fields[n]["type"]["bit_position"], fields[n]["type"]["bit_length"])
        for n in ("bit", "bits", "far")
    }
    assert places == {"bit": (80, 0, 1), "bits": (80, 1, 7), "far": (84, 28, 3)}
    assert sum(name.startswith("unnamed") for name in fields) == 1, "padding bits are no field"


def test_anonymous_types_get_names_that_are_their_own(document):
    types = document["user_types"]
    assert types["atomic_t"]["size"] == 4, "from its typedef"
    (inner,) = (field for field in types["task_struct"]["fields"].values() if field.get("anonymous"))
    assert types[inner["type"]["name"]]["kind"] == "union" and inner["offset"] == 24
    assert {types[name]["size"] for name in types if name.startswith("unrelated")} == {4, 8}, "two structs of one name"


def test_symbols_have_addresses_and_the_types_they_are_known_by(document):
    found = document["symbols"]
    assert found["_stext"] == {"address": BASE} and found["per_cpu_task"]["address"] == 0x20
    assert found["static"]["address"] == BASE + 32, "of several the first"
    assert found["init_task"]["type"] == {"kind": "struct", "name": "task_struct"}
    assert found["per_cpu_task"]["type"]["subtype"] == {"kind": "struct", "name": "task_struct"}
    assert base64.b64decode(found["linux_banner"]["constant_data"]) == BANNER


def test_the_origin_is_one_the_schema_knows(document):
    """Kind dwarf, symtab or system-map; a hash, if any, is a SHA-256."""
    assert document["metadata"]["linux"]["types"] == [{"kind": "symtab", "name": f"6.1 {'ab' * 20}"}]


def test_volatility_reads_objects_through_the_document(document, tmp_path):
    path = tmp_path / "kernel.json"
    path.write_text(json.dumps(document))
    memory = bytearray(256)
    memory[16:20], memory[24:28], memory[40:45] = b"\xff\xff\xff\xff", b"\x05\0\0\0", b"init\0"
    memory[80:84] = (1 | 77 << 1).to_bytes(4, "little")
    context = contexts.Context()
    context.add_layer(physical.BufferDataLayer(context, "ram", "ram", bytes(memory)))
    context.symbol_space.append(intermed.IntermediateSymbolTable(context, "t", "t", path.as_uri(), validate=False))
    task = context.object("t!task_struct", "ram", 0)
    assert (int(task.state), int(task.low), int(task.bit), int(task.bits)) == (-1, 5, 1, 77)
    assert task.comm.cast("string", max_length=16) == "init"


@pytest.mark.guest
def test_every_size_and_offset_of_the_real_document_is_btfs(machine):
    kernel = machine.kernel
    document = kernel.isf()
    assert {"task_struct", "mm_struct", "page", "module"} <= set(document["user_types"])
    for name, type_id in kernel.btf.names(Kind.STRUCT):
        written = document["user_types"][name]
        assert written["size"] == kernel.btf.size(type_id)
        whole = {
            member.name: member.offset for member in kernel.btf.members(type_id) if member.name and not member.bit_size
        }
        assert whole == {field: written["fields"][field]["offset"] for field in whole}
    for reference in walk(document["user_types"]):
        if reference["kind"] == "enum":
            assert reference["name"] in document["enums"]


def walk(value):
    if isinstance(value, dict):
        if "kind" in value and "name" in value:
            yield value
        for inner in value.values():
            yield from walk(inner)
