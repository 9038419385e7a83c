"""Topics about pictures, videos and the open viewers: which there are, what their colours mean, nothing highlighted."""

from __future__ import annotations

import re
from dataclasses import replace

from .memory_targets import PAGE_CLASSES
from .reading import Reading
from .request import Meaning, Unsure, verb

_OF_KERNEL = {"slab", "module", "vmalloc", "memmap", "percpu", "cache", "kernel_data", "rodata", "bss", "init_section"}
"""Classes that are the kernel's, whether that is said or not."""


def pictures(reading: Reading) -> Meaning | None:
    """A picture or a video of RAM."""
    around = {
        "take",
        "memory",
        "show",
        "path",
        "all",
        "draw",
        "status",
        "second",
        "seconds",
        "save",
        "like",
        "file",
        "and",
    }
    if reading.has("colour") and reading.has("identify"):  # by owner
        tokens = [
            replace(token, concept="mode_owner") if token.concept == "identify" else token for token in reading.tokens
        ]
        reading = Reading(tokens, reading.names, reading.question)
    modes = [item.removeprefix("mode_") for item in reading.items if item.startswith("mode_")]
    drawn = {*around, "size_of_picture", "colour", *(f"mode_{mode}" for mode in modes)} - {"second", "seconds"}
    if len(modes) <= 1 and (
        reading.within({"draw"}, {"memory", "all", "picture", "path"}) or reading.within({"picture"}, drawn)
    ):
        return _picture(reading, modes[0] if modes else "")
    if reading.within({"video"}, around | {"since"}):
        output, seconds = next(iter(reading.texts("path")), "memory.mp4"), next(iter(reading.texts("seconds")), "10")
        options = {"output": output, "seconds": float(seconds)}
        return verb(
            "record-video",
            f"record {seconds} s of RAM into {output}",
            "-o",
            output,
            "--seconds",
            seconds,
            operation="record_video",
            options=options,
        )
    return None


def _picture(reading: Reading, mode: str) -> Meaning:
    output = next(iter(reading.texts("path")), "memory.png")
    words = ["-o", output]
    options: dict[str, object] = {"output": output}
    size = next(iter(reading.texts("size_of_picture")), "")
    if size:
        width, height = map(int, size.split("x"))
        words, options = [*words, "--size", size], {**options, "width": width, "height": height}
    if mode:
        words, options = [*words, "--at", f"mode={mode}"], {**options, "at": f"mode={mode}"}
    says = f"draw RAM into {output}{f', coloured by {mode}' if mode else ''}{f', {size} pixels' if size else ''}"
    drawn = verb("snap", says, *words, options=options)
    is_image = any(token.text.lower() == "image" for token in reading.tokens)
    if is_image and reading.has("memory") and not reading.texts("path") and not mode:
        kept = verb("capture", "write the machine's memory to image", "-o", "image", output="image")
        return Unsure("an image of memory may be a picture, or a capture", (drawn, kept))
    return drawn


def viewers(reading: Reading) -> Meaning | None:
    """The open viewers, or a new one."""
    around = {"show", "open", "count", "running", "all", "status", "where", "go", "use", "established"}
    if re.search(r"\b(show|see|display) (me )?(it|this|that)\b|\bin (the|my|a) viewers?\b", reading.question.lower()):
        return None  # that is to be shown there
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


def clear_highlight(reading: Reading) -> Meaning | None:
    """Let nothing stand out."""
    is_one_word = any(
        token.concept == "clear" and re.search("highlight|unmark", token.text.lower()) for token in reading.tokens
    )
    if (
        (is_one_word and reading.within({"clear"}, {"all", "memory"}))
        or reading.within({"clear", "highlight"}, {"all", "stop", "viewer", "memory", "take"})
        or reading.within({"stop", "highlight"})
    ):
        return verb("highlight", "let nothing stand out in the viewers", target="")
    return None


def hiding(reading: Reading) -> Meaning | None:
    """Hide classes of pages in the viewers, or show no others."""
    classes = [token for token in reading.tokens if token.concept in PAGE_CLASSES]
    is_wish = any(token.concept == "clear" and token.text.lower() == "hide" for token in reading.tokens)
    around = {"clear", "page", "memory", "all", "and", "viewer", "view", "kernel"}
    named = {item.removeprefix("not ") for item in reading.items}
    if not is_wish or not classes or not named <= around | set(PAGE_CLASSES):
        return None
    if named & {"kernel"} and not {token.concept for token in classes} <= _OF_KERNEL:
        return None
    negated = {token.is_negated for token in classes}
    if len(negated) > 1 or (negated == {True} and not reading.has("all")):
        return None
    words = "+".join(dict.fromkeys(PAGE_CLASSES[token.concept] for token in classes))
    view = f"only={words}" if negated == {True} else f"hide={words}"
    says = f"hide all but {words} in the viewers" if negated == {True} else f"hide {words} in the viewers"
    return verb("fly-to", says, view, operation="fly_to", view=view)


def colouring(reading: Reading) -> Meaning | None:
    """Change what colours mean."""
    modes = [item for item in reading.items if item.startswith("mode_")]
    owner = reading.has("process", "identify")
    is_mode = reading.has("mode_entropy", "mode_age", "mode_execution") and reading.has("show", "set")
    if not (reading.has("colour") or is_mode or (modes and reading.has("draw"))) or not reading.items <= {
        "colour",
        "draw",
        "set",
        "take",
        "since",
        "show",
        "page",
        "memory",
        "process",
        "identify",
        "all",
        "view",
        "change",
        "viewer",
        *modes,
    }:
        return None
    if len(modes) + (owner and not modes) != 1:
        return None
    mode = modes[0].removeprefix("mode_") if modes else "owner"
    return verb(
        "fly-to", f"colour memory by {mode} in the viewers", f"mode={mode}", operation="fly_to", view=f"mode={mode}"
    )
