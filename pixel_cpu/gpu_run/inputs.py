"""What each lane gets: arguments, environment, standard input, folders."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

OUT = "/out"
"""Where a lane finds the folder of its own, unless it is told."""
_MARKS = ("{lane}", "{id}")


@dataclass(frozen=True)
class Folder:
    """A folder of the host under the name that lanes know it by."""

    host: str
    guest: str


def for_lane(text: str, lane: int) -> str:
    """`text` with the lane's number where it says ``{lane}`` or ``{id}``."""
    for mark in _MARKS:
        text = text.replace(mark, str(lane))
    return text


def is_per_lane(text: str) -> bool:
    """Whether a text differs from lane to lane."""
    return any(mark in text for mark in _MARKS)


def read_arguments(file: str) -> list[list[str]]:
    """The words of each line of a file, or of standard input for ``-``, split as a shell splits them; an empty line has none."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: byte {error.start:#x} is not UTF-8") from None
    found = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        try:
            found.append(shlex.split(line.removesuffix("\r")))
        except ValueError as error:
            raise UsageError(f"{file}, line {number}: {str(error).lower()}; quote it as a shell wants it") from None
    return found


def lane_arguments(
    program: str, lanes: int | None, lines: Sequence[Sequence[str]] | None, shared: Sequence[str], file: str = ""
) -> list[list[str]]:
    """The arguments of every lane: the program's name, the shared words, those of the lane's line.

    `UsageError` where there are not as many lines as lanes.
    """
    if lanes is None:
        lanes = 1 if lines is None else len(lines)
    if lines is not None and len(lines) != lanes:
        what = "standard input" if file == "-" else file
        raise UsageError(
            f"{what} has {len(lines)} lines for {lanes} lanes; give each lane a line, or leave --lanes out to have a lane for each line"
        )
    if not lanes:
        raise UsageError(f"{file} has no line, so there is no lane to run")
    if not any(map(is_per_lane, shared)):
        words = [program, *shared]
        return [[*words, *line] for line in lines] if lines is not None else [words] * lanes
    return [
        [program, *(for_lane(word, lane) for word in shared), *(lines[lane] if lines is not None else ())]
        for lane in range(lanes)
    ]


def parse_environment(given: Sequence[str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables from ``NAME=VALUE`` and ``NAME``, which takes the value of this process."""
    own = os.environ if own is None else own
    found = {}
    for text in given:
        name, is_set, value = text.partition("=")
        if not name:
            raise UsageError(f"--env {text!r} has no name; write NAME=VALUE")
        if not is_set and name not in own:
            raise UsageError(f"--env {name}: there is no such variable here; write {name}=VALUE")
        found[name] = value if is_set else own[name]
    return found


def parse_folder(text: str, guest: str | None = None) -> Folder:
    """The folder in ``HOST[:GUEST]``; without GUEST lanes know it as `guest`, or by the name it has here."""
    host, is_named, name = text.rpartition(":")
    if not is_named:
        host, name = text, guest if guest is not None else text
    if not host or not name:
        raise UsageError(f"{text!r} is no folder; write HOST or HOST:GUEST")
    return Folder(host, name)


def check_folder(host: str) -> None:
    """Raise `UsageError` where there is no such folder on this host."""
    if not Path(host).is_dir():
        raise UsageError(f"--dir {host}: there is no such folder")


def own_folder_pattern(text: str, lanes: int) -> Folder:
    """The folder of each lane's own in ``HOST[:GUEST]``; HOST has to name the lane where there are several."""
    folder = parse_folder(text, OUT)
    if lanes > 1 and not is_per_lane(folder.host):
        raise UsageError(
            f"--out-dir {folder.host}: {lanes} lanes need a folder each; write {folder.host.rstrip('/')}/{{id}}"
        )
    return Folder(folder.host.replace(*_MARKS), folder.guest)


def read_input(file: str) -> bytes:
    """The bytes of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
