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
        ("crond !stack", "highlight demo 'comm:crond - comm:crond/stack'"),
        ("what crond has but init hasn't", "highlight demo 'comm:crond - comm:init'"),
        ("memory of crond that it doesn't share with init", "highlight demo 'comm:crond - comm:init'"),
        ("show everything that is neither free nor kernel", "highlight demo 'all - (free + kernel)'"),
        ("page tables of everything but init", "highlight demo 'class:page-table - comm:init/pagetables'"),
        ("which memory belongs to no process", "highlight demo 'all - class:process-*'"),
        ("highlight the kernel and free memory", "highlight demo 'kernel + free'"),
        ("how much memory do kernel stacks take", "resolve demo kernel.stack --total"),
        ("memory by class", "resolve demo all --by-class"),
        ("break down crond's memory by class", "resolve demo comm:crond --by-class"),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert asked(question) == command


def test_whose_stack_has_to_be_said(asked):
    assert asked("stack") is None and asked("show the stacks of all processes") == "highlight demo class:process-stack"


def test_a_process_that_is_not_there_has_no_memory(asked):
    assert asked("heap of pid 4242") is None and asked("heap of nosuchd") is None
