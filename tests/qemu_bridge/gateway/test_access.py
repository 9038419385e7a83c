"""Who is let in: token, Host, Origin; on the real service."""

import socket

import pytest

from qemu_bridge.gateway.access import Access, required_permission
from qemu_bridge.wire.operations import BY_NAME, Permission

pytestmark = pytest.mark.guest
PATHS = ("/api/machines", "/openapi.json", "/api/permissions", "/api/machines/session/ram", "/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(reader, path):
    plain = reader.call("GET", path, token=False)
    assert plain.status == 401 and plain.headers["www-authenticate"] == "Bearer"
    assert b"0." not in plain.body and "server" not in plain.headers, "not even a version"
    for wrong in (
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Bearer {reader.token}x",
        f"Bearer {reader.token[:-1]}",
        f"Basic {reader.token}",
    ):
        assert reader.call("GET", path, authorization=wrong).body == plain.body
    assert reader.call("GET", f"{path}?token={reader.token}", token=False).status == 401


def test_with_the_token_it_answers(reader):
    assert reader.get("/api/machines").status == 200
    assert reader.call("GET", "/api/machines", authorization=f"bearer  {reader.token} ").status == 200


def test_two_tokens_are_none(reader):
    lines = f"GET /api/machines HTTP/1.1\r\nHost: {reader.host}\r\n" + 2 * f"Authorization: Bearer {reader.token}\r\n"
    assert send(reader, lines + "\r\n").startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8490", "", "localhost@evil", "[::2]", "127.0.0.2"]
)
def test_a_name_that_is_not_ours_is_refused_also_with_the_token(reader, host):
    for path in ("/api/machines", "/", "/docs"):
        answer = reader.get(path, host=host)
        assert answer.status == 421 and answer.error["kind"] == "WrongHost"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8490", "localhost."])
def test_every_name_of_this_host_will_do_as_behind_a_tunnel(reader, host):
    assert reader.get("/api/machines", host=host).status == 200


def test_a_request_with_two_hosts_or_none_is_refused(reader):
    token = f"Authorization: Bearer {reader.token}\r\n\r\n"
    assert b" 421 " in send(reader, f"GET /api/machines HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n{token}")
    assert b" 421 " in send(reader, f"GET /api/machines HTTP/1.0\r\n{token}")


def test_pages_of_other_sites_are_refused(reader):
    own = f"http://{reader.host}:{reader.port}"
    assert reader.get("/api/machines", origin=own).status == 200
    for origin in ("http://evil.example", "null", f"http://{reader.host}:1", "http://localhost", ""):
        answer = reader.get("/api/machines", origin=origin)
        assert answer.status == 403 and answer.error["kind"] == "WrongOrigin"
    assert reader.get("/api/machines", sec_fetch_site="cross-site").status == 403
    assert reader.get("/", sec_fetch_site="cross-site").status == 200, "a link to the page may be anywhere"


def test_cors_is_closed(reader):
    asked = reader.call("OPTIONS", "/api/machines", origin="http://evil.example", access_control_request_method="GET")
    answers = [asked, reader.get("/api/machines"), reader.call("OPTIONS", "/api/machines")]
    assert asked.status == 403
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")]


def test_what_a_browser_may_do_with_an_answer_is_closed_too(reader):
    for path in ("/", "/docs", "/api/machines"):
        headers = reader.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_control_and_write_are_refused_in_words_unless_allowed(reader, machine):
    for path, allow in (
        ("pause", "control"),
        ("stop", "control"),
        ("exec", "write"),
        ("qmp", "write"),
        ("snap", "control"),
    ):
        answer = reader.post(f"/api/machines/{machine.name}/{path}", {})
        assert answer.status == 403 and f"--allow-{allow}" in answer.error["message"]
    assert reader.call("DELETE", f"/api/machines/{machine.name}/files/x").status == 403
    assert machine.client.status().runstate == "running"


def test_who_may_only_read_leaves_no_files():
    assert required_permission(BY_NAME["snap"]) is Permission.CONTROL
    assert required_permission(BY_NAME["trace_top"]) is Permission.READ
    assert not Access(None).refuses(BY_NAME["ps"]) and Access(None).refuses(BY_NAME["exec"])


def send(service, text):
    with socket.create_connection((service.host, int(service.port)), timeout=60) as raw:
        raw.sendall(text.encode())
        return raw.recv(65536)
