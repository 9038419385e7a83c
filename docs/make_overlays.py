"""Write the fields of the rows of each overlay into docs/overlays.md, from the overlays themselves.

``python docs/make_overlays.py docs/overlays.md`` writes the file between its two marks.
"""

from __future__ import annotations

import re
import sys
import types
import typing
from pathlib import Path

from gpu_hypervisor.overlay import GPU_JOBS
from qemu_bridge.introspection.overlays import BuiltOverlay
from qemu_bridge.introspection.overlays.registry import BUILT_IN

_PART = re.compile(r"(<!-- fields: generated -->\n).*?(<!-- end -->)", re.DOTALL)
_JSON = {bool: "true or false", int: "integer", float: "number", str: "string"}


def with_fields(text: str) -> str:
    """`text` with the table of fields between its marks made anew."""
    rows = ["| overlay | fields of a row in JSON |", "|---|---|"]
    for overlay in (*BUILT_IN, GPU_JOBS):
        assert isinstance(overlay, BuiltOverlay)
        (row,) = typing.get_args(typing.get_type_hints(overlay.rows)["return"])
        hints = typing.get_type_hints(row)
        fields = (_field(column, hints[column.partition(":")[0]]) for column in overlay.columns)
        rows.append(f"| `{overlay.name}` | {', '.join(fields)} |")
    return _PART.sub(lambda part: part[1] + "\n" + "\n".join(rows) + "\n\n" + part[2], text)


def _field(column: str, kind: object) -> str:
    name, _, form = column.partition(":")
    return f"`{name}`: {'address' if form.endswith('x') else _kind(kind)}"


def _kind(kind: object) -> str:
    kind = getattr(kind, "__supertype__", kind)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return f"list of {_kind(arguments[0])}s"
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) in (typing.Union, typing.Annotated):
        named = [_kind(one) for one in arguments if one is not type(None) and (one in _JSON or typing.get_origin(one))]
        return " or ".join([*named, *(["null"] if type(None) in arguments else [])])
    return _JSON[typing.cast("type", kind)]


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_fields(page.read_text()))
