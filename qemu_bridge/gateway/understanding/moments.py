"""Topics about moments: what changed since one, and keeping one."""

from __future__ import annotations

import re
from itertools import count as count_up

from .memory_targets import ALONE, PARTS, memory_of
from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, verb


def changes(reading: Reading) -> Meaning | None:
    """What changed: since a capture, since an epoch, or just which pages."""
    around = {"change", "compare", "since", "last", "capture", "path", "epoch", "epoch_number", "memory", "page", "show", "all", "owner", "kernel", "where",
              "number", "count", "seconds", "second", "and", "status", "heap", "stack", "process", "loaded", "like", "target_text", "take", *(set(PARTS) | set(ALONE)) - {"all"}}  # fmt: skip
    if not reading.has("change", "compare") or not reading.items <= around or reading.has("count"):
        return None
    if reading.has("seconds", "second"):
        return Unsure(
            "what changed before now is known from an epoch or a capture on: ask for dirty pages, and later for those after the epoch that is told",
            _since(reading),
        )
    epoch = reading.number("epoch_number")
    if epoch is not None:
        return (
            verb("dirty", f"pages that changed after epoch {epoch}", "--since", str(epoch), epoch=epoch)
            if not reading.has("capture", "path", "owner")
            else None
        )
    if reading.has("capture") and reading.has("number"):
        return Unsure("there is no capture of that number in the working folder; name one", _since(reading))
    if reading.has("capture", "path"):
        return _compare(reading) if reading.has("since", "compare", "last") else None
    if reading.has("owner", "kernel", "heap", "stack", "compare", "process", "status"):
        return None if not reading.has("change") else Unsure("since when is not said; name a capture", _since(reading))
    if reading.has("page", "memory") and not reading.has("since", "last"):
        return verb("dirty", "every page that was touched so far, and the epoch of now", epoch=0)
    return Unsure("since when is not said", _since(reading))


def _since(reading: Reading) -> tuple[Request, ...]:
    newest = reading.names.captures[-1:]
    since = tuple(_compared(path, f"what changed since {path}, the newest capture here", "") for path in newest)
    return (*since, verb("dirty", "every page that was touched so far, and the epoch of now", epoch=0))


def _compare(reading: Reading) -> Meaning:
    target = next(iter(reading.texts("target")), "")
    if target and reading.has("owner"):
        return Unsure("of whose memory is not clear")
    if not target and reading.has("owner", *(set(PARTS) | set(ALONE)) - {"all"}):
        wanted = Reading(
            [
                token
                for token in reading.tokens
                if token.kind in ("name", "pid") or (token.concept in {*PARTS, *ALONE} and token.concept != "all")
            ],
            reading.names,
        )
        found = memory_of(wanted)
        if not isinstance(found, tuple):
            return found or Unsure("of whose memory is not clear")
        target = found[0]
    paths = reading.texts("path")
    if len(paths) == 1:
        return _compared(paths[0], f"what changed since {paths[0]}", target)
    if paths:
        return Unsure(
            "two captures are compared by name", (Request("compare two captures", ("compare", *paths[:2]), "", {}),)
        )
    if not reading.names.captures:
        return Unsure(
            "there is no capture of this machine in the working folder to compare with; make one now, and ask later",
            (_capture(reading),),
        )
    newest = reading.names.captures[-1]
    return _compared(newest, f"what changed since {newest}, the newest capture here", target)


def _compared(before: str, says: str, target: str) -> Request:
    words = ("compare", before, MACHINE, *(("--target", target) if target else ()))
    return Request(says + (f", in {target}" if target else ""), words, "compare", {"before": before, "target": target})


def capture(reading: Reading) -> Meaning | None:
    """Keep a moment; which there are already is no question for the machine."""
    if reading.is_plural("capture") or reading.asks_which or reading.is_wish("list", "show", "display"):
        if not reading.within({"capture"}, {"show", "all", "take", "last", "open", "count"}):
            return None
        newest = reading.names.captures[-1:]
        reason = (
            f"captures are folders; the newest of this machine here is {newest[0]}"
            if newest
            else "there is no capture of this machine in the working folder"
        )
        return Unsure(reason, _since(reading) if newest else (_capture(reading),))
    around = {"capture", "take", "memory", "path", "status", "all", "unknown", "like"}
    if (
        not reading.items <= around
        or not reading.has("capture", "take")
        or not (reading.has("capture") or reading.within({"take", "memory"}, around))
    ):
        return None
    if (
        not reading.has("take")
        and not reading.has("unknown")
        and len(reading.tokens) > 2
        and not (reading.has("path") and reading.is_wish("capture", "checkpoint", "snapshot"))
    ):
        return None
    is_called = (
        re.search(r"\b(as|called|named|under( the)? name|folder|directory) \S+\W*$", reading.question.lower())
        is not None
    )
    if reading.has("unknown", "like") and (
        not (reading.has("take") or is_called)
        or len(reading.texts("unknown")) != 1
        or reading.tokens[-1].kind != "unknown"
    ):
        return None
    return _capture(reading)


def _capture(reading: Reading) -> Request:
    taken = {path.rsplit("/", 1)[-1] for path in reading.names.captures}
    output = next(iter(reading.texts("path") or reading.texts("unknown")), "") or next(
        name for n in count_up(1) if (name := f"checkpoint-{n}") not in taken
    )
    return verb("capture", f"write the machine's memory to {output}", "-o", output, output=output)
