"""What can be read without asking: the machines, and of each its page map in numbers, its console and its captures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ...captures.files import read_manifest
from ...errors import UsageError
from ...host.printable import printable_lines
from ...memory.addresses import PAGE_SIZE
from ...wire.records import PageClass
from ..understanding import GuestNames
from .machines import Machines

SCHEME = "glassbox://"
_MOST_CONSOLE_BYTES = 8192
_MOST_OWNERS = 25
_URI = re.compile(r"glassbox://(?:(?P<all>machines)|(?P<machine>[^/]+)/(?P<kind>[a-z-]+))")


def page_map(machines: Machines, name: str) -> dict[str, Any]:
    """How much of RAM each class of pages and each owner has, the largest first."""
    answer = machines.client(name).page_map()
    counts = answer.value.counts()
    classes = [
        {"class": PageClass(each).word, "pages": pages, "bytes": pages * PAGE_SIZE}
        for each, pages in counts.items()
        if pages
    ]
    pages_of = np.bincount(answer.value.entries["owner_id"])
    largest = [int(owner) for owner in np.argsort(-pages_of) if owner in answer.value.owners and pages_of[owner]][
        :_MOST_OWNERS
    ]
    owners = [{"kind": owner.kind, "name": owner.name, "pid": owner.pid, "pages": int(pages_of[number])}
              for number in largest for owner in (answer.value.owners[number],)]  # fmt: skip
    return {"grade": answer.grade.value, "classes": sorted(classes, key=lambda row: -row["pages"]), "largest_owners": owners,
            "more": "tools: resolve with a target such as class:page-table, identify with an address"}  # fmt: skip


def console(machines: Machines, name: str) -> dict[str, Any]:
    """The end of what the guest printed on its console."""
    path = Path(machines.client(name).status().console)
    if not path.is_file():
        raise UsageError(f"{name!r} has no console log; only a machine that was started here has one")
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _MOST_CONSOLE_BYTES))
        text = file.read(_MOST_CONSOLE_BYTES).decode(errors="replace")
    return {
        "total_bytes": size,
        "last_bytes": min(size, _MOST_CONSOLE_BYTES),
        "text": printable_lines(text.replace("\r", "")),
    }


def captures(machines: Machines, name: str) -> dict[str, Any]:
    """Captures of the machine in the server's working folder, the oldest first; `compare` takes their paths as `before`."""
    found = GuestNames(machines.client(name)).captures
    rows = [msgspec.to_builtins(read_manifest(Path(path))) | {"path": str(Path(path).resolve())} for path in found]
    wanted = ("path", "taken_at", "grade", "ram_bytes", "release")
    return {"captures": [{key: row[key] for key in wanted} for row in rows]}


KINDS: dict[str, Callable[[Machines, str], dict[str, Any]]] = {
    "page-map": page_map,
    "console": console,
    "captures": captures,
}
"""What there is of a machine, by the last part of the URI."""


def iter_resources(machines: Machines) -> Iterator[tuple[str, str, str]]:
    """Yield (URI, name, description) of what can be read now."""
    yield f"{SCHEME}machines", "machines", "The machines that run now."
    for name in machines.names():
        for kind, read in KINDS.items():
            yield f"{SCHEME}{name}/{kind}", f"{kind} of {name}", (read.__doc__ or "").strip()


def read_resource(machines: Machines, uri: str) -> str:
    """The JSON of what is at `uri`; `UsageError` where nothing is."""
    found = _URI.fullmatch(uri)
    if found is None or (found["kind"] is not None and found["kind"] not in KINDS):
        raise UsageError(
            f"nothing is at {uri[:200]!r}; there are {SCHEME}machines and {SCHEME}NAME/{{{','.join(KINDS)}}}"
        )
    kind, machine = str(found["kind"]), str(found["machine"])
    value = {"machines": machines.names()} if found["all"] else KINDS[kind](machines, machine)
    return msgspec.json.encode(value).decode()
