"""Process VMs with real commands: processors, memory, crashes, and what is left behind, which is nothing."""

import os
import signal
import sys
import threading

import pytest
from support import is_running, wait_until

from gpu_hypervisor.vms import ProcessVm, VmLimits, find_vm
from qemu_bridge.errors import UnknownMachineError, UsageError

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def vm(own_folder):
    with ProcessVm.create("small", VmLimits((CORE,), 96 << 20, 16)) as found:
        yield found


def run(vm, code, *words):
    return vm.run([sys.executable, "-S", "-c", code, *words])


def test_a_command_has_the_vm_s_processors_and_its_status_comes_back(vm, tmp_path):
    said = tmp_path / "said"
    code = "import os,sys; open(sys.argv[1],'w').write(f'{os.sched_getaffinity(0)} {os.getcwd()}'); sys.exit(7)"
    assert run(vm, code, str(said)).status == 7
    assert said.read_text() == f"{{{CORE}}} {os.getcwd()}"
    assert find_vm("small").status().limits.cores == (CORE,)
    with pytest.raises(UsageError, match="nothing-such cannot be run"):
        vm.run(["nothing-such"])


def test_what_has_more_than_the_vm_s_memory_is_ended_and_the_vm_goes_on(vm):
    # One process alone gets no memory; several together are summed.
    assert run(vm, "x = bytearray(200 << 20)").status == 1
    code = "import os,time\nfor _ in range(2): os.fork()\nx = b'x' * (40 << 20)\ntime.sleep(60)"
    found = run(vm, code)
    assert found.status == -signal.SIGKILL and f"{96 << 20} are allowed" in found.why
    wait_until(lambda: vm.status().kills == 1 and vm.status().processes == 0)
    assert run(vm, "pass").status == 0


def test_too_many_processes_and_crashes_harm_nobody(vm):
    code = "import os,time\nfor _ in range(20):\n  if not os.fork(): time.sleep(60); os._exit(0)\ntime.sleep(60)"
    assert "processes, and 16 are allowed" in run(vm, code).why
    assert run(vm, "import os; os.abort()").status == -signal.SIGABRT
    wait_until(lambda: vm.status().crashes == 1)
    assert run(vm, "pass").status == 0


def test_what_a_command_leaves_behind_ends_with_the_vm(tmp_path):
    said = tmp_path / "pid"
    # A grandchild in a session of its own, whose parents have ended.
    code = (
        "import os,sys,time\nif not os.fork():\n os.setsid()\n if not os.fork():\n"
        "  open(sys.argv[1],'w').write(str(os.getpid())); time.sleep(600)\n os._exit(0)\nos.wait()"
    )
    with ProcessVm.create("left", VmLimits()) as vm:
        assert run(vm, code, str(said)).status == 0
        wait_until(lambda: said.exists() and said.read_text())
        pid = int(said.read_text())
        assert is_running(pid)
        with pytest.raises(UsageError, match="choose another name"):
            ProcessVm.create("left")
    wait_until(lambda: not is_running(pid))
    vm.stop()
    with pytest.raises(UnknownMachineError, match="no VM 'left' runs"):
        find_vm("left")


def test_a_keeper_that_is_killed_is_a_vm_that_is_gone_with_its_commands(tmp_path):
    vm, said, refused = ProcessVm.create("killed", VmLimits()), tmp_path / "pid", []

    def run_long():
        try:
            vm.run(["sh", "-c", f"echo $$ >{said}; exec sleep 600"])
        except UnknownMachineError as error:
            refused.append(error)

    thread = threading.Thread(target=run_long)
    thread.start()
    wait_until(lambda: said.exists() and said.read_text().strip())
    pid = vm.status().pid
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    wait_until(lambda: not is_running(pid) and not is_running(int(said.read_text())))
    assert refused
    with pytest.raises(UnknownMachineError):
        vm.run(["true"])
    ProcessVm.create("killed", VmLimits()).stop()
    for name in ("", "../x", "a b"):
        with pytest.raises(UsageError, match="no name of a VM"):
            ProcessVm.create(name)
