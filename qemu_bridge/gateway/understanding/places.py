"""Topics about single bytes: what is at an address, the bytes there, where bytes or a text are, going there in a viewer."""

from __future__ import annotations

import re
from dataclasses import replace

from .reading import Reading
from .request import MACHINE, Meaning, Request, Unsure, verb

_NUMBER_LOOKED_FOR = re.compile(
    r"\W*(?:find|search(?: for)?|grep(?: for)?|look for|scan for)\s+(?:the )?(?:value |number )?0x([0-9a-f]+)\s+(?:in|within|across)\b"
)
"""A number that is to be found, and no address."""
_PEEKED = 256
"""How many bytes are shown, if that is not said."""


def identify(reading: Reading) -> Meaning | None:
    """What an address is."""
    around = {"address", "identify", "show", "owner", "page", "memory", "translate", "where", "map", "process", "kernel", "symbol", "use", "file", "slab", "module",
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
        or _NUMBER_LOOKED_FOR.match(reading.question.lower())
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
    if re.search(
        r"\bpage\W+(at|containing|holding|with|of|that holds|that contains|behind|around)\b", reading.question.lower()
    ):
        return False  # the page at an address
    pairs = zip(reading.tokens, reading.tokens[1:], strict=False)
    return any(first.concept == "page" and second.kind == "address" and second.number % 4096 for first, second in pairs)


def peek(reading: Reading) -> Meaning | None:
    """Bytes at an address, physical or virtual, or at a symbol."""
    targets = [text for text in reading.texts("target") if text.startswith(("va:", "pa:")) and "+" not in text]
    symbols = [word for word in reading.symbols if reading.names.is_symbol(word)]
    ends = reading.texts("address")
    if (
        len(ends) == 2
        and reading.has("read", "dump", "show")
        and reading.items <= {"address", "read", "dump", "show", "memory", "since", "and"}
    ):
        start, end = (int(text, 16) for text in ends)
        is_span = re.search(
            r"(from|between)\s+\S+\s+(up )?(to|and|until)\s|\S\s*(-|to|\.\.)\s*0x", reading.question.lower()
        )
        if not is_span or start >= end:
            return None
        first = Reading([token for token in reading.tokens if token.text == ends[0]], reading.names)
        span = _peeked(first, ends[0], end - start)
        return replace(span, says=f"{span.says}, up to {end:#x}") if isinstance(span, Request) else span
    places = [*reading.texts("address"), *targets, *symbols]
    around = {"address", "target_text", "unknown", "read", "dump", "show", "memory", "length", "number", "identify", "page", "where", "since",
              "translate", "symbol", "owner", "all", "map", "process", "kernel"}  # fmt: skip
    if (
        reading.asks_owner
        or len(places) != 1
        or len(reading.texts("unknown")) > len(symbols)
        or not reading.items <= around
    ):
        return None
    if not (reading.has("read", "dump", "length") or (reading.has("show") and reading.has("memory") and not symbols)):
        return None
    if reading.has("number") and reading.number("length") is not None:
        return None
    if reading.has("translate") and not (reading.has("read", "dump") or reading.has("length")):
        return None
    length = reading.number("length") or reading.number("number") or _PEEKED
    found = _peeked(reading, places[0], length)
    if symbols and "value" in reading.question.lower() and isinstance(found, Request):
        return Unsure("how long a value is, the kernel's symbols do not tell; this shows the bytes there", (found,))
    return found


def _peeked(reading: Reading, place: str, length: int) -> Meaning | None:
    owners = reading.owners
    known = reading.pids(owners[0]) if owners else []
    if (owners and len(known) != 1) or (owners and not place[:1].isdigit()):
        return None
    if owners:
        place = f"va:{int(place, 16):#x}@pid:{known[0].pid}"
    elif place[:1].isdigit() or place.startswith("ffff"):
        text = " ".join(token.text.lower() for token in reading.tokens if token.concept == "translate")
        is_virtual = any(word in text.split() for word in ("virtual", "va", "virt", "kva", "vaddr", "linear"))
        place = f"va:{int(place, 16):#x}" if is_virtual else place_of(place)
    says = f"{length} bytes at {place}"
    base, _, offset = place.partition("+")
    if reading.names.is_symbol(base):
        # The operation takes addresses.
        address = reading.names.symbol_address(base)
        address = None if address is None else address + int(offset or "0", 0)
        read: dict[str, object] = {"ranges": ((address, length),), "space": "virtual"} if address is not None else {}
        return Request(says, ("peek", MACHINE, place, str(length)), "read_memory" if read else "", read)
    if not place.startswith("va:"):
        start = int(place.removeprefix("pa:"), 0)
        return verb("peek", says, place, str(length), operation="read_memory", ranges=((start, length),))
    start_text, _, pid = place.removeprefix("va:").partition("@pid:")
    arguments = {"ranges": ((int(start_text, 0), length),), "space": "virtual", **({"pid": int(pid)} if pid else {})}
    return verb("peek", says, place, str(length), operation="read_memory", **arguments)


def find(reading: Reading) -> Meaning | None:
    """Places in RAM that hold some text, or bytes."""
    number = _NUMBER_LOOKED_FOR.match(reading.question.lower())
    if number and reading.within({"address"}, {"memory", "all", "find"}):
        digits = number[1].zfill(len(number[1]) + len(number[1]) % 2)
        little = bytes.fromhex(digits)[::-1].hex()
        return Unsure("a number may be kept in two orders of its bytes", (_found_bytes(little), _found_bytes(digits)))
    quoted = reading.texts("quoted")
    if quoted and reading.has("find", "string") and reading.has("capture"):
        # In the memory image: that is where everything is looked for.
        reading = Reading(
            [token for token in reading.tokens if token.concept != "capture"], reading.names, reading.question
        )
    around = {
        "find",
        "where",
        "memory",
        "show",
        "all",
        "text",
        "page",
        "like",
        "use",
        "identify",
        "read",
        "loaded",
        "string",
        "running",
    }
    if (
        reading.within({"quoted"}, around)
        and len(quoted) == 1
        and reading.has("find", "where", "memory", "identify", "like")
    ):
        return _found(quoted[0])
    digits = re.search(
        r"\b(?:hex|bytes?|sequence)\s+((?:(?:0x)?[0-9a-f]{2}\b ?)+|(?:[0-9a-f]{2}){2,}\b)", reading.question.lower()
    )
    if digits and reading.has("find", "where"):
        return _found_bytes(re.sub(r"0x| ", "", digits[1]))
    if reading.within({"quoted", "regex"}, around) and len(quoted) == 1:
        return Request(f"where RAM is like {quoted[0]!r}", ("find", MACHINE, "--regex", quoted[0]), "", {})
    kinds = [
        token.concept or token.kind
        for token in reading.tokens
        if token.concept not in ("memory", "all", "like", "read", "show", "string", "running")
    ]
    in_memory = reading.has("memory", "string") or re.search(r"\b(word|text)\b", reading.question.lower()) is not None
    if kinds in (["where", "unknown"], ["where", "name"], ["unknown"], ["name"]) and reading.has("string"):
        kinds = ["find", *kinds[-1:]]
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


def go_to_byte(reading: Reading) -> Meaning | None:
    """Fly to an address or a symbol."""
    if not reading.has("go", "highlight", "show"):
        return None
    around = {"show", "go", "highlight", "memory", "address", "page", "symbol", "struct"}
    frame = reading.number("frame_number")
    if reading.has("go") and frame is not None and reading.within({"frame_number"}, around | {"frame"}):
        return _fly(f"{frame << 12:#x}")
    is_dump = reading.has("show") and reading.has("memory")
    if any(token.text.lower() == "frame" for token in reading.tokens):
        return None  # to frame it, or a page frame's number
    if not is_dump and reading.within({"address"}, around) and reading.texts("address"):
        return _fly(reading.texts("address")[0])
    if (
        reading.within({"unknown"}, around)
        and len(reading.symbols) == 1
        and reading.names.is_symbol(reading.symbols[0])
    ):
        return _fly(reading.symbols[0])
    return None


def _fly(place: str) -> Request:
    place = place_of(place)
    return verb("fly-to", f"go to {place} in the viewers", place, operation="fly_to", place=place)


def place_of(text: str) -> str:
    """An address as a place: one that only a kernel has is virtual."""
    if not text[:1].isdigit() and not text.startswith("ffff"):
        return text
    number = int(text, 16) if not text.lower().startswith("0x") else int(text, 0)
    return f"va:{number:#x}" if number >= 1 << 47 else f"{number:#x}"
