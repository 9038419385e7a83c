"""The table of what can be asked of the GPU service and the software GPU."""

import pytest

from gpu_hypervisor.operations import find_operation, iter_operations
from qemu_bridge.errors import HostError, UsageError


@pytest.mark.parametrize("each", iter_operations(), ids=lambda each: each.row.name)
def test_each_row_says_what_it_does_with_an_example_and_has_a_path_of_its_own(each):
    summary, _, more = each.row.doc.strip().partition("\n\n")
    assert summary.endswith(".") and ">>> " in more
    assert [other.path for other in iter_operations()].count(each.path) == 1
    assert each.row.arguments and each.row.result is not None


def test_a_row_that_is_not_there_and_a_service_that_is_not(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="there are stats, jobs"):
        find_operation("frobnicate")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for each in iter_operations():
        if each.path.startswith("/api/gpu/software"):
            continue
        words = {"why": [1], "suggest": ["a"], "undo": [1]}.get(each.row.name, [])
        with pytest.raises(HostError, match="glassbox gpu serve"):
            each.run(*words)
