"""JSON schemas of operations in OpenAPI."""

import pytest

from qemu_bridge.gateway.schema import components, describe, is_read_by_get
from qemu_bridge.wire.operations import BY_NAME


@pytest.mark.parametrize("name", BY_NAME)
def test_arguments_are_described_where_they_are_sent(name):
    operation = BY_NAME[name]
    found, fields = describe(operation), operation.arguments.__struct_fields__
    if is_read_by_get(operation):
        assert tuple(each["name"] for each in found["parameters"]) == fields and "requestBody" not in found
    else:
        assert ("requestBody" in found) == bool(fields) and "parameters" not in found
    assert ("403" in found["responses"]) == (found["x-permission"] != "read")


def test_what_changes_something_is_never_asked_by_get():
    assert all(is_read_by_get(BY_NAME[name]) for name in ("ps", "status", "read_memory", "overlay"))
    for name in (
        "dirty",
        "highlight",
        "viewer_join",
        "pause",
        "stop",
        "exec",
        "qmp",
        "snap",
        "capture",
        "trace_record",
        "heat_watch",
    ):
        assert not is_read_by_get(BY_NAME[name])


def test_addresses_are_text_lists_in_queries_json_and_bytes_hexadecimal():
    ranges, space, pid = describe(BY_NAME["read_memory"])["parameters"]
    assert ranges["required"] and "application/json" in ranges["content"]
    assert "schema" in space and "schema" in pid and not pid["required"]
    assert components()["ExecResult"]["properties"]["output"]["type"] == "string"
    assert components()["Symbol"]["properties"]["address"]["type"] == "string"
    assert not [name for name in components() if "qemu_bridge" in name]
