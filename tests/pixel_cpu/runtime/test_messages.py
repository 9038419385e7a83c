"""Messages arrive whole, with their descriptors, however the socket cuts them."""

import os
import socket
import threading

import msgspec
import pytest

from pixel_cpu.runtime.messages import MAX_MESSAGE_BYTES, Channel, CompileKernel, Done, RunKernel


@pytest.mark.parametrize("count", [1, 300])
def test_a_long_message_and_its_descriptors_arrive(tmp_path, count):
    ours, theirs = map(Channel, socket.socketpair())
    long = CompileKernel(1, "cpu", "x" * (4 << 20), "k")
    run = RunKernel(1, 10, 32, {"a": 0.5}, {}, 1, 1, [3], {number: 7 for number in range(count)})
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.write(descriptor, b"content")

    def send():
        ours.send(long)
        assert ours.receive_reply() == Done()
        ours.send(run, [descriptor] * count)

    sender = threading.Thread(target=send)
    sender.start()
    assert theirs.receive_request() == (long, [])
    theirs.send(Done())
    request, received = theirs.receive_request()
    sender.join()
    assert request == run and [os.pread(each, 7, 0) for each in received] == [b"content"] * count
    for each in (descriptor, *received):
        os.close(each)
    for channel in (ours, theirs):
        channel.connection.close()


def test_descriptors_of_a_message_that_is_none_are_closed(tmp_path):
    ours, theirs = map(Channel, socket.socketpair())
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    before = len(os.listdir("/proc/self/fd"))
    ours.send(Done(), [descriptor])  # no request
    with pytest.raises(msgspec.ValidationError):
        theirs.receive_request()
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(descriptor)
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
