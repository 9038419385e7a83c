"""Class and owner of every page of guest RAM.

`PageMapBuilder` decodes the kernel's own records and keeps the map up to date (`builder`). It needs the kernel's types;
without them `classify` makes a coarser map from symbols, page tables and content (`content`).
"""

from .builder import PageMapBuilder
from .content import AddressSpace, classify, mapping_class
from .owners import KERNEL, NO_OWNER, PID_LIMIT, owner_of

__all__ = ["KERNEL", "NO_OWNER", "PID_LIMIT", "AddressSpace", "PageMapBuilder", "classify", "mapping_class", "owner_of"]
