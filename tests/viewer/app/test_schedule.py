"""When frames are drawn."""

from __future__ import annotations

import asyncio

import pytest

from viewer.app.schedule import UI_FRAMES, Schedule


class Canvas:
    """Counts the frames that it is asked for."""

    def __init__(self):
        self.asked, self.is_closed = 0, False

    def request_draw(self):
        self.asked += 1

    def get_closed(self):
        return self.is_closed


@pytest.fixture
def canvas():
    return Canvas()


def test_frames_are_put_off_once_and_events_are_not(canvas):
    async def run():
        schedule = Schedule(canvas, asyncio.get_running_loop())
        schedule.draw_later(0.02)
        schedule.draw_later(0.0)
        schedule.show_changes()
        assert canvas.asked == 0
        schedule.request()
        assert canvas.asked == 1 and schedule.ui_frames == UI_FRAMES
        while canvas.asked == 1:
            await asyncio.sleep(0.005)
        schedule.show_changes()
        assert canvas.asked == 3

    asyncio.run(asyncio.wait_for(run(), 10))


def test_an_answer_is_drawn_until_its_table_fits(canvas):
    async def run():
        schedule = Schedule(canvas, asyncio.get_running_loop())
        schedule.ui_frames = 0
        schedule.draw_later(60.0)
        await asyncio.to_thread(schedule.show_answer)
        while not canvas.asked:
            await asyncio.sleep(0.005)
        assert schedule.ui_frames == UI_FRAMES
        canvas.is_closed = True
        await asyncio.to_thread(schedule.show_answer)
        await asyncio.sleep(0)
        assert canvas.asked == 1

    asyncio.run(asyncio.wait_for(run(), 10))


def test_each_of_many_events_wants_a_frame_of_its_own(canvas):
    schedule = Schedule(canvas, None)
    for _ in range(5):
        schedule.add_event()
    assert schedule.ui_frames == UI_FRAMES + 5
    for _ in range(100):
        schedule.add_event()
    assert schedule.ui_frames < 50
    for _ in range(3):
        schedule.go_on()
    assert canvas.asked == 108


def test_news_after_the_window_was_closed_is_nobodys(canvas):
    loop = asyncio.new_event_loop()
    loop.close()
    canvas.is_closed = True
    schedule = Schedule(canvas, loop)
    schedule.wake()
    schedule.show_changes()
    assert canvas.asked == 0 and schedule.is_closed


def test_much_that_is_new_is_not_put_off_for_as_long_as_little(canvas):
    async def run():
        schedule = Schedule(canvas, asyncio.get_running_loop())
        while not schedule.refresh_policy.is_slow:
            schedule.refresh_policy.pause_s(0.1)
        schedule.draw_later(5.0)
        schedule.show_changes()
        assert canvas.asked == 0
        schedule.has_many_changes = lambda: True
        schedule.show_changes()
        assert canvas.asked == 1
        schedule.add_event()
        schedule.show_changes()
        assert canvas.asked == 2  # the one of the event

    asyncio.run(asyncio.wait_for(run(), 10))
