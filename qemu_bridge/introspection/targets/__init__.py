"""Targets and places: `resolve` finds the memory that a target names, `identify` finds owner and use of a byte.

`grammar` is the syntax, `parse` and `format` read and write it, `complete` continues it; `sources` reads the guest.
"""

from .complete import complete_target
from .hints import suggest
from .identify import identify_place
from .parse import parse_place, parse_target
from .ranges import total
from .resolve import describe_ranges, resolve_target
from .sources import GuestSources, Sources, skipped

__all__ = [
    "GuestSources",
    "Sources",
    "complete_target",
    "describe_ranges",
    "identify_place",
    "parse_place",
    "parse_target",
    "resolve_target",
    "skipped",
    "suggest",
    "total",
]
