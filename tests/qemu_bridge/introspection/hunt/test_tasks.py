"""Tasks taken out of the lists in which they should be."""

from __future__ import annotations

import pytest

from qemu_bridge.wire.records import FindingKind

pytestmark = [pytest.mark.guest, pytest.mark.every_kernel]


def pid_table(edited):
    return edited.space.symbol("init_pid_ns", "pid_namespace").at("idr.idr_rt.xa_head")


def test_a_task_that_is_unlinked_is_found(edited, sleeper):
    task = edited.task(sleeper)
    edited.unlink(task.at("tasks"))
    finding = edited.finding()
    assert (finding.kind, finding.pid, finding.address) == (FindingKind.HIDDEN_TASK, sleeper, task.address)
    assert finding.subject == f"sleep (pid {sleeper})" and "list of tasks" in finding.verdict
    assert f"has in the table of pids {sleeper}" in finding.evidence
    assert any("slab cache" in line for line in finding.evidence)


def test_a_task_that_is_unlinked_in_one_direction_is_found(edited, sleeper):
    link = edited.task(sleeper).at("tasks")
    following, before = edited.space.words(link, 2)
    edited.word(before, following)
    assert [finding.pid for finding in edited.hunt()] == [sleeper]  # and a note: others walk the list in one direction
    edited.word(before, link)
    edited.word(following + 8, before)
    assert [finding.pid for finding in edited.hunt()] == [sleeper]


def test_a_task_without_a_pid_is_found(edited, sleeper):
    task = edited.task(sleeper)
    edited.word(edited.slot(pid_table(edited), sleeper), 0)
    finding = edited.finding()
    assert (finding.pid, finding.address) == (sleeper, task.address) and "table of pids" in finding.verdict
    assert "is in the list of tasks" in finding.evidence


def test_a_task_in_no_list_is_found_in_its_slab(edited, sleeper):
    task = edited.task(sleeper)
    edited.unlink(task.at("tasks"))
    edited.word(edited.slot(pid_table(edited), sleeper), 0)
    finding = edited.finding()
    assert (finding.pid, finding.address) == (sleeper, task.address) and "neither" in finding.verdict
    assert any("parent is" in line for line in finding.evidence)


def test_a_task_that_has_ended_is_no_finding(edited, sleeper):
    task = edited.task(sleeper)
    edited.unlink(task.at("tasks"))
    edited.word(edited.slot(pid_table(edited), sleeper), 0)
    edited.write(task.at("exit_state"), (16).to_bytes(4, "little"))
    assert not edited.hunt().value


def test_a_list_that_does_not_close_is_said_and_gives_no_finding(edited, sleeper):
    edited.word(edited.task(sleeper).at("tasks"), 8)
    answer = edited.hunt()
    assert not answer.value and any("does not close" in note for note in answer.skipped)


def test_a_list_of_threads_that_does_not_close_is_said_and_accuses_no_thread(edited, sleeper):
    signal = edited.task(sleeper).follow("signal")
    edited.word(signal.at("thread_head"), 8)
    answer = edited.hunt()
    assert not answer.value, answer.value
    assert any(f"(pid {sleeper})" in note and "does not close" in note for note in answer.skipped), answer.skipped
