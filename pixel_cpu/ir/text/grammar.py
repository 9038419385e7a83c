"""What the text form can name and hold, and which fields an operation has in it."""

import re

from ..operations import OPERATIONS

NAMES = {
    "value": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "memory": re.compile(r"[A-Za-z0-9_.$]+"),
    "label": re.compile(r"[A-Za-z0-9_.]+"),
    "unit": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
}
"""What the text form can name: a kernel's parameter, memory, a label, a kernel or function."""
HAS_LABEL = ("block", "loop", "break", "continue")
HAS_TEXT = ("trap", "print", "host_call")
HAS_BOUNDS = tuple(name for name, row in OPERATIONS.items() if row.effect == "memory")
HAS_MEMORY = ("call", *(name for name, row in OPERATIONS.items() if "@memory" in row.signature))
