"""The host of programs that know they are on lanes: the imports of the module ``glassbox``."""

from .glassbox import Glassbox, Record

__all__ = ["Glassbox", "Record"]
