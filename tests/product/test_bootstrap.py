"""The first command of a newcomer: what it says before it installs anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path):
    """What bootstrap reads, in a folder where it has made nothing yet; nothing that installs is in reach."""
    for name in ("bootstrap", "justfile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in (
        "sh",
        "sed",
        "tr",
        "dirname",
        "basename",
        "awk",
        "df",
        "sort",
        "head",
        "grep",
        "cat",
        "sha256sum",
        "cut",
    ):
        (tools / name).symlink_to(shutil.which(name) or "/nowhere")
    return tmp_path


def bootstrap(folder, *words, **environment):
    return subprocess.run(
        [folder / "bootstrap", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": str(folder / "bin"), "HOME": str(folder)} | environment,
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)], ids=str)
def test_help_installs_nothing(checkout, words):
    answer = bootstrap(checkout, *words)
    assert answer.returncode == 0 and not answer.stderr and not (checkout / ".venv").exists()
    assert "./bootstrap run" in answer.stdout and "./bootstrap test" in answer.stdout


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are(checkout):
    answer = bootstrap(checkout, "tset")
    assert answer.returncode == 2 and not (checkout / ".venv").exists()
    assert "there is no recipe tset" in answer.stderr and " test test-long " in answer.stderr
    assert " export " not in answer.stderr and " set " not in answer.stderr


def make(folder, name, text):
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_who_cannot_become_root_gets_a_command_to_paste(checkout):
    make(checkout, "apt-get", "exit 1")
    make(checkout, "id", "echo 1000")
    answer = bootstrap(checkout, "run")
    assert answer.returncode == 1 and "apt-get install --no-install-recommends" in answer.stderr
    assert "qemu-system-x86" in answer.stderr and "xvfb" not in answer.stderr, "only what this recipe needs"
    assert "xvfb" in bootstrap(checkout, "test").stderr


def test_python_packages_that_cannot_be_fetched_are_told_in_a_sentence_soon(tmp_path):
    for name in ("bootstrap", "justfile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    answer = subprocess.run(
        [tmp_path / "bootstrap", "lint"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | nowhere | {"PIP_CONFIG_FILE": os.devnull},
        check=False,
    )
    assert answer.returncode == 1 and "Python's packages could not be installed" in answer.stderr
    assert len(answer.stderr.splitlines()) < 6
