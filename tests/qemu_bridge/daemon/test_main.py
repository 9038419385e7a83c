"""The daemon's program: one request in, one line out."""

import json
import subprocess
import sys

from qemu_bridge.machine.requests import AttachRequest, encode_request


def run(text):
    command = [sys.executable, "-m", "qemu_bridge.daemon"]
    return subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)


def test_a_daemon_that_is_given_nothing_ends_without_a_word():
    done = run(b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_name_that_cannot_be_a_folder_is_answered_in_words(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/1/nowhere")
    done = run(encode_request(AttachRequest("x")))
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["kind"] == "HostError" and "XDG_STATE_HOME" in answer["message"]
