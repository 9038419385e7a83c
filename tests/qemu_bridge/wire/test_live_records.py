"""Commands and messages of a live picture."""

import msgspec
import pytest

from qemu_bridge.memory.addresses import PhysicalAddress
from qemu_bridge.wire import live_records
from qemu_bridge.wire.json_text import encode_json


@pytest.mark.parametrize(
    "text",
    [
        b'{"do": "resize", "width": 63, "height": 100}',
        b'{"do": "resize", "width": 100, "height": 100000}',
        b'{"do": "drag", "right": 1e300, "down": 0}',
        b'{"do": "drag", "right": NaN, "down": 0}',
        b'{"do": "pick", "x": 1.01, "y": 0}',
        b'{"do": "select", "ram_offset": -1}',
        b'{"do": "levitate"}',
        b'{"do": "look", "view": "' + b"x" * 9000 + b'"}',
        b"[]",
    ],
)
def test_commands_out_of_range_are_none(text):
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=live_records.AnyCommand)


def test_messages_name_themselves_also_those_with_addresses():
    picked = live_records.Picked(4096, PhysicalAddress(0x1000), "free", "00")
    text = encode_json(picked)
    assert msgspec.json.decode(text) == {
        "say": "picked",
        "ram_offset": 4096,
        "physical": "0x1000",
        "what": "free",
        "content": "00",
        "machine": "",
    }
    assert msgspec.json.decode(encode_json(live_records.Drawn())) == {"do": "drawn"}
    assert live_records.FRAME.size == 5
