"""The way to a running machine, blocking, for scripts, notebooks and the command line.

>>> with Client.connect("demo") as demo:
...     demo.pause()
...     [process.name for process in demo.processes()][:2]
['init', 'kthreadd']
>>> demo.ram.read(PhysicalAddress(0x1000), 4)    # RAM is read in place, not through the daemon
b'\\x00\\x00\\x00\\x00'
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from .. import errors
from ..errors import GlassBoxError, MachineError, MachineGoneError, PageMapOverwrittenError
from ..machine import launch
from ..wire import connection
from ..wire.connection import Connection
from ..wire.records import (
    PROTOCOL_VERSION,
    MemoryMapping,
    Module,
    OverlayInfo,
    OverlayTable,
    Place,
    Process,
    Symbol,
    TargetMemory,
    TypeLayout,
    from_json,
)

if TYPE_CHECKING:
    import numpy as np

    from ..memory.ram import GuestRam
    from ..trace.counters.heat import Heat
    from ..trace.counters.writers import LastWriter
    from ..trace.recording.control import ArmOptions
    from ..wire.page_map import PageMap, PageMapFile

TIMEOUT_S = 60.0
_LIVENESS_MS = 250
_EVENTS_LIVENESS_MS = 1000
"""An end is told; only that of a daemon that was killed has to be noticed."""
_PAGE_MAP_TRIES = 8


class Client:
    """A blocking connection to one machine's daemon. Not thread-safe: one per thread."""

    def __init__(self, found: Connection, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to the daemon of `found`; an answer may take `timeout_s`."""
        self.connection = found
        self.name = found.name
        self._context = zmq.Context()
        self._control = self._context.socket(zmq.DEALER)
        self._control.linger = 0
        self._control.connect(found.control)
        self._timeout_s = timeout_s
        self._last_id = 0
        self.skipped: tuple[str, ...] = ()
        """What the last answer about guest RAM leaves out, a sentence each; nothing when it is complete."""

    @classmethod
    def connect(cls, name: str) -> Client:
        """The client of running machine `name`, or of the capture in the folder `name`.

        `UnknownMachineError` if there is no such machine, `UsageError` for a folder that is no capture.
        """
        if launch.is_capture(name):
            return cls(launch.open_capture(Path(name)))
        return cls(connection.find_connection(name))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets; the machine runs on."""
        self._context.destroy(linger=0)

    # --- the machine -------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Do nothing while the machine is there; `MachineGoneError` when it has ended. Costs no round trip."""
        if not connection.is_alive(self.name):
            raise MachineGoneError(
                f"machine {self.name!r} has ended ({connection.read_exit(self.name) or 'its daemon was killed'})"
            )

    def status(self) -> dict[str, Any]:
        """What the daemon knows of its machine: runstate, RAM, kernel, strategy of the dirty log, uptime."""
        return self.request("status")[0]

    def cpu_seconds(self) -> float | None:
        """CPU time that QEMU has used so far; None for a capture, and where the host does not tell. Costs no round trip.

        A guest that used none since one last looked has written nothing since.
        """
        try:
            return None if self._cpu_clock is None else time.clock_gettime(self._cpu_clock)
        except OSError:
            return None

    @cached_property
    def _cpu_clock(self) -> int | None:
        pid, clock = int(self.status()["qemu_pid"]), ctypes.c_int()
        found = pid > 0 and ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) == 0
        return clock.value if found else None

    def pause(self) -> None:
        """Stop the vCPUs. Done when this returns."""
        self.request("pause")

    def resume(self) -> None:
        """Let the vCPUs run again."""
        self.request("resume")

    def stop(self) -> None:
        """End the machine; its RAM is gone when this returns."""
        with contextlib.suppress(MachineGoneError):
            self.request("stop")
        deadline = time.monotonic() + TIMEOUT_S
        while connection.is_alive(self.name):
            if time.monotonic() > deadline:
                raise MachineError(
                    f"the daemon of {self.name!r} does not end; kill process {self.connection.daemon_pid}"
                )
            time.sleep(0.01)

    def wait_until_ready(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return when the guest's init says that user space is up; `MachineError` after `timeout_s`."""
        self.request("wait_ready", timeout_s=timeout_s, patience_s=timeout_s)

    def qmp(self, command: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # whatever QEMU returns
        """Run a QMP command and return what QEMU returns."""
        return self.request("qmp", command=command, arguments=arguments or {})[0]["return"]

    def execute(self, command: str | Sequence[str], timeout_s: float = TIMEOUT_S) -> tuple[bytes, int]:
        """(output, exit status) of a shell line or of words, run as root in the guest."""
        words = command if isinstance(command, str) else list(command)
        header, buffers = self.request("exec", command=words, timeout_s=timeout_s, patience_s=timeout_s)
        return buffers[0], int(header["exit_status"])

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the machine's events, the present state first, the machine's end last."""
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.subscribe(b"")
        socket.connect(self.connection.events)
        with socket:
            while True:
                if socket.poll(_EVENTS_LIVENESS_MS):
                    event: dict[str, Any] = json.loads(socket.recv_multipart()[1])
                    yield event
                    if event["event"] == "exited":
                        return
                elif not connection.is_alive(self.name):
                    yield {"event": "exited", "reason": connection.read_exit(self.name) or "its daemon was killed"}
                    return

    # --- its memory --------------------------------------------------------------------------------------

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM, mapped read-only."""
        # Imported here: most commands never look at RAM, and NumPy takes longer to load than they to run.
        from ..memory.ram import GuestRam

        return GuestRam(Path(self.connection.ram_path), self.connection.layout)

    def dirty_pages(self, epoch: int = 0) -> tuple[list[tuple[int, int]], int]:
        """(runs, now): half-open runs of page numbers changed after `epoch`, and the epoch to ask with next."""
        header = self.request("dirty", epoch=epoch)[0]
        return [(int(first), int(end)) for first, end in header["runs"]], int(header["epoch"])

    def page_map(self) -> PageMap:
        """A fresh page map, all of one generation."""
        for _ in range(_PAGE_MAP_TRIES):
            header = self.request("page_map")[0]
            try:
                return self._page_map_file.read(header)
            except PageMapOverwrittenError:
                continue
        raise MachineError("other clients refresh the page map faster than it can be read; ask again")

    @cached_property
    def _page_map_file(self) -> PageMapFile:
        from ..wire.page_map import PageMapFile

        return PageMapFile.attach(Path(self.connection.page_map_path))

    # --- its names ---------------------------------------------------------------------------------------

    def kernel(self) -> dict[str, Any]:
        """Release, build id and KASLR offset of the kernel in RAM; `NotBootedError` while there is none."""
        return self.request("kernel")[0]

    def processes(self) -> list[Process]:
        """Every thread group, by pid, read from RAM."""
        return [from_json(Process, row) for row in self.request("ps")[0]["rows"]]

    def mappings(self, pid: int) -> list[MemoryMapping]:
        """The virtual memory areas of process `pid`, ascending; `UsageError` if there is no such process."""
        return [from_json(MemoryMapping, row) for row in self.request("maps", pid=pid)[0]["rows"]]

    def modules(self) -> list[Module]:
        """The loaded kernel modules, newest first."""
        return [from_json(Module, row) for row in self.request("modules")[0]["rows"]]

    def symbols(self, wanted: str) -> list[Symbol]:
        """The symbols of kernel and modules called `wanted`, or the one that covers it if it is an address.

        `UsageError` with near names for a name that there is not; nothing for an address that no symbol covers.
        """
        return [from_json(Symbol, row) for row in self.request("sym", wanted=wanted)[0]["rows"]]

    def type_layout(self, name: str, depth: int = 1) -> TypeLayout:
        """How the kernel's struct or union `name` is laid out, by its own types, inner structs opened `depth` levels.

        `UsageError` if there is none of that name.
        """
        return TypeLayout.from_json(self.request("type", name=name, depth=depth)[0]["type"])

    def type_names(self, part: str = "") -> list[str]:
        """Names of the kernel's structs and unions that contain `part`, the likeliest first; at most 200."""
        return [str(row) for row in self.request("types", part=part)[0]["rows"]]

    # --- its trace ---------------------------------------------------------------------------------------

    def trace_arm(self, options: ArmOptions | None = None, reader_pid: int | None = None) -> dict[str, Any]:
        """Open a window of the trace; the `trace_status` then.

        `reader_pid` (this process) drains the rings; the guest waits for it, and the window closes when it dies.
        `UsageError` for options that cannot be, `MachineError` where there is no plugin or a window is open.
        """
        record = options.to_json() if options else {}
        return self.request("trace_arm", options=record, reader_pid=os.getpid() if reader_pid is None else reader_pid)[
            0
        ]

    def trace_disarm(self) -> dict[str, Any]:
        """Close the window of the trace, if one is open; the `trace_status` then."""
        return self.request("trace_disarm")[0]

    def heat(self) -> Heat:
        """Have heat counted and map its arrays; close what is returned to end it.

        The guest runs slower meanwhile. Any number may watch at once, and a trace be recorded beside them.
        `MachineError` for a machine without the plugin (attached, a capture, KVM).
        """
        from ..trace.counters.heat import Heat

        answer = self.request("heat_watch", reader_pid=os.getpid())[0]
        return Heat(Path(answer["path"]), lambda: self.request("heat_unwatch", watcher=answer["watcher"]))

    def name_writer(self, writer: np.void) -> LastWriter | None:
        """Who stored last to a page, in words, from its row of `Heat.writers`; None if no store was seen."""
        from ..trace.counters.writers import name_writer

        return name_writer(self, writer, self.ram.layout)

    def trace_status(self) -> dict[str, Any]:
        """What the plugin does, and what the rings of the vCPUs have seen; `MachineError` where there is no plugin."""
        return self.request("trace_status")[0]

    # --- places ------------------------------------------------------------------------------------------

    def whose(self, place: str, pid: int | None = None) -> Place:
        """All that is known of the byte at `place`: ``0x1f000``, ``init_task+16``, ``va:0x7f0000000000@pid:1``.

        With `pid` a number is a virtual address of that process. `UsageError` where nothing is.
        """
        return Place.from_json(self.request("whose", place=place, pid=pid)[0]["place"])

    def where(self, target: str, by_page: bool = False) -> TargetMemory:
        """The memory that `target` means (docs/targets.md), as ranges of one class each, or a row a page."""
        return TargetMemory.from_json(self.request("where", target=target, by_page=by_page)[0]["memory"])

    def targets(self, prefix: str = "") -> list[str]:
        """What `prefix` can be completed to."""
        return [str(row) for row in self.request("targets", prefix=prefix)[0]["rows"]]

    # --- overlays ----------------------------------------------------------------------------------------

    def overlays(self) -> tuple[list[OverlayInfo], list[str]]:
        """(the overlays that the daemon knows, a sentence for each that it had to pass over)."""
        header = self.request("overlay", overlay="")[0]
        return [from_json(OverlayInfo, row) for row in header["rows"]], list(header["skipped"])

    def overlay(self, overlay: str) -> OverlayTable:
        """The rows of an overlay as of now; `UsageError` if there is none of that name."""
        return from_json(OverlayTable, self.request("overlay", overlay=overlay)[0]["table"])

    # --- the wire ----------------------------------------------------------------------------------------

    def request(self, verb: str, patience_s: float = 0.0, **arguments: Any) -> tuple[dict[str, Any], list[bytes]]:  # noqa: ANN401  # JSON values
        """(header, buffers) of the daemon's answer to `verb`.

        Raises the error that the daemon reports, `MachineGoneError` if it dies meanwhile, and `MachineError`
        when no answer comes within the client's time and `patience_s`.
        """
        self._last_id += 1
        message = {"protocol": PROTOCOL_VERSION, "id": self._last_id, "verb": verb, "arguments": arguments}
        self._control.send(json.dumps(message).encode())
        deadline = time.monotonic() + self._timeout_s + patience_s
        while time.monotonic() < deadline:
            if self._control.poll(_LIVENESS_MS):
                header, *buffers = self._control.recv_multipart()
                reply = json.loads(header)
                if reply["id"] == self._last_id:
                    result = _result(reply)
                    self.skipped = tuple(result.get("skipped", ()))
                    return result, buffers
            elif not connection.is_alive(self.name):
                reason = connection.read_exit(self.name) or "its daemon was killed"
                raise MachineGoneError(f"machine {self.name!r} ended while it was asked ({reason})")
        raise MachineError(f"the daemon of {self.name!r} did not answer {verb} in time; see {self.connection.log_path}")


def _result(reply: dict[str, Any]) -> dict[str, Any]:
    if reply["ok"]:
        result: dict[str, Any] = reply["result"]
        return result
    kind = getattr(errors, reply["error"]["kind"], GlassBoxError)
    raise kind(reply["error"]["message"])
