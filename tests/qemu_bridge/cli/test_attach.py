"""The verb attach: what it prints, and what it refuses in one sentence."""

from __future__ import annotations

import pytest
from support import glassbox

from qemu_bridge.client import Client
from qemu_bridge.wire import connection


def test_a_ram_image_is_attached_laid_out_as_said_and_let_go_of(tmp_path, command):
    image = tmp_path / "image"
    image.write_bytes(bytes(3 << 12))
    try:
        assert command("attach", "mine", "--ram", image, "--machine", "flat") == (0, "mine\n", "")
        with Client.connect("mine") as client:
            assert client.status().machine == "flat" and client.ram.size == 3 << 12
        again = command("attach", "mine", "--ram", image)
        assert again.status and not again.out and again.err.count("\n") == 1
    finally:
        assert command("stop", "mine").status == 0
    assert image.exists() and not connection.is_alive("mine")


def test_one_source_is_named_and_no_more(tmp_path, command):
    for words in ((), ("--ram", tmp_path, "--qmp", tmp_path)):
        answer = command("attach", "mine", *words)
        assert answer.status == 2 and not answer.out and "usage: " in answer.err


@pytest.mark.parametrize(
    "layout, said",
    [
        ("z80", "use pc, q35, flat, or ranges such as 0-3G,4G-5G"),
        ("0-8K", "8 KiB where the file has 12 KiB"),
        ("0-", "not an address"),
        ("4K-0", "no range of RAM"),
        ("0-8K,4K-8K", "no range of RAM"),
        ("0-100", "no range of RAM"),
        ("0-99999999T", "no range of RAM"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_in_one_sentence(layout, said, tmp_path, command):
    image = tmp_path / "image"
    image.write_bytes(bytes(3 << 12))
    answer = command("attach", "mine", "--ram", image, "--layout", layout)
    assert answer.status == 2 and not answer.out and answer.err.count("\n") == 1 and said in answer.err


@pytest.mark.parametrize("option", ["--qmp", "--ram"])
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "three", "device"])
def test_what_is_neither_socket_nor_image_is_refused_in_one_sentence(option, kind, tmp_path):
    path = tmp_path / kind
    content = {"empty": b"", "three": b"abc"}.get(kind)
    if content is not None:
        path.write_bytes(content)
    elif kind == "folder":
        path.mkdir()
    done = glassbox("attach", "mine", option, "/dev/null" if kind == "device" else str(path))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("glassbox: ") and done.stderr.count("\n") == 1 and "; give" in done.stderr
    assert not connection.is_alive("mine")
