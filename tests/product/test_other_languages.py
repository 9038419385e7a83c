"""A client in another language, written from docs/protocol.md alone, against Python's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "docs" / "clients" / "node.js"

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]


def ask(machine, operation, **arguments):
    """(exit status, what the client printed)."""
    words = ["node", str(CLIENT), machine.name, operation, json.dumps(arguments)]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert not answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def test_it_has_thirty_lines_and_none_is_longer_than_a_line():
    lines = CLIENT.read_text().splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 132


def test_it_gets_what_python_gets(machine):
    status, kernel = ask(machine, "kernel")
    assert status == 0 and kernel["value"]["build_id"] == machine.client.kernel().value.build_id
    symbol = ask(machine, "sym", symbol="init_task")[1]["value"][0]
    assert symbol["address"] == hex(machine.client.sym("init_task")[0].address)
    assert ask(machine, "status")[1]["daemon_pid"] == machine.client.connection.daemon_pid


def test_a_large_reply_with_raw_bytes_comes_whole(machine):
    status, answer = ask(machine, "read_memory", ranges=[["0x100000", 4 << 20]])
    assert status == 0 and answer["value"] == [{"frame": 1}]


def test_a_job_is_waited_for_to_its_end(machine, tmp_path):
    status, manifest = ask(machine, "capture", output=str(tmp_path / "kept"), live=True)
    assert status == 0 and manifest["ram_bytes"] == machine.ram.size and (tmp_path / "kept").is_dir()


def test_a_refusal_is_the_daemons_sentence_and_status_1(machine):
    status, error = ask(machine, "maps", pid="x")
    assert status == 1 and error["kind"] == "UsageError" and "pid: expected integer, got string" in error["message"]


def test_it_finds_machines_where_there_is_no_runtime_folder(machine, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    words = ["node", str(CLIENT), machine.name, "status"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert answer.returncode and f"/tmp/glassbox-{os.getuid()}/{machine.name}.json" in answer.stderr
