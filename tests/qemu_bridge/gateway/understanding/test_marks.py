"""What a request has in it, and what accounts for a concept."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import understand
from qemu_bridge.gateway.understanding.marks import MARKS, ONLY_ACCOUNTED, marks_in, marks_of
from qemu_bridge.gateway.understanding.vocabulary import CONCEPTS


@pytest.mark.parametrize(
    ("question", "marks"),
    [
        ("the three biggest processes", {"processes", "greatest", "sort:resident_pages", "first"}),
        ("sockets not of root", {"sockets", "no uid", "negated"}),
        ("errors or warnings in dmesg", {"dmesg", "level=err", "level=warning", "either"}),
        ("crond without its stack", {"highlight", "target", "/stack", "negated"}),
    ],
)
def test_a_request_has_these_marks(question, marks, names):
    assert marks <= set(marks_in(understand(question, names)))


def test_a_negated_concept_needs_other_marks():
    assert "state=S" in marks_of("sleeping") and marks_of("sleeping", negated=True) == {"state!=S"}


def test_every_row_is_about_a_concept():
    assert set(MARKS) <= {*CONCEPTS, "or", "below"} and ONLY_ACCOUNTED <= set(CONCEPTS)
