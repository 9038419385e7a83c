"""Names with wildcards."""

import re
import time
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.host.wildcards import has_wildcard, wildcard_expression

few = st.text(st.sampled_from("ab*?[]\n.é"), max_size=12)


def matches(pattern, name):
    return re.fullmatch(wildcard_expression(pattern), name, re.DOTALL) is not None


@given(few, few)
def test_a_pattern_matches_what_fnmatch_says_but_brackets_are_themselves(pattern, name):
    assert matches(pattern, name) == fnmatchcase(name, pattern.replace("[", "[[]"))
    assert has_wildcard(pattern) or matches(pattern, name) == (pattern == name)


def test_no_pattern_takes_long():
    begun = time.process_time()
    assert not matches("*a" * 100 + "*b", "a" * 500)
    assert time.process_time() - begun < 5
