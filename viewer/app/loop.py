"""The event loop of a desktop window: it sleeps until something happens.

A canvas of rendercanvas ticks 60 times a second, whether or not there is anything to draw: at each tick it asks for input
and looks whether a frame was requested. That is a hundredth of a processor for a window without input. Here a
tick waits for a reason. There are three, and each lets the ticks continue for `AWAKE_S`:

* input: the window system wakes ``glfwWaitEventsTimeout``;
* a call from another thread, which posts an empty event to wake it;
* a call that was asked for at a time (`EventLoop.call_later`), and a frame that was drawn.

After `EventLoop.close_on_interrupt` Ctrl-C and other signals that end a program close the windows, and `KeyboardInterrupt` is raised.

At rest the loop looks up once every `REST_S`, so that a window which was closed by other means is noticed.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import queue
import time
from collections.abc import Callable
from typing import Any

import glfw
from rendercanvas.base import BaseLoop

from qemu_bridge.host.interrupts import noted_interrupts

log = logging.getLogger(__name__)

AWAKE_S = 0.1
REST_S = 1.0

Callback = Callable[[], Any]


class EventLoop(BaseLoop):  # type: ignore[misc]  # rendercanvas has no types
    """A loop for `viewer.app.glfw_canvas.GlfwCanvas` (``RenderCanvas.select_loop``)."""

    def __init__(self) -> None:
        super().__init__()
        self._soon: queue.SimpleQueue[Callback] = queue.SimpleQueue()
        self._ticks: list[tuple[float, int, Callback]] = []
        self._timers: list[tuple[float, int, Callback]] = []
        self._numbers = itertools.count()
        self._awake_until = 0.0
        self._should_stop = self._is_running = False
        self._is_noting = False
        self._signals = contextlib.ExitStack()
        self._is_interrupted: Callable[[], bool] = lambda: False

    def close_on_interrupt(self) -> None:
        """Let signals close the windows from here on, in a running loop: before, as long as nothing shows, they may end the process."""
        if not self._is_noting:
            self._is_noting = True
            self._is_interrupted = self._signals.enter_context(noted_interrupts())

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401  # as rendercanvas has it
        """Call `callback` after `delay` seconds, on time even at rest."""
        self._ensure_initialized()
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._numbers), lambda: callback(*args)))

    def wake(self) -> None:
        """Let canvases tick for a while: a frame may be wanted."""
        self._awake_until = time.monotonic() + AWAKE_S

    # --- what rendercanvas asks of a loop --------------------------------------------------------------------

    def _rc_init(self) -> None:
        self._should_stop = False

    def _rc_run(self) -> None:
        self._is_running = True
        self.wake()
        try:
            with self._signals:
                while not self._should_stop:
                    self._wait()
                    self._call_due()
                    if self._is_interrupted():
                        self.stop()  # closes the canvases, and ends the loop when they are
                if self._is_interrupted():
                    raise KeyboardInterrupt
        finally:
            self._is_running = False

    def _rc_stop(self) -> None:
        self._should_stop = True
        self._timers.clear()

    def _rc_call_later(self, delay: float, callback: Callback) -> None:
        # The only sleeper inside rendercanvas is a canvas between two ticks.
        if delay <= 0:
            self._soon.put(callback)
        else:
            heapq.heappush(self._ticks, (time.monotonic() + delay, next(self._numbers), callback))

    def _rc_call_soon_threadsafe(self, callback: Callback) -> None:
        self._soon.put(callback)
        if self._is_running:
            glfw.post_empty_event()

    # --- waiting ---------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        now = time.monotonic()
        timeout = 0.0 if not self._soon.empty() else self._next_due(now) - now
        if timeout <= 0:
            return  # a tick polls for input itself
        glfw.wait_events_timeout(timeout)
        if time.monotonic() - now < 0.9 * timeout:
            self.wake()  # it came back early: there was input, or a call

    def _next_due(self, now: float) -> float:
        due = [timers[0][0] for timers in (self._timers, self._ticks) if timers]
        if now <= self._awake_until:
            return min(due, default=now + REST_S)
        late = self._ticks[0][0] + REST_S if self._ticks else now + REST_S
        return min(self._timers[0][0], late) if self._timers else late

    def _call_due(self) -> None:
        now = time.monotonic()
        called = [self._soon.get() for _ in range(self._soon.qsize())]
        while self._timers and self._timers[0][0] <= now:
            called.append(heapq.heappop(self._timers)[2])
        if called:
            self.wake()
        is_due = now <= self._awake_until or bool(called)
        patience = 0.0 if is_due else REST_S
        ticks = []
        while self._ticks and self._ticks[0][0] + patience <= now:
            ticks.append(heapq.heappop(self._ticks)[2])
        for callback in called + ticks:
            try:
                callback()
            except Exception:
                log.exception("a callback of the window failed")
