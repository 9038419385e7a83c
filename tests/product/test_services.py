"""The units for systemd and the manual page, by the programs that read them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qemu_bridge.cli import GROUPS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "man" / "glassbox.1"
UNITS = sorted((ROOT / "services").glob("*.service"))

needs_man = pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")


@needs_man
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault_in_a_unit_nor_in_the_page_that_it_names(unit, tmp_path):
    (tmp_path / "man1").mkdir()
    (tmp_path / "man1" / PAGE.name).symlink_to(PAGE)
    named = tmp_path / unit.name.replace("@", "@demo")
    named.symlink_to(unit)
    answer = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(named)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MANPATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("name", ["glassbox.1", "gpu-run.1"])
def test_the_manual_page_is_that_of_the_parser(name):
    page = PAGE.with_name(name)
    answer = subprocess.run([sys.executable, ROOT / "docs" / "make_man.py", "--check", page], check=False)
    assert answer.returncode == 0, "run 'just docs'"


@needs_man
def test_man_shows_every_verb_with_its_options():
    environment = os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANOPT": "--no-justification"}
    answer = subprocess.run(
        ["man", "--warnings", "-l", str(PAGE)], capture_output=True, text=True, check=True, env=environment
    )
    assert not answer.stderr
    for names in GROUPS.values():
        assert all(f"glassbox {name}" in answer.stdout for name in names)
    assert "--trace-from-boot FILE" in answer.stdout and "glassbox trace record" in answer.stdout


@needs_man
def test_man_shows_the_options_of_gpu_run():
    environment = os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANOPT": "--no-justification"}
    answer = subprocess.run(
        ["man", "--warnings", "-l", str(PAGE.with_name("gpu-run.1"))],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert not answer.stderr and "--args-file FILE" in answer.stdout and "EXIT STATUS" in answer.stdout
