"""Processes and threads, against /proc."""

from __future__ import annotations

import re

import pytest
from overlay_checks import EACH_THREAD, look, parse_threads, processes_inside, running

pytestmark = pytest.mark.guest


def parse_stat(text):
    _, name, rest = re.match(r"(\d+) \((.*)\) (.*)", text).groups()
    words = rest.split()
    return (name, words[0], int(words[1]), int(words[16]), int(words[19]), int(words[36]))


@pytest.mark.every_kernel
def test_threads_are_those_of_proc(each_machine, context, threaded):
    steady, rows = look(
        each_machine, context, "threads", EACH_THREAD % "stat", lambda text: parse_threads(text, parse_stat)
    )
    found = {
        row["thread_id"]: (
            row["name"],
            row["state"],
            row["parent_pid"],
            row["nice"],
            row["started_ns"] // 10**7,
            row["cpu"],
        )
        for row in rows
    }
    assert len(steady) > 30
    assert {thread: found.get(thread) for thread in steady} == {thread: entry[2] for thread, entry in steady.items()}
    assert [row["pid"] for row in rows].count(threaded) == 4
    assert {row["name"] for row in rows if row["pid"] == threaded} == {"four"}


def test_processes_equal_proc(machine):
    inside = processes_inside(machine)
    with machine.paused():
        outside = {process.pid: process for process in machine.processes()}
    lived = set(inside) & set(outside)
    assert len(lived) > 10 and 1 in lived and 2 in lived
    for pid in sorted(lived):
        ours, theirs = outside[pid], inside[pid]
        facts = [(p.parent_pid, p.uid, p.thread_count, p.command_line.strip()) for p in (ours, theirs)]
        assert facts[0] == facts[1], pid
        # A kernel worker that was just woken has another name and state by now.
        if not theirs.name.startswith("kworker/"):
            assert ours.name == theirs.name
        assert ours.name.split("-")[0].split("+")[0] == theirs.name.split("-")[0].split("+")[0]
        assert (ours.page_table is None) == (not theirs.command_line)
    idle = [pid for pid in lived if inside[pid].state == outside[pid].state]
    assert len(idle) > 0.9 * len(lived)


@pytest.mark.every_kernel
def test_resident_pages_are_as_many_as_the_kernel_counts(each_machine):
    # Of processes that sleep. What threads or CPUs did not hand over yet counts: smaps finds it in the page tables, and newer
    # kernels add it to what status shows. Where the two differ, a page is mapped that smaps passes over.
    with running(each_machine, "sleep 4322", "sleep") as pid:
        for who in (1, pid):
            told = each_machine.exec(f"grep -h -e ^Rss: -e ^VmRSS: /proc/{who}/smaps /proc/{who}/status").decode()
            sizes = [(line.partition(":")[0], int(line.split()[1]) // 4) for line in told.splitlines()]
            mapped, counted = (sum(size for name, size in sizes if name == wanted) for wanted in ("Rss", "VmRSS"))
            (found,) = [process for process in each_machine.processes() if process.pid == who]
            assert mapped > 0 and found.resident_pages in (mapped, max(counted, mapped)), (who, mapped, counted)


def test_a_process_that_starts_is_seen(machine):
    before = {process.pid for process in machine.processes()}
    with running(machine, "sleep 4321", "sleep") as pid:
        assert pid not in before
        (process,) = [process for process in machine.processes() if process.pid == pid]
        assert process.command_line == "sleep 4321" and process.page_table % 4096 == 0
