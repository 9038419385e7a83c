"""Sessions: what a guest gets, what it never gets, and that whatever it sends is answered."""

import asyncio
import mmap
import os
import random

import numpy as np
import pytest
from gpu_guests import SAXPY, SPIN, RefusedError, TestGuest, mutate

from gpu_hypervisor.channel.aperture import Aperture
from gpu_hypervisor.channel.frames import REPLY, Decoder, Frame, Malformed, encode_frame
from gpu_hypervisor.channel.messages import Code, Command, Element
from gpu_hypervisor.channel.payload import Reader, Writer
from gpu_hypervisor.channel.session import MOST_WAITS, GuestSessions
from gpu_hypervisor.engine import Hypervisor

SIZE, QUEUE = 4 << 20, 8


@pytest.fixture(scope="module")
def hypervisor():
    with Hypervisor(device="cpu") as found:
        yield found


@pytest.fixture
def guest(hypervisor, tmp_path):
    """A guest without a QEMU: its tenant, its aperture, and itself."""
    with opened(hypervisor, "guest", tmp_path) as found:
        yield found


class opened:  # noqa: N801  # used as a function
    def __init__(self, hypervisor, name, folder):
        self.hypervisor, self.name, self.path = hypervisor, name, folder / name

    def __enter__(self):
        self.path.touch(0o600)
        os.truncate(self.path, SIZE)
        self.tenant = self.hypervisor.open_tenant(self.name, weight=1.0, memory_bytes=SIZE, queue_jobs=QUEUE)
        self.aperture = Aperture(self.path, SIZE, SIZE)
        self.aperture.region = self.tenant.adopt(self.aperture.descriptor, SIZE, is_trusted=True)
        # The guest's own view of the file, as QEMU maps it.
        with open(self.path, "r+b") as file:
            seen = np.frombuffer(mmap.mmap(file.fileno(), SIZE), np.uint8)
        return TestGuest(GuestSessions(self.tenant, self.aperture, None, "a device", QUEUE), seen)

    def __exit__(self, *_):
        self.tenant.close()
        self.aperture.close()


def refused(coroutine):
    async def run():
        with pytest.raises(RefusedError) as error:
            await coroutine
        return error.value

    return run()


def test_a_kernel_reads_and_writes_what_the_guest_sees(guest):
    async def run():
        await guest.begin()
        await guest.saxpy()
        reader = await guest.ask(Command.LIMITS)
        reader.u64()
        assert [reader.u64() for _ in range(6)] == [SIZE, 0, SIZE, 0, QUEUE, 0]

    asyncio.run(run())


def test_a_session_begins_with_capabilities_and_numbers_go_up(guest):
    async def run():
        assert (await refused(guest.ask(Command.LIMITS))).code == Code.SESSION
        reader = await guest.ask(Command.CAPABILITIES)
        assert (reader.u16(), reader.u32(), reader.u64(), reader.text()) == (1, 4096, SIZE, "a device")
        frame = Frame(Command.LIMITS, guest.session, 50, b"")
        assert Reader((await guest.sessions.answer(frame)).payload).u16() == Code.OK
        for number in (50, 49, 0):
            again = await guest.sessions.answer(frame._replace(number=number))
            assert Reader(again.payload).u16() == Code.REPLAYED
        for other, code in ((frame._replace(version=2), Code.VERSION), (frame._replace(command=0x99), Code.COMMAND)):
            assert Reader((await guest.sessions.answer(other._replace(number=60))).payload).u16() == code
        told = await guest.sessions.answer(Malformed("it is none"))
        assert (told.command, told.session, told.number) == (REPLY, 0, 0)
        assert Reader(told.payload).u16() == Code.MALFORMED

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (SAXPY.replace("LOAD", "LAOD"), Code.SOURCE, (9, 13)),
        (SAXPY.replace("GPU_PARAM a float", "GPU_PARAM a2 float"), Code.SOURCE, (10, 17)),
        (SAXPY.replace("x[i]", "x[i - 1]"), Code.TRAP, (9, 0)),
    ],
)
def test_an_error_of_a_kernel_has_its_place(guest, text, code, place):
    async def run():
        await guest.begin()
        x, y = await guest.alloc(np.ones(100, "f4")), await guest.alloc(np.ones(100, "f4"))
        job = await guest.submit(text, 100, {"a": "1"}, x=(x, Element.F32), y=(y, Element.F32))
        error = await refused(guest.wait(job))
        assert error.code == code and (error.line, error.column) == place
        await guest.saxpy()

    asyncio.run(run())


def test_numbers_of_another_guest_mean_nothing(guest, hypervisor, tmp_path):
    async def run():
        with opened(hypervisor, "other", tmp_path) as other:
            await guest.begin()
            await other.begin()
            own, y = await guest.alloc(np.ones(100, "f4")), await guest.alloc(np.ones(100, "f4"))
            job = await guest.submit(SAXPY, 100, {"a": "1"}, x=(own, Element.F32), y=(y, Element.F32))
            # Even under the session number of the other guest.
            other.session = guest.session
            await other.begin()
            for command in (Command.QUERY_STATUS, Command.CANCEL):
                assert (await refused(other.ask(command, Writer().u64(job)))).code == Code.JOB
            assert (await refused(other.wait(job))).code == Code.JOB
            assert (await refused(other.ask(Command.FREE_MEMORY, Writer().u64(own.handle)))).code == Code.HANDLE
            error = await refused(other.submit(SAXPY, 100, {"a": "1"}, x=(own, Element.F32), y=(own, Element.F32)))
            assert error.code == Code.HANDLE
            assert await guest.wait(job) == 4

    asyncio.run(run())


def test_a_new_session_ends_the_one_before(guest):
    async def run():
        await guest.begin()
        held = await guest.alloc(np.zeros(1000, "i4"))
        job = await guest.submit(SPIN, 1000, fuel=1 << 60, x=(held, Element.I32))
        assert await guest.wait(job, 0) in (1, 2, 3)
        assert (await refused(guest.ask(Command.FREE_MEMORY, Writer().u64(held.handle)))).code == Code.BUSY
        guest.session += 1
        await guest.begin()
        assert (await refused(guest.wait(job))).code == Code.JOB
        assert (await refused(guest.ask(Command.FREE_MEMORY, Writer().u64(held.handle)))).code == Code.HANDLE
        # The job's memory is nobody's until it has ended; then all of it is free again, and zero.
        while True:
            try:
                await guest.alloc(bytes(SIZE))
                break
            except RefusedError as error:
                assert error.code == Code.QUOTA
                await asyncio.sleep(0.02)

    asyncio.run(run())


def test_what_a_kernel_writes_is_in_the_guests_memory_before_it_has_ended(guest):
    marks = SPIN.replace("    GPU_THREAD_CODE:", "    GPU_PARAM y int[]\n    GPU_THREAD_CODE:").replace(
        "        LOAD", "        STORE 7 -> y[0]\n        LOAD"
    )

    async def run():
        await guest.begin()
        x, y = await guest.alloc(np.zeros(1, "i4")), await guest.alloc(np.zeros(1, "i4"))
        job = await guest.submit(marks, 1, fuel=1 << 60, x=(x, Element.I32), y=(y, Element.I32))
        async with asyncio.timeout(120):
            while y.at.view("i4")[0] != 7:
                await asyncio.sleep(0.02)
        assert await guest.wait(job, 0) == 3
        await guest.ask(Command.CANCEL, Writer().u64(job))
        assert (await refused(guest.wait(job))).code == Code.CANCELLED

    asyncio.run(run())


def test_who_waits_for_a_job_that_was_refused_is_told_so(guest):
    async def run():
        await guest.begin()
        await guest.saxpy()
        assert await guest.wait() == 4
        assert (await refused(guest.ask(Command.SUBMIT_PRIMITIVE, Writer().u64(1)))).code == Code.MALFORMED
        assert (await refused(guest.wait())).code == Code.JOB

    asyncio.run(run())


@pytest.mark.parametrize(
    "extreme",
    [
        {"lanes": (1 << 64) - 1},
        {"lanes": 1 << 40},
        {"lanes": 0, "blocks": (1 << 64) - 1},
        {"lanes": 0, "blocks": 1 << 33, "threads": (1 << 32) - 1},
        {"lanes": 100, "threads": (1 << 32) - 1},
        {"lanes": 100, "fuel": (1 << 64) - 1},
        {"lanes": 100, "deadline_us": (1 << 64) - 1},
        {"lanes": 100, "deadline_us": 1},
        {"lanes": 100, "limit_us": (1 << 64) - 1},
        {"lanes": 100, "limit_us": 1},
        {"lanes": 100, "numbers": {"a": "nan"}},
        {"lanes": 100, "numbers": {"a": "1e999"}},
        {"lanes": 100, "numbers": {"a": "9" * 64}},
    ],
    ids=str,
)
def test_extreme_numbers_are_done_or_refused(guest, extreme):
    async def run():
        await guest.begin()
        x, y = await guest.alloc(np.ones(100, "f4")), await guest.alloc(np.ones(100, "f4"))
        given = {"numbers": {"a": "1"}} | extreme
        try:
            job = await guest.submit(SAXPY, x=(x, Element.F32), y=(y, Element.F32), **given)
            if await guest.wait(job, 1000) != 4:
                await guest.ask(Command.CANCEL, Writer().u64(job))
                assert (await refused(guest.wait(job))).code == Code.CANCELLED
        except RefusedError as error:
            assert error.code != Code.FAILED and len(error.message) > 10
        await guest.saxpy()

    asyncio.run(run())


def test_cancelled_jobs_are_told_to_who_waits(guest):
    async def run():
        await guest.begin()
        held = await guest.alloc(np.zeros(1000, "i4"))
        job = await guest.submit(SPIN, 1000, fuel=1 << 60, x=(held, Element.I32))
        waiting = asyncio.create_task(refused(guest.wait(job)))
        await asyncio.sleep(0.05)
        assert (await guest.ask(Command.CANCEL, Writer().u64(job))).u8() == 1
        assert (await waiting).code == Code.CANCELLED
        await guest.saxpy()

    asyncio.run(run())


def test_waits_and_queues_are_bounded(guest):
    async def run():
        await guest.begin()
        held = await guest.alloc(np.zeros(1000, "i4"))
        jobs = []
        error = None
        while error is None:
            try:
                jobs.append(await guest.submit(SPIN, 1000, fuel=1 << 60, x=(held, Element.I32)))
            except RefusedError as found:
                error = found
        assert error.code == Code.QUOTA and QUEUE <= len(jobs) <= QUEUE + 2
        waits = [asyncio.create_task(refused(guest.wait(jobs[0]))) for _ in range(MOST_WAITS)]
        await asyncio.sleep(0.05)
        assert (await refused(guest.wait(jobs[0]))).code == Code.QUOTA
        for job in jobs:
            await guest.ask(Command.CANCEL, Writer().u64(job))
        assert {(await wait).code for wait in waits} == {Code.CANCELLED}
        await guest.saxpy()

    asyncio.run(run())


def test_a_text_that_changes_after_it_was_submitted_changes_nothing(guest):
    async def run():
        await guest.begin()
        x, y = await guest.alloc(np.ones(100, "f4")), await guest.alloc(np.ones(100, "f4"))
        job = await guest.submit(SAXPY, 100, {"a": "1"}, x=(x, Element.F32), y=(y, Element.F32))
        # `submit` has freed the text, so its bytes are zero now.
        assert await guest.wait(job) == 4 and (y.at.view("f4") == 2).all()

    asyncio.run(run())


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_mutated_frames_are_answered_and_change_nothing(guest, count):
    chance = random.Random(2026)
    session = guest.session
    # The text's handle is of no memory, so that no mutation of it runs.
    submit = (
        Writer().u64(9).u64(0).u64(10).u8(0).u8(0).u16(2).u64(9).u64(0).u32(0).u64(0).u64(0).u64(0).text("k").text("l")
    )
    submit.u8(0).text("a").text("2").u8(1).text("x").u8(8).u64(3).u64(0).u64(40)
    payloads = {
        Command.SUBMIT_PRIMITIVE: submit.content,
        Command.FREE_MEMORY: Writer().u64(5).content,
        Command.QUERY_STATUS: Writer().u64(5).content,
        Command.CANCEL: Writer().u64(5).content,
        Command.WAIT: Writer().u64(5).u32(5).content,
        Command.LIMITS: b"",
    }
    lines = [encode_frame(Frame(command, session, 10, payload)) for command, payload in payloads.items()]

    async def run():
        await guest.begin()
        decoder, codes = Decoder(), set()
        for _ in range(count):
            for frame in decoder.feed(mutate(chance, chance.choice(lines), 3)):
                if isinstance(frame, Frame) and frame.session != session and frame.command == Command.CAPABILITIES:
                    continue  # another session, as another process would begin one
                guest.sessions._number = 0
                reply = await guest.sessions.answer(frame)
                codes.add(Code(Reader(reply.payload).u16()))
        assert {Code.OK, Code.MALFORMED, Code.COMMAND, Code.SESSION, Code.HANDLE, Code.JOB} <= codes
        assert Code.FAILED not in codes
        guest.session += 1
        await guest.begin()
        await guest.saxpy()

    asyncio.run(run())
