"""Keys and the files of who may connect, in a folder of the test's own."""

import contextlib
import stat
import subprocess
import sys

import pytest

from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.wire import keys
from qemu_bridge.wire.operations import Permission

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_pair_is_made_once_and_is_nobody_elses_to_read():
    pair = keys.make_pair(keys.DAEMON)
    assert keys.make_pair(keys.DAEMON) == keys.read_pair(keys.DAEMON) == pair
    assert len(pair.public) == len(pair.secret) == 32 and keys.make_pair(keys.CLIENT) != pair
    path = keys.config_folder() / "daemon.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.config_folder().stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(HostError, match="chmod 600"):
        keys.read_pair(keys.DAEMON)


def test_two_that_make_a_pair_at_once_have_the_same_one():
    # Processes of their own, not forks: threads of other tests may hold locks here, which a fork would wait for for ever.
    program = "import sys; from qemu_bridge.wire import keys; sys.stdin.read(); print(keys.make_pair(keys.CLIENT).public.hex())"
    with contextlib.ExitStack() as stack:
        command, pipe = [sys.executable, "-c", program], subprocess.PIPE
        makers = [stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe)) for _ in range(4)]
        for each in makers:
            each.stdin.close()
        made = {each.stdout.read() for each in makers}
    assert {each.returncode for each in makers} == {0}
    assert made == {keys.read_pair(keys.CLIENT).public.hex().encode() + b"\n"}


def test_a_missing_pair_and_a_damaged_one_say_what_to_do():
    with pytest.raises(UsageError, match="glassbox keys make"):
        keys.read_pair(keys.CLIENT)
    keys.make_pair(keys.CLIENT)
    (keys.config_folder() / "client.key").write_text("secret")
    with pytest.raises(HostError, match="glassbox keys make"):
        keys.read_pair(keys.CLIENT)


def test_clients_are_allowed_replaced_and_revoked():
    path = keys.clients_path()
    assert keys.read_clients(path) == {}
    keys.allow_client(path, keys.AuthorizedClient(Permission.READ, KEY, "anna at work"))
    keys.allow_client(path, keys.AuthorizedClient(Permission.WRITE, OTHER))
    keys.allow_client(path, keys.AuthorizedClient(Permission.CONTROL, KEY, "anna at work"))
    assert keys.read_clients(path)[KEY] == (Permission.CONTROL, KEY, "anna at work")
    assert [client.key for client in keys.revoke_client(path, "anna at work")] == [KEY]
    assert list(keys.read_clients(path)) == [OTHER]
    with pytest.raises(UsageError, match="glassbox keys list"):
        keys.revoke_client(path, KEY)


def test_the_file_may_be_written_by_hand():
    keys.make_pair(keys.DAEMON)
    path = keys.clients_path()
    path.write_text(f"# people\n\n  read   {KEY.upper()}   anna, the first\n")
    path.chmod(0o600)  # users' umask often lets their group write
    assert keys.read_clients(path) == {KEY: (Permission.READ, KEY, "anna, the first")}
    for damaged in (f"owner {KEY}\n", "read abc\n", "read\n", f"{KEY}\n"):
        path.write_text(damaged)
        with pytest.raises(HostError, match="line 1 of"):
            keys.read_clients(path)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, KEY + "0", KEY[:-1]])
def test_a_wrong_key_is_refused(text):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        keys.parse_key(text)


def test_a_comment_and_a_role_cannot_forge_a_line():
    with pytest.raises(UsageError, match="one line"):
        keys.allow_client(keys.clients_path(), keys.AuthorizedClient(Permission.READ, KEY, f"x\nwrite {OTHER}"))
    with pytest.raises(UsageError, match="read, control, write"):
        keys.parse_role("admin")


def test_authorization_follows_its_file():
    path = keys.clients_path()
    keys.allow_client(path, keys.AuthorizedClient(Permission.READ, KEY))
    found = keys.Authorization(path)
    assert found.role_of(KEY) is Permission.READ and found.role_of(OTHER) is None
    keys.allow_client(path, keys.AuthorizedClient(Permission.WRITE, OTHER))
    assert found.role_of(OTHER) is Permission.WRITE
    path.chmod(0o666)
    assert found.role_of(KEY) is None and "chmod 600" in found.problem
    path.chmod(0o600)
    assert found.role_of(KEY) is Permission.READ and not found.problem
    path.unlink()
    assert found.role_of(KEY) is None


def test_an_empty_file_authorises_nobody_so_there_is_nothing_to_listen_for():
    with pytest.raises(UsageError, match="glassbox keys allow"):
        keys.Authorization(keys.clients_path())


def test_daemons_are_known_by_place():
    with pytest.raises(UsageError, match="glassbox keys trust tcp://box:7000"):
        keys.find_daemon_key("box:7000")
    keys.trust_daemon("box:7000", KEY.upper())
    keys.trust_daemon("box:7001", OTHER)
    assert keys.find_daemon_key("box:7000").hex() == KEY and len(keys.known_daemons()) == 2
