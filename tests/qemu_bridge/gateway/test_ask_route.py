"""Questions in words over HTTP, on the real guest."""

from __future__ import annotations

import json

import pytest
from support import glassbox

from qemu_bridge.client import Client
from qemu_bridge.gateway.paths import file_path

pytestmark = pytest.mark.guest


def ask(service, machine, question, **more):
    return service.post(f"/api/machines/{machine.name}/ask", {"question": question, **more})


@pytest.mark.parametrize(
    "question",
    [
        "which processes are not root's?",
        "how many kernel threads are there?",
        "how much memory does crond use",
        "memory by class",
        "modules sorted by size",
        "hexdump 32 bytes at linux_banner",
        "16 bytes at 0x1000000",
        "what is at 0x1000000",
        "show me crond's page tables",
        "show me the fancy processes",
        "kernel version",
    ],
)
def test_the_record_is_that_of_the_command(question, service, machine):
    with machine.paused():
        told = ask(service, machine, question)
        shown = json.loads(glassbox("ask", machine.name, question, "--json").stdout)
    assert told.status == 200
    found = told.json()
    for key in ("understood", "command", "operation", "arguments", "reason", "alternatives"):
        assert found.get(key) == shown.get(key), key
    assert without_counters(found.get("answer")) == without_counters(shown.get("answer"))


def without_counters(answer):
    """An answer without what each look at the guest counts up."""
    return (
        {key: value for key, value in answer.items() if key not in ("epoch", "generation", "elapsed_s")}
        if isinstance(answer, dict)
        else answer
    )


def test_what_is_not_allowed_is_understood_and_not_done(reader, service, machine):
    found = ask(reader, machine, "pause the machine").json()
    assert found["operation"] == "pause" and found["answer"] is None and "--allow-control" in found["note"]
    assert machine.client.status().runstate == "running"
    try:
        assert ask(service, machine, "pause the machine").json()["note"] == ""
        assert machine.client.status().runstate == "paused"
    finally:
        machine.client.resume()


def test_a_dry_run_does_nothing(service, machine):
    found = ask(service, machine, "pause the machine", dry_run=True).json()
    assert (found["operation"], found["note"]) == ("pause", "dry run")
    assert machine.client.status().runstate == "running"


def test_what_is_kept_lies_in_the_machines_own_folder(service, machine):
    found = ask(service, machine, "take a checkpoint called asked").json()
    assert found["arguments"] == {"output": "asked"} and found["answer"]["name"] == machine.name
    assert "asked" in [row["name"] for row in service.get(f"/api/machines/{machine.name}/files").json()]
    compared = ask(service, machine, "what changed since the last checkpoint?").json()
    assert compared["arguments"]["before"] == "asked" and "differing_pages" in compared["answer"]
    with Client.connect(str(file_path(machine.name, "asked"))) as kept:
        kept.stop()  # the daemon that compared with it


@pytest.mark.parametrize("body", [{}, {"question": ""}, {"question": 5}, {"question": "ps", "shell": "sh"}, b"no", []])
def test_what_is_no_question_is_refused_with_an_example(service, machine, body):
    answer = service.post(f"/api/machines/{machine.name}/ask", body, content_type="application/json")
    assert (answer.status, answer.error["kind"]) == (400, "UsageError") and "ask" in answer.error["message"]


def test_no_machine_and_no_token_have_no_answer(service, machine):
    assert service.post("/api/machines/nobody/ask", {"question": "ps"}).status == 404
    assert service.post(f"/api/machines/{machine.name}/ask", {"question": "ps"}, token=False).status == 401


def test_it_is_described_with_the_other_routes(service):
    described = service.get("/openapi.json").json()["paths"]["/api/machines/{name}/ask"]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["question"] and "docs/ask.md" in described["description"]
