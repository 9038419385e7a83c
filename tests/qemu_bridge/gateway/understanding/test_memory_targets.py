"""Which target the words of a question name."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import Unsure
from qemu_bridge.gateway.understanding.memory_targets import memory_of
from qemu_bridge.gateway.understanding.reading import Reading
from qemu_bridge.gateway.understanding.tokens import read_tokens


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("crond's heap", "comm:crond/heap"),
        ("crond without its stack", "comm:crond - comm:crond/stack"),
        ("memory shared by init and crond", "comm:init & comm:crond"),
        ("kernel code", "kernel.text"),
        ("module fat", "module:fat"),
        ("vmalloc of the kernel", "kernel.vmalloc"),
        ("a page", None),
    ],
)
def test_words_name_a_target(text, target, names):
    found = memory_of(Reading(read_tokens(text, names), names, text))
    assert (found and found[0]) == target


def test_a_stack_without_an_owner_is_not_clear(names):
    assert isinstance(memory_of(Reading(read_tokens("the stack", names), names)), Unsure)
