"""Every command of the documents is run as it stands, in a shell, in the order of its document."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import booted, stop

from qemu_bridge.images import BuiltImage
from qemu_bridge.wire import connection

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    "./bootstrap": "it runs these tests",
    "export": "it sets this shell up",
    "just": "it runs these tests, or the benchmarks",
    "pip install": "it fetches packages",
    "glassbox view": "it opens a window; tests/viewer does",
    "glassbox top": "it draws on a terminal; tests/qemu_bridge/cli/test_top.py gives it one",
    "glassbox serve": "it serves until it is told to end; tests/qemu_bridge/gateway starts it",
    "curl": "it needs the service; tests/qemu_bridge/gateway/test_service.py runs these commands",
    "ssh": "it needs another host",
    "glassbox --host": "the same; tests/qemu_bridge/client/test_ssh.py does",
    "glassbox keys": "it names somebody's key; tests/qemu_bridge/cli/test_keys.py does",
    "glassbox start demo --listen": "no host has its address; tests/qemu_bridge/daemon/test_remote.py does",
    "glassbox ps tcp:": "the same; tests/qemu_bridge/client/test_remote.py does",
    "(umask": "it is for the service, which is not run",
    "glassbox mcp": "it serves until its client leaves; tests/qemu_bridge/gateway/mcp_server does",
    "glassbox start demo --learned": "it needs QEMU 11 and a library; tests/pixel_cpu/learn/test_native_of_a_guest.py starts one",
    "glassbox learned demo": "the same",
    "glassbox start fast --accel kvm": "it needs KVM",
    "glassbox start quick": "the user's cache keeps its boot; tests/qemu_bridge/daemon/test_keeping.py starts one",
    "glassbox start quicker": "the same",
    "cargo": "it needs a tool chain",
    "python -m ziglang": "the same; tests/product/test_wasm_docs.py runs what it makes",
    "gpu-submit": "it runs in a guest; tests/gpu_hypervisor/channel/test_guests.py does",
    "gpu-run": "it needs a program; tests/product/test_gpu_run_docs.py runs these on one",
    "qemu-system-x86_64": "its arguments end with an ellipsis; tests/qemu_bridge/cli/test_attach.py starts one",
    "glassbox attach mine": "the QEMU before it is not run",
    "glassbox ps mine": "the same",
}
"""How commands begin that are not run, and why."""
SLOW = (
    *("glassbox snap", "glassbox record-video", "glassbox trace top", "glassbox trace cache", "glassbox start big"),
    *("glassbox start a", "glassbox start b", "glassbox exec a", "glassbox flows lab"),
)
"""How commands begin that only long runs run."""
MEANT = {
    "/srv/alpine": '"${GLASSBOX_IMAGE_MIRROR:-https://dl-cdn.alpinelinux.org/alpine}"',
    "~/linux/arch/x86/boot/bzImage": "bzImage",
    "--seconds 20": "--seconds 1",
    "-o lab.pcapng --seconds 10": "-o lab.pcapng --seconds 1",
    "--size 1920x1080 --fps 60": "--size 160x90 --fps 4",
    "--size 1600x900": "--size 320x180",
}
"""What a document leaves to the reader, or what only costs time."""
STATUS = {
    "glassbox resolve demo 'all - pid:1/heep'": 2,
    "glassbox resolve demo 'comm:cront/stack'": 2,
    "glassbox resolve demo 'slab:dentri*'": 2,
    "glassbox compare": 1,
    "glassbox files demo --deleted": 1,
    'glassbox ask demo "show the stack"': 2,
    'glassbox ask demo "what changed since the last checkpoint?"': 2,
    **dict.fromkeys(("glassbox viewers", "glassbox highlight", "glassbox fly-to"), 1),
    "glassbox trace diff": 1,
}
"""Exit statuses other than 0, by how a command begins; no window is open."""
STREAMS = ("glassbox events", "glassbox flows lab --follow")
"""Commands that end with their machine or network."""
MAKES_FOLDERS = "while :; do mkdir /tmp/one && rmdir /tmp/one; sleep 0.05; done"


def commands(path: Path) -> Iterator[str]:
    """Yield the commands of a document: the lines of ``sh`` blocks, and those behind a ``$``."""
    fence, waiting = None, ""
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            fence = line[3:] if fence is None else None
        elif fence == "sh":
            if line.strip():
                yield line
        elif fence in (None, "") and (found := re.fullmatch(r"(?:    )?\$ (.*)" if not waiting else r"\s*(.*)", line)):
            waiting += found[1]
            if not waiting.endswith("\\"):
                yield waiting
                waiting = ""
            else:
                waiting = waiting[:-1]


def begins(command: str, starts: object) -> str | None:
    return next((start for start in starts if re.match(re.escape(start) + r"(\s|/|$)", command)), None)  # type: ignore[attr-defined]


class Reader:
    """Somebody who types what a document says, in a folder of their own."""

    def __init__(self, folder: Path, image: BuiltImage) -> None:
        self.folder = folder
        self.streams: list[subprocess.Popen[bytes]] = []
        (folder / ".local/share/bash-completion/completions").mkdir(parents=True)
        (folder / "docs").symlink_to(ROOT / "docs")  # clients are named from the checkout
        (folder / "bzImage").symlink_to(image.kernel)
        (folder / "initramfs.gz").symlink_to(image.initrd)
        (folder / "tour.txt").write_text("0 yaw=35,pitch=24\n1 yaw=125\n")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        self.environment = os.environ | {"PATH": path, "HOME": str(folder), "XDG_CACHE_HOME": cache}

    def type(self, command: str) -> None:
        """Run `command`, which must end as the document says."""
        for written, meant in MEANT.items():
            command = command.replace(written, meant)
        if start := re.match(r"glassbox (?:start|attach) ([a-z]+)", command):
            stop(start[1])
        words = ["bash", "-c", command]
        if begins(command, STREAMS):
            self.streams.append(
                subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL)
            )
            return
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, timeout=300, check=False
        )
        told = begins(command, STATUS)
        assert done.returncode == (STATUS[told] if told else 0), (command, done.stdout[-500:], done.stderr[-2000:])


@pytest.fixture
def reader(tmp_path: Path, image: BuiltImage) -> Iterator[Reader]:
    found = Reader(tmp_path, image)
    before = {each.name for each in connection.iter_connections()}
    yield found
    for each in list(connection.iter_connections()):
        if each.name not in before:
            stop(each.name)
    for stream in found.streams:
        assert stream.wait(timeout=120) == 0


def read(path: Path, reader: Reader, image: BuiltImage, with_slow: bool) -> None:
    wanted = [command for command in commands(path) if not begins(command, NOT_RUN)]
    wanted = [command for command in wanted if with_slow or not begins(command, SLOW)]
    with contextlib.ExitStack() as stack:
        if not any(begins(command, ["glassbox start demo"]) for command in wanted):
            guest = stack.enter_context(booted("demo", image))
            # Something happens in it, as in a guest that somebody looks at.
            guest.exec(f"({MAKES_FOLDERS}) >/dev/null 2>&1 </dev/null &")
            guest.client.ram.copy_to(reader.folder / "guest.raw")
        for command in wanted:
            reader.type(command)


def test_what_is_not_run_is_there_and_has_a_reason():
    every = [command for path in DOCS for command in commands(path)]
    assert len(every) > 80
    for starts in (NOT_RUN, SLOW, STREAMS):
        for start in starts:
            assert any(begins(command, [start]) for command in every), start


IN_SHORT_RUNS = ("README.md", "tutorial.md", "ask.md")
"""Documents whose commands short runs try; long runs try all."""
WITH_COMMANDS = [path for path in DOCS if any(not begins(command, NOT_RUN) for command in commands(path))]


@pytest.mark.guest
@pytest.mark.parametrize(
    "path", [path for path in WITH_COMMANDS if path.name in IN_SHORT_RUNS], ids=lambda path: path.name
)
def test_every_command_of_a_document_works(path, reader, image):
    read(path, reader, image, with_slow=False)


@pytest.mark.guest
@pytest.mark.long
@pytest.mark.parametrize("path", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_command_of_a_document_works_those_that_take_long_too(path, reader, image):
    read(path, reader, image, with_slow=True)
