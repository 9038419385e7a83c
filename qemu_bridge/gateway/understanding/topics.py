"""Topics about the machine, the kernel, moments, pictures and traces; and the list of all topics."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count as count_up

from .memory import clear_highlight, colouring, go_to_byte, how_much, memory_of, place_of, show, viewer_or_where
from .processes import memory_map, open_files, processes, sockets, stack_traces, threads
from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, call, overlay, verb

Topic = Callable[[Reading], Meaning | None]

_AROUND = {"show", "all", "running"}
_TOP = 10


# --- the machine and its kernel ----------------------------------------------------------------------------------


def status(reading: Reading) -> Meaning | None:
    """The machine's state."""
    around = {
        *_AROUND,
        "pause",
        "stopped",
        "memory",
        "size",
        "count",
        "use",
        "up",
        "since",
        "change",
        "status",
        "doing",
    }
    if reading.within({"status"}, around - {"change"}):
        return verb("status", "the machine's state, memory and uptime")
    if reading.within({"running"}) and reading.asks_whether:
        return verb("status", "the machine's state, memory and uptime")
    if reading.within({"size"}, {"memory", "show"}) and not any(
        "how" in token.text.lower() for token in reading.tokens
    ):
        by_process = overlay(
            "processes", "the processes with the most memory", sort="resident_pages", reverse=True, first=_TOP
        )
        return Unsure(
            "whose memory is not said", (verb("status", "the machine's state, memory and uptime"), by_process)
        )
    if reading.within({"size", "memory"}, {"show", "all"}) or reading.within(
        {"size", "memory", "use"}, {"show", "all"}
    ):
        return verb("status", "the machine's state, memory and uptime")
    return None


def machines(reading: Reading) -> Meaning | None:
    """All machines."""
    if reading.within({"machines"}, {*_AROUND, "count", "status"}) and not reading.has("count"):
        return Request("all machines of this user", ("status",), "")
    return None


def kernel_version(reading: Reading) -> Meaning | None:
    """Release, build id and KASLR offset."""
    around = {*_AROUND, "kernel", "address", "size", "use", "identify"}
    is_which = reading.asks_which and reading.within({"kernel"}, {"running", "use"})
    if reading.within({"kernel_version"}, around) or is_which:
        return call("kernel", "the kernel's release, build id and KASLR offset")
    return None


def modules(reading: Reading) -> Meaning | None:
    """Kernel modules."""
    around = {
        *_AROUND,
        "loaded",
        "count",
        "kernel",
        "most",
        "least",
        "sort",
        "limit",
        "memory",
        "use",
        "size",
        "name",
        "like",
        "about",
        "and",
    }
    if not reading.within({"module"}, around) and not reading.within({"name", "loaded"}, _AROUND):
        return None
    if reading.is_wish("load", "insert"):
        return None  # it would be done in the guest
    named = reading.named("module")
    extreme = reading.has("most", "least", "sort")
    if reading.has("name"):
        is_about_row = reading.has("loaded", "like", "running", "about") or reading.asks_whether
        if len(named) != 1 or not is_about_row or reading.has("count", "size", "most", "memory"):
            return None
        return overlay("modules", f"module {named[0]}", where=(("name", named[0]),))
    if reading.has("highlight", "go", "memory") and not extreme:
        return None
    if extreme:
        return _extreme(reading, "modules", "module", "size", "modules by size")
    if reading.has("count"):
        return overlay("modules", "how many modules are loaded", count=True)
    is_in_use = reading.within({"use", "module"}, {*_AROUND, "kernel"}) and "in use" in reading.question.lower()
    if is_in_use or (reading.asks_of_each and not reading.has("like", "limit")):
        return verb("modules", "loaded kernel modules")
    return None if reading.has("size", "memory", "use", "limit", "like") else verb("modules", "loaded kernel modules")


def _extreme(reading: Reading, table: str, concept: str, column: str, what: str) -> Request:
    is_sorted = reading.has("sort") and not reading.has("most")
    first = reading.number("limit") or (None if is_sorted else _TOP if reading.is_plural(concept) else 1)
    if is_sorted and not reading.has("least"):
        return overlay(table, f"{what}, the greatest first", sort=column, reverse=True, first=first)
    is_most = reading.has("most")
    says = f"{what}, the {'greatest' if is_most else 'least'} first: {'one' if first == 1 else first}"
    return overlay(table, says, sort=column, reverse=is_most, first=first)


def slabs(reading: Reading) -> Meaning | None:
    """Slab caches."""
    around = {
        *_AROUND,
        "cache",
        "count",
        "object",
        "most",
        "least",
        "sort",
        "memory",
        "use",
        "limit",
        "kernel",
        "name",
        "size",
        "identify",
    }
    if not any(reading.within({concept}, around) for concept in ("slab", "object")) and not reading.within(
        {"count", "name"}, around
    ):
        return None
    named = reading.named("slab")
    if reading.has("name"):
        is_about_row = reading.has("object", "count") and not reading.has("memory", "most", "least")
        return (
            overlay("slabs", f"slab cache {named[0]}: its objects and slabs", where=(("name", named[0]),))
            if len(named) == 1 and is_about_row
            else None
        )
    if reading.has("most", "least", "sort"):
        if reading.has("object"):
            return _extreme(reading, "slabs", "slab", "active_objects", "slab caches by objects")
        return _extreme(reading, "slabs", "slab", "size", "slab caches by size")
    if reading.has("count"):
        return overlay("slabs", "how many slab caches there are", count=True) if not reading.has("object") else None
    if reading.has("memory", "size", "limit", "object", "identify") and not reading.asks_of_each:
        return None
    return overlay("slabs", "slab caches")


def files(reading: Reading) -> Meaning | None:
    """Files with pages in memory."""
    around = {
        *_AROUND,
        "cache",
        "file",
        "memory",
        "use",
        "most",
        "least",
        "sort",
        "hog",
        "limit",
        "count",
        "page",
        "size",
        "loaded",
        "like",
        "pattern",
        "map",
        *(("kernel",) if reading.has("cache") and "file" in reading.question.lower() else ()),
    }
    if not reading.has("cache", "file") or not reading.items <= around:
        return None
    if reading.has("most", "least", "sort") and reading.has("file", "cache"):
        return _extreme(reading, "page-cache", "file" if reading.has("file") else "cache", "pages", "files by memory")
    if reading.within({"file", "loaded"}, _AROUND) and "lib" in reading.question.lower():
        return overlay("areas", "libraries that processes map", where=(("path", "*.so*"),))
    if reading.within({"use", "cache"}, {*_AROUND, "file"}):
        return overlay("page-cache", "files by memory, the greatest first", sort="pages", reverse=True)
    if reading.texts("pattern"):
        pattern = reading.texts("pattern")[0]
        return overlay("page-cache", f"files in memory like {pattern}", where=(("path", f"*{pattern}"),))
    if reading.has("count") and not reading.has("page", "size", "use"):
        return overlay("page-cache", "how many files are in memory", count=True)
    if reading.has("size", "count", "page", "use", "hog", "like", "map", "limit"):
        return None
    if reading.has("file") and not reading.has("memory", "cache", "loaded"):
        # Of files on a disk nothing is in RAM.
        return Unsure(
            "which files is not said: in memory, or open",
            (overlay("page-cache", "files in memory"), overlay("open-files", "open files of all processes")),
        )
    if reading.has("show") and not reading.has("file") and not any("file" in token.text for token in reading.tokens):
        return None  # the page cache as memory, in a viewer
    return overlay("page-cache", "files in memory")


def mounts(reading: Reading) -> Meaning | None:
    """Mounted file systems."""
    around = {*_AROUND, "file", "where", "count", "like", "root", "path"}
    if not reading.within({"mount"}, around) or reading.has("like"):
        return None
    if reading.has("path"):
        if reading.is_wish("mount"):
            return None  # it would be done in the guest
        return overlay(
            "mounts", f"what is mounted at {reading.texts('path')[0]}", where=(("point", reading.texts("path")[0]),)
        )
    return overlay(
        "mounts", f"{'how many ' if reading.has('count') else ''}mounted file systems", count=reading.has("count")
    )


def log(reading: Reading) -> Meaning | None:
    """The kernel's log."""
    around = {
        *_AROUND,
        "kernel",
        "last",
        "most",
        "limit",
        "count",
        "error",
        "warning",
        "number",
        "read",
        "dump",
        "since",
        "newest",
        "console",
        "quoted",
        "like",
    }
    if not reading.within({"log"}, around):
        if not reading.within({"kernel"}, {*_AROUND, "error", "warning", "count"}) or not reading.has(
            "error", "warning"
        ):
            return None
    if reading.has("quoted") or reading.has("like"):
        return (
            None
            if len(reading.texts("quoted")) != 1
            else overlay(
                "dmesg",
                f"kernel messages with {reading.texts('quoted')[0]!r}",
                where=(("text", f"*{reading.texts('quoted')[0]}*"),),
            )
        )
    if reading.has("console") and not reading.has("log"):
        return None
    where: tuple[tuple[str, str], ...] = ()
    says = "the kernel's log"
    if reading.has("error", "warning"):
        level = "err" if reading.has("error") else "warning"
        where, says = (("level", level),), f"kernel messages of level {level}"
    if reading.has("last", "most", "newest", "limit", "number"):
        last = reading.number("limit") or reading.number("number") or _TOP
        return overlay("dmesg", f"the last {last} of {says}", where=where, last=last)
    return overlay(
        "dmesg", f"{'how many lines: ' if reading.has('count') else ''}{says}", where=where, count=reading.has("count")
    )


def console(reading: Reading) -> Meaning | None:
    """What the guest printed on its console."""
    if reading.within({"console"}, {*_AROUND, "log", "read", "kernel", "dump"}) and not reading.within(
        {"console", "log", "kernel"}
    ):
        return verb("console", "the guest's console", operation="")
    return None


def tables(reading: Reading) -> Meaning | None:
    """Which overlays there are."""
    return (
        call("overlays", "the overlays that there are")
        if reading.within({"table"}, {*_AROUND, "count"}) and not reading.has("count")
        else None
    )


def targets(reading: Reading) -> Meaning | None:
    """How a target may begin."""
    return verb("targets", "how a target may begin") if reading.within({"target"}, {"show", "all", "use"}) else None


def events(reading: Reading) -> Meaning | None:
    """The stream of events."""
    return (
        verb("events", "events of the machine as they come", operation="")
        if reading.within({"event"}, {*_AROUND, "machines"})
        else None
    )


# --- names and bytes -------------------------------------------------------------------------------------------


def symbols(reading: Reading) -> Meaning | None:
    """A symbol's address, or symbols that are like a word."""
    words = reading.symbols
    rest = [token for token in reading.tokens if token.concept not in ("find", "show", "all")]
    if (
        reading.within({"symbol", "like"}, {item for item in reading.items if item not in ("not", "count", "except")})
        and len(rest) == 3
    ) or (reading.within({"find", "symbol"}, reading.items) and len(rest) == 2 and not words):
        part = next((token.text for token in rest if token.concept not in ("symbol", "like")), "")
        if part:
            return call("find_symbols", f"symbols like {part}", part=part)
    if len(words) != 1 or (reading.has("address") and reading.texts("address")):
        return None
    word = words[0]
    around = {
        "show",
        "symbol",
        "address",
        "where",
        "unknown",
        "name",
        "owner",
        "pattern",
        "kernel",
        "find",
        "like",
        "all",
        "identify",
        "count",
        "memory",
        "translate",
    }
    if not reading.items <= around or reading.has("count"):
        return None
    is_like = reading.has("like", "find", "pattern") or reading.is_plural("symbol")
    if is_like and reading.has("symbol"):
        return call("find_symbols", f"symbols like {word}", part=word)
    if (
        reading.has("symbol", "address", "where", "identify")
        and reading.names.is_symbol(word)
        and not (reading.has("show") and not reading.has("symbol", "address", "where"))
    ):
        if reading.has("identify") and not reading.has("address", "where"):
            return verb("identify", f"what is at {word}", word, place=word)
        return verb("sym", f"symbol {word}", word, symbol=word)
    return None


def bare_symbol(reading: Reading) -> Meaning | None:
    """``what is init_task``."""
    word = reading.symbols[0] if len(reading.symbols) == 1 else ""
    if reading.within({"unknown"}) and ("_" in word or reading.asks_which):
        if reading.names.is_symbol(word):
            return verb("identify", f"what is at {word}", word, place=word)
        if reading.names.is_type(word):
            return call("type_layout", f"layout of struct {word}", name=word)
    return None


def struct(reading: Reading) -> Meaning | None:
    """The layout of a kernel type."""
    words = reading.symbols
    around = {
        "show",
        "struct",
        "unknown",
        "name",
        "owner",
        "kernel",
        "size",
        "map",
        "like",
        "page",
        "all",
        "pattern",
        "pid",
        "where",
        "status",
    }
    if reading.within({"struct", "memmap"}, {"show"}):
        return call("type_layout", "layout of struct page", name="page")
    if not reading.has("struct") or not reading.items <= around:
        return None
    if reading.has("like", "all", "pattern") or (
        reading.is_plural("struct") and not any(reading.names.is_type(word) for word in words)
    ):
        word = words[0].strip("*") if len(words) == 1 else ""
        return (
            call("type_names", f"structs like {word}", part=word)
            if word and reading.has("like", "pattern", "struct")
            else None
        )
    types = [word for word in words if reading.names.is_type(word)]
    types = types or (["page"] if reading.has("page") and not words else [])
    is_field = any(token.text.lower().startswith("offset") for token in reading.tokens)
    if len(types) != 1 or (len(words) > 1 and not is_field):
        return None
    return call("type_layout", f"layout of struct {types[0]}", name=types[0])


def identify(reading: Reading) -> Meaning | None:
    """What an address is."""
    around = {"address", "identify", "show", "owner", "page", "memory", "translate", "where", "map", "process", "kernel", "symbol", "use", "file", "slab",
              "object", "read"}  # fmt: skip
    if reading.asks_whether:
        around |= {"free", "reserved", "cache", "slab", "anonymous", "zero", "text"}
    frame = reading.number("frame_number")
    if frame is not None and reading.items <= around | {"frame", "frame_number"}:
        return verb("identify", f"what page frame {frame} is", f"{frame << 12:#x}", place=f"{frame << 12:#x}")
    places = reading.texts("address")
    if (
        len(places) != 1
        or not reading.items <= around | {"frame"}
        or (reading.has("read") and not reading.has("frame"))
    ):
        return None
    is_frame = re.search(rf"(frame|number|pfn)\W*{places[0]}\b", reading.question) is not None
    if is_frame or _is_page_number(reading):
        number = int(places[0], 16)
        choices = [
            verb("identify", f"what page frame {number:#x} is", f"{number << 12:#x}", place=f"{number << 12:#x}")
        ]
        if not is_frame:
            choices.append(verb("identify", f"what is at {number:#x}", places[0], place=places[0]))
        return choices[0] if len(choices) == 1 else Unsure("a page's number, or an address in it", tuple(choices))
    if reading.has("show") and not reading.has("identify", "use", "translate") and not reading.has("symbol"):
        return None
    place = place_of(places[0])
    if reading.owners:
        if len(reading.owners) != 1:
            return None
        known = reading.pids(reading.owners[0])
        if len(known) != 1:
            return Unsure(f"{reading.owners[0]} is not one process")
        place = f"va:{place.removeprefix('va:')}@pid:{known[0].pid}"
    return verb("identify", f"what is at {place}", place, place=place)


def _is_page_number(reading: Reading) -> bool:
    """Whether a number behind ``page`` may be the page's: as an address it is none of a page."""
    pairs = zip(reading.tokens, reading.tokens[1:], strict=False)
    return any(first.concept == "page" and second.kind == "address" and second.number % 4096 for first, second in pairs)


def peek(reading: Reading) -> Meaning | None:
    """Bytes at an address."""
    symbols = [word for word in reading.symbols if reading.names.is_symbol(word)]
    if (
        len(symbols) == 1
        and reading.within({"unknown"}, {"read", "dump", "length", "memory", "symbol"})
        and len(reading.tokens) > 1
    ):
        known = verb("identify", f"what is at {symbols[0]}", symbols[0], place=symbols[0])
        reason = "bytes are shown at guest-physical addresses; identify tells the physical address of a symbol"
        return Unsure(reason, (known,)) if reading.has("read", "dump", "length") else None
    if reading.asks_owner:
        return None
    places = reading.texts("address")
    around = {"address", "read", "dump", "show", "memory", "length", "number", "identify", "page", "where", "since"}
    if (
        len(places) != 1
        or not reading.items <= around
        or not (reading.has("read", "dump", "length") or (reading.has("show") and reading.has("memory")))
    ):
        return None
    if place_of(places[0]).startswith("va:"):
        return Unsure(
            "bytes are shown at guest-physical addresses; identify tells the physical address of a virtual one",
            (verb("identify", f"what is at {place_of(places[0])}", place_of(places[0]), place=place_of(places[0])),),
        )
    address = int(places[0], 16)
    length = reading.number("length") or reading.number("number") or 256
    if reading.has("number") and reading.number("length") is not None:
        return None
    return verb(
        "peek",
        f"{length} bytes at {places[0]}",
        places[0],
        str(length),
        operation="read_memory",
        ranges=((address, length),),
    )


def find(reading: Reading) -> Meaning | None:
    """Places in RAM that hold some text, or bytes."""
    quoted = reading.texts("quoted")
    around = {"find", "where", "memory", "show", "all", "text", "page", "like", "use", "identify", "read", "loaded"}
    if (
        reading.within({"quoted"}, around)
        and len(quoted) == 1
        and reading.has("find", "where", "memory", "identify", "like")
    ):
        return _found(quoted[0])
    digits = re.search(r"\b(?:hex|bytes?)\s+((?:[0-9a-f]{2} ?)+)$", reading.question.strip(" .?!").lower())
    if digits and reading.has("find", "where"):
        return _found_bytes(digits[1].replace(" ", ""))
    kinds = [
        token.concept or token.kind
        for token in reading.tokens
        if token.concept not in ("memory", "all", "like", "read", "show")
    ]
    in_memory = (
        reading.has("memory") or re.search(r"\b(strings?|word|phrase|text)\b", reading.question.lower()) is not None
    )
    if kinds[:2] == ["find", "text"] and f"text {reading.tokens[-1].text.lower()}" in reading.question.lower():
        kinds.remove("text")
    if kinds == ["find", "unknown"] or (in_memory and kinds in (["find", "root"], ["find", "error"], ["find", "name"])):
        return _found(
            next(
                token.text
                for token in reading.tokens
                if token.concept in ("root", "error") or token.kind in ("unknown", "name")
            )
        )
    unknown = reading.texts("unknown")
    if reading.has("find", "where") and reading.within({"read", "unknown"}, around) and len(unknown) == 1:
        if re.fullmatch("([0-9a-fA-F]{2})+", unknown[0]):
            return _found_bytes(unknown[0])
    return None


def _found_bytes(digits: str) -> Request:
    return Request(f"where the bytes {digits} are in RAM", ("find", MACHINE, "--hex", digits), "", {})


def _found(text: str) -> Request:
    return Request(f"where {text!r} is in RAM", ("find", MACHINE, text), "", {})


# --- moments ---------------------------------------------------------------------------------------------------


def changes(reading: Reading) -> Meaning | None:
    """What changed: since a capture, since an epoch, or just which pages."""
    around = {"change", "compare", "since", "last", "capture", "path", "epoch", "epoch_number", "memory", "page", "show", "all", "owner", "kernel", "where",
              "number", "count", "seconds", "second", "and", "status", "heap", "stack", "process", "loaded"}  # fmt: skip
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
    target = ""
    if reading.has("owner", "kernel"):
        wanted = Reading(
            [
                token
                for token in reading.tokens
                if token.kind in ("name", "pid") or token.concept in ("kernel", "heap", "stack")
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
    """Keep a moment."""
    around = {"capture", "take", "memory", "path", "status", "all", "unknown", "like"}
    if (
        not reading.items <= around
        or not reading.has("capture", "take")
        or not (reading.has("capture") or reading.within({"take", "memory"}, around))
    ):
        return None
    if (
        not reading.has("take")
        and len(reading.tokens) > 2
        and not (reading.has("path") and reading.is_wish("capture", "checkpoint", "snapshot"))
    ):
        return None
    if reading.has("unknown", "like") and (
        not reading.has("take") or len(reading.texts("unknown")) != 1 or reading.tokens[-1].kind != "unknown"
    ):
        return None
    return _capture(reading)


def _capture(reading: Reading) -> Request:
    taken = {path.rsplit("/", 1)[-1] for path in reading.names.captures}
    output = next(iter(reading.texts("path") or reading.texts("unknown")), "") or next(
        name for n in count_up(1) if (name := f"checkpoint-{n}") not in taken
    )
    return verb("capture", f"write the machine's memory to {output}", "-o", output, output=output)


# --- control -----------------------------------------------------------------------------------------------------


def control(reading: Reading) -> Meaning | None:
    """Pause, resume, stop."""
    for concept, name, says in (
        ("pause", "pause", "stop the vCPUs"),
        ("resume", "resume", "continue the vCPUs"),
        ("shutdown", "stop", "end the machine"),
    ):
        if reading.within({concept}, {"running", "all"}):
            return verb(name, says)
    if reading.within({"stop"}):
        return Unsure("what to stop is not said", (verb("pause", "stop the vCPUs"), verb("stop", "end the machine")))
    return None


def run_in_guest(reading: Reading) -> Meaning | None:
    """A command in the guest."""
    if (
        reading.within({"quoted"}, {"run", "running", "start"})
        and reading.has("run", "running")
        and len(reading.texts("quoted")) == 1
    ):
        command = reading.texts("quoted")[0]
        return verb("exec", f"run {command!r} in the guest", command, command=command)
    return None


# --- pictures and viewers ------------------------------------------------------------------------------------------


def pictures(reading: Reading) -> Meaning | None:
    """A picture or a video of RAM."""
    around = {"take", "memory", "show", "path", "all", "draw", "status", "second", "seconds", "save", "like"}
    if reading.within({"draw"}, {"memory", "all", "picture"}) or reading.within(
        {"picture"}, around - {"second", "seconds"}
    ):
        output = next(iter(reading.texts("path")), "memory.png")
        return verb("snap", f"draw RAM into {output}", "-o", output, options={"output": output})
    if reading.within({"video"}, around):
        output, seconds = next(iter(reading.texts("path")), "memory.mp4"), reading.number("seconds") or 10
        options = {"output": output, "seconds": seconds}
        return verb(
            "record-video",
            f"record {seconds} s of RAM into {output}",
            "-o",
            output,
            "--seconds",
            str(seconds),
            operation="record_video",
            options=options,
        )
    return None


def viewers(reading: Reading) -> Meaning | None:
    """The open viewers, or a new one."""
    around = {"show", "open", "count", "running", "all", "status", "where", "go", "use", "established"}
    if not reading.has("viewer") or not reading.items <= around | {"viewer", "start"}:
        return None
    if reading.has("start") or (
        reading.has("open") and not reading.is_plural("viewer") and reading.tokens[0].concept == "open"
    ):
        return verb("view", "open a viewer", operation="")
    return (
        verb("viewers", "the open viewers, and what each shows")
        if not reading.has("count", "go")
        else verb("viewers", "the open viewers")
    )


# --- execution -------------------------------------------------------------------------------------------------------


def tracing(reading: Reading) -> Meaning | None:
    """Tracing: its state, a recording, its end."""
    around = {
        "trace",
        "take",
        "start",
        "stop",
        "status",
        "running",
        "show",
        "second",
        "seconds",
        "path",
        "doing",
        "pause",
        "change",
    }
    is_execution = reading.has("mode_execution") and reading.has("take", "start") and not reading.has("show")
    if not (reading.has("trace") or is_execution) or not reading.items <= (around - {"change"}) | {"mode_execution"}:
        return None
    if reading.asks_whether:
        return call("trace_status", "whether and how execution is traced")
    if reading.has("stop", "pause"):
        return call("trace_disarm", "stop tracing")
    is_verb = any(token.concept == "trace" and token.text.lower() == "trace" for token in reading.tokens)
    is_recording = reading.has("take", "start", "seconds") or (
        is_verb and not reading.has("status", "running", "show", "doing")
    )
    if not is_recording or reading.has("status"):
        return call("trace_status", "whether and how execution is traced")
    output, seconds = next(iter(reading.texts("path")), "trace.gbt"), reading.number("seconds") or 5
    words = ("-o", output, "--seconds", str(seconds))
    arguments = {"output": output, "options": {"seconds": seconds}}
    return verb(
        "trace", f"record what is executed for {seconds} s into {output}", *words, operation="trace_record", **arguments
    )


def hottest(reading: Reading) -> Meaning | None:
    """The hottest code of a trace file."""
    around = {
        "hot",
        "trace",
        "symbol",
        "text",
        "show",
        "path",
        "last",
        "most",
        "kernel",
        "process",
        "use",
        "limit",
        "where",
        "all",
        "running",
    }
    if not reading.items <= around or not (
        reading.has("hot") or reading.within({"trace", "path"}, around) or reading.within({"most", "symbol", "path"})
    ):
        return None
    paths = [*reading.texts("path"), *reading.names.traces[::-1]]
    record = verb(
        "trace",
        "record what is executed for 5 s into trace.gbt",
        "-o",
        "trace.gbt",
        "--seconds",
        "5",
        operation="trace_record",
        output="trace.gbt",
        options={"seconds": 5},
    )
    if not paths:
        return Unsure(
            "what is hot is counted in a trace, and there is no trace file in the working folder; record one, then ask again",
            (record,),
        )
    words = ("trace", "top", paths[0], "--symbols", MACHINE)
    return Request(f"the hottest code, paths and processes of {paths[0]}", words, "trace_top", {"file": paths[0]})


def only_a_name(reading: Reading) -> Meaning | None:
    """A name, and nothing about what of it is wanted."""
    around = {"process", "module", "slab", "file", "identify", "and"}
    if (
        reading.owners
        and reading.within({"owner"}, around)
        and len(reading.owners) == 1
        and reading.owners[0].pid is None
    ):
        owner = reading.owners[0]
        row = overlay("processes", f"{owner}: its row of the process table", where=(owner.where,))
        if reading.asks_whether and reading.within({"owner"}):
            return row  # is it there?
        known = reading.pids(owner)
        areas = [verb("maps", f"memory map of {owner}", str(known[0].pid), pid=known[0].pid)] if len(known) == 1 else []
        return Unsure(f"what of {owner} is wanted is not said", (row, show(owner.target, f"memory of {owner}"), *areas))
    if reading.within({"name"}, around) or reading.within({"path"}, around):
        found = memory_of(reading)
        if isinstance(found, tuple):
            return Unsure(f"what of {found[1]} is wanted is not said", (show(*found), how_much(*found)))
        return found
    return None


def help_(reading: Reading) -> Meaning | None:
    """What can be asked."""
    return (
        Request("what can be asked", ("ask", MACHINE, "--examples"), "")
        if reading.within({"help"}, {"show", "use"})
        else None
    )


TOPICS: tuple[Topic, ...] = (
    help_,
    status,
    machines,
    kernel_version,
    processes,
    threads,
    memory_map,
    open_files,
    sockets,
    stack_traces,
    modules,
    slabs,
    files,
    mounts,
    log,
    console,
    tables,
    targets,
    events,
    symbols,
    bare_symbol,
    struct,
    identify,
    peek,
    find,
    changes,
    capture,
    control,
    run_in_guest,
    pictures,
    viewers,
    tracing,
    hottest,
    viewer_or_where,
    go_to_byte,
    clear_highlight,
    colouring,
    only_a_name,
)
"""All topics. Each answers what it can account for wholly; where several give different answers the question is unclear."""
