"""Slab caches, against /proc/slabinfo."""

from __future__ import annotations

import pytest
from overlay_checks import look

pytestmark = pytest.mark.guest


def parse_slabs(text):
    lines = [line.split() for line in text.splitlines() if not line.startswith(("slabinfo", "#"))]
    return {line[0]: (*map(int, line[1:6]), int(line[14])) for line in lines}


@pytest.mark.every_kernel
def test_slabs_are_those_of_slabinfo(each_machine, context):
    steady, rows = look(each_machine, context, "slabs", "cat /proc/slabinfo", parse_slabs)
    names = ("active_objects", "objects", "object_size", "objects_per_slab", "pages_per_slab", "slabs")
    found = {row["name"]: tuple(row[name] for name in names) for row in rows}
    assert len(steady) > 50
    assert {name: found[name][1:] for name in steady} == {name: entry[1:] for name, entry in steady.items()}
    moved = [name for name, entry in steady.items() if found[name][0] != entry[0]]
    assert len(moved) <= len(steady) // 20, moved
