"""Requests and replies, without a socket: what is written is read, and nonsense is answered in words."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qemu_bridge.errors import GlassBoxError, MachineError, UnknownMachineError, UsageError
from qemu_bridge.wire import messages
from qemu_bridge.wire.operations import Operations
from qemu_bridge.wire.records import Answer, Blob, ExecResult, Grade, Process

INIT = Process(1, 0, 0, "S", "init", "/sbin/init", 0x1234000, 1, 80)


def exchange(operation, result, arguments):
    """What a client gets back, over everything but a socket."""
    call = messages.Call(5, operation, arguments)
    request, row = messages.decode_request(call.frame)
    assert row is operation and messages.decode_arguments(row, request.arguments).keys() >= arguments.keys()
    text, frames = messages.encode_result(result)
    return call.result(messages.decode_reply(messages.encode_reply(request.id, text)), frames)


def test_an_answer_comes_back_as_it_was_given():
    answer = Answer((INIT,), Grade.PAUSED, 3, ("a sentence",), 0.5)
    assert exchange(Operations.ps, answer, {}) == answer


def test_raw_bytes_travel_as_frames_and_not_in_the_json():
    text, frames = messages.encode_result(Answer((Blob(b"\0\xff"), None, Blob(b"x"))))
    assert frames == [b"\0\xff", b"x"] and b'"frame":2' in text
    given = Answer((Blob(b"\0\xff"), None, Blob(b"x")))
    assert exchange(Operations.read_memory, given, {"ranges": [(0, 2), (1 << 63, 1), (4, 1)]}) == given
    assert exchange(Operations.exec, ExecResult(3, Blob(b""), Blob(b"")), {"command": ["a", "b"]}).output == b""


def test_an_error_comes_back_as_its_own_class():
    call = messages.Call(1, Operations.maps, {"pid": 1})
    for error in (UsageError("no; try 2"), UnknownMachineError("gone; start it")):
        reply = messages.decode_reply(messages.encode_failure(1, error))
        with pytest.raises(type(error), match=str(error)):
            call.result(reply, [])
    unknown = msgspec.json.encode({"id": 1, "ok": False, "error": {"kind": "NewError", "message": "later"}})
    with pytest.raises(MachineError, match="later"):
        call.result(messages.decode_reply(unknown), [])


@pytest.mark.parametrize("result", [b"7", b'{"value": 7}', b'{"value": [{"pid": "x"}]}'])
def test_an_answer_of_another_shape_is_a_sentence(result):
    call = messages.Call(1, Operations.ps, {})
    with pytest.raises(MachineError, match="is invalid"):
        call.result(messages.Reply(1, True, msgspec.Raw(result)), [])


def test_a_frame_that_did_not_come_is_a_sentence():
    call = messages.Call(1, Operations.exec, {"command": "true"})
    text, _ = messages.encode_result(ExecResult(0, Blob(b"x"), Blob(b"")))
    with pytest.raises(MachineError, match="is invalid"):
        call.result(messages.Reply(1, True, msgspec.Raw(text)), [])


def test_text_that_is_no_unicode_is_refused_before_it_is_sent():
    with pytest.raises(UsageError, match="not Unicode"):
        messages.Call(1, Operations.sym, {"symbol": "\udcff"})


@given(st.binary(max_size=200))
def test_whatever_comes_as_a_request_is_understood_or_refused_in_words(frame):
    try:
        messages.decode_request(frame)
    except GlassBoxError as error:
        assert str(error)
    assert isinstance(messages.decode_id(frame), (int, str, type(None)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["maps", "resolve", "read_memory", "exec", "qmp", "wait_ready"]), st.data())
def test_whatever_comes_as_an_argument_is_taken_or_refused_in_words(name, data):
    operation = getattr(Operations, name)
    fields = operation.arguments.__struct_fields__
    text = msgspec.json.encode(data.draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=3)))
    try:
        arguments = messages.decode_arguments(operation, text)
    except UsageError as error:
        assert f"invalid arguments of {name}" in str(error) and "docs/protocol.md" in str(error)
    else:
        assert tuple(arguments) == fields
