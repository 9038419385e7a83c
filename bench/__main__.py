"""``python -m bench [NAME ...]``: run benchmarks, print a table, write JSON. Exit status 1 if a target is missed."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

from qemu_bridge.errors import GraphicsError

from .figures import Figure

BENCHMARKS = (
    "boot",
    "ram",
    "names",
    "hunt",
    "control",
    "machines",
    "gateway",
    "pages",
    "page_map",
    "skilling",
    "viewer",
    "trace",
    "mining",
    "caches",
    "learned",
    "lanes",
    "library",
    "wasm",
    "wgsl",
    "gpu_channel",
    "gpu_hypervisor",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the benchmarks and report the results."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"benchmarks to run: {', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs to take medians of (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "local.json", help="the JSON file to write")
    parser.add_argument("--capture", type=Path, metavar="FOLDER", help="measure the viewer on a capture; needs no QEMU")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    if options.capture is not None and options.names != ["viewer"]:
        parser.error("--capture goes with viewer alone")
    # What ends the benchmarks ends their machines.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    capture = {} if options.capture is None else {"capture": options.capture.resolve()}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="gb-") as folder:
        # Machines of a benchmark have a runtime folder of their own.
        os.environ["XDG_RUNTIME_DIR"] = os.environ["XDG_STATE_HOME"] = folder
        for name in options.names or BENCHMARKS:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            figures += importlib.import_module(f"bench.{name}").measure(options.rounds, **capture)
    print_table(figures)
    write_json(figures, options.output)
    return 1 if any(figure.holds is False for figure in figures) else 0


def print_table(figures: list[Figure]) -> None:
    """A line per figure: value, unit, target, verdict, colour."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        verdict = {True: "ok", False: "MISSED", None: ""}[figure.holds]
        print(
            f"{figure.name:{width}}  {figure.value:10.3f} {figure.unit:6} {figure.target:8} {verdict:6}  {figure.detail}"
        )


def write_json(figures: list[Figure], path: Path) -> None:
    """All figures with the machine they were measured on."""
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "graphics": _graphics(),
    }
    rows = [dataclasses.asdict(figure) | {"holds": figure.holds} for figure in figures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"date": time.strftime("%Y-%m-%d"), "machine": machine, "figures": rows}, indent=1) + "\n"
    )
    print(f"bench: written to {path}", file=sys.stderr)


def _graphics() -> str:
    """The graphics device's name; empty without one."""
    from gpu_device.device import adapter_name, request_adapter

    try:
        return adapter_name(request_adapter())
    except GraphicsError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
