"""Names of machines elsewhere, and addresses to listen at."""

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.endpoints import RemoteName, is_remote, on_host, parse_listen, parse_remote


@pytest.mark.parametrize(
    "text",
    [
        "ssh://box/demo",
        "ssh://me@box/demo",
        "ssh://me@box:2222/demo",
        "ssh://me@[::1]:22/demo",
        "tcp://192.0.2.1:7000",
        "tcp://box:7000/demo",
        "tcp://[2001:db8::1]:7000/demo-2",
    ],
)
def test_a_name_is_read_and_written_alike(text):
    assert is_remote(text) and str(parse_remote(text)) == text


@pytest.mark.parametrize(
    "text",
    ["ssh://box", "ssh://box/", "tcp://box", "tcp://box/demo", "tcp://box:x/demo", "tcp://box:70000", "ssh:///demo", "http://box/a", "ssh://-oProxyCommand=id/demo", "ssh://me@-x/demo", "ssh://$(id)/demo", "ssh://box/demo;id", "ssh://box/../x", "tcp://box:1/", "ssh://a b/demo", "ssh://box/-x"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="ssh://USER@HOST/NAME"):
        parse_remote(text)


def test_the_parts_of_a_place():
    found = parse_remote("ssh://me@[::1]:2222/demo")
    assert found == RemoteName("ssh", "me@[::1]:2222", "demo") and (found.host, found.port) == ("me@[::1]", 2222)
    assert parse_remote("ssh://box/demo").port == 0


def test_a_name_on_this_host_is_none_elsewhere():
    assert not any(map(is_remote, ("demo", "./capture", "/tmp/tcp://x", "ssh:demo", "")))


def test_a_host_and_a_name_make_one():
    assert on_host("me@box", "demo") == "ssh://me@box/demo"
    assert on_host("tcp://box:7000", "demo") == "tcp://box:7000/demo"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("tcp://127.0.0.1:7000", ("127.0.0.1", 7000)), ("tcp://[::1]:0", ("::1", 0)), ("tcp://0.0.0.0:1", ("0.0.0.0", 1))],
)
def test_an_address_to_listen_at(text, expected):
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["tcp://*:7000", "tcp://box:7000", "tcp://127.0.0.1", "tcp://127.0.0.1:65535", "ipc:///tmp/x", "7000", ""]
)
def test_any_other_address_is_refused(text):
    with pytest.raises(UsageError, match="tcp://ADDRESS:PORT"):
        parse_listen(text)
