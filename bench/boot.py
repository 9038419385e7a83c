"""Cold boot: ``glassbox start --wait`` against the bare QEMU command, both to the guest's ready line."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qemu_bridge.client import Client
from qemu_bridge.images import BuiltImage, build_image_or_fallback
from qemu_bridge.machine.config import find_qemu

from .figures import Figure, paired_medians

READY = b"glassbox: ready"
MEMORY = "128M"
TIMEOUT_S = 120.0


def find_image() -> BuiltImage:
    """Alpine, else the image made of Debian packages."""
    return build_image_or_fallback("alpine")


def measure(rounds: int) -> list[Figure]:
    """The ratio of the two boots."""
    image = find_image()
    ours, bare, ratio = paired_medians(lambda: boot_machine(image), lambda: boot_bare(image), rounds)
    return [
        Figure("cold boot / bare QEMU", ratio, "x", "<= 1.10", f"{ours:.2f} s against {bare:.2f} s, image {image.name}")
    ]


def boot_machine(image: BuiltImage) -> float:
    """Seconds of the command line as a user runs it."""
    command = [
        sys.executable,
        "-m",
        "qemu_bridge.cli",
        "start",
        "bench",
        "--image",
        image.name,
        "--memory",
        MEMORY,
        "--wait",
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    elapsed = time.perf_counter() - started
    with Client.connect("bench") as client:
        client.stop()
    return elapsed


def boot_bare(image: BuiltImage) -> float:
    """Seconds of QEMU alone: private RAM, no monitor; the second serial port exists because the guest uses it."""
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        log = Path(folder, "console.log")
        command = [find_qemu(), "-nodefaults", "-display", "none", "-machine", "pc", "-accel", "tcg", "-m", MEMORY]
        command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", image.command_line]
        command += ["-serial", f"file:{log}", "-serial", "null"]
        started = time.perf_counter()
        with subprocess.Popen(command) as qemu:
            while not (log.exists() and READY in log.read_bytes()):
                if time.perf_counter() - started > TIMEOUT_S:
                    qemu.kill()
                    raise TimeoutError("the bare QEMU did not boot")
                time.sleep(0.005)
            elapsed = time.perf_counter() - started
            qemu.kill()
    return elapsed
