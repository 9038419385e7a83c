"""Which QEMU speaks which version of the TCG plugin API.

The numbers are ``QEMU_PLUGIN_VERSION`` of ``include/qemu/qemu-plugin.h`` in each release. Version 4 brought
reading guest memory from a plugin, without which the block trace cannot name processes, so it is also what
decides the oldest QEMU that Glass Box starts.
"""

from __future__ import annotations

import functools
import operator

from .layout import Capability

PLUGIN_API_BY_RELEASE: tuple[tuple[tuple[int, int], int], ...] = (
    ((9, 2), 4),
    ((10, 1), 5),
    ((11, 0), 6),
    ((11, 1), 7),
)
"""(first QEMU release, plugin API version), ascending; what came before cannot serve."""

MINIMUM_PLUGIN_API = 4

PLUGIN_BY_API = {4: "glassbox_trace", 5: "glassbox_trace", 6: "glassbox_trace", 7: "glassbox_trace_v7"}
"""The library that is loaded into a QEMU of each version; 7 changed the signatures of callbacks."""

NEWEST_RELEASE = (11, 1)
"""The newest QEMU whose interface is known; what a later one changes is not."""


CAPABILITIES_BY_API: tuple[tuple[int, Capability], ...] = (
    (4, Capability.READ_REGISTERS),
    (5, Capability.WRITE_REGISTERS),
    (5, Capability.WRITE_MEMORY),
    (6, Capability.SET_PC),
)
"""(version, what it brought)."""


def capabilities(api: int) -> Capability:
    """What plugins may do in a QEMU of version `api` of the interface; a plugin that is loaded asks QEMU itself.

    >>> capabilities(5)
    <Capability.READ_REGISTERS|WRITE_REGISTERS|WRITE_MEMORY: 7>
    """
    return functools.reduce(operator.or_, (what for first, what in CAPABILITIES_BY_API if api >= first), Capability(0))


def first_release(needed: Capability) -> tuple[int, int]:
    """The oldest QEMU release whose plugins may do what is `needed`.

    >>> first_release(Capability.SET_PC)
    (11, 0)
    """
    return next(first for first, api in PLUGIN_API_BY_RELEASE if capabilities(api) & needed == needed)


def plugin_api(release: tuple[int, int]) -> int:
    """The plugin API version of QEMU `release`, 0 for one older than the table.

    >>> plugin_api((10, 0))
    4
    """
    return max((api for first, api in PLUGIN_API_BY_RELEASE if release >= first), default=0)


def minimum_release() -> tuple[int, int]:
    """The oldest QEMU release that has `MINIMUM_PLUGIN_API`."""
    return next(first for first, api in PLUGIN_API_BY_RELEASE if api >= MINIMUM_PLUGIN_API)
