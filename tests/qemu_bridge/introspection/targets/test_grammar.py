"""The vocabulary of targets: what can be named, and which parts of it."""

import pytest

from qemu_bridge.introspection.targets.grammar import CLASSES, HEAD, KERNEL_PARTS, KINDS, WORDS, Named, Span
from qemu_bridge.wire.records import PageClass


def test_every_class_of_pages_has_a_name_without_blanks():
    assert sorted(CLASSES.values()) == sorted(PageClass) and not any(" " in name for name in CLASSES)


@pytest.mark.parametrize("text", [*(f"{kind}:x" for kind in KINDS), *(f"kernel.{part}" for part in KERNEL_PARTS), "("])
def test_what_begins_a_target_is_known_to_end_a_name(text):
    assert HEAD.match(text)


@pytest.mark.parametrize("text", ["page-table", "kernelstack", *(word for word in WORDS if word != "kernel")])
def test_what_begins_no_target_may_stand_in_a_name(text):
    assert not HEAD.match(text)


def test_where_a_term_stands_makes_no_difference_to_what_it_is():
    assert Named("pid", "1", column=5) == Named("pid", "1") and Span(1, column=7, pid_column=9) == Span(1)
