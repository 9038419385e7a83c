"""A guest's RAM to edit, with a process in it that does nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edited_guest import EditedGuest
from overlay_checks import running


@pytest.fixture(scope="package")
def sleeper(each_machine) -> Iterator[int]:
    """The pid of a process that sleeps."""
    with running(each_machine, "sleep 20000", "sleep") as pid:
        yield pid


@pytest.fixture(scope="package")
def copy(each_machine, sleeper, tmp_path_factory) -> Iterator[EditedGuest]:
    made = EditedGuest(each_machine, tmp_path_factory.mktemp("edited"))
    yield made
    made.close()


@pytest.fixture
def edited(copy) -> Iterator[EditedGuest]:
    """A copy of a guest's RAM, in which nothing hides before the test edits it."""
    with copy.edits():
        yield copy
