"""What clients of machines on other hosts share."""

import msgspec
import pytest
from listening import own_keys

from qemu_bridge.client.elsewhere import Elsewhere
from qemu_bridge.errors import MachineGoneError, UnknownMachineError, UsageError
from qemu_bridge.wire import keys
from qemu_bridge.wire.endpoints import parse_remote

NAME = "tcp://192.0.2.1:7000/demo"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_keys("read")
    keys.trust_daemon(parse_remote(NAME).place, keys.read_pair(keys.DAEMON).public.hex())
    return Elsewhere(parse_remote(NAME))


def test_a_machine_by_tcp_needs_its_key_and_one_by_ssh_none(elsewhere):
    with pytest.raises(UsageError, match="glassbox keys trust"):
        Elsewhere(parse_remote("tcp://192.0.2.2:7000"))
    assert Elsewhere(parse_remote("ssh://me@192.0.2.2/demo")).cpu_seconds() is None


def test_what_a_daemon_says_of_itself_is_taken_unless_it_is_another(elsewhere):
    there = msgspec.structs.replace(elsewhere._unknown(), name="demo", daemon_pid=7, listen_events="tcp://[::]:7001")
    elsewhere._adopt(there)
    assert (elsewhere.name, elsewhere.connection.events) == ("demo", "tcp://192.0.2.1:7001")
    elsewhere._check_there(there)
    with pytest.raises(MachineGoneError, match="another has its name"):
        elsewhere._check_there(msgspec.structs.replace(there, daemon_pid=8))
    with pytest.raises(UnknownMachineError, match="'other' listens at"):
        elsewhere._adopt(msgspec.structs.replace(there, name="other"))


def test_what_needs_shared_memory_is_refused_with_the_way_out(elsewhere):
    for call in (elsewhere.heat, elsewhere.trace_arm):
        with pytest.raises(UsageError, match="on the machine's own host; run glassbox there"):
            call()
