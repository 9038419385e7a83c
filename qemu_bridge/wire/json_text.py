"""The JSON of records: everything as msgspec writes it, but an address is a string of hex, ``"0xffffffff81000000"``.

JavaScript, jq and others keep numbers as doubles, which have 53 bits: an address of 64 bits would be rounded. The type of a field
says that it is an address (`records.ADDRESS`), also inside tuples and records; in the rows of an overlay a column with the format
``x`` is one. In Python addresses are integers; a reader takes numbers as well.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from ..memory.addresses import format_address
from .records import ADDRESS, OverlayTable

Change = Callable[[Any], Any]
_TEXT = re.compile(r"0x[0-9a-fA-F]{1,16}").fullmatch


def encode_json(value: Any, enc_hook: Change | None = None) -> bytes:  # noqa: ANN401  # any record
    """The JSON of a record, a dataclass, or lists and dicts of them."""
    return msgspec.json.encode(spell_addresses(value), enc_hook=enc_hook)


def decode_json(text: bytes | msgspec.Raw, kind: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> Any:  # noqa: ANN401
    """The value of type `kind` in `text`, checked; raises as `msgspec.json.decode` does."""
    change = _reading(kind)
    if change is None:
        return msgspec.json.decode(text, type=kind, dec_hook=dec_hook)
    return msgspec.convert(change(msgspec.json.decode(text)), kind, dec_hook=dec_hook)


def is_address(kind: Any) -> bool:  # noqa: ANN401  # a type expression
    """Whether values of `kind` are addresses."""
    return ADDRESS in getattr(kind, "__metadata__", ())


def spell_addresses(value: Any) -> Any:  # noqa: ANN401  # any record
    """`value` with its addresses as text; a record that has some is a dict then."""
    if isinstance(value, (list, tuple)):
        return [spell_addresses(one) for one in value]
    if isinstance(value, dict):
        return {key: spell_addresses(one) for key, one in value.items()}
    if isinstance(value, OverlayTable):
        return msgspec.structs.asdict(value) | {"rows": _change_rows(value.rows, value.columns, format_address)}
    return _record_with_text(value)


def _record_with_text(value: Any) -> Any:  # noqa: ANN401  # any record
    kind: Any = type(value)
    writers = _writers(kind)
    if not writers:
        return value
    is_struct = isinstance(value, msgspec.Struct)
    made = msgspec.structs.asdict(value) if is_struct else {name: getattr(value, name) for name in _fields(kind)}
    for name, write in writers.items():
        made[name] = write(made[name])
    if is_struct and (tag := kind.__struct_config__.tag) is not None:
        made[kind.__struct_config__.tag_field] = tag
    return made


def _fields(kind: Any) -> list[str]:  # noqa: ANN401  # a record's type
    names = getattr(kind, "__struct_fields__", None)
    return [field.name for field in dataclasses.fields(kind)] if names is None else list(names)


@functools.cache
def _writers(kind: Any) -> dict[str, Change]:  # noqa: ANN401  # any type
    """What to do with the fields of record `kind` that hold addresses; nothing with what is no record."""
    if not issubclass(kind, msgspec.Struct) and not dataclasses.is_dataclass(kind):
        return {}
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {name: _inside(hints[name], format_address, _writing_record) for name in _fields(kind)}
    return {name: change for name, change in found.items() if change is not None}


def _writing_record(kind: Any) -> Change | None:  # noqa: ANN401  # a record's type
    return spell_addresses if kind is OverlayTable else _record_with_text if _writers(kind) else None


@functools.cache
def _reading(kind: Any) -> Change | None:  # noqa: ANN401  # a type expression
    return _inside(kind, _to_number, _reading_record)


def _reading_record(kind: Any) -> Change | None:  # noqa: ANN401  # a record's type
    if kind is OverlayTable:
        return _read_table
    readers = {field.name: _reading(field.type) for field in msgspec.structs.fields(kind)}
    needed = {field: change for field, change in readers.items() if change is not None}

    def read(value: Any) -> Any:  # noqa: ANN401  # any JSON
        if isinstance(value, dict):
            for field, change in needed.items():
                if field in value:
                    value[field] = change(value[field])
        return value

    return read if needed else None


def _read_table(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, dict) and isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
        value["rows"] = _change_rows(value["rows"], value["columns"], _to_number)
    return value


def _change_rows(rows: Any, columns: Any, leaf: Change) -> list[Any]:  # noqa: ANN401  # of an overlay, or claimed to be
    names = [str(column).partition(":")[0] for column in columns if str(column).endswith("x") and ":" in str(column)]
    return [
        row | {name: leaf(row[name]) for name in names if isinstance(row.get(name), (int, str))}
        if isinstance(row, dict)
        else row
        for row in rows
    ]


def _to_number(value: Any) -> Any:  # noqa: ANN401  # any JSON; what is no address fails where types are checked
    return int(value, 16) if isinstance(value, str) and _TEXT(value) else value


def _inside(kind: Any, leaf: Change, record: Callable[[Any], Change | None]) -> Change | None:  # noqa: ANN401  # a type
    """What applies `leaf` to every address in a value of type `kind`; None where there cannot be one."""
    if is_address(kind):
        return leaf
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if isinstance(kind, typing.TypeVar):
        return spell_addresses  # an `Answer` without a type is one to write
    if (isinstance(origin, type) and issubclass(origin, msgspec.Struct)) or dataclasses.is_dataclass(origin):
        return record(kind)
    changes = [_inside(one, leaf, record) for one in inner if one is not ...]
    needed = [change for change in changes if change is not None]
    if not needed:
        return None
    if origin in (typing.Union, types.UnionType):
        return lambda value: None if value is None else needed[0](value)
    if origin is dict:
        return lambda value: {key: needed[-1](one) for key, one in value.items()} if isinstance(value, dict) else value
    if origin is list or inner[-1] is ...:
        return lambda value: [needed[0](one) for one in value] if isinstance(value, (list, tuple)) else value
    return lambda value: (
        [one if change is None else change(one) for one, change in zip(value, changes, strict=False)]
        if isinstance(value, (list, tuple)) and len(value) == len(changes)
        else value
    )
