"""Generates parts of docs/protocol.md from the code: the connection file, kinds of errors, operations, records, page classes.

``python -m qemu_bridge.wire.document FILE`` updates FILE; ``--check`` only reports whether it is current. ``--schema`` prints
JSON schemas of every operation's arguments and result, for client generators.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import typing
from collections.abc import Iterator, Sequence
from enum import Enum, Flag, IntEnum
from pathlib import Path
from typing import Any

import msgspec

from ..errors import GlassBoxError
from .connection import Connection
from .event_records import AnyEvent
from .json_text import encode_json
from .operations import BY_NAME, iter_operations
from .records import ADDRESS_PATTERN, Blob, PageClass
from .type_names import type_name

_PART = re.compile(r"(<!-- (\w+): generated -->\n).*?(<!-- end -->)", re.DOTALL)


def operations_table() -> str:
    """A row for each operation, and below them what else there is to say about some."""
    lines = ["| operation | arguments | result | permission | cost | effect |", "|---|---|---|---|---|---|"]
    notes = []
    for row in iter_operations():
        effect, *more = _paragraphs(row.doc)
        cells = (
            f"`{row.name}`",
            ", ".join(_argument(field) for field in msgspec.structs.fields(row.arguments)) or "none",
            f"`{type_name(row.result)}`",
            row.permission.value + (", from another host write" if row.remote_permission is not row.permission else ""),
            row.cost.value,
            effect,
        )
        lines.append(_row(*cells))
        notes += [f"- `{row.name}`: {' '.join(more)}"] if more else []
    return "\n".join([*lines, "", *notes, ""])


def kinds_table() -> str:
    """A row for each kind of error, below the kind that it belongs to."""
    rows = [
        _row(
            f"`{kind.__name__}`",
            f"`{parent.__name__}`" if (parent := _parent(kind)) else "",
            *_paragraphs(kind.__doc__),
        )
        for kind in _error_kinds(GlassBoxError)
    ]
    return "\n".join(["| kind | is also a | when |", "|---|---|---|", *rows, ""])


def _error_kinds(kind: type[GlassBoxError]) -> Iterator[type[GlassBoxError]]:
    for below in kind.__subclasses__():
        if below.__module__ == GlassBoxError.__module__:
            yield below
            yield from _error_kinds(below)


def _parent(kind: type[GlassBoxError]) -> type | None:
    return None if kind.__base__ is GlassBoxError else kind.__base__


def connection_table() -> str:
    """A row for each field of the connection file."""
    return "\n".join([*_fields_table(Connection), ""])


def records_list() -> str:
    """Every record of results, arguments and events but the connection file: its fields, their types and meaning."""
    given = _reachable(_argument_types())
    parts = []
    for kind in sorted(all_records() - {Connection}, key=lambda kind: kind.__name__):
        if issubclass(kind, Enum):
            parts.append(f"**`{kind.__name__}`**: {_paragraphs(kind.__doc__)[0]} {_values(kind)}\n")
            continue
        head, _, tail = _sections(kind)
        tag = kind.__struct_config__.tag
        tagged = f" `event` is `{json.dumps(tag)}`." if tag else ""
        parts.append(f"**`{kind.__name__}`**: {head}{tagged}\n")
        parts.append("\n".join([*_fields_table(kind, with_defaults=kind in given), ""]))
        parts += [f"{tail}\n"] if tail else []
    return "\n".join(parts)


def _values(kind: type[Enum]) -> str:
    named = ", ".join(f"{member.value} {member.name.lower()}" for member in kind)
    if issubclass(kind, Flag):
        return f"A sum of {named}."
    if issubclass(kind, IntEnum):
        return f"One of {named}."
    return f"One of {', '.join(f'`{json.dumps(member.value)}`' for member in kind)}."


def _fields_table(kind: type[msgspec.Struct], *, with_defaults: bool = False) -> list[str]:
    """The table of a record's fields; those that its docstring explains together share a row. One line where there is only a type."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    meanings = dict(_sections(kind)[1])
    if not meanings and not with_defaults:
        return [", ".join(f"`{name}`: {type_name(field.type)}" for name, field in fields.items())]
    groups = {name: names for names in meanings for name in names}
    titles = ["field", "type", *(["default"] if with_defaults else []), *(["meaning"] if meanings else [])]
    rows, seen = [], set()
    for name in fields:
        names = [each for each in groups.get(name, (name,)) if each in fields]
        if name in seen:
            continue
        seen.update(names)
        chosen = [fields[each] for each in names]
        cells = [
            ", ".join(f"`{each}`" for each in names),
            ", ".join(dict.fromkeys(f"`{type_name(field.type)}`" for field in chosen)),
        ]
        cells += [", ".join(dict.fromkeys(map(_default, chosen)))] if with_defaults else []
        cells += [meanings.get(groups.get(name, ()), "")] if meanings else []
        rows.append(_row(*cells))
    return [_row(*titles), "|" + "---|" * len(titles), *rows]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"`{encode_json(value).decode()}`"


def page_classes_table() -> str:
    """A row for each page class, with its number in the page map's file."""
    rows = [f"| {page_class.value} | `{page_class.word}` |" for page_class in PageClass]
    return "\n".join(["| number | class |", "|---|---|", *rows, ""])


PARTS = {
    "connection": connection_table,
    "kinds": kinds_table,
    "operations": operations_table,
    "records": records_list,
    "page_classes": page_classes_table,
}


def bring_up_to_date(text: str) -> str:
    """`text` with its generated parts replaced."""
    return _PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]]() + "\n" + part[3], text)


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas of the arguments and the result of each operation, by its name."""
    return {
        name: {
            "arguments": _schema(row.arguments),
            "result": _schema(row.result),
            "permission": row.permission.value,
            "cost": row.cost.value,
            "description": row.doc.strip(),
        }
        for name, row in BY_NAME.items()
    }


def _schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401  # a type expression
    schema = msgspec.json.schema(kind, schema_hook=_blob_schema)
    mark_addresses(schema)
    return schema


def mark_addresses(part: object) -> None:
    """Let a JSON schema say that addresses are strings: to msgspec, which knows their pattern only, they are integers."""
    if isinstance(part, dict):
        if part.get("pattern") == ADDRESS_PATTERN:
            part["type"] = "string"
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            mark_addresses(one)


def _blob_schema(kind: type) -> dict[str, Any]:
    if kind is Blob:
        # Numbers count from 1: frame 0 is the JSON itself.
        return {"type": "object", "properties": {"frame": {"type": "integer", "minimum": 1}}, "required": ["frame"]}
    raise NotImplementedError(kind)


def _argument(field: msgspec.structs.FieldInfo) -> str:
    text = f"`{field.name}`: {type_name(field.type)}"
    if field.required:
        return text
    is_record = isinstance(field.default, msgspec.Struct)
    return text + (" = `{}`" if is_record else f" = `{json.dumps(field.default)}`")


def _argument_types() -> list[Any]:
    return [field.type for row in iter_operations() for field in msgspec.structs.fields(row.arguments)]


def all_records() -> set[Any]:
    """All records and enumerations reachable from results, arguments and events."""
    return _reachable([AnyEvent, *_argument_types(), *(row.result for row in iter_operations())])


def _reachable(waiting: list[Any]) -> set[Any]:
    found: set[Any] = set()
    while waiting:
        kind = waiting.pop()
        waiting += typing.get_args(kind)
        origin = typing.get_origin(kind) or kind
        if not isinstance(origin, type) or origin in found:
            continue
        if issubclass(origin, Enum):
            found.add(origin)
        elif issubclass(origin, msgspec.Struct):
            found.add(origin)
            waiting += [field.type for field in msgspec.structs.fields(origin)]
    return found


def _sections(kind: type) -> tuple[str, list[tuple[tuple[str, ...], str]], str]:
    """A record's docstring: what it is, (fields, their meaning), and what is below them."""
    head, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")
    lines, _, tail = rest.partition("\n\n")
    entries = [" ".join(entry.split()) for entry in re.split(r"\n {4}(?! )", "\n" + lines) if entry.strip()]
    pairs = [entry.partition(": ") for entry in entries]
    meanings = [(tuple(names.split(", ")), _for_the_wire(text)) for names, _, text in pairs]
    return " ".join(_paragraphs(head)), meanings, " ".join(_paragraphs(tail))


def _paragraphs(doc: str | None) -> list[str]:
    """The paragraphs of a docstring, without its example."""
    paragraphs = [" ".join(part.split()) for part in (doc or "").partition(">>>")[0].split("\n\n")]
    return [_for_the_wire(part) for part in paragraphs if part]


def _for_the_wire(text: str) -> str:
    # A docstring speaks Python; the document speaks JSON.
    return re.sub(r"\bNone\b", "null", text.replace("``", "`"))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; exit status 1 if ``--check`` finds the file out of date."""
    parser = argparse.ArgumentParser(prog="python -m qemu_bridge.wire.document", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="the document, such as docs/protocol.md")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if it is out of date")
    parser.add_argument("--schema", action="store_true", help="print JSON schemas of all operations")
    options = parser.parse_args(words)
    if options.schema:
        print(json.dumps(schemas(), indent=1))
    if options.file is None:
        return 0
    old = options.file.read_text()
    new = bring_up_to_date(old)
    if options.check:
        return int(old != new)
    options.file.write_text(new)
    return 0


def iter_parts(text: str) -> Iterator[str]:
    """Yield the names of the generated parts of a document."""
    yield from (part[2] for part in _PART.finditer(text))


if __name__ == "__main__":
    sys.exit(main())
