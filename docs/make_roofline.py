"""Measures the library kernels here and puts the numbers into docs/kernels.md, and their picture beside it.

``python docs/make_roofline.py docs/kernels.md``, on an idle host; a minute.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pixel_cpu.benchmark import Benchmark, Measurement, measure
from pixel_cpu.benchmark.hardware import digits_of, significant
from pixel_cpu.benchmark.picture import draw_roofline

PICTURE = Path(__file__).parent / "pictures" / "roofline.png"
DEVICES = ("cpu", "wgpu")
_PART = re.compile(r"(<!-- roofline: measured -->\n).*?(<!-- end -->)", re.DOTALL)


def table(found: Benchmark) -> str:
    """What was measured on, and a row for each kernel with its rate and share on each device."""
    roofs = [
        f"`{each.device}` is {each.description.partition(': ')[2]}, with roofs of {_billions(each.flops.rate, each.flops.spread)} Gflop/s "
        f"and {_billions(each.bandwidth[each.memory_footprint].rate, each.bandwidth[each.memory_footprint].spread)} GB/s."
        for each in found.rooflines
    ]
    lines = [
        *roofs,
        f"Medians of {found.rounds} rounds, load average {found.load:.1f} on {found.processors} processors.",
        "",
        f"| kernel | shape | {' | '.join(DEVICES)} |",
        "|---|---|" + "---|" * len(DEVICES),
    ]
    for kernel in dict.fromkeys(each.kernel for each in found.measurements):
        rows = {each.device: each for each in found.measurements if each.kernel == kernel}
        cells = " | ".join(_cell(rows[device]) for device in DEVICES)
        lines.append(f"| `{kernel}` | {rows[DEVICES[0]].shape} | {cells} |")
    return "\n".join(lines) + "\n"


def _cell(found: Measurement) -> str:
    rate = f"{_billions(found.rate, found.spread)} G{found.unit.value}/s"
    return f"{rate}, {significant(100 * found.share, 2)} % of {found.bound.value}"


def _billions(rate: float, spread: float) -> str:
    return significant(rate / 1e9, digits_of(spread))


def main(path: Path) -> None:
    """Measure, draw, and replace the marked part of a document."""
    found = measure(devices=DEVICES, rounds=9, progress=lambda text: print(text, file=sys.stderr))
    draw_roofline(found).save(PICTURE, optimize=True)
    text, count = _PART.subn(lambda part: part[1] + table(found) + part[2], path.read_text())
    assert count == 1, f"{path} has no part for the roofline"
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
