"""The verb ask, on the real guest."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.guest


def test_the_answer_is_that_of_the_command_that_is_told(machine, command):
    with machine.paused():
        asked, told = command("ask", machine.name, "which processes are running?"), command("ps", machine.name)
    assert asked.status == 0 and asked.out == told.out
    assert "understood as: all processes" in asked.err and f"command: glassbox ps {machine.name}" in asked.err


def test_words_need_no_quotes(machine, command):
    shown = command("ask", machine.name, "how", "many", "processes", "are", "there")
    assert shown.status == 0 and int(shown.out) == len(machine.client.ps())


def test_json_has_the_meaning_and_the_answer(machine, command):
    found = json.loads(command("ask", machine.name, "how much memory does crond use?", "--json").out)
    assert found["command"] == f"glassbox resolve {machine.name} comm:crond --total"
    assert (found["operation"], found["arguments"]) == ("resolve", {"target": "comm:crond"})
    assert found["answer"]["total_bytes"] > 0


def test_the_largest_file_is_the_largest(machine, command):
    found = json.loads(command("ask", machine.name, "which file uses most memory?", "--json").out)
    (row,) = found["answer"]["rows"]
    assert row["pages"] == max(each["pages"] for each in machine.client.overlay("page-cache").value.rows)


def test_without_a_viewer_it_is_told_where_the_memory_is(machine, command):
    shown = command("ask", machine.name, "show me crond's page tables")
    assert shown.status == 0 and "no viewer is open" in shown.err
    assert shown.out == command("resolve", machine.name, "comm:crond/pagetables").out


def test_what_is_not_certain_is_asked_back(machine, command):
    shown = command("ask", machine.name, "show the fancy processes")
    assert shown.status == 2 and not shown.out and "'fancy' is not understood" in shown.err
    assert f"glassbox ps {machine.name}" in shown.err
    found = json.loads(command("ask", machine.name, "show the fancy processes", "--json").out)
    assert found["understood"] is None and found["alternatives"][0]["operation"] == "ps"


def test_what_changes_the_machine_is_done_only_if_that_is_allowed(machine, command):
    refused = command("ask", machine.name, "pause the machine")
    assert refused.status == 2 and "--allow-control" in refused.err
    assert machine.client.status().runstate == "running"
    assert command("ask", machine.name, "run 'true' in the guest", "--allow-control").status == 2
    try:
        assert command("ask", machine.name, "pause the machine", "--allow-control").status == 0
        assert machine.client.status().runstate == "paused"
    finally:
        machine.client.resume()
    assert command("ask", machine.name, "run 'exit 3' in the guest", "--allow-write").status == 3


def test_a_dry_run_does_nothing_and_examples_are_printed(machine, command):
    shown = command("ask", machine.name, "pause the machine", "--dry-run")
    assert shown.status == 0 and f"glassbox pause {machine.name}" in shown.err
    assert machine.client.status().runstate == "running"
    assert "what processes are running?" in command("ask", machine.name, "--examples").out
    assert command("ask", machine.name).status == 2
