"""Questions about places: what a target's memory is (`resolve`), and whose a place is (`identify`).

`grammar` reads the words, `sources` looks at the guest; the two modules between turn one into the other.
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
