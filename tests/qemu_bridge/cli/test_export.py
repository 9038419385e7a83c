"""The verb export: drgn opens what it writes, and the guest goes on."""

from __future__ import annotations

import drgn
import pytest
from drgn.helpers.linux.kallsyms import load_vmlinux_kallsyms
from support import glassbox


@pytest.mark.guest
def test_drgn_finds_the_kernel_its_symbols_and_its_tasks_in_a_core(machine, tmp_path):
    core = tmp_path / "demo.core"
    done = glassbox("export", machine.name, "-o", str(core))
    assert done.stdout == f"{core}\n" and "128 MiB of RAM at 0x0-0x8000000" in done.stderr
    assert machine.client.status().runstate == "running"
    program = drgn.Program()
    program.set_core_dump(core)
    assert program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL
    release = machine.exec("uname -r").decode().strip()
    assert program["UTS_RELEASE"].string_().decode() == release
    program.register_symbol_finder("kallsyms", load_vmlinux_kallsyms(program), enable_index=0)
    for name in ("init_task", "linux_banner", "schedule"):
        assert program.symbol(name).address == machine.client.sym(name).value[0].address
    # By the kernel's own page tables, which drgn walks itself.
    assert program.read(program.symbol("linux_banner").address, 14) == b"Linux version "
    assert b"swapper/0\0" in program.read(program.symbol("init_task").address, program.symbol("init_task").size)


@pytest.mark.guest
def test_a_file_that_exists_and_a_guest_that_was_paused_stay_as_they_are(machine, tmp_path):
    core = tmp_path / "demo.core"
    core.write_bytes(b"mine")
    refused = glassbox("export", machine.name, "-o", str(core))
    assert refused.returncode == 2 and "exists" in refused.stderr and core.read_bytes() == b"mine"
    assert machine.client.status().runstate == "running"
    with machine.paused():
        done = glassbox("export", machine.name, "--format", "lime", "--force", "-o", str(core))
        assert done.returncode == 0 and core.read_bytes()[:4] == b"EMiL"
        assert machine.client.status().runstate == "paused"
