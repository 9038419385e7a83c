"""Tools about the shared GPU: a model sees the load, and suggests within what the owner allows."""

import tempfile

import pytest

from gpu_hypervisor import Hypervisor
from gpu_hypervisor.advice import Bounds
from gpu_hypervisor.errors import AdmissionError
from gpu_hypervisor.service import Server
from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.gateway.mcp_server.gpu_tools import make_gpu_tools
from qemu_bridge.gateway.mcp_server.machines import Machines
from qemu_bridge.gateway.mcp_server.tools import make_tools
from qemu_bridge.wire.operations import Permission

ALL = make_gpu_tools(Permission)


@pytest.fixture
def hypervisor(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        with Hypervisor() as found, Server(found, None, Bounds(0.5, 2.0)):
            yield found


def run(name, **arguments):
    return ALL[name].run(Machines(), arguments)


def test_who_may_only_read_may_not_suggest():
    assert set(make_gpu_tools({Permission.READ})) == {"gpu_jobs", "gpu_why", "gpu_workloads"}
    assert set(ALL) - set(make_gpu_tools({Permission.READ})) == {"gpu_suggest"}
    assert not set(ALL) & set(make_tools(Permission))


@pytest.mark.parametrize("name", ALL)
def test_a_description_says_what_it_does_and_the_schema_has_no_machine(name):
    assert ALL[name].description.split("\n")[0].endswith(".")
    assert "machine" not in ALL[name].schema["properties"] and "offset" in ALL[name].schema["properties"]


def test_a_model_sees_the_load_and_suggests_within_bounds(hypervisor):
    with hypervisor.open_tenant("a", weight=10.0) as tenant:
        seen = run("gpu_workloads")
        assert seen["tenants"][0]["name"] == "a" and seen["bounds"] == {"least": 0.5, "most": 2.0, "classes": []}
        assert run("gpu_suggest", tenant="a", weight=20, reason="it waits")["state"] == "taken"
        assert tenant.weight == 20.0
        with pytest.raises(AdmissionError, match="takes 5 to 20"):
            run("gpu_suggest", tenant="a", weight=1000)
        assert [entry["state"] for entry in run("gpu_workloads")["advice"]] == ["taken", "refused"]
        assert run("gpu_jobs") == {"value": []}
        with pytest.raises(UsageError, match="takes no tenant"):
            run("gpu_workloads", tenant="a")


def test_without_a_service_a_model_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(HostError, match="glassbox gpu serve"):
        run("gpu_workloads")
