"""Messages of a process VM's keeper."""

import os
import socket
import struct

import pytest

from gpu_hypervisor.vms.protocol import MOST_BYTES, Command, Ended, receive, send


def test_messages_and_descriptors_come_as_they_were_sent():
    one, other = socket.socketpair()
    with one, other:
        command = Command(["echo", "x" * 10_000], "/", {"A": "b"})
        send(one, command, (0, 1, 2))
        found, descriptors = receive(other)
        assert found == command and len(descriptors) == 3
        assert [os.fstat(each).st_ino for each in descriptors] == [os.fstat(each).st_ino for each in (0, 1, 2)]
        for descriptor in descriptors:
            os.close(descriptor)
        send(other, Ended(-9, "it was large"))
        assert receive(one) == (Ended(-9, "it was large"), [])


def test_what_is_no_message_is_refused():
    one, other = socket.socketpair()
    with one, other:
        one.sendall(struct.pack("<I", MOST_BYTES + 1))
        with pytest.raises(ValueError, match="bytes at most"):
            receive(other)
    one, other = socket.socketpair()
    with other:
        one.close()
        with pytest.raises(EOFError):
            receive(other)
