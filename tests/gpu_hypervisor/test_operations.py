"""The table of what can be asked of the GPU service and the software GPU."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.advice import AdviceState, Bounds
from gpu_hypervisor.operations import find_operation, iter_operations
from gpu_hypervisor.service import Client, Server
from qemu_bridge.errors import HostError, UsageError


@pytest.fixture(scope="module")
def tenant():
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="gb-") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        with Hypervisor() as hypervisor, Server(hypervisor, None, Bounds(0.5, 2.0)) as server:
            assert server.path.is_relative_to(Path(folder))
            with Client() as client, client.open_tenant("a", weight=10.0) as found:
                yield found


@pytest.mark.parametrize("each", iter_operations(), ids=lambda each: each.row.name)
def test_each_row_says_what_it_does_with_an_example_and_has_a_path_of_its_own(each):
    summary, _, more = each.row.doc.strip().partition("\n\n")
    assert summary.endswith(".") and ">>> " in more
    assert [other.path for other in iter_operations()].count(each.path) == 1
    assert each.row.arguments and each.row.result is not None


def test_rows_ask_the_service_of_this_user(tenant):
    x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
    number = tenant.submit(saxpy(x, y)).result(120).number
    assert [each.name for each in find_operation("stats").run().tenants] == ["a"]
    assert [each.number for each in find_operation("jobs").run("a")] == [number]
    assert find_operation("jobs").run("b") == ()
    assert "accepted as" in find_operation("why").run(number)[1]
    assert [each.kind for each in find_operation("events").run()] == ["tenant-opened", "done"]
    entry = find_operation("suggest").run("a", weight=20.0, reason="so that it is sooner done")
    found = find_operation("workloads").run()
    assert found.advice == (entry,) and found.bounds.most == 2.0 and found.tenants[0].weight == 20.0
    assert entry.by.startswith("python") or "pytest" in entry.by
    assert find_operation("undo").run(entry.number).state is AdviceState.UNDONE
    assert find_operation("stats").run().tenants[0].weight == 10.0


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


def test_the_software_gpu_says_its_vectors():
    assert find_operation("simd_info").run().lane_c.width >= 1


@pytest.mark.long
def test_the_software_gpu_is_measured_one_at_a_time():
    found = find_operation("vs_hardware").run(("saxpy",), "h100")
    assert found.benchmark.measurements[0].is_right and {each.card for each in found.hardware} == {"h100"}
    assert find_operation("matmul_optimized").run().measurements[0].kernel == "matmul"
