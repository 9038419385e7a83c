"""The semantic worker: hot, bounded in time, and replaced when it dies."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import pytest

from qemu_bridge.errors import GuestError, MachineError, NotBootedError, UsageError
from qemu_bridge.host.tasks import TaskSet
from qemu_bridge.introspection.questions import Semantics, SemanticWorker
from qemu_bridge.memory.addresses import RamLayout


def make(machine, folder):
    return SemanticWorker(machine.ram.path, machine.ram.layout, folder / "pages")


@pytest.mark.guest
def test_answers_come_from_one_hot_process(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            cold = await worker.ask("ps")
            hot = [(await worker.ask("ps"))["elapsed_s"] for _ in range(3)]
        finally:
            worker.restart()
        return cold, min(hot)

    cold, hot = asyncio.run(ask())
    assert cold["rows"][0]["pid"] == 1 and hot < cold["elapsed_s"]


@pytest.mark.guest
def test_targets_of_processes_are_answered_in_milliseconds(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            times = {}
            for target in ("pid:1", "comm:crond", "pid:1/heap"):
                answers = [await worker.ask("where", target=target, by_page=False, grade="live") for _ in range(6)]
                times[target] = min(answer["elapsed_s"] for answer in answers[1:])
        finally:
            worker.restart()
        return times

    times = asyncio.run(ask())
    assert max(times.values()) < 0.03, times


@pytest.mark.guest
def test_a_question_that_takes_too_long_is_given_up_and_the_next_is_answered(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            with pytest.raises(MachineError, match="took longer than"):
                await worker.ask("ps", timeout_s=0.01)
            return await worker.ask("kernel")
        finally:
            worker.restart()

    assert asyncio.run(ask())["release"] in machine.exec("uname -r").decode()


@pytest.mark.guest
def test_a_worker_that_is_killed_is_replaced(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            await worker.ask("kernel")
            asked = TaskSet().start(worker.ask("page_map", grade="live"), "page map")
            await asyncio.sleep(0.01)
            for process in list(worker._pool._processes.values()):
                os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(MachineError, match="worker died"):
                await asked
            return await worker.ask("kernel")
        finally:
            worker.restart()

    assert asyncio.run(ask())["build_id"]


@pytest.mark.guest
def test_a_question_behind_slow_ones_is_given_up_in_words_and_the_slow_one_is_answered(machine, tmp_path):
    async def ask():
        worker, tasks = make(machine, tmp_path), TaskSet()
        try:
            first = tasks.start(worker.ask("kernel"), "first")
            await asyncio.sleep(0)
            worker.queue_timeout_s = 0.0
            with pytest.raises(MachineError, match="behind other questions"):
                await worker.ask("ps")
            worker.queue_timeout_s = 20.0
            return await first, await worker.ask("ps")
        finally:
            worker.restart()

    first, second = asyncio.run(ask())
    assert first["build_id"] and second["rows"]


@pytest.mark.guest
def test_the_worker_may_take_so_much_memory_and_no_more(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            await worker.ask("kernel")
            (process,) = worker._pool._processes.values()
            return resource.prlimit(process.pid, resource.RLIMIT_DATA)[0]
        finally:
            worker.restart()

    assert 0 < asyncio.run(ask()) <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def ask_of_file(path, question, **arguments):
    async def ask():
        worker = SemanticWorker(path, RamLayout.from_rule("pc", path.stat().st_size), Path(f"{path}.pages"))
        try:
            return await worker.ask(question, **arguments)
        finally:
            worker.restart()

    return asyncio.run(ask())


@pytest.mark.parametrize("content", [b"", b"VMCOREINFO\0" * 1000, os.urandom(1 << 20)], ids=["empty", "notes", "noise"])
def test_ram_without_a_kernel_is_an_error_in_words(content, tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(content.ljust(1 << 20, b"\0")[: 1 << 20])
    with pytest.raises(NotBootedError):
        ask_of_file(path, "ps")


@pytest.mark.guest
def test_wrong_questions_are_errors_that_travel(machine, tmp_path):
    async def ask():
        worker = make(machine, tmp_path)
        try:
            for arguments in ({"pid": 999999}, {"pid": -1}):
                with pytest.raises(UsageError):
                    await worker.ask("maps", **arguments)
            with pytest.raises((GuestError, UsageError)):
                await worker.ask("maps", pid="x")
        finally:
            worker.restart()

    asyncio.run(ask())


@pytest.mark.guest
@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("maps", {"pid": "x"}),
        ("maps", {}),
        ("sym", {"wanted": 9}),
        ("types", {"part": None}),
        ("whose", {"place": None, "pid": None, "grade": "live"}),
        ("where", {"target": 7, "by_page": False, "grade": "live"}),
        ("page_map", {"grade": "live", "more": 1}),
    ],
)
def test_arguments_of_the_wrong_kind_are_the_askers_fault_not_the_guests(machine, tmp_path, question, arguments):
    asked = Semantics(machine.ram, tmp_path / "pages")
    with pytest.raises(UsageError, match=r"docs/protocol\.md"):
        asked.answer(question, arguments)
