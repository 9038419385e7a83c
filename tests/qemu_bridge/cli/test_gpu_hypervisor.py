"""``glassbox gpu serve`` and ``why``, and ``top`` of it: a service in a process of its own, and tenants of another."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypervisor_kernels import saxpy
from support import glassbox

from gpu_hypervisor.service import Client
from qemu_bridge.cli import main


@pytest.fixture(scope="module")
def service():
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        path = Path(folder, "s")
        command = [sys.executable, "-m", "qemu_bridge.cli", "gpu", "serve", "--socket", str(path)]
        command += ["--device", "cpu", "--device", "reference"]
        # In a runtime folder of its own: machines that other tests started with --gpu would be tenants, too.
        own = os.environ | {"XDG_RUNTIME_DIR": folder}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own) as process:
            try:
                assert process.stdout.readline().strip() == str(path)
                yield path
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 130 and not path.exists()
            finally:
                process.kill()


def test_tenants_are_listed_and_their_jobs_explained(service):
    with Client(service) as client, client.open_tenant("alpine", weight=60.0, memory_bytes=1 << 20) as tenant:
        x, y = np.arange(100, dtype="f4"), np.ones(100, "f4")
        job = tenant.submit(saxpy(x, y, label="gpu-submit 17")).result(120)
        assert (y == 2 * x + 1).all()
        table = glassbox("gpu", "top", "--once", "--socket", str(service)).stdout
        row = next(line.split() for line in table.splitlines() if line.startswith("alpine"))
        assert row[:5] == ["alpine", "-", "60", "100.0%", "100.0%"] and "0/1M" in table
        stats = json.loads(glassbox("gpu", "top", "--once", "--json", "--socket", str(service)).stdout)
        assert stats["tenants"][0]["name"] == "alpine" and stats["tenants"][0]["ended"] == 1
        text = glassbox("gpu", "why", str(job.number), "--socket", str(service)).stdout
        assert (
            text.startswith(f"job {job.number} of tenant alpine (gpu-submit 17): saxpy, done") and "accepted as" in text
        )


def test_jobs_go_on_with_the_device_that_one_names(service, capsys):
    with Client(service) as client, client.open_tenant("moved") as tenant:
        assert main(["gpu", "move", "moved", "reference", "--socket", str(service)]) == 0
        x, y = np.arange(10, dtype="f4"), np.ones(10, "f4")
        job = tenant.submit(saxpy(x, y)).result(120)
        assert (y == 2 * x + 1).all() and "reference: its tenant's jobs run there" in "\n".join(client.why(job.number))
        assert main(["gpu", "drain", "reference", "--socket", str(service)]) == 0
        assert "reference drained (0 jobs)" in glassbox("gpu", "top", "--once", "--socket", str(service)).stdout
        assert main(["gpu", "drain", "cpu", "--socket", str(service)]) == 2
        assert "no other device than cpu" in capsys.readouterr().err
        assert main(["gpu", "resume", "reference", "--socket", str(service)]) == 0
        assert main(["gpu", "move", "moved", "any", "--socket", str(service)]) == 0
        assert main(["gpu", "move", "moved", "tpu", "--socket", str(service)]) == 2
        assert "devices are cpu, reference" in capsys.readouterr().err


def test_a_job_that_is_not_known_and_a_service_that_is_not_there(service, capsys, tmp_path):
    assert main(["gpu", "why", "99999", "--socket", str(service)]) == 2
    assert "no job 99999" in capsys.readouterr().err
    assert main(["gpu", "top", "--socket", str(tmp_path / "none")]) == 1
    assert "start one with 'glassbox gpu serve'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve", "--realtime-share", "0"], "guarantee of realtime is 0"),
        (["serve", "--batch-cap", "2"], "cap of batch is 2"),
        (["top", "--interval", "0"], "--interval is"),
    ],
)
def test_options_that_cannot_be_are_refused(words, message, capsys):
    assert main(["gpu", *words]) == 2
    assert message in capsys.readouterr().err
