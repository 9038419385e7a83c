"""What a daemon is told when it starts."""

from pathlib import Path

import msgspec
import pytest

from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.requests import AttachRequest, StartRequest, decode_request, encode_request
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import Feature

CONFIG = MachineConfig("demo", kernel=Path("/boot/vmlinuz"), append="quiet", qemu_args=("-S", "-device", "x"))


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest(CONFIG, "qemu"),
        StartRequest(CONFIG, "qemu", Path("/p.so"), trace=ArmOptions(Feature.BLOCKS, ranges=((1, 2),)), reader_pid=7),
        AttachRequest("mine", qmp=Path("/run/mine.qmp")),
        AttachRequest("mine", ram=Path("/x.raw"), layout="flat"),
        AttachRequest("capture-1", capture=Path("/c")),
    ],
)
def test_a_request_comes_back_as_it_was_made(request_):
    assert decode_request(encode_request(request_)) == request_


@pytest.mark.parametrize("text", [b"{}", b"[]", b"{", b'{"type": "start"}', b'{"type": "attach", "name": 7}'])
def test_what_is_no_request_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        decode_request(text)
