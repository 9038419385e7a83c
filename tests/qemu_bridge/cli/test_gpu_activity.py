"""``glassbox gpu jobs``, ``events`` and ``timeline``."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from gpu_hypervisor import Hypervisor, Submission
from gpu_hypervisor.errors import AdmissionError
from gpu_hypervisor.service import Client, Server
from qemu_bridge.cli import main


@pytest.fixture(scope="module")
def socket():
    """The socket of a service to which this process submitted a job that is done, and one that was refused."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder, Hypervisor() as hypervisor:
        with Server(hypervisor, Path(folder, "s")) as server, Client(server.path) as client:
            with client.open_tenant("a") as tenant:
                x = np.arange(10, dtype="f4")
                tenant.submit(saxpy(x, x.copy(), label="me")).result(120)
                with pytest.raises(AdmissionError, match="lanes"):
                    hypervisor.tenants()[0].submit(Submission("x"))
                yield str(server.path)


def test_jobs_have_the_process_that_submitted_them(socket, capsys):
    assert main(["gpu", "jobs", "--socket", socket]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["JOB", "TENANT", "STATE", "CLASS"] or head.split()[:2] == ["job", "tenant"]
    assert row.split()[1:5] == ["a", "done", "interactive", "saxpy"]
    name = Path("/proc/self/comm").read_text().strip()
    assert name in row
    assert main(["gpu", "jobs", "b", "--json", "--socket", socket]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_events_are_told_in_order(socket, capsys):
    assert main(["gpu", "events", "--all", "--count", "3", "--socket", socket]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1].split(",")[0] for line in lines] == [
        "a: tenant-opened",
        "a: job 1 done",
        "a: refused",
    ]
    assert main(["gpu", "events", "--all", "--count", "1", "--json", "--socket", socket]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "tenant-opened"


def test_the_timeline_is_a_file_of_perfetto(socket, capsys, tmp_path):
    path = tmp_path / "device.pftrace"
    assert main(["gpu", "timeline", "-o", str(path), "--socket", socket]) == 0
    assert "1 jobs; open it at ui.perfetto.dev" in capsys.readouterr().err
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(path.read_bytes())
    names = {packet.track_event.name for packet in trace.packet}
    assert any(name.startswith("a: job 1 saxpy of ") for name in names)
    assert main(["gpu", "timeline", "-o", str(path), "--socket", socket]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["gpu", "timeline", "-o", str(path), "--force", "--seconds", "0.01", "--socket", socket]) == 0
    assert main(["gpu", "timeline", "-o", str(path), "--force", "--seconds", "0", "--socket", socket]) == 2
