"""Types and errors speak JSON: no word of Python, and every place in the arguments of every operation has a name."""

from __future__ import annotations

import re
import typing
from enum import Enum

import msgspec
import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire import messages
from qemu_bridge.wire.operations import BY_NAME, Operations
from qemu_bridge.wire.records import Answer, Blob
from qemu_bridge.wire.type_names import type_at, type_name

PYTHON = re.compile(r"\b(int|str|float|bool|tuple|dict|None|NoneType|list)\b|`|_arguments")
WRONG: tuple[object, ...] = (True, 1.5, 7, "mars", None, [], {}, [[1, 2, 3]], [True], [[True, "x"]], -1)


def problem(operation, arguments):
    with pytest.raises(UsageError) as error:
        messages.decode_arguments(operation, msgspec.json.encode(arguments))
    return str(error.value)


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        (Operations.maps, {"pid": "x"}, "pid: expected integer, got string"),
        (Operations.maps, {}, "missing required field pid"),
        (Operations.maps, [], "of maps: expected object, got array"),
        (
            Operations.read_memory,
            {"ranges": [[True, 1]]},
            'ranges[0][0]: expected address such as "0x1f000", got boolean',
        ),
        (Operations.read_memory, {"ranges": [[1, "x"]]}, "ranges[0][1]: expected integer, got string"),
        (Operations.read_memory, {"ranges": [], "space": "mars"}, '\'mars\' is not one of "physical", "virtual"'),
        (Operations.read_memory, {"ranges": [], "pid": 1.5}, "pid: expected integer | null, got number"),
        (Operations.trace_arm, {"options": {"features": "x"}, "reader_pid": 1}, "a sum of 1, 2, 4"),
        (Operations.trace_record, {"output": "/x", "options": {"only": "x"}}, 'not one of "kernel", "user"'),
        (Operations.exec, {"command": [1]}, "command[0]: expected string, got integer"),
        (Operations.wait_ready, {"timeout_s": -1}, "timeout_s: expected number"),
        (Operations.type_layout, {"name": "x", "depth": -1}, "depth: expected integer"),
    ],
)
def test_a_wrong_argument_is_told_in_the_documents_words(operation, arguments, words):
    assert words in problem(operation, arguments)


@pytest.mark.parametrize("name", BY_NAME)
def test_no_error_of_any_argument_speaks_python(name):
    row = BY_NAME[name]
    for field in msgspec.structs.fields(row.arguments):
        assert not PYTHON.search(type_name(field.type)), field
        for value in WRONG:
            try:
                messages.decode_arguments(row, msgspec.json.encode({field.name: value}))
            except UsageError as error:
                assert not PYTHON.search(str(error)), error


def test_a_request_is_told_what_an_id_is():
    with pytest.raises(UsageError, match=re.escape("id: expected integer | string, got number")):
        messages.decode_request(b'{"id": 1.5, "operation": "status", "protocol": 3}')


def test_the_type_at_a_place_is_found_in_tuples_records_and_unions():
    assert type_name(type_at(Operations.read_memory.arguments, ".ranges[5][0]")) == "address"
    assert type_name(type_at(Operations.trace_arm.arguments, ".options.ranges[0][1]")) == "address"
    kind = type_at(Operations.trace_record.arguments, ".options.only")
    assert any(isinstance(one, type) and issubclass(one, Enum) for one in typing.get_args(kind))
    assert type_at(Operations.maps.arguments, ".nothing[3]") is typing.Any


def test_types_have_the_names_of_json():
    assert type_name(Answer[tuple[Blob | None, ...]]) == "Answer[[frame | null, …]]"
    assert type_name(dict[str, int] | None) == "object of integer | null"
    assert type_name(msgspec.structs.fields(Operations.type_layout.arguments)[1].type) == "integer ≥ 0"
