"""JSON for readers whose numbers are doubles: no address is a number, and what is written is read back."""

import json
import typing
from dataclasses import dataclass

import msgspec
import pytest

from qemu_bridge.memory.addresses import PhysicalAddress, VirtualAddress, format_address
from qemu_bridge.wire import document
from qemu_bridge.wire.json_text import decode_json, encode_json
from qemu_bridge.wire.operations import BY_NAME
from qemu_bridge.wire.records import (
    Answer,
    AnyAddress,
    MemoryMapping,
    OverlayTable,
    Place,
    Process,
    Symbol,
    TargetMemory,
    TargetRange,
)
from qemu_bridge.wire.trace_records import ArmOptions, CodeLine, PathOrder, TopBlock, TopOptions, TopResult

HIGH = (1 << 64) - 4097
INIT = Process(1, 0, 0, "S", "init", "", HIGH, 1, 80)
THREAD = Process(2, 0, 0, "S", "kthreadd", "", None, 1, 0)
SAMPLES = [
    (Answer[tuple[Process, ...]], Answer((INIT, THREAD))),
    (Answer[tuple[MemoryMapping, ...]], Answer((MemoryMapping(HIGH, HIGH + 4096, "r--p", 0, "0:1", 3, "/x"),))),
    (Answer[Place], Answer(Place(5, 5, 0, None, HIGH, True, "slab", symbol=Symbol("x", HIGH, "t")))),
    (Answer[TargetMemory], Answer(TargetMemory((TargetRange(1 << 33, 4096, 8, "free"),), 8))),
    (Answer[OverlayTable], Answer(OverlayTable("x", ("at:#x", "n"), ({"at": HIGH, "n": 3, "why": None},), True, ()))),
    (ArmOptions, ArmOptions(ranges=((1, HIGH),), roots=(4096,), points=(HIGH,), trigger_address=HIGH)),
    (TopOptions, TopOptions(root=HIGH, by=PathOrder.TOTAL)),
    (
        TopResult,
        TopResult("f", 1, 1, True, (), (TopBlock(1, 1.0, 0, HIGH, "init", 1, (CodeLine(HIGH, "x", "nop"),)),), ()),
    ),
]


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in numbers(one)]
    return [value] if isinstance(value, int) else []


@pytest.mark.parametrize(("kind", "value"), SAMPLES, ids=lambda one: type(one).__name__)
def test_addresses_are_text_and_come_back_as_numbers(kind, value):
    text = encode_json(value)
    assert max(numbers(json.loads(text))) < 1 << 53
    assert f'"{HIGH:#x}"'.encode() in text or b'"0x200000000"' in text
    assert decode_json(text, kind) == value
    assert decode_json(msgspec.json.encode(value), kind) == value, "numbers are taken as well"


def test_lists_dicts_and_dataclasses_of_records_are_written_alike():
    @dataclass
    class Line:
        address: AnyAddress
        text: str

    assert json.loads(encode_json([INIT, {"of": THREAD}])) == [
        {**msgspec.to_builtins(INIT), "page_table": format_address(HIGH)},
        {"of": msgspec.to_builtins(THREAD)},
    ]
    assert writes(Line(HIGH, "nop")) == {"address": format_address(HIGH), "text": "nop"}


def writes(value):
    return json.loads(encode_json(value))


@pytest.mark.parametrize(
    "text",
    [b'{"value":[{"start":"0xfffffffffffffffff"}]}', b'{"value":[{"start":"12"}]}', b'{"value":{"start":1}}', b"[7]"],
)
def test_text_that_is_no_address_is_refused_where_types_are_checked(text):
    with pytest.raises(msgspec.ValidationError):
        decode_json(text, Answer[tuple[MemoryMapping, ...]])


def record_fields():
    for kind in document.all_records():
        if issubclass(kind, msgspec.Struct):
            for name, hint in typing.get_type_hints(kind, include_extras=True).items():
                yield kind, name, hint
    for name, row in BY_NAME.items():
        yield name, "result", row.result
        for field in msgspec.structs.fields(row.arguments):
            yield name, field.name, field.type


def test_no_record_holds_an_address_that_is_not_marked():
    def bare(hint):
        if typing.get_origin(hint) is typing.Annotated:
            return False
        return hint in (VirtualAddress, PhysicalAddress) or any(bare(one) for one in typing.get_args(hint))

    assert not [(kind, name) for kind, name, hint in record_fields() if bare(hint)]


def test_the_schema_calls_an_address_a_string():
    schemas = document.schemas()
    start = schemas["maps"]["result"]["$defs"]["MemoryMapping"]["properties"]["start"]
    assert start == {"type": "string", "pattern": "^0x[0-9a-f]{1,16}$"}
    table = schemas["ps"]["result"]["$defs"]["Process"]["properties"]["page_table"]["anyOf"]
    assert [one["type"] for one in table] == ["string", "null"]
