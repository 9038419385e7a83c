"""Process VMs of this user, by their names: files in the runtime folder say which there are."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from qemu_bridge.errors import HostError, UnknownMachineError, UsageError
from qemu_bridge.host.folders import own_folder, runtime_folder

from .limits import VmLimits
from .protocol import Command, Ended, VmStatus, receive, send

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_START_S = 30.0
_STOP_S = 10.0
_LOOK_S = 0.02


class ProcessVm:
    """A VM that runs; made by `create`, found again by `find_vm` from any process of the user."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._status = _folder() / f"{name}.json"
        self._socket = _folder() / f"{name}.sock"

    def __enter__(self) -> ProcessVm:
        return self

    def __exit__(self, *about: object) -> None:
        self.stop()

    @classmethod
    def create(cls, name: str, limits: VmLimits | None = None) -> ProcessVm:
        """A VM of a name that no other has. Raises `UsageError` for a wrong name or limits, `HostError` where it does not start."""
        limits = (limits or VmLimits()).checked()
        if not NAME.fullmatch(name):
            raise UsageError(f"{name[:70]!r} is no name of a VM; it has up to 64 letters, digits, and . _ -")
        vm = cls(name)
        if vm._read():
            raise UsageError(f"there is a VM {name!r}; choose another name, or stop it")
        vm._socket.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(str(vm._socket))
            except OSError as error:
                raise HostError(f"{vm._socket} cannot be made: {error.strerror}; try again") from None
            listener.listen(64)
            words = [str(listener.fileno()), str(vm._status), msgspec.json.encode(limits).decode()]
            started = subprocess.run(
                [sys.executable, "-m", "gpu_hypervisor.vms.keeper", *words],
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        until = time.monotonic() + _START_S
        while not vm._read():
            if started.returncode or time.monotonic() > until:
                raise HostError(f"VM {name} did not start within {_START_S:g} s; try again")
            time.sleep(_LOOK_S)
        return vm

    def status(self) -> VmStatus:
        """What it has and had, half a second old at most. `UnknownMachineError` where it was stopped, or its keeper was killed."""
        found = self._read()
        if found is None:
            raise _missing(self.name)
        return found

    def run(
        self,
        words: Sequence[str],
        *,
        folder: str | None = None,
        environment: Mapping[str, str] | None = None,
        descriptors: tuple[int, int, int] = (0, 1, 2),
    ) -> Ended:
        """Run a command and wait for its end. `UsageError` where it cannot be started, `UnknownMachineError` as `status`.

        `descriptors` are its input, output and errors. It is ended where this process ends before it.
        """
        if not words:
            raise UsageError("there is no command; give one after --")
        command = Command(list(words), folder or os.getcwd(), dict(os.environ if environment is None else environment))
        self.status()
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self._socket))
                send(connection, command, descriptors)
                found, _ = receive(connection)
            except (OSError, EOFError):
                raise _missing(self.name) from None
        assert isinstance(found, Ended)
        if found.status == 127 and found.why:
            raise UsageError(f"{words[0]} cannot be run: {found.why}")
        return found

    def stop(self) -> None:
        """End its commands and the VM. Again: nothing. `HostError` where its keeper does not end."""
        found = self._read()
        if found is None:
            self._clean()
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_S
        while _is_keeper(found):
            if time.monotonic() > until:
                raise HostError(f"the keeper of VM {self.name}, process {found.pid}, does not end; kill it")
            time.sleep(_LOOK_S)
        self._clean()

    def _read(self) -> VmStatus | None:
        try:
            found = msgspec.json.decode(self._status.read_bytes(), type=VmStatus)
        except (OSError, msgspec.DecodeError):
            return None
        return found if _is_keeper(found) else None

    def _clean(self) -> None:
        self._status.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)


def iter_vms() -> Iterator[VmStatus]:
    """VMs that run, by name; what is left of others is removed."""
    for path in sorted(_folder().glob("*.json")):
        vm = ProcessVm(path.stem)
        found = vm._read()
        if found:
            yield found
        else:
            vm._clean()


def find_vm(name: str) -> ProcessVm:
    """The VM of a name. `UnknownMachineError` where none runs."""
    vm = ProcessVm(name)
    if not NAME.fullmatch(name) or vm._read() is None:
        raise _missing(name)
    return vm


def _folder() -> Path:
    return own_folder(runtime_folder() / "gpu-vms", "the folder of process VMs", "XDG_RUNTIME_DIR")


def _is_keeper(found: VmStatus) -> bool:
    """Whether the keeper runs: a process of its number that began when it did."""
    try:
        words = Path(f"/proc/{found.pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{found.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return b"gpu_hypervisor.vms.keeper" in words and f"{found.name}.json".encode() in b" ".join(words) and state != "Z"


def _missing(name: str) -> UnknownMachineError:
    names = ", ".join(found.name for found in iter_vms())
    return UnknownMachineError(f"no VM {name[:70]!r} runs; those that do: {names or 'none'}")
