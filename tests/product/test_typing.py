"""The types hold on the newest Python too: stubs of libraries differ with the version, and `just lint` checks one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEWEST = "3.13"
"""What Debian 13 has."""


@pytest.mark.long
def test_types_on_the_newest_python(tmp_path):
    command = [sys.executable, "-m", "mypy", "--python-version", NEWEST, "--cache-dir", str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not found.returncode, found.stdout + found.stderr
