"""The tree of call stacks; tests/qemu_bridge/trace/export/test_folded.py walks whole programs, as does test_functions.py."""

from trace_calls import NAMING, Calls
from trace_producer import window_start, window_stop
from trace_program import record_words

from qemu_bridge.trace.analysis.call_trees import grow_tree, name_process
from qemu_bridge.trace.analysis.naming import Naming
from qemu_bridge.trace.file.reader import TraceReader


def test_processes_stand_below_the_root_and_functions_below_these(tmp_path):
    with TraceReader(
        record_words(tmp_path / "trace", Calls, [[*window_start(), 1, 3, 5, 4, 2, *window_stop()]])
    ) as trace:
        names, tree = grow_tree(trace, NAMING)
    nodes = tree.nodes()
    assert [names.name(key) for key in nodes["key"].tolist()[1:]] == ["0x1000 sh", "main", "inner", "leaf"]
    assert nodes["parent"].tolist() == [0, 0, 1, 2, 3] and nodes["calls"].tolist() == [0, 0, 0, 1, 1]


def test_names_of_processes_fit_a_line():
    assert (
        name_process(Naming(process=lambda root: "7 a;b\n"), 1) == "7 a_b_"
        and name_process(Naming(), 16) == "root 0x10"
    )
