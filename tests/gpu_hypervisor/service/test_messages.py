"""Messages and errors travel whole."""

import os
import socket

import msgspec
import pytest

from gpu_hypervisor.errors import BusyHandleError, DeadlineError, QuotaError, TenantGoneError
from gpu_hypervisor.service.messages import MAX_MESSAGE_BYTES, Connection, ErrorReport, Free, Number, Request
from pixel_cpu.errors import IrError, LimitError, SourceError, TrapError
from qemu_bridge.errors import HostError, UsageError


@pytest.mark.parametrize(
    "error",
    [
        QuotaError("much", 5, 3),
        DeadlineError("late", 0.25),
        BusyHandleError("busy"),
        TenantGoneError("gone"),
        TrapError("k", 7, "why", 3),
        SourceError("wrong", line=3, column=5, text="the line"),
        IrError("rule", line=2),
        LimitError("long"),
        UsageError("use"),
        HostError("host"),
    ],
)
def test_an_error_is_raised_as_what_it_was(error):
    report = msgspec.msgpack.decode(msgspec.msgpack.encode(ErrorReport.of(error)), type=ErrorReport)
    found = report.error
    assert type(found) is type(error) and str(error) in str(found)
    for name in ("wanted", "left", "left_seconds", "lane", "reason", "line", "column"):
        assert getattr(found, name, None) == getattr(error, name, None)


def test_messages_come_whole_with_their_descriptors():
    ours, theirs = socket.socketpair()
    one, other = Connection(ours, Request), Connection(theirs, Request)
    read, write = os.pipe()
    one.send(Free(1), read)
    one.send(Free(2))
    message, (descriptor,) = other.receive()
    os.write(write, b"x")
    assert message == Free(1) and os.read(descriptor, 1) == b"x"
    assert other.receive() == (Free(2), [])
    one.send(Number(3), write)
    with pytest.raises(UsageError, match="the message is none"):
        other.receive()
    for wrong in (b"\x82\xa4type\xa4free\xa6handle\xa4\xff\xfe\xfd\xfc", b"\x91" * 5000, b"\xc1"):
        ours.sendall(len(wrong).to_bytes(4, "little") + wrong)
        with pytest.raises(UsageError, match="the message is none"):
            other.receive()
    ours.sendall((MAX_MESSAGE_BYTES + 1).to_bytes(4, "little"))
    with pytest.raises(EOFError):
        other.receive()
    for each in (read, write, descriptor):
        os.close(each)
    one.close(), other.close()
