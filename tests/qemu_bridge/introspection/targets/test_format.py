"""Writing targets: what is written is read as the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.introspection.targets import (
    parse_target,
)
from qemu_bridge.introspection.targets.format import format_target, quote_name
from qemu_bridge.introspection.targets.grammar import CLASSES, KERNEL_PARTS, PROCESS_PARTS, Combined, Named, Span

U64 = (1 << 64) - 1


letters = st.text(st.characters() | st.sampled_from("+-&()/ '\"\\\n@:"), min_size=1, max_size=20)


likely = st.sampled_from(
    ["httpd", "/bin/busybox", "kworker/0:1", "sh-pid:1", "a & b", "x/stack", "-", "libc++.so", "é\u2028"]
)


names = letters | likely


numbers = st.integers(0, 9_999_999_999)


def spans():
    return st.builds(
        lambda start, size, is_virtual, pid: Span(
            start, None if size is None else min(size, U64 + 1 - start, U64), is_virtual, pid if is_virtual else None
        ),
        st.integers(0, U64),
        st.none() | st.integers(1, U64) | st.integers(1, 99).map(lambda n: n << 20),
        st.booleans(),
        st.none() | numbers,
    )


terms = st.one_of(
    spans(),
    st.builds(Named, st.sampled_from(["file", "slab", "module", "sym"]), names),
    st.builds(Named, st.just("comm"), names, st.sampled_from(["", *PROCESS_PARTS])),
    st.builds(Named, st.just("pid"), numbers.map(str), st.sampled_from(["", *PROCESS_PARTS])),
    st.builds(Named, st.just("class"), st.sampled_from(sorted(CLASSES))),
    st.builds(Named, st.just("kernel"), st.sampled_from(["", *KERNEL_PARTS])),
    st.builds(Named, st.sampled_from(["all", "free"])),
)


targets = st.recursive(terms, lambda inner: st.builds(Combined, st.sampled_from("+-&"), inner, inner), max_leaves=12)


@settings(max_examples=500)
@given(targets)
def test_a_target_that_is_written_is_read_as_itself(target):
    assert parse_target(format_target(target)) == target


def test_a_name_that_ends_like_a_part_is_quoted():
    assert parse_target("comm:a/stack") == Named("comm", "a", "stack")
    assert parse_target("comm:'a/stack'") == Named("comm", "a/stack")
    assert quote_name("a/stack", "comm") == '"a/stack"' and quote_name("a/stack") == "a/stack"
