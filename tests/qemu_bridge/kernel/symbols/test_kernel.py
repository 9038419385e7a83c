"""The whole way from RAM to names, on a real kernel with and without KASLR, and on memory that only looks like one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from memory_samples import KERNEL_TEXT as TEXT
from memory_samples import Memory, small_kernel
from support import booted

from qemu_bridge.errors import GuestError, NotBootedError, NoTypesError
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.memory.addresses import RamLayout, VirtualAddress
from qemu_bridge.memory.ram import GuestRam


@pytest.fixture(autouse=True)
def symbol_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "symbols"))
    return tmp_path / "symbols"


def test_a_kernel_is_found_from_its_note_alone(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory)
    kernel = KernelSymbols.load(memory.open())
    assert (kernel.release, kernel.build_id, kernel.kaslr_offset) == ("6.1", "ab" * 20, 0)
    assert kernel.btf.member_offset("task_struct", "comm") == 8
    assert [(section.name, section.start, section.end) for section in kernel.sections()] == [("text", TEXT, TEXT + 64)]
    assert kernel.is_current() and not kernel.has_page_table_isolation


def test_a_name_that_there_is_not_is_an_error(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory)
    with pytest.raises(GuestError, match="no symbol nothing"):
        KernelSymbols.load(memory.open()).address_of("nothing")


def test_a_kernel_without_types_still_has_symbols(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory, types=False)
    kernel = KernelSymbols.load(memory.open())
    assert kernel.kallsyms.lookup("start")
    with pytest.raises(NoTypesError, match="carries no BTF"):
        kernel.btf  # noqa: B018
    with pytest.raises(NoTypesError):
        kernel.isf_path  # noqa: B018


@pytest.mark.parametrize("types", [True, False])
def test_a_note_whose_first_task_is_not_swapper_is_not_believed(tmp_path, symbol_cache, types):
    memory = Memory(tmp_path)
    small_kernel(memory, types, comm=b"sh")
    with pytest.raises(NotBootedError, match="first task"):
        KernelSymbols.load(memory.open())
    assert not list(symbol_cache.glob("*")), "nor kept"


def test_the_note_of_a_former_life_is_passed_over(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory, comm=b"\xcc" * 16, note_at=0x200000, release="5.0")
    small_kernel(memory, note_at=0x300000)
    assert KernelSymbols.load(memory.open()).release == "6.1"


def test_empty_memory_has_no_kernel(tmp_path):
    with pytest.raises(NotBootedError, match="wait until"):
        KernelSymbols.load(Memory(tmp_path).open())


def test_a_reboot_is_noticed(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory)
    kernel = KernelSymbols.load(memory.open())
    with open(kernel.ram.path, "r+b") as file:
        file.seek(kernel.info.physical + 24)
        file.write(b"OSRELEASE=7.0")
    assert not kernel.is_current()


def test_a_damaged_cache_is_made_anew(tmp_path, symbol_cache):
    memory = Memory(tmp_path)
    small_kernel(memory)
    ram = memory.open()
    first = list(KernelSymbols.load(ram).kallsyms)
    assert symbol_cache.exists() and all(path.name.startswith("ab" * 20 + "-") for path in symbol_cache.iterdir())
    for path in symbol_cache.iterdir():
        path.write_bytes(b"nonsense")
    assert list(KernelSymbols.load(ram).kallsyms) == first == list(KernelSymbols.load(ram).kallsyms)


def test_a_guest_that_claims_anothers_build_id_does_not_get_its_symbols(tmp_path):
    memory = Memory(tmp_path)
    small_kernel(memory)
    KernelSymbols.load(memory.open())
    (tmp_path / "other").mkdir()
    other = Memory(tmp_path / "other")
    small_kernel(other, types=False)
    assert KernelSymbols.load(other.open()).kallsyms.lookup("__start_BTF") == []


def test_types_are_read_when_first_asked_for(tmp_path, symbol_cache):
    memory = Memory(tmp_path)
    small_kernel(memory)
    kernel = KernelSymbols.load(memory.open())
    assert not list(symbol_cache.glob("*.types.*"))
    assert kernel.btf.sizeof("task_struct") and len(list(symbol_cache.glob("*.types.*"))) == 1


def test_types_in_the_cache_that_are_not_this_kernels_are_passed_over(tmp_path, symbol_cache):
    memory = Memory(tmp_path)
    small_kernel(memory)
    ram = memory.open()
    starts = KernelSymbols.load(ram).btf.starts
    (file,) = symbol_cache.glob("*.types.*")
    kept = file.read_bytes()
    np.savez(file, starts=starts[:-1])
    assert np.array_equal(KernelSymbols.load(ram).btf.starts, starts) and file.read_bytes() == kept


def check_against_the_guest(machine) -> KernelSymbols:
    inside = []
    for address, letter, name, *module in machine.kallsyms():
        if not module:
            inside.append((int(address, 16), letter, name))
    with machine.paused():
        kernel = KernelSymbols.load(machine.ram)
    assert [(symbol.address, symbol.symbol_type, symbol.name) for symbol in kernel.kallsyms] == inside
    assert kernel.release == machine.exec("uname -r").decode().strip()
    return kernel


@pytest.mark.guest
def test_symbols_are_the_guests_own_from_ram_and_from_the_cache(machine):
    check_against_the_guest(machine)
    check_against_the_guest(machine)


@pytest.mark.guest
def test_symbols_are_the_guests_own_where_kaslr_moved_the_kernel(image):
    if image.bzimage is None:
        pytest.skip("this image has no bzImage, so KASLR is unavailable")
    with booted("kaslr", image, kernel=image.bzimage, memory=256 << 20) as machine:
        kernel = check_against_the_guest(machine)
        assert kernel.kaslr_offset % (2 << 20) == 0
        stext = kernel.address_of("_stext")
        assert stext - kernel.kaslr_offset == 0xFFFFFFFF81000000
        with machine.paused():
            processes = machine.processes()
        assert [process.pid for process in processes][:2] == [1, 2]


@pytest.mark.guest
def test_the_first_task_is_read_through_symbols_types_and_page_tables(machine):
    kernel = machine.kernel
    task = kernel.address_of("init_task") + kernel.btf.member_offset("task_struct", "comm")
    assert kernel.page_tables.read(VirtualAddress(task), 16).startswith(b"swapper/0\0")


@pytest.mark.guest
def test_sections_are_in_order_and_where_iomem_says(machine):
    sections = {section.name: section for section in machine.kernel.sections()}
    assert {"text", "rodata", "data", "bss", "init"} <= set(sections)
    tables = machine.kernel.page_tables
    for line in machine.exec("grep -i kernel /proc/iomem").decode().splitlines():
        span, _, name = line.strip().partition(" : ")
        first = int(span.split("-")[0], 16)
        section = sections.get(name.split()[-1].lower())
        if section is not None and section.name in ("text", "rodata", "data"):
            assert abs(tables.translate(section.start) - first) < 2 << 20, line


@pytest.mark.guest
def test_loading_again_comes_from_the_cache(machine):
    def seconds(work):
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    def load():
        kernel = KernelSymbols.load(machine.ram)
        assert kernel.btf.sizeof("task_struct") and kernel.isf_path.exists()

    cold = seconds(load)
    assert min(seconds(load) for _ in range(3)) < cold / 4


@pytest.mark.guest
@pytest.mark.long
def test_volatilitys_own_command_line_agrees(machine, tmp_path):
    """On a copy of RAM with the symbol file that was made for it."""
    with machine.paused():
        copy = tmp_path / "copy.raw"
        shutil.copyfile(machine.ram.path, copy)
        processes = machine.processes()
    (tmp_path / "isf" / "linux").mkdir(parents=True)
    shutil.copy(machine.kernel.isf_path, tmp_path / "isf" / "linux")
    command = [str(Path(sys.executable).with_name("vol")), "-q", "--cache-path", str(tmp_path)]
    command += ["-s", str(tmp_path / "isf"), "-r", "json", "-f", str(copy), "linux.pslist"]
    answer = subprocess.run(command, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)
    assert {(row["PID"], row["PPID"]) for row in rows} == {(process.pid, process.parent_pid) for process in processes}


@pytest.mark.guest
def test_a_copy_of_ram_tells_the_same(machine, tmp_path):
    with machine.paused():
        shutil.copyfile(machine.ram.path, tmp_path / "copy.ram")
        layout = RamLayout(machine.ram.layout.regions)
    kernel = KernelSymbols.load(GuestRam(tmp_path / "copy.ram", layout))
    assert (kernel.release, kernel.kaslr_offset) == (machine.kernel.release, machine.kernel.kaslr_offset)
