"""Verbs about this installation: doctor, completion."""

import json
import subprocess
import sys

import pytest
from support import glassbox

from qemu_bridge.cli.setup import CHECKS
from qemu_bridge.errors import GlassBoxError, HostError

guest = pytest.mark.guest


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
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
