"""Paths in the arguments of operations: over HTTP they are names of files in a folder of the machine's own.

An operation may name any file of the daemon's host, `records.HostPath`. A caller over HTTP may not: ``output=boot.gbt`` is
``files/boot.gbt`` beside the machine's logs, which ``/api/machines/NAME/files`` lists and hands out. No name has a slash or
begins with a dot, so none leads elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ..errors import UsageError
from ..host.folders import own_folder
from ..wire import connection
from ..wire.operations import Operation
from ..wire.records import path_fields

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_OUTPUT = "output"


def files_folder(machine: str) -> Path:
    """The folder of `machine`'s files, created when missing; `UsageError` for a name that no machine can have."""
    folder = connection.state_folder(connection.validate_name(machine)) / "files"
    return own_folder(folder, f"folder {folder} for files", "XDG_STATE_HOME")


def file_path(machine: str, name: str) -> Path:
    """Where the file `name` of `machine` is, or would be; `UsageError` for a name that is a path."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:200]!r} is not a file name; use up to 100 letters, digits, '.', '_' and '-', and no folders"
        )
    return files_folder(machine) / name


def place_paths(machine: str, operation: Operation[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """`arguments` with each file name as the path of `machine`'s file; where machines may be named too, those stay."""
    for field in path_fields(operation.arguments):
        arguments = _change(arguments, field, machine)
    return arguments


def writes_a_file(operation: Operation[..., Any]) -> bool:
    """Whether `operation` leaves a file on the host."""
    return any(field[-1] == _OUTPUT for field in path_fields(operation.arguments))


def _change(arguments: dict[str, Any], field: tuple[str, ...], machine: str) -> dict[str, Any]:
    value = arguments[field[0]]
    if value is None:
        return arguments
    if len(field) > 1:
        inner = _change(msgspec.structs.asdict(value), field[1:], machine)
        return arguments | {field[0]: msgspec.structs.replace(value, **inner)}
    if isinstance(value, tuple):
        return arguments | {field[0]: tuple(_place(machine, field[0], each) for each in value)}
    return arguments | {field[0]: _place(machine, field[0], value)}


def _place(machine: str, field: str, value: str) -> str:
    path = file_path(machine, value)
    if field == _OUTPUT or path.exists():
        return str(path)
    if connection.is_alive(value):
        return value
    raise UsageError(f"there is neither a file nor a machine {value!r}; /api/machines/{machine}/files lists files")
