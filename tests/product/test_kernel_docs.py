"""docs/kernels.md: its table is the code's, its programs are programs."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

from benchmarks import a_benchmark, a_measurement

from pixel_cpu.benchmark import CASES
from pixel_cpu.ir import limits, text, verifier
from pixel_cpu.ir.operations import OPERATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/kernels.md"


def test_the_table_of_operations_is_current():
    command = [sys.executable, "docs/make_operations.py", "docs/kernels.md", "--check"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0, "run `just docs`"
    for name in OPERATIONS:
        assert f"| `{name}` |" in PAGE.read_text()


def test_the_programs_are_verified():
    whole, loop = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    verifier.verify(text.read(whole))
    head = "kernel k(%n: u32) group 1 {\n%zero = const 0 : u32\n%one = const 1 : u32\n"
    verifier.verify(text.read(f"{head}{loop}return\n}}"))


def test_the_limits_are_the_code_s():
    page = " ".join(PAGE.read_text().split())
    assert f"Regions nest to {limits.MAX_DEPTH}," in page
    assert f"at most {limits.MAX_OPERATIONS:,} operations" in page
    assert f"1 to {limits.MAX_GROUP:,} lanes" in page
    assert f"{limits.MAX_WORKGROUP_BYTES >> 10} KiB" in page
    assert f"{limits.MAX_PRIVATE_BYTES >> 10} KiB" in page


def test_the_table_of_rates_names_every_kernel_that_is_measured():
    measured = re.search(r"<!-- roofline: measured -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert measured and re.findall(r"^\| `(\w+)` \|", measured[1], re.MULTILINE) == list(CASES)


def test_the_table_of_rates_is_made_of_what_was_measured():
    made = runpy.run_path(str(ROOT / "docs/make_roofline.py"))["table"]
    others = [
        a_measurement(name, at, 0.25, device="wgpu") for name, at in (("saxpy", 1 / 6), ("matmul", 40), ("sort", 1))
    ]
    text = made(a_benchmark(*others, devices=("cpu", "wgpu")))
    assert "`cpu` is made up, with roofs of 100 Gflop/s and 10.0 GB/s." in text
    assert "| `matmul` | 1024 | 50 Gflop/s, 50 % of compute | 25 Gflop/s, 25 % of compute |" in text
