"""Requests to a switch on the wire."""

from __future__ import annotations

import msgspec
import pytest

from qemu_bridge.wire.network_records import (
    AnyRequest,
    AskFlows,
    AskNetwork,
    Capture,
    Flow,
    FlowEnd,
    Follow,
    Join,
    Naming,
)


@pytest.mark.parametrize("request_record", [Join("demo"), AskNetwork(), AskFlows(), Follow(), Capture()], ids=repr)
def test_a_request_is_a_line_with_its_type(request_record):
    text = msgspec.json.encode(request_record)
    assert b"\n" not in text and b'"type":"' in text
    assert msgspec.json.decode(text, type=AnyRequest) == request_record


def test_a_flow_survives_the_wire():
    flow = Flow(
        1,
        "tcp",
        FlowEnd("a", "10.77.0.1", 4000, Naming.SOCKET, "nc", (7,)),
        FlowEnd("", "10.77.0.9", 80),
        "open",
        1.0,
        2.0,
    )
    assert msgspec.json.decode(msgspec.json.encode(flow), type=Flow) == flow
