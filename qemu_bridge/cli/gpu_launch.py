"""``gpu run FILE``: launches a kernel on arrays; and what other verbs that launch have in common with it."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..host.plain_file import write_atomic
from .options import Verbs, add_json, add_verb, end_tidily, print_json, print_lines, say

if TYPE_CHECKING:
    from pixel_cpu import Device, Kernel, Program
    from pixel_cpu.backends.launch import Outcome

DEVICES = ("cpu", "wgpu", "numba", "reference")
_MOST_DIGITS = 30
"""Of a number of elements; no memory holds that many."""
Stage = Callable[[str], contextlib.AbstractContextManager[None]]
"""Called with what comes next; the block below it does that."""


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(
        actions, "run", run, "glassbox gpu run saxpy.gpk --set a=2.0 --in x=x.npy --in y=y.npy --out y=out.npy"
    )
    add_launch_options(parser)
    parser.add_argument("--counts", action="store_true", help="count what lanes do, which takes longer (device cpu)")
    add_json(parser)


def add_file(parser: argparse.ArgumentParser) -> None:
    """The positional FILE of kernels."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="kernels: the primitives language, or IR text in a file *.ir"
    )


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """What to launch, on which arrays, where."""
    add_file(parser)
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
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what runs it (default: %(default)s)")
    parser.add_argument("--fuel", type=int, metavar="N", help="ways round loops that each lane may go")
    parser.add_argument("--seconds", type=float, metavar="S", help="time that the launch may take")
    parser.add_argument("--force", action="store_true", help="replace output files that exist")


@dataclass(frozen=True)
class Launched:
    """What a command launched: one kernel, or, where `kernel` is empty, the host's program of the file."""

    kernel: str
    outcomes: tuple[Outcome, ...]


def run(options: argparse.Namespace) -> int:
    """Launch a kernel on arrays, or run the file's program of the host, and say what it cost."""
    end_tidily()
    # The reference counts in any case.
    device_options: dict[str, Any] = {"counts": True} if options.counts and options.device != "reference" else {}
    found = launch(options, **device_options)
    report(found, options)
    return 0


def launch(options: argparse.Namespace, stage: Stage | None = None, **device_options: Any) -> Launched:  # noqa: ANN401  # of the back end
    """Do what `add_launch_options` asked for on a device with these options; `stage` is told each step.

    Arrays are written where no lane ended by a trap, which is not raised.
    """
    import pixel_cpu
    from pixel_cpu.backends.launch import DEFAULT_FUEL
    from pixel_cpu.runtime.device import DEFAULT_SECONDS

    step = stage or _unmeasured
    with step(f"load {options.file.name}"):
        program = pixel_cpu.load(options.file)
    outputs = _pairs(options.out_, "--out NAME=FILE")
    written = [Path(path).resolve() for path in (*outputs.values(), *filter(None, [getattr(options, "output", None)]))]
    if len(set(written)) < len(written):
        raise UsageError("two outputs go to the same file; give each a name of its own")
    for path in outputs.values():
        if Path(path).exists() and not options.force:
            raise UsageError(f"{path} exists; give --out another name, or --force to replace it")
    if program.host and options.kernel is None:
        return _launch_host(options, program, outputs, step, device_options)
    kernel = program.kernel(options.kernel)
    with pixel_cpu.Device(options.device, **device_options) as device:
        with step("copy arrays in"):
            arguments, shapes = _arguments(options, kernel, device)
        lanes = options.lanes
        if lanes is None and options.blocks is None:
            lanes = max((len(value) for value in arguments.values() if hasattr(value, "shape")), default=0)
        missing = set(outputs) - {memory.name for memory in kernel.definition.buffers}
        if missing:
            raise UsageError(f"{kernel.name} has no buffer {min(missing)!r} to write out")
        if stage:  # else it is a part of the launch, after the arguments were checked
            with step("build"):
                device.prepare(
                    kernel.module, kernel.name, kernel.definition.group if options.threads is None else options.threads
                )
        with step(f"launch {kernel.name}"):
            outcome = kernel.launch(
                lanes,
                blocks=options.blocks,
                threads=options.threads,
                device=device,
                fuel=DEFAULT_FUEL if options.fuel is None else options.fuel,
                seconds=DEFAULT_SECONDS if options.seconds is None else options.seconds,
                raise_traps=False,
                arguments=arguments,
            )
        for name, path in outputs.items() if outcome.trap is None else ():
            with step(f"write {name}"):
                _save(Path(path), arguments[name].reshape(shapes.get(name, arguments[name].shape)))
    return Launched(kernel.name, (outcome,))


@contextlib.contextmanager
def _unmeasured(_: str) -> Any:  # noqa: ANN401  # an iterator of nothing
    yield


def _launch_host(
    options: argparse.Namespace,
    program: Program,
    outputs: dict[str, str],
    step: Stage,
    device_options: dict[str, Any],
) -> Launched:
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
    with pixel_cpu.Device(options.device, **device_options) as device, step("run the host's program"):
        found = program.run(device, seconds, arguments=given)
    missing = set(outputs) - set(found.arrays)
    if missing:
        raise UsageError(
            f"the host's program copies no {min(missing)!r} back; it copies {', '.join(found.arrays) or 'nothing'}"
        )
    for name, path in outputs.items():
        with step(f"write {name}"):
            _save(Path(path), found.arrays[name])
    return Launched("", found.launches)


def report(found: Launched, options: argparse.Namespace) -> None:
    """Print what launches printed and say what they cost; raises `TrapError` where a lane of a single launch ended by a trap."""
    if options.json:
        print_json(found.outcomes[0] if found.kernel else found.outcomes)
    else:
        for outcome in found.outcomes:
            for line in outcome.printed:
                print_lines(f"lane {line.lane}: {line.text}")
        if dropped := sum(outcome.prints_dropped for outcome in found.outcomes):
            say(f"{dropped} printed lines more are not shown")
        if found.kernel:
            _say_cost(found.kernel, found.outcomes[0])
        else:
            took = sum(outcome.seconds for outcome in found.outcomes)
            say(f"{len(found.outcomes)} launches on {options.device} in {took * 1e3:.2f} ms")
    if found.kernel:
        found.outcomes[0].raise_trap(found.kernel)


def _say_cost(kernel: str, outcome: Outcome) -> None:
    counted = outcome.counters
    more = f", {counted.instructions} instructions, {counted.loads} loads, {counted.stores} stores" if counted else ""
    built = f", built in {outcome.build_seconds * 1e3:.0f} ms before" if outcome.build_seconds else ""
    say(f"{kernel} ran on {outcome.backend} in {outcome.seconds * 1e3:.2f} ms{built}{more}")
    if outcome.traps > 1:
        say(f"{outcome.traps} lanes ended by a trap; the lowest one is reported")


def _number(name: str, text: str) -> int | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        is_whole = text.lstrip("+-").lower().startswith("0x") or text.lstrip("+-").isdecimal()
        return int(text, 0) if is_whole else _real(text)
    except ValueError:
        raise UsageError(f"--set {name}: {text!r} is no number") from None


def _real(text: str) -> float:
    """The number; `ValueError` where it is beyond all floats without being called infinite."""
    number = float(text)
    if math.isinf(number) and "inf" not in text.lower():
        raise ValueError(text)
    return number


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
        if not text.isdecimal() or len(text) > _MOST_DIGITS:
            raise UsageError(f"--new {name}: {text[:40]!r} is no number of elements")
        arguments[name] = device.zeros(int(text), buffers[name].element.dtype)
    return arguments, shapes


def _scalar(name: str, text: str, kind: Any) -> int | float | bool:  # noqa: ANN401  # pixel_cpu is loaded late
    try:
        if kind.value == "bool":
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return _real(text) if kind.is_float else int(text, 0)
    except (KeyError, ValueError):
        raise UsageError(f"--set {name}: {text!r} is no {kind.value}") from None


def _read(path: Path) -> Any:  # noqa: ANN401  # an array
    import numpy as np

    with path.open("rb") as file:
        try:
            return np.lib.format.read_array(file, allow_pickle=False)
        except OSError:
            raise
        except MemoryError as error:
            raise UsageError(f"{path}: {error}") from None
        except Exception as error:  # the header is read by Python's own parser, which raises many kinds
            raise UsageError(f"{path} is no array in NumPy's .npy format: {error}") from None


def _save(path: Path, array: Any) -> None:  # noqa: ANN401  # an array
    import numpy as np

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomic(path, content.getvalue(), 0o666)
