"""Rows of a table that belong to one process."""

from __future__ import annotations

from qemu_bridge.gateway.understanding import KnownProcess, StaticNames, understand


def test_several_processes_of_one_name_are_asked_back():
    names = StaticNames(processes=[KnownProcess(5, 1, "sh"), KnownProcess(6, 1, "sh")])
    unsure = understand("memory map of sh", names)
    assert [request.words[-1] for request in unsure.alternatives] == ["5", "6"]


def test_a_process_that_is_not_there_has_no_rows(names):
    assert "no process 4242" in understand("open files of pid 4242", names).reason
