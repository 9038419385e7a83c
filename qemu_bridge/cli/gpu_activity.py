"""``gpu jobs``, ``gpu events``, ``gpu timeline``: what the GPU service ran and runs, for whom, and when."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Verbs, add_json, add_verb, end_tidily, print_events, print_json, print_table, say

if TYPE_CHECKING:
    from gpu_hypervisor.engine import GpuEvent
    from gpu_hypervisor.service import Client

_WAIT_S = 5.0
_MOST_SECONDS = 3600.0


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "jobs", jobs, "glassbox gpu jobs a")
    parser.add_argument("tenant", nargs="?", metavar="TENANT", help="of one tenant (default: of all)")
    add_socket(parser)
    add_json(parser)
    parser = add_verb(actions, "events", events, "glassbox gpu events --all --json")
    parser.add_argument("--all", action="store_true", help="also what happened before")
    parser.add_argument("--count", type=int, metavar="N", help="end after N events")
    add_socket(parser)
    add_json(parser)
    parser = add_verb(actions, "timeline", timeline, "glassbox gpu timeline -o device.pftrace")
    parser.description = "Write which job had the device when, and what each waited for; ui.perfetto.dev opens it."
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="by custom NAME.pftrace")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="the next so many (default: what was, as far as it is kept)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    add_socket(parser)


def add_socket(parser: argparse.ArgumentParser) -> None:
    """The option ``--socket``."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="of the service (default: in the runtime folder)")


def jobs(options: argparse.Namespace) -> None:
    """List jobs of the GPU service: those that wait and run, and the last ones that ended, with who submitted them."""
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        found = client.jobs(options.tenant)
    if options.json:
        print_json(found)
        return
    rows = [
        [
            job.number,
            job.tenant,
            str(job.state),
            str(job.job_class or "-"),
            job.kernel or "-",
            ", ".join(f"{process.name} ({process.pid})" for process in job.processes) or job.label or "-",
            f"{max(job.began_ns - job.ready_ns, 0) / 1e6:.2f}" if job.began_ns else "-",
            f"{job.device_seconds * 1e3:.2f}",
            job.slices,
            job.error or "-",
        ]
        for job in found
    ]
    print_table(
        rows, ["job", "tenant", "state", "class", "kernel", "process", "queued_ms", "device_ms", "slices", "error"]
    )


def events(options: argparse.Namespace) -> None:
    """Print what happens at the GPU service, an event a line, until Ctrl-C: tenants, ends of jobs, refusals, suggestions."""
    from gpu_hypervisor.service import Client

    end_tidily()
    with Client(options.socket) as client:
        # By their numbers: between two questions nothing is lost.
        before = () if options.all else client.events()
        since = before[-1].number if before else 0
        print_events(_batches(client, since), describe, options.count, as_json=options.json)


def _batches(client: Client, since: int) -> Iterator[Sequence[GpuEvent]]:
    while True:
        found = client.events(since, _WAIT_S)
        yield found
        since = found[-1].number if found else since


def describe(event: GpuEvent) -> str:
    """An event in one line."""
    when = time.strftime("%H:%M:%S", time.localtime(event.time))
    about = f" job {event.job}" if event.job else ""
    return f"{when} {event.tenant}:{about} {event.kind}{f', {event.text}' if event.text else ''}"


def timeline(options: argparse.Namespace) -> None:
    """Write the timeline of the GPU service's device for ui.perfetto.dev."""
    from gpu_hypervisor.service import Client
    from gpu_hypervisor.timeline import write_timeline

    end_tidily()
    if options.seconds is not None and not 0 < options.seconds <= _MOST_SECONDS:
        raise UsageError(f"--seconds is above 0 and at most {_MOST_SECONDS:g}, not {options.seconds:g}")
    if options.output.exists() and not options.force:
        raise UsageError(f"{options.output} exists; give -o another name, or --force to replace it")
    with Client(options.socket) as client:
        since = 0
        if options.seconds is not None:
            since = client.slices()[1]
            time.sleep(options.seconds)
        slices, now = client.slices(since)
        kept = [job for job in client.jobs() if not job.ended_ns or job.ended_ns > since]
    write_timeline(options.output, kept, slices, now)
    say(f"{options.output} written, {len(slices)} slices of {len(kept)} jobs; open it at ui.perfetto.dev")
