"""Routes of the GPU service: each row of its table has one, and its answer is that of the row."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy
from serving import Service, serving

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.advice import Bounds
from gpu_hypervisor.operations import find_operation, iter_operations
from gpu_hypervisor.service import Client, Server
from qemu_bridge.gateway.gpu_routes import describe_gpu_routes, gpu_components
from qemu_bridge.gateway.schema import components
from qemu_bridge.wire.json_text import encode_json


@pytest.fixture(scope="module")
def gateway():
    """A gateway that may control, and the tenant of a GPU service, in a runtime folder of their own."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="gb-") as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        with Hypervisor() as hypervisor, Server(hypervisor, None, Bounds(0.5, 2.0)):
            with Client() as client, client.open_tenant("a", weight=10.0) as tenant:
                with serving("--listen", "127.0.0.1:0", "--allow-control") as found:
                    yield Service(*found), tenant


def test_what_goes_on_is_told_and_suggestions_are_taken(gateway):
    service, tenant = gateway
    x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
    number = tenant.submit(saxpy(x, y)).result(120).number
    assert service.get("/api/gpu/stats").json()["tenants"][0]["name"] == "a"
    assert [row["number"] for row in service.get("/api/gpu/jobs?tenant=a").json()] == [number]
    assert service.get(f"/api/gpu/why?job={number}").json() == list(find_operation("why").run(number))
    info = service.get("/api/gpu/software/simd-info")
    assert info.body == encode_json(find_operation("simd_info").run())
    entry = service.post("/api/gpu/suggest", {"tenant": "a", "weight": 20, "reason": "it waits"}).json()
    assert entry["state"] == "taken" and entry["weight_before"] == 10.0
    assert service.get("/api/gpu/workloads").json()["advice"] == [entry]
    assert service.post("/api/gpu/undo", {"number": entry["number"]}).json()["state"] == "undone"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/api/gpu/why?job=99999", None, 400, "no job 99999"),
        ("GET", "/api/gpu/why", None, 400, "job"),
        ("GET", "/api/gpu/jobs?x=1", None, 400, "no argument 'x'"),
        ("POST", "/api/gpu/suggest", {"tenant": "a", "weight": 21}, 400, "takes 5 to 20"),
        ("POST", "/api/gpu/suggest", {"tenant": "a", "weight": "much"}, 400, "weight"),
        ("POST", "/api/gpu/stats", {}, 405, "not offered"),
        ("POST", "/api/gpu/software/benchmark", {"kernels": ["frob"]}, 400, "frob"),
    ],
)
def test_what_is_wrong_is_told(gateway, method, path, body, status, told):
    answer = gateway[0].call(method, path, body)
    assert answer.status == status and told in answer.error["message"]
    assert gateway[0].call(method, path, body, token=False).status == 401


def test_who_may_only_read_suggests_and_measures_nothing_and_is_told_how_to_start_a_service():
    with tempfile.TemporaryDirectory(prefix="gb-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        with serving("--listen", "127.0.0.1:0") as found:
            reader = Service(*found)
            for path in ("suggest", "undo", "software/benchmark", "software/vs-hardware", "software/matmul-optimized"):
                assert reader.post(f"/api/gpu/{path}", {}).status == 403
            answer = reader.get("/api/gpu/stats")
    assert answer.status == 503 and "glassbox gpu serve" in answer.error["message"]


def test_every_row_is_described_and_its_schemas_are_there():
    described, named = describe_gpu_routes(), gpu_components()
    assert set(described) == {each.path for each in iter_operations()}
    text = encode_json(described).decode() + encode_json(named).decode()
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in named | components()
    both = set(named) & set(components())
    assert all(named[name] == components()[name] for name in both), both
    assert os.fspath(Path.home()) not in text
