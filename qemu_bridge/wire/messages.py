"""Encoding of requests and replies: JSON in the first frame, raw bytes in further frames. No sockets here.

The daemon, its worker and all clients use the same functions::

    {"protocol": 3, "id": 7, "operation": "maps", "arguments": {"pid": 1}}
    {"id": 7, "ok": true, "result": {"value": [...], "grade": "live", "epoch": 0, "skipped": [], "elapsed_s": 0.004}}
    {"id": 7, "ok": false, "error": {"kind": "UsageError", "message": "..."}}
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from .. import errors
from ..errors import GlassBoxError, MachineError, UsageError
from .json_text import decode_json, encode_json
from .operations import BY_NAME, Operation
from .records import PROTOCOL_VERSION, Blob
from .type_names import problem_of

R = TypeVar("R")

_NO_ARGUMENTS = msgspec.Raw(b"{}")
_SEE = "see docs/protocol.md"


class Request(msgspec.Struct, frozen=True):
    """A client's request. `id`, an integer or a string, is repeated in the reply."""

    id: int | str
    operation: str
    protocol: int
    arguments: msgspec.Raw = _NO_ARGUMENTS


class Failure(msgspec.Struct, frozen=True):
    """Why a request failed: a class of `qemu_bridge.errors`, and a sentence that ends with what to try."""

    kind: str
    message: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first frame of a reply: `result` if `ok`, else `error`. `id` is null where none could be read.

    With `progress`, (done, total), it is not the final reply: the job is still running.
    """

    id: int | str | None
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Failure | None = None
    progress: tuple[int, int] | None = None


class _AnyId(msgspec.Struct):
    id: int | str | None = None


# --- the daemon's end ----------------------------------------------------------------------------------------


def decode_request(frame: bytes) -> tuple[Request, Operation[..., Any]]:
    """The request in `frame` and its row; `UsageError` for a damaged request, an unknown operation or another protocol."""
    try:
        request = msgspec.json.decode(frame, type=Request)
    except msgspec.ValidationError as error:
        raise UsageError(f"invalid request: {problem_of(error, Request)}; {_SEE}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"invalid request: {error}; send one JSON object, {_SEE}") from None
    if request.protocol != PROTOCOL_VERSION:
        raise UsageError(
            f"the request has protocol {request.protocol}, this daemon {PROTOCOL_VERSION}; use the release that started the machine"
        )
    operation = BY_NAME.get(request.operation)
    if operation is None:
        raise UsageError(f"there is no operation {request.operation[:80]!r}; there are {', '.join(BY_NAME)}")
    return request, operation


def decode_id(frame: bytes) -> int | str | None:
    """The id of a possibly damaged request; None where it has none."""
    try:
        return msgspec.json.decode(frame, type=_AnyId).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_arguments(operation: Operation[..., Any], text: bytes | msgspec.Raw) -> dict[str, Any]:
    """The arguments of a request, by name, checked; `UsageError` names the argument, the type wanted and the one given."""
    try:
        record = decode_json(text, operation.arguments)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"invalid arguments of {operation.name}: {problem_of(error, operation.arguments)}; {_SEE}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"invalid arguments of {operation.name}: {error}; {_SEE}") from None
    return {name: getattr(record, name) for name in record.__struct_fields__}


def argument_from_text(operation: Operation[..., Any], name: str, text: str) -> Any:  # noqa: ANN401  # any JSON
    """Argument `name` as a command line or a query writes it: text where text is wanted, else JSON if it is.

    `UsageError` for an argument that `operation` does not have; `decode_arguments` checks the value.
    """
    kinds = {field.name: field.type for field in msgspec.structs.fields(operation.arguments)}
    if name not in kinds:
        raise UsageError(f"there is no argument {name!r}; there are {', '.join(kinds) or 'none'}")
    if (kinds[name] is str or getattr(kinds[name], "__origin__", None) is str) and not text.startswith('"'):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text


def encode_result(result: Any) -> tuple[bytes, list[bytes]]:  # noqa: ANN401  # any record
    """(JSON, frames): the JSON of a result, and the raw bytes that it refers to."""
    frames: list[bytes] = []

    def take_out(value: Any) -> dict[str, int]:  # noqa: ANN401  # msgspec asks for whatever it does not know
        if not isinstance(value, Blob):
            raise TypeError(f"a {type(value).__name__} in a result")
        frames.append(value)
        return {"frame": len(frames)}

    return encode_json(result, take_out), frames


def encode_reply(number: int | str | None, result: bytes) -> bytes:
    """The first frame of a reply to request `number` with a `result` from `encode_result`."""
    return msgspec.json.encode(Reply(number, True, msgspec.Raw(result)))


def encode_progress(number: int | str | None, done: int, total: int) -> bytes:
    """A progress message of a running job."""
    return msgspec.json.encode(Reply(number, True, progress=(done, total)))


def encode_failure(number: int | str | None, error: GlassBoxError) -> bytes:
    """The reply to a request that failed."""
    failure = Failure(type(error).__name__, str(error).encode(errors="backslashreplace").decode())
    return msgspec.json.encode(Reply(number, False, error=failure))


# --- the client's end ----------------------------------------------------------------------------------------


class Call(Generic[R]):
    """One request of a client: `frame` to send, and what its reply means."""

    def __init__(self, number: int, operation: Operation[..., R], arguments: dict[str, Any]) -> None:
        """`UsageError` for text that is not Unicode, `TypeError` for arguments that JSON cannot hold."""
        self.number = number
        self.operation = operation
        timeout_s = arguments.get("timeout_s")
        self.extra_time_s = float(timeout_s) if isinstance(timeout_s, (int, float)) and 0 < timeout_s < 1e9 else 0.0
        """Seconds that the operation itself may wait, beyond a client's patience."""
        message = {"protocol": PROTOCOL_VERSION, "id": number, "operation": operation.name, "arguments": arguments}
        try:
            self.frame = encode_json(message)
        except UnicodeEncodeError as error:
            raise UsageError(
                f"an argument of {operation.name} is not Unicode text ({error.reason}); give UTF-8"
            ) from None

    def result(self, reply: Reply, frames: list[bytes]) -> R:
        """The decoded result; raises the error that the daemon reports, `MachineError` for an invalid reply."""
        raise_failure(reply)

        def put_in(kind: type, value: Any) -> Blob:  # noqa: ANN401  # msgspec asks for whatever it does not know
            return Blob(frames[value["frame"] - 1])

        try:
            result: R = decode_json(reply.result, self.operation.result, put_in)
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            raise MachineError(
                f"the answer to {self.operation.name} is invalid ({error}); use the release that started the machine"
            ) from None
        return result


def raise_failure(reply: Reply) -> None:
    """Raise the error that the daemon reports in `reply`, if it does."""
    if not reply.ok:
        failure = reply.error or Failure("MachineError", "the daemon failed without a message; see its log")
        kind = getattr(errors, failure.kind, MachineError)
        raise kind(failure.message)


def decode_reply(frame: bytes) -> Reply:
    """The reply in `frame`; `MachineError` if it is damaged."""
    try:
        return msgspec.json.decode(frame, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MachineError(
            f"the daemon's reply is damaged ({error}); use the release that started the machine"
        ) from None
