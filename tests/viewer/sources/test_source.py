"""Sources: what they lack is None, and a guest that is not understood is drawn anyway."""

from __future__ import annotations

import numpy as np

from qemu_bridge.errors import NotBootedError
from qemu_bridge.wire.records import PageClass
from viewer.sources.source import MemoryOnlySource, Source, read_page_map


def test_a_guest_that_is_not_understood_is_drawn_as_touched_and_untouched(source, monkeypatch):
    def not_yet():
        raise NotBootedError("no kernel yet; wait until it has booted")

    monkeypatch.setattr(source, "page_map", not_yet)
    page_map = read_page_map(source)
    assert np.array_equal(page_map.entries["page_class"] == PageClass.OTHER, source.ram.touched)
    assert page_map.skipped == ("no kernel yet; wait until it has booted",)


def test_memory_alone_has_no_capability_but_is_a_source(source):
    assert isinstance(source, MemoryOnlySource)
    whole: Source = source
    assert whole.connect is whole.reopen is whole.comparison is whole.guest_work_s() is None
    assert whole.refresh_title() == whole.title
    whole.validate()
