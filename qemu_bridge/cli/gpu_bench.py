"""Verbs about what runs kernels, and how fast: ``gpu devices|bench|simd-info``."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_FAILED, UsageError
from ..host.plain_file import write_atomic
from .gpu_launch import DEVICES
from .options import Verbs, add_json, add_verb, end_tidily, print_json, print_lines, print_table, say

if TYPE_CHECKING:
    from pixel_cpu.benchmark import Benchmark, Comparison, Measurement, Rate
    from pixel_cpu.benchmark.rates import Rates
    from pixel_cpu.runtime import DeviceInfo


def add_verbs(actions: Verbs) -> None:
    """Add this module's actions of the verb ``gpu``."""
    measured = [name for name in DEVICES if name != "reference"]  # whose speed is no aim
    parser = add_verb(actions, "devices", devices, "glassbox gpu devices --measure")
    parser.add_argument(
        "--device", choices=DEVICES, action="append", dest="devices", help="which; several times (default: all)"
    )
    parser.add_argument("--measure", action="store_true", help="measure each device, and keep its rates")
    parser.set_defaults(measured=measured)
    add_json(parser)
    parser = add_verb(actions, "bench", bench, "glassbox gpu bench saxpy matmul --device cpu -o roofline.png")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="what to measure (default: all)")
    parser.add_argument(
        "--device", choices=measured, action="append", dest="devices", help="where; several times (default: cpu)"
    )
    parser.add_argument("--full", action="store_true", help="large problems, which take minutes")
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="how often each is measured (default: 5)")
    parser.add_argument(
        "--vs-hardware",
        nargs="?",
        const="",
        metavar="CARD",
        help="what share of a card's peak this is: rtx3080, a100, h100 (default: all)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="draw the roofline")
    parser.add_argument("--force", action="store_true", help="replace a picture that exists")
    add_json(parser)
    parser = add_verb(actions, "simd-info", show_simd_info, "glassbox gpu simd-info")
    add_json(parser)


def _rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("rounds are 1 to 1000")
    return int(text)


def devices(options: argparse.Namespace) -> int:
    """List what can run kernels here, with limits and measured rates."""
    import pixel_cpu

    end_tidily()
    found = pixel_cpu.devices(*options.devices or ())
    rates = {device.name: _rates(device, options) for device in found}
    if options.json:
        print_json([{**_fields(device), "rates": rates[device.name]} for device in found])
    else:
        _print_devices(found, rates)
    return 0 if any(not device.reason for device in found) else EXIT_FAILED


def _rates(device: DeviceInfo, options: argparse.Namespace) -> Rates | None:
    from pixel_cpu.benchmark.rates import kept_rates, measure_rates

    if device.reason or device.name not in options.measured:
        return None
    if not options.measure:
        return kept_rates(device.name)
    say(f"measuring {device.name}")
    return measure_rates(device.name)


def _print_devices(found: Sequence[DeviceInfo], rates: dict[str, Rates | None]) -> None:
    from pixel_cpu.benchmark.hardware import significant

    rows = []
    for device in found:
        own = rates[device.name]
        numbers = [significant(rate / 1e9, 2) for rate in (own.flops, own.bytes_per_second)] if own else [None, None]
        usable = "no" if device.reason else "yes"
        rows.append([device.name, usable, *numbers, device.description or device.reason])
    print_table(rows, ["device", "usable", "f32_gflop/s", "gb/s", "what"])
    usable_ones = [device for device in found if device.limits]
    names = list(dict.fromkeys(name for device in usable_ones for name in device.limits or {}))
    print_lines("")
    print_table(
        [[name.replace("_", " "), *((device.limits or {}).get(name) for device in usable_ones)] for name in names],
        ["limit", *(device.name for device in usable_ones)],
    )
    if not any(rates.values()):
        say("--measure measures the rates, and keeps them")


def bench(options: argparse.Namespace) -> int:
    """Measure kernels under the roofs of their device: rates, errors, and how near they come."""
    from pixel_cpu.benchmark import CARDS, Size, compare, find_card, measure
    from pixel_cpu.benchmark.rounds import ROUNDS

    end_tidily()
    if options.output and options.output.exists() and not options.force:
        raise UsageError(f"{options.output} exists; give -o another name, or --force to replace it")
    cards = () if options.vs_hardware is None else (find_card(options.vs_hardware),) if options.vs_hardware else CARDS
    found = measure(
        tuple(options.kernels),
        options.devices or ["cpu"],
        size=Size.FULL if options.full else Size.SMALL,
        rounds=options.rounds or ROUNDS,
        progress=say,
    )
    if options.output:
        _draw(found, options.output)
    if options.json:
        print_json({**_fields(found), "hardware": compare(found, cards)})
    else:
        _print_benchmark(found, compare(found, cards))
    wrong = [each for each in found.measurements if not each.is_right]
    for each in wrong:
        say(f"{each.kernel} on {each.device} is wrong: its error is {each.error:.2g}")
    return EXIT_FAILED if wrong else 0


def _draw(found: Benchmark, path: Path) -> None:
    from pixel_cpu.benchmark.picture import draw_roofline  # loads Pillow

    content = io.BytesIO()
    draw_roofline(found).save(content, "PNG", optimize=True)
    write_atomic(path, content.getvalue(), 0o666)
    say(f"{path} written")


def _print_benchmark(found: Benchmark, comparisons: Sequence[Comparison]) -> None:
    print_table(list(_roof_rows(found)), ["device", "roof", "rate", "spread", "kernel"])
    print_lines("")
    print_table([_row(each) for each in found.measurements], _COLUMNS)
    if comparisons:
        print_lines("")
        _print_comparisons(comparisons)
    say(f"load average {found.load:.1f} on {found.processors} processors; medians of {found.rounds} rounds")
    if found.load > 1.5 * found.processors:
        say("others use the processors too: rates are too low, shares less so; measure again when the host is idle")


def _print_comparisons(comparisons: Sequence[Comparison]) -> None:
    from pixel_cpu.benchmark.hardware import significant

    cards = list(dict.fromkeys(each.card for each in comparisons))
    shares: dict[tuple[str, str], dict[str, str]] = {}
    for each in comparisons:
        shares.setdefault((each.device, each.what), {})[each.card] = each.share
    print_table(
        [[device, what, *(own[card] for card in cards)] for (device, what), own in shares.items()],
        ["device", "share_of_peak", *cards],
    )
    print_lines("")
    peaks = {(each.card, each.what): each for each in comparisons}
    rows = []
    for card in cards:
        flops, memory = peaks[card, "f32 arithmetic"], peaks[card, "memory"]
        rows.append([card, significant(flops.peak / 1e12, 3), f"{memory.peak / 1e9:g}", flops.source])
    print_table(rows, ["card", "f32_tflop/s", "gb/s", "by"])


_COLUMNS = (
    "kernel",
    "device",
    "shape",
    "dtype",
    "threads",
    "ms",
    "spread",
    "rate",
    "gb/s",
    "error",
    "op/byte",
    "roof",
    "share",
    "work",
)


def _roof_rows(found: Benchmark) -> Iterator[list[Any]]:
    for roofs in found.rooflines:
        yield _roof_row(roofs.device, "f32 arithmetic", roofs.flops, "Gflop/s")
        if roofs.ops:
            yield _roof_row(roofs.device, "u32 arithmetic", roofs.ops, "Gop/s")
        for footprint, rate in sorted(roofs.bandwidth.items(), reverse=True):
            what = "memory" if footprint == roofs.memory_footprint else "arrays"
            yield _roof_row(roofs.device, f"{what}, {footprint >> 20} MiB", rate, "GB/s")


def _roof_row(device: str, name: str, rate: Rate, unit: str) -> list[Any]:
    return [device, name, f"{_billions(rate.rate, rate.spread)} {unit}", f"{100 * rate.spread:.0f} %", rate.kernel]


def _row(found: Measurement) -> list[Any]:
    from pixel_cpu.benchmark.hardware import significant

    return [
        found.kernel,
        found.device,
        found.shape,
        found.dtype,
        found.threads,
        significant(1e3 * found.seconds, 3),
        f"{100 * found.spread:.0f} %",
        f"{_billions(found.rate, found.spread)} G{found.unit.value}/s",
        _billions(found.bytes_per_second, found.spread),
        f"{found.error:.1e}" if found.error else "0",
        significant(found.intensity, 2),
        found.bound.value,
        f"{significant(100 * found.share, 2)} %",
        found.counted,
    ]


def _billions(rate: float, spread: float) -> str:
    from pixel_cpu.benchmark.hardware import digits_of, significant

    return significant(rate / 1e9, digits_of(spread))


def _fields(record: Any) -> dict[str, Any]:  # noqa: ANN401  # a record
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(record)
    return fields


def show_simd_info(options: argparse.Namespace) -> None:
    """Say which vector instructions processor, compiler and compiled kernels have here."""
    from pixel_cpu.benchmark.simd import simd_info

    found = simd_info()
    if options.json:
        print_json(found)
        return
    print_table(
        [
            [
                each.name,
                each.bits,
                each.f32_lanes,
                *("yes" if has else "no" for has in (each.in_processor, each.in_compiler)),
            ]
            for each in found.extensions
        ],
        ["extension", "bits", "f32_lanes", "processor", "compiler"],
    )
    own = found.lane_c
    used = ", ".join(f"{name} in {count}" for name, count in found.emitted.items()) or "not looked at"
    print_lines("")
    print_table(
        [
            ["processor", found.processor],
            ["compiler", f"{found.compiler or '-'} ({found.compiler_version or 'none'})"],
            [
                "lane C",
                f"{own.name}: {own.width} lanes of f32 in {32 * own.width} bits, {own.vector_registers} registers",
            ],
            ["instructions of saxpy", used],
        ],
        ["what", "is"],
    )
    for sentence in found.disagreements:
        say(sentence)
