"""Completing the beginning of a target."""

import pytest
from target_samples import NAMES, OWNERS

from qemu_bridge.introspection.targets import (
    complete_target,
)
from qemu_bridge.introspection.targets.format import quote_name


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", "pid:"),
        ("ke", "kernel.text"),
        ("kernel.te", "kernel.text"),
        ("pid:1 + kernel.st", "pid:1 + kernel.stack"),
        ("slab:d", "slab:dentry"),
        ("all-class:page-t", "all-class:page-table"),
        ("pid:1/he", "pid:1/heap"),
        ("(comm:init/", "(comm:init/stack"),
        ("sym:init_t", "sym:init_task"),
        ("file:", "file:" + quote_name(OWNERS[6].name)),
        ('comm:"we', "comm:" + quote_name(NAMES[3])),
    ],
)
def test_a_beginning_is_completed_to_targets_that_can_be_read(prefix, expected, plain):
    found = complete_target(prefix, plain)
    assert expected in found and all(each.startswith(prefix) for each in found)


def test_completion_has_no_answer_to_noise(plain):
    assert complete_target("pid:1 + zzz", plain) == [] and complete_target("((((", plain)[0].startswith("((((")
