"""Which memory a question means, and what is to be done with it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("show me crond's page tables", "highlight demo comm:crond/pagetables"),
        (
            "heap and stack of init and crond",
            "highlight demo 'comm:init/heap + comm:init/stack + comm:crond/heap + comm:crond/stack'",
        ),
        ("the heap of init and the stack of crond", "highlight demo 'comm:init/heap + comm:crond/stack'"),
        ("crond's memory except its stack", "highlight demo 'comm:crond - comm:crond/stack'"),
        ("kernel stack", "highlight demo kernel.stack"),
        ("how big is module fat", "resolve demo module:fat --total"),
        ("go to 0xffffffff81000000", "fly-to demo va:0xffffffff81000000"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert asked(question) == command


def test_whose_stack_has_to_be_said(asked):
    assert asked("stack") is None and asked("show the stacks of all processes") == "highlight demo class:process-stack"


def test_a_process_that_is_not_there_has_no_memory(asked):
    assert asked("heap of pid 4242") is None and asked("heap of nosuchd") is None
