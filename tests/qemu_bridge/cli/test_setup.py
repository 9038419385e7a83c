"""Verbs about this installation: doctor, completion."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest
from support import glassbox

from qemu_bridge.cli.setup import _ADVICE, CHECKS
from qemu_bridge.errors import GlassBoxError, HostError
from qemu_bridge.host.settings import SETTINGS, settings_path

guest = pytest.mark.guest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_a_completion_script_knows_the_verbs(shell):
    answer = glassbox("completion", shell)
    assert answer.returncode == 0 and "modules" in answer.stdout


def test_a_completion_script_is_valid_bash():
    script = glassbox("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@guest
def test_bash_completes_verbs_and_running_machines(machine):
    script = glassbox("completion", "bash").stdout
    ask = """
COMP_WORDS=(glassbox {words}); COMP_CWORD={index}; COMP_LINE="glassbox {words}"; COMP_POINT=${{#COMP_LINE}}
$(complete -p glassbox | sed -E 's/.*-F ([^ ]+).*/\\1/') glassbox "${{COMP_WORDS[COMP_CWORD]}}" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    # The command itself, as it is called in a checkout that nothing was installed from.
    script += f'\nglassbox() {{ {sys.executable} -m qemu_bridge.cli "$@"; }}\n'
    asked = (
        ("mod", 1, "modules"),
        ("ps ses", 2, machine.name),
        (f"overlay {machine.name} sock", 3, "sockets"),
        (f"maps {machine.name} 1", 3, "1"),
        (f"sym {machine.name} fat_sca", 3, "fat_scan"),
        (f"where {machine.name} module:fa", 3, "module:fat"),
    )
    for words, index, expected in asked:
        program = script + ask.format(words=words, index=index)
        answer = subprocess.run(["bash"], input=program, capture_output=True, text=True, check=False)
        assert expected in answer.stdout.split(), answer


ASKED = (
    ("glassbox mod", "modules"),
    ("glassbox ps ses", "session"),
    ("glassbox overlay session sock", "sockets"),
    ("glassbox maps session 1", "1"),
    ("glassbox sym session fat_sca", "fat_scan"),
    ("glassbox resolve session module:fa", "module:fat"),
)
"""What is typed before the tab, and the word that has to come of it."""


@pytest.fixture
def shell_folder(tmp_path):
    """A folder with the command itself, as it is called in a checkout that nothing was installed from."""
    command = tmp_path / "bin" / "glassbox"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m qemu_bridge.cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


@guest
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_verbs_machines_and_what_is_in_them(machine, shell_folder):
    (shell_folder / "glassbox.fish").write_text(glassbox("completion", "fish").stdout)
    environment = os.environ | {"PATH": f"{shell_folder / 'bin'}:{os.environ['PATH']}", "HOME": str(shell_folder)}
    for typed, expected in ASKED:
        program = f"source {shell_folder / 'glassbox.fish'}; complete -C '{typed}'"
        answer = subprocess.run(
            ["fish", "--no-config", "-c", program], capture_output=True, text=True, env=environment, check=True
        )
        assert expected in [line.split("\t")[0] for line in answer.stdout.splitlines()], (typed, answer)


@guest
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_verbs_machines_and_what_is_in_them(machine, shell_folder):
    (shell_folder / "_glassbox").write_text(glassbox("completion", "zsh").stdout)
    (shell_folder / ".zshrc").write_text(
        f"fpath=({shell_folder} $fpath); PROMPT='READY>'; LISTMAX=9999; autoload -Uz compinit; compinit -u -d {shell_folder}/dump\n"
    )
    environment = os.environ | {"PATH": f"{shell_folder / 'bin'}:{os.environ['PATH']}", "ZDOTDIR": str(shell_folder)}
    own, its = pty.openpty()
    shown = b""

    def read_until(words):
        nonlocal shown
        deadline = time.monotonic() + 120
        while words not in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|[\r\x08]", b"", shown):
            assert time.monotonic() < deadline, shown
            if select.select([own], [], [], 1.0)[0]:
                shown += os.read(own, 1 << 16)

    with subprocess.Popen(
        ["zsh", "-i"], stdin=its, stdout=its, stderr=its, env=environment | {"TERM": "vt100"}, start_new_session=True
    ) as zsh:
        try:
            read_until(b"READY>")
            for typed, expected in ASKED:
                shown = b""
                os.write(own, typed.encode() + b"\t")
                read_until(expected.encode())
                # An empty line for the next one.
                os.write(own, b"\x15")
        finally:
            zsh.kill()
    os.close(own)
    os.close(its)


def test_doctor_has_a_row_a_check_and_its_status_is_the_verdict(image, command):
    shown, rows = command("doctor"), json.loads(command("doctor", "--json").out)
    assert [row["name"] for row in rows] == list(CHECKS)
    assert shown.status == (0 if all(row["ok"] for row in rows) else 1)
    assert [line.split()[0] for line in shown.out.splitlines()] == ["ok" if row["ok"] else "FAIL" for row in rows]
    assert image.name in rows[list(CHECKS).index("images")]["detail"]


@pytest.mark.parametrize("error", [HostError("nothing is here; bring something"), PermissionError(13, "not yours")])
def test_what_is_missing_is_named_and_the_other_checks_go_on(error, command, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr("qemu_bridge.cli.setup.CHECKS", {"first": fail, "second": lambda: "there"})
    shown = command("doctor")
    assert shown.status == 1 and shown.out.splitlines() == [
        f"FAIL  {'first':14} {error}",
        f"ok    {'second':14} there",
    ]


def test_a_package_of_another_distribution_is_reported(monkeypatch):
    import importlib.metadata

    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"viewer": ["glassbox-qemu", "other"]})
    with pytest.raises(GlassBoxError, match="'viewer' also comes from other"):
        CHECKS["packages"]()


def test_every_reason_of_the_doctor_ends_with_a_way_out(command, monkeypatch):
    def fail():
        raise PermissionError(13, "not yours")

    monkeypatch.setattr("qemu_bridge.cli.setup.CHECKS", dict.fromkeys(_ADVICE, fail))
    lines = command("doctor").out.splitlines()
    assert len(lines) == len(_ADVICE) and all(" not yours; " in line for line in lines)
    assert set(_ADVICE) | {"dirty pages", "extras"} == set(CHECKS)


def test_config_prints_every_setting_with_its_origin(command, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SMP", "3")
    rows = {row["name"]: row for row in json.loads(command("config", "--json").out)}
    assert set(rows) == {row.name for row in SETTINGS} and all(row["doc"] for row in rows.values())
    assert (rows["smp"]["value"], rows["smp"]["origin"]) == (3, "GLASSBOX_SMP")
    shown = command("config")
    assert ["smp", "3", "GLASSBOX_SMP"] in [line.split() for line in shown.out.splitlines()]
    assert str(settings_path()) in shown.err


def test_a_file_of_settings_that_is_wrong_is_one_line(command):
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text("memori = 3")
    try:
        answer = command("status")
    finally:
        settings_path().unlink()
    assert answer.status == 2 and "no setting 'memori'" in answer.err and answer.err.count("\n") == 1
