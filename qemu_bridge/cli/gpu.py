"""Verbs about kernels: ``gpu run FILE`` launches one on arrays; ``gpu show|format|check``, and those of `gpu_bench`."""

from __future__ import annotations

import argparse
import io
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_FAILED, UsageError
from ..host.plain_file import write_atomic
from . import gpu_bench
from .options import Verbs, add_json, add_verb, end_tidily, print_json, print_lines, say

if TYPE_CHECKING:
    from pixel_cpu import Device, Kernel, Program
    from pixel_cpu.backends.launch import Outcome
    from pixel_cpu.passes.bounds import BoundsReport

_DEVICES = ("cpu", "wgpu", "reference")


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(
        verbs, "gpu", run, "glassbox gpu run saxpy.gpk --set a=2.0 --in x=x.npy --in y=y.npy --out y=out.npy"
    )
    parser.description = "Run kernels on CPU lanes or a GPU: see docs/kernels.md."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_run(actions)
    gpu_bench.add_actions(actions, _DEVICES)
    parser = add_verb(actions, "show", show, "glassbox gpu show saxpy.gpk")
    _add_file(parser)
    parser = add_verb(actions, "format", format_file, "glassbox gpu format saxpy.gpk")
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="kernels in the primitives language, rewritten in place"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the form is another")
    parser = add_verb(actions, "check", check, "glassbox gpu check saxpy.gpk --threads 256")
    _add_file(parser)
    parser.add_argument("--kernel", metavar="NAME", help="which kernel of the file (default: all)")
    parser.add_argument("--threads", type=int, metavar="N", help="lanes of a group (default: the kernel's own)")
    add_json(parser)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="kernels: the primitives language, or IR text in a file *.ir"
    )


def _add_run(actions: Verbs) -> None:
    parser = add_verb(
        actions, "run", run, "glassbox gpu run saxpy.gpk --set a=2.0 --in x=x.npy --in y=y.npy --out y=out.npy"
    )
    _add_file(parser)
    parser.add_argument("--kernel", metavar="NAME", help="which kernel of the file (default: the only one)")
    for flag, value, text in (
        ("--set", "NAME=VALUE", "a scalar parameter"),
        ("--in", "NAME=FILE", "a buffer from an array in NumPy's .npy format"),
        ("--new", "NAME=COUNT", "a buffer of COUNT zeros"),
        ("--out", "NAME=FILE", "write a buffer to a new .npy file afterwards, in the shape that it was read in"),
    ):
        parser.add_argument(flag, action="append", default=[], dest=flag[2:] + "_", metavar=value, help=text)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--lanes", type=int, metavar="N", help="number of lanes (default: elements of the longest buffer)"
    )
    size.add_argument("--blocks", type=int, metavar="N", help="number of groups instead")
    parser.add_argument("--threads", type=int, metavar="N", help="lanes of a group (default: the kernel's own)")
    parser.add_argument("--device", choices=_DEVICES, default="cpu", help="what runs it (default: %(default)s)")
    parser.add_argument("--fuel", type=int, metavar="N", help="ways round loops that each lane may go")
    parser.add_argument("--seconds", type=float, metavar="S", help="time that the launch may take")
    parser.add_argument("--force", action="store_true", help="replace output files that exist")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Launch a kernel on arrays, or run the file's program of the host, and say what it cost."""
    import pixel_cpu
    from pixel_cpu.backends.launch import DEFAULT_FUEL
    from pixel_cpu.runtime.device import DEFAULT_SECONDS

    end_tidily()
    program = pixel_cpu.load(options.file)
    outputs = _pairs(options.out_, "--out NAME=FILE")
    for path in outputs.values():
        if Path(path).exists() and not options.force:
            raise UsageError(f"{path} exists; give --out another name, or --force to replace it")
    if program.host and options.kernel is None:
        return _run_host(options, program, outputs)
    kernel = program.kernel(options.kernel)
    with pixel_cpu.Device(options.device) as device:
        arguments, shapes = _arguments(options, kernel, device)
        lanes = options.lanes
        if lanes is None and options.blocks is None:
            lanes = max((len(value) for value in arguments.values() if hasattr(value, "shape")), default=0)
        missing = set(outputs) - {memory.name for memory in kernel.definition.buffers}
        if missing:
            raise UsageError(f"{kernel.name} has no buffer {min(missing)!r} to write out")
        outcome = kernel.launch(
            lanes,
            blocks=options.blocks,
            threads=options.threads,
            device=device,
            fuel=DEFAULT_FUEL if options.fuel is None else options.fuel,
            seconds=DEFAULT_SECONDS if options.seconds is None else options.seconds,
            raise_traps=False,
            **arguments,
        )
        for name, path in outputs.items() if outcome.trap is None else ():
            _save(Path(path), arguments[name].reshape(shapes.get(name, arguments[name].shape)))
    _report(outcome, kernel, options.json)
    outcome.raise_trap(kernel.name)
    return 0


def _run_host(options: argparse.Namespace, program: Program, outputs: dict[str, str]) -> int:
    import pixel_cpu
    from pixel_cpu.runtime.device import DEFAULT_SECONDS

    given: dict[str, Any] = {
        name: _number(name, text) for name, text in _pairs(options.set_, "--set NAME=VALUE").items()
    }
    given |= {name: _read(Path(path)) for name, path in _pairs(options.in_, "--in NAME=FILE").items()}
    unused = [word for word in ("new_", "lanes", "blocks", "threads", "fuel") if getattr(options, word)]
    if unused:
        flag = unused[0].rstrip("_")
        raise UsageError(
            f"--{flag} is of a launch, and {options.file} has a program of the host; --kernel NAME launches one kernel"
        )
    seconds = DEFAULT_SECONDS if options.seconds is None else options.seconds
    with pixel_cpu.Device(options.device) as device:
        found = program.run(device, seconds, **given)
    missing = set(outputs) - set(found.arrays)
    if missing:
        raise UsageError(
            f"the host's program copies no {min(missing)!r} back; it copies {', '.join(found.arrays) or 'nothing'}"
        )
    for name, path in outputs.items():
        _save(Path(path), found.arrays[name])
    if options.json:
        print_json(found.launches)
        return 0
    for outcome in found.launches:
        _print_lines_of(outcome)
    took = sum(outcome.seconds for outcome in found.launches)
    say(f"{len(found.launches)} launches on {options.device} in {took * 1e3:.2f} ms")
    return 0


def _number(name: str, text: str) -> int | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return (
            int(text, 0) if text.lstrip("+-").lower().startswith("0x") or text.lstrip("+-").isdecimal() else float(text)
        )
    except ValueError:
        raise UsageError(f"--set {name}: {text!r} is no number") from None


def _pairs(words: list[str], form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign and value):
            raise UsageError(f"{word!r} is not {form}")
        if name in pairs:
            raise UsageError(f"{name!r} is given twice")
        pairs[name] = value
    return pairs


def _arguments(
    options: argparse.Namespace, kernel: Kernel, device: Device
) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Scalars and arrays by name, and the shapes that arrays were read in."""
    scalars = {value.name: value.type for value in kernel.definition.parameters}
    buffers = {memory.name: memory for memory in kernel.definition.buffers}
    arguments: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, text in _pairs(options.set_, "--set NAME=VALUE").items():
        arguments[name] = _scalar(name, text, scalars[name]) if name in scalars else text
    for name, path in _pairs(options.in_, "--in NAME=FILE").items():
        array = _read(Path(path))
        shapes[name] = array.shape
        arguments[name] = device.array(array)
    for name, text in _pairs(options.new_, "--new NAME=COUNT").items():
        if name not in buffers or name in arguments:
            raise UsageError(
                f"--new {name}: {'is read with --in' if name in arguments else f'{kernel.name} has no such buffer'}"
            )
        if not text.isdecimal():
            raise UsageError(f"--new {name}: {text!r} is no number of elements")
        arguments[name] = device.zeros(int(text), buffers[name].element.dtype)
    return arguments, shapes


def _scalar(name: str, text: str, kind: Any) -> int | float | bool:  # noqa: ANN401  # pixel_cpu is loaded late
    try:
        if kind.value == "bool":
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return float(text) if kind.is_float else int(text, 0)
    except (KeyError, ValueError):
        raise UsageError(f"--set {name}: {text!r} is no {kind.value}") from None


def _read(path: Path) -> Any:  # noqa: ANN401  # an array
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is no array in NumPy's .npy format: {error}") from None


def _save(path: Path, array: Any) -> None:  # noqa: ANN401  # an array
    import numpy as np

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomic(path, content.getvalue(), 0o666)


def _report(outcome: Outcome, kernel: Kernel, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    _print_lines_of(outcome)
    counted = outcome.counters
    more = f", {counted.instructions} instructions, {counted.loads} loads, {counted.stores} stores" if counted else ""
    built = f", built in {outcome.build_seconds * 1e3:.0f} ms before" if outcome.build_seconds else ""
    say(f"{kernel.name} ran on {outcome.backend} in {outcome.seconds * 1e3:.2f} ms{built}{more}")
    if outcome.traps > 1:
        say(f"{outcome.traps} lanes ended by a trap; the lowest one is reported")


def _print_lines_of(outcome: Outcome) -> None:
    for line in outcome.printed:
        print_lines(f"lane {line.lane}: {line.text}")


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
    from pixel_cpu.passes.bounds import prove_bounds

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
