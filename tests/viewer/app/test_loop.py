"""The loop of a window sleeps until something happens, and then acts at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import needs_display

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import json, threading, time
from rendercanvas.glfw import RenderCanvas
from gpu_device.device import request_device
from viewer.app.loop import EventLoop

loop, told = EventLoop(), {}
RenderCanvas.select_loop(loop)
canvas = RenderCanvas(size=(200, 100), max_fps=60)
draws = []
context, device = canvas.get_wgpu_context(), request_device()
context.configure(device=device, format=context.get_preferred_format(device.adapter))

def paint():
    draws.append(time.monotonic())
    encoder = device.create_command_encoder()
    view = context.get_current_texture().create_view()
    encoder.begin_render_pass(color_attachments=[{"view": view, "load_op": "clear", "store_op": "store"}]).end()
    device.queue.submit([encoder.finish()])

canvas.request_draw(paint)
sent = [0.0]

def after(key, delay_s, then):
    asked = time.monotonic()
    def act():
        told[key] = time.monotonic() - asked - delay_s
        then()
    loop.call_later(delay_s, act)

def rest():
    told["draws"] = len(draws)
    told["cpu_s"] = -time.process_time()
    after("timer_s", 2.5, wake)

def wake():
    told["cpu_s"] += time.process_time()
    told["draws"] -= len(draws)
    asked = time.monotonic()
    def from_thread():
        time.sleep(0.5)
        sent[0] = time.monotonic()
        loop.call_soon_threadsafe(lambda: (told.update(thread_s=time.monotonic() - sent[0]), draw()))
    threading.Thread(target=from_thread).start()

def draw():
    wanted, before = time.monotonic(), len(draws)
    canvas.request_draw()
    def look():
        told["draw_s"] = draws[before] - wanted if len(draws) > before else None
        loop.call_later(0.01, lambda: 1 / 0)
        loop.call_later(0.1, lambda: (told.update(closing=time.monotonic()), canvas.close()))
    loop.call_later(0.3, look)

loop.call_later(0.8, rest)
loop.run()
told["closing"] = time.monotonic() - told["closing"]
print(json.dumps(told))
"""


@pytest.mark.window
@needs_display
def test_the_loop_costs_nothing_at_rest_and_wakes_at_once(display, tmp_path):
    environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
    environment.pop("WAYLAND_DISPLAY", None)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["draws"] == 0, told
    assert told["cpu_s"] < 0.02  # of 2.5 s; ticking 60 times a second it is ten times as much
    assert max(told["timer_s"], told["thread_s"]) < 0.1
    assert told["draw_s"] is not None and told["draw_s"] < 0.1
    assert told["closing"] < 1.0
    assert "ZeroDivisionError" in ended.stderr  # told, and the loop went on
