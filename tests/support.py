"""A real machine for tests: boot it, look into it from inside, run the command line on it."""

from __future__ import annotations

import contextlib
import functools
import gc
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError, MachineError
from qemu_bridge.images import BuiltImage, build_image_or_fallback
from qemu_bridge.introspection.overlays import OverlayContext
from qemu_bridge.introspection.overlays.areas import read_mappings
from qemu_bridge.introspection.overlays.modules import read_modules
from qemu_bridge.introspection.overlays.processes import read_processes
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import launch
from qemu_bridge.memory.ram import GuestRam
from qemu_bridge.wire import connection

OUT = Path(__file__).resolve().parent / "out"
"""Pictures that tests leave to be looked at; every session makes the folder."""


@functools.cache
def find_or_build_image(name: str = "alpine") -> BuiltImage:
    """Alpine, else the image that needs only Debian's packages."""
    return build_image_or_fallback(name)


class Machine:
    """A booted guest, and the ways to look into it from outside and from inside."""

    def __init__(self, client: Client, image: BuiltImage) -> None:
        self.client = client
        self.image = image
        self.name = client.name

    @property
    def ram(self) -> GuestRam:
        """The guest's RAM."""
        return self.client.ram

    @cached_property
    def kernel(self):
        """Symbols and types, read in this process."""
        return KernelSymbols.load(self.ram)

    @cached_property
    def context(self):
        """What overlays and the readers behind them read from, in this process."""
        return OverlayContext(self.ram, self.kernel)

    def processes(self):
        """Every process, read from RAM; nothing left out."""
        return self._ask(read_processes)

    def mappings(self, pid):
        """The memory areas of a process, read from RAM; nothing left out."""
        return self._ask(lambda context, budget: read_mappings(context, pid, budget))

    def modules(self):
        """The loaded modules, read from RAM; nothing left out."""
        return self._ask(read_modules)

    def address_space(self, process):
        """The page tables of a process."""
        return self.context.objects.page_tables(process.page_table)

    def _ask(self, read):
        self.context.forget()
        budget = Budget()
        with self.context.objects.charged_to(budget):
            rows = list(read(self.context, budget))
        assert budget.complete, budget.skipped
        return rows

    @cached_property
    def volatility(self):
        """Volatility on this machine's RAM, in this process: the oracle."""
        # Imported here: Volatility takes a second to load, and few tests use it.
        from qemu_bridge.kernel.volatility_adapter import VolatilityAdapter

        return VolatilityAdapter(self.ram, self.kernel, query_time_s=120.0)

    def exec(self, command: str, timeout_s: float = 120.0) -> bytes:
        """Output of a shell command run as root in the guest, which must succeed."""
        try:
            result = self.client.exec(command, timeout_s)
        except MachineError as error:
            error.add_note(self._where_it_stands())
            raise
        output, status = result.output, result.exit_status
        assert status == 0, output
        return output

    def _where_it_stands(self) -> str:
        """For a failure that may not come again: QEMU's threads, what the guest said last, the trace, the vCPUs."""
        connection, lines = self.client.connection, []
        with contextlib.suppress(GlassBoxError, OSError):
            lines += Path(connection.console_path).read_text(errors="replace").splitlines()[-20:]
            for task in sorted(Path(f"/proc/{connection.qemu_pid}/task").iterdir()):
                lines.append(f"{(task / 'stat').read_text()[:40]} in {(task / 'wchan').read_text()}")
            lines += [str(self.client.trace_status()), str(self.client.status().runstate)]
            # Last: it does not answer where a thread of QEMU keeps the monitor out.
            registers = self.client.qmp("human-monitor-command", {"command-line": "info registers -a"})
            lines += [line for line in registers.splitlines() if "RIP=" in line]
        return "\n".join(lines)

    def kallsyms(self) -> list[list[str]]:
        """The words of each line of the guest's /proc/kallsyms; compressed on the way, as the serial line is slow."""
        return [line.split() for line in gzip.decompress(self.exec("gzip -c /proc/kallsyms")).decode().splitlines()]

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The guest stands still inside."""
        self.client.pause()
        try:
            yield
        finally:
            self.client.resume()


@contextlib.contextmanager
def booted(name: str, image: BuiltImage, **changes: object) -> Iterator[Machine]:
    """A machine of its own, up, for a test that needs more than to look at the session's."""
    config = {
        "kernel": image.kernel,
        "initrd": image.initrd,
        "append": image.command_line,
        "image": image.name,
        "image_id": image.image_id,
    }
    launch(MachineConfig(name=name, **config | changes))
    with Client.connect(name) as client:
        try:
            client.wait_ready(120.0)
            yield Machine(client, image)
        finally:
            stop(name)


def stop(name: str) -> None:
    """End the machine that has this name now, if there is one."""
    with contextlib.suppress(GlassBoxError), Client.connect(name) as client:
        client.stop()


@contextlib.contextmanager
def recording(machine, path, *words):
    """``glassbox trace`` in a process of its own, armed; it is to have ended well afterwards."""
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", machine.name, "-o", str(path), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: machine.client.trace_status().state in ("armed", "waiting"))
            yield process
            if process.poll() is None:
                machine.client.trace_disarm()
            assert process.wait(60) == 0, process.stderr.read()
        finally:
            # After a failure nobody waits for a recording that goes on, and the next one needs the machine.
            if process.poll() is None:
                process.terminate()


def glassbox(*words: str, timeout: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "qemu_bridge.cli", *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
        check=False,
    )


def find_sound(path: Path) -> dict:
    """The report of ``trace check`` on the file at `path`, which must find nothing."""
    answer = glassbox("trace", "check", str(path), "--json")
    report = json.loads(answer.stdout)
    assert answer.returncode == 0 and not report["count"] and report["is_complete"], report["findings"][:5]
    return report


needs_display = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("Xvfb", "xdotool", "import")),
    reason="Xvfb, xdotool or ImageMagick is not installed",
)


def shared_files(name):
    return list(connection.ram_folder().glob(f"{connection.shared_prefix()}{name}-*"))


def wait_until(condition, timeout_s=120.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def bytes_left_by(warm_up, action):
    """Bytes of Python objects that `action` leaves behind, once `warm_up` has filled all caches."""
    tracemalloc.start()
    try:
        warm_up()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        action()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def is_running(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def virtual_display(size: str) -> Iterator[str]:
    """The name of a virtual display of so many pixels, such as ``800x600``."""
    read, write = os.pipe()
    # -noreset: else the server starts over whenever its last client leaves, and turns away who comes meanwhile.
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        try:
            with os.fdopen(read) as number:
                yield f":{number.readline().strip()}"
        finally:
            server.kill()
