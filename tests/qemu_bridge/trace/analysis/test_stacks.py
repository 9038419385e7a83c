"""The tree of call stacks; tests/qemu_bridge/trace/export/test_folded.py walks whole programs."""

from importlib.resources import files

from qemu_bridge.trace.analysis import stacks as trace_stacks


def test_sizes_are_those_of_the_header():
    header = (files("tcg_plugin") / "stacks.h").read_text()
    assert (
        f"GB_STACK_CAPACITY = {trace_stacks.CAPACITY}," in header and f"GB_THREADS = {trace_stacks.THREADS}," in header
    )
    # stacks.c asserts these of the structures.
    sizes = (trace_stacks._NODE.itemsize, trace_stacks._ENTRY.itemsize, trace_stacks.EVENT.itemsize)
    assert sizes == (32, 16, 32)


def test_a_full_tree_counts_callees_for_their_callers():
    tree = trace_stacks.StackTree(capacity=3)
    one, two = tree.child(0, 1), tree.child(0, 2)
    assert (one, two, tree.child(one, 7), tree.child(0, 1)) == (1, 2, one, 1)
