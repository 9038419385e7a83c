"""Verbs about execution: ``trace NAME -o FILE`` records; ``trace info|check|show|syscalls|functions|diff|find|commands|top|cache|export FILE`` reads; ``trace stop NAME`` ends."""

from __future__ import annotations

from . import trace_cache, trace_calls, trace_functions, trace_read, trace_record, trace_top
from .options import Verbs, add_verb

_ACTIONS = (
    "record",
    "stop",
    "info",
    "check",
    "show",
    "syscalls",
    "functions",
    "diff",
    "find",
    "commands",
    "top",
    "cache",
    "export",
)


def spell_out(words: list[str]) -> list[str]:
    """``trace NAME …`` as ``trace record NAME …``; a machine called ``info`` needs the long form."""
    if words[:1] == ["trace"] and len(words) > 1 and words[1] not in (*_ACTIONS, "-h", "--help"):
        return ["trace", "record", *words[1:]]
    return words


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "trace", trace_record.record, "glassbox trace demo -o demo.gbt --seconds 5")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for group in (trace_record, trace_read, trace_calls, trace_functions, trace_top, trace_cache):
        group.add_verbs(actions)
