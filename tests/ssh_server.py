"""A real sshd of this user's own on a loopback port, and an ``ssh`` that knows it and nobody else."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import wait_until

_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_sshd = pytest.mark.skipif(_SSHD is None or shutil.which("ssh") is None, reason="sshd or ssh is not installed")
_PASSED_ON = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "GLASSBOX_RAM_DIR", "GLASSBOX_SYMBOL_CACHE")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running_sshd(folder: Path) -> Iterator[tuple[str, Path]]:
    """(``HOST:PORT``, folder of an ``ssh`` to put first in PATH); who logs in has this checkout's ``glassbox``."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = " ".join(f"{name}={os.environ[name]}" for name in _PASSED_ON if name in os.environ)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile none\nUsePAM no\nStrictModes no\nSetEnv PATH={path} {own}\n"
    )
    (folder / "client").write_text(
        f"Host *\nIdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\nUser {getpass.getuser()}\n"
        "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking no\nBatchMode yes\n"
    )
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
    (programs / "ssh").chmod(0o700)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        wait_until(lambda: _answers(port))
        yield f"127.0.0.1:{port}", programs
    finally:
        server.terminate()
        server.wait()
