"""What hides in a guest: the same things looked up in several ways, and what is known in one of them only.

Who hides a process, a module or a hook takes it out of what tools look at. The kernel still needs it elsewhere: a task must
be scheduled, code must be mapped, an interrupt must lead somewhere. Each module here has one such comparison.

A running guest changes between two reads. What differs is therefore read again, several times, and only what still differs
is a `Finding`. A guest in which nothing hides gives none.
"""

from .hunt import TIME_S as TIME_S
from .hunt import hunt as hunt

__all__ = ["TIME_S", "hunt"]
