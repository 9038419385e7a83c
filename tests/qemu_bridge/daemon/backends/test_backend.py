"""What every backend has, and what stands for a shell where there is none."""

from __future__ import annotations

import asyncio

import pytest

from qemu_bridge.daemon.backends.attached import AttachedQemu
from qemu_bridge.daemon.backends.backend import Backend, NoShell
from qemu_bridge.daemon.backends.capture import Capture
from qemu_bridge.daemon.backends.image import RamImage
from qemu_bridge.daemon.backends.started import StartedQemu
from qemu_bridge.errors import MachineError
from qemu_bridge.wire.records import Origin

BACKENDS = (StartedQemu, AttachedQemu, RamImage, Capture)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.__name__)
def test_every_backend_has_the_methods_and_says_what_it_is(backend):
    for name in ("connect", "check_layout", "shell", "wait", "end", "describe_exit", "exit_status"):
        assert hasattr(backend, name), name
    # Mypy sees to the types of the rest where a backend is made; here: each says them of its class.
    for name in ("origin", "is_static", "signals_ready", "idle_timeout_s", "symbols", "caveats", "is_whole"):
        assert name in Backend.__annotations__ and hasattr(backend, name), name
    assert isinstance(backend.origin, Origin)


def test_no_two_backends_are_of_one_origin():
    assert {backend.origin for backend in BACKENDS} == set(Origin)


def test_only_what_we_started_says_when_it_is_ready_and_only_files_stand_still():
    assert [backend.signals_ready for backend in BACKENDS] == [True, False, False, False]
    assert [backend.is_static for backend in BACKENDS] == [False, False, True, True]


def test_no_shell_says_why():
    shell = NoShell("is a statue; look at it")
    with pytest.raises(MachineError, match="the machine is a statue; look at it"):
        asyncio.run(shell.run("ls", 1.0))
