"""The error tree: as drawn, with an exit status, and with messages that are sentences."""

import inspect
import re

import pytest

from qemu_bridge import errors


def classes():
    return [value for value in vars(errors).values() if inspect.isclass(value)]


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"^[ │├└─]*(\w+Error)\b(?: \((\w+)\))?", errors.__doc__, re.MULTILINE)
    assert {name for name, _ in drawn} == {found.__name__ for found in classes()}
    for name, builtin in drawn:
        if builtin:
            assert builtin in [base.__name__ for base in getattr(errors, name).__bases__]


@pytest.mark.parametrize("error", classes())
def test_a_message_is_printed_as_it_stands(error):
    assert str(error("a sentence; try this")) == "a sentence; try this"
    assert error("x").exit_status in (1, 2)


def test_wrong_usage_ends_with_status_2():
    assert {found.__name__ for found in classes() if found.exit_status == 2} == {
        "UsageError",
        "AddressError",
        "UnknownMachineError",
    }
