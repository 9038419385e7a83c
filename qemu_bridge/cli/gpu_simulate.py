"""``gpu simulate LOAD``: loads of many tenants against the scheduler of the GPU hypervisor, in simulated time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Verbs, add_json, add_verb, print_json, print_lines

if TYPE_CHECKING:
    from gpu_hypervisor.simulation import Report

_MOST_TENANTS, _MOST_DEVICES, _MOST_HOURS = 100_000, 1000, 24 * 7


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "simulate", simulate, "glassbox gpu simulate saturated --tenants 100 --devices 10")
    parser.description = "Play a load of many tenants, made from a seed, against the scheduler that serves real ones, and say how fair it was and how fast."
    parser.add_argument(
        "load", choices=("saturated", "day"), help="tenants that always have jobs; or a day of a shared cluster"
    )
    parser.add_argument("--tenants", type=int, metavar="N", help="(default: 100; 1000 for a day)")
    parser.add_argument("--devices", type=int, default=10, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of saturated (default: %(default)s)")
    parser.add_argument("--hours", type=float, default=24.0, metavar="H", help="of a day (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one, another load")
    add_json(parser)


def simulate(options: argparse.Namespace) -> None:
    """Play a load against the scheduler and print what came of it."""
    from gpu_hypervisor.simulation import recorded_day, run, saturated

    tenants = options.tenants if options.tenants is not None else 100 if options.load == "saturated" else 1000
    for name, value, most in (
        ("tenants", tenants, _MOST_TENANTS),
        ("devices", options.devices, _MOST_DEVICES),
        ("seconds", options.seconds, _MOST_HOURS * 3600),
        ("hours", options.hours, _MOST_HOURS),
    ):
        if not 0 < value <= most:
            raise UsageError(f"--{name} is above 0 and at most {most}, not {value:g}")
    if options.load == "saturated":
        load = saturated(tenants, options.devices, options.seconds, options.seed)
    else:
        load = recorded_day(tenants, options.devices, options.hours, options.seed)
    rows = _rows(run(load), is_saturated=options.load == "saturated")
    if options.json:
        print_json({name: value for name, value, _ in rows})
        return
    width = max(len(name) for name, _, _ in rows)
    for name, value, unit in rows:
        print_lines(f"{name.replace('_', ' '):{width}}  {value:>10.4g} {unit}".rstrip())


def _rows(report: Report, *, is_saturated: bool) -> list[tuple[str, float, str]]:
    fairness = (
        [("jain_index", report.jain, ""), ("share_error", report.share_error * 100, "%")]
        if is_saturated
        else [("jain_index_of_speeds", report.jain_of_slowdowns, "")]
    )
    return [
        ("jobs", report.jobs, ""),
        ("slices", report.slices, ""),
        ("utilisation", report.utilisation * 100, "%"),
        *fairness,
        ("slowdown_p50", report.slowdown_p50, "x"),
        ("deadlines", report.deadlines, ""),
        ("misses", report.misses, ""),
        ("refusals", report.refusals, ""),
        ("decision_p50", report.decision_us(0.5), "us"),
        ("decision_p99", report.decision_us(0.99), "us"),
    ]
