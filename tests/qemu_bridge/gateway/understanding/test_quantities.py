"""Numbers that are compared with, and numbers that name something."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.quantities import NEGATED
from qemu_bridge.gateway.understanding.tokens import read_tokens


@pytest.mark.parametrize(
    ("text", "operator", "number"),
    [("more than 4", ">", 4), ("at least 4", ">=", 4), ("4 or more", ">=", 4), ("not more than 4", "<=", 4), ("under 4", "<", 4),
     ("exactly one thread", "=", 1), ("> 1M", ">", 1 << 20), ("!= 0", "!=", 0), ("larger than a page", ">", 4096), ("no less than 2", ">=", 2)],
)  # fmt: skip
def test_what_compares_and_its_number_are_one_token(text, operator, number, names):
    (quantity, *_) = read_tokens(text, names)
    assert (quantity.kind, quantity.operator, quantity.number) == ("quantity", operator, number)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("process 97", "pid"), ("processes with 97", "number"), ("port 80", "port_number"), ("cpu 0", "cpu_number"), ("at 8192", "address"), ("top 5", "limit")],
)  # fmt: skip
def test_a_number_is_of_what_stands_beside_it(text, kind, names):
    assert read_tokens(text, names)[-1].kind == kind


def test_what_compares_with_nothing_says_nothing_or_is_not_understood(names):
    assert [token.concept for token in read_tokens("over the heap", names)] == ["heap"]
    assert [token.concept for token in read_tokens("larger than crond", names)] == ["greater", ""]
    assert [token.concept or token.kind for token in read_tokens("under /tmp", names)] == ["below", "path"]


def test_the_contrary_of_the_contrary_is_the_same():
    assert all(NEGATED[NEGATED[operator]] == operator for operator in NEGATED)
