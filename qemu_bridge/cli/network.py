"""The verb flows: what the guests of a network send each other."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import UsageError
from ..memory.addresses import parse_size
from .options import Verbs, add_json, add_verb, complain, end_tidily, print_json, print_lines, print_table, say

if TYPE_CHECKING:
    from ..wire.network_records import Flow, FlowEnd

DEFAULT_LIMIT = "1G"
NETWORK_HEADINGS = (
    "network",
    "machine",
    "address",
    "mac",
    "sent",
    "sent bytes",
    "received",
    "received bytes",
    "dropped",
)
FLOW_HEADINGS = ("protocol", "from", "to", "state", "frames", "bytes", "calls", "p50 ms", "p99 ms", "last")
CALL_HEADINGS = ("time", "from", "to", "request", "reply", "latency ms", "duration ms")


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "flows", flows, "glassbox flows lab\nglassbox flows lab -o lab.pcapng --seconds 10")
    parser.add_argument(
        "net", metavar="NET", nargs="?", help="a network (default: say which there are, and who is on them)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-f", "--follow", action="store_true", help="print flows as they are named and end, until the network ends"
    )
    what.add_argument("--calls", action="store_true", help="list requests and their replies, with latencies")
    what.add_argument(
        "-o", "--output", metavar="FILE", help="write every frame from now on as pcapng; '-' is standard output"
    )
    parser.add_argument("--all", action="store_true", help="list ARP and what kernels send by themselves, too")
    parser.add_argument("--seconds", type=float, metavar="N", help="with -o: end after so long (default: by Ctrl-C)")
    parser.add_argument(
        "--limit",
        default=DEFAULT_LIMIT,
        metavar="SIZE",
        help="with -o: end when the file has this size (default: %(default)s)",
    )
    add_json(parser)


def flows(options: argparse.Namespace) -> None:
    """Show what the guests of a network send each other: flows by process, calls with latencies, or frames as pcapng."""
    # Imported here: help needs none of it.
    from ..network import watch

    if options.net is None:
        _print_networks(options.json)
    elif options.output is not None:
        _capture(options)
    elif options.follow:
        for flow in watch.follow_flows(options.net):
            if options.json:
                print_json(flow, one_line=True)
            elif _is_shown(flow, options.all) and _is_settled(flow):
                print_lines(_flow_line(flow), at_once=True)
    else:
        found = watch.read_flows(options.net)
        if options.json:
            print_json(found)
            return
        if found.forgotten:
            complain(f"incomplete: {found.forgotten} older flows had to make room")
        shown = [flow for flow in found.flows if _is_shown(flow, options.all)]
        if options.calls:
            print_table([cells for flow in shown for cells in _call_cells(flow)], CALL_HEADINGS)
        else:
            print_table([_flow_cells(flow, time.time()) for flow in shown], FLOW_HEADINGS)


def _print_networks(as_json: bool) -> None:
    from ..network.place import iter_networks
    from ..network.watch import read_status

    found = [read_status(name) for name in iter_networks()]
    if as_json:
        print_json(found)
        return
    rows = [
        (network.name, port.machine, port.place.address, port.place.mac, port.sent_frames, port.sent_bytes,
         port.received_frames, port.received_bytes, port.dropped)
        for network in found
        for port in network.ports
    ]  # fmt: skip
    print_table(rows, NETWORK_HEADINGS)


def _capture(options: argparse.Namespace) -> None:
    if options.seconds is not None and options.seconds <= 0:
        raise UsageError("--seconds counts up from 0; give a larger number")
    limit_bytes = parse_size(options.limit)
    end_tidily()
    if options.output == "-":
        if sys.stdout.isatty():
            raise UsageError(
                "a capture is not for a terminal; give -o a file, or pipe it as in '-o - | wireshark -k -i -'"
            )
        _write_frames(options, sys.stdout.buffer, limit_bytes)
        return
    path = Path(os.path.abspath(options.output))
    try:
        with open(path, "wb") as file:
            _write_frames(options, file, limit_bytes)
    except UsageError:
        # There is no such network: nor shall there be a file.
        path.unlink()
        raise
    say(f"wrote {path.stat().st_size} bytes to {options.output}")


def _write_frames(options: argparse.Namespace, file: BinaryIO, limit_bytes: int) -> None:
    from ..network.watch import capture_frames

    def write(data: bytes) -> None:
        file.write(data)
        file.flush()

    try:
        if not capture_frames(options.net, write, options.seconds, limit_bytes):
            complain(f"the capture ended at {options.limit}; --limit sets another size")
    except KeyboardInterrupt:
        # How a capture without --seconds ends.
        pass


def _is_settled(flow: Flow) -> bool:
    return flow.state == "closed" or all(end.naming != "pending" for end in (flow.source, flow.destination))


def _is_shown(flow: Flow, is_all: bool) -> bool:
    return is_all or not all(end.naming == "kernel" for end in (flow.source, flow.destination))


def _end_text(end: FlowEnd) -> str:
    listens = " (listener)" if end.naming == "listener" else ""
    who = (
        f"{end.process}[{end.pids[0]}]{listens}"
        if end.pids
        else {"kernel": "kernel", "pending": "…"}.get(end.naming, "?")
    )
    address = f"[{end.address}]" if ":" in end.address else end.address
    return f"{end.machine or '?'} {who} {address}:{end.port}"


def _flow_cells(flow: Flow, now: float) -> list[Any]:
    ends = flow.source, flow.destination
    return [
        flow.protocol,
        *map(_end_text, ends),
        flow.state,
        sum(end.frames for end in ends),
        sum(end.bytes for end in ends),
        flow.call_count,
        *(None if latency is None else f"{latency * 1e3:.1f}" for latency in (flow.latency_p50_s, flow.latency_p99_s)),
        f"{max(0.0, now - flow.last):.0f} s",
    ]


def _flow_line(flow: Flow) -> str:
    ends = flow.source, flow.destination
    frames, size = sum(end.frames for end in ends), sum(end.bytes for end in ends)
    calls = f", {flow.call_count} calls" if flow.call_count else ""
    latency = "" if flow.latency_p50_s is None else f", p50 {flow.latency_p50_s * 1e3:.1f} ms"
    texts = " \u2192 ".join(map(_end_text, ends))
    return f"{_clock(flow.last)} {flow.protocol} {texts} {flow.state}: {frames} frames, {size} bytes{calls}{latency}"


def _call_cells(flow: Flow) -> list[list[Any]]:
    ends = [_end_text(end) for end in (flow.source, flow.destination)]
    return [
        [_clock(call.time), *ends, call.request_bytes, call.reply_bytes, f"{call.latency_s * 1e3:.1f}", f"{call.duration_s * 1e3:.1f}"]
        for call in flow.calls
    ]  # fmt: skip


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{int(seconds % 1 * 1000):03}"
