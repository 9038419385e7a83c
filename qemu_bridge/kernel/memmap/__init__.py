"""The memmap: the kernel's record of every page of RAM.

`MemMap` keeps it decoded as columns (`memmap`). `layout` says where a kernel keeps what in its ``struct page``, `records` holds a
copy of those records, `decode` turns them into columns.
"""

from .decode import PageColumns, among
from .layout import PageLayout, PageTypes, compound_head, read_page_types
from .memmap import MemMap

__all__ = ["MemMap", "PageColumns", "PageLayout", "PageTypes", "among", "compound_head", "read_page_types"]
