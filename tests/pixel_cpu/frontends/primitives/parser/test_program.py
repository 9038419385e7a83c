"""Whole texts: what may stand outside of kernels, and that every word of the table has a reader."""

from primitives_runs import errors

from pixel_cpu.frontends.primitives.parser.program import Parser
from pixel_cpu.frontends.primitives.words import STATEMENTS


def test_every_word_has_a_reader():
    for word in STATEMENTS.values():
        assert word.reader == "member" or hasattr(Parser, f"_read_{word.reader}"), word


def test_thread_code_stands_in_kernels_only():
    assert errors("ADD a b -> c") == [
        (1, 1, "ADD stands outside of kernels; it belongs into a kernel: GPU_KERNEL name")
    ]
    assert errors("GPU_END") == [(1, 1, "GPU_END stands outside of kernels; it ends no kernel")]


def test_a_launch_of_the_host_names_what_it_lacks():
    assert errors("GPU_LAUNCH k BLOCKS 2") == [(1, 22, "expected THREADS, found the end of the line")]
    assert errors("GPU_LAUNCH k BLOCKS 2 THREADS 32 a=1 a=2") == [(1, 38, "a is given twice")]
