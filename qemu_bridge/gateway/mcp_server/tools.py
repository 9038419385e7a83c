"""The tools: a row for each operation of the table that a model may use, with its docstring as description.

An operation that only makes sense inside a program (`_OF_PROGRAMS`) is no tool. Beside the table there are `machines`, `ask`, which takes a
question in words, and `snap`, which gives the picture itself instead of a file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ...errors import MachineError, UsageError
from ...wire.document import schemas
from ...wire.json_text import encode_json
from ...wire.messages import decode_arguments
from ...wire.operations import Operation, Operations, Permission, iter_operations
from ...wire.picture_records import SnapOptions
from ...wire.viewer_records import ViewersTold
from ..access import required_permission
from ..asking import OF_A_SHELL, describe, describe_unsure, own_answer, shape_answer
from ..understanding import GuestNames, Request, understand
from .machines import Machines
from .pages import LIMIT, MOST_ROWS, cut_to_page

Arguments = dict[str, Any]

_OF_PROGRAMS = frozenset(
    {
        "viewer_join",
        "viewer_report",
        "trace_arm",
        "heat_watch",
        "heat_unwatch",
        "cancel",
        "refresh_page_map",
        "wait_ready",
    }
)
_ARRIVAL_S = 20.0

_MACHINE = {"type": "string", "description": "Name of the machine; not needed where only one runs."}
_PAGING = {
    "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "First row of the result to show."},
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_ROWS,
        "default": LIMIT,
        "description": "Most rows to show.",
    },
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a result: the bytes of a PNG, and facts about it."""

    png: bytes
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: `run` gets its arguments, and returns an object or a `Picture`; it raises errors of `qemu_bridge.errors`."""

    name: str
    description: str
    schema: Mapping[str, Any]
    permission: Permission
    run: Callable[[Machines, Arguments], dict[str, Any] | Picture]


def make_tools(allowed: Iterable[Permission]) -> dict[str, Tool]:
    """The tools whose permission is `allowed`, by name."""
    permissions = frozenset(allowed)
    own = (
        Tool("machines", _list_machines.__doc__ or "", _object({}), Permission.READ, _list_machines),
        Tool("ask", _ask.__doc__ or "", _object({"question": {"type": "string"}, **_PAGING}, ["question"]), Permission.READ,
             lambda machines, arguments: _ask(machines, arguments, permissions)),
        _snap_tool(),
    )  # fmt: skip
    every = schemas()
    table = (
        _tool(row, every[row.name]["arguments"])
        for row in iter_operations()
        if row.name not in _OF_PROGRAMS and row.name != "snap"
    )
    return {tool.name: tool for tool in (*own, *table) if tool.permission in permissions}


def _tool(row: Operation[..., Any], schema: Mapping[str, Any]) -> Tool:
    permission = required_permission(row)
    return Tool(
        row.name,
        clean(row.doc),
        schema_of(schema),
        permission,
        lambda machines, arguments: _run(row, machines, arguments),
    )


def clean(doc: str) -> str:
    """A docstring without its indentation."""
    return "\n".join(line.strip() for line in doc.strip().splitlines())


def _object(properties: Mapping[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    named = {**properties, "machine": _MACHINE} if properties else {}
    return {"type": "object", "properties": named, "required": list(required), "additionalProperties": False}


def schema_of(whole: Mapping[str, Any], *, has_machine: bool = True) -> dict[str, Any]:
    """The schema of an operation's arguments, with the machine and the page; `whole` is that of the arguments alone."""
    definitions = dict(whole["$defs"])
    own = definitions.pop(whole["$ref"].rpartition("/")[2])
    machine = {"machine": _MACHINE} if has_machine else {}
    properties = {**own.get("properties", {}), **machine, **_PAGING}
    made = {
        "type": "object",
        "properties": properties,
        "required": own.get("required", []),
        "additionalProperties": False,
    }
    return made | ({"$defs": definitions} if definitions else {})


# --- what they do --------------------------------------------------------------------------------------------------


def take_page(arguments: Arguments) -> tuple[str, int, int, Arguments]:
    """(machine, offset, limit, the rest) of a tool's arguments; `UsageError` for a page that is none."""
    rest = dict(arguments)
    machine, offset, limit = rest.pop("machine", ""), rest.pop("offset", 0), rest.pop("limit", LIMIT)
    if (
        not isinstance(machine, str)
        or not isinstance(offset, int)
        or not isinstance(limit, int)
        or offset < 0
        or limit < 1
    ):
        raise UsageError("machine is a name, offset a number from 0 on, limit one from 1 on")
    return machine, offset, limit, rest


def _run(row: Operation[..., Any], machines: Machines, arguments: Arguments) -> dict[str, Any]:
    machine, offset, limit, own = take_page(arguments)
    known = row.arguments.__struct_fields__
    if unknown := [name for name in own if name not in known]:
        raise UsageError(f"{row.name} takes no {', '.join(unknown)}; it takes {', '.join(known) or 'nothing'}")
    checked = decode_arguments(row, encode_json(own))
    client = machines.client(machine)
    result = client.call(row, checked)
    told = getattr(result, "value", None)
    made = to_builtins(result)
    if isinstance(told, ViewersTold):
        made["viewers"] = _arrived(machines, machine, told)
    return cut_to_page(made, offset, limit)


def _arrived(machines: Machines, machine: str, told: ViewersTold) -> list[dict[str, Any]]:
    """The viewers that were told, when they have got there: a model sees at once what is shown."""
    client = machines.client(machine)
    try:
        found = client.wait_for_viewers(told, _ARRIVAL_S)
    except MachineError:
        found = tuple(row for row in client.viewers() if row.session in told.sessions)
    rows: list[dict[str, Any]] = [to_builtins(row) | {"has_arrived": row.done >= told.number} for row in found]
    return rows


def to_builtins(value: Any) -> Any:  # noqa: ANN401  # any record
    """A record as JSON has it: addresses and bytes as hexadecimal."""
    return msgspec.json.decode(encode_json(value, lambda blob: bytes(blob).hex()))


def _list_machines(machines: Machines, arguments: Arguments) -> dict[str, Any]:
    """The machines that run now: name, runstate, RAM, uptime. Most tools take one of these names as `machine`."""
    return cut_to_page({"machines": [to_builtins(machines.client(name).status()) for name in machines.names()]})


def _ask(machines: Machines, arguments: Arguments, allowed: frozenset[Permission]) -> dict[str, Any]:
    """Answer a question in plain English about a machine, such as "which process uses the most memory?" or "show me sshd's page tables".

    The answer says what the question was understood as, and which operation with which arguments asks the same. A question that is not
    certain is not answered: it gets alternatives. A question about memory that is to be shown moves the open viewers.
    """
    machine, offset, limit, own = take_page(arguments)
    question = own.get("question")
    if not isinstance(question, str) or len(own) != 1:
        raise UsageError("ask takes a question; give one such as 'what processes are running?'")
    client = machines.client(machine)
    meaning = understand(question, GuestNames(client), client.name)
    if not isinstance(meaning, Request):
        unsure: dict[str, Any] = to_builtins(describe_unsure(meaning, client.name))
        return unsure
    described: dict[str, Any] = to_builtins(describe(meaning, client.name))
    if not meaning.operation or meaning.operation in ("snap", "record_video"):
        note = "" if own_answer(meaning) else f"{OF_A_SHELL}, in the user's shell, or by another tool"
        return described | {"answer": own_answer(meaning), "note": note}
    if meaning.permission not in allowed:
        return described | {
            "answer": None,
            "note": f"this server may not {meaning.permission.value}; ask the user to run the command",
        }
    row: Operation[..., Any] = getattr(Operations, meaning.operation)
    if meaning.operation in ("overlay", "resolve", "read_memory"):
        checked = decode_arguments(row, encode_json(dict(meaning.arguments)))
        answer: Any = shape_answer(meaning, to_builtins(client.call(row, checked)))
    else:
        answer = _run(row, machines, {**meaning.arguments, "machine": client.name, "offset": offset, "limit": limit})
    return cut_to_page(described | {"answer": answer}, offset, limit)


def _snap_tool() -> Tool:
    properties = {
        "at": {
            "type": "string",
            "default": "",
            "description": "Text of a view: yaw=35,pitch=24,mode=entropy,glow=pid:1 (docs/viewer.md).",
        },
        "width": {"type": "integer", "default": 960, "minimum": 16, "maximum": 2048},
        "height": {"type": "integer", "default": 600, "minimum": 16, "maximum": 2048},
        "beside": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "More machines, to stand beside it in the picture; with at set to mode=equal pages that are equal in several stand out.",
        },
    }
    return Tool("snap", _snap.__doc__ or "", _object(properties), Permission.READ, _snap)


def _snap(machines: Machines, arguments: Arguments) -> Picture:
    """Draw the machine's RAM as a picture: a brick is a page, its colour what it is. No viewer has to be open.

    `at` is the text of a view; the `view` of an open viewer, from `viewers`, shows what its user sees.
    """
    own = dict(arguments)
    machine, at = own.pop("machine", ""), own.pop("at", "")
    width, height = own.pop("width", 960), own.pop("height", 600)
    beside = tuple(map(str, own.pop("beside", ())))
    for other in beside:
        machines.client(other)
    if own:
        raise UsageError(f"snap takes no {', '.join(own)}; it takes at, width, height and beside")
    with tempfile.TemporaryDirectory(prefix="glassbox-") as folder:
        path = Path(folder) / "memory.png"
        result = machines.client(machine).snap(SnapOptions(str(path), width, height, at, beside=beside))
        return Picture(path.read_bytes(), {"at": result.at, "title": result.title})
