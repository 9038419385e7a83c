"""Clients on other hosts, by raw sockets: the right key, a wrong one, a revoked one, none; and what each role may do."""

import contextlib
import json
import socket

import pytest
import zmq
from listening import ANY_PORT, RawClient, allow, attached, new_pair, own_keys
from support import glassbox, wait_until

from qemu_bridge.client import Client
from qemu_bridge.daemon.doors import MOST_UNREAD
from qemu_bridge.daemon.remote import RemoteFront
from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.wire import connection, keys
from qemu_bridge.wire.operations import Permission, iter_operations

FAILED = ("HANDSHAKE_FAILED_AUTH", "HANDSHAKE_FAILED_NO_DETAIL", "HANDSHAKE_FAILED_PROTOCOL", "HANDSHAKE_SUCCEEDED")


@pytest.fixture(scope="module", autouse=True)
def own_config(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image"
    path.write_bytes(bytes(3 << 12))
    return path


@pytest.fixture(scope="module")
def reader():
    return own_keys("read")


@pytest.fixture(scope="module")
def found(image, reader):
    with attached("listening", ram=image) as found:
        yield found


def new_pair_allowed(role):
    pair = new_pair()
    allow(pair, role)
    return pair


@pytest.fixture
def daemon_key(reader):
    return keys.read_pair(keys.DAEMON).public


def test_the_right_key_is_served(found, reader, daemon_key):
    with RawClient(found.listen, reader, daemon_key) as client:
        assert client.ask("status")["result"]["name"] == "listening"
    with RawClient(found.listen_events, reader, daemon_key, zmq.SUB) as subscriber:
        assert subscriber.receive()[0] == b"runstate"


def test_who_reads_late_gets_every_reply(found, reader, daemon_key):
    count, ranges = 3 * MOST_UNREAD, [[0, 3 << 12]] * 8
    with (
        RawClient(found.listen, reader, daemon_key, most_kept=1) as client,
        RawClient(found.listen, new_pair_allowed("read"), daemon_key) as other,
    ):
        for number in range(count):
            client.send("read_memory", number, ranges=ranges)
        # Clients take turns, so whatever there is room for is answered then.
        for _ in range(count):
            assert other.ask("read_memory", ranges=ranges)["ok"]
        replies = [json.loads(client.receive()[0]) for _ in range(count)]
    assert [reply["id"] for reply in replies] == list(range(count)) and all(reply["ok"] for reply in replies)


@pytest.mark.parametrize("port", ["listen", "listen_events"])
def test_strangers_get_nothing(port, found, reader, daemon_key):
    address, kind = getattr(found, port), zmq.SUB if port == "listen_events" else zmq.DEALER
    strangers = (
        (new_pair(), daemon_key),  # a key that nobody allowed
        (reader, new_pair().public),  # another daemon was expected
        (None, None),  # no key: the NULL mechanism
    )
    for pair, expected in strangers:
        with RawClient(address, pair, expected, kind) as stranger:
            if kind == zmq.DEALER:
                stranger.send("status")
            assert stranger.wait_for(*FAILED) != "HANDSHAKE_SUCCEEDED"
            assert stranger.receive(0.1) is None


def test_bytes_that_are_no_zmtp_get_no_word_of_ours(found):
    host, port = found.listen.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(64))
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := raw.recv(1024):
                answer += part
    assert b"glassbox" not in answer.lower() and b"listening" not in answer and len(answer) <= 64


@pytest.mark.parametrize("role", list(Permission))
def test_a_role_has_its_operations_and_no_others(role, found, reader, daemon_key):
    with RawClient(found.listen, new_pair_allowed(role.value), daemon_key) as client:
        for row in iter_operations():
            if row.name in ("stop", "wait_ready"):
                continue
            # Arguments that no operation has: whether it may is looked at before them.
            answer = client.ask(row.name, nonsense=1, timeout_s="x", ranges=0, name=0, reader_pid="x", file=0, output=0)
            refused = not answer["ok"] and "needs the role" in answer["error"]["message"]
            assert refused is not role.includes(row.remote_permission), (row.name, answer)


def test_what_names_files_of_the_host_needs_to_write(found, reader, daemon_key, tmp_path):
    with RawClient(found.listen, reader, daemon_key) as client:
        answer = client.ask("snap", options={"output": str(tmp_path / "picture.png")})
    assert "it names files of the machine's host" in answer["error"]["message"]
    named = {row.name for row in iter_operations() if row.host_files}
    paths = {
        row.name for row in iter_operations() if {"output", "before", "file"} & set(row.arguments.__struct_fields__)
    }
    assert named == paths | {"snap", "record_video"}


def test_a_revoked_key_is_shut_out_at_once_and_others_stay(found, reader, daemon_key):
    other = new_pair()
    allow(other, "control", "other")
    with (
        RawClient(found.listen, other, daemon_key) as client,
        RawClient(found.listen_events, other, daemon_key, zmq.SUB) as subscriber,
        RawClient(found.listen, reader, daemon_key) as kept,
    ):
        assert client.ask("status")["ok"] and kept.ask("status")["ok"] and subscriber.receive()
        keys.revoke_client(keys.clients_path(), "other")
        client.send("status")
        for stranger in (client, subscriber):
            stranger.wait_for("HANDSHAKE_FAILED_AUTH")
            assert stranger.seen.count("HANDSHAKE_SUCCEEDED") == 1 and "DISCONNECTED" in stranger.seen
        assert client.receive(0.1) is None
        # Connected again by itself.
        assert kept.ask("status")["ok"]


def test_a_role_that_shrinks_holds_for_the_next_request(found, reader, daemon_key):
    with RawClient(found.listen, reader, daemon_key) as client:
        allow(reader, "write")
        assert "needs the role" not in client.ask("exec", command="id")["error"]["message"]
        allow(reader, "read", "own")
        assert "needs the role write" in client.ask("exec", command="id")["error"]["message"]


def test_a_damaged_file_of_clients_shuts_everybody_out_until_it_is_mended(found, reader, daemon_key):
    sound = keys.clients_path().read_bytes()
    keys.clients_path().write_text("nonsense\n")
    with RawClient(found.listen, reader, daemon_key) as client:
        client.wait_for("HANDSHAKE_FAILED_AUTH")
        assert "HANDSHAKE_SUCCEEDED" not in client.seen
    keys.clients_path().write_bytes(sound)
    with RawClient(found.listen, reader, daemon_key) as client:
        assert client.ask("status")["ok"]
    # Clients on this host never noticed.
    with Client.connect("listening") as local:
        assert local.status().name == "listening"


def test_a_daemon_does_not_listen_without_keys_clients_and_a_free_address(image, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def problem(kind=UsageError, listen=ANY_PORT):
        with pytest.raises(kind) as caught:
            RemoteFront(listen, 10)
        return str(caught.value)

    assert "glassbox keys make" in problem()
    keys.make_pair(keys.DAEMON)
    assert "glassbox keys allow" in problem()
    allow(new_pair(), "read")
    assert "tcp://ADDRESS:PORT" in problem(listen="ipc:///tmp/x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "Address already in use" in problem(HostError, f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    keys.clients_path().chmod(0o666)
    assert "chmod 600" in problem(HostError)
    # And the command line says so.
    answer = glassbox("attach", "refused", "--ram", str(image), "--listen", ANY_PORT)
    assert answer.returncode == 1 and "chmod 600" in answer.stderr and not connection.is_alive("refused")


def test_the_command_line_listens_too(image, reader):
    assert glassbox("attach", "another", "--ram", str(image), "--listen", ANY_PORT).returncode == 0
    try:
        assert connection.find_connection("another").listen.startswith("tcp://127.0.0.1:")
    finally:
        wait_until(lambda: glassbox("stop", "another").returncode == 0)
