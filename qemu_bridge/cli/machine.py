"""Verbs that control a machine: start, status, stop, pause, resume, console, exec, qmp, events."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BusyNameError, GlassBoxError, HostError, MachineError, MachineGoneError, UsageError
from ..host.settings import value_of
from ..machine.choices import ACCELERATORS, MACHINES
from ..machine.gpu import DEFAULT_MEMORY, DEFAULT_WEIGHT, GpuShare
from ..memory.addresses import format_size, parse_size
from .learned import build_loops
from .options import (
    Verbs,
    add_json,
    add_listen,
    add_name,
    add_verb,
    complain,
    connect,
    print_json,
    print_lines,
    print_table,
    say,
)
from .trace_boot import start_recorder

if TYPE_CHECKING:
    from ..machine.config import MachineConfig
    from ..machine.launch import WaitingDaemon
    from ..wire.records import Status

STATUS_COLUMNS = (
    *("name", "runstate", "ready", "image", "vcpus", "ram_bytes", "touched_bytes"),
    *("cpu_s", "uptime_s", "trace", "epochs_per_s", "qemu_pid", "origin"),
)
STATUS_HEADINGS = ("name", "state", "image", "ram", "touched", "cpu", "uptime", "trace", "epoch/s")
MOST_AT_ONCE = 64
_STATUS_TIMEOUT_S = 3.0
_FOLLOW_POLL_S = 0.1


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "start", start, "glassbox start demo --memory 256M -- -device virtio-rng-pci")
    parser.add_argument("name", metavar="NAME", nargs="?", help="name of the machine (default: the image's name)")
    add_machine_options(parser)
    add_listen(parser)
    parser.add_argument(
        "--trace-from-boot", type=Path, metavar="FILE", help="record every block from the first instruction on"
    )
    parser.add_argument(
        "--warm",
        action="store_true",
        help="begin where an earlier boot of the same was up; the first boot is kept for that",
    )
    parser.add_argument("--wait", action="store_true", help="wait until the guest's user space is up")
    parser.add_argument(
        "--foreground", action="store_true", help="stay until the machine ends; Ctrl-C or SIGTERM stops it"
    )
    parser.add_argument(
        "--count", type=int, metavar="N", help=f"start NAME-1 to NAME-N at once, {MOST_AT_ONCE} at most"
    )
    parser = add_verb(verbs, "status", status, "glassbox status")
    parser.add_argument("name", metavar="NAME", nargs="?", help="a running machine (default: all of them)")
    parser.add_argument("--captures", action="store_true", help="list captures that somebody has open, too")
    add_json(parser)
    for name, function in (("stop", stop), ("pause", pause), ("resume", resume)):
        add_name(add_verb(verbs, name, function))
    parser = add_verb(verbs, "console", console, "glassbox console demo --follow")
    add_name(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="keep printing until the machine ends")
    parser = add_verb(verbs, "exec", execute, "glassbox exec demo ps -o pid,comm\nglassbox exec demo 'ls /tmp | wc -l'")
    add_name(parser)
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="a program and its arguments, or one shell line in quotes; '--' before it is allowed",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="kill the command after this long"
    )
    add_json(parser)
    parser = add_verb(verbs, "qmp", qmp, """glassbox qmp demo '{"execute": "query-status"}'""")
    add_name(parser)
    parser.add_argument("command", metavar="JSON", help="a QMP command as JSON, or just its name")
    add_name(add_verb(verbs, "events", events, "glassbox events demo"))


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """What to boot and on what; shared by ``start`` and ``run``."""
    parser.add_argument(
        "--image", default=value_of("image"), help="a guest image of 'glassbox image list' (default: %(default)s)"
    )
    parser.add_argument("--memory", default=value_of("memory"), metavar="SIZE", help="guest RAM (default: %(default)s)")
    parser.add_argument("--smp", type=int, default=value_of("smp"), metavar="N", help="vCPUs (default: %(default)s)")
    parser.add_argument("--machine", choices=MACHINES, default="pc", help="QEMU machine type (default: %(default)s)")
    parser.add_argument("--accel", choices=ACCELERATORS, default="tcg", help="how vCPUs run (default: %(default)s)")
    parser.add_argument("--kernel", type=Path, metavar="FILE", help="boot this kernel instead of the image's")
    parser.add_argument("--initrd", type=Path, metavar="FILE", help="use this initramfs instead of the image's")
    parser.add_argument(
        "--net", default="", metavar="NET", help="put it on network NET, which guests of this host share"
    )
    parser.add_argument(
        "--learned", type=Path, metavar="FOLDER", help="run the proved loops of this library in place (docs/learn.md)"
    )
    parser.add_argument(
        "--shadow", action="store_true", help="only compare the learned loops with what QEMU does, and change nothing"
    )
    parser.add_argument(
        "--learned-unproved", action="store_true", help="run learned loops in place that are not proved, too"
    )
    parser.add_argument("--gpu", action="store_true", help="let it submit kernels to a GPU (docs/gpu-protocol.md)")
    parser.add_argument(
        "--gpu-weight",
        type=float,
        metavar="N",
        help=f"its weight beside other guests' on the GPU (default: {DEFAULT_WEIGHT:g})",
    )
    parser.add_argument(
        "--gpu-memory",
        metavar="SIZE",
        help=f"memory that it may hold on the GPU (default: {format_size(DEFAULT_MEMORY)})",
    )
    parser.add_argument("--append", default="", metavar="WORDS", help="add to the kernel command line")


def make_config(options: argparse.Namespace, name: str | None) -> MachineConfig:
    """The machine that the command line asks for; builds its image when it is not built yet."""
    # Imported here, while the daemon loads.
    from ..images import build_image_or_fallback
    from ..machine.config import MachineConfig
    from ..wire import connection

    memory = parse_size(options.memory)
    if options.shadow and options.learned is None:
        raise UsageError("--shadow compares learned loops; name their library with --learned FOLDER")
    if options.learned_unproved and (options.learned is None or options.shadow):
        raise UsageError(
            "--learned-unproved runs learned loops in place; name their library with --learned FOLDER, and leave out --shadow"
        )
    if options.kernel and options.initrd:
        image, image_id, kernel, initrd, append = "", "", options.kernel, options.initrd, "console=ttyS0"
    else:
        built = build_image_or_fallback(options.image, progress=say)
        image, image_id, append = built.name, built.image_id, built.command_line
        kernel, initrd = options.kernel or built.kernel, options.initrd or built.initrd
    config = MachineConfig(
        name=connection.validate_name(image or "machine" if name is None else name),
        kernel=kernel,
        initrd=initrd,
        append=f"{append} {options.append}".strip(),
        memory=memory,
        smp=options.smp,
        machine=options.machine,
        accelerator=options.accel,
        image=image,
        image_id=image_id,
        qemu_args=tuple(options.rest),
        net=options.net,
        learned=()
        if options.learned is None
        else build_loops(options.learned, options.shadow or options.learned_unproved),
        shadow=options.shadow,
        unproved=options.learned_unproved,
        gpu=_gpu_share(options),
    )
    config.validate()
    return config


def _gpu_share(options: argparse.Namespace) -> GpuShare | None:
    if not options.gpu:
        if options.gpu_weight is not None or options.gpu_memory is not None:
            raise UsageError("--gpu-weight and --gpu-memory are for a guest that submits to a GPU; add --gpu")
        return None
    return GpuShare(
        DEFAULT_WEIGHT if options.gpu_weight is None else options.gpu_weight,
        DEFAULT_MEMORY if options.gpu_memory is None else parse_size(options.gpu_memory),
    )


def start(options: argparse.Namespace) -> int | None:
    """Start a machine: its daemon, and QEMU with its RAM in a shared file."""
    from ..machine.launch import launch, waiting_daemon
    from ..wire import connection

    if options.count is not None:
        names = _start_several(options)
    elif options.trace_from_boot:
        connection.prune()
        if options.listen:
            raise UsageError("--listen cannot be joined with --trace-from-boot; leave out one of them")
        if options.warm:
            raise UsageError(
                "a warm start has no first instruction to trace from; leave out --warm or --trace-from-boot"
            )
        config = make_config(options, options.name)
        start_recorder(config, options.trace_from_boot)
        names = [config.name]
    else:
        with waiting_daemon() as daemon:
            connection.prune()
            config = make_config(options, options.name)
            if options.warm:
                _start_warm(config, daemon, options.listen)
            else:
                launch(config, daemon, listen=options.listen)
        names = [config.name]
    if options.wait:
        _wait_ready(names)
    print_lines("\n".join(names), at_once=True)
    if options.foreground:
        # Loaded for those who stay.
        from .foreground import stay

        return stay(names[0])
    return None


def _start_warm(config: MachineConfig, daemon: WaitingDaemon | None = None, listen: str = "") -> None:
    """Start where an earlier boot of the same was up, else boot, say why, and have that kept."""
    from ..machine.config import find_qemu
    from ..machine.launch import launch
    from ..timeline import warm

    parts = warm.parts_of(config, find_qemu())
    moment, reason = warm.find_kept(parts)
    if moment is not None:
        try:
            return launch(config, daemon, listen=listen, moment=moment)
        except (HostError, MachineError) as error:
            if isinstance(error, MachineError):  # QEMU cannot load it, though it is as it was kept
                warm.forget(parts)
            reason, daemon = f"what was kept of its first boot cannot be used: {error}", None
    say(f"{config.name} boots: {reason}")
    return launch(config, daemon, listen=listen, keep=parts)


def _start_several(options: argparse.Namespace) -> list[str]:
    """Start as many machines as ``--count`` says, and return their names; those that run when one does not start run on."""
    # Loaded here: it takes longer than most help texts.
    from dataclasses import replace

    from ..machine.launch import launch
    from ..wire import connection

    if not 1 <= options.count <= MOST_AT_ONCE:
        raise UsageError(f"--count {options.count} is out of range; give 1 to {MOST_AT_ONCE}")
    if options.trace_from_boot or options.foreground:
        raise UsageError("--trace-from-boot and --foreground are for one machine; leave out --count")
    if options.listen:
        raise UsageError("--listen serves one machine at a port; leave out --count")
    connection.prune()
    first = make_config(options, f"{options.name or options.image}-1")
    names = [f"{first.name[:-1]}{number}" for number in range(1, options.count + 1)]
    busy = [name for name in names if connection.is_alive(connection.validate_name(name))]
    if busy:
        raise BusyNameError(f"{', '.join(busy)} run already; stop them or choose another name")
    for number, name in enumerate(names):
        try:
            if options.warm:
                _start_warm(replace(first, name=name))
            else:
                launch(replace(first, name=name))
        except GlassBoxError as error:
            if number:
                complain(f"of {len(names)} machines {number} were started, {names[0]} to {names[number - 1]}")
            raise type(error)(f"{name}: {error}") from None
    return names


def _wait_ready(names: Sequence[str]) -> None:
    from ..client import Client

    try:
        for name in names:
            with Client.connect(name) as client:
                client.wait_ready()
    except KeyboardInterrupt:
        if len(names) == 1:
            complain(f"{names[0]} runs on; 'glassbox stop {names[0]}' ends it")
        else:
            complain(f"{len(names)} machines run on; 'glassbox stop NAME' ends one")
        raise


def status(options: argparse.Namespace) -> None:
    """Show a machine's state, or a table of all machines."""
    from ..client import Client
    from ..wire import connection

    connection.prune()
    if options.name:
        with Client.connect(options.name) as client:
            found = client.status()
        print_json(found) if options.json else print_lines("\n".join(_status_lines(found)))
        return
    rows: list[Any] = []
    for each in connection.iter_connections(options.captures):
        with Client(each, timeout_s=_STATUS_TIMEOUT_S) as client:
            try:
                rows.append(client.status())
            except MachineGoneError:
                continue
            except MachineError as error:
                say(str(error))
                rows.append(
                    dict.fromkeys(STATUS_COLUMNS) | {"name": each.name, "runstate": "no answer", "origin": each.origin}
                )
    if options.json:
        print_json(rows)
    else:
        print_table([_status_cells(row) for row in rows], STATUS_HEADINGS)


def _status_cells(row: Status | dict[str, Any]) -> list[Any]:
    # Imported here: help needs none of it.
    from ..wire.records import Origin

    if isinstance(row, dict):
        return [row["name"], row["runstate"], *[None] * (len(STATUS_HEADINGS) - 2)]
    sizes = [f"{size >> 20}M" for size in (row.ram_bytes, row.touched_bytes)]
    state = "booting" if row.runstate == "running" and not row.ready else row.runstate
    # A capture is reached by its folder; the name that its daemon has is made up.
    name, state = (str(Path(row.ram).parent), "capture") if row.origin is Origin.CAPTURE else (row.name, state)
    times = [None if seconds is None else format_duration(seconds) for seconds in (row.cpu_s, row.uptime_s)]
    return [name, state, row.image, *sizes, *times, row.trace, f"{row.epochs_per_s:.1f}"]


def format_duration(seconds: float) -> str:
    """`seconds` in the unit that leaves it two or three digits: ``7 s``, ``95 min``, ``30 h``, ``12 d``."""
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 100)):
        if seconds < size * most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def _status_lines(status: Status) -> Iterator[str]:
    for name in status.__struct_fields__:
        value = getattr(status, name)
        yield f"{name:15} {value.value if isinstance(value, Enum) else value}"


def stop(options: argparse.Namespace) -> None:
    """Stop a machine and remove its RAM; an attached QEMU runs on, only its daemon ends."""
    from ..wire.records import Origin

    with connect(options) as client:
        client.stop()
        if client.connection.origin is Origin.ATTACHED:
            say(f"detached from {client.name}; its QEMU keeps running")


def pause(options: argparse.Namespace) -> None:
    """Stop a machine's vCPUs; its RAM stays readable and does not change."""
    with connect(options) as client:
        client.pause()


def resume(options: argparse.Namespace) -> None:
    """Continue a paused machine."""
    with connect(options) as client:
        client.resume()


def console(options: argparse.Namespace) -> None:
    """Print the guest's console log, also after the machine has ended."""
    from ..wire import connection

    connection.prune()
    name = connection.validate_name(options.name)
    path = connection.state_path(name) / "console.log"
    if connection.is_alive(name) and not connection.find_connection(name).console_path:
        raise UsageError(f"Glass Box does not have the console of {name!r}; look where its QEMU writes it")
    if not path.exists():
        connection.find_connection(name)
    is_empty = True
    with open(path, "rb") as log:
        while True:
            alive = connection.is_alive(name)
            text = log.read()
            is_empty = is_empty and not text
            sys.stdout.buffer.write(text)
            sys.stdout.flush()
            if not options.follow or not alive:
                if is_empty:
                    say(_why_empty(name, alive))
                return
            time.sleep(_FOLLOW_POLL_S)


def _why_empty(name: str, is_alive: bool) -> str:
    """What to look at where the console shows nothing."""
    from ..wire import connection

    head = "the guest has written nothing to its console (the first serial port)"
    if not is_alive:
        return f"{head}; {connection.state_path(name) / 'qemu.log'} has QEMU's own messages"
    return (
        f"{head}; 'glassbox status {name}' says whether it runs, 'glassbox overlay {name} dmesg' what its kernel says; "
        "give a kernel of your own '--append console=ttyS0'"
    )


def execute(options: argparse.Namespace) -> int:
    """Run a command as root in the guest; print its output and its errors, each on its stream, and return its exit status."""
    words = [*_take_own(options), *options.rest]
    if not words:
        raise UsageError("no command to run; put it after the name, as in 'glassbox exec demo uname -a'")
    with connect(options) as client:
        result = client.exec(words if len(words) > 1 else words[0], options.timeout)
    if options.json:
        texts = {name: getattr(result, name).decode(errors="backslashreplace") for name in ("output", "errors")}
        print_json({"exit_status": result.exit_status, "timed_out": result.timed_out} | texts)
    else:
        for stream, text in ((sys.stdout, result.output), (sys.stderr, result.errors)):
            stream.buffer.write(text)
            stream.flush()
    if result.timed_out:
        complain(f"the command was killed after {options.timeout:g} s; give --timeout more")
    return result.exit_status


def _take_own(options: argparse.Namespace) -> list[str]:
    """The words of the command; ``--timeout`` and ``--json`` behind the name are still glassbox's own options."""
    words: list[str] = options.command
    while words and re.match(r"--(timeout(=|$)|json$)", words[0]):
        count = 2 if words[0] == "--timeout" else 1
        own = options.parser.parse_args([options.verb, *words[:count], options.name])
        if words[0] == "--json":
            options.json = True
        else:
            options.timeout = own.timeout
        words = words[count:]
    return words


def qmp(options: argparse.Namespace) -> None:
    """Send QEMU a QMP command and print what it returns."""
    command, arguments = _parse_qmp(options.command)
    with connect(options) as client:
        print_json(client.qmp(command, arguments))


def events(options: argparse.Namespace) -> None:
    """Print the machine's events as they come, one JSON object a line, until it ends."""

    with connect(options) as client:
        for event in client.events():
            print_json(event, one_line=True)


def _parse_qmp(text: str) -> tuple[str, dict[str, Any]]:
    if not text.lstrip().startswith("{"):
        return text, {}
    try:
        message = json.loads(text)
        return str(message["execute"]), dict(message.get("arguments", {}))
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"""{text!r} is not a QMP command; write it as '{{"execute": "query-status"}}'""") from None
