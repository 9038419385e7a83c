"""The service against clients that are wrong, and those who should not be there."""

import os
import random
import socket
import struct

import msgspec
import numpy as np
import pytest
from hypervisor_kernels import saxpy
from support import wait_until

from gpu_hypervisor.errors import AdmissionError
from gpu_hypervisor.service import Server
from gpu_hypervisor.service.messages import (
    Adopt,
    ArrayPlace,
    Cancel,
    Connection,
    Copy,
    ErrorReport,
    Open,
    Release,
    Reply,
    Submit,
    Usage,
    Wait,
)
from qemu_bridge.errors import HostError


def connect(server):
    own = socket.socket(socket.AF_UNIX)
    own.connect(str(server.path))
    own.settimeout(60)
    return own


def test_only_the_user_may_open_the_socket(server):
    assert os.stat(server.path).st_mode & 0o777 == 0o600


def test_a_second_service_is_refused_and_a_dead_ones_socket_replaced(server, tmp_path):
    with pytest.raises(HostError, match="listens at"):
        Server(server.hypervisor, server.path)
    dead = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(dead))
    with Server(server.hypervisor, dead):
        assert dead.exists()
    assert not dead.exists()


def ask(connection, request, *descriptors):
    connection.send(request, *descriptors)
    reply, _ = connection.receive()
    return reply


def test_what_a_tenant_may_not_is_refused_and_the_connection_goes_on(server):
    connection = Connection(connect(server), Reply)
    submit = ("", "gpk", None, 1, None, None, {}, (), None, None, None, 1.0, 1, "")
    assert "open one first" in str(ask(connection, Usage()).error)
    assert "version" in str(ask(connection, Open("a", version=99)).error)
    ask(connection, Open("a"))
    for request in (
        Open("b"),
        Wait(1, 0.0),
        Cancel(1),
        Copy(1, 0, 1, 0, 1, True),
        Adopt(10),
        msgspec.structs.replace(Submit(*submit), arrays=(ArrayPlace("x", 0, 7, 0, 4, "<f4"),)),
        msgspec.structs.replace(Submit(*submit), arrays=(ArrayPlace("x", 7, 0, 0, 4, ""),)),
    ):
        assert isinstance(ask(connection, request), ErrorReport), request
    descriptor = os.memfd_create("x")
    os.ftruncate(descriptor, 100)
    assert "F_SEAL_SHRINK" in str(ask(connection, Adopt(100), descriptor).error)
    assert isinstance(ask(connection, Adopt(100), descriptor, descriptor), ErrorReport)
    os.close(descriptor)
    assert not isinstance(ask(connection, Release(5)), ErrorReport)
    assert ask(connection, Usage()).usage.name == "a"
    connection.close()
    wait_until(lambda: not server.hypervisor.tenants())


@pytest.mark.parametrize("dtype", ["O", "V8", "no type", "S3", "<f8"])
def test_elements_are_numbers_that_fit_their_bytes(server, client, dtype):
    with client.open_tenant("a") as tenant:
        region = tenant.region(12)
        (number,) = tenant._regions
        request = Submit(
            "",
            "gpk",
            None,
            1,
            None,
            None,
            {},
            (ArrayPlace("x", 0, number, 0, 12, dtype),),
            None,
            None,
            None,
            1.0,
            1,
            "",
        )
        with pytest.raises(AdmissionError, match="are no elements of"):
            tenant.ask(request)
        tenant.release(region)


def test_garbage_ends_its_connection_at_most(server, client):
    chance = random.Random(5)
    good = msgspec.msgpack.encode(Open("fuzz"))
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(300):
        body = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        size = chance.choice([len(body), len(body), len(body) - 3, chance.randrange(1 << 32)])
        with connect(server) as own:
            own.sendall(struct.pack("<I", size) + bytes(body))
            if chance.random() < 0.5:
                own.shutdown(socket.SHUT_WR)
                own.recv(1 << 16)
    wait_until(lambda: not server.hypervisor.tenants())
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files)
    with client.open_tenant("a") as tenant:
        x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
        tenant.submit(saxpy(x, y)).result(120)
        assert (y == 2 * x + 1).all()
