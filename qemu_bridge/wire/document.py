"""Generates parts of docs/protocol.md from the code: the operation table, the records, the page classes.

``python -m qemu_bridge.wire.document FILE`` updates FILE; ``--check`` only reports whether it is current. ``--schema`` prints
JSON schemas of every operation's arguments and result, for client generators.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from .event_records import AnyEvent
from .json_text import is_address
from .operations import BY_NAME, Operation, iter_operations
from .records import ADDRESS_PATTERN, Answer, Blob, PageClass

_PART = re.compile(r"(<!-- (\w+): generated -->\n).*?(<!-- end -->)", re.DOTALL)


def operations_table() -> str:
    """A row for each operation."""
    lines = ["| operation | arguments | result | permission | cost | effect |", "|---|---|---|---|---|---|"]
    for row in iter_operations():
        cells = (
            f"`{row.name}`",
            ", ".join(_argument(row, field) for field in msgspec.structs.fields(row.arguments)) or "none",
            f"`{_type_name(row.result)}`",
            row.permission.value + (", from another host write" if row.remote_permission is not row.permission else ""),
            row.cost.value,
            _first_paragraph(row.doc),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def records_list() -> str:
    """Every record of results, arguments and events: its fields, their types and meaning."""
    parts = []
    for kind in sorted(all_records(), key=lambda kind: kind.__name__):
        if issubclass(kind, Enum):
            values = ", ".join(f"`{json.dumps(member.value)}`" for member in kind)
            parts.append(f"**`{kind.__name__}`**: {_first_paragraph(kind.__doc__ or '')} One of {values}.\n")
            continue
        rows = [f"| `{field.name}` | `{_type_name(field.type)}` |" for field in msgspec.structs.fields(kind)]
        tag = kind.__struct_config__.tag
        about = _clean(kind.__doc__ or "") + (f"\n\n`event` is `{json.dumps(tag)}`." if tag else "")
        parts.append("\n".join([f"**`{kind.__name__}`**: {about}\n", "| field | type |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def page_classes_table() -> str:
    """A row for each page class, with its number in the page map's file."""
    rows = [f"| {page_class.value} | {page_class.label} |" for page_class in PageClass]
    return "\n".join(["| number | class |", "|---|---|", *rows, ""])


PARTS = {"operations": operations_table, "records": records_list, "page_classes": page_classes_table}


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


def _argument(row: Operation[..., Any], field: msgspec.structs.FieldInfo) -> str:
    text = f"`{field.name}`: {_type_name(field.type)}"
    if field.required:
        return text
    is_record = isinstance(field.default, msgspec.Struct)
    return text + (" (all by default)" if is_record else f" = `{json.dumps(field.default)}`")


def all_records() -> set[Any]:
    """All records and enumerations reachable from results, arguments and events."""
    found: set[Any] = set()
    waiting: list[Any] = [AnyEvent]
    for row in iter_operations():
        waiting += [row.result, *(field.type for field in msgspec.structs.fields(row.arguments))]
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


def _type_name(kind: Any) -> str:  # noqa: ANN401  # a type expression
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None) or kind is None:
        return "null"
    if kind is Any:
        return "any JSON"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type_name, inner))
    if origin is tuple:
        return f"[{_type_name(inner[0])}, …]" if inner[-1] is ... else f"[{', '.join(map(_type_name, inner))}]"
    if is_address(kind):
        return "address"
    if origin is typing.Annotated:
        return _type_name(inner[0])
    if origin is list:
        return f"[{_type_name(inner[0])}, …]"
    if origin is dict:
        return f"object of {_type_name(inner[1])}"
    if origin is Answer:
        return f"Answer[{_type_name(inner[0])}]"
    if isinstance(kind, typing.TypeVar):
        return kind.__name__
    names = {str: "string", int: "integer", float: "number", bool: "boolean", Blob: "frame"}
    # A NewType of an integer travels as one.
    return names.get(kind) or names.get(getattr(kind, "__supertype__", None)) or kind.__name__  # type: ignore[arg-type]


def _clean(doc: str) -> str:
    lines = [line.strip() for line in doc.strip().split("\n")]
    text = "\n".join(lines).replace("Attributes:\n", "\n")
    return re.sub(r"^(\w[\w, ]*): ", r"- `\1`: ", text, flags=re.MULTILINE) if "\n" in text else text


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.strip().split("\n\n")[0].split()).replace("``", "`")


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
