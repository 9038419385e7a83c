"""Tools are the rows of the operation table."""

from __future__ import annotations

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.mcp_server.machines import Machines
from qemu_bridge.gateway.mcp_server.tools import Picture, make_tools
from qemu_bridge.wire.operations import BY_NAME, Permission

ALL = make_tools(Permission)


def test_each_permission_adds_the_operations_that_need_it():
    read, control = make_tools({Permission.READ}), make_tools({Permission.READ, Permission.CONTROL})
    assert {"ps", "highlight", "fly_to", "ask", "machines", "snap"} <= set(read)
    assert set(control) - set(read) == {
        "pause",
        "resume",
        "stop",
        "checkpoint",
        "forget",
        "capture",
        "trace_disarm",
        "trace_record",
        "record_video",
    }
    assert set(ALL) - set(control) == {"exec", "qmp", "restore", "fork", "gdb_server"}


@pytest.mark.parametrize("name", sorted(set(ALL) & set(BY_NAME) - {"snap"}))
def test_a_description_is_the_docstring_and_a_schema_has_the_arguments(name):
    operation, tool = BY_NAME[name], ALL[name]
    assert tool.description.split("\n")[0] == operation.doc.strip().split("\n")[0]
    assert set(operation.arguments.__struct_fields__) | {"machine", "offset", "limit"} == set(tool.schema["properties"])
    assert tool.schema["type"] == "object" and "$ref" not in tool.schema


@pytest.fixture
def machines(machine):
    found = Machines(machine.name)
    yield found
    found.close()


def run(machines, name, **arguments):
    return ALL[name].run(machines, arguments)


@pytest.mark.guest
def test_an_answer_is_a_page_of_the_operations_answer(machines, machine):
    whole = machine.client.ps()
    first = run(machines, "ps", limit=5)
    second = run(machines, "ps", limit=5, offset=first["page"]["next_offset"])
    assert [row["pid"] for row in first["value"] + second["value"]] == [row.pid for row in whole][:10]
    assert first["grade"] == "live" and abs(first["page"]["total"] - len(whole)) < 5


@pytest.mark.guest
def test_bytes_and_addresses_are_hexadecimal(machines):
    place = run(machines, "identify", place="init_task")["value"]
    read = run(machines, "read_memory", ranges=[[place["physical"], 8]])["value"]
    assert len(bytes.fromhex(read[0])) == 8


@pytest.mark.guest
@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("maps", {"pid": "one"}, "pid: expected integer"),
        ("maps", {"pid": 1, "bogus": 2}, "takes no bogus; it takes pid"),
        ("ps", {"offset": -1}, "offset"),
        ("ps", {"machine": "nosuch"}, "nosuch"),
        ("ask", {"question": 3}, "takes a question"),
        ("snap", {"output": "/tmp/x.png"}, "takes no output"),
    ],
)
def test_wrong_arguments_are_told(name, arguments, sentence, machines):
    with pytest.raises(UsageError, match=sentence):
        run(machines, name, **arguments)


@pytest.mark.guest
def test_a_question_in_words_is_answered_with_the_operation_that_asks_the_same(machines):
    answer = run(machines, "ask", question="how many processes are there?")
    assert answer["operation"] == "overlay" and answer["answer"] == len(machines.client().ps())
    unsure = run(machines, "ask", question="show the fancy processes")
    assert unsure["understood"] is None and unsure["alternatives"][0]["operation"] == "ps"
    read_only = make_tools({Permission.READ})["ask"].run(machines, {"question": "pause the machine"})
    assert read_only["answer"] is None and "may not control" in read_only["note"]
    assert machines.client().status().runstate == "running"


@pytest.mark.guest
def test_a_picture_is_a_png(machines):
    picture = run(machines, "snap", width=160, height=100, at="glow=pid:1")
    assert isinstance(picture, Picture) and picture.png.startswith(b"\x89PNG") and "glow=pid:1" in picture.about["at"]
