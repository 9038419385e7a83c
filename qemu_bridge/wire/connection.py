"""The connection file: how a machine is found, and how the files of a dead daemon are removed.

Each machine has ``<runtime>/glassbox/NAME.json`` (mode 0600, replaced atomically) and ``NAME.lock``, which its
daemon holds with ``flock`` for as long as it lives. A file whose lock is free belongs to a daemon that died:
`prune` ends its QEMU, if it still runs, and removes its files.

``<runtime>`` is ``$XDG_RUNTIME_DIR``, else a folder of the user's own in ``/tmp``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ..errors import BusyNameError, UnknownMachineError, UsageError
from ..host.folders import base_folder, own_folder
from ..host.folders import runtime_folder as runtime_folder
from ..memory.addresses import PhysicalAddress, RamLayout, RamOffset, RamRegion
from .capture_names import MANIFEST
from .records import PROTOCOL_VERSION, Origin, Record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_UNIX_PATH_LIMIT = 107


class Connection(Record, frozen=True):
    """The content of a machine's connection file; paths are absolute, addresses guest-physical.

    Attributes:
        name, state: the machine's name; ``starting`` or ``running``.
        daemon_pid: process id of the daemon.
        control, events: ZeroMQ endpoints.
        ram_path: the RAM file.
        regions: where its bytes are in the guest: rows of guest-physical start, file offset, size in bytes.
        page_map_path: the page map; the path is fixed, the file is empty until the first `refresh_page_map`.
        qmp_path: a QMP socket for scripts, one client at a time. Of an attached machine the socket that the daemon uses; empty for an image.
        console_path, log_path: the guest's console log (empty unless ``started``), and the daemon's log.
        machine, accelerator: QEMU's machine type and accelerator.
        image, image_id: what was started: the guest image's name, and a hash of its content.
        qemu_pid, qemu_started: QEMU's process id, 0 unless ``started``; its start in clock ticks since boot, as pids are reused.
        started_at: seconds since 1970.
        origin: the backend; only of ``started`` are RAM and QEMU removed with the daemon.
        protocol: version of the protocol.
        argv: QEMU's command line.
        trace_path, no_trace: the trace's shared file (docs/trace.md); if it is empty, why.
        listen, listen_events: control and events for other hosts, ``tcp://ADDRESS:PORT``; empty where the machine does not listen.
        net, address: the network between guests that the machine is on, and its IPv4 address there; empty without one.
        gpu_port, aperture_path: the socket of its port for a GPU, and the shared memory for its data (docs/gpu-protocol.md); empty without.
        gpu_weight, gpu_memory: its weight beside other guests of the GPU, and the bytes that it may hold there; 0 without one.
    """

    name: str
    state: str
    daemon_pid: int
    control: str
    events: str
    ram_path: str
    regions: tuple[tuple[int, int, int], ...]
    page_map_path: str
    qmp_path: str
    console_path: str
    log_path: str
    machine: str
    accelerator: str
    image: str = ""
    image_id: str = ""
    qemu_pid: int = 0
    qemu_started: int = 0
    started_at: float = 0.0
    origin: Origin = Origin.STARTED
    protocol: int = PROTOCOL_VERSION
    argv: tuple[str, ...] = ()
    trace_path: str = ""
    no_trace: str = ""
    listen: str = ""
    listen_events: str = ""
    net: str = ""
    address: str = ""
    gpu_port: str = ""
    aperture_path: str = ""
    gpu_weight: float = 0.0
    gpu_memory: int = 0

    @property
    def shared_files(self) -> tuple[str, ...]:
        """The shared memory files that go when the machine goes."""
        ours = (self.ram_path, self.trace_path, self.aperture_path) if self.origin is Origin.STARTED else ()
        return tuple(path for path in (self.page_map_path, *ours) if path)

    @property
    def layout(self) -> RamLayout:
        """Where the bytes of the RAM file appear in the guest."""
        return RamLayout(tuple(RamRegion(PhysicalAddress(a), RamOffset(b), c) for a, b, c in self.regions))

    @classmethod
    def from_json(cls, text: bytes) -> Connection:
        """Decode a connection file; `UsageError` if it is damaged or of another protocol version."""
        try:
            found = msgspec.json.decode(text, type=_Version)
            if found.protocol == PROTOCOL_VERSION:
                return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(f"a connection file is damaged ({error}); start the machine again") from None
        raise UsageError(
            f"machine {found.name!r} speaks protocol {found.protocol}, this glassbox {PROTOCOL_VERSION}; use the release that"
            f" started it, or end the machine with 'kill {found.daemon_pid}'"
        )


class _Version(msgspec.Struct):
    protocol: int = 0
    name: str = ""
    daemon_pid: int = 0


def state_path(name: str) -> Path:
    """The folder of machine `name`'s logs; it may not exist."""
    return (base_folder("XDG_STATE_HOME") or Path.home() / ".local/state") / "glassbox" / name


def state_folder(name: str) -> Path:
    """The folder of machine `name`'s logs, mode 0700 (a console may show secrets), created when missing."""
    folder = state_path(name)
    return own_folder(folder, f"folder {folder} for logs", "XDG_STATE_HOME")


def ram_folder() -> Path:
    """The folder of RAM files: ``GLASSBOX_RAM_DIR``, else ``/dev/shm``."""
    return base_folder("GLASSBOX_RAM_DIR") or Path("/dev/shm")


def validate_name(name: str) -> str:
    """`name`, if it is a valid machine name; `UsageError` otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid machine name; use up to 40 letters, digits, '.', '_' and '-'")
    socket_path = runtime_folder() / f"{name}.control"
    if len(os.fsencode(socket_path)) > _UNIX_PATH_LIMIT:
        raise UsageError(
            f"the socket path {socket_path} is too long for the kernel; use a shorter name or XDG_RUNTIME_DIR"
        )
    return name


def acquire_lock(name: str, patience_s: float = 0.5) -> int:
    """Take machine `name`'s lock and return its descriptor; `BusyNameError` when a daemon holds it.

    `is_alive` holds the lock for an instant, so retry for `patience_s`.
    """
    path = runtime_folder() / f"{name}.lock"
    deadline = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise BusyNameError(
                    f"machine {name!r} runs already; stop it with 'glassbox stop {name}' or choose another name"
                ) from None
            time.sleep(0.02)
            continue
        # Who had it may have removed the file in between.
        if holds_lock(name, descriptor):
            return descriptor
        os.close(descriptor)


def holds_lock(name: str, descriptor: int) -> bool:
    """Whether the lock file of machine `name` is still the one behind `descriptor`: it may have been removed, or taken."""
    try:
        found, own = os.stat(runtime_folder() / f"{name}.lock"), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


def regain_lock(name: str, descriptor: int) -> bool:
    """Make `descriptor` a lock of machine `name` again after its file was removed; False if another daemon holds it."""
    try:
        lock = acquire_lock(name, patience_s=0)
    except BusyNameError:
        return False
    os.dup2(lock, descriptor, inheritable=False)
    os.close(lock)
    return True


def has_connection_file(name: str) -> bool:
    """Whether machine `name` has a connection file."""
    return (runtime_folder() / f"{name}.json").exists()


def is_alive(name: str) -> bool:
    """Whether a daemon holds the lock of machine `name`."""
    try:
        descriptor = os.open(runtime_folder() / f"{name}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock, so that two callers do not take each other for the daemon.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_connection(connection: Connection) -> None:
    """Replace the machine's connection file atomically."""
    path = runtime_folder() / f"{connection.name}.json"
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(connection), indent=1) + b"\n")
    draft.replace(path)


def file_version(path: str) -> tuple[int, int] | None:
    """What changes when `path` is replaced, as a daemon does with its connection file: a look instead of a read. None without one."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_path(name: str) -> bool:
    """Whether `name` is the path of a capture or a dump rather than a machine's name: it has a slash, contains a manifest, or is a file and no machine."""
    return os.sep in name or Path(name, MANIFEST).is_file() or (Path(name).is_file() and not is_alive(name))


def find_connection(name: str) -> Connection:
    """The connection of running machine `name`; `UnknownMachineError` says which run, where this one does, or how it ended."""
    validate_name(name)
    if is_alive(name):
        with contextlib.suppress(FileNotFoundError):
            return Connection.from_json((runtime_folder() / f"{name}.json").read_bytes())
    if (elsewhere := _find_elsewhere(name)) is not None:
        way = f"set XDG_RUNTIME_DIR={elsewhere}" if elsewhere else "unset XDG_RUNTIME_DIR"
        raise UnknownMachineError(
            f"machine {name!r} runs, but was started with another XDG_RUNTIME_DIR; {way} to reach it"
        )
    running = ", ".join(connection.name for connection in iter_connections())
    ended = read_exit(name)
    how = f" ({ended})" if ended else ""
    hint = f"running: {running}" if running else f"start it with 'glassbox start {name}'"
    raise UnknownMachineError(f"no machine named {name!r} runs{how}; {hint}")


def _find_elsewhere(name: str) -> str | None:
    """``$XDG_RUNTIME_DIR`` of a daemon of ours that serves machine `name` in another runtime folder; None where there is none."""
    # Its shared files, whose names end with its process, are in one folder wherever its sockets are.
    for path in ram_folder().glob(f"{shared_prefix()}{name}-*.*"):
        pid = path.stem.removeprefix(f"{shared_prefix()}{name}-")
        with contextlib.suppress(OSError):
            if pid.isdecimal() and path.stat().st_uid == os.getuid() and is_daemon(int(pid)):
                words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                own = next((word for word in words if word.startswith(b"XDG_RUNTIME_DIR=")), b"")
                base = os.fsdecode(own.partition(b"=")[2])
                if (base if base.startswith("/") else "") != str(base_folder("XDG_RUNTIME_DIR") or ""):
                    return base if base.startswith("/") else ""
    return None


def iter_connections(captures: bool = False) -> list[Connection]:
    """The connections of all running machines, by name; with `captures` also of captures that somebody has open."""
    found = []
    for path in sorted(runtime_folder().glob("*.json")):
        if is_alive(path.stem):
            with contextlib.suppress(FileNotFoundError, UsageError):
                found.append(Connection.from_json(path.read_bytes()))
    return [each for each in found if captures or each.origin is not Origin.CAPTURE]


def write_exit(name: str, sentence: str, status: int | None = None) -> None:
    """Store how machine `name` ended, with QEMU's exit status where it is known, for who asks later."""
    (state_folder(name) / "exit").write_text(f"{' '.join(sentence.split())}\n{'' if status is None else status}\n")


def forget_exit(name: str) -> None:
    """Machine `name` begins anew: how it ended before is of no use any more."""
    (state_path(name) / "exit").unlink(missing_ok=True)


def read_exit(name: str) -> str:
    """How machine `name` ended the last time; empty when unknown."""
    return _exit_lines(name)[0]


def read_exit_status(name: str) -> int | None:
    """The exit status of QEMU when machine `name` ended the last time; None when unknown."""
    with contextlib.suppress(ValueError):
        return int(_exit_lines(name)[1])
    return None


def _exit_lines(name: str) -> tuple[str, str]:
    try:
        lines = (state_path(name) / "exit").read_text().split("\n")
    except OSError:
        return "", ""
    return lines[0].strip(), lines[1] if len(lines) > 1 else ""


def prune() -> list[str]:
    """Clean up after daemons that were killed; returns the names of their machines."""
    swept = []
    for path in sorted(runtime_folder().glob("*.json")):
        try:
            lock = acquire_lock(path.stem, patience_s=0)
        except BusyNameError:
            continue
        if sweep(path.stem):
            swept.append(path.stem)
        release(path.stem, lock, ())
    _sweep_orphans()
    return swept


def _sweep_orphans() -> None:
    # Shared files of dead daemons without a connection file, as after a runtime folder was emptied.
    in_use = {found.ram_path for found in iter_connections()}
    for path in ram_folder().glob(f"{shared_prefix()}*-*.*"):
        if str(path) in in_use:
            continue
        pid = path.stem.rpartition("-")[2]
        with contextlib.suppress(OSError):
            if pid.isdecimal() and path.stat().st_uid == os.getuid() and not is_daemon(int(pid)):
                path.unlink()


def is_daemon(pid: int) -> bool:
    """Whether process `pid` is a daemon of ours."""
    try:
        return b"qemu_bridge.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # not there; or gone between opening and reading, which has another number
        return False


def sweep(name: str) -> bool:
    """End the QEMU of a dead daemon of machine `name` and remove its files; the caller holds the lock."""
    path = runtime_folder() / f"{name}.json"
    try:
        record = json.loads(path.read_text())
        shared = [record["page_map_path"]]
        if record.get("origin", "started") == "started":
            end_process(int(record["qemu_pid"]), int(record["qemu_started"]))
            shared += [record["ram_path"], record.get("trace_path", ""), record.get("aperture_path", "")]
        remove_files(name, shared)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)
        return False
    write_exit(name, "its daemon was killed")
    return True


def remove_files(name: str, shared: Iterable[str]) -> None:
    """Remove machine `name`'s shared memory files and its files in the runtime folder, except the lock."""
    remove_shared(shared)
    for suffix in ("control", "control.full", "events", "events.full", "qmp", "link", "gpu", "gdb", "draft", "json"):
        (runtime_folder() / f"{name}.{suffix}").unlink(missing_ok=True)


def remove_shared(shared: Iterable[str]) -> None:
    """Remove shared memory files."""
    for path in shared:
        # Only files with our own prefix are removed, whatever the connection file says.
        if Path(path).name.startswith(shared_prefix()):
            Path(path).unlink(missing_ok=True)


def release(name: str, lock: int, shared: Iterable[str]) -> None:
    """Machine `name` has ended: remove its files and give up its `lock`; the files of a later one of that name stay."""
    if holds_lock(name, lock):
        remove_files(name, shared)
        (runtime_folder() / f"{name}.lock").unlink(missing_ok=True)
    else:
        remove_shared(shared)
    os.close(lock)


def shared_prefix() -> str:
    """Prefix of the names of this user's shared memory files."""
    return f"glassbox-{os.getuid()}-"


def process_started(pid: int) -> int:
    """Start time of process `pid` in clock ticks since boot (field 22 of ``/proc/PID/stat``), 0 if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def end_process(pid: int, started: int) -> None:
    """Kill process `pid` if it is still the one that started at `started` (pids are reused)."""
    if pid > 0 and started and process_started(pid) == started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
