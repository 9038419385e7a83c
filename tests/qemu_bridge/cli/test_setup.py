"""Verbs about this installation: doctor, completion."""

import subprocess
import sys

import pytest
from support import glassbox

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
