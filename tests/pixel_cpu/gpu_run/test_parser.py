"""The command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pixel_cpu.gpu_run.parser import DEVICES, MODES, make_parser
from pixel_cpu.runtime.backends import MODULES

ROOT = Path(__file__).resolve().parents[3]


def test_devices_are_those_of_kernels():
    assert {name for name in DEVICES.values() if name} <= set(MODULES)


def test_defaults_are_one_lane_on_the_best_device():
    found = make_parser().parse_args(["m.wasm"])
    assert (found.device, found.lanes, found.stdout, found.dir, found.env) == ("auto", None, None, [], [])


def test_sizes_have_suffixes_and_times_are_above_zero(capsys):
    found = make_parser().parse_args(["m", "--memory", "2G", "--stack", "64K", "--timeout", "1.5", "--seed", "0x10"])
    assert (found.memory, found.stack, found.timeout, found.seed) == (2 << 30, 64 << 10, 1.5, 16)
    for words in (["--memory", "2X"], ["--timeout", "0"], ["--timeout", "nan"], ["--lanes", "0"], ["--pages", "x"]):
        with pytest.raises(SystemExit):
            make_parser().parse_args(["m", *words])
        assert "Traceback" not in capsys.readouterr().err


def test_every_option_is_in_the_page_and_every_option_of_the_page_exists():
    page = (ROOT / "docs/gpu-run.md").read_text()
    options = {flag for action in make_parser()._actions for flag in action.option_strings if flag.startswith("--")}
    for option in options - {"--help", "--quiet", "--verbose", "--version"}:
        assert f"`{option}" in page or f" {option}" in page, option
    commands = "\n".join(line for line in page.splitlines() if "gpu-run" in line)
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", commands))
    assert used <= options | {"--seed"}
    assert all(f"`{mode}`" in page for mode in MODES)
