"""What the search box finds: fuzzy matches among things with names, and places that hold bytes.

A query is words; the same letters in the same order match, and the closer together, the better. Some queries mean
more, and their first character says so: ``"text`` looks for characters in RAM, ``x:7f45??46`` for bytes, of which ``??`` is any one, and
``r:[a-z]+@`` for a regular expression; ``0x1f000`` is an address.

>>> fuzzy_score("pgtb", "page table") > 0
True
"""

from __future__ import annotations

import math
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import UsageError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PhysicalAddress, RamLayout, RamOffset, RamRegion
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire.records import TargetMemory

if TYPE_CHECKING:
    from qemu_bridge.client import Client

MOST_PLACES = 2000
SEARCH_BUDGET_S = 5.0
_WAIT_FACTOR = 6
_MAX_QUERY = 400


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the palette: what it is called, what kind of thing it is, what happens when it is chosen."""

    title: str
    kind: str
    run: Callable[[], None]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FoundBytes:
    """Where a pattern is: offsets in the RAM file, ascending; `is_complete` unless the limit or the time ended it."""

    offsets: tuple[int, ...]
    is_complete: bool

    def pages(self) -> npt.NDArray[np.int64]:
        """Their pages, each once."""
        return np.unique(np.array(self.offsets, np.int64) >> PAGE_SHIFT)


def fuzzy_score(query: str, text: str) -> float:
    """How well `query` matches `text`: 0 for not at all; letters in a row, at starts of words and early ones count more."""
    query, lower = query.lower().replace(" ", ""), text.lower()
    if not query:
        return 1.0
    best = 0.0
    first = lower.find(query[0])
    # The first letter may stand in several places; a few of them are tried, greedily from each.
    for _ in range(6):
        if first < 0:
            break
        best = max(best, _score_from(query, lower, first))
        first = lower.find(query[0], first + 1)
    return best


def _score_from(query: str, text: str, at: int) -> float:
    score, last = 0.0, at - 1
    for letter in query:
        here = text.find(letter, last + 1)
        if here < 0:
            return 0.0
        is_start = here == 0 or not text[here - 1].isalnum()
        score += 3.0 if here == last + 1 and here != at else 2.5 if is_start else 1.0
        last = here
    return score / len(query) + 1.0 / (2 + at) + 1.0 / (1 + len(text))


def best_items(query: str, items: Iterable[Item], limit: int = 40) -> list[Item]:
    """The items whose titles match best, best first; in their own order where the query is empty."""
    scored = ((fuzzy_score(query, item.title), item) for item in items)
    found = [pair for pair in scored if pair[0] > 0]
    if query:
        found.sort(key=lambda pair: -pair[0])
    return [item for _, item in found[:limit]]


def parse_pattern(query: str) -> bytes | re.Pattern[bytes] | None:
    """The bytes or the expression that `query` looks for in RAM; None where it looks for none, `UsageError` for a wrong one."""
    query = query[:_MAX_QUERY]
    try:
        if query.startswith('"'):
            return query[1:].removesuffix('"').encode() or None
        if query.startswith("x:"):
            return _parse_hex(query[2:])
        if query.startswith("r:") and len(query) > 2:
            return re.compile(query[2:].encode(), re.DOTALL)
    except (ValueError, re.error) as error:
        raise UsageError(f"{query!r} cannot be looked for ({error}); write it like x:7f454c46 or r:root:.*") from None
    return None


def _parse_hex(digits: str) -> bytes | re.Pattern[bytes] | None:
    """Bytes in hexadecimal, of which ``??`` is any one: an expression then."""
    pairs = "".join(digits.split())
    if "?" not in pairs:
        return bytes.fromhex(pairs) or None
    if len(pairs) % 2:
        raise ValueError("an odd number of digits")
    each = (pairs[at : at + 2] for at in range(0, len(pairs), 2))
    return re.compile(b"".join(b"." if pair == "??" else re.escape(bytes.fromhex(pair)) for pair in each), re.DOTALL)


def find_bytes(ram: GuestRam, query: str, budget_s: float = SEARCH_BUDGET_S) -> FoundBytes:
    """Places in `ram` that hold the pattern in `query`, at most `MOST_PLACES`; what was found when `budget_s` of processor time are over.

    It is looked for in a process of its own: an expression may take for ever (``r:(a+)+b``), and while it is matched no
    other thread of a Python process runs, so that a window would stand still. `UsageError` for a wrong pattern.
    """
    parse_pattern(query)
    words = [sys.executable, "-m", __name__, str(ram.path), str(ram.size), str(budget_s)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as finder:
        try:
            output, _ = finder.communicate(query.encode("utf-8", "replace"), timeout=_WAIT_FACTOR * budget_s)
            is_done = finder.returncode == 0
        except subprocess.TimeoutExpired:
            finder.kill()
            output, is_done = finder.communicate()[0], False
    offsets = tuple(int(line) for line in output.split(b"\n")[:-1])
    return FoundBytes(offsets[:MOST_PLACES], is_done and len(offsets) <= MOST_PLACES)


def _find(path: str, size: str, budget_s: str, query: str) -> None:
    """Write the offsets of a pattern in the RAM file at `path`, a line each, as they are found, until the budget is used up."""
    # Processor time: on a busy host the same search finds the same. The kernel ends the process, also amid an expression.
    seconds = math.ceil(time.process_time() + float(budget_s))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    pattern = parse_pattern(query)
    assert pattern is not None
    layout = RamLayout((RamRegion(PhysicalAddress(0), RamOffset(0), int(size)),))
    with GuestRam(Path(path), layout) as ram:
        for offset in ram.find(pattern, MOST_PLACES + 1):
            print(int(offset), flush=True)


def ask_place(client: Client, query: str) -> RamOffset | None:
    """The one byte that `query` means, an address or a symbol; None where it means none, or more than one byte."""
    is_range = any(sign in query for sign in " &(") or (query.startswith(("pa:", "va:")) and "+" in query)
    if is_range or query in ("all", "free", "kernel"):
        return None
    try:
        return client.identify(query.removeprefix("sym:")).value.ram_offset
    except UsageError:
        return None


def ask_target(client: Client, query: str) -> TargetMemory | None:
    """The memory that `query` means, as a target or as a symbol; None where it means neither, `UsageError` for a wrong target."""
    try:
        return client.resolve(query if ":" in query or not query[:1].isdigit() else f"pa:{query}").value
    except UsageError:
        if ":" in query or any(sign in query for sign in "&("):
            raise  # it says where the target is wrong, and what is like it
    try:
        return client.resolve(f"sym:{query}").value
    except UsageError:
        return None


if __name__ == "__main__":
    _find(sys.argv[1], sys.argv[2], sys.argv[3], sys.stdin.read())
