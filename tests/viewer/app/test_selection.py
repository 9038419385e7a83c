"""The pinned byte."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.records import Answer, PageClass, TypeLayout
from viewer.app import navigation, selection


def test_a_selected_byte_tells_its_process_and_can_be_framed(state):
    page = int(np.flatnonzero(state.source.entries["page_class"] == PageClass.PROCESS_HEAP)[0])
    selection.select(state, (page << 12) + 5)
    assert selection.pinned(state).offset == 5 and state.pid in (1, 40) and state.is_open("details")
    navigation.frame(state)
    assert navigation.is_in_sight(state)
    x, y, _ = navigation.project(
        state, np.array([np.mean(navigation.box_of(state, np.array([page])), axis=0)]), state.controller.goal
    )[0]
    assert abs(x) < 1e-6 and abs(y) < 1e-6
    selection.select(state, 1 << 40)
    assert state.messages[-1].is_problem


def test_nothing_is_selected_again(state):
    selection.select(state, 0x45010)
    assert selection.pinned(state).page == 0x45
    selection.select(state, None)
    assert selection.pinned(state) is None and state.pid == 0


class Types:
    """A client that knows the layouts of some types."""

    def __init__(self, **sizes):
        self.sizes = sizes

    def type_layout(self, name):
        if name not in self.sizes:
            raise UsageError(f"no type {name}; type another")
        return Answer(TypeLayout(name, self.sizes[name], ()))


@pytest.mark.parametrize(
    ("sizes", "size", "found"),
    [({"b": 8}, 16, "b"), ({"b": 32}, 16, None), ({"a": 32}, 16, "a"), ({"b": 32}, 0, "b"), ({}, 0, None)],
)
def test_of_several_types_the_first_that_fits_is_taken(state, sizes, size, found):
    asked = []
    state.queries.ask = lambda topic, query, key: asked.append((topic, query(Types(**sizes)), key))
    selection.ask_type(state, ("a", "b"), size)
    [(topic, layout, key)] = asked
    assert (topic, key) == ("type", (("a", "b"), size))
    assert (None if layout is None else layout.name) == found


def test_the_users_type_goes_before_the_guess(state):
    assert "dentry" in selection.slab_types(state, "dentry")
    state.type_name = "inode"
    assert selection.slab_types(state, "dentry") == ("inode",)
