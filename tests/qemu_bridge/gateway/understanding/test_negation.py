"""What is said not to be so."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.tokens import read_tokens


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("processes that are not root's", ["root"]),
        ("processes which do not belong to root", ["root"]),
        ("all except init and crond", ["init", "crond"]),
        ("neither free nor kernel", ["free", "kernel"]),
        ("parent is not kthreadd or init", ["kthreadd", "init"]),
        ("everything but the kernel", ["kernel"]),
        ("what crond has but init hasn't", ["init"]),
        ("non-root processes", ["root"]),
        ("crond !stack", ["stack"]),
        ("modules not used", ["not used"]),
        ("sleeping processes", []),
    ],
)
def test_what_is_negated_is_marked(text, marked, names):
    tokens = read_tokens(text, names)
    assert [token.text for token in tokens if token.is_negated] == marked or (
        marked == ["not used"] and tokens[-1].concept == "free"
    )


def test_a_negation_of_nothing_stays(names):
    assert [token.concept for token in read_tokens("no", names)] == ["not"]


def test_a_negation_of_a_negation_is_none(names):
    assert not any(token.is_negated for token in read_tokens("processes except those not sleeping", names))
