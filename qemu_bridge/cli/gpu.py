"""Verbs about kernels: ``gpu run|trace FILE`` launches one on arrays; ``gpu show|format|check|watch``, and those of `gpu_bench`."""

from __future__ import annotations

import argparse
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_FAILED, UsageError
from ..host.plain_file import write_atomic
from . import (
    gpu_activity,
    gpu_advice,
    gpu_bench,
    gpu_hypervisor,
    gpu_launch,
    gpu_simulate,
    gpu_top,
    gpu_trace,
    gpu_vm,
    gpu_watch,
)
from .gpu_launch import add_file
from .options import Verbs, add_json, add_verb, print_json, print_lines, say

if TYPE_CHECKING:
    from pixel_cpu.passes.bounds import BoundsReport


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(
        verbs, "gpu", gpu_launch.run, "glassbox gpu run saxpy.gpk --set a=2.0 --in x=x.npy --in y=y.npy --out y=out.npy"
    )
    parser.description = "Run kernels on CPU lanes or a GPU: see docs/kernels.md."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for group in (
        gpu_launch,
        gpu_trace,
        gpu_watch,
        gpu_bench,
        gpu_hypervisor,
        gpu_top,
        gpu_activity,
        gpu_advice,
        gpu_simulate,
        gpu_vm,
    ):
        group.add_verbs(actions)
    parser = add_verb(actions, "show", show, "glassbox gpu show saxpy.gpk")
    add_file(parser)
    parser = add_verb(actions, "format", format_file, "glassbox gpu format saxpy.gpk")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="kernels in the primitives language, rewritten in place"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the form is another")
    parser = add_verb(actions, "check", check, "glassbox gpu check saxpy.gpk --threads 256")
    add_file(parser)
    parser.add_argument("--kernel", metavar="NAME", help="which kernel of the file (default: all)")
    parser.add_argument("--threads", type=int, metavar="N", help="lanes of a group (default: the kernel's own)")
    add_json(parser)


def show(options: argparse.Namespace) -> None:
    """Print the IR of a file's kernels."""
    import pixel_cpu
    from pixel_cpu.ir.text import write

    print_lines(write(pixel_cpu.load(options.file).module).rstrip())


def format_file(options: argparse.Namespace) -> int:
    """Rewrite a file of the primitives language in its standard form."""
    from pixel_cpu.frontends.primitives import compile_source, format_source
    from pixel_cpu.runtime.program import read_source

    text = read_source(options.file)
    compile_source(text, str(options.file))  # what is no program is left alone, and its error is said
    formatted = format_source(text)
    if formatted == text:
        return 0
    if options.check:
        say(f"{options.file} is not in the standard form; 'glassbox gpu format {options.file}' rewrites it")
        return EXIT_FAILED
    write_atomic(options.file, formatted.encode(), stat.S_IMODE(options.file.stat().st_mode))
    say(f"{options.file} rewritten")
    return 0


def check(options: argparse.Namespace) -> None:
    """Say of each access to memory whether it is proved in bounds, or checked when it runs, and why."""
    import pixel_cpu
    from pixel_cpu.ir.limits import MAX_GROUP
    from pixel_cpu.passes.bounds import prove_bounds

    if options.threads is not None and not 1 <= options.threads <= MAX_GROUP:
        raise UsageError(f"a group has 1 to {MAX_GROUP} lanes, not {options.threads}")
    module = pixel_cpu.load(options.file).module
    names = [pixel_cpu.Program(module).kernel(options.kernel).name] if options.kernel else list(module.kernels)
    found = []
    for name in names:
        group = module.kernels[name].group if options.threads is None else options.threads
        _, reports = prove_bounds(module, name, group=group, solver=True)
        found += [(name, report) for report in reports]
    if options.json:
        print_json([{"kernel": name, **_fields(report)} for name, report in found])
        return
    for name, report in found:
        print_lines(f"{name}: {report}")
    proved = sum(report.verdict.value == "proved" for _, report in found)
    say(f"{proved} of {len(found)} accesses are proved in bounds, and cost no check")


def _fields(report: BoundsReport) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(report)
    return fields
