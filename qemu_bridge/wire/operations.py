"""The operation table: one row for each operation of the daemon.

A row is a typed signature with a docstring, a permission and a cost. From it come: what the daemon accepts and how it
checks arguments, the methods of `client.Client` and `client.AsyncClient`, the JSON schemas of arguments and results,
and the table in docs/protocol.md. To add an operation write a row here and a function of its name where its cost says
that it runs (`Cost`)::

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def modules() -> Answer[tuple[Module, ...]]:
        \"\"\"The loaded kernel modules, newest first.

        >>> [module.name for module in client.modules()][:1]
        ['virtio_rng']
        \"\"\"

An operation about guest RAM returns an `Answer`, which carries its grade and what was left out.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, overload

import msgspec

from .capture_records import Manifest, MemoryDifference
from .connection import Connection
from .network_records import Flows
from .picture_records import SnapOptions, SnapResult, VideoOptions, VideoResult
from .records import (
    Answer,
    AnyAddress,
    Blob,
    Checkpoint,
    ExecResult,
    FileInMemory,
    Finding,
    Fork,
    HeatWatch,
    HostPath,
    KernelInfo,
    MemoryMapping,
    MemorySpace,
    Module,
    OverlayInfo,
    OverlayTable,
    PageMapHeader,
    Place,
    Process,
    Status,
    Symbol,
    TargetMemory,
    TypeLayout,
    path_fields,
)
from .trace_records import ArmOptions, LearnedLoop, RecordOptions, RecordResult, TopOptions, TopResult, TraceStatus
from .viewer_records import ViewerSession, ViewersTold

P = ParamSpec("P")
R = TypeVar("R")

MAX_READ_BYTES = 4 << 20
"""Most bytes that one `read_memory` returns, over all its ranges."""
MAX_READ_RANGES = 4096
MAX_READ_PAGES = MAX_READ_BYTES // 8
"""Most entries of the page map that one `read_page_map` returns."""
TIMEOUT_S = 60.0
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Permission(str, Enum):
    """What an operation may do."""

    READ = "read"
    """Read state and RAM; the guest is not affected."""
    CONTROL = "control"
    """Control the machine: pause, trace, stop it."""
    WRITE = "write"
    """Change the guest's state, or run code in it."""

    def includes(self, other: Permission) -> bool:
        """Whether who may do this may do `other` too: each permission includes those before it."""
        order = list(Permission)
        return order.index(other) <= order.index(self)


class Cost(str, Enum):
    """How long an operation may take, and so where its function is."""

    INSTANT = "instant"
    """The daemon answers at once, or waits without working: a method of `daemon.control.Control`."""
    QUERY = "query"
    """A question to guest RAM within a budget of seconds: a method of `introspection.questions.Questions`."""
    JOB = "job"
    """Work of seconds or minutes in a process of its own, with progress events: a function of `daemon.job_process` or of the viewer."""


class BlockingCaller(Protocol):
    """Executes an operation and returns its result; see `client.Client`."""

    def call(self, operation: Operation[..., R], arguments: dict[str, Any]) -> R:
        """Execute `operation` and return its result."""


class AsyncCaller(Protocol):
    """Executes an operation asynchronously; see `client.AsyncClient`."""

    def call_async(self, operation: Operation[..., R], arguments: dict[str, Any]) -> Awaitable[R]:
        """An awaitable of the result of `operation`."""


class Operation(Generic[P, R]):
    """A row of the table.

    Attributes:
        name: in the request, of the client's method and, with ``-`` for ``_``, of the command line's verb.
        doc: what it does, with an example.
        permission: what it may do. cost: how long it may take, and where its function is.
        program: of a job, the module that does it, run with ``python -m``.
    """

    def __init__(self, function: Callable[P, R], permission: Permission, cost: Cost, program: str) -> None:
        # What `inspect.signature` and `help` look at.
        self.__wrapped__, self.__doc__ = function, function.__doc__
        code = function.__code__
        self._function = function
        self._names = code.co_varnames[: code.co_argcount]
        self.name: str = function.__name__
        self.doc: str = function.__doc__ or ""
        self.permission = permission
        self.cost = cost
        self.program = program

    @cached_property
    def host_files(self) -> bool:
        """Whether its arguments name files of the daemon's host."""
        return bool(path_fields(self.arguments))

    @property
    def remote_permission(self) -> Permission:
        """What a client on another host needs: `WRITE` where it names files of the daemon's host, which it could overwrite."""
        return Permission.WRITE if self.host_files else self.permission

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The arguments by name, as the request carries them; `TypeError` as from a function that is called wrongly."""
        arguments = dict(zip(self._names, args, strict=False))
        if len(args) > len(self._names) or (wrong := (kwargs.keys() & arguments) | (kwargs.keys() - set(self._names))):
            wrong = wrong if len(args) <= len(self._names) else {f"{len(args)} positional ones"}
            raise TypeError(f"{self.name} takes ({', '.join(self._names)}), once each, not {', '.join(sorted(wrong))}")
        return arguments | kwargs

    @cached_property
    def _hints(self) -> dict[str, Any]:
        # Resolved when first used: most processes speak a few of the operations.
        return typing.get_type_hints(self._function, include_extras=True)

    @cached_property
    def arguments(self) -> type[msgspec.Struct]:
        """The frozen record of its arguments."""
        defaults = self._function.__defaults__ or ()
        first = len(self._names) - len(defaults)
        fields: list[Any] = [(name, self._hints[name]) for name in self._names[:first]]
        fields += [
            (name, self._hints[name], default) for name, default in zip(self._names[first:], defaults, strict=True)
        ]
        return msgspec.defstruct(f"{self.name}_arguments", fields, frozen=True, kw_only=True)

    @property
    def result(self) -> Any:  # noqa: ANN401  # a type expression
        """The type of its result: a record, `Answer` of something, or None."""
        return self._hints["return"]

    @overload
    def __get__(self, caller: None, owner: type) -> Operation[P, R]: ...
    @overload
    def __get__(self, caller: BlockingCaller, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, caller: AsyncCaller, owner: type) -> Callable[P, Awaitable[R]]: ...
    def __get__(self, caller: Any, owner: type) -> Any:
        if caller is None:
            return self
        call = caller.call if hasattr(caller, "call") else caller.call_async

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401  # R, or an awaitable of it
            return call(self, self.bind(*args, **kwargs))

        method.__name__, method.__doc__ = self.name, self.doc
        method.__wrapped__ = self._function  # type: ignore[attr-defined]  # for `inspect.signature`
        return method


def operation(
    permission: Permission, cost: Cost, program: str = "qemu_bridge.daemon.job_process"
) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Make the static method below a row of the table."""
    return lambda function: Operation(getattr(function, "__func__", function), permission, cost, program)


class Operations:
    """The table. Clients inherit from it, which gives them one method per row."""

    # --- the machine -------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def status() -> Status:
        """The machine's state: runstate, RAM, dirty log, uptime, paths of its files.

        >>> client.status().runstate
        <Runstate.RUNNING: 'running'>
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def describe() -> Connection:
        """The machine's connection file, for clients that cannot read it; its paths are of the daemon's host.

        >>> client.describe().regions
        ((0, 0, 134217728),)
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def pause() -> None:
        """Stop the vCPUs; they are stopped when this returns. RAM stays readable and does not change.

        >>> client.pause()
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def resume() -> None:
        """Continue the vCPUs.

        >>> client.resume()
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def stop() -> None:
        """Stop the machine; the QEMU of an attached one runs on without a daemon. The lock is free when it has ended.

        >>> client.stop()
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def wait_ready(timeout_s: Seconds = TIMEOUT_S) -> None:
        """Wait until the guest's user space is up; `MachineError` after `timeout_s` seconds.

        >>> client.wait_ready(timeout_s=120)
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def checkpoint(tag: str) -> Checkpoint:
        """Take checkpoint `tag`: RAM, vCPUs and devices at one moment, for `restore`. The guest stops while its RAM is copied.

        `UsageError` for a tag that is taken or invalid, and for a machine with drives, a GPU or learned loops; `MachineError` while
        its trace is armed; `HostError` if the disk is full.

        >>> client.checkpoint("before").tag
        'before'
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def checkpoints() -> tuple[Checkpoint, ...]:
        """The machine's checkpoints, oldest first, also those of earlier machines of its name.

        >>> [each.tag for each in client.checkpoints()]
        ['before']
        """

    @operation(Permission.WRITE, Cost.INSTANT)
    @staticmethod
    def restore(tag: str) -> Checkpoint:
        """Bring the machine back to its checkpoint `tag`; RAM is as it was, byte for byte, and a machine that runs goes on from there.

        What a command was doing in the guest meanwhile is lost. `UsageError` for an unknown tag, or one of an earlier QEMU; as
        `checkpoint` for what cannot be restored.

        >>> client.restore("before").tag
        'before'
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def forget(tag: str) -> Checkpoint:
        """Remove the machine's checkpoint `tag`, and return what it was; `UsageError` for an unknown tag.

        >>> client.forget("before").tag
        'before'
        """

    @operation(Permission.WRITE, Cost.INSTANT)
    @staticmethod
    def gdb_server() -> str:
        """Have QEMU serve gdb at a socket of this host, and return its path; calling it again changes nothing.

        The machine stops when a debugger connects, and goes on when that detaches. `MachineError` where QEMU cannot.

        >>> client.gdb_server()
        '/run/user/1000/glassbox/demo.gdb'
        """

    @operation(Permission.WRITE, Cost.INSTANT)
    @staticmethod
    def fork(name: str) -> Fork:
        """Start machine `name` as a copy of this one at this moment: RAM, vCPUs and devices; both go on, each by itself.

        The copy has a name, files, a hostname and random numbers of its own; this guest stops while its RAM is copied, and a failure
        leaves it running and nothing of the copy. `UsageError` for an invalid name, for a machine on a network, with drives, memory
        beside its RAM, a GPU or learned loops, and for a guest whose random numbers cannot be made anew; `BusyNameError` for a name
        that is taken; `MachineError` while its trace is armed, or where QEMU cannot load the copy; `HostError` without room for RAM.

        >>> client.fork("demo-2").parent
        'demo'
        """

    @operation(Permission.WRITE, Cost.INSTANT)
    @staticmethod
    def qmp(command: str, arguments: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  # QMP's own payload
        """Run a QMP command and return what QEMU returns.

        >>> client.qmp("query-kvm")
        {'enabled': False, 'present': True}
        """

    @operation(Permission.WRITE, Cost.INSTANT)
    @staticmethod
    def exec(command: str | list[str], timeout_s: float = TIMEOUT_S) -> ExecResult:
        """Run a shell line, or words, as root in the guest; `MachineError` without a shell or an answer.

        One command runs at a time, others wait. After `timeout_s`, in whole seconds from 1 on, the guest kills it: the reply is a result, with `timed_out`.

        >>> client.exec("uname -s").output
        b'Linux\\n'
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def flows() -> Flows:
        """The flows of the network that the machine is on, oldest first, with the processes at both ends; `UsageError` if it is on none.

        >>> client.flows().flows[0].source.process
        'nc'
        """

    # --- memory ------------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def dirty(epoch: int = 0) -> Answer[tuple[tuple[int, int], ...]]:
        """Pages changed after `epoch`, and the epoch for the next call. Epoch 0 returns every page touched so far;
        `UsageError` for an epoch that no call has returned yet.

        Ranges [first, end) of numbers of pages of the RAM file, ascending. The first call looks at all RAM, which may take seconds.

        >>> client.dirty(epoch=client.dirty().epoch).value
        ((4096, 4103), (12610, 12611))
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def read_memory(
        ranges: tuple[tuple[AnyAddress, int], ...], space: MemorySpace = MemorySpace.PHYSICAL, pid: int | None = None
    ) -> Answer[tuple[Blob | None, ...]]:
        """The bytes of each (address, size) of `ranges`; at most 4 MiB and 4096 ranges a call.

        Addresses are guest-physical, or virtual ones of process `pid`, or of the kernel without one. A range that is
        not completely there is None, and `skipped` says where it ends; a size of 0 gives no bytes wherever it is.
        Clients on the same host map the RAM file instead.

        >>> client.read_memory([(0x1000, 16)]).value[0]
        b'\\x00\\x00...'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def cached_files(target: str = "", runs: bool = False) -> Answer[tuple[FileInMemory, ...]]:
        """Files of which something is in RAM, deleted ones, tmpfs and memfds too; with `runs`, where in RAM.

        With `target`, such as ``file:/etc/passwd`` or ``file:/lib/*.so``, the files that it names, of a directory all below it,
        with directories, links, and files of which nothing is in RAM. `UsageError` for a target that is not one of files.

        >>> client.cached_files("file:/bin/busybox")[0].in_memory
        841080
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def refresh_page_map(complete: bool = False) -> Answer[PageMapHeader]:
        """Bring the page map up to date and publish it as the next generation of its shared file.

        Paths of files may be 10 s old, and new kernel pages may wait 5 s for the search for their owner; `complete` looks
        both up now, which takes some milliseconds more. Every question about pages or targets publishes a generation too.

        >>> client.refresh_page_map().value.generation
        3
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def read_page_map(generation: int, first_page: int = 0, page_count: int = MAX_READ_PAGES) -> Answer[Blob]:
        """Entries of a page map that `refresh_page_map` announced: 8 bytes a page, of `page_count` pages from `first_page` on.

        Fewer where RAM ends, none behind it. `PageMapOverwrittenError` for a generation that is no longer the newest: refresh it
        again; `UsageError` for one that was never announced. Clients on the same host read the file.

        >>> len(client.read_page_map(client.refresh_page_map().value.generation, page_count=2).value)
        16
        """

    @operation(Permission.CONTROL, Cost.JOB)
    @staticmethod
    def capture(output: HostPath, live: bool = False, force: bool = False) -> Manifest:
        """Write a capture of the machine's memory to the folder `output`, an absolute path on the daemon's host.

        The daemon pauses the guest while RAM is copied, unless `live`, and resumes it even if the client dies.
        `UsageError` if `output` exists, unless `force` is set and it is a capture; `HostError` if the disk is full.

        >>> client.capture("/tmp/before").grade
        'paused'
        """

    @operation(Permission.READ, Cost.JOB)
    @staticmethod
    def compare(before: HostPath, target: str = "", pages: bool = False) -> Answer[MemoryDifference]:
        """Compare this machine's memory with that of `before`, an earlier capture or another machine.

        `before` is an absolute path on the daemon's host, or a name. `target` limits it to one target's memory; `pages` adds the
        ranges that differ. The guest is not paused: pause it for two moments rather than a moment and a while.

        >>> client.compare("/tmp/before").value.classes[0].page_class
        'page-cache'
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def cancel(request: int | str) -> bool:
        """Cancel a job that this client started, by the id of its request; false if there is none.

        The job's own reply is then a `JobCancelledError`, or its result where it was done, as of `trace_record`, which ends and keeps its file once it has begun.

        >>> client.cancel(12)
        False
        """

    # --- names -------------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def kernel() -> Answer[KernelInfo]:
        """Release, build id and KASLR offset of the running kernel; `NotBootedError` before there is one.

        >>> client.kernel().value.release
        '6.1.0-56-cloud-amd64'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def ps() -> Answer[tuple[Process, ...]]:
        """Every thread group, by pid, read from RAM.

        >>> [process.name for process in client.ps()][:2]
        ['init', 'kthreadd']
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def maps(pid: int) -> Answer[tuple[MemoryMapping, ...]]:
        """The virtual memory areas of process `pid`, ascending; `UsageError` if there is no such process.

        >>> client.maps(1)[0].permissions
        'r--p'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def modules() -> Answer[tuple[Module, ...]]:
        """The loaded kernel modules, newest first.

        >>> [module.name for module in client.modules()][:1]
        ['virtio_rng']
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def hunt() -> Answer[tuple[Finding, ...]]:
        """What hides in the guest: tasks and modules that lists lack, what the kernel calls instead of its own, odd code in processes.

        The same thing is looked up in several ways, and what only some of them show is a finding. A running guest is read again,
        and what differs each time is told: one in which nothing hides gives none.

        >>> [finding.subject for finding in client.hunt()]
        ['sleep (pid 812)']
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def sym(symbol: str) -> Answer[tuple[Symbol, ...]]:
        """The symbols of kernel and modules named `symbol`, or the symbol that covers it if it is an address.

        An address begins with a digit, and is hex with ``0x``. `UsageError` with similar names for an unknown name; an empty
        answer for an address that no symbol covers.

        >>> hex(client.sym("init_task")[0].address)
        '0xffffffff82a17a00'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def find_symbols(part: str) -> Answer[tuple[Symbol, ...]]:
        """The symbols of kernel and modules whose names are like `part`, best first; at most 200.

        With the wildcards ``*`` and ``?`` the whole name has to match; else it contains `part`, or its letters in that order.

        >>> client.find_symbols("tcp_v4_*init").value[0].name
        'tcp_v4_early_demux_init'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def type_layout(name: str, depth: Count = 1) -> Answer[TypeLayout]:
        """The layout of the kernel's struct or union `name`, with inner structs expanded `depth` levels.

        `UsageError` if there is no such type.

        >>> client.type_layout("list_head").value.size
        16
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def type_names(part: str = "") -> Answer[tuple[str, ...]]:
        """Names of the kernel's structs and unions that contain `part`, best match first; at most 200.

        >>> client.type_names("task_str")[0]
        'task_struct'
        """

    # --- places ------------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def identify(place: str, pid: int | None = None) -> Answer[Place]:
        """Identify the byte at `place`: class, owner, symbol, object, mappings. A place is ``0x1f000``, ``init_task+16``, ``va:0x7f0000000000@pid:1``.

        A bare number is a guest-physical address, hex with ``0x``, else decimal; with `pid`, which takes no other place, a virtual one of
        that process. `UsageError` if no RAM is there.

        >>> client.identify("init_task").value.page_class
        'kernel-data'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def resolve(target: str, by_page: bool = False) -> Answer[TargetMemory]:
        """The memory of `target` (docs/targets.md), as ranges of one class each, or one row per page.

        >>> client.resolve("pid:1/heap").value.total_bytes
        8192
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def targets(prefix: str = "") -> Answer[tuple[str, ...]]:
        """Completions of the target that starts with `prefix`.

        >>> client.targets("pid:1/")[0]
        'pid:1/heap'
        """

    # --- overlays ----------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def overlays() -> Answer[tuple[OverlayInfo, ...]]:
        """The available overlays; `skipped` has a sentence for each that could not be loaded.

        >>> client.overlays()[0].name
        'processes'
        """

    @operation(Permission.READ, Cost.QUERY)
    @staticmethod
    def overlay(overlay: str) -> Answer[OverlayTable]:
        """The current rows of an overlay; `UsageError` if there is no such overlay.

        >>> client.overlay("sockets").value.columns[:2]
        ('protocol', 'state')
        """

    # --- pictures ----------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.JOB, program="viewer")
    @staticmethod
    def snap(options: SnapOptions) -> SnapResult:
        """Draw the machine's RAM into a PNG at an absolute path on the daemon's host; needs no display.

        `UsageError` for an invalid view, `GraphicsError` without a graphics adapter.

        >>> client.snap(SnapOptions("/tmp/demo.png", at="mode=entropy")).width
        1280
        """

    @operation(Permission.READ, Cost.JOB, program="viewer")
    @staticmethod
    def record_video(options: VideoOptions) -> VideoResult:
        """Record a video of the machine's RAM as MP4, along a script of views or of one view for some seconds.

        >>> client.record_video(VideoOptions("/tmp/demo.mp4", seconds=2)).frames
        60
        """

    # --- viewers -----------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def viewers() -> tuple[ViewerSession, ...]:
        """The viewers that are open on this machine, and what each shows.

        >>> client.viewers()[0].view
        'yaw=35,pitch=24,distance=0.4,target=0.2:0.3:0.1,glow=pid:1/heap'
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def highlight(target: str, session: int | None = None, fly: bool = True) -> Answer[ViewersTold]:
        """Let the memory of `target` (docs/targets.md) stand out in every open viewer, or in viewer `session`, and fly its camera there.

        An empty target clears the highlight. The answer comes when the viewers are told; one has arrived when its `done` in `viewers` is the answer's `number`.
        `UsageError` for a wrong target or session, `MachineError` where no viewer is open.

        >>> client.highlight("pid:1/heap").value.sessions
        (1,)
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def fly_to(place: str = "", view: str = "", session: int | None = None) -> Answer[ViewersTold]:
        """Fly the camera of every open viewer, or of viewer `session`, to `place` or to `view`.

        A place is one byte, which is selected (``0x1f000``, ``init_task+16``, ``va:0x7f0000000000@pid:1``), or a target, which stands
        out. A view is the text of one (docs/viewer.md). `UsageError` unless one of the two is given, and for a wrong place or view.

        >>> client.fly_to("init_task").value.total_bytes
        1
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def viewer_join(pid: int) -> int:
        """Join as a viewer in process `pid`, and get its session. A viewer calls it, then subscribes to its topic.

        >>> client.viewer_join(os.getpid())
        1
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def viewer_report(session: int, view: str, problem: str = "", done: int = 0) -> None:
        """Tell what viewer `session` shows now, and the number of what it was last told and has done. A viewer calls it when its camera has come to rest.

        >>> client.viewer_report(1, "yaw=35,pitch=24")
        """

    # --- execution ---------------------------------------------------------------------------------------------

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def trace_status() -> TraceStatus:
        """State of the trace plugin and of the vCPUs' rings; `MachineError` without a plugin.

        >>> client.trace_status().state
        <TraceState.DISARMED: 'disarmed'>
        """

    @operation(Permission.READ, Cost.INSTANT)
    @staticmethod
    def learned() -> tuple[LearnedLoop, ...]:
        """What each learned loop of the machine has done; empty for one that was started without, `MachineError` without a plugin.

        >>> [(loop.name, loop.rounds) for loop in client.learned()]
        [('crc32', 4980519)]
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def trace_arm(options: ArmOptions, reader_pid: int) -> TraceStatus:
        """Arm the trace: open a window; returns the new `trace_status`.

        Process `reader_pid` on the daemon's host drains the rings of the shared file; in lossless mode the guest waits for it, and the
        window closes when it dies. To record into a file use `trace_record`.
        `UsageError` for invalid options, `MachineError` without a plugin or if a window is open.

        >>> client.trace_arm(ArmOptions(), os.getpid()).state
        <TraceState.ARMED: 'armed'>
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def trace_disarm() -> TraceStatus:
        """Disarm the trace: close its window, if one is open; returns the new `trace_status`.

        >>> client.trace_disarm().state
        <TraceState.DISARMED: 'disarmed'>
        """

    @operation(Permission.CONTROL, Cost.JOB)
    @staticmethod
    def trace_record(output: HostPath, options: RecordOptions = RecordOptions()) -> RecordResult:  # noqa: B008  # frozen
        """Record what the machine executes into the file `output`, an absolute path on the daemon's host.

        `options` give an end: `seconds`, `instructions` or `until`. It also ends by `cancel`, or with the machine; the file gets its
        index in every case.
        `UsageError` for places and processes that do not exist, `MachineError` without a plugin or if a window is open.

        >>> client.trace_record("/tmp/demo.gbt", RecordOptions(seconds=5)).end
        <RecordEnd.TIME: 'time'>
        """

    @operation(Permission.READ, Cost.JOB)
    @staticmethod
    def trace_top(file: HostPath, options: TopOptions = TopOptions()) -> TopResult:  # noqa: B008  # frozen
        """The hottest blocks, cyclic paths and processes of a trace file, named by this machine's symbols and processes.

        `TraceError` for a file that is damaged or not a trace.

        >>> client.trace_top("/tmp/demo.gbt").paths[0].share
        0.31
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def heat_watch(reader_pid: int) -> HeatWatch:
        """Start counting heat for a watcher in process `reader_pid`; `MachineError` without a plugin.

        Any number of watchers may exist; a watch ends with its process, too.

        >>> client.heat_watch(os.getpid()).watcher
        1
        """

    @operation(Permission.CONTROL, Cost.INSTANT)
    @staticmethod
    def heat_unwatch(watcher: int) -> None:
        """End a watch, if it has not ended yet; counting ends with the last watch.

        >>> client.heat_unwatch(1)
        """


def iter_operations() -> Iterator[Operation[..., Any]]:
    """Yield the rows, in the order of the table."""
    yield from (row for row in vars(Operations).values() if isinstance(row, Operation))


BY_NAME = {row.name: row for row in iter_operations()}
"""The rows by name."""
