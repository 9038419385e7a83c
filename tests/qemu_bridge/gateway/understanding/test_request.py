"""What is understood is a command and an operation."""

from __future__ import annotations

from qemu_bridge.gateway.understanding.request import call, overlay, to_session, verb
from qemu_bridge.wire.operations import Permission


def test_a_command_names_the_machine_and_is_quoted_for_a_shell():
    request = verb("resolve", "where", "pid:1 & pid:2", target="pid:1 & pid:2")
    assert request.command_text("demo") == "glassbox resolve demo 'pid:1 & pid:2'"


def test_a_table_has_its_conditions_in_the_command_and_in_the_shape():
    request = overlay("sockets", "tcp", where=(("protocol", "tcp*"),), first=2)
    assert request.words[3:] == ("--where", "protocol=tcp*", "--first", "2") and request.shape.first == 2
    assert request.arguments == {"overlay": "sockets"}


def test_an_operation_without_a_verb_is_called():
    assert call("kernel", "release").command_text("demo") == "glassbox call demo kernel"


def test_permission_is_that_of_the_operation():
    assert verb("pause", "stop the vCPUs").permission is Permission.CONTROL
    assert verb("find", "bytes", "x", operation="").permission is Permission.READ


def test_one_viewer_of_several():
    request = to_session(verb("highlight", "show", "pid:1", target="pid:1"), 2)
    assert (
        request.command_text("demo") == "glassbox highlight demo pid:1 --session 2"
        and request.arguments["session"] == 2
    )
