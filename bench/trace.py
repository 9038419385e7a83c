"""Overhead of the trace: the same work without the plugin, with it disarmed, and armed for various features.

Two machines of one vCPU run, one without the plugin. The work is a second long and runs in each in turn, timed from outside:
hosts change their speed within seconds, and programs are loaded at different addresses each time. A window is open for `RUNS`
runs, and its figure has all of them: the first translates anew what arming has flushed. What is recorded is recorded as a user
does it: ``glassbox trace NAME -o FILE``, lossless, a process of its own that encodes, compresses and writes on the other core.
The rows of the producer have a reader that frees chunks unread: they are the lower bound for any recorder. The instructions of
the work are counted by QEMU itself, once.

Two more machines have a plugin whose callbacks are empty (empty_callbacks.c): what QEMU takes to call any plugin at each block, and
at each access of memory. Rows with ``/ empty callbacks`` are what ours take beyond that, in the same rounds.

``neighbour_busy`` is what the host itself costs: the machine without the plugin, while a process that only computes, and touches
no memory, keeps another processor busy. Where two processors are threads of one core, it is well above 1, and a recorder that
is always busy costs that much, however fast it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from qemu_bridge.client import Client
from qemu_bridge.images import BuiltImage
from qemu_bridge.machine.config import MachineConfig, find_qemu, qemu_release
from qemu_bridge.machine.launch import launch
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin import abi, build
from tcg_plugin.layout import Feature

from .boot import find_image
from .figures import Figure, seconds

WORK = (
    "head -c 2400000 /dev/zero | md5sum; head -c 100000 /bin/busybox | gzip -c | gunzip -c | cksum;"
    " awk 'BEGIN { for (i = 0; i < 20000; i++) { a[i % 512] = a[(i * 7) % 512] + i } print a[3] }';"
    " i=0; while [ $i -lt 600 ]; do i=$((i + 1)); done"
)
EMPTY = {"empty callbacks of blocks": "", "empty callbacks of blocks and accesses": ",memory=on"}
"""Options of the plugin that does nothing, by the name of the row."""
FLOORS = {
    "blocks, producer": "empty callbacks of blocks",
    "memory addresses, producer": "empty callbacks of blocks and accesses",
    "memory values, producer": "empty callbacks of blocks and accesses",
}
RUNS = 5
"""Runs of the work while a window is open, each beside one without the plugin."""
MIN_INSTRUCTIONS = 2_000_000_000
BLOCKS = Feature.BLOCKS | Feature.EVENTS
NEIGHBOUR = "while :; do :; done"
"""A shell that only computes."""
CASES: tuple[tuple[str, tuple[str, ...] | Feature | None, str], ...] = (
    ("disarmed", None, "<= 1.03"),
    ("blocks", (), "<= 1.40"),
    ("memory addresses", ("--mem",), "<= 2.30"),
    ("memory values", ("--values",), "<= 4.50"),
    ("blocks, producer", BLOCKS, ""),
    ("memory addresses, producer", BLOCKS | Feature.MEMORY, ""),
    ("memory values, producer", BLOCKS | Feature.VALUES, ""),
    ("heat", Feature.HEAT, ""),
    ("a loop that never runs", Feature.LOOPS, "<= 1.10"),
)
"""What is measured: options of ``glassbox trace``, features of a window whose reader only frees, or nothing; the bound."""
_OPEN_S = 30.0


def measure(rounds: int) -> list[Figure]:
    """The ratio of each way to trace to no plugin at all."""
    rounds = max(3, rounds // 2)
    image = find_image()
    with (
        tempfile.TemporaryDirectory(prefix="gb-") as folder,
        _machine("bench-bare", image, "1") as bare,
        _machine("bench-trace", image, "") as traced,
        contextlib.ExitStack() as stack,
    ):
        plugin = _compile_empty(Path(folder))
        empty = {
            name: stack.enter_context(_machine(f"bench-empty-{number}", image, "1", f"{plugin}{option}"))
            for number, (name, option) in enumerate(EMPTY.items())
        }
        count = RUNS * _count(traced)
        if count < MIN_INSTRUCTIONS:
            raise RuntimeError(f"the work has {count} instructions; make it longer")
        ratios: dict[str, list[float]] = {name: [] for name in (*(name for name, *_ in CASES), *EMPTY)}
        rates, sizes, neighbour_busy = [], dict[str, int](), list[float]()
        path = Path(folder) / "work.gbt"
        _work(bare)
        for _ in range(rounds):
            # Translating again what a window has flushed is no cost of a disarmed plugin.
            _work(traced)
            neighbour_busy.append(_neighbour_busy(bare))
            for name, machine in empty.items():
                ratios[name].append(_beside(machine, bare)[1])
            for name, how, _target in CASES:
                with _window(traced, how, path):
                    mine, ratio = _beside(traced, bare)
                ratios[name].append(ratio)
                if path.exists():
                    sizes[name] = path.stat().st_size
                    path.unlink()
                if how == ():
                    rates.append(count / mine / 1e6)
    detail = f"{count / 1e9:.2f} G instructions"
    figures = [
        Figure(
            f"trace: {name} / no plugin",
            statistics.median(ratios[name]),
            "x",
            target,
            detail + (f", {sizes[name] / count:.4f} bytes per instruction" if name in sizes else ""),
        )
        for name, _, target in CASES
    ]
    figures += [
        Figure(
            f"trace: {name} / no plugin", statistics.median(ratios[name]), "x", "", "what QEMU takes to call a plugin"
        )
        for name in EMPTY
    ]
    figures += [
        Figure(
            f"trace: {name} / {floor}",
            statistics.median(mine / least for mine, least in zip(ratios[name], ratios[floor], strict=True)),
            "x",
            "",
            "what the plugin takes beyond that",
        )
        for name, floor in FLOORS.items()
    ]
    figures.append(
        Figure("trace: neighbour_busy / no plugin", statistics.median(neighbour_busy), "x", "", "no plugin in either")
    )
    return [*figures, Figure("trace: captured", statistics.median(rates), "M/s", ">= 350", detail)]


def _beside(machine: Client, bare: Client) -> tuple[float, float]:
    """Seconds of `RUNS` runs on `machine`, and how many times as long as on `bare` that is: runs of both in turn."""
    runs = [(seconds(lambda: _work(machine)), seconds(lambda: _work(bare))) for _ in range(RUNS)]
    mine, yardstick = (sum(column) for column in zip(*runs, strict=True))
    return mine, mine / yardstick


def _compile_empty(folder: Path) -> Path:
    """The plugin whose callbacks are empty, for this host's QEMU."""
    library = abi.PLUGIN_BY_API[abi.plugin_api(qemu_release(find_qemu()))]
    target, source = folder / "empty.so", Path(__file__).with_name("empty_callbacks.c")
    flags = [*build.FLAGS, *build.LIBRARIES.get(library, ()), f"-I{build.FOLDER}"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, "-o", str(target), str(source)], check=True)
    return target


def _neighbour_busy(bare: Client) -> float:
    """How many times as long the work takes without any plugin while another processor is busy: runs of both kinds in turn."""
    busy = idle = 0.0
    for _ in range(RUNS):
        with subprocess.Popen(["sh", "-c", NEIGHBOUR]) as neighbour:
            try:
                busy += seconds(lambda: _work(bare))
            finally:
                neighbour.kill()
        idle += seconds(lambda: _work(bare))
    return busy / idle


@contextlib.contextmanager
def _machine(name: str, image: BuiltImage, no_trace: str, plugin: str = "") -> Iterator[Client]:
    os.environ["GLASSBOX_NO_TRACE"] = no_trace
    words = ("-plugin", f"file={plugin}") if plugin else ()
    try:
        launch(MachineConfig(name, image.kernel, image.initrd, image.command_line, qemu_args=words))
    finally:
        del os.environ["GLASSBOX_NO_TRACE"]
    with Client.connect(name) as client:
        try:
            client.wait_ready(300.0)
            yield client
        finally:
            client.stop()


def _work(client: Client) -> None:
    client.exec(WORK, 300.0)


def _window(
    client: Client, how: tuple[str, ...] | Feature | None, path: Path
) -> contextlib.AbstractContextManager[object]:
    """While this is entered the machine is traced as a row of `CASES` says."""
    if how is None:
        return contextlib.nullcontext()
    return _recorded(client, how, path) if isinstance(how, tuple) else _armed(client, how)


@contextlib.contextmanager
def _recorded(client: Client, options: tuple[str, ...], path: Path) -> Iterator[None]:
    """While a process of its own records the machine into the file at `path`."""
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", "record", client.name, "-o", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as recorder:
        try:
            _wait_for_window(client, recorder)
            yield
        finally:
            recorder.send_signal(signal.SIGINT)
    if recorder.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {recorder.returncode}")


def _wait_for_window(client: Client, recorder: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _OPEN_S
    while not ((status := client.trace_status()).acknowledged and status.state == "armed"):
        if recorder.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the recorder opened no window")
        time.sleep(0.01)


def _count(client: Client) -> int:
    """Instructions of the work, as QEMU counts them."""
    with _armed(client, Feature.BLOCKS | Feature.VERIFY) as control:
        before = control.vcpus[0].instructions
        _work(client)
        return int(control.vcpus[0].instructions - before)


@contextlib.contextmanager
def _armed(client: Client, features: Feature) -> Iterator[TraceControl]:
    """A window with a reader that frees chunks unread."""
    control = TraceControl(Path(client.connection.trace_path))
    stop = threading.Event()

    def free() -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()
            for header in (*control.vcpus, control.dictionary):
                header.tail = header.head
            time.sleep(0.001)

    reader = threading.Thread(target=free)
    client.trace_arm(ArmOptions(features=features))
    reader.start()
    try:
        yield control
    finally:
        client.trace_disarm()
        stop.set()
        reader.join()
        control.close()
