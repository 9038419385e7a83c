"""``--host``: what works elsewhere, and what is said where it does not."""

import pytest

from qemu_bridge.cli import _ELSEWHERE, _MODULES


@pytest.mark.parametrize("words", [("--host", "me@box"), ("--host=me@box",), ("-q", "--host", "me@box")])
def test_a_verb_for_this_host_alone_names_the_way(command, words):
    done = command(*words, "start", "demo")
    assert done.status == 2 and "ssh me@box glassbox start" in done.err


def test_a_machine_elsewhere_needs_a_name_and_a_sound_host(command):
    assert "ssh box glassbox status" in command("--host", "box", "status").err
    for host in ("-oProxyCommand=id", "ftp://box", "tcp://box", "a b"):
        done = command("--host", host, "ps", "demo")
        assert done.status == 2 and "ssh://USER@HOST/NAME" in done.err


@pytest.mark.parametrize("words", [("start", "--host", "me@box", "demo"), ("start", "demo", "--host=me@box")])
def test_it_may_stand_behind_the_verb(command, words):
    done = command(*words)
    assert done.status == 2 and "ssh me@box glassbox start" in done.err


def test_a_word_of_the_guests_command_is_not_ours(command):
    done = command("exec", "no-such-machine", "curl", "--host", "box")
    assert "no-such-machine" in done.err and "ssh" not in done.err


def test_the_verbs_that_work_elsewhere_exist():
    assert _ELSEWHERE <= {verb for verbs in _MODULES.values() for verb in verbs}
