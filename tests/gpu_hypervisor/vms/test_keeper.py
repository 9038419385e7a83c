"""The keeper of a process VM: what is not a command harms it not, and who leaves takes the command along."""

import signal
import socket
import subprocess
import sys

from support import is_running, wait_until

from gpu_hypervisor.vms import ProcessVm, VmLimits


def test_garbage_and_a_client_that_is_killed(tmp_path):
    said = tmp_path / "pid"
    with ProcessVm.create("kept", VmLimits()) as vm:
        for garbage in (b"", b"\xff" * 100, b"\x05\x00\x00\x00hello", b"\x00\x00\x00\x00"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(vm._socket))
                connection.sendall(garbage)
        command = f"echo $$ >{said}; exec sleep 600"
        code = "import sys; from gpu_hypervisor.vms import find_vm; find_vm('kept').run(['sh', '-c', sys.argv[1]])"
        with subprocess.Popen([sys.executable, "-c", code, command]) as client:
            wait_until(lambda: said.exists() and said.read_text().strip(), 60)
            pid = int(said.read_text())
            assert is_running(pid)
            client.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_running(pid), 60)
        assert vm.run(["true"]).status == 0
