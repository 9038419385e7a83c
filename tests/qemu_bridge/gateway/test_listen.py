"""Where the service listens: closed, or refused."""

import os
import socket
import subprocess

import pytest

from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.gateway.listen import Listen, remove_socket, url_of
from qemu_bridge.host.folders import runtime_folder

TOKEN = "a-token-of-thirty-letters-1234"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=box -addext subjectAltName=DNS:box,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "address", ["0.0.0.0:80", "192.0.2.1:80", "example.org:443", "[::]:80", "[2001:db8::1]:80", "127.0.0.2:80"]
)
def test_beyond_loopback_it_needs_tls_and_a_token_file(address, pair, token_file):
    certificate, key = pair
    for given in ({}, {"token_file": token_file}, {"certificate": certificate, "key": key}):
        with pytest.raises(UsageError, match="can be reached from other hosts"):
            Listen(address, **given)
    assert Listen(address, certificate, key, token_file, ("box",)).hosts >= {"box"}


def test_every_address_needs_a_name(pair, token_file):
    with pytest.raises(UsageError, match="--host-name"):
        Listen("0.0.0.0:443", *pair, token_file)
    assert Listen("0.0.0.0:443", *pair, token_file, ("Box",)).hosts == {"box"}
    assert "localhost" not in Listen("192.0.2.1:443", *pair, token_file).hosts


@pytest.mark.parametrize(
    "address",
    ["", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:80", "a b:1", "127.0.0.1:80:80", "http://x:1"],
)
def test_what_is_no_address_is_told(address):
    with pytest.raises(UsageError, match="HOST:PORT"):
        Listen(address)


def test_half_of_tls_and_names_that_are_none_are_told(pair):
    with pytest.raises(UsageError, match="both"):
        Listen(certificate=pair[0])
    with pytest.raises(UsageError, match="proxy"):
        Listen("unix:", *pair)
    with pytest.raises(UsageError, match="host name"):
        Listen(host_names=("a/b",))


def test_loopback_has_a_random_token_each_time():
    tokens = {Listen("127.0.0.1:0").read_token() for _ in range(10)}
    assert len(tokens) == 10 and min(map(len, tokens)) >= 43


def test_the_token_of_a_file_is_taken_only_if_nobody_else_can_read_it(token_file, tmp_path):
    listen = Listen(token_file=token_file)
    assert listen.read_token() == TOKEN
    token_file.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        listen.read_token()
    token_file.chmod(0o600)
    for text in ("short", "", "with a blank in the middle of it", "x" * 300, TOKEN + "\n" + TOKEN):
        token_file.write_text(text)
        with pytest.raises(UsageError, match="holds no token"):
            listen.read_token()
    with pytest.raises(UsageError, match="openssl rand"):
        Listen(token_file=tmp_path / "none").read_token()


def test_a_certificate_that_is_none_is_told(pair, token_file):
    assert Listen("127.0.0.1:0").tls() is None
    assert Listen("127.0.0.1:0", *pair).tls() is not None
    with pytest.raises(UsageError, match="certificate"):
        Listen("127.0.0.1:0", token_file, token_file).tls()


def test_a_port_that_is_taken_is_told_with_a_way_out():
    first = Listen("127.0.0.1:0")
    with first.bind() as listener:
        port = listener.getsockname()[1]
        assert url_of(first, listener) == f"http://127.0.0.1:{port}/"
        with pytest.raises(HostError, match="for any free port"):
            Listen(f"127.0.0.1:{port}").bind()


def test_a_unix_socket_is_its_users_only_and_needs_no_token(tmp_path):
    listen = Listen(f"unix:{tmp_path / 'gate'}")
    before = os.umask(0)
    try:
        listener = listen.bind()
    finally:
        os.umask(before)
    assert listen.unix_path.stat().st_mode & 0o777 == 0o600 and listen.read_token() is None
    with pytest.raises(HostError, match="listens on"):
        Listen(f"unix:{tmp_path / 'gate'}").bind()
    remove_socket(listen, listener)
    assert not listen.unix_path.exists()
    assert Listen("unix:").unix_path.parent == runtime_folder()


def test_the_socket_of_a_dead_service_is_taken_over_and_no_file_is(tmp_path):
    path = tmp_path / "gate"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    remove_socket(Listen(f"unix:{path}"), Listen(f"unix:{path}").bind())
    path.write_text("mine")
    with pytest.raises(HostError, match="cannot listen"):
        Listen(f"unix:{path}").bind()
    assert path.read_text() == "mine"
