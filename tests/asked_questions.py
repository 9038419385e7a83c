"""Lists of questions with the commands that answer them, and how well a list is understood.

A line is ``question => command | another command for the same``; one without a command has no answer, and is understood if it is refused.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from qemu_bridge.gateway.understanding import KnownProcess, Names, Request, understand

FOLDER = Path(__file__).parent / "references/asked"


@dataclass(frozen=True)
class Asked:
    """A question, and the commands of which each is a right answer; none if it is to be refused."""

    question: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """How a list was understood: questions `as_meant`, `unsure` (asked back though there is an answer), and `wrong` (another command)."""

    as_meant: tuple[str, ...]
    unsure: tuple[str, ...]
    wrong: tuple[str, ...]


def read_questions(path: Path) -> list[Asked]:
    """The questions of a list, in its order."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    rows = [line.partition("=>") for line in lines]
    return [Asked(row[0].strip(), tuple(filter(None, map(str.strip, row[2].split(" | "))))) for row in rows]


def score(rows: list[Asked], names: Names) -> Score:
    """Ask all of `rows`."""
    found: dict[str, list[str]] = {"as_meant": [], "unsure": [], "wrong": []}
    for row in rows:
        meaning = understand(row.question, names, "demo")
        if not isinstance(meaning, Request):
            found["unsure" if row.commands else "as_meant"].append(row.question)
            continue
        command = meaning.command_text("demo").removeprefix("glassbox ")
        right = {same_command(each, names.processes) for each in row.commands}
        is_right = same_command(command, names.processes) in right
        found["as_meant" if is_right else "wrong"].append(row.question if is_right else f"{row.question} => {command}")
    return Score(*map(tuple, found.values()))


def same_command(command: str, processes: tuple[KnownProcess, ...] = ()) -> tuple[str, ...]:
    """The words of a command, such that commands with the same answer have the same: conditions in one order, a process by its pid."""
    words = shlex.split(command)
    if words[:2] == ["trace", "stop"]:
        words = ["call", words[2], "trace_disarm"]
    if words[0] in ("ps", "modules"):
        words = ["overlay", words[1], {"ps": "processes"}.get(words[0], words[0])]
    for process in processes:
        if [each.name for each in processes].count(process.name) == 1:
            name = re.escape(process.name)
            words = [re.sub(rf"\bcomm:{name}(?![\w-])", f"pid:{process.pid}", word) for word in words]
            words = [
                re.sub(rf"^name=(?={name}$)", f"pid={process.pid}=", word).removesuffix(f"={process.name}")
                for word in words
            ]
    conditions = sorted(word for at, word in enumerate(words) if at and words[at - 1] == "--where")
    return (*(word for at, word in enumerate(words) if word != "--where" and words[at - 1] != "--where"), *conditions)
