"""Control and events of a machine on another host, forwarded by ssh from Unix sockets there to Unix sockets here.

One ``ssh`` is run for each machine and process. It asks the ``glassbox`` there where the sockets are, and lives until its standard
input ends: when this process does, however that comes about.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import msgspec

from ..errors import MachineError, UnknownMachineError, UsageError
from ..host.folders import runtime_folder
from ..wire.connection import Connection
from ..wire.endpoints import RemoteName

_NOT_FOUND = 127
_FORWARD_S = 60.0


class SshForward:
    """A machine's sockets, forwarded.

    Attributes:
        connection: its connection file, with the sockets on this host.
    """

    def __init__(self, remote: RemoteName) -> None:
        """Connect; ssh may ask for a password on the terminal.

        `UnknownMachineError` for a machine that does not run there, `MachineError` where ssh or glassbox fails.
        """
        self._remote = remote
        self._folder = Path(tempfile.mkdtemp(prefix=f"ssh-{os.getpid()}-", dir=runtime_folder()))
        self._target = [
            *(["-p", str(remote.port)] if remote.port else []),
            remote.host.replace("[", "").replace("]", ""),
        ]
        program = os.environ.get("GLASSBOX_REMOTE", "glassbox")
        command = f"{program} call {shlex.quote(remote.name)} describe && exec cat"
        words = ["ssh", "-T", "-M", "-S", str(self._folder / "m"), "-o", "ControlPersist=no", *self._target, command]
        try:
            with open(self._folder / "log", "wb") as log:
                self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise MachineError(f"cannot run ssh ({error.strerror}); install OpenSSH's client") from None
        try:
            self.connection = self._forward(self._describe())
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether ssh still runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End ssh and remove the sockets."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        # By itself it would wait for the connections that it forwards.
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _describe(self) -> Connection:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._error(self._process.wait())
        return Connection.from_json(line)

    def _error(self, status: int) -> Exception:
        said = (self._folder / "log").read_text(errors="replace").strip().splitlines()
        last = said[-1].strip() if said else f"ssh ended with status {status}"
        where = self._remote.place
        if status == _NOT_FOUND:
            return MachineError(
                f"there is no glassbox on {where} ({last}); install it there, or set GLASSBOX_REMOTE to its path there"
            )
        if last.startswith("glassbox: "):
            kind = UnknownMachineError if status == UsageError.exit_status else MachineError
            return kind(f"{where}: {last.removeprefix('glassbox: ')}")
        return MachineError(f"cannot reach {where} by ssh: {last}; try 'ssh {' '.join(self._target)}'")

    def _forward(self, there: Connection) -> Connection:
        here = {name: str(self._folder / name[0]) for name in ("control", "events")}
        pairs = [f"{path}:{getattr(there, name).removeprefix('ipc://')}" for name, path in here.items()]
        options = [word for pair in pairs for word in ("-L", pair)]
        words = ["ssh", "-S", str(self._folder / "m"), "-O", "forward", *options, *self._target]
        done = subprocess.run(
            words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_FORWARD_S
        )
        if done.returncode:
            raise MachineError(
                f"ssh does not forward Unix sockets from {self._remote.place} ({done.stderr.strip()}); allow it there"
                " (AllowStreamLocalForwarding)"
            )
        return msgspec.structs.replace(there, **{name: f"ipc://{path}" for name, path in here.items()})


_lock = threading.Lock()
_open: dict[tuple[int, RemoteName], SshForward] = {}


def forward(remote: RemoteName) -> SshForward:
    """The forward of this process to `remote`, made if there is none; it ends with the process."""
    with _lock:
        key = (os.getpid(), remote)
        found = _open.get(key)
        if found is None or not found.is_alive:
            _sweep()
            if found is not None:
                found.close()
            else:
                atexit.register(_close, key)
            _open.pop(key, None)
            found = _open[key] = SshForward(remote)
        return found


def _close(key: tuple[int, RemoteName]) -> None:
    # A forked child has its parent's list, and none of its forwards.
    if key[0] == os.getpid() and (found := _open.pop(key, None)) is not None:
        found.close()


def _sweep() -> None:
    """Remove what processes left that were killed."""
    for folder in runtime_folder().glob("ssh-*-*"):
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists():
            shutil.rmtree(folder, ignore_errors=True)
