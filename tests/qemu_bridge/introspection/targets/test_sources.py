"""Sources of answers end when time is up, and say what they lack."""

from types import SimpleNamespace

import numpy as np

from qemu_bridge.introspection.targets import (
    GuestSources,
    skipped,
)
from qemu_bridge.wire.page_map import ENTRY, PageMap


def sources_of_nobody(adapter, query_time_s):
    return GuestSources(
        SimpleNamespace(layout=None), SimpleNamespace(caveat=""), adapter, PageMap(np.zeros(0, ENTRY), {}), query_time_s
    )


def test_sources_end_when_time_is_up():
    sources = sources_of_nobody(SimpleNamespace(), -1.0)
    assert not sources.has_time() and not sources.has_time()
    assert skipped(sources) == ("time ran out before everything was read",)


def test_without_types_there_are_no_processes_and_the_answer_says_so():
    sources = sources_of_nobody(None, 10.0)
    assert sources.processes() == [] and sources.mappings(1) == []
    assert skipped(sources) == ("the kernel carries no types, so its processes cannot be read",)
