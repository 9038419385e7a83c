"""docs/kernels.md: its table is the code's, its programs are programs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
