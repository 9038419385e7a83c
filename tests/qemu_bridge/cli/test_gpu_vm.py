"""``glassbox gpu vm``: a VM from its creation to its end."""

import json
import sys

from qemu_bridge.cli import main


def test_a_vm_is_created_runs_commands_and_is_stopped(capfd):
    assert main(["gpu", "vm", "create", "by-hand", "--memory", "256M", "--processes", "8"]) == 0
    try:
        assert main(["gpu", "vm", "run", "by-hand", "--", sys.executable, "-S", "-c", "print(6 * 7)"]) == 0
        assert main(["gpu", "vm", "run", "by-hand", "--", "sh", "-c", "kill -9 $$"]) == 137
        assert "42" in capfd.readouterr().out
        assert main(["gpu", "vm", "list"]) == 0
        assert "by-hand" in capfd.readouterr().out
        assert main(["gpu", "vm", "list", "--json"]) == 0
        (found,) = (each for each in json.loads(capfd.readouterr().out) if each["name"] == "by-hand")
        assert found["limits"]["memory_bytes"] == 256 << 20
    finally:
        assert main(["gpu", "vm", "stop", "by-hand"]) == 0
    assert main(["gpu", "vm", "stop", "by-hand"]) == 2
    assert main(["gpu", "vm", "create", "x", "--cores", "z"]) == 2
