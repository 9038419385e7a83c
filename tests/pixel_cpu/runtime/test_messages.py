"""Messages arrive whole, with their descriptors, however the socket cuts them."""

import os
import socket
import threading

import pytest

from pixel_cpu.runtime.messages import MAX_MESSAGE_BYTES, Channel, CompileKernel, Done, MapBuffer


def test_a_long_message_and_a_descriptor_arrive(tmp_path):
    ours, theirs = map(Channel, socket.socketpair())
    text = "x" * (4 << 20)
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.write(descriptor, b"content")

    def send():
        ours.send(CompileKernel(1, "cpu", text, "k"))
        ours.send(MapBuffer(2, 7), descriptor)

    sender = threading.Thread(target=send)
    sender.start()
    assert theirs.receive_request() == (CompileKernel(1, "cpu", text, "k"), None)
    request, received = theirs.receive_request()
    sender.join()
    assert request == MapBuffer(2, 7) and os.pread(received, 7, 0) == b"content"
    theirs.send(Done())
    assert ours.receive_reply() == Done()
    os.close(descriptor)
    os.close(received)
    for channel in (ours, theirs):
        channel.connection.close()


def test_a_length_that_is_too_large_ends_the_connection():
    ours, theirs = socket.socketpair()
    ours.sendall((MAX_MESSAGE_BYTES + 1).to_bytes(4, "little"))
    with pytest.raises(EOFError):
        Channel(theirs).receive_reply()
    ours.close()
    with pytest.raises(EOFError):
        Channel(theirs).receive_reply()
    theirs.close()
