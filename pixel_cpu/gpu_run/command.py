"""What ``gpu-run`` does: run a program, or explain how it will run."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from ..runtime import Device, devices
from ..runtime.wasm import WasmProgram
from ..supervisor import Processes, check_program
from .explain import explain as plan_of
from .explain import lines as plan_lines
from .glassbox_host import check_one_wave, uses_glassbox
from .hosts import LaneHosts
from .inputs import read_arguments
from .interrupts import Interrupts
from .output import Files, Lines, Merged, Output, lane_record
from .parser import DEVICES
from .report import SHOWN_TRAPS, Progress, Traps, exit_status, format_table, say, summary, summary_line


def explain(options: argparse.Namespace) -> int:
    """Say how a program will run."""
    program = load(options)
    check_program(program)
    lanes = options.lanes or (len(read_arguments(options.args_file)) if options.args_file else 1)
    with open_device(device_name(options), options) as device:
        plan = plan_of(program, device, lanes, options.memory)
    if options.json:
        print(json.dumps({"module": options.module, "device": device.backend, "lanes": lanes, **plan.to_json()}))
    else:
        print("\n".join(plan_lines(plan, lanes)))
    return 0


def load(options: argparse.Namespace) -> WasmProgram:
    """The program that the options name."""
    more = {} if options.stack is None else {"stack": options.stack}
    return WasmProgram.read(options.module, options.pages, **more)


def device_name(options: argparse.Namespace) -> str:
    """The device that the options name; auto is a GPU where there is one."""
    return DEVICES[options.device] or best_device()


@contextlib.contextmanager
def open_device(name: str, options: argparse.Namespace) -> Iterator[Device]:
    """A device, with the memory that the options want."""
    more = {} if options.memory is None else {"memory": 2 * options.memory + (256 << 20)}
    with Device(name, **more) as device:
        yield device


def best_device() -> str:
    """The device that `auto` stands for: a GPU where this host has one."""
    # WebGPU takes seconds to load, so it is asked only where the kernel has a device for it.
    if not any(Path("/dev").glob("dri/renderD*")) and not any(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"
    (found,) = devices("wgpu")
    is_software = any(word in found.description.lower() for word in ("llvmpipe", "swiftshader"))
    return "cpu" if found.reason or is_software else "wgpu"


def run(options: argparse.Namespace) -> int:
    """Run a program in all lanes."""
    began = time.monotonic()
    with contextlib.closing(load(options)) as program:
        return _run_program(program, options, began)


def _run_program(program: WasmProgram, options: argparse.Namespace, began: float) -> int:
    check_program(program)
    hosts = LaneHosts(options, has_glassbox=uses_glassbox(program.module))
    name = device_name(options)
    with Interrupts(options.timeout) as interrupts:
        try:
            return _run_on(name, program, hosts, options, interrupts, began)
        except NotTakenError as error:
            if options.device != "auto" or name == "cpu":
                raise
            say(f"{options.module} runs on the processor, as the GPU does not take it: {error}")
            return _run_on("cpu", program, hosts, options, interrupts, began)


class NotTakenError(DeviceError):
    """The device cannot run the program; nothing of it has run."""


def _run_on(
    name: str,
    program: WasmProgram,
    hosts: LaneHosts,
    options: argparse.Namespace,
    interrupts: Interrupts,
    began: float,
) -> int:
    with open_device(name, options) as device:
        found = Processes(
            program,
            hosts.lanes,
            hosts.make,
            device=device,
            memory=options.memory,
            fuel=options.fuel,
            whole=interrupts.whole,
            is_split=not hosts.has_glassbox,
        )
        if hosts.has_glassbox:
            check_one_wave(hosts.lanes, found.wave_lanes)
        # Its process is asked for that.
        shown = device.description if options.verbose else device.backend
        if options.verbose:
            say(f"{hosts.lanes:,} lanes on {shown}, {found.wave_lanes:,} of them at once")
        try:
            left_out = _work(found, hosts, options, interrupts)
        except DeviceError as error:
            found.kill(*range(found.lanes))
            if found.rounds:
                raise
            raise NotTakenError(str(error)) from None
        _report(found, summary(found, shown, began), options)
    if left_out:
        say(f"the output of {left_out:,} lanes that had not ended is left out")
    return interrupts.status or exit_status(found)


def _work(found: Processes, hosts: LaneHosts, options: argparse.Namespace, interrupts: Interrupts) -> int:
    """Run to the end, or until a signal ends it; how many lanes' output is left out."""
    progress = Progress(sys.stderr, is_on=not options.quiet, with_table=options.ps)
    output = _output(options, hosts, progress)
    traps = Traps(None if options.verbose else SHOWN_TRAPS)
    try:
        progress.update(found)
        while not found.is_done:
            interrupts.check()
            events = found.step()
            with interrupts.whole():
                output.update(found)
                for line in traps.lines(events):
                    progress.clear()
                    say(line)
                progress.update(found)
    except KeyboardInterrupt:
        if not interrupts.status:
            raise
    with interrupts.whole():
        progress.clear()
        found.kill(*range(found.lanes))
        left_out = output.finish(found)
        if traps.more:
            say(traps.more)
    return left_out


def _output(options: argparse.Namespace, hosts: LaneHosts, progress: Progress) -> Output:
    match _mode(options):
        case "dir":
            return Files(hosts.folder)
        case "jsonl":
            return Lines(sys.stdout.buffer, progress.clear)
    return Merged(sys.stdout.buffer, sys.stderr.buffer, progress.clear)


def _mode(options: argparse.Namespace) -> str:
    mode: str = options.stdout or ("jsonl" if options.json else "merge")
    return mode


def _report(found: Processes, total: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the table of lanes and the summary, as far as they are wanted."""
    table = found.table()
    if options.ps:
        print("\n".join(format_table(table)), file=sys.stderr, flush=True)
    if options.json:
        if options.ps:
            total["processes"] = [lane_record(found, row) for row in table]
        print(json.dumps(total), file=sys.stderr if _mode(options) == "merge" else sys.stdout, flush=True)
    elif not options.quiet and (options.verbose or sys.stderr.isatty() or exit_status(found)):
        say(summary_line(total))
