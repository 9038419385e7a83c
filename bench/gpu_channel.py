"""The channel of a guest to a GPU: from submission to result inside a guest, and what a share costs a guest that does not use it."""

from __future__ import annotations

import base64
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gpu_hypervisor.channel.guests import Guests
from gpu_hypervisor.engine import Hypervisor
from qemu_bridge.client import Client
from qemu_bridge.host.processes import cpu_seconds
from qemu_bridge.images.programs import FLAGS, LINKED, find_compiler
from qemu_bridge.images.recipe import shipped_folder
from qemu_bridge.machine.gpu import GpuShare

from .booted import booted
from .figures import Figure

_IDLE_S = 10.0
_READY_S = 60.0


def measure(rounds: int) -> list[Figure]:
    """Latencies from inside a guest under TCG, and processor time of idle guests with and without a share."""
    with booted("bench-gpu", gpu=GpuShare()) as client, Hypervisor(device="cpu") as hypervisor:
        with Guests(hypervisor) as guests:
            _wait(lambda: guests.served)
            figures = list(_measure_latency(client))
            with booted("bench-plain") as plain:
                figures.append(_measure_idle(client, plain, max(3, rounds)))
    return figures


def _measure_latency(client: Client) -> list[Figure]:
    encoded = base64.b64encode(_latency_program()).decode()
    client.exec(f"echo {encoded} | base64 -d >/tmp/latency; chmod +x /tmp/latency", 120.0)
    answer = client.exec("/tmp/latency", 300.0)
    if answer.exit_status:
        raise RuntimeError(answer.errors.decode())
    rows = [tuple(map(int, line.split())) for line in answer.output.decode().splitlines()]
    asked, done = ([row[column] / 1e3 for row in rows] for column in (0, 1))
    p50, p99 = statistics.median(done), statistics.quantiles(done, n=100)[98]
    return [
        Figure("gpu: empty kernel, submission to result inside a guest, p50", p50, "ms", "<= 1.5", f"p99 {p99:.2f} ms"),
        Figure("gpu: a request that does nothing, p50", statistics.median(asked), "ms", "", f"of {len(rows)}"),
    ]


def _latency_program() -> bytes:
    compiler, library = find_compiler(), shipped_folder() / "gpu-submit"
    if compiler is None:
        raise RuntimeError("there is no C compiler here; install gcc")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "latency")
        sources = [str(library / "glassbox_gpu.c"), str(Path(__file__).with_name("gpu_latency.c"))]
        subprocess.run([compiler, *FLAGS, *LINKED, f"-I{library}", "-o", str(program), *sources], check=True)
        return program.read_bytes()


def _measure_idle(with_share: Client, without: Client, rounds: int) -> Figure:
    """Processor time of QEMU while its guest idles: of both at the same time, so that both see the same host."""
    pairs = []
    for _ in range(rounds):
        before = _spent(with_share), _spent(without)
        time.sleep(_IDLE_S / rounds)
        pairs.append((_spent(with_share) - before[0], _spent(without) - before[1]))
    ours, theirs = (sum(pair[index] for pair in pairs) for index in (0, 1))
    detail = f"{1e3 * ours / _IDLE_S:.1f} against {1e3 * theirs / _IDLE_S:.1f} ms of a processor a second"
    return Figure("gpu: idle guest with a share / without", ours / max(theirs, 1e-9), "x", "<= 1.1", detail)


def _spent(client: Client) -> float:
    return cpu_seconds(client.connection.qemu_pid) or 0.0


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _READY_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the guest was not served")
        time.sleep(0.05)
