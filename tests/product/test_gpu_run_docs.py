"""docs/gpu-run.md: its commands and its program run, on the program that it is about."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pixel_cpu.gpu_run import make_parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/gpu-run.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("gpu-run")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_parser_takes_every_command(command):
    words = shlex.split(re.split(r" [|>] ", command)[0])[1:]
    found = make_parser().parse_args(words[: words.index("--")] if "--" in words else words)
    assert found.module == "count.wasm"


@pytest.fixture
def folder(tmp_path):
    archive = runpy.run_path(str(ROOT / "examples/gpu-run/programs/build.py"))["read_archive"]()
    (tmp_path / "count.wasm").write_bytes(archive["count"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data/fox.txt").write_text("the quick fox the\n")
    (tmp_path / "inputs.txt").write_text("fox.txt\n'one two two'\n")
    return tmp_path


@pytest.mark.long
def test_every_command_does_what_it_says(folder):
    (folder / "gpu-run").write_text(f'#!/bin/sh\nexec {sys.executable} -m pixel_cpu.gpu_run "$@"\n')
    (folder / "gpu-run").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done)
    assert (folder / "out/lane-0/stdout").read_text() == "2 the\n1 fox\n1 quick\n"
    assert len((folder / "lanes.jsonl").read_text().splitlines()) == 2


@pytest.mark.long
def test_the_program_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(compile("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), "docs/gpu-run.md", "exec"), {})
    out = capsys.readouterr().out
    assert "exited 0 0" in out and "exited 1 2" in out and "2 a\n1 b" in out
