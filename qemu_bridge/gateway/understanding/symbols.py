"""Topics about names of the kernel: symbols and their addresses, structs and their fields."""

from __future__ import annotations

import re

from .reading import Reading
from .request import Meaning, Unsure, call, verb


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
            part = _pattern(reading, part)
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
    is_like = (
        reading.has("like", "pattern")
        or (reading.has("find") and not reading.has("where"))
        or reading.is_plural("symbol")
    )
    if is_like and reading.has("symbol"):
        part = _pattern(reading, word)
        return call("find_symbols", f"symbols like {part}", part=part)
    if (
        reading.has("symbol", "address", "where", "identify")
        and reading.names.is_symbol(word)
        and not (reading.has("show") and not reading.has("symbol", "address", "where"))
    ):
        if reading.has("identify") and not reading.has("address", "where"):
            return verb("identify", f"what is at {word}", word, place=word)
        return verb("sym", f"symbol {word}", word, symbol=word)
    return None


def _pattern(reading: Reading, part: str) -> str:
    """What names are like whose beginning, or end, is `part`: without wildcards it may be anywhere in them."""
    said = " ".join(token.text.lower() for token in reading.tokens if token.concept == "like")
    if "*" in part or "?" in part:
        return part
    if re.search(r"\b(start|begin)", said):
        return f"{part}*"
    return f"*{part}" if re.search(r"\bend", said) else part


def bare_symbol(reading: Reading) -> Meaning | None:
    """``what is init_task``."""
    word = reading.symbols[0] if len(reading.symbols) == 1 else ""
    if reading.within({"unknown", "size"}) and reading.names.is_type(word) and not reading.names.is_symbol(word):
        return call("type_layout", f"layout of struct {word}", name=word)
    if reading.within({"unknown"}) and (
        "_" in word or reading.asks_which or re.search(r"\blook(ing)? ?up\b", reading.question.lower())
    ):
        if reading.names.is_symbol(word):
            return verb("identify", f"what is at {word}", word, place=word)
        if reading.names.is_type(word):
            return call("type_layout", f"layout of struct {word}", name=word)
    return None


def struct(reading: Reading) -> Meaning | None:
    """The layout of a kernel type."""
    words = [*reading.symbols, *(reading.texts("quoted") if reading.has("like") else ())]
    around = {
        "find",
        "quoted",
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
        if not word or not reading.has("like", "pattern", "struct"):
            return None
        found = call("type_names", f"structs like {word}", part=word)
        if _pattern(reading, words[0]) not in (word, f"*{word}*"):
            return Unsure("names of structs are found by any part of them, not by their beginning or end", (found,))
        return found
    types = [word for word in words if reading.names.is_type(word)]
    types = types or (["page"] if reading.has("page") and not words else [])
    is_field = any(token.text.lower().startswith("off") for token in reading.tokens)
    if len(types) != 1 or (len(words) > 1 and not is_field):
        return None
    fields = [
        token.text
        for token in reading.tokens
        if token.text != types[0] and (token.text in words or token.concept == "pid")
    ]
    says = f"layout of struct {types[0]}" + (
        f", which has the offset of {fields[0]} if that is a field" if fields else ""
    )
    return call("type_layout", says, name=types[0])
