"""Lists followed in both directions, in a copy of a guest's RAM."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.lists import links_around

pytestmark = pytest.mark.guest


@pytest.mark.usefixtures("with_modules")
def test_a_list_is_what_both_directions_pass(edited):
    space = edited.space
    head = space.address_of("modules")
    links = space.links(head)
    assert len(links) == 4 and links_around(space, head, 100) == set(links)
    first, second = links[:2]
    edited.word(head, second)
    assert links_around(edited.space, head, 100) == set(links) - {first}


@pytest.mark.usefixtures("with_modules")
@pytest.mark.parametrize("to", ["itself", "nowhere"])
def test_a_list_that_does_not_close_is_none(edited, to):
    head = edited.space.address_of("modules")
    first = edited.space.links(head)[0]
    edited.word(first, first if to == "itself" else 0x1000)
    assert links_around(edited.space, head, 100) is None


@pytest.mark.usefixtures("with_modules")
def test_a_list_longer_than_the_limit_is_none(copy):
    assert links_around(copy.space, copy.space.address_of("modules"), 3) is None
