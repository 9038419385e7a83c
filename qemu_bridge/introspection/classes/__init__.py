"""What every page of guest RAM is, and whose.

`PageMapBuilder` reads what the kernel itself knows about its pages and keeps the map up to date (`builder`). It needs the
kernel's types; without them `classify` tells from symbols, page tables and content what can be told (`content`).
"""

from .builder import PageMapBuilder
from .content import AddressSpace, classify, mapping_class
from .owners import KERNEL, NOBODY, owner_of

__all__ = ["KERNEL", "NOBODY", "AddressSpace", "PageMapBuilder", "classify", "mapping_class", "owner_of"]
