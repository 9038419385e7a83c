"""What a client reads on its own host, without the daemon."""

import os
import subprocess
import threading

import pytest

from qemu_bridge.client import Client
from qemu_bridge.client.local import portable_command, shared_context
from qemu_bridge.errors import MachineGoneError


def test_a_process_has_one_context():
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared_context())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(context) for context in found} == {id(shared_context())}


@pytest.mark.parametrize("word", [b"plain", b"with space", b"\xff\xfe", b"a\xffb'\"$`\\", b"-n\x80"])
def test_any_bytes_reach_the_guests_shell(word):
    command = portable_command(["printf", "%s", os.fsdecode(word)])
    line = command if isinstance(command, str) else subprocess.list2cmdline(command)
    words = ["sh", "-c", line] if isinstance(command, str) else command
    assert subprocess.run(words, capture_output=True, check=True).stdout == word


def test_a_shell_line_and_unicode_words_stay_as_they_are():
    assert portable_command("echo $HOME") == "echo $HOME"
    assert portable_command(("echo", "ä")) == ["echo", "ä"]


@pytest.mark.guest
def test_a_machine_that_ended_is_said_without_a_round_trip(victim):
    with Client.connect("victim") as other:
        other.validate()
        victim.stop()
        with pytest.raises(MachineGoneError, match="has ended"):
            other.validate()
        assert not other.is_alive()


@pytest.mark.guest
def test_an_attached_machine_has_no_processor_time_of_ours(machine, tmp_path):
    machine.client.capture(str(tmp_path / "still"))
    with Client.connect(str(tmp_path / "still")) as capture:
        assert capture.cpu_seconds() is None
        capture.stop()
