"""Prompts for common investigations: what to look at, in which order, with which tools."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its arguments with what they mean, and the text that they go into."""

    name: str
    description: str
    arguments: dict[str, str]
    text: str

    def fill(self, given: dict[str, str]) -> str:
        """The text with its arguments; `UsageError` where one is missing."""
        missing = [name for name in self.arguments if not given.get(name)]
        if missing:
            raise UsageError(f"prompt {self.name} needs {', '.join(missing)}")
        return self.text.format(**{name: given[name] for name in self.arguments})


_ENDING = (
    "Say what you found in a few sentences, with the addresses, pids and sizes that show it, and what was skipped."
)

PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "show_process_memory",
            "Show a process's memory in the open viewer, and explain what is seen.",
            {"process": "name or pid of the process"},
            "Show the memory of process {process}. Find it with `ps`. Take the target `comm:NAME` or `pid:N`; ask `viewers` whether a viewer is open, "
            "then `highlight` the target, which flies the camera there; if none is open, use `snap` with `at` set to `glow=TARGET,dim=all`. "
            "Compare the sizes of TARGET/heap, /stack, /text, /anonymous, /file and /pagetables with `resolve`. "
            + _ENDING,
        ),
        Prompt(
            "who_owns_this_byte",
            "Explain what is at an address, and who uses it.",
            {"address": "a guest-physical address, va:ADDRESS, va:ADDRESS@pid:N, or a symbol"},
            "What is at {address}? Ask `identify`. If a slab object is there, read its struct with `type_layout` of the cache's type and `read_memory`; if a "
            "file, say who maps it; if a page table, whose it is. Then `fly_to` it if a viewer is open. " + _ENDING,
        ),
        Prompt(
            "where_did_memory_go",
            "Account for the machine's memory.",
            {},
            "Account for this machine's RAM. Read the resource page-map, then `overlay` slabs and page-cache, and `ps` for resident pages. Which classes, owners, "
            "files and slab caches have most of it? `highlight` the largest one if a viewer is open. " + _ENDING,
        ),
        Prompt(
            "what_changed",
            "Explain what changed since an earlier capture.",
            {"before": "path of a capture, as the resource captures lists them"},
            "What changed since {before}? Use `compare`, first without a target, then for the processes that changed most (`comm:NAME`). Look at processes, modules and "
            "sockets that came or went. " + _ENDING,
        ),
        Prompt(
            "why_is_it_stuck",
            "Find out where a process sleeps, and why.",
            {"process": "name or pid of the process"},
            "Why does process {process} not go on? Look at its state with `ps`, its threads and their kernel stacks with `overlay` threads and kernel-stacks, and at what it has "
            "open with `overlay` open-files and sockets. Name the system call that it waits in. " + _ENDING,
        ),
        Prompt(
            "is_anything_hidden",
            "Look for processes, modules and sockets that do not fit together.",
            {},
            "Does anything in this guest hide? Compare `ps` with `overlay` threads, `modules` with the memory of class:module, and `overlay` sockets with the processes that "
            "have them. Executable anonymous memory (`maps`) deserves a look. Do not conclude more than the tables show. "
            + _ENDING,
        ),
    )
}
"""The prompts, by name."""
