"""``gpu serve``, ``gpu why``: one device for many tenants, and why what is done."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..memory.addresses import parse_size
from .gpu_activity import add_socket
from .gpu_launch import DEVICES
from .options import Verbs, add_json, add_verb, end_tidily, print_json, print_lines, say

if TYPE_CHECKING:
    from gpu_hypervisor.advice import Bounds


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "serve", serve, "glassbox gpu serve --device cpu --memory 1G")
    parser.description = "Own a device and run jobs of many tenants on it, by weight and deadline, until Ctrl-C: see docs/gpu-hypervisor.md."
    add_socket(parser)
    parser.add_argument(
        "--device",
        action="append",
        metavar="DEVICE",
        help=f"what runs jobs: {', '.join(DEVICES)}, or cpu@0-3 for some processors; several times: several at once (default: cpu)",
    )
    parser.add_argument(
        "--memory", default="4G", metavar="SIZE", help="of all buffers on the device (default: %(default)s)"
    )
    for flag, default, text in (
        ("--realtime-share", 0.2, "part of the device that deadlines are promised"),
        ("--batch-cap", 0.6, "part of it that batch jobs have while others wait, at most"),
    ):
        parser.add_argument(flag, type=float, default=default, metavar="PART", help=f"{text} (default: %(default)s)")
    parser.add_argument(
        "--advice-weights",
        default="1:1",
        metavar="LEAST:MOST",
        help="suggestions may multiply a tenant's weight by such a factor: see 'gpu advice' (default: none are taken)",
    )
    parser.add_argument(
        "--advice-classes",
        default="",
        metavar="CLASS,...",
        help="classes that may be suggested for jobs that state none (default: none)",
    )
    parser = add_verb(actions, "move", move, "glassbox gpu move alpine wgpu")
    parser.add_argument("tenant", metavar="TENANT", help="whose jobs go on there, and run there from now on")
    parser.add_argument("to", metavar="DEVICE", help="one of the service's, or 'any': wherever they are done soonest")
    add_socket(parser)
    for name, action in (("drain", drain), ("resume", resume)):
        parser = add_verb(actions, name, action, f"glassbox gpu {name} wgpu")
        parser.add_argument("to", metavar="DEVICE", help="one of the service's")
        add_socket(parser)
    parser = add_verb(actions, "why", why, "glassbox gpu why 17")
    parser.add_argument("job", type=int, metavar="JOB", help="its number")
    add_socket(parser)
    add_json(parser)


def serve(options: argparse.Namespace) -> None:
    """Run jobs of this user's programs, and of machines that were started with --gpu, on one device until Ctrl-C."""
    from gpu_hypervisor import Hypervisor, JobClass, Policy
    from gpu_hypervisor.channel.guests import Guests
    from gpu_hypervisor.service import Server

    end_tidily()
    policy = Policy(
        guarantees={JobClass.REALTIME: options.realtime_share}, caps={JobClass.BATCH: options.batch_cap}
    ).checked()
    bounds = _bounds(options)
    hypervisor = Hypervisor(options.device or "cpu", memory_bytes=parse_size(options.memory), policy=policy)
    with hypervisor, Guests(hypervisor), Server(hypervisor, options.socket, bounds) as server:
        print_lines(str(server.path), at_once=True)
        say(f"serving {hypervisor.stats().device}; 'glassbox gpu top' shows tenants, Ctrl-C ends all jobs")
        while True:
            time.sleep(3600)


def _bounds(options: argparse.Namespace) -> Bounds:
    from gpu_hypervisor import JobClass
    from gpu_hypervisor.advice import Bounds

    least, _, most = options.advice_weights.partition(":")
    try:
        factors = float(least), float(most)
    except ValueError:
        raise UsageError(f"--advice-weights is LEAST:MOST, such as 0.5:2, not {options.advice_weights!r}") from None
    try:
        classes = tuple(JobClass(word) for word in options.advice_classes.split(",") if word)
    except ValueError:
        raise UsageError(f"--advice-classes are of {', '.join(JobClass)}, not {options.advice_classes!r}") from None
    return Bounds(*factors, classes).checked()


def move(options: argparse.Namespace) -> None:
    """Have a tenant's jobs go on with another device, also those that run."""
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        client.move(options.tenant, None if options.to == "any" else options.to)


def drain(options: argparse.Namespace) -> None:
    """Have all jobs of a device go on with others, and none come."""
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        client.drain(options.to)


def resume(options: argparse.Namespace) -> None:
    """Have a drained device take jobs again."""
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        client.resume(options.to)


def why(options: argparse.Namespace) -> None:
    """Print what was decided about a job, and why."""
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        lines = client.why(options.job)
    if options.json:
        print_json(lines)
    else:
        print_lines("\n".join(lines))
