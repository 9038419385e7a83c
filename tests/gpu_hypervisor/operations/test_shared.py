"""Rows about the GPU that tenants share."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.advice import AdviceState, Bounds
from gpu_hypervisor.operations import find_operation
from gpu_hypervisor.service import Client, Server


@pytest.fixture(scope="module")
def tenant():
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="gb-") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        with Hypervisor() as hypervisor, Server(hypervisor, None, Bounds(0.5, 2.0)) as server:
            assert server.path.is_relative_to(Path(folder))
            with Client() as client, client.open_tenant("a", weight=10.0) as found:
                yield found


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
