"""Learned loops in a guest: what a program does is what it does on this host, whatever happens in the middle of a loop.

The program's loops are learned from their bytes. Each situation is one of the safety contract, and the plugin says by its counters that it
was met.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from support import booted, wait_until
from x86_loops import machine_loop

from pixel_cpu.learn.native import build, native_of
from qemu_bridge.images.initramfs import Tree, compress
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import REGISTERS, Feature, Learned

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]

CODES = {
    # mov al, [rsi]; xor [rdi], al; inc rsi; inc rdi; dec ecx; jnz head
    "XOR": ("8a06", "3007", "48ffc6", "48ffc7", "ffc9", "75f2"),
    # movzx eax, byte [rsi]; lea rbx, [rbx + 4 * rbx]; add rbx, rax; inc rsi; dec ecx; jnz head
    "SUM": ("0fb606", "488d1c9b", "4801c3", "48ffc6", "ffc9", "75ef"),
    # mov ecx, 16; rep movsb; dec r8d; jnz head
    "MOVE": ("b910000000", "f3a4", "41ffc8", "75f4"),
    # movdqu xmm1, [rsi]; pxor xmm0, xmm1; add rsi, 16; dec ecx; jnz head
    "VECTORS": ("f30f6f0e", "660fefc1", "4883c610", "ffc9", "75f0"),
    # movzx eax, byte [rsi]; sub rbx, rax; inc rsi; dec ecx; jnz head
    "WRONG": ("0fb606", "4829c3", "48ffc6", "ffc9", "75f3"),
}
SOUND = ("XOR", "SUM", "MOVE", "VECTORS")
MISTAKEN = ("0fb606", "4801c3", "48ffc6", "ffc9", "75f3")
"""What the kernel of WRONG does: it adds."""
CASES = {
    "usual": None,
    "fresh": "page",
    "overlap": None,
    "code": "code_page",
    "read-only": "page",
    "forked": "page",
    "interrupted": None,
    "stepped": "flags",
    "std": "direction",
    "popf": "direction",
    "turning-signal": "direction",
    "shared": None,
    "reclaimed": "page",
}
"""Situations, and the reason that a kernel has to stop for in each, if there is one."""
SWAP = "dd if=/dev/zero of=/tmp/swap bs=1M count=8 && losetup /dev/loop0 /tmp/swap && mkswap /dev/loop0 && swapon /dev/loop0"
MOST_RUNS = 20
"""Where QEMU was faster, as on a busy host, the plugin looks at a loop once in 16,384 passes; the shortest situation has 1,000."""


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The program, which runs in the guest and here."""
    path = tmp_path_factory.mktemp("probe") / "probe"
    loops = [
        f'-D{name}=".byte {", ".join(f"0x{byte:02x}" for byte in bytes.fromhex("".join(codes)))};"'
        for name, codes in CODES.items()
    ]
    source = Path(__file__).with_name("learned_probe.c")
    subprocess.run(["cc", "-O2", "-static", "-pthread", "-Wall", *loops, "-o", path, source], check=True)
    return path


@pytest.fixture(scope="module")
def libraries():
    found = {name: native_of(name, machine_loop(*codes)) for name, codes in CODES.items()}
    wrong = native_of("WRONG", machine_loop(*MISTAKEN))
    right = found["WRONG"].lifted.machine_loop
    found["WRONG"] = replace(wrong, lifted=replace(wrong.lifted, machine_loop=right))
    return tuple(map(build, found.values()))


@pytest.fixture(scope="module")
def machine(image, libraries, probe, qemu11, tmp_path_factory):
    tree = Tree()
    tree.add_file("probe", probe.read_bytes(), 0o755)
    initrd = tmp_path_factory.mktemp("initrd") / "initrd"
    # The kernel unpacks one archive after the other.
    initrd.write_bytes(image.initrd.read_bytes() + compress(tree.to_cpio()))
    chosen = mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11})
    with chosen, booted("learned", image, learned=libraries, initrd=initrd) as found:
        found.exec(SWAP)
        found.exec("/probe usual")
        yield found


def rows(machine):
    return {loop.name: loop for loop in machine.client.learned()}


def here(probe, case):
    return subprocess.run([probe, case], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("case", CASES)
def test_a_program_does_in_a_guest_what_it_does_here(case, machine, probe):
    before, wanted, reason = rows(machine), here(probe, case), CASES[case]
    loop = "MOVE" if reason == "direction" else "XOR"
    for _ in range(MOST_RUNS):
        assert machine.exec(f"/probe {case}").decode() == wanted
        after = rows(machine)
        assert not any(after[name].mismatches for name in SOUND), after
        is_met = not reason or after[loop].refusals.get(reason, 0) > before[loop].refusals.get(reason, 0)
        if is_met:
            break
    assert is_met, "the situation was met"
    assert after[loop].rounds > before[loop].rounds or case in ("code", "stepped")


def test_the_overlay_says_what_the_plugin_counted(machine):
    machine.exec("/probe usual")
    while True:  # until no loop ran between the two looks
        before, table = machine.client.learned(), machine.client.overlay("learned").value
        if machine.client.learned() == before:
            break
    assert table.complete and len(table.rows) == len(before)
    for loop, row in zip(before, table.rows, strict=True):
        assert (row["name"], row["hits"], row["rounds"]) == (loop.name, loop.slices, loop.rounds)
        assert row["refusals"] == sum(loop.refusals.values()) and len(row["reasons"]) == len(loop.refusals)
        assert row["state"] == ("refused" if loop.name == "WRONG" else "in place"), row
        assert (row["gain"] is None) == (loop.name == "WRONG")
        if loop.rounds:
            assert abs(row["gain"] - loop.round_ns * loop.rounds / loop.seconds / 1e9) < 0.01


def test_most_rounds_are_done_in_place(machine, probe):
    rounds = {"XOR": 64 * 4096, "SUM": 64 * 4096, "MOVE": 64 * 256, "VECTORS": 64 * 256}

    def most_are() -> bool:
        # A slice during which the host does something else is taken for a slow one, and the loop left to QEMU for a while.
        before = rows(machine)
        machine.exec("/probe usual")
        after = rows(machine)
        return all(after[name].rounds - before[name].rounds > 0.85 * 20 * rounds[name] for name in SOUND)

    wait_until(most_are)
    after = rows(machine)
    assert all(after[name].compared == 16 and after[name].round_ns > 0 for name in SOUND)


def test_a_kernel_that_is_wrong_is_switched_off_before_the_guest_has_seen_it(machine, probe):
    assert machine.exec("/probe usual").decode() == here(probe, "usual")
    row = rows(machine)["WRONG"]
    assert (row.mismatches, row.compared, row.rounds) == (1, 0, 0)
    assert REGISTERS[row.failed["place"]] == "rbx" and row.failed["kernel"] != row.failed["guest"]
    # What it was given: the kernel adds bytes to rbx, the loop takes them away.
    assert row.failed["kernel"] - row.failed["rbx"] == (row.failed["rbx"] - row.failed["guest"]) % 2**64
    assert row.failed["rounds"] == 48


def test_in_shadow_qemu_does_all_the_work(machine, probe, control):
    before = rows(machine)
    control.block.learned_wanted = Learned.SHADOW
    try:
        assert machine.exec("/probe usual").decode() == here(probe, "usual")
        after = rows(machine)
    finally:
        control.block.learned_wanted = Learned.IN_PLACE
    for name in SOUND:
        assert after[name].rounds == before[name].rounds and after[name].compared > before[name].compared + 100
        assert not after[name].mismatches


def test_a_recording_sees_every_round(machine, probe):
    """Learned loops rest while the machine is recorded."""
    before = rows(machine)["XOR"].rounds
    machine.client.trace_arm(ArmOptions(features=Feature.HEAT))
    try:
        assert machine.exec("/probe usual").decode() == here(probe, "usual")
        assert rows(machine)["XOR"].rounds == before
    finally:
        machine.client.trace_disarm()
    machine.exec("/probe usual")
    assert rows(machine)["XOR"].rounds > before
