"""The verb keys, in a folder of the test's own."""

import json

import pytest

KEY = "ab" * 32


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_keys_are_made_and_shown(command):
    assert "glassbox keys make" in command("keys", "show").err
    made = command("keys", "make")
    assert [line.split()[0] for line in made.out.splitlines()] == ["daemon", "client"]
    shown = json.loads(command("keys", "show", "--json").out)
    assert made.out.split()[1::2] == [shown["daemon"], shown["client"]] and all(
        len(key) == 64 for key in shown.values()
    )


def test_a_client_is_allowed_listed_and_revoked(command):
    assert command("keys", "allow", KEY, "--role", "control", "--comment", "anna").status == 0
    assert json.loads(command("keys", "list", "--json").out) == [{"role": "control", "key": KEY, "comment": "anna"}]
    assert command("keys", "list").out.splitlines()[1].split() == ["control", KEY, "anna"]
    assert command("keys", "revoke", "anna").status == 0
    assert json.loads(command("keys", "list", "--json").out) == []
    assert command("keys", "revoke", "anna").status == 2


def test_a_daemon_is_trusted(command):
    assert command("keys", "trust", "tcp://192.0.2.1:7000", KEY).status == 0
    assert command("keys", "trust", "ssh://box/demo", KEY).status == 2
    assert command("keys", "trust", "tcp://192.0.2.1:7000", "abc").status == 2
