"""Learned loops in a guest: what a program does is what it does on this host, whatever happens in the middle of a loop.

The program's loops are learned from their bytes. Each situation is one of the safety contract, and the plugin says by its counters that it
was met. `test_learned_contract` shows that each point of the contract is needed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from unittest import mock

import pytest
from learned_situations import (
    CASES,
    CODES,
    MISTAKEN,
    PROCESSOR,
    SOUND,
    UNPROVED,
    check,
    compile_probe,
    here,
    native_loop,
    prepare,
    rows,
    wanted,
    with_probe,
)
from support import booted, wait_until
from x86_loops import machine_loop

from pixel_cpu.learn.native import build_all, native_of
from qemu_bridge.wire.trace_records import ArmOptions
from tcg_plugin.layout import REGISTERS, Feature, Learned

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return compile_probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture(scope="module")
def libraries():
    found = {name: native_loop(name) for name in CODES}
    wrong = native_of("WRONG", machine_loop(*MISTAKEN))
    right = found["WRONG"].lifted.machine_loop
    found["WRONG"] = replace(wrong, is_proved=True, lifted=replace(wrong.lifted, machine_loop=right))
    return build_all(found.values())


@pytest.fixture(scope="module")
def machine(image, libraries, probe, qemu11, tmp_path_factory):
    initrd = tmp_path_factory.mktemp("initrd") / "initrd"
    initrd.write_bytes(with_probe(image, probe))
    chosen = mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11})
    with chosen, booted("learned", image, learned=libraries, initrd=initrd, qemu_args=PROCESSOR) as found:
        prepare(found)
        yield found


@pytest.mark.parametrize("case", CASES)
def test_a_program_does_in_a_guest_what_it_does_here(case, machine, probe):
    check(case, machine, probe)


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
        rests = {"WRONG": "refused"} | {name: "in shadow" for name in UNPROVED if not loop.rounds}
        assert row["state"] == rests.get(loop.name, "in place"), row
        assert (row["gain"] is None) == (loop.name in rests) and row["proved"] == (loop.name not in UNPROVED)
        if loop.rounds:
            assert abs(row["gain"] - loop.round_ns * loop.rounds / loop.seconds / 1e9) < 0.01


def test_most_rounds_are_done_in_place(machine, probe):
    rounds = {"XOR": 64 * 4096, "SUM": 64 * 4096, "MOVE": 64 * 256, "VECTORS": 64 * 256}

    def most_are() -> bool:
        # A slice during which the host does something else is taken for a slow one, and the loop left to QEMU for a while.
        before = rows(machine)
        machine.exec("/probe usual")
        after = rows(machine)
        return all(after[name].rounds - before[name].rounds > 0.85 * 20 * rounds[name] for name in rounds)

    wait_until(most_are)
    after = rows(machine)
    assert all(after[name].compared >= 16 and after[name].round_ns > 0 for name in rounds)


def test_a_kernel_that_is_wrong_is_switched_off_before_the_guest_has_seen_it(machine, probe):
    assert machine.exec("/probe usual").decode() == here(probe, "usual")
    row = rows(machine)["WRONG"]
    assert (row.mismatches, row.compared, row.rounds) == (1, 0, 0)
    assert REGISTERS[row.failed["place"]] == "rbx" and row.failed["kernel"] != row.failed["guest"]
    # What it was given: the kernel adds bytes to rbx, the loop takes them away.
    assert row.failed["kernel"] - row.failed["rbx"] == (row.failed["rbx"] - row.failed["guest"]) % 2**64
    assert 1 <= row.failed["rounds"] <= 48


def test_a_loop_that_is_not_proved_runs_in_place_only_where_that_is_asked_for(machine, probe):
    machine.exec("/probe usual")
    before = rows(machine)["NEST"]
    assert not before.rounds and before.compared >= 16 and before.refusals["unproved"] and not before.is_proved
    with wanted(machine, Learned.UNPROVED):
        while not rows(machine)["NEST"].rounds:  # it is looked at once in many passes
            assert machine.exec("/probe usual").decode() == here(probe, "usual")
    after = rows(machine)["NEST"]
    assert not after.mismatches
    assert after.refusals["unproved"] == before.refusals["unproved"]


def tries(loop):
    """Comparisons that were begun."""
    return loop.compared + loop.abandoned


def test_in_shadow_qemu_does_all_the_work(machine, probe):
    before = rows(machine)
    with wanted(machine, Learned.SHADOW):
        assert machine.exec("/probe once").decode() == here(probe, "once")
        after = rows(machine)
    for name in set(SOUND) - {"AWAIT"}:  # which nothing usual has
        assert after[name].rounds == before[name].rounds and after[name].compared > before[name].compared
        # On a busy host the guest's kernel comes in between more often, and the comparison is given up.
        assert tries(after[name]) > tries(before[name]) + 10
        assert not after[name].mismatches


def test_with_several_vcpus_loops_rest(image, libraries, probe, qemu11, tmp_path):
    """Written so that the machine's configuration does not see it."""
    initrd = tmp_path / "initrd"
    initrd.write_bytes(with_probe(image, probe))
    options = {"learned": libraries, "initrd": initrd, "qemu_args": ("-smp", "cpus=0x2")}
    with mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11}), booted("several", image, **options) as found:
        assert found.exec("nproc").strip() == b"2"
        assert found.exec("/probe once").decode() == here(probe, "once")
        assert not any(loop.rounds or loop.compared for loop in rows(found).values())


def test_a_recording_sees_every_round(machine, probe):
    """Learned loops rest while the machine is recorded."""
    before = rows(machine)["XOR"].rounds
    machine.client.trace_arm(ArmOptions(features=Feature.HEAT))
    try:
        assert machine.exec("/probe once").decode() == here(probe, "once")
        assert rows(machine)["XOR"].rounds == before
    finally:
        machine.client.trace_disarm()
    machine.exec("/probe usual")
    assert rows(machine)["XOR"].rounds > before
