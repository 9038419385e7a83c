"""Verbs that name what is in RAM: ps, maps, modules, sym."""

import pytest
from support import glassbox

guest = pytest.mark.guest


@guest
def test_what_a_process_is_called_does_not_drive_the_terminal(machine):
    machine.exec(
        r"""cp /bin/busybox "$(printf '/tmp/x\033]0;PWN\007')"; ln -sf "$(printf '/tmp/x\033]0;PWN\007')" /tmp/sleep"""
    )
    machine.exec("/tmp/sleep 100 > /dev/null 2>&1 &")
    pid = machine.exec("pidof sleep").split()[0].decode()
    shown = glassbox("maps", machine.name, pid).stdout
    assert "/tmp/x?]0;PWN?" in shown and "\x1b" not in shown
    assert "\\u001b" in glassbox("maps", machine.name, pid, "--json").stdout
    machine.exec(f"kill {pid}; rm /tmp/x* /tmp/sleep")
