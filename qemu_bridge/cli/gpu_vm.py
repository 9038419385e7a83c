"""``gpu vm create|run|list|stop``: process VMs, in which commands of this host have some processors and a limit of memory."""

from __future__ import annotations

import argparse

from ..memory.addresses import format_size, parse_size
from .options import Verbs, add_json, add_verb, print_json, print_table, say

_HEAD = ("VM", "CORES", "MEMORY", "PEAK", "PROCESSES", "COMMANDS", "CRASHES", "KILLS", "PID")


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "vm", list_all, "glassbox gpu vm create small --cores 0-1 --memory 1G")
    parser.description = (
        "Run commands of this host on some processors, within a limit of memory: see docs/gpu-hypervisor.md."
    )
    verbs = parser.add_subparsers(dest="vm_action", metavar="ACTION", required=True)
    parser = add_verb(verbs, "create", create, "glassbox gpu vm create small --cores 0-1 --memory 1G")
    parser.add_argument("name", metavar="NAME", help="of the VM")
    parser.add_argument("--cores", metavar="LIST", help="processors, such as 0-1 or 0,2 (default: all)")
    parser.add_argument(
        "--memory", default="1G", metavar="SIZE", help="of all its commands together (default: %(default)s)"
    )
    parser.add_argument("--processes", type=int, default=256, metavar="N", help="at once (default: %(default)s)")
    parser = add_verb(verbs, "run", run, "glassbox gpu vm run small -- python train.py")
    parser.add_argument("name", metavar="NAME", help="of the VM")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="with its arguments, after --")
    parser = add_verb(verbs, "list", list_all, "glassbox gpu vm list")
    add_json(parser)
    parser = add_verb(verbs, "stop", stop, "glassbox gpu vm stop small")
    parser.add_argument("name", metavar="NAME", help="of the VM")


def create(options: argparse.Namespace) -> None:
    """Make a process VM; it lasts until it is stopped."""
    from gpu_hypervisor.vms import ProcessVm, VmLimits
    from gpu_hypervisor.vms.limits import parse_cores

    cores = parse_cores(options.cores) if options.cores else ()
    ProcessVm.create(options.name, VmLimits(cores, parse_size(options.memory), options.processes))
    say(f"VM {options.name} runs; 'glassbox gpu vm run {options.name} -- COMMAND' runs commands in it")


def run(options: argparse.Namespace) -> int:
    """Run a command in a VM; its exit status is this one's."""
    from gpu_hypervisor.vms import find_vm

    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    ended = find_vm(options.name).run(words)
    if ended.why:
        say(f"ended: {ended.why}")
    return ended.status if ended.status >= 0 else 128 - ended.status


def list_all(options: argparse.Namespace) -> None:
    """Print the VMs that run, what they have, and what they had."""
    from gpu_hypervisor.vms import iter_vms

    found = list(iter_vms())
    if options.json:
        print_json(found)
        return
    rows = [
        (
            each.name,
            ",".join(map(str, each.limits.cores)) or "all",
            f"{format_size(each.memory_bytes)}/{format_size(each.limits.memory_bytes)}",
            format_size(each.peak_bytes),
            f"{each.processes}/{each.limits.processes}",
            str(each.commands),
            str(each.crashes),
            str(each.kills),
            str(each.pid),
        )
        for each in found
    ]
    print_table(rows, _HEAD)


def stop(options: argparse.Namespace) -> None:
    """End a VM and all that runs in it."""
    from gpu_hypervisor.vms import find_vm

    find_vm(options.name).stop()
